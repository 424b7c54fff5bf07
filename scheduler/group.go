package scheduler

import "math"

// Classes form a tree: ClassConfig.Parent. A class that is a parent has a share as a whole, of its own work and of all below it; inside, its
// own work counts as one more child, of weight 1. At each place of the tree the same rule holds: the child with the lowest virtual
// time is next.

// maxDepth is how many classes may be above each other: each charge goes through all of them.
const maxDepth = 8

// share is a place in the tree: that of a class's own work, or of a group. Under Scheduler.mu.
type share struct {
	up       *group // nil for the root's only
	weight   float64
	vtime    float64 // nanoseconds held, divided by weight
	stamp    uint64  // breaks ties of vtime: who changed last goes last
	activeAt int64   // when it last got or lost a lane under the lock, or came to wait; see join
	lines    []*line // every line of it that was ever used

	// What is below it.
	queued   int // waiters, resumers not included
	resuming int
	runners  int // lapsed grants that compute

	turn   *turn   // nil until it waits, and where it has a parent
	fresh  bool    // it had been away, and has used little since it came: see join
	joined float64 // its virtual time then
}

// group is a class that is a parent, with all below it.
type group struct {
	share
	class *Class  // nil: the root
	clock float64 // virtual time: that of the child granted last, never going back
	joins float64 // at which virtual time children start that were away: see join
	fresh float64 // the weights of the fresh children that wait
}

// never is for share.activeAt: long before any time that Config.Now gives.
const never = math.MinInt64 / 2

// whole is the share of c and all below it.
func (c *Class) whole() *share {
	if c.group != nil {
		return &c.group.share
	}
	return &c.share
}

// depth is how many groups x is in, the root not counted.
func (x *share) depth() (n int) {
	for g := x.up; g.up != nil; g = g.up {
		n++
	}
	return n
}

// under is x, or the group x is in, that is a child of g; nil if x is not below g.
func (x *share) under(g *group) *share {
	for x.up != g {
		if x.up == nil {
			return nil
		}
		x = &x.up.share
	}
	return x
}

// rivals are the children of one group that x and y are, or are in.
func rivals(x, y *share) (*share, *share) {
	if x.up == y.up {
		return x, y
	}
	i, j := x.depth(), y.depth()
	for ; i > j; i-- {
		x = &x.up.share
	}
	for ; j > i; j-- {
		y = &y.up.share
	}
	for x.up != y.up {
		x, y = &x.up.share, &y.up.share
	}
	return x, y
}

// lead is for how many nanoseconds c, or the group it is in, may have a GIL until it has used as much as o: above 0 if c has used less.
func (c *Class) lead(o *Class) float64 {
	x, y := rivals(&c.share, &o.share)
	return (y.vtime - x.vtime) * x.weight
}

// makeGroup makes c a parent. s.mu held.
func (s *Scheduler) makeGroup(c *Class) {
	if c.group != nil {
		return
	}
	g := &group{share: c.share, class: c}
	if g.turn != nil {
		g.turn.share = &g.share
	}
	g.lines = nil
	for _, ln := range c.lines {
		if ln.place >= 0 {
			s.unplace(ln)
		}
	}
	c.group = g
	c.share = share{up: g, weight: 1, activeAt: g.activeAt, lines: c.lines, queued: g.queued, resuming: g.resuming, runners: g.runners}
	s.rehome(&c.share)
	for _, ln := range c.lines {
		s.place(ln)
	}
}

// settleIn puts c, of which nobody waits, below its parent, or the root.
func (s *Scheduler) settleIn(c *Class) {
	x := c.whole()
	if x.up = &s.root; c.parent != nil {
		x.up = c.parent.group
	}
	x.vtime = max(x.vtime, x.up.clock)
	x.joined = x.vtime
	x.count(0, 0, true)
	s.rehome(x)
}

// rehome tells x's lines, which are in no heap, where they belong.
func (s *Scheduler) rehome(x *share) {
	for _, ln := range x.lines {
		ln.home, ln.above = s.homeOf(x.up, ln.kind, ln.lane)
	}
}

// homeOf is the heap of g for lines of kind k, and the line that stands for all in it, nil at the root.
func (s *Scheduler) homeOf(g *group, k kind, at *lane) (*heap[*line], *line) {
	if g.class == nil {
		return s.rootHeap(k, at), nil
	}
	ln := g.find(k, at)
	if ln == nil {
		ln = &line{share: &g.share, class: g.class, inner: true, kind: k, lane: at, place: -1}
		ln.home, ln.above = s.homeOf(g.up, k, at)
		g.lines = append(g.lines, ln)
	}
	return &ln.kids, ln
}

func (g *group) find(k kind, at *lane) *line {
	for _, ln := range g.lines {
		if ln.kind == k && ln.lane == at {
			return ln
		}
	}
	return nil
}

func (s *Scheduler) rootHeap(k kind, at *lane) *heap[*line] {
	switch k {
	case kindResume:
		return &at.resumes
	case kindPinned:
		return &at.pinned
	case kindNested:
		return &s.nested
	case kindLong:
		return &s.long
	case kindJob:
		return &s.jobs
	case kindCold:
		return &s.cold
	}
	return &s.general
}

