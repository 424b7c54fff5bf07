package scheduler

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// A deterministic simulation of CPython's GIL with the scheduler in front of it, on a clock of its own. Tasks
// are programs; each runs on a thread of its own, asks for the GIL once it has its grant, and is charged by
// the books of thread.c; a pacer per interpreter looks as pacer.c does. Everything random comes from one seed.
//
// The GIL is that of ceval_gil.c: taken when free; a waiter that has waited for the switch interval during
// which it did not change hands forces its holder off; whoever is forced off waits until somebody else has
// taken it; a release wakes one waiter, and who comes meanwhile may take it before.
const (
	askInterval  = 50_000    // the switch interval while one of ours asks, see gil.c
	restInterval = 1_500_000 // and else
	minLook      = 100_000   // the pacer's looks
	maxLook      = 140_000
	maxWake      = 20_000 // a wake-up takes 1 µs up to this
	youngAttach  = 200_000
)

type segKind int

const (
	compute  segKind = iota // with the GIL, Python code
	stubborn                // with the GIL, C code that does not give it up
	block                   // Python gives the GIL up by itself: sleep, I/O, hashlib
	gap                     // Go between two operations on Python
	allow                   // AllowThreads
)

type segment struct {
	kind segKind
	ns   int64
}

type world struct {
	tb     testing.TB
	rnd    *rand.Rand
	s      *Scheduler
	cfg    Config
	now    int64
	end    int64 // events after it are not played
	events heap[*event]
	count  int

	its     []*interp
	laneOf  []*interp
	classes []*simClass
	waiting []*simTask // have a waiter
	jobs    []*simTask // queued work in its line

	workers, idleWorkers int
	idleThreads          []*simThread

	seq       int
	live      int // asked and not ended
	inFlight  int
	granted   map[ticket]bool
	touched   bool  // the scheduler was called in this event
	fast      bool  // leave the costly checks out
	idleBound int64 // see watchIdle; 0: not watched
	raw       bool  // no scheduler: the GIL alone
	busy      bool  // a goroutine that is woken waits for a processor
	// byGrant: the pacer takes only a grant that had not had the GIL before for a sign that the line moves, not
	// each attach. pacer.c does not do that: see TestSimulatedBatch.
	byGrant   bool
	allGrants int
	demand    int64          // all that the tasks do
	onFirst   func(*simTask) // it has the GIL for the first time
	onWaited  func(*simTask) // its wait for the scheduler is over
	longest   int64          // GIL idle while somebody could run
}

// simClass is a class and the truth about it.
type simClass struct {
	*Class
	inFlight int
	held     int64 // true time with a GIL
}

// interp is an interpreter: its GIL, its books and its pacer.
type interp struct {
	free  bool // no GIL
	known bool // who has the GIL can be told
	lanes []int

	holder                 *simThread
	last                   *simThread
	forced                 *simThread // waits for another to take it
	waiters                []*simThread
	switches               uint64
	seenSwitches, userSeen uint64
	seenHolder             *simThread
	unused                 int
	asking                 int
	left                   uint64 // detached
	interval               int64
	drop                   bool
	takenAt                int64
	idleSince              int64 // -1: not idle, or nobody could run

	asked, got                  uint64
	clean, cleanSeen, seenUsed  int64
	lookedAt                    int64
	looks                       uint64
	user                        *simThread
	armed                       Pace
	asleep                      bool
	order                       Order
	tended, waitedSince         int64
	idle                        int
	forcedAt                    uint64
	early                       int // which pause of the pacer an arming may end
	look                        Look
	gotBefore, cameBefore       uint64
	nforced                     int
	arrived, newest, grantsCame uint64 // grants that have had the GIL, see world.byGrant
	round                       int
}

// simThread is an OS thread.
type simThread struct {
	it       *interp
	class    *simClass
	tag      uint64
	attached bool

	since, held      int64
	switches         uint64
	others, seenUsed int64
	worked, mark     int64 // its processor clock, but for what it computes now
	remark           bool
	based            int64 // the attach, by its since, that used base + the clock
	base, credited   int64

	then   func() // when it has the GIL
	saved  uint64
	seq    int // of its wait for the GIL
	place  int // in waiters, -1 if not
	left   int64
	ran    int64
	ver    int // of its computing
	busy   segKind
	onCPU  bool
	doneFn func()
}

type simState int

const (
	simAsking simState = iota
	simRunning
	simAway // suspended
	simGone
)

