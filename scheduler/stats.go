package scheduler

import (
	"slices"
	"strings"
	"time"
)

// Stats is a snapshot. It is exact while nothing moves; grants that come and go without the lock while
// it is taken may be in one of its numbers and not yet in another.
type Stats struct {
	All     ClassStats   // all classes together; its Name is empty
	Classes []ClassStats // by name
	Lanes   []LaneStats
	Jams    uint64     // what the watchdog has told of: tasks that kept others from Python while they waited in Go; filled in by package gil
	Lost    []LostTask // what goes on though its caller was freed; each takes one of MaxInFlight; filled in by package gil
	// MaxInFlight is how many grants may be out at once, those of lost tasks included (nested ones may be more).
	MaxInFlight int
	Handles     int64 // owned handles that were not released, those of an OnceCell too, and errors that hold their exceptions; filled in by package gil
	Backlog     int64 // released objects whose decref waits for the next task; filled in by package gil
}

// ClassStats is what a class has had and has.
type ClassStats struct {
	Name   string
	Parent string // the name of ClassConfig.Parent. What is told of a parent is of its own work, but for VirtualTime
	Weight float64

	Granted     uint64        // grants, those in flight included
	Held        time.Duration // what was charged
	Detached    time.Duration // suspended: in AllowThreads, coming back included
	VirtualTime time.Duration // Held/Weight, and what the class was moved forward for having been idle
	Lapses      uint64        // grants that lost their lane to an heir
	Preemptions uint64        // heirs that had to wait for the GIL
	Rejected    uint64        // a queue was full
	Shed        uint64        // it waited for longer than TargetWait
	Late        uint64        // refused, for it was expected to end after its deadline: see LateError
	Cancelled   uint64        // the context ended before the grant

	InFlight  int // primary, lapsed and suspended
	Lapsed    int
	Suspended int // those waiting in Resume included
	Queued    int // waiting for a first grant
	Resuming  int // waiting in Resume

	Waits Histogram // of those who had to wait
	Holds Histogram // of each 64th grant or so
}

// LaneStats is the state of one lane.
type LaneStats struct {
	Holder    string        // class of the primary, empty if the lane is free
	HolderAge time.Duration // since the pacer first saw it; 0 if it has not: nobody waits
	Long      []LongTask    // the tasks that compute beside it
	Away      int           // lapsed and suspended grants of this lane: with the primary, the threads in use
	Waiting   bool          // somebody waits who could be granted this lane
	// Waits of 100 ms and more for the GIL itself, in which one thread had it all the time: C code that does not release
	// it, Go code, or a thread that was given no processor; filled in by package gil.
	Kept     uint64
	KeptLast time.Duration // the last one
}

// LongTask is a task that is past its grace and computes.
type LongTask struct {
	Class string
	Age   time.Duration // since it was past its grace
}

// LostTask is a task whose caller was freed.
type LostTask struct {
	What  string        // the function
	Where string        // the Python frame in which it was last seen, "in C code" or "in Go code" for none, "" if it waits for its turn
	For   time.Duration // since its caller was freed
}

// Class is the snapshot of the class of that name, the zero value if there is none.
func (st *Stats) Class(name string) ClassStats {
	i, ok := slices.BinarySearchFunc(st.Classes, name, func(c ClassStats, name string) int { return strings.Compare(c.Name, name) })
	if !ok {
		return ClassStats{}
	}
	return st.Classes[i]
}

// Stats takes a snapshot, in time in proportion to the number of classes. It takes the lock for some of them at a time, so that
// others wait for a moment only: numbers of different classes may be of different moments.
func (s *Scheduler) Stats() Stats {
	const together = 64
	st := Stats{MaxInFlight: s.cfg.MaxInFlight, Lanes: make([]LaneStats, len(s.lanes))}
	var classes []*Class
	seen := make(map[*Class]bool) // one that expires and comes again meanwhile has two places
	for from, more := 0, true; more; from += together {
		s.mu.Lock()
		s.board()
		more = from+together < len(s.classes)
		for _, c := range s.classes[min(from, len(s.classes)):min(from+together, len(s.classes))] { // an expired one too, until its index is another's
			if !seen[c] {
				seen[c] = true
				classes, st.Classes = append(classes, c), append(st.Classes, c.numbers())
			}
		}
		if !more {
			s.laneStats(st.Lanes)
		}
		s.unlock()
	}
	for i, c := range classes {
		c.histograms(&st.Classes[i])
		st.All.add(&st.Classes[i])
	}
	slices.SortFunc(st.Classes, func(a, b ClassStats) int { return strings.Compare(a.Name, b.Name) })
	return st
}

// Stats takes a snapshot of one class.
func (c *Class) Stats() ClassStats {
	c.s.mu.Lock()
	c.s.board()
	st := c.numbers()
	c.s.unlock()
	c.histograms(&st)
	return st
}

func (s *Scheduler) laneStats(lanes []LaneStats) {
	now := s.cfg.Now()
	for i := range s.lanes {
		l := &s.lanes[i]
		lanes[i] = LaneStats{Away: int(l.away.Load()), Waiting: l.waiting}
		for _, r := range l.runners {
			lanes[i].Long = append(lanes[i].Long, LongTask{r.class.name, time.Duration(now - r.since)})
		}
		if w := l.load(); w.held() && l.proxy == nil {
			lanes[i].Holder = s.classes[w.class()].name
			if w.gen() == l.seen {
				lanes[i].HolderAge = time.Duration(now - l.seenAt)
			}
		}
	}
}

// numbers is what the lock guards of a class's statistics.
func (c *Class) numbers() ClassStats {
	c.fold()
	primary := 0
	for i := range c.s.lanes {
		if l := &c.s.lanes[i]; l.proxy == nil {
			if w := l.load(); w.held() && w.class() == int(c.index) && !c.expired.Load() {
				primary++
			}
		}
	}
	whole, parent := c.whole(), ""
	if c.parent != nil {
		parent = c.parent.name
	}
	return ClassStats{
		Name: c.name, Parent: parent, Weight: whole.weight,
		Granted: c.released + uint64(c.lapsed+c.suspended+primary), Held: time.Duration(c.held), VirtualTime: time.Duration(whole.vtime),
		Lapses: c.lapses, Preemptions: c.preemptions, Rejected: c.rejected, Shed: c.shed, Late: c.late, Cancelled: c.cancelled.Load(),
		InFlight: c.lapsed + c.suspended + primary, Lapsed: c.lapsed, Suspended: c.suspended,
		Queued: c.queued, Resuming: c.resuming,
	}
}

// histograms is the rest, which no lock guards.
func (c *Class) histograms(st *ClassStats) {
	st.Waits, st.Holds = c.waits.snapshot(), c.holds.snapshot()
	st.Detached = time.Duration(float64(c.detached.Load()) * c.s.rate())
}

func (c *ClassStats) add(o *ClassStats) {
	c.Granted += o.Granted
	c.Held += o.Held
	c.Detached += o.Detached
	c.Lapses += o.Lapses
	c.Preemptions += o.Preemptions
	c.Rejected += o.Rejected
	c.Shed += o.Shed
	c.Late += o.Late
	c.Cancelled += o.Cancelled
	c.InFlight += o.InFlight
	c.Lapsed += o.Lapsed
	c.Suspended += o.Suspended
	c.Queued += o.Queued
	c.Resuming += o.Resuming
	c.Waits.add(&o.Waits)
	c.Holds.add(&o.Holds)
}