// first is the child of g with the lowest virtual time of those with waiters of kind k for any lane, nil for none.
func (s *Scheduler) first(g *group, k kind) *share {
	h := s.rootHeap(k, nil)
	if g.class != nil {
		ln := g.find(k, nil)
		if ln == nil {
			return nil
		}
		h = &ln.kids
	}
	if h.len() == 0 {
		return nil
	}
	return h.top().share
}

// advance moves the virtual time of c, and of the groups it is in, by ns of held time. What is used while nobody else waits or computes is
// nobody's loss: the clock goes with it.
func (c *Class) advance(ns float64) {
	s := c.s
	for x := &c.share; x.up != nil; x = &x.up.share {
		x.vtime += ns / x.weight
		switch {
		case s.waiting == 0 && s.root.runners == 0:
			if x.vtime > x.up.clock {
				x.up.clock, s.idled = x.vtime, true
			}
		case x.fresh:
			x.up.joins += ns / s.freshWeight(x)
			if x.vtime > x.joined+maxCredit {
				x.count(0, 0, false)
			}
		}
	}
	s.restamp(c)
}

// count notes that n more wait of those below x, m of them to resume, and whether x is still fresh.
func (x *share) count(n, m int, fresh bool) {
	if x.fresh && x.queued+x.resuming > 0 {
		x.up.fresh -= x.weight
	}
	x.queued += n - m
	x.resuming += m
	if x.fresh = fresh; x.fresh && x.queued+x.resuming > 0 {
		x.up.fresh += x.weight
	}
}

// freshWeight is that of x and the fresh ones beside it that want a GIL, or have it.
func (s *Scheduler) freshWeight(x *share) float64 {
	sum := max(x.up.fresh, 0)
	if x.queued+x.resuming == 0 {
		sum += x.weight
	}
	has := func(c *Class) {
		if y := c.under(x.up); y != nil && y != x && y.fresh && y.queued+y.resuming == 0 {
			sum += y.weight
		}
	}
	for i := range s.lanes {
		l := &s.lanes[i]
		if w := l.load(); w.held() && l.proxy == nil {
			has(s.classes[w.class()])
		}
		for _, r := range l.runners {
			has(r.class)
		}
	}
	return max(sum, x.weight)
}

// activate is called when a class that has no waiters gets one. Groups in which nobody waited come back with it.
func (s *Scheduler) activate(c *Class) {
	c.fold()
	now := s.cfg.Now()
	for x := &c.share; x.up != nil && x.queued+x.resuming == 0; x = &x.up.share {
		s.join(x, now)
	}
	s.restamp(c)
}

// join gives x its virtual time when it comes to wait. One that has been away starts where the one is that has used least of those who are
// here: sleeping earns no credit. So it goes first, and many that come and go would always be first, a stream of new classes too, while
// those who stay get nothing. So those who come start at joins, which moves on by what they use, as the virtual time of one class with all
// their weights: they go first until they have used as much as if they had stayed.
//
// One that was here a moment ago, or computes beside a lane, keeps its place, for a moment between two tasks is not sleep; but its credit is
// bounded. The virtual clock bounds it too: a class that computes beside the lane gets the moments between two tasks of others, and may be
// far ahead of all of them.
func (s *Scheduler) join(x *share, now int64) {
	g, floor := x.up, s.least(x)
	if x.runners > 0 || now-x.activeAt < spread {
		x.vtime = max(x.vtime, min(floor, g.clock)-maxCredit)
	} else {
		g.joins = min(max(g.joins, floor), floor+maxCredit)
		x.vtime = max(x.vtime, g.joins)
		x.joined = x.vtime
		x.fresh = true
	}
	x.activeAt = now
}

// least is the lowest virtual time of those beside x that wait or compute, the clock if there is none.
func (s *Scheduler) least(x *share) float64 {
	least := math.Inf(1)
	for _, k := range [...]kind{kindNew, kindLong, kindCold, kindJob} {
		if y := s.first(x.up, k); y != nil {
			least = min(least, y.vtime)
		}
	}
	for i := range s.lanes {
		for _, r := range s.lanes[i].runners {
			if y := r.class.under(x.up); y != nil && y != x {
				least = min(least, y.vtime)
			}
		}
	}
	if math.IsInf(least, 1) {
		return x.up.clock
	}
	return least
}

// hasLane notes that c is granted a lane by rank.
func (c *Class) hasLane() {
	for x := &c.share; x.up != nil; x = &x.up.share {
		x.up.clock = max(x.up.clock, x.vtime)
	}
}

// touch notes that c got or lost a lane.
func (c *Class) touch(now int64) {
	for x := &c.share; x.up != nil; x = &x.up.share {
		x.activeAt = now
	}
}

// runs notes that n more grants of c compute beside a lane.
func (c *Class) runs(n int) {
	for x := &c.share; x.up != nil; x = &x.up.share {
		x.runners += n
	}
	c.s.root.runners += n
}

// fullQueue is the first of c and its parents whose queue is, nil for none.
func (c *Class) fullQueue() *Class {
	for ; c != nil; c = c.parent {
		if c.maxQueued > 0 && c.whole().queued >= c.maxQueued {
			return c
		}
	}
	return nil
}