type simTask struct {
	m       *world
	id      int
	class   *simClass
	lane    int
	history *History
	policy  Cancellation
	prog    []segment
	state   simState
	asked   int64
	since   int64 // of the present wait
	first   bool  // had the GIL
	ctx     *fakeContext
	w       *waiter
	noted   bool // its grant was seen
	waking  bool
	resumes bool
	job     bool
	queued  Queued
	th      *simThread
	g       Grant
	x       Suspended
	err     error
	then    func()
	mark    any  // a test's
	cut     bool // interrupted at its deadline, see world.interrupt
}

type worldConfig struct {
	Config
	noGIL   bool // the lanes are one interpreter's, free-threaded
	unknown bool
	workers int
	raw     bool
}

func newWorld(tb testing.TB, seed uint64, wc worldConfig) *world {
	tb.Helper()
	m := &world{tb: tb, rnd: rand.New(rand.NewPCG(seed, 7)), now: 1_000_000, end: math.MaxInt64, granted: map[ticket]bool{}, raw: wc.raw}
	wc.Now = func() int64 { return m.now }
	wc.Arm = func(lane int, p Pace) { m.arm(m.laneOf[lane], p) }
	wc.Tended = func(lane int) time.Duration { return m.laneOf[lane].takeTended() }
	wc.Elsewhere = func(lane int, tag uint64) bool {
		it := m.laneOf[lane]
		return it.known && it.holder == nil && it.newest >= tag && it.asked == it.got
	}
	m.s = newScheduler(tb, wc.Config)
	m.cfg = m.s.cfg
	for lane := range m.cfg.Lanes {
		if lane == 0 || !wc.noGIL {
			m.its = append(m.its, &interp{free: wc.noGIL, known: !wc.unknown && !wc.noGIL, interval: restInterval, asleep: true, idleSince: -1})
		}
		it := m.its[len(m.its)-1]
		it.lanes = append(it.lanes, lane)
		m.laneOf = append(m.laneOf, it)
	}
	if m.workers = wc.workers; m.workers > 0 {
		m.s.Idle(m.workers)
		m.idleWorkers = m.workers
	}
	m.classes = []*simClass{{Class: m.s.Default()}}
	return m
}

func (m *world) class(name string, cfg ClassConfig) *simClass {
	m.tb.Helper()
	c, err := m.s.Class(name, cfg)
	if err != nil {
		m.tb.Fatal(err)
	}
	sc := &simClass{Class: c}
	m.classes = append(m.classes, sc)
	return sc
}

func (m *world) after(ns int64, do func()) {
	m.count++
	m.events.push(&event{m.now + ns, m.count, do})
}

func (m *world) wake() int64 { return 1000 + m.rnd.Int64N(maxWake-1000+1) }

// wakeGo is how long a goroutine takes to wake up.
func (m *world) wakeGo() int64 {
	if m.busy {
		return 1*ms + m.rnd.Int64N(2*ms)
	}
	return m.wake()
}

func (m *world) short() int64 { return 100 + m.rnd.Int64N(400) }

// play runs events up to the given moment.
func (m *world) play(until int64) {
	m.tb.Helper()
	for m.events.len() > 0 && m.events.top().at <= until {
		e := m.events.top()
		m.events.remove(0)
		m.now = e.at
		e.do()
		if m.touched {
			m.touched = false
			m.pump()
		}
		if m.idleBound > 0 {
			m.watchIdle()
		}
	}
	if until != math.MaxInt64 {
		m.now = max(m.now, until)
	}
}

// finish plays to the end and says that nothing is left.
func (m *world) finish() {
	m.tb.Helper()
	m.play(math.MaxInt64)
	if m.live != 0 {
		for _, t := range append(m.waiting, m.jobs...) {
			m.tb.Errorf("task %d never ended: class %s, state %d, job %v", t.id, t.class.name, t.state, t.job)
		}
		m.tb.Fatalf("%d tasks never ended", m.live)
	}
	if n := m.s.absences() + m.s.primaries() + m.s.queued + m.s.resumes; n != 0 || m.inFlight != 0 || m.idleWorkers != m.workers || m.s.idle != m.workers {
		m.tb.Fatalf("after the end: %d away, %d primaries, %d queued, %d resuming, %d of %d workers idle (%d)",
			m.s.absences(), m.s.primaries(), m.s.queued, m.s.resumes, m.s.idle, m.workers, m.idleWorkers)
	}
	for _, h := range []*heap[*line]{&m.s.general, &m.s.nested, &m.s.long, &m.s.cold, &m.s.jobs} {
		if h.len() != 0 {
			m.tb.Fatal("after the end: a line is left")
		}
	}
	for i := range m.s.lanes {
		if l := &m.s.lanes[i]; l.waiting || l.proxy != nil || len(l.runners) != 0 || l.pinned.len()+l.resumes.len() != 0 || l.load()&(flagWaiting|flagGuard) != 0 {
			m.tb.Fatalf("after the end: lane %d: waiting %v, proxy %v, %d runners, word %b", i, l.waiting, l.proxy, len(l.runners), l.load()&63)
		}
	}
}

