package scheduler

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

// ledger is a plain model beside a scheduler: who asked, who was granted, who gave back. It does not know who is
// next, only what must hold after every step, whatever the pacer says it saw. Goroutines that would block are entries
// whose waiters it looks after, as rig's tasks, and each lane has a GIL, so that some of the looks are true.
type ledger struct {
	*ops
	tb      testing.TB
	s       *Scheduler
	cfg     Config
	now     int64
	classes []*Class
	past    []*History // the first is none
	entries []*entry   // asked and not ended
	grants  map[ticket]bool
	sums    map[*Class]*sums
	gils    []fakeGIL
	armed   []bool
	workers int
	idle    int
	closed  bool
	steps   int

	// Of the running step: what may make a primary lapse.
	ticked int // the lane of its Tick, -1 for none
	beside map[ticket]bool
}

// sums is what Stats must say of a class.
type sums struct {
	granted, rejected, cancelled, shed, late uint64
	held                                     int64
}

// entry is one caller or queued work, from its asking to its end.
type entry struct {
	m       *ledger
	class   *Class
	lane    int
	nested  bool // no cap holds it up
	job     bool
	history *History
	state   taskState
	told    bool // it knows of its grant
	long    bool // waits, or waited, in the long line
	shed    bool // and does not know it yet
	since   int64
	ctx     *fakeContext
	w       *waiter
	queued  Queued
	g       Grant
	x       Suspended
	pending bool // waits for the GIL
}

// fakeGIL is a lane's GIL and what a look tells of it.
type fakeGIL struct {
	holder          *entry
	newest, arrived uint64
	forced          []uint64
	moved           bool
	looked, since   int64
}

func newLedger(tb testing.TB, o *ops) *ledger {
	m := &ledger{ops: o, tb: tb, now: 1000, past: []*History{nil, {}, {}, {}}, grants: map[ticket]bool{}, sums: map[*Class]*sums{}, ticked: -1, beside: map[ticket]bool{}}
	cfg := Config{Lanes: pickOne(o, 1, 1, 2, 3), MaxInFlight: pickOne(o, 256, 256, 8, 4, 2, 1), MaxLong: pickOne(o, 1, 1, 2), MaxQueued: pickOne(o, 30, 30, 4)}
	cfg.Now = func() int64 { return m.now }
	m.armed, m.gils = make([]bool, cfg.Lanes), make([]fakeGIL, cfg.Lanes)
	if o.next()%4 > 0 {
		cfg.Arm = func(lane int, _ Pace) { m.armed[lane] = true }
		if o.next()%4 > 0 {
			cfg.Elsewhere = m.elsewhere
		}
	}
	m.s = newScheduler(tb, cfg)
	m.cfg = m.s.cfg
	m.classes = []*Class{m.s.Default()}
	for i := range o.next() % 4 {
		c, err := m.s.Class(string(rune('a'+i)), ClassConfig{Parent: pickOne(o, append([]*Class{nil, nil}, m.classes...)...), Weight: pickOne(o, 1.0, 1, 2, 10), MaxInFlight: pickOne(o, 0, 0, 0, 1, 2), MaxQueued: pickOne(o, 0, 0, 3), TargetWait: pickOne(o, 0, 0, time.Millisecond)})
		if err != nil {
			tb.Fatal(err)
		}
		c.hurry()
		m.classes = append(m.classes, c)
	}
	for _, c := range m.classes {
		m.sums[c] = &sums{}
	}
	return m
}

func pickOne[T any](o *ops, of ...T) T { return of[o.next()%len(of)] }

// ---- the GIL

func (m *ledger) elsewhere(lane int, tag uint64) bool {
	g := &m.gils[lane]
	if g.holder != nil || m.pending(lane) > 0 || g.newest < tag {
		return false
	}
	m.beside[ticket{tag, uint32(lane)}] = true
	return true
}

func (m *ledger) pending(lane int) (n int) {
	for _, e := range m.entries {
		if e.pending && e.g.Lane() == lane {
			n++
		}
	}
	return n
}

