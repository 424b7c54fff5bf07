package scheduler

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"gilt/internal/clock"
)

// Config sets a scheduler up. The zero value works.
type Config struct {
	// Lanes is the number of GILs served. Defaults to 1.
	Lanes int
	// MaxInFlight caps the grants out at once over all lanes, lapsed, suspended and lost ones included: the
	// threads inside Python. Defaults to 256.
	MaxInFlight int
	// MaxLong caps the long tasks that compute on one lane at once: of work that is known to be long (see
	// History) no more is let in while that many are seen to compute, unless it has waited for a second.
	// Defaults to 1.
	MaxLong int
	// MaxQueued caps the waiters over all classes; more get a *SaturatedError. Resumed work does not
	// count. Defaults to 65536.
	MaxQueued int
	// MaxClasses caps the classes that exist at once, the default class included. Defaults to 10000.
	MaxClasses int
	// Template is what Class makes a class of that is asked for with the zero ClassConfig.
	Template ClassConfig
	// ClassIdle is after how long without work a class may be forgotten to make room. Defaults to 1 minute.
	ClassIdle time.Duration
	// Slice is how long one class may keep a lane that others wait for without handing it over. With
	// many waiters it is shorter: 5 ms divided by their number. Defaults to 200 µs.
	Slice time.Duration
	// Now reads a monotonic clock in nanoseconds. It is called with the lock held and by waiters only.
	// Defaults to the real clock.
	Now func() int64
	// Arm is called when a lane wants to be looked at more closely than its last Order said, which is at least as closely as p: call Tick
	// for it, as often as it then says. With Tend the pacer need not call at once, if the Order had a Tag. It is called without locks, from the goroutine
	// that waits, possibly while a Tick of the same lane is just returning Rest: Arm wins. It must not block.
	// Defaults to nil: no pacer.
	Arm func(lane int, p Pace)
	// Elsewhere, if it is given, reports whether a lane's GIL is free though the grant of that tag, its primary,
	// has had it: then it sleeps, or works outside, and somebody else may go at once. It must not block.
	Elsewhere func(lane int, tag uint64) bool
	// Tended, if it is given, takes what the pacer of the lane has added up for the grant of its Order since the last Tick, or since
	// Tended. It is called with the lock held, and must not block.
	Tended func(lane int) time.Duration
}

// maxLanes keeps the scans over lanes, made under the lock, short.
const maxLanes = 1024

func (cfg Config) normalise() (Config, error) {
	for _, field := range []struct {
		name          string
		value         *int
		byDefault, hi int
	}{
		{"Lanes", &cfg.Lanes, 1, maxLanes},
		{"MaxInFlight", &cfg.MaxInFlight, 256, 1 << 30},
		{"MaxLong", &cfg.MaxLong, 1, 1 << 30},
		{"MaxQueued", &cfg.MaxQueued, 65536, 1 << 30},
		{"MaxClasses", &cfg.MaxClasses, 10000, maxClassesLimit},
	} {
		if *field.value == 0 {
			*field.value = field.byDefault
		}
		if *field.value < 0 || *field.value > field.hi {
			return cfg, badConfig("%s %d: give 0 (the default, %d) to %d", field.name, *field.value, field.byDefault, field.hi)
		}
	}
	if cfg.Slice == 0 {
		cfg.Slice = 200 * time.Microsecond
	}
	if cfg.Slice < 0 || cfg.Slice > time.Minute {
		return cfg, badConfig("Slice %v: give 0 (the default, 200µs) to 1m", cfg.Slice)
	}
	if cfg.ClassIdle == 0 {
		cfg.ClassIdle = defaultClassIdle
	}
	if cfg.ClassIdle < 0 {
		return cfg, badConfig("ClassIdle %v: give 0 (the default, 1m) or more", cfg.ClassIdle)
	}
	template := cfg.Template
	if template.Parent != nil {
		return cfg, badConfig("Template.Parent: a template has none: name the parent in each class's own configuration")
	}
	if err := template.normalise("template", cfg.MaxInFlight); err != nil {
		return cfg, err
	}
	if cfg.Now == nil {
		start := time.Now()
		cfg.Now = func() int64 { return int64(time.Since(start)) }
	}
	return cfg, nil
}

