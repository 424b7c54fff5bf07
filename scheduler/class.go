package scheduler

import (
	"math"
	"strconv"
	"sync/atomic"
	"time"
)

// DefaultClass is the name of the class of work that names none.
const DefaultClass = "default"

// Weights outside these bounds would swallow the precision of virtual time.
const (
	minWeight = 1e-6
	maxWeight = 1e6
)

// ClassConfig says what a class may have. The zero value works.
type ClassConfig struct {
	// Weight is the class's share of held time beside other classes that want it. Defaults to 1.
	Weight float64
	// MaxInFlight bounds the class's grants out at once, lapsed and suspended ones included. Defaults
	// to the scheduler's. A class with a bound takes the lock at every grant (some 50 ns more).
	MaxInFlight int
	// MaxQueued bounds the class's waiters. Defaults to the scheduler's.
	MaxQueued int
	// TargetWait, if it is given, sheds work of the class that waits for longer while the class has more than it
	// can get: when for five times TargetWait, and 20 ms at the least, all that was granted had waited for longer
	// and somebody always waited. It gets a *SaturatedError at once; the last waiter is left. When nobody
	// had to be shed for as long, waits may be longer again: bursts are let pass. Work with a deadline is shed as any other; what
	// resumes, is pinned or nested in a task never is. Defaults to 0: nothing is shed. Else 1 ms to 1 minute.
	TargetWait time.Duration
	// Cancellation says when the class's work is interrupted that runs. The scheduler only keeps it.
	Cancellation Cancellation
	// Parent, if it is given, is the class of which this is a part: an endpoint's tenant. Beside other classes a parent and its children together
	// have the parent's Weight; inside, the children share by their weights, and the parent's own work counts as one more of
	// weight 1. The parent's MaxInFlight and MaxQueued bound what it has together with its children; TargetWait and Cancellation are its
	// own. A parent stays as long as it has children. At most 8 classes may be above each other. Not for a template.
	Parent *Class
}

// Cancellation says when a context interrupts work that runs; work that waits leaves the queue in any case.
//
// Python code that swallows exceptions may miss an interruption, and is interrupted again. asyncio's event loop is such
// code: it goes on after any exception of a callback that is no KeyboardInterrupt, and may then sleep for good. Give
// what runs asyncio.run a time limit of its own (asyncio.timeout), or use the runtime's event loop, whose coroutines are
// cancelled.
type Cancellation uint8

// The policies. OnDeadline is the zero value.
const (
	OnDeadline Cancellation = iota // when the context's deadline passes
	OnCancel                       // when the context ends, for whatever reason
	Never
)

// String gives the constant's name.
func (c Cancellation) String() string {
	if c > Never {
		return "Cancellation(" + strconv.Itoa(int(c)) + ")"
	}
	return [...]string{"OnDeadline", "OnCancel", "Never"}[c]
}

// Class is who work is for: a tenant, an endpoint, a job. Scheduler.Class makes it. It is shared by all
// lanes and may be used from any goroutine.
type Class struct {
	s       *Scheduler
	name    string
	config  ClassConfig // as asked for
	expired atomic.Bool // it has no index any more: see Scheduler.current
	index   uint32      // written under the lock; tryFast reads it without

	cancellation Cancellation

	maxInFlight int // 0: only the scheduler's
	maxQueued   int // 0: only the scheduler's

	cells []cell // one a lane: what releases charged and fold has not yet seen

	// Under Scheduler.mu.

	share           // of its own work
	group    *group // nil: it is no parent, and never was
	parent   *Class // nil: none
	children int    // that have not expired
	// The three kinds of line. The bound ones are made when first used.
	general         *line
	nested, long    *line // nil until used
	jobs, cold      *line // likewise
	coldAt          int64 // when work of the cold line was last let in
	pinned, resumes []*line
	inUse           int // in flight, of its children too; kept only for classes with a bound
	lapsed          int
	suspended       int
	sampleLeft      int // grants until the next hold is recorded

	preemptions uint64
	released    uint64
	held        int64
	lapses      uint64
	rejected    uint64
	shed        uint64
	late        uint64
	lateAt      int64 // when work was last refused that had just come
	leaving     leaving
	standing
	cancelled atomic.Uint64
	detached  atomic.Int64 // suspended, in Scheduler.ticks

	waits, holds recorder

	histories histories

	changedAt   int64  // when it was found to have had work, see look, and
	hadReleased uint64 // its finished grants then
	idlePlace   int    // in Scheduler.idlest
}

// Cancellation is the policy the class was made with.
func (c *Class) Cancellation() Cancellation { return c.cancellation }

// Name is the name the class was made with.
func (c *Class) Name() string { return c.name }

// String is Name.
func (c *Class) String() string { return c.Name() }

// Default is the class of work that names none.
func (s *Scheduler) Default() *Class { return s.def }

func (cfg *ClassConfig) normalise(name string, maxInFlight int) error {
	if cfg.Weight == 0 {
		cfg.Weight = 1
	}
	switch {
	case math.IsNaN(cfg.Weight) || cfg.Weight < minWeight || cfg.Weight > maxWeight:
		return badConfig("class %q: Weight %v: give a number from %g to %g", name, cfg.Weight, minWeight, maxWeight)
	case cfg.MaxInFlight < 0:
		return badConfig("class %q: MaxInFlight %d: give 0 (the scheduler's) or more", name, cfg.MaxInFlight)
	case cfg.MaxQueued < 0:
		return badConfig("class %q: MaxQueued %d: give 0 (the scheduler's) or more", name, cfg.MaxQueued)
	case cfg.TargetWait != 0 && (cfg.TargetWait < minTarget || cfg.TargetWait > maxTarget):
		return badConfig("class %q: TargetWait %v: give 0 (nothing is shed), or %v to %v", name, cfg.TargetWait, minTarget, maxTarget)
	case cfg.Cancellation > Never:
		return badConfig("class %q: %v: give OnDeadline, OnCancel or Never", name, cfg.Cancellation)
	}
	if cfg.MaxInFlight >= maxInFlight {
		cfg.MaxInFlight = 0
	}
	return nil
}