// attach has e ask for the GIL, and get it; its holder was forced off if it had asked before.
func (m *ledger) attach(e *entry) {
	g := &m.gils[e.g.Lane()]
	g.arrived = max(g.arrived, e.g.Tag())
	if g.holder == e {
		return
	}
	if g.holder != nil && !e.pending {
		e.pending = true
		return
	}
	if g.holder != nil {
		g.forced = append(g.forced, g.holder.g.Tag())
	}
	e.pending = false
	g.moved = g.moved || e.g.Tag() > g.newest
	g.holder, g.since, g.newest = e, m.now, max(g.newest, e.g.Tag())
}

func (m *ledger) detach(e *entry) {
	e.pending = false
	if g := &m.gils[e.g.Lane()]; g.holder == e {
		g.holder = nil
	}
}

// look is a true one.
func (m *ledger) look(lane int) Look {
	g := &m.gils[lane]
	k := Look{Known: true, Taken: g.holder != nil, Pending: m.pending(lane), Moved: g.moved, Newest: g.newest, Arrived: g.arrived}
	copy(k.Forced[:], g.forced)
	if h := g.holder; h != nil {
		k.Holder, k.Computes = h.g.Tag(), m.now-g.since >= grace
		if k.Computes {
			k.User, k.Used = k.Holder, time.Duration(m.now-max(g.since, g.looked))
		}
	}
	g.forced, g.moved, g.looked = nil, false, m.now
	return k
}

// anyLook says anything: the pacer of a busy machine, or a bad one.
func (m *ledger) anyLook(lane int) Look {
	tag := func() uint64 {
		n := m.next()
		if n%3 == 0 || len(m.entries) == 0 {
			return 0
		}
		return m.entries[n%len(m.entries)].g.Tag() + uint64(n/64%2)
	}
	b := m.next()
	return Look{Known: b&1 == 0, Taken: b&2 == 0, Computes: b&4 == 0, Moved: b&8 == 0, Pending: pickOne(m.ops, 0, 0, 1, 20), Holder: tag(), Newest: tag(), Arrived: tag(),
		Forced: [4]uint64{tag(), tag()}, User: tag(), Used: time.Duration(pickOne(m.ops, 0, 100*us, 2*ms))}
}

// ---- what is done to the scheduler: each notes first and then calls, for a call may start queued work

func (m *ledger) ask(e *entry) {
	e.m, e.ctx, e.since = m, &fakeContext{Context: context.Background(), done: make(chan struct{})}, m.now
	if n := m.next(); n%4 == 0 {
		e.ctx.deadline = m.s.epoch.Add(time.Duration(m.now + int64(n)*10*us + 1 - m.s.epochNow))
	}
	room := m.waiters(nil) < m.cfg.MaxQueued
	for c := e.class; c != nil; c = c.parent {
		room = room && (c.maxQueued == 0 || m.waiters(c) < c.maxQueued)
	}
	m.entries = append(m.entries, e)
	var err error
	if e.job {
		e.queued, err = m.s.Queue(e.ctx, e.class, e.history, OnDeadline, e)
	} else {
		err = m.call(e)
	}
	switch {
	case errors.Is(err, ErrClosed) && m.closed:
	case errors.Is(err, ErrSaturated) && !room:
		m.sums[e.class].rejected++
	case errors.Is(err, ErrLate):
		m.noteLate(e)
	case err != nil || m.closed || !room && e.state == queued:
		m.tb.Fatalf("asked with room %v, closed %v: state %d, %v", room, m.closed, e.state, err)
	}
	if err != nil {
		m.end(e)
	}
}

