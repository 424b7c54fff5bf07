package scheduler

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Patience is when work without a deadline counts as due after it came, and work with a later one.
const Patience = 10 * time.Second

// resumeLead is by how much work that resumes goes before other work of its class: its thread and its locks are in use. It is bounded, so that
// tasks that suspend again and again do not keep the others from Python.
const resumeLead = int64(time.Millisecond)

// kind says what a line's waiters want.
type kind uint8

const (
	kindResume kind = iota // back to their lane; they are in flight already
	kindPinned             // a new grant on one lane
	kindNew                // a new grant on any lane
	kindNested             // a new grant on any lane for a thread that counts already: no cap holds it up
	kindLong               // a new grant on any lane, for long work
	kindJob                // a new grant on any lane, for queued work
	kindCold               // a new grant on any lane, for work of which nothing is known but that its function computes
)

// line is the queue of one class for one kind of grant. It is in its heap, ranked by the class's virtual
// time, while it has waiters who may be granted. A group's line has those of its children instead of waiters.
type line struct {
	share   *share
	class   *Class
	inner   bool // a group's
	kind    kind
	lane    *lane // nil: any
	home    *heap[*line]
	above   *line // the group's line whose kids home is, nil at the root
	place   int   // in home, -1 if not
	kids    heap[*line]
	waiters heap[*waiter]
	holds   int64 // the sums of theirs
	takes   int64
	last    int64 // no waiter is due later
}

func (l *line) setPlace(i int) { l.place = i }

func (l *line) before(o *line) bool {
	a, b := rivals(l.share, o.share)
	if a == b {
		switch v, w := l.waiters.top(), o.waiters.top(); {
		case l.kind == o.kind:
			return false
		case l.kind == kindResume:
			return v.since-resumeLead <= w.since
		case o.kind == kindResume:
			return v.since < w.since-resumeLead
		default:
			return v.before(w)
		}
	}
	if a.vtime != b.vtime {
		return a.vtime < b.vtime
	}
	return a.stamp < b.stamp
}

func (c *Class) addLine(k kind, at *lane) *line {
	l := &line{share: &c.share, class: c, kind: k, lane: at, place: -1}
	l.home, l.above = c.s.homeOf(c.up, k, at)
	c.lines = append(c.lines, l)
	return l
}

// line is the class's line of kind k, for the given lane unless k is kindNew or kindNested.
func (c *Class) line(k kind, at *lane) *line {
	if k == kindNew {
		return c.general
	}
	for _, one := range [...]struct {
		kind kind
		line **line
	}{{kindNested, &c.nested}, {kindLong, &c.long}, {kindJob, &c.jobs}, {kindCold, &c.cold}} {
		if k != one.kind {
			continue
		}
		if *one.line == nil {
			*one.line = c.addLine(k, nil)
		}
		return *one.line
	}
	lines := &c.pinned
	if k == kindResume {
		lines = &c.resumes
	}
	if *lines == nil {
		*lines = make([]*line, len(c.s.lanes))
	}
	if (*lines)[at.index] == nil {
		(*lines)[at.index] = c.addLine(k, at)
	}
	return (*lines)[at.index]
}

const (
	stateWaiting int32 = iota
	stateGranted
	stateExpired
	stateClosed
	stateRefused // shed, or late
)

// waiter is one goroutine in a line. Its ready channel only says "look again": what happened is in state
// and candidate, and a token too many does no harm.
type waiter struct {
	ready chan struct{}
	state atomic.Int32
	grant Grant // set before state becomes stateGranted

	class    *Class
	line     *line
	place    int // in line.waiters, -1 if not
	due      int64
	seq      uint64
	since    int64
	ahead    int
	deadline int64 // 0: none
	done     <-chan struct{}
	resumes  ticket // kindResume: what it stands for
	history  *History
	work     Work // kindJob: nobody waits, and the work is told
	ctx      context.Context
	refused  error // set before state becomes stateRefused: a *SaturatedError or a *LateError
	holds    int64 // for how long it was expected to have the GIL when it came, 0 if that is not known
	takes    int64 // and to take
	overdue  bool  // it was picked because its class's turn has come
	ends     bool  // at its deadline, at the latest: it is refused if it would end later
	// candidate is the lane this waiter was woken for, nil if none. Under Scheduler.mu.
	candidate *lane
}