// ---- the GIL

func (m *world) take(th *simThread, then func()) {
	th.then = then
	if it := th.it; it.holder == nil {
		m.got(th)
	} else {
		m.waitGIL(th)
	}
}

func (m *world) waitGIL(th *simThread) {
	it := th.it
	th.saved = it.switches
	if th.place < 0 {
		th.place = len(it.waiters)
		it.waiters = append(it.waiters, th)
	}
	th.seq++
	seq := th.seq
	m.after(it.interval+m.wake(), func() {
		if th.seq != seq || th.place < 0 {
			return
		}
		if it.holder == nil {
			m.unqueue(th)
			m.got(th)
			return
		}
		same := it.switches == th.saved
		m.waitGIL(th)
		if same {
			it.drop = true
			m.honour(it)
		}
	})
}

func (m *world) unqueue(th *simThread) {
	it := th.it
	last := it.waiters[len(it.waiters)-1]
	it.waiters[th.place], last.place = last, th.place
	it.waiters = it.waiters[:len(it.waiters)-1]
	th.place = -1
}

// honour forces the holder off, if it runs Python code.
func (m *world) honour(it *interp) {
	th := it.holder
	if !it.drop || th == nil || !th.onCPU || th.busy == stubborn {
		return
	}
	th.left -= m.now - th.ran
	th.worked += m.now - th.ran
	th.ver++
	th.onCPU = false
	done := th.doneFn
	m.unlock(th, func() { m.take(th, func() { m.compute(th, th.left, compute, done) }) })
}

// unlock gives the GIL up and goes on with then: at once, or after somebody else has taken it if that was asked.
func (m *world) unlock(th *simThread, then func()) {
	it := th.it
	if it.holder != th {
		m.tb.Fatal("the simulation: not the GIL's holder")
	}
	th.class.held += m.now - it.takenAt
	it.holder = nil
	if n := len(it.waiters); n > 0 {
		w := it.waiters[m.rnd.IntN(n)]
		m.unqueue(w)
		w.seq++
		m.after(m.wake(), func() {
			if it.holder == nil {
				m.got(w)
			} else {
				m.waitGIL(w)
			}
		})
	}
	if it.drop && it.last == th {
		it.drop = false
		th.then = then
		it.forced = th
		return
	}
	then()
}

func (m *world) got(th *simThread) {
	it := th.it
	it.holder, it.takenAt, it.drop = th, m.now, false
	if it.last != th {
		it.last = th
		it.switches++
	}
	if f := it.forced; f != nil && f != th {
		it.forced = nil
		then := f.then
		m.after(m.wake(), then)
	}
	th.then()
}

func (m *world) compute(th *simThread, ns int64, kind segKind, done func()) {
	th.left, th.ran, th.busy, th.onCPU, th.doneFn = ns, m.now, kind, true, done
	th.ver++
	ver := th.ver
	m.after(ns, func() {
		if th.ver == ver {
			th.onCPU = false
			th.worked += ns
			if th.it.free {
				th.class.held += ns
			}
			done()
		}
	})
	if !th.it.free {
		m.honour(th.it)
	}
}

// settle brings the true books up to now.
func (m *world) settle() {
	for _, it := range m.its {
		if it.holder != nil {
			it.holder.class.held += m.now - it.takenAt
			it.takenAt = m.now
		}
	}
}

// ---- thread.c

func (m *world) attach(th *simThread, then func()) {
	it := th.it
	it.asked++
	in := func() {
		it.got++
		if th.tag > it.newest {
			it.newest = th.tag
			it.grantsCame++
		}
		th.attached = true
		th.booksBegin(m.now)
		then()
	}
	switch {
	case it.free:
		in()
	case it.holder == nil:
		m.take(th, in)
	default:
		it.asking++
		quarter := int64(it.asked-it.left) / 4
		it.interval = min(askInterval*max(quarter*quarter, 1), restInterval)
		began, patience, holder, switches := m.now, it.interval, it.last, it.switches
		m.take(th, func() {
			if m.now-began >= patience && it.switches == switches+1 {
				it.forcedAt = it.switches
				m.forced(it, holder)
			}
			if it.asking--; it.asking == 0 {
				it.interval = restInterval
			}
			th.remark = true
			in()
		})
	}
}

