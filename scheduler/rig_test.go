package scheduler

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"
)

// rig drives a scheduler from one goroutine, with a clock of its own: goroutines that would block are
// tasks whose waiters the rig looks after. It keeps books of its own and compares after every step. The
// random sequences, the fuzz target and the simulation all stand on it.
type rig struct {
	tb      testing.TB
	s       *Scheduler
	cfg     Config
	now     int64
	classes []*Class
	tasks   []*task // not yet done, in order of arrival
	armed   []bool  // as the pacer sees it
	seq     int
	// sparse: compare only after each so many steps, without the order of grants. For long runs.
	sparse, steps int

	script          *script     // of the task that is asked for next
	onGrant, onGone func(*task) // tell the simulation
	// prepaid is what the running step charged after it picked: a lapse. See checkClass.
	prepaid map[*Class]float64
	lapsing int // and where
}

type taskState int

const (
	queued taskState = iota
	primary
	lapsed
	suspended
	resuming
	gone
)

type task struct {
	id    int
	class *Class
	lane  int // anyLane, or bound
	state taskState
	since int64
	ctx   *fakeContext
	w     *waiter
	g     Grant
	x     Suspended
	err   error

	nested bool
	heir   bool    // somebody else has taken its lane
	script *script // for the simulation
}

// fakeContext is a context on the rig's clock.
type fakeContext struct {
	context.Context
	done     chan struct{}
	err      error
	deadline time.Time
}

func (c *fakeContext) Done() <-chan struct{} { return c.done }
func (c *fakeContext) Err() error            { return c.err }
func (c *fakeContext) Deadline() (time.Time, bool) {
	return c.deadline, !c.deadline.IsZero()
}

func (c *fakeContext) end(err error) {
	if c.err == nil {
		c.err = err
		close(c.done)
	}
}

func newRig(tb testing.TB, cfg Config, withPacer bool) *rig {
	tb.Helper()
	r := &rig{tb: tb, now: 1000, prepaid: map[*Class]float64{}}
	cfg.Now = func() int64 { return r.now }
	if withPacer {
		cfg.Arm = func(lane int, _ Pace) { r.armed[lane] = true }
	}
	r.s = newScheduler(tb, cfg)
	r.cfg = r.s.cfg
	r.armed = make([]bool, r.cfg.Lanes)
	r.classes = []*Class{r.s.Default()}
	return r
}

func (r *rig) class(name string, cfg ClassConfig) *Class {
	r.tb.Helper()
	c, err := r.s.Class(name, cfg)
	if err != nil {
		r.tb.Fatal(err)
	}
	r.classes = append(r.classes, c)
	return c
}

// ask is Acquire or AcquireLane up to where it would block. deadline 0: none.
func (r *rig) ask(c *Class, lane int, deadline int64) *task {
	r.tb.Helper()
	r.seq++
	t := &task{id: r.seq, class: c, lane: lane, since: r.now, script: r.script}
	t.ctx = &fakeContext{Context: context.Background(), done: make(chan struct{})}
	if deadline != 0 {
		t.ctx.deadline = r.s.epoch.Add(time.Duration(deadline - r.s.epochNow))
	}
	likely := lane
	if lane == anyLane {
		likely = r.s.likelyLane()
	}
	g, ok := r.s.tryFast(c, likely)
	if !ok {
		g, t.w, t.err = r.s.ask(t.ctx, c, nil, lane)
	}
	switch {
	case t.err != nil:
		t.state = gone
		if !errors.Is(t.err, ErrSaturated) && !errors.Is(t.err, ErrClosed) {
			r.tb.Fatalf("task %d: %v", t.id, t.err)
		}
		r.remove(t)
		return t
	case t.w == nil:
		r.tasks = append(r.tasks, t)
		r.granted(t, g)
	default:
		r.tasks = append(r.tasks, t)
	}
	r.check()
	return t
}

func (r *rig) granted(t *task, g Grant) {
	if t.lane != anyLane && g.Lane() != t.lane {
		r.tb.Fatalf("task %d is bound to lane %d and got %d", t.id, t.lane, g.Lane())
	}
	t.state, t.g, t.w = primary, g, nil
	if t.heir {
		t.state = lapsed // before it ran
	}
	if r.onGrant != nil {
		r.onGrant(t)
	}
}

func (r *rig) release(t *task, held int64) {
	r.s.Release(t.g, time.Duration(held))
	r.remove(t)
	r.check()
}

func (r *rig) suspend(t *task, held int64) {
	t.x = r.s.Suspend(t.g, time.Duration(held))
	t.state = suspended
	r.check()
}

func (r *rig) resume(t *task) {
	g, w := r.s.askResume(t.x)
	t.lane, t.since, t.heir = t.x.Lane(), r.now, false
	if w == nil {
		r.granted(t, g)
	} else {
		t.state, t.w = resuming, w
	}
	r.check()
}