// call is Acquire in its variants up to where it would block.
func (m *ledger) call(e *entry) error {
	var g Grant
	ok := false
	switch e.lane {
	case anyLane:
		g, ok = m.s.TryAcquire(e.ctx, e.class, e.history)
	case nestedLane:
		g, ok = m.s.tryFast(e.class, m.s.likelyLane())
	default:
		g, ok = m.s.tryFast(e.class, e.lane)
	}
	var err error
	if !ok {
		g, e.w, err = m.s.ask(e.ctx, e.class, e.history, e.lane)
	}
	if err == nil && e.w == nil {
		m.granted(e, g)
		e.told = true
	}
	return err
}

func (m *ledger) granted(e *entry, g Grant) {
	key := ticket{g.gen, g.lane}
	if m.grants[key] || e.state != queued && e.state != resuming {
		m.tb.Fatalf("grant %d of lane %d was given twice, or to somebody who does not wait: state %d", g.gen, g.lane, e.state)
	}
	if e.lane >= 0 && g.Lane() != e.lane || g.class != e.class || g.history != e.history {
		m.tb.Fatal("somebody else's grant")
	}
	m.grants[key] = true
	if e.state == queued {
		m.sums[e.class].granted++
		if d := e.ctx.deadline; e.w != nil && (e.ctx.err != nil || !d.IsZero() && m.now >= int64(d.Sub(m.s.epoch))+m.s.epochNow) {
			m.tb.Fatal("granted though its context had ended")
		}
	}
	if m.gils[g.lane].holder == e { // it kept it in Suspend
		m.gils[g.lane].holder = nil
	}
	e.state, e.g = primary, g
}

// Start and Drop make it Work.
func (e *entry) Start(g Grant) {
	m := e.m
	if m.idle--; m.idle < 0 {
		m.tb.Fatal("more queued work than workers")
	}
	m.granted(e, g)
	e.told = true
}

func (e *entry) Drop(err error) { e.m.gaveUp(e, err) }

// gaveUp is the end of a wait that came to nothing.
func (m *ledger) gaveUp(e *entry, err error) {
	var wait *WaitError
	var full *SaturatedError
	switch d := e.ctx.deadline; {
	case errors.As(err, &full) && full.Shed && (e.shed || e.job):
		if e.job {
			m.noteShed(e)
		}
		if full.Waited <= time.Duration(e.class.target) || full.Waited > time.Duration(m.now-e.since) || full.RetryAfter < time.Duration(e.class.interval) {
			m.tb.Fatalf("shed with %+v", full)
		}
	case errors.Is(err, ErrLate):
		if !e.shed {
			m.noteLate(e)
		}
	case errors.Is(err, ErrClosed) && m.closed && e.state == queued:
	case errors.As(err, &wait) && (e.ctx.err != nil || !d.IsZero() && m.now >= int64(d.Sub(m.s.epoch))+m.s.epochNow):
		m.sums[e.class].cancelled++
	default:
		m.tb.Fatalf("given up in state %d with %v", e.state, err)
	}
	m.end(e)
}

// noteShed says that it could be.
func (m *ledger) noteShed(e *entry) {
	m.sums[e.class].shed++
	if e.shed || e.state != queued || e.lane != anyLane || e.class.target == 0 || m.now-e.since <= e.class.target {
		m.tb.Fatalf("shed after %d ns, in state %d, lane %d, target %d", m.now-e.since, e.state, e.lane, e.class.target)
	}
	e.shed = true
}

// noteLate says that it could be refused.
func (m *ledger) noteLate(e *entry) {
	m.sums[e.class].late++
	if e.state != queued || e.nested || e.lane >= 0 || e.ctx.deadline.IsZero() || e.history.takes() == 0 {
		m.tb.Fatalf("refused early in state %d, nested %v, lane %d, deadline %v, of which %v is known", e.state, e.nested, e.lane, e.ctx.deadline, e.history)
	}
	e.shed = true
}

func (m *ledger) end(e *entry) {
	m.detach(e)
	e.state = gone
	for i, o := range m.entries {
		if o == e {
			m.entries = append(m.entries[:i:i], m.entries[i+1:]...)
			return
		}
	}
	m.tb.Fatal("ended twice")
}