// forced is take.c's: the pacer tells, even if it sleeps because nobody waits.
func (m *world) forced(it *interp, th *simThread) {
	if th.since != 0 && th.based != th.since {
		th.note(m.now)
	}
	if th == it.user {
		return // the pacer knows that it computes
	}
	it.look.Forced[it.nforced%len(it.look.Forced)] = th.tag
	it.nforced++
	if it.asleep {
		it.asleep = false
		m.after(m.wake(), func() { m.pacerWait(it) })
	} else if it.early != 0 {
		early := it.early
		m.after(m.wake(), func() { m.pacerPaused(it, early) })
	}
}

func (m *world) detach(th *simThread, then func()) {
	th.booksEnd(m.now)
	th.attached = false
	th.it.left++
	if th.it.free {
		then()
		return
	}
	m.unlock(th, then)
}

func (th *simThread) booksBegin(now int64) {
	if th.remark {
		th.remark, th.mark = false, th.clock(now)
	}
	th.switches, th.others, th.seenUsed, th.since = th.it.switches, th.it.clean+th.it.seenUsed, 0, now
}

func (th *simThread) booksEnd(now int64) {
	it := th.it
	held := now - th.since
	if it.free || !it.known || it.switches == th.switches {
		looked := it.lookedAt
		if looked < th.since || looked > now {
			looked = th.since
		}
		it.clean += now - looked
		if held > grace && it.known {
			held = th.alone(held, now)
		} else {
			th.mark += held
		}
	} else {
		held = th.shared(held, now)
	}
	th.since = 0
	th.held += held
}

// clock is the thread's processor clock.
func (th *simThread) clock(now int64) int64 {
	if th.onCPU {
		return th.worked + now - th.ran
	}
	return th.worked
}

// note, credit, alone and shared are books.c's.
func (th *simThread) note(now int64) {
	had := max(min(now-th.since, th.clock(now)-th.mark), 0)
	th.credited, th.base, th.based = 0, had-th.clock(now), th.since
}

func (th *simThread) credit(least, now int64) int64 {
	used := max(th.base+th.clock(now)-th.credited, 0)
	if used < least {
		return 0
	}
	th.credited += used
	return used
}

func (th *simThread) alone(held, now int64) int64 {
	clock := th.clock(now)
	used := clock - th.mark
	if th.based == th.since {
		used = th.base + clock
	}
	th.mark, th.remark = clock, true
	return min(max(used, 0), held)
}

func (th *simThread) shared(held, now int64) int64 {
	used := th.alone(held, now)
	left := max(held-max(th.it.clean+th.it.seenUsed-th.others-th.seenUsed, 0), 0)
	if used > left+2*grace {
		return left
	}
	return used
}

// ---- pacer.c and Host.pace

func (m *world) arm(it *interp, p Pace) {
	it.armed = max(it.armed, p)
	if it.asleep {
		it.asleep = false
		m.after(m.wake(), func() { m.pacerWait(it) })
	} else if it.early != 0 && p >= Watch {
		early := it.early
		m.after(m.wake(), func() { m.pacerPaused(it, early) })
	}
}

func (it *interp) takeTended() time.Duration {
	ns := it.tended
	it.tended = 0
	return time.Duration(ns)
}

func (m *world) pacerWait(it *interp) {
	if it.order.Pace == Rest {
		if it.armed == Rest && it.nforced == 0 {
			it.asleep = true
			return
		}
		it.user, it.cleanSeen, it.lookedAt = nil, it.clean, m.now
		it.order.Pace = max(it.armed, Tend)
	}
	it.look, it.round, it.idle, it.waitedSince = Look{Forced: it.look.Forced}, 0, 0, m.now
	m.pacerSleep(it)
}

func (m *world) pacerSleep(it *interp) {
	it.gotBefore, it.cameBefore = it.got, it.grantsCame
	m.count++
	it.early = m.count
	early := it.early
	if it.order.Pace == Tend && it.armed < Watch {
		pause := int64(time.Millisecond)
		if it.idle >= 20 {
			pause *= 20
		}
		m.after(pause-grace, func() { m.pacerPaused(it, early) })
	} else {
		m.pacerPaused(it, early)
	}
}