// Scheduler hands out grants. Any goroutine may call any of its methods.
type Scheduler struct {
	cfg     Config
	lanes   []lane
	def     *Class
	turn    atomic.Uint32        // where the search for a free lane starts
	dirty   atomic.Pointer[cell] // cells charged since they were last folded,
	dirtied atomic.Int32         // and about how many

	mu      sync.Mutex
	byName  map[string]*Class
	classes []*Class     // by Class.index
	unused  []uint32     // indices of expired classes
	idlest  heap[*Class] // all, the one first that was found to have had work the longest time ago
	swept   int          // the index of the class that a sweep looks at next
	sweptAt int64        // when the sweep began
	general heap[*line]
	nested  heap[*line]
	long    heap[*line] // work that is known to be long
	cold    heap[*line] // work of which nothing is known but that its function computes
	jobs    heap[*line] // queued work, for an idle worker
	idle    int         // workers that have nothing to run: see Queue
	started []started   // queued work that has its grant, to be told
	near    atomic.Bool // one more lapse could reach the cap: see NearLimit

	triedAt  int64 // when somebody had a turn though it was expected to end too late: see late
	leaving  leaving
	shedding []*Class // those that shed, or did a moment ago
	shedAt   int64    // when shedStale looked at them

	seats    [2]seating // the last two classes that were
	root     group
	released uint64 // grants that ended, of all classes
	idled    bool   // somebody used a GIL while nobody waited: see startContention
	stamps   uint64
	seq      uint64
	queued   int // waiters, resumers not included
	resumes  int // waiting resumers
	waiting  int // lanes that somebody waits for

	turns     heap[*turn] // of the classes that wait
	competing float64     // the sum of their weights
	tickedAt  int64       // the last Tick

	away     map[ticket]*absence // lapsed and suspended grants
	slow     bool                // flagSlow is set on every lane
	closed   bool
	drainers int
	drained  chan struct{} // closed when a drainer should look again
	lost     int           // see Lost
	revisit  bool          // a free lane may have become of use: see unlock
	arm      []arming      // lanes to call Config.Arm for

	berths int            // of a lane
	ticks  func() int64   // what suspensions are measured in
	rate   func() float64 // nanoseconds of one

	linger int64 // in ticks of the processor's counter: see lane.linger

	epoch    time.Time // the moment cfg.Now gave epochNow, or a moment before, to place deadlines: see clock.Compare
	epochNow int64
}

// New makes a scheduler. A bad Config gives an error that matches ErrConfig.
func New(cfg Config) (*Scheduler, error) {
	ticks, rate, simulated := clock.Ticks, clock.Rate, cfg.Now != nil
	if simulated {
		ticks, rate = cfg.Now, func() float64 { return 1 }
	}
	cfg, err := cfg.normalise()
	if err != nil {
		return nil, err
	}
	s := &Scheduler{
		berths: berthsOf(cfg),
		ticks:  ticks,
		rate:   rate,
		cfg:    cfg,
		lanes:  make([]lane, cfg.Lanes),
		byName: make(map[string]*Class),
		away:   make(map[ticket]*absence),
	}
	s.epoch, s.epochNow = clock.Compare(cfg.Now)
	for i := range s.lanes {
		s.lanes[i].index = uint32(i)
		s.lanes[i].luck.Store(mostLuck)
	}
	if !simulated {
		s.linger = lingerTicks()
	}
	s.retune(0)
	s.def, err = s.Class(DefaultClass, ClassConfig{})
	return s, err
}

// Grant is the right to ask for a lane's GIL. It is a small value: pass it on, but give it back once,
// by Release or Suspend.
type Grant struct {
	class   *Class
	gen     uint64
	lane    uint32
	history *History
}

// Interrupted says that the work of g was interrupted, before its Release: it would have taken longer.
func (g Grant) Interrupted() {
	if g.history != nil {
		g.history.cut.Store(true)
	}
}

// Tag names the grant among those of its lane: what a Look says.
func (g Grant) Tag() uint64 { return g.gen }

// Lane is the GIL the grant is for.
func (g Grant) Lane() int { return int(g.lane) }

// Class is the class the grant is charged to; nil for the zero Grant.
func (g Grant) Class() *Class { return g.class }

// Acquire waits for a grant on any lane. c nil means the default class.
//
// It returns ErrClosed; a *SaturatedError (errors.Is ErrSaturated) if a queue is full, or the wait for
// its class is over (ClassConfig.TargetWait); or a *WaitError
// that wraps ctx.Err() if ctx ends first, at once if it has ended already: expired work is never started.
func (s *Scheduler) Acquire(ctx context.Context, c *Class) (Grant, error) {
	return s.AcquireFor(ctx, c, nil, Never)
}

// AcquireFor is Acquire for work of which h is the history: work that is known to be long waits for its
// place among Config.MaxLong, and what this grant turns out to use is noted in h.
//
// Work that waits, and is interrupted at ctx's deadline (p is not Never), is refused with a *LateError (errors.Is ErrLate and
// context.DeadlineExceeded) as soon as it is expected to end too late: see LateError.
func (s *Scheduler) AcquireFor(ctx context.Context, c *Class, h *History, p Cancellation) (Grant, error) {
	likely := 0
	if len(s.lanes) > 1 {
		likely = s.likelyLane()
	}
	return s.acquire(ctx, c, h, likely, anyLane, p)
}