// lapse is a tick of the pacer.
func (r *rig) lapse(lane int) bool {
	clear(r.prepaid)
	r.lapsing = lane
	old := r.primary(lane)
	r.armed[lane] = r.s.Lapse(lane)
	if old != nil && r.s.lanes[lane].load().gen() != old.g.gen {
		old.heir = true
		if old.state == primary {
			old.state = lapsed
		}
		r.prepaid[old.class] = float64(r.cfg.Slice/2) / old.class.weight
	}
	r.check()
	clear(r.prepaid)
	return r.armed[lane]
}

func (r *rig) primary(lane int) *task {
	for _, t := range r.tasks {
		if t.holds() && t.g.Lane() == lane {
			return t
		}
	}
	return nil
}

// cancel ends the context of a waiting task and lets it notice.
func (r *rig) cancel(t *task, err error) {
	t.ctx.end(err)
	shed := t.w.state.Load() == stateRefused
	_, got := r.s.abandon(t.ctx, t.w)
	if shed != errors.Is(got, ErrSaturated) || !shed && !errors.Is(got, err) {
		r.tb.Fatalf("task %d: %v does not wrap %v", t.id, got, err)
	}
	t.err = got
	r.remove(t)
	r.check()
}

// awake is the waiting tasks that were woken.
func (r *rig) awake() (ts []*task) {
	for _, t := range r.tasks {
		if t.w != nil && len(t.w.ready) > 0 {
			ts = append(ts, t)
		}
	}
	return ts
}

// run lets a woken task look at what happened.
func (r *rig) run(t *task) {
	if t.w.state.Load() == stateWaiting {
		<-t.w.ready
		r.s.arrive(t.w)
		r.check()
		return
	}
	var ctx context.Context = t.ctx
	if t.state == resuming {
		ctx = context.Background()
	}
	g, err := r.s.wait(ctx, t.w)
	if err != nil {
		t.err = err
		r.remove(t)
	} else {
		r.granted(t, g)
	}
	r.check()
}

func (r *rig) remove(t *task) {
	t.state, t.w = gone, nil
	for i, o := range r.tasks {
		if o == t {
			r.tasks = append(r.tasks[:i], r.tasks[i+1:]...)
			break
		}
	}
	if r.onGone != nil {
		r.onGone(t)
	}
}

// seated notices who was granted in the last step, though it has not run yet.
func (r *rig) seated() {
	for _, t := range r.tasks {
		if t.seated() {
			g := t.w.grant
			if r.sparse == 0 {
				r.checkOrder(t, g)
			}
			// It is a primary from now on; run only tells it so.
			t.g = g
		}
	}
}

// holds reports whether the task has lane's primary grant, known to it or not.
func (t *task) holds() bool {
	return t.state == primary || t.seated() && !t.heir
}

// seated reports whether the task was granted and does not know yet.
func (t *task) seated() bool { return t.w != nil && t.w.state.Load() == stateGranted }

func (t *task) waits() bool {
	return t.w != nil && t.w.state.Load() == stateWaiting
}

// eligible reports whether the scheduler may grant lane to the waiting task now.
func (r *rig) eligible(t *task, lane int) bool {
	if !t.waits() || t.lane != anyLane && t.lane != lane {
		return false
	}
	if t.ctx.err != nil && t.state == queued {
		return false
	}
	return t.state == resuming || !r.atLimit(t.class) && r.inFlight(nil) < r.cfg.MaxInFlight
}

func (r *rig) atLimit(c *Class) bool {
	return c.maxInFlight > 0 && r.inFlight(c) >= c.maxInFlight
}

func (r *rig) inFlight(c *Class) (n int) {
	for _, t := range r.tasks {
		if (c == nil || t.class == c) && (t.holds() || t.seated() || t.state == lapsed || t.state == suspended || t.state == resuming) {
			n++
		}
	}
	return n
}

// check compares the scheduler with the rig's books.
func (r *rig) check() {
	r.tb.Helper()
	if r.steps++; r.sparse > 0 && r.steps%r.sparse != 0 {
		return
	}
	r.seated()
	holders, waiting := make([]int, len(r.s.lanes)), 0
	for _, t := range r.tasks {
		if t.holds() {
			holders[t.g.Lane()]++
		}
		if t.state == queued && t.waits() {
			waiting++
		}
	}
	for lane, n := range holders {
		held := r.s.lanes[lane].load().held()
		if n > 1 || held != (n == 1) {
			r.tb.Fatalf("lane %d: %d primaries, held %v", lane, n, held)
		}
		r.checkWork(lane, held)
	}
	if n := r.inFlight(nil); n > r.cfg.MaxInFlight || n != r.s.absences()+r.s.primaries() {
		r.tb.Fatalf("in flight: %d by the books, %d by the scheduler, cap %d", n, r.s.absences()+r.s.primaries(), r.cfg.MaxInFlight)
	}
	for _, c := range r.classes {
		if n := r.inFlight(c); c.maxInFlight > 0 && (n > c.maxInFlight || n != c.inUse) {
			r.tb.Fatalf("class %q: in flight %d by the books, %d by the scheduler, limit %d", c.name, n, c.inUse, c.maxInFlight)
		}
	}
	if waiting != r.s.queued {
		r.tb.Fatalf("queued: %d by the books, %d by the scheduler", waiting, r.s.queued)
	}
}