// quiet is that of pacer.c.
func (it *interp) quiet(l *Look) bool {
	if l.User != 0 && l.User != it.order.Tag {
		return false
	}
	if l.User != 0 {
		it.tended += int64(l.Used)
		l.Used = 0
	}
	if it.armed >= Watch || it.nforced > 0 {
		return false
	}
	if !l.Taken {
		return l.Pending > 0 || it.order.Pace == Tend && it.unused < 2
	}
	return !l.Computes || l.Holder == it.order.Tag
}

// pacerPaused is the end of a long pause, if it has not ended already.
func (m *world) pacerPaused(it *interp, early int) {
	if it.early != early {
		return
	}
	it.early = 0
	again := it.armed >= Watch
	it.armed = Rest
	m.after(minLook+m.rnd.Int64N(maxLook-minLook), func() {
		l := &it.look
		l.User, l.Used = 0, 0
		m.lookAt(it, l)
		l.Pending, l.Newest, l.Arrived = int(it.asked-it.got), it.newest, it.arrived
		l.Moved = it.got != it.gotBefore
		if it.idle++; l.Moved {
			it.idle = 0
		}
		if m.byGrant {
			l.Moved = it.grantsCame != it.cameBefore && !it.free
		}
		it.round++
		stays := it.order.Quiet > 0
		last := it.order.Pace == Rush || again
		switch {
		case stays && !last && m.now-it.waitedSince < int64(it.order.Quiet) && it.quiet(l):
			it.round = 0
			m.pacerSleep(it)
		case !l.Moved || l.User != 0 || last || stays || it.round == 50 && it.nforced > 0:
			m.touched = true
			l.Tended = it.takeTended()
			it.order = m.orders(it, func(lane int) Order { return m.s.Tick(lane, *l) })
			l.Forced, it.nforced = [4]uint64{}, 0
			m.pacerWait(it)
		case it.round == 50:
			m.touched = true
			it.order = m.orders(it, m.s.Pace)
			m.pacerWait(it)
		default:
			m.pacerSleep(it)
		}
	})
}

func (m *world) orders(it *interp, of func(lane int) Order) (all Order) {
	for _, lane := range it.lanes {
		if o := of(lane); o.Pace >= all.Pace {
			all = o
		}
	}
	if len(it.lanes) > 1 {
		all.Quiet = 0
	}
	return all
}

func (m *world) lookAt(it *interp, l *Look) {
	dt, others := m.now-it.lookedAt, it.clean-it.cleanSeen
	var th *simThread
	if it.known {
		th = it.holder
	}
	var since int64
	if th != nil {
		since = th.since
	}
	it.lookedAt, it.cleanSeen = m.now, it.clean
	it.looks++
	if since == 0 {
		th = nil // it comes or goes
	}
	wasFree := it.unused > 0
	l.Known, l.Taken, l.Holder, l.Computes = it.known, it.known && it.holder != nil, 0, false
	l.Returns = it.known && it.holder == nil && it.forcedAt == it.switches
	if th != nil {
		it.unused = 0
		l.Computes = it.switches == it.seenSwitches && th == it.seenHolder || it.switches == th.switches && m.now-since >= grace
		it.seenSwitches, it.seenHolder = it.switches, th
		if l.Computes {
			it.user = th
		}
		if th == it.user {
			it.userSeen = it.looks
		}
	} else {
		it.seenHolder = nil
		if it.unused++; l.Taken || l.Returns {
			it.unused = 0
		}
	}
	if u := it.user; u != nil && (u.since == 0 || it.looks-it.userSeen > 16 || it.unused >= 2) {
		it.user = nil
	}
	left := max(dt-others, 0)
	saw := func(th *simThread, used int64) {
		used = min(used, left)
		left -= used
		it.seenUsed += used
		if th != nil {
			th.seenUsed += used
		}
	}
	credit := func(th *simThread, least int64) bool {
		used := th.credit(least, m.now)
		if used == 0 && least > 0 {
			return false
		}
		saw(th, used)
		l.Used += time.Duration(used)
		l.User = th.tag
		return true
	}
	if th != nil && th.based != since {
		th.note(m.now)
	}
	u := it.user
	known := th != nil && th.based == since
	switch {
	case known && (l.Computes || th == u):
		credit(th, 0)
	case known && !wasFree && it.switches != th.switches && credit(th, grace):
		l.Computes, it.user, it.userSeen = true, th, it.looks
	default:
		if th != nil {
			saw(th, m.now-since)
		}
		if u != nil && l.Taken && u.since != 0 && u.based == u.since {
			credit(u, 0)
		}
	}
	if !l.Taken && it.known {
		saw(nil, min(left, 2*grace))
	}
	if th != nil {
		l.Holder = th.tag
	}
}

