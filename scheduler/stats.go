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
	Weight float64

	Granted     uint64        // grants, those in flight included
	Held        time.Duration // what was charged
	Detached    time.Duration // suspended: in AllowThreads, coming back included
	VirtualTime time.Duration // Held/Weight, and what the class was moved forward for having been idle
	Lapses      uint64        // grants that lost their lane to an heir
	Preemptions uint64        // heirs that had to wait for the GIL
	Rejected    uint64        // a queue was full
	Shed        uint64        // it waited for longer than TargetWait
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
	Where string        // the Python frame in which it was last seen, "" if not known
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

// Stats takes a snapshot. It takes the lock, and time in proportion to the number of classes.
func (s *Scheduler) Stats() Stats {
	now := s.cfg.Now()
	s.mu.Lock()
	st := Stats{MaxInFlight: s.cfg.MaxInFlight, Classes: make([]ClassStats, len(s.classes)), Lanes: make([]LaneStats, len(s.lanes))}
	for i, c := range s.classes { // an expired one too, until its index is another's
		st.Classes[i] = c.stats()
	}
	for i := range s.lanes {
		l := &s.lanes[i]
		st.Lanes[i] = LaneStats{Away: int(l.away.Load()), Waiting: l.waiting}
		for _, r := range l.runners {
			st.Lanes[i].Long = append(st.Lanes[i].Long, LongTask{r.class.name, time.Duration(now - r.since)})
		}
		if w := l.load(); w.held() && l.proxy == nil {
			st.Lanes[i].Holder = s.classes[w.class()].name
			st.Classes[w.class()].InFlight++
			if w.gen() == l.seen {
				st.Lanes[i].HolderAge = time.Duration(now - l.seenAt)
			}
		}
	}
	s.unlock()
	for i := range st.Classes {
		c := &st.Classes[i]
		c.Granted += uint64(c.InFlight)
		st.All.add(c)
	}
	slices.SortFunc(st.Classes, func(a, b ClassStats) int { return strings.Compare(a.Name, b.Name) })
	return st
}

// stats leaves out the primaries, which the lanes know.
func (c *Class) stats() ClassStats {
	c.fold()
	return ClassStats{
		Name: c.name, Weight: c.weight,
		Granted: c.released, Held: time.Duration(c.held), Detached: time.Duration(c.detached), VirtualTime: time.Duration(c.vtime),
		Lapses: c.lapses, Preemptions: c.preemptions, Rejected: c.rejected, Shed: c.shed, Cancelled: c.cancelled.Load(),
		InFlight: c.lapsed + c.suspended, Lapsed: c.lapsed, Suspended: c.suspended,
		Queued: c.queued, Resuming: c.resuming,
		Waits: c.waits.snapshot(), Holds: c.holds.snapshot(),
	}
}

func (c *ClassStats) add(o *ClassStats) {
	c.Granted += o.Granted
	c.Held += o.Held
	c.Detached += o.Detached
	c.Lapses += o.Lapses
	c.Preemptions += o.Preemptions
	c.Rejected += o.Rejected
	c.Shed += o.Shed
	c.Cancelled += o.Cancelled
	c.InFlight += o.InFlight
	c.Lapsed += o.Lapsed
	c.Suspended += o.Suspended
	c.Queued += o.Queued
	c.Resuming += o.Resuming
	c.Waits.add(&o.Waits)
	c.Holds.add(&o.Holds)
}