func (m *ledger) release(e *entry, held int64) {
	m.sums[e.class].held += held
	m.end(e)
	if !e.job {
		m.s.Release(e.g, time.Duration(held))
		return
	}
	if m.next()%3 == 0 {
		m.s.Release(e.g, time.Duration(held))
		m.idle++
		m.s.Idle(1)
		return
	}
	m.idle++
	if work, g, ok := m.s.ReleaseNext(e.g, time.Duration(held)); ok {
		work.(*entry).Start(g)
	}
}

func (m *ledger) suspend(e *entry, held int64) {
	m.sums[e.class].held += held
	m.detach(e)
	e.state, e.told = suspended, false
	e.x = m.s.Suspend(e.g, time.Duration(held))
}

func (m *ledger) resume(e *entry) {
	e.state, e.lane, e.w, e.long = resuming, e.x.Lane(), nil, false
	g, w := m.s.askResume(e.x)
	if e.w = w; w == nil {
		m.granted(e, g)
		e.told = true
	}
}

// cancel ends e's context, and lets it notice or not.
func (m *ledger) cancel(e *entry) {
	e.ctx.end(context.Canceled)
	switch {
	case m.next()%3 == 0: // whoever is to grant it notices
	case e.job:
		if e.state == queued && e.queued.Withdraw() {
			m.gaveUp(e, &WaitError{})
		}
	case e.state != queued || !e.asleep() && !e.shed:
	default:
		_, err := m.s.abandon(e.ctx, e.w)
		m.gaveUp(e, err)
	}
}

// run lets a caller that was woken look at what happened.
func (m *ledger) run(e *entry) {
	if e.asleep() {
		<-e.w.ready
		m.s.arrive(e.w)
		return
	}
	ctx := context.Context(e.ctx)
	if e.x.class != nil { // it resumes
		ctx = context.Background()
	}
	_, err := m.s.wait(ctx, e.w)
	if e.w, e.told = nil, true; err != nil {
		m.gaveUp(e, err)
	}
}

// asleep reports whether it waits still.
func (e *entry) asleep() bool { return e.w != nil && e.w.state.Load() == stateWaiting }

func (m *ledger) tick(lane int, k Look) {
	m.ticked = lane
	m.armed[lane] = false
	m.armed[lane] = m.s.Tick(lane, k).Pace != Rest || m.armed[lane]
}

// some is an entry that is as wanted, nil if there is none.
func (m *ledger) some(want func(*entry) bool) *entry {
	start := m.next()
	for i := range m.entries {
		if e := m.entries[(start+i)%len(m.entries)]; want(e) {
			return e
		}
	}
	return nil
}

func (e *entry) runs() bool  { return e.told && (e.state == primary || e.state == lapsed) }
func (e *entry) woken() bool { return e.w != nil && len(e.w.ready) > 0 }

func (m *ledger) step() {
	n := int64(m.next())
	m.now += n * n * 10
	held := pickOne(m.ops, 0, 100, 3*us, 40*us, 250*us, 8*ms)
	on := func(do func(*entry), want func(*entry) bool) {
		if e := m.some(want); e != nil {
			do(e)
		}
	}
	switch op := m.next() % 20; op {
	case 0, 1, 2:
		e := &entry{class: pickOne(m.ops, m.classes...), lane: anyLane, history: pickOne(m.ops, m.past...)}
		if n := m.next(); n%6 == 0 {
			e.lane, e.history = pickOne(m.ops, n%m.cfg.Lanes, n%m.cfg.Lanes, nestedLane), nil
			e.nested = e.lane == nestedLane
		}
		m.ask(e)
	case 3, 4:
		m.ask(&entry{class: pickOne(m.ops, m.classes...), lane: anyLane, history: pickOne(m.ops, m.past...), job: true})
	case 5, 6, 7:
		on(func(e *entry) { m.release(e, held) }, (*entry).runs)
	case 8:
		on(func(e *entry) { m.suspend(e, held) }, (*entry).runs)
	case 9:
		on(m.resume, func(e *entry) bool { return e.state == suspended })
	case 10:
		on(m.cancel, func(e *entry) bool { return e.state == queued })
	case 11:
		m.hire()
	case 12, 13:
		on(m.attach, (*entry).runs)
	case 14:
		on(m.detach, (*entry).runs)
	case 15, 16, 17:
		if lane := m.next() % m.cfg.Lanes; m.armed[lane] {
			m.tick(lane, pickOne(m.ops, m.look, m.look, m.anyLook, func(int) Look { return Look{} })(lane))
		}
	case 18:
		if m.next()%64 == 7 {
			m.closed = true
			if m.s.Close(); m.waiters(nil) > 0 {
				m.tb.Fatal("somebody waits for new work after Close")
			}
		}
	default:
		on(m.run, (*entry).woken)
	}
	m.check()
}