// ---- tasks

func (m *world) newThread(it *interp, c *simClass) *simThread {
	return &simThread{it: it, class: c, place: -1}
}

// ask is what a caller does: Host.Acquire and Host.run, or Submit.
func (m *world) ask(t *simTask) {
	m.seq++
	t.m, t.id, t.asked, t.since = m, m.seq, m.now, m.now
	for _, s := range t.prog {
		m.demand += s.ns
	}
	m.live++
	if m.raw {
		t.th = m.newThread(m.its[0], t.class)
		m.next(t)
		return
	}
	m.touched = true
	if t.ctx == nil {
		t.ctx = &fakeContext{Context: context.Background()}
	}
	if t.job {
		q, err := m.s.Queue(t.ctx, t.class.Class, t.history, min(t.policy, Never), t)
		if err != nil {
			m.refused(t, err)
			return
		}
		t.queued = q
		if t.state == simAsking {
			m.jobs = append(m.jobs, t)
		}
		return
	}
	likely := t.lane
	if t.lane < 0 {
		likely = m.s.likelyLane()
	}
	if t.history.short() {
		if g, ok := m.s.tryFast(t.class.Class, likely); ok {
			g.history = t.history
			m.note(t, g)
			m.started(t, g)
			return
		}
	}
	g, w, err := m.s.request(t.ctx, t.class.Class, t.history, t.lane, min(t.policy, Never))
	switch {
	case err != nil:
		m.refused(t, err)
	case w == nil:
		m.note(t, g)
		m.started(t, g)
	default:
		t.w = w
		m.waiting = append(m.waiting, t)
	}
}

func (m *world) refused(t *simTask, err error) {
	if !errors.Is(err, ErrSaturated) && !errors.Is(err, ErrClosed) && !errors.Is(err, ErrLate) {
		m.tb.Fatalf("task %d: %v", t.id, err)
	}
	t.err = err
	m.gone(t)
}

func (m *world) gone(t *simTask) {
	t.state = simGone
	m.live--
	if t.then != nil {
		m.after(0, t.then)
	}
}

// note is the moment in which the scheduler grants.
func (m *world) note(t *simTask, g Grant) {
	t.noted = true
	key := ticket{g.gen, g.lane}
	if m.granted[key] {
		m.tb.Fatalf("grant %d of lane %d was given twice", g.gen, g.lane)
	}
	m.granted[key] = true
	m.allGrants++
	m.laneOf[g.Lane()].idleSince = -1
	if t.lane >= 0 && t.lane != g.Lane() {
		m.tb.Fatalf("task %d is bound to lane %d and got %d", t.id, t.lane, g.Lane())
	}
	if !t.resumes {
		if d := t.ctx.deadline; !d.IsZero() && t.since != m.now && m.now >= int64(d.Sub(m.s.epoch))+m.s.epochNow {
			m.tb.Fatalf("task %d was granted after its deadline", t.id)
		}
		m.inFlight++
		t.class.inFlight++
	}
	if m.onWaited != nil {
		m.onWaited(t)
	}
}

func (m *world) started(t *simTask, g Grant) {
	t.g, t.w, t.state = g, nil, simRunning
	it := m.laneOf[g.Lane()]
	switch {
	case t.th == nil:
		t.th = m.newThread(it, t.class)
	case t.th.it != it:
		m.tb.Fatalf("task %d came back on another GIL", t.id)
	}
	t.th.tag, t.th.class = g.Tag(), t.class
	it.arrived = max(it.arrived, g.Tag())
	m.after(m.short(), func() { m.next(t) })
}

// Start and Drop make it Work.
func (t *simTask) Start(g Grant) {
	m := t.m
	m.unlist(&m.jobs, t)
	m.begun(t, g)
	m.after(m.wakeGo(), func() {
		if n := len(m.idleThreads); n > 0 && m.idleThreads[n-1].it == m.laneOf[g.Lane()] {
			t.th = m.idleThreads[n-1]
			m.idleThreads = m.idleThreads[:n-1]
		}
		m.started(t, g)
	})
}