// limited reports whether the class counts its grants, which takes the lock.
func (c *Class) limited() bool { return c.maxInFlight != 0 }

// atLimit reports whether as many grants of the class and its children are in flight as may be.
func (c *Class) atLimit() bool { return c.limited() && c.inUse >= c.maxInFlight }

// barred reports whether the class may have no new grant now: it is at its limit, or one of its parents is.
func (c *Class) barred() bool {
	for ; c != nil && c.limited(); c = c.parent {
		if c.atLimit() {
			return true
		}
	}
	return false
}

// cell gathers what releases on one lane charge to a class, so that a release is one atomic add and no
// lock: [grants: 24][nanoseconds: 40]. The lock's holder folds it into the class.
type cell struct {
	sum   atomic.Uint64
	dirty atomic.Bool // on the scheduler's dirty stack
	next  *cell       // in that stack
	class *Class
	_     [32]byte // a cache line each: lanes write theirs at once
}

const (
	cellGrant = 1 << 40
	// cellLimit bounds one charge; sums are folded long before they overflow.
	cellLimit   = 1 << 37
	cellFull    = 1 << 62 // 2^22 grants
	cellHeld    = cellGrant - 1
	sampleEvery = 64
)

// charge notes a finished grant of held nanoseconds on a lane. It takes no lock. It returns false if the
// cell wants folding: the caller then goes on under the lock.
func (c *Class) charge(lane uint32, held int64) (ok bool) {
	sum, ok := c.gather(lane, uint64(cellGrant+held))
	if sum/cellGrant%sampleEvery == 0 {
		c.holds.record(held)
	}
	return ok
}

// gather adds to the cell of a lane, and gives its sum; ok as charge. Without cellGrant no grant has finished.
func (c *Class) gather(lane uint32, delta uint64) (sum uint64, ok bool) {
	cell := &c.cells[lane]
	if sum = cell.sum.Add(delta); sum == delta && !c.s.markDirty(cell) {
		return sum, false
	}
	return sum, sum < cellFull && sum&cellHeld < cellLimit
}

// foldNow is fold for somebody without the lock.
func (s *Scheduler) foldNow(c *Class) {
	s.mu.Lock()
	s.foldMany()
	c.fold()
	s.unlock()
}

// Record enters a task in the class's books as Release does, and how long it waited, unless that is negative, as
// Acquire does, without a grant. For gilt's own benchmark of what statistics cost.
func (c *Class) Record(held, waited time.Duration) {
	if !c.charge(0, clampHeld(held)) {
		c.s.foldNow(c)
	}
	if waited >= 0 {
		c.waits.record(int64(waited))
	}
}

// chargeLocked is charge for those who hold the lock, for any held, and for holds without a finished
// grant (grants 0: AllowThreads).
func (c *Class) chargeLocked(held int64, grants uint64) {
	c.released += grants
	c.s.released += grants
	c.took(held)
	if c.sampleLeft -= int(grants); c.sampleLeft <= 0 {
		c.sampleLeft = sampleEvery
		c.holds.record(held)
	}
}

// took charges the class for finished holds.
func (c *Class) took(ns int64) {
	c.held += ns
	c.advance(float64(ns))
}

// fold takes over what the cells gathered and reports whether there was anything.
func (c *Class) fold() bool {
	any := false
	for i := range c.cells {
		any = c.foldCell(&c.cells[i]) || any
	}
	return any
}

func (c *Class) foldCell(cell *cell) bool {
	if cell.sum.Load() == 0 {
		return false
	}
	sum := cell.sum.Swap(0)
	c.released += sum / cellGrant
	c.s.released += sum / cellGrant
	c.took(int64(sum & cellHeld))
	c.sampleLeft -= int(sum / cellGrant % sampleEvery) // charge itself samples each 64th
	return true
}

// mostDirty is how many cells may want folding, which somebody does while s.mu is held once.
const mostDirty = 1024

// markDirty notes that a cell wants folding. It returns false if too many do: the caller then goes on under the lock, with foldMany.
func (s *Scheduler) markDirty(cell *cell) bool {
	if !cell.dirty.CompareAndSwap(false, true) {
		return true
	}
	n := s.dirtied.Add(1)
	for {
		head := s.dirty.Load()
		cell.next = head
		if s.dirty.CompareAndSwap(head, cell) {
			return n < mostDirty
		}
	}
}

// foldMany is foldDirty when too many cells want it.
func (s *Scheduler) foldMany() {
	if s.dirtied.Load() >= mostDirty {
		s.foldDirty()
	}
}

// foldDirty folds every cell charged since the last time.
func (s *Scheduler) foldDirty() {
	s.dirtied.Store(0)
	for cell := s.dirty.Swap(nil); cell != nil; {
		next := cell.next
		cell.dirty.Store(false)
		cell.class.foldCell(cell)
		cell = next
	}
}

// clampHeld brings a measured hold into what can be charged: 0 to 2 years.
func clampHeld(held time.Duration) int64 { return min(max(int64(held), 0), 1<<56) }