func (m *ledger) hire() {
	if m.workers < 4 {
		m.workers++
		m.idle++
		m.s.Idle(1)
	}
}

// ---- what must hold

// waiters counts those of c and the classes below it; nil: all.
func (m *ledger) waiters(c *Class) (n int) {
	for _, e := range m.entries {
		if e.state == queued && (e.job || e.asleep()) && (c == nil || e.class.below(c)) {
			n++
		}
	}
	return n
}

// inFlight counts the grants out of c and the classes below it, and those of them that no cap held up; nil: all.
func (m *ledger) inFlight(c *Class) (n, nested int) {
	for _, e := range m.entries {
		if e.state == queued || c != nil && !e.class.below(c) {
			continue
		}
		if n++; e.nested {
			nested++
		}
	}
	return n, nested
}

func (m *ledger) check() {
	m.tb.Helper()
	for _, e := range m.entries {
		if e.w != nil && (e.state == queued || e.state == resuming) {
			e.long = e.w.isLong()
			switch state := e.w.state.Load(); {
			case state == stateGranted:
				m.granted(e, e.w.grant)
			case state == stateRefused && !e.shed && errors.Is(e.w.refused, ErrLate):
				m.noteLate(e)
			case state == stateRefused && !e.shed:
				m.noteShed(e)
			}
		}
	}
	m.checkPlaces()
	m.checkLimits()
	m.checkRunners()
	for i := range m.s.lanes {
		m.checkLane(i)
	}
	if m.steps++; m.steps%8 == 0 {
		m.checkStats()
	}
	m.ticked = -1
	clear(m.beside)
}

// checkPlaces says that each grant is where it must be, that a lane has no second primary, and that a primary loses
// its lane to a Tick, or because it was elsewhere, or is known to be long.
func (m *ledger) checkPlaces() {
	m.tb.Helper()
	away, primaries := 0, make([]int, m.cfg.Lanes)
	for _, e := range m.entries {
		if e.state == queued {
			continue
		}
		l, t := &m.s.lanes[e.g.lane], ticket{e.g.gen, e.g.lane}
		if w := l.load(); w.held() && l.proxy == nil && w.gen() == e.g.gen && (e.state == primary || e.state == lapsed) {
			if primaries[e.g.lane]++; e.state == lapsed {
				m.tb.Fatal("who lapsed is primary again")
			}
			continue
		}
		away++
		a := m.s.absenceOf(t)
		if a == nil || a.class != e.class || a.suspended != (e.state == suspended || e.state == resuming) || a.resuming != (e.state == resuming) {
			m.tb.Fatalf("state %d: away %+v", e.state, a)
		}
		if e.state == primary {
			if m.ticked != int(e.g.lane) && !m.beside[t] && !e.long {
				m.tb.Fatalf("grant %d of lane %d lapsed for no reason", e.g.gen, e.g.lane)
			}
			e.state = lapsed
		}
	}
	if away != m.s.absences() {
		m.tb.Fatalf("%d away, by the scheduler %d", away, m.s.absences())
	}
	for i, n := range primaries {
		if l := &m.s.lanes[i]; n > 1 || l.load().held() && l.proxy == nil != (n == 1) {
			m.tb.Fatalf("lane %d: %d primaries, held %v, proxy %v", i, n, l.load().held(), l.proxy)
		}
	}
}