func (m *world) begun(t *simTask, g Grant) {
	if m.idleWorkers--; m.idleWorkers < 0 {
		m.tb.Fatalf("more queued work runs than the %d workers", m.workers)
	}
	t.state = simRunning
	m.note(t, g)
}

func (t *simTask) Drop(err error) {
	t.m.unlist(&t.m.jobs, t)
	t.err = err
	t.m.gone(t)
}

func (m *world) unlist(list *[]*simTask, t *simTask) {
	for i, o := range *list {
		if o == t {
			*list = append((*list)[:i], (*list)[i+1:]...)
			return
		}
	}
}

// cancel is the end of t's context.
func (m *world) cancel(t *simTask, err error) {
	if t.job {
		m.touched = true
		if t.state == simAsking && t.queued.Withdraw() {
			m.unlist(&m.jobs, t)
			t.err = err
			m.gone(t)
		}
		return
	}
	if t.w == nil || t.resumes || t.noted && m.rnd.IntN(2) == 0 {
		return
	}
	m.touched = true
	t.ctx.end(err)
	if t.noted { // the grant came too late
		m.inFlight--
		t.class.inFlight--
	}
	_, t.err = m.s.abandon(t.ctx, t.w)
	if !errors.Is(t.err, err) {
		m.tb.Fatalf("task %d: %v", t.id, t.err)
	}
	t.w = nil
	m.unlist(&m.waiting, t)
	m.gone(t)
}

// inGIL goes on once t is attached.
func (m *world) inGIL(t *simTask, then func()) {
	in := func() {
		if !t.first {
			t.first = true
			if m.onFirst != nil {
				m.onFirst(t)
			}
		}
		then()
	}
	if t.th.attached {
		in()
		return
	}
	m.attach(t.th, in)
}

func (m *world) outGIL(t *simTask, then func()) {
	if !t.th.attached {
		then()
		return
	}
	m.detach(t.th, then)
}

func (m *world) next(t *simTask) {
	if len(t.prog) == 0 || t.cut {
		m.ended(t)
		return
	}
	seg := t.prog[0]
	t.prog = t.prog[1:]
	goOn := func() { m.next(t) }
	switch seg.kind {
	case compute, stubborn:
		m.inGIL(t, func() {
			if t.cut {
				goOn()
				return
			}
			m.compute(t.th, seg.ns, seg.kind, goOn)
		})
	case block:
		m.inGIL(t, func() {
			if t.th.it.free {
				m.after(seg.ns, goOn)
				return
			}
			m.unlock(t.th, func() { m.after(seg.ns, func() { m.take(t.th, goOn) }) })
		})
	case gap:
		m.outGIL(t, func() { m.after(seg.ns, goOn) })
	case allow:
		m.outGIL(t, func() {
			if m.raw {
				m.after(seg.ns, goOn)
				return
			}
			m.touched = true
			t.x = m.s.Suspend(t.g, t.th.paid())
			t.state = simAway
			m.after(seg.ns, func() { m.resume(t) })
		})
	}
}

// paid is what the thread's task is charged.
func (th *simThread) paid() time.Duration {
	held := th.held
	th.held = 0
	return time.Duration(held)
}

func (m *world) resume(t *simTask) {
	m.touched = true
	t.lane, t.resumes, t.noted, t.since = t.x.Lane(), true, false, m.now
	g, w := m.s.askResume(t.x)
	if w == nil {
		m.note(t, g)
		m.started(t, g)
		return
	}
	t.w = w
	m.waiting = append(m.waiting, t)
}

func (m *world) ended(t *simTask) {
	if t.job {
		m.turn(t)
		return
	}
	m.outGIL(t, func() {
		m.after(m.short(), func() {
			if !m.raw {
				m.touched = true
				m.release(t)
			}
			m.gone(t)
		})
	})
}

func (m *world) release(t *simTask) {
	m.inFlight--
	t.class.inFlight--
	g := t.g
	if t.cut {
		g.Interrupted()
	}
	m.s.Release(g, t.th.paid())
}

// turn is gilt_turn and Host.turn: a worker goes on with the next queued work, in one attach as long as that
// is young.
func (m *world) turn(t *simTask) {
	th := t.th
	if th.attached && m.now-th.since < youngAttach && !th.it.free {
		th.booksEnd(m.now)
		paid := th.paid()
		th.booksBegin(m.now)
		if !m.releaseNext(t, paid) {
			m.outGIL(t, func() { m.idleThreads = append(m.idleThreads, th) })
		}
		return
	}
	m.outGIL(t, func() {
		m.after(m.short(), func() {
			if !m.releaseNext(t, th.paid()) {
				m.idleThreads = append(m.idleThreads, th)
			}
		})
	})
}