// TryAcquire is AcquireFor for somebody who does not want to wait: it fails when a grant cannot be had
// without the lock, or ctx has ended.
func (s *Scheduler) TryAcquire(ctx context.Context, c *Class, h *History) (Grant, bool) {
	if c == nil {
		c = s.def
	}
	if ctx.Err() != nil || c.s != s || !h.short() {
		return Grant{}, false
	}
	lane := 0
	if len(s.lanes) > 1 {
		lane = s.likelyLane()
	}
	g, ok := s.tryFast(c, lane)
	g.history = h
	return g, ok
}

// AcquireLane is Acquire on the given lane only: for pinned work. A lane the scheduler does not have
// gives an error that matches ErrNoLane.
func (s *Scheduler) AcquireLane(ctx context.Context, c *Class, lane int) (Grant, error) {
	if lane < 0 || lane >= len(s.lanes) {
		return Grant{}, noLane(lane, len(s.lanes))
	}
	return s.acquire(ctx, c, nil, lane, lane, Never)
}

const anyLane = -1

// AcquireNested is Acquire for a goroutine whose OS thread is inside already: it is in a task that is
// suspended or waits. Its thread is counted, so neither MaxInFlight nor its class's limit holds it up:
// waiting for them could be waiting for itself.
func (s *Scheduler) AcquireNested(ctx context.Context, c *Class) (Grant, error) {
	return s.acquire(ctx, c, nil, s.likelyLane(), nestedLane, Never)
}

const nestedLane = -2 // any lane, and no cap

// NearLimit says whether a grant of class c (nil: the default class) may have to wait for MaxInFlight or
// for the class's own limit, or may be shed: whether nested work should ask by AcquireNested.
func (s *Scheduler) NearLimit(c *Class) bool {
	if c == nil {
		c = s.def
	}
	return c.limited() || c.target != 0 || s.near.Load()
}

// acquire tries the lane likely without the lock, then goes on under it, bound to lane or to none.
func (s *Scheduler) acquire(ctx context.Context, c *Class, h *History, likely, lane int, p Cancellation) (Grant, error) {
	if c == nil {
		c = s.def
	}
	if err := ctx.Err(); err != nil {
		return Grant{}, c.neverWaited(ctx, err)
	}
	if c.s != s {
		return Grant{}, ErrForeignClass
	}
	if h.short() {
		for {
			if g, ok := s.tryFast(c, likely); ok {
				g.history = h
				return g, nil
			}
			if c.limited() || !s.lanes[likely].linger(s.linger) {
				break
			}
		}
	}
	return s.acquireSlow(ctx, c, h, lane, p)
}

// tryFast takes a lane that is open to c, without the lock.
func (s *Scheduler) tryFast(c *Class, lane int) (Grant, bool) {
	l := &s.lanes[lane]
	w, index := l.load(), atomic.LoadUint32(&c.index)
	// In this order: see expire. With another index the class has expired and come back in between.
	if c.limited() || !w.open(index) || c.expired.Load() || index != atomic.LoadUint32(&c.index) {
		return Grant{}, false
	}
	to := w.next(index)
	return Grant{class: c, gen: to.gen(), lane: l.index}, l.cas(w, to)
}

// likelyLane is a free lane with the fewest grants away, or any. Ties go round.
func (s *Scheduler) likelyLane() int {
	n := len(s.lanes)
	start := int(s.turn.Add(1) % uint32(n))
	best, least := start, int32(-1)
	for i := range n {
		at := (start + i) % n
		l := &s.lanes[at]
		if l.load()&(flagHeld|flagWaiting) != 0 {
			continue
		}
		away := l.away.Load() + l.moored()
		if away == 0 {
			return at
		}
		if least < 0 || away < least {
			best, least = at, away
		}
	}
	return best
}

// Release gives a grant back. held is how long the GIL was held for it, as the caller measured; it is
// charged to the class. Releasing twice panics: it is a bug that would let two tasks in.
func (s *Scheduler) Release(g Grant, held time.Duration) {
	if g.class == nil {
		misuse("Release", int(g.lane), "")
	}
	ns, charged, counted := clampHeld(held), false, false
	if ns < cellLimit && !g.class.limited() {
		l := &s.lanes[g.lane]
		mine := heldWord(g)
		w := l.load()
		switch w {
		case mine:
			charged = true
			if g.class.charge(g.lane, ns) && l.cas(w, w.free()) {
				g.history.learn(0, ns)
				g.history.ended(ns, ns)
				return
			}
		case mine | flagWaiting:
			charged, counted = true, true
			if g.class.charge(g.lane, ns) && l.spend(ns) && l.cas(w, w.free()) {
				g.history.learn(0, ns)
				g.history.ended(ns, ns)
				return
			}
		}
	}
	s.releaseSlow(g, ns, charged, counted)
}