func (m *ledger) checkLimits() {
	m.tb.Helper()
	n, nested := m.inFlight(nil)
	if n > m.cfg.MaxInFlight+nested || m.idle != m.s.idle {
		m.tb.Fatalf("%d in flight, %d of them nested, cap %d; workers idle %d, %d", n, nested, m.cfg.MaxInFlight, m.idle, m.s.idle)
	}
	if q := m.waiters(nil); q > m.cfg.MaxQueued || q != m.s.queued {
		m.tb.Fatalf("queued %d, by the scheduler %d, at most %d", q, m.s.queued, m.cfg.MaxQueued)
	}
	for _, c := range m.classes {
		n, nested := m.inFlight(c)
		if c.limited() && (n != c.inUse || n > c.maxInFlight+nested) || c.maxQueued > 0 && m.waiters(c) > c.maxQueued {
			m.tb.Fatalf("class %q: %d in flight, %d of them nested, by the scheduler %d, limit %d; %d queued", c.name, n, nested, c.inUse, c.maxInFlight, m.waiters(c))
		}
	}
}

// checkRunners says that the runners, which several places count, are counted alike.
func (m *ledger) checkRunners() {
	m.tb.Helper()
	byClass, byPast := map[*Class]int{}, map[*History]int32{}
	for i := range m.s.lanes {
		l := &m.s.lanes[i]
		for _, r := range l.runners {
			if m.s.away[r.ticket] != r || !r.computing || r.suspended {
				m.tb.Fatalf("lane %d: %+v runs", i, r)
			}
			byClass[r.class]++
			byPast[r.history]++
		}
		if guarded := l.load()&flagGuard != 0; guarded != (len(l.runners) > 0) || l.proxy != nil && !l.proxy.computing {
			m.tb.Fatalf("lane %d: guarded %v, %d runners, proxy %v", i, guarded, len(l.runners), l.proxy)
		}
	}
	for _, c := range m.classes {
		if byClass[c] != c.runners {
			m.tb.Fatalf("class %q: %d runners, it says %d", c.name, byClass[c], c.runners)
		}
	}
	for _, h := range m.past[1:] {
		if n := h.computing.Load(); n != byPast[h] {
			m.tb.Fatalf("a history says that %d compute, there are %d", n, byPast[h])
		}
	}
}

// checkLane says that no lane is forgotten: it shows that somebody waits, and then the pacer looks; without a pacer
// a lane is not free while somebody could have it, unless he is on his way.
func (m *ledger) checkLane(lane int) {
	m.tb.Helper()
	l, shows, could := &m.s.lanes[lane], false, false
	n, _ := m.inFlight(nil)
	for _, e := range m.entries {
		if e.state != resuming && (e.state != queued || !e.job && !e.asleep() || e.job && m.idle == 0 || e.lane != nestedLane && e.class.barred()) || e.lane >= 0 && e.lane != lane {
			continue
		}
		shows = true
		could = could || e.state == resuming || e.lane == nestedLane || n < m.cfg.MaxInFlight && e.ctx.err == nil && e.ctx.deadline.IsZero()
	}
	if l.waiting != shows || l.load()&flagWaiting != 0 != shows {
		m.tb.Fatalf("lane %d: somebody waits %v, it shows %v", lane, shows, l.waiting)
	}
	if shows && m.cfg.Arm != nil && !m.armed[lane] {
		m.tb.Fatalf("lane %d: somebody waits and the pacer sleeps", lane)
	}
	if could && m.cfg.Arm == nil && !l.load().held() && l.candidate == nil {
		m.tb.Fatalf("lane %d is free, somebody waits, nobody is on the way", lane)
	}
}