// checkWork says that no lane is forgotten: if it is free and somebody could have it, a candidate is on
// its way or the pacer ticks; and if somebody waits for a held lane, the pacer ticks.
func (r *rig) checkWork(lane int, held bool) {
	r.tb.Helper()
	l := &r.s.lanes[lane]
	for _, t := range r.tasks {
		if !r.eligible(t, lane) {
			continue
		}
		if !l.waiting || l.load()&flagWaiting == 0 {
			r.tb.Fatalf("lane %d: task %d waits and the lane does not show it", lane, t.id)
		}
		if !held && l.candidate == nil && !r.armed[lane] {
			r.tb.Fatalf("lane %d is free, task %d waits, nobody is on the way", lane, t.id)
		}
		if r.cfg.Arm != nil && !r.armed[lane] {
			r.tb.Fatalf("lane %d: task %d waits and the pacer sleeps", lane, t.id)
		}
		break
	}
}

// checkOrder says that t, just granted g, was next: in its class by kind, due time and arrival, and its
// class by virtual time.
func (r *rig) checkOrder(t *task, g Grant) {
	r.tb.Helper()
	if t.g == g {
		return // looked at before
	}
	for _, o := range r.tasks {
		if o == t || !r.eligible(o, g.Lane()) {
			continue
		}
		if o.class == t.class && o.goesBefore(t) && (t.state != resuming || r.isNext(o, g.Lane())) {
			r.tb.Fatalf("task %d was granted lane %d before task %d of its class", t.id, g.Lane(), o.id)
		}
		r.checkClass(t, o, g.Lane())
	}
}

// isNext says that t is the first of its class's that do not resume: who resumes is held against that one only.
func (r *rig) isNext(t *task, lane int) bool {
	for _, o := range r.tasks {
		if o != t && o.class == t.class && o.state != resuming && r.eligible(o, lane) && o.goesBefore(t) {
			return false
		}
	}
	return true
}

func (t *task) goesBefore(o *task) bool {
	switch {
	case t.state == resuming && o.state != resuming:
		return t.w.since-resumeLead <= o.w.since
	case t.state != resuming && o.state == resuming:
		return t.w.since < o.w.since-resumeLead
	}
	if t.w.due != o.w.due {
		return t.w.due < o.w.due
	}
	return t.w.seq < o.w.seq
}

// checkClass compares virtual times, where no limit can have kept o's class back when t was picked.
func (r *rig) checkClass(t, o *task, lane int) {
	r.tb.Helper()
	if r.cfg.MaxInFlight < 1000 || o.class.maxInFlight > 0 {
		return
	}
	mine, theirs := t.class.vtime, o.class.vtime
	if lane == r.lapsing {
		mine, theirs = mine-r.prepaid[t.class], theirs-r.prepaid[o.class]
	}
	if mine > theirs+1 && !math.IsInf(mine, 0) {
		r.tb.Fatalf("class %q at %.0f was granted before %q at %.0f", t.class.name, mine, o.class.name, theirs)
	}
}

// finish ends everything: wakes, ticks, releases. It fails if that does not end.
func (r *rig) finish() {
	r.tb.Helper()
	for range 1_000_000 {
		if len(r.tasks) == 0 {
			break
		}
		if awake := r.awake(); len(awake) > 0 {
			r.run(awake[0])
			continue
		}
		t := r.tasks[0]
		for _, o := range r.tasks {
			if o.state != queued && o.state != resuming {
				t = o
				break
			}
		}
		switch t.state {
		case primary, lapsed:
			r.release(t, 1000)
		case suspended:
			r.resume(t)
		default:
			r.now += 100_000
			for lane, armed := range r.armed {
				if armed {
					r.lapse(lane)
				}
			}
			if len(r.awake()) == 0 && r.inFlight(nil) == 0 {
				r.tb.Fatalf("task %d waits for ever", t.id)
			}
		}
	}
	r.check()
	if n := r.s.absences(); n+r.s.primaries()+r.s.queued+r.s.resumes != 0 {
		r.tb.Fatalf("after the end: %d away, %d primaries, %d queued, %d resuming", n, r.s.primaries(), r.s.queued, r.s.resumes)
	}
	if err := r.s.Drain(context.Background()); err != nil {
		r.tb.Fatal(err)
	}
	r.checkStats()
}

func (r *rig) checkStats() {
	r.tb.Helper()
	st := r.s.Stats()
	if st.All.InFlight != 0 || st.All.Queued != 0 || st.All.Resuming != 0 {
		r.tb.Fatalf("after the end: %d in flight, %d queued, %d resuming", st.All.InFlight, st.All.Queued, st.All.Resuming)
	}
	for i, l := range st.Lanes {
		if l.Waiting || l.Away != 0 || l.Holder != "" {
			r.tb.Fatalf("after the end: lane %d: %+v", i, l)
		}
	}
}

// ask is request for work that may be refused.
func (s *Scheduler) ask(ctx context.Context, c *Class, h *History, lane int) (Grant, *waiter, error) {
	return s.request(ctx, c, h, lane, OnDeadline)
}