func (m *world) releaseNext(t *simTask, paid time.Duration) bool {
	m.touched = true
	m.inFlight--
	t.class.inFlight--
	m.idleWorkers++
	work, g, ok := m.s.ReleaseNext(t.g, paid)
	if !ok {
		m.gone(t)
		return false
	}
	n := work.(*simTask)
	m.unlist(&m.jobs, n)
	m.begun(n, g)
	n.th = t.th
	m.gone(t)
	if n.th.attached && n.class != t.class {
		n.th.class.held += m.now - n.th.it.takenAt
		n.th.it.takenAt = m.now
	}
	m.started(n, g)
	return true
}

// pump looks at what the last call set going, and compares the books.
func (m *world) pump() {
	queued, resuming := 0, 0
	for _, t := range m.waiting {
		switch t.w.state.Load() {
		case stateWaiting:
			if t.resumes {
				resuming++
			} else {
				queued++
			}
		case stateGranted:
			if !t.noted {
				m.note(t, t.w.grant)
			}
		}
		if len(t.w.ready) > 0 && !t.waking {
			t.waking = true
			m.after(m.wakeGo(), func() { m.woken(t) })
		}
	}
	if !m.raw {
		m.check(queued+len(m.jobs), resuming)
	}
}

func (m *world) woken(t *simTask) {
	t.waking = false
	if t.w == nil || len(t.w.ready) == 0 {
		return
	}
	m.touched = true
	if t.w.state.Load() == stateWaiting {
		<-t.w.ready
		m.s.arrive(t.w)
		return
	}
	var ctx context.Context = t.ctx
	if t.resumes {
		ctx = context.Background()
	}
	m.unlist(&m.waiting, t)
	g, err := m.s.wait(ctx, t.w)
	t.w = nil
	if err != nil {
		t.err = err
		m.gone(t)
		return
	}
	m.started(t, g)
}

// check compares the scheduler's books with the simulation's, and both with the limits.
func (m *world) check(queued, resuming int) {
	m.tb.Helper()
	s := m.s
	if n := s.absences() + s.primaries(); n != m.inFlight || n > m.cfg.MaxInFlight {
		m.tb.Fatalf("in flight: %d, by the scheduler %d, cap %d", m.inFlight, n, m.cfg.MaxInFlight)
	}
	if queued != s.queued || resuming != s.resumes || s.idle != m.idleWorkers {
		m.tb.Fatalf("queued %d, by the scheduler %d; resuming %d, %d; workers idle %d, %d", queued, s.queued, resuming, s.resumes, m.idleWorkers, s.idle)
	}
	if m.fast {
		return
	}
	for _, c := range m.classes {
		n := 0
		for _, o := range m.classes {
			if o.below(c.Class) {
				n += o.inFlight
			}
		}
		if c.maxInFlight > 0 && (n > c.maxInFlight || n != c.inUse) {
			m.tb.Fatalf("class %q: in flight %d, by the scheduler %d, limit %d", c.name, n, c.inUse, c.maxInFlight)
		}
	}
}

// watchIdle says that no GIL is idle for longer than idleBound while somebody waits who could run, unless
// somebody is granted.
func (m *world) watchIdle() {
	for _, it := range m.its {
		if it.holder != nil || it.free {
			it.idleSince = -1
			continue
		}
		if !m.someoneFor(it) {
			it.idleSince = -1
			continue
		}
		if it.idleSince < 0 {
			it.idleSince = m.now
		}
		m.longest = max(m.longest, m.now-it.idleSince)
		if m.now-it.idleSince > m.idleBound {
			m.tb.Fatalf("at %v: a GIL was idle for %v while somebody could have it", time.Duration(m.now), time.Duration(m.now-it.idleSince))
		}
	}
}

func (m *world) someoneFor(it *interp) bool {
	if len(it.waiters) > 0 {
		return true
	}
	full := m.inFlight >= m.cfg.MaxInFlight
	for _, t := range m.waiting {
		if t.w.state.Load() != stateWaiting || t.lane >= 0 && m.laneOf[t.lane] != it {
			continue
		}
		if t.resumes || !full && !t.class.barred() && t.ctx.err == nil {
			return true
		}
	}
	for _, t := range m.jobs {
		if !full && m.idleWorkers > 0 && !t.class.barred() {
			return true
		}
	}
	return false
}