var waiters = sync.Pool{New: func() any { return &waiter{ready: make(chan struct{}, 1), place: -1} }}

func (w *waiter) setPlace(i int) { w.place = i }

func (w *waiter) before(o *waiter) bool {
	if w.due != o.due {
		return w.due < o.due
	}
	return w.seq < o.seq
}

// wake makes the waiter look again. The waiter may be gone already, if its state says why.
func (w *waiter) wake() {
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

func (w *waiter) finish(state int32) {
	w.state.Store(state)
	w.wake()
}

// isLong, and barges: a waiter that a wake can bring to the lane by itself.
func (w *waiter) isLong() bool { return w.line.kind == kindLong || w.line.kind == kindCold }
func (w *waiter) barges() bool {
	return w.line.kind != kindLong && w.line.kind != kindJob && w.line.kind != kindCold
}

// settle tells a waiter what became of it; queued work is told when the lock is gone.
func (s *Scheduler) settle(w *waiter, state int32) {
	if w.work == nil {
		w.finish(state)
		return
	}
	w.state.Store(state)
	if state == stateGranted {
		s.idle--
		s.reflag()
	}
	s.started = append(s.started, started{s, w})
}

// newWaiter makes a waiter of class c with the time it came and what its context says.
func (s *Scheduler) newWaiter(ctx context.Context, c *Class) *waiter {
	w := waiters.Get().(*waiter)
	select {
	case <-w.ready: // left over from its last life
	default:
	}
	s.fill(w, ctx, c)
	return w
}

func (s *Scheduler) fill(w *waiter, ctx context.Context, c *Class) {
	w.state.Store(stateWaiting)
	w.class, w.ahead = c, c.queued
	w.since = s.cfg.Now()
	w.due, w.deadline, w.done, w.holds, w.takes, w.ends = w.since+int64(Patience), 0, ctx.Done(), 0, 0, false
	if w.done == nil {
		return
	}
	if d, ok := ctx.Deadline(); ok {
		w.deadline = max(s.epochNow+int64(min(max(d.Sub(s.epoch), math.MinInt64/2), math.MaxInt64/2)), 1)
		w.due = min(w.due, w.deadline)
	}
}

// recycle gives a waiter back that is in no line.
func (w *waiter) recycle() {
	w.class, w.line, w.done, w.grant, w.history, w.work, w.ctx, w.refused = nil, nil, nil, Grant{}, nil, nil, nil, nil
	waiters.Put(w)
}

// enqueue puts w into a line. The caller lets free lanes look at it (revisit).
func (s *Scheduler) enqueue(w *waiter, ln *line) {
	if s.waiting == 0 {
		s.startContention()
	}
	c := w.class
	if c.queued+c.resuming == 0 {
		s.activate(c)
	}
	s.seq++
	w.seq, w.line = s.seq, ln
	if ln.kind == kindResume {
		w.due = 0
	}
	if ln.kind != kindResume && c.queued == 0 {
		if c.leaving.at, c.above = w.since, 0; s.queued == 0 {
			s.leaving.at = w.since
		}
	}
	s.count(ln, 1)
	ln.add(w)
	s.await(c, w.since, false)
	s.place(ln)
	s.reflag()
	for i := range s.lanes {
		if l := &s.lanes[i]; l.waiting {
			s.pace(l, Watch)
		}
	}
	s.revisit = true
}

// dequeue takes w out of its line.
func (s *Scheduler) dequeue(w *waiter) {
	ln := w.line
	ln.drop(w)
	s.count(ln, -1)
	s.await(ln.class, 0, false)
	s.place(ln)
	s.reflag()
	s.callOff(w)
}

// move puts a waiter for any lane into the other line of its class. It has not just come: it keeps its place, and
// its class its virtual time.
func (s *Scheduler) move(w *waiter, to *line) {
	from := w.line
	from.drop(w)
	s.place(from)
	w.line = to
	to.add(w)
	s.place(to)
	s.callOff(w)
	s.revisit = true
}

func (l *line) add(w *waiter) {
	if l.waiters.len() == 0 {
		l.last = 0
	}
	l.last = max(l.last, w.due)
	l.holds += w.holds
	l.takes += w.takes
	l.waiters.push(w)
}

func (l *line) drop(w *waiter) {
	l.waiters.remove(w.place)
	l.holds -= w.holds
	l.takes -= w.takes
}

// callOff tells the lane for which w was woken not to count on it.
func (s *Scheduler) callOff(w *waiter) {
	if l := w.candidate; l != nil {
		w.candidate, l.candidate = nil, nil
		l.set(flagCall)
		s.revisit = true
	}
}

func (s *Scheduler) count(ln *line, n int) {
	resuming := 0
	if ln.kind == kindResume {
		resuming = n
	}
	s.queued += n - resuming
	s.resumes += resuming
	for x := ln.share; x.up != nil; x = &x.up.share {
		x.count(n, resuming, x.fresh)
	}
}

// place puts a line into its heap, in its right place, or takes it out, as its waiters and the class's
// limit say; and the line above it, if that is its first or was its last.
func (s *Scheduler) place(ln *line) {
	in := ln.waiters.len()+ln.kids.len() > 0 && (ln.kind == kindResume || ln.kind == kindNested || !ln.class.atLimit())
	switch {
	case in && ln.place < 0:
		ln.home.push(ln)
	case !in && ln.place >= 0:
		ln.home.remove(ln.place)
	default:
		return
	}
	if ln.above != nil {
		s.place(ln.above)
	}
}

// unplace takes a line out of its heap.
func (s *Scheduler) unplace(ln *line) {
	ln.home.remove(ln.place)
	if ln.above != nil {
		s.place(ln.above)
	}
}

// restamp puts c, and the groups it is in, behind those of equal virtual time, and their lines where they belong.
func (s *Scheduler) restamp(c *Class) {
	s.stamps++
	for x := &c.share; x.up != nil; x = &x.up.share {
		x.stamp = s.stamps
		for _, ln := range x.lines {
			if ln.place >= 0 {
				ln.home.fix(ln.place)
			}
		}
	}
}

// startContention is called when somebody begins to wait and nobody did. What was used up to now was
// nobody else's loss: the virtual clock has moved to the class that used most (advance), and everybody starts there.
func (s *Scheduler) startContention() {
	s.foldDirty()
	idled := s.idled
	s.idled = false
	for i := range s.lanes {
		l := &s.lanes[i]
		w := l.load()
		// A class that was seated and still holds had its turn by rank: it keeps its place.
		if w.held() && (idled || l.seated != w.class()) {
			for x := &s.classes[w.class()].share; x.up != nil; x = &x.up.share {
				x.vtime = max(x.vtime, x.up.clock)
			}
		}
	}
}

// maxCredit is how far a class that has work again and again may be behind the virtual clock, in held
// nanoseconds. A task of another class that computes for 50 ms puts the class behind by as much: with 20 ms, 200 µs tasks
// lost 9% of their share beside such tasks.
const maxCredit = 50e6

// enter and leave keep the counts of a bounded class and its bounded parents, and their lines in or out of their heaps.
func (s *Scheduler) enter(c *Class) { s.inside(c, 1) }

func (s *Scheduler) leave(c *Class) {
	if c.limited() {
		s.inside(c, -1)
		s.revisit = true
	}
}

// inside notes that n more grants of c are in flight. Below a bounded class all are bounded.
func (s *Scheduler) inside(c *Class, n int) {
	for ; c != nil && c.limited(); c = c.parent {
		c.inUse += n
		for _, ln := range c.lines {
			s.place(ln)
		}
		if c.group != nil {
			for _, ln := range c.group.lines {
				s.place(ln)
			}
		}
		s.reflag()
	}
}