func (m *ledger) checkStats() {
	m.tb.Helper()
	st := m.s.Stats()
	for _, c := range m.classes {
		want, states, n, waits := m.sums[c], map[taskState]int{}, 0, 0
		for _, e := range m.entries {
			if e.class == c {
				if states[e.state]++; e.state != queued {
					n++
				} else if e.job || e.asleep() {
					waits++
				}
			}
		}
		got := st.Class(c.name)
		if got.Granted != want.granted || got.Rejected != want.rejected || got.Cancelled != want.cancelled || got.Shed != want.shed || got.Late != want.late || got.Held != time.Duration(want.held) {
			m.tb.Fatalf("class %q: %+v, want %+v", c.name, got, want)
		}
		if got.InFlight != n || got.Lapsed != states[lapsed] || got.Suspended != states[suspended]+states[resuming] || got.Queued != waits || got.Resuming != states[resuming] {
			m.tb.Fatalf("class %q: in flight %d, %+v, want %d, %v and %d queued", c.name, n, got, n, states, waits)
		}
	}
}

// finish gives everything back, as long as ticks go on, and says that nobody was lost and nothing is left.
func (m *ledger) finish() {
	m.tb.Helper()
	m.hire()
	m.check()
	for vain := 0; len(m.entries) > 0; vain++ {
		if vain > 50 { // 5 ms in which nobody was there
			m.tb.Fatalf("%d wait for ever", len(m.entries))
		}
		if e := m.some(func(e *entry) bool { return e.runs() || e.state == suspended || e.woken() }); e != nil {
			vain = 0
			switch {
			case e.woken():
				m.run(e)
			case e.state == suspended:
				m.resume(e)
			default:
				m.release(e, 1000)
			}
			m.check()
			continue
		}
		m.now += 100 * us
		for lane, armed := range m.armed {
			if armed {
				m.tick(lane, m.look(lane))
				m.check()
			}
		}
	}
	m.check()
	m.checkStats()
	for _, h := range []*heap[*line]{&m.s.general, &m.s.nested, &m.s.long, &m.s.jobs} {
		if h.len() != 0 {
			m.tb.Fatal("after the end: a line is left")
		}
	}
	for i := range m.s.lanes {
		if l := &m.s.lanes[i]; l.away.Load() != 0 || l.pinned.len()+l.resumes.len()+len(l.runners) != 0 || l.load().held() || l.candidate != nil {
			m.tb.Fatalf("after the end: lane %d is not empty", i)
		}
	}
	if err := m.s.Drain(context.Background()); err != nil {
		m.tb.Fatal(err)
	}
}

func runLedger(tb testing.TB, data []byte) {
	m := newLedger(tb, &ops{data: data})
	for m.at < len(m.data) {
		m.step()
	}
	m.finish()
}

func randomBytes(seed uint64, n int) []byte {
	rnd := rand.New(rand.NewPCG(seed, 21))
	data := make([]byte, n/4+rnd.IntN(n))
	for i := range data {
		data[i] = byte(rnd.Uint32())
	}
	return data
}

// TestTheBooksAgreeAfterEveryStep runs random sequences of everything that can be asked of a scheduler, with looks
// that are true, blind or wrong.
func TestTheBooksAgreeAfterEveryStep(t *testing.T) {
	n := 3000
	if testing.Short() {
		n /= 10
	}
	for seed := range n {
		if !t.Run("", func(t *testing.T) {
			defer func() {
				if t.Failed() {
					t.Logf("seed %d", seed)
				}
			}()
			runLedger(t, randomBytes(uint64(seed), 1200))
		}) {
			break
		}
	}
}

// FuzzBooks wants -fuzzminimizetime 10x: else it spends its time on making what it found shorter.
func FuzzBooks(f *testing.F) {
	f.Add([]byte{})
	for seed := range uint64(20) {
		f.Add(randomBytes(seed, 1200))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 8192 {
			t.Skip("long enough")
		}
		runLedger(t, data)
	})
}
