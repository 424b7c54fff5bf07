package scheduler

import (
	"context"
	"time"
)

// acquireSlow is Acquire under the lock: take a free lane, or queue and wait.
func (s *Scheduler) acquireSlow(ctx context.Context, c *Class, h *History, lane int, p Cancellation) (Grant, error) {
	g, w, err := s.request(ctx, c, h, lane, p)
	if w == nil {
		return g, err
	}
	return s.wait(ctx, w)
}

// request is acquireSlow without the wait: a grant, or a waiter in its line, or an error.
func (s *Scheduler) request(ctx context.Context, c *Class, h *History, lane int, p Cancellation) (Grant, *waiter, error) {
	s.mu.Lock()
	defer s.unlock()
	if s.closed {
		return Grant{}, nil, ErrClosed
	}
	c, err := s.current(c)
	if err != nil {
		return Grant{}, nil, err
	}
	for i := range s.lanes {
		s.tend(&s.lanes[i]) // which may tell that h is long
	}
	long := lane == anyLane && h.Long()
	if !long {
		if g, ok := s.take(c, peer(ctx, h, p), lane); ok {
			g.history = h
			s.lanes[g.lane].note(g, c.activeAt)
			if h.sleeps() {
				s.aside(&s.lanes[g.lane], g, false)
			}
			return g, nil, nil
		}
		if g, ok := s.beside(c, h, lane); ok {
			return g, nil, nil
		}
	}
	if err := s.admit(c); err != nil {
		return Grant{}, nil, err
	}
	w := s.newWaiter(ctx, c)
	w.history = h
	ln := c.general
	switch {
	case long:
		ln = c.lineFor(h)
	case lane == nestedLane:
		ln = c.line(kindNested, nil)
	case lane >= 0:
		ln = c.line(kindPinned, &s.lanes[lane])
	}
	if err := s.expect(w, ln, p); err != nil {
		w.recycle()
		return Grant{}, nil, err
	}
	s.enqueue(w, ln)
	return Grant{}, w, nil
}

// unlock ends a turn under the lock: free lanes that may have become of use are looked at, drainers
// told, and the pacer armed once the lock is gone.
func (s *Scheduler) unlock() {
	for s.revisit {
		s.revisit = false
		for i := range s.lanes {
			if l := &s.lanes[i]; l.waiting && l.candidate == nil {
				s.recount(0) // what dispatch counts: a grant that was set aside may have made the cap near
				s.dispatch(l)
			} else if !l.waiting {
				s.unstand(l)
			}
		}
	}
	s.recount(0)
	if s.drainers > 0 && s.quiet() {
		close(s.drained)
		s.drained = make(chan struct{})
	}
	if len(s.arm)+len(s.started) == 0 {
		s.mu.Unlock()
		return
	}
	started := s.started
	s.started = nil
	var buf [8]arming
	arm := append(buf[:0], s.arm...)
	s.arm = s.arm[:0]
	s.mu.Unlock()
	for _, w := range started {
		w.tell()
	}
	for _, a := range arm {
		s.cfg.Arm(a.lane, a.pace)
	}
}

// take grants c a free lane that nobody waits for, or that c itself barges on.
func (s *Scheduler) take(c *Class, peer *History, lane int) (Grant, bool) {
	if lane != nestedLane && (c.barred() || s.full(0)) {
		return Grant{}, false
	}
	first, n := lane, 1
	if lane < 0 {
		first, n = s.likelyLane(), len(s.lanes)
	}
	for i := range n {
		l := &s.lanes[(first+i)%len(s.lanes)]
		w := l.load()
		if w.held() || l.waiting && (w.class() != int(c.index) || l.candidate == nil || l.left.Load() <= 0) || s.owed(l, c, peer) != nil {
			continue
		}
		to := w.next(c.index)
		if l.cas(w, to) {
			s.enter(c)
			s.taken(l, c)
			return Grant{class: c, gen: to.gen(), lane: l.index}, true
		}
	}
	return Grant{}, false
}

// beside grants c a lane that nobody waits for, whose primary is elsewhere and lapses: of several the one with
// the fewest grants away, who all may come back to it.
func (s *Scheduler) beside(c *Class, h *History, which int) (Grant, bool) {
	if s.cfg.Elsewhere == nil || which == nestedLane || c.barred() {
		return Grant{}, false
	}
	first, n := max(which, 0), 1
	if which < 0 {
		n = len(s.lanes)
	}
	s.recount(1) // before full: the one that lapses counts beside the new one
	var l *lane
	var w word
	for i := range n {
		at := &s.lanes[first+i]
		if l != nil && at.away.Load()+at.moored() >= l.away.Load()+l.moored() {
			continue
		}
		if is := at.load(); is.held() && !at.waiting && at.proxy == nil && len(at.runners) == 0 && s.cfg.Elsewhere(int(at.index), is.gen()) {
			l, w = at, is
		}
	}
	if l == nil || s.full(0) {
		return Grant{}, false
	}
	to := w.next(c.index)
	if !l.cas(w, to) {
		return Grant{}, false
	}
	s.lapsed(w, l, s.classes[w.class()], l.pastOf(w), l.at(w.gen()), Look{Known: true}, false)
	s.enter(c)
	s.taken(l, c)
	g := Grant{class: c, gen: to.gen(), lane: l.index, history: h}
	l.note(g, c.activeAt)
	return g, true
}

// admit refuses a waiter for whom there is no room.
func (s *Scheduler) admit(c *Class) error {
	e := &SaturatedError{Class: c.name}
	switch full := c.fullQueue(); {
	case s.queued >= s.cfg.MaxQueued:
		e.Queued, e.Limit, e.RetryAfter = s.queued, s.cfg.MaxQueued, s.clears(&s.leaving, c, s.queued)
	case full != nil:
		e.Class, e.Queued, e.Limit, e.PerClass, e.RetryAfter = full.name, full.whole().queued, full.maxQueued, true, s.clears(&c.leaving, c, max(c.queued, 1))
	default:
		return nil
	}
	c.rejected++
	return e
}

// arrive is what a waiter does that was woken without a grant: if it is a lane's candidate and the lane
// is free, the lane goes to whoever is next, mostly itself. If not, it came in vain.
func (s *Scheduler) arrive(w *waiter) {
	s.mu.Lock()
	defer s.unlock()
	l := w.candidate
	if l == nil {
		return
	}
	w.candidate, l.candidate = nil, nil
	if s.dispatch(l) {
		l.backoff = 0
		return
	}
	if s.cfg.Arm == nil {
		// No pacer would find the lane free: the very next release must come by.
		l.set(flagCall)
		s.revisit = true
		return
	}
	l.settle()
	l.backoff = min(max(2*l.backoff, minBackoff), maxBackoff)
	l.lend(min(l.sliceLeft, l.backoff))
}

// releaseSlow is Release under the lock. charged: the class was; counted: the slice was.
func (s *Scheduler) releaseSlow(g Grant, ns int64, charged, counted bool) {
	s.mu.Lock()
	c, l := g.class, &s.lanes[g.lane]
	w := l.load()
	if !w.held() || w.gen() != g.gen || l.proxy != nil {
		s.releaseLapsed(g, ns, charged)
		s.unlock()
		return
	}
	if charged {
		s.foldMany()
		c.fold()
	} else {
		c.chargeLocked(ns, 1)
	}
	if !counted {
		l.left.Add(-ns - grantCost)
	}
	s.finished(l, g, ns)
	s.vacate(l, c, 1)
	if s.slow {
		s.revisit = true
	}
	s.unlock()
}

// finished closes the books of a primary that is about to go.
func (s *Scheduler) finished(l *lane, g Grant, ns int64) {
	paid := l.repay()
	if paid != 0 {
		g.class.advance(float64(-paid))
	}
	g.history.learn(paid, ns)
	now := s.cfg.Now()
	g.history.ended(ns, since(l.at(g.gen), ns, now))
	g.class.touch(now)
	s.leave(g.class)
}

// vacate frees lane l, whose primary of class c goes: to barging within the slice, by direct hand-over
// after it. leaving is 0 if the grant stays in flight (suspended), which also ends the slice.
func (s *Scheduler) vacate(l *lane, c *Class, leaving int) {
	var next *waiter
	if l.waiting {
		c.fold()
		next = s.pick(l, s.full(leaving))
	}
	if next == nil {
		l.clear(flagHeld | flagCall)
		return
	}
	if r := s.owedBefore(l, next); r != nil {
		l.clear(flagHeld | flagCall)
		s.stand(l, r)
		return
	}
	l.settle()
	if l.sliceLeft <= 0 {
		s.renew(l, c, next)
	}
	otherwise := next.candidate != nil && next.candidate != l // on its way to another lane
	if leaving == 0 || l.sliceLeft <= 0 || otherwise || !next.barges() {
		s.seat(l, l.load(), next)
		return
	}
	if l.candidate == nil {
		l.candidate, next.candidate = next, l
		next.wake()
	}
	l.lend(l.sliceLeft)
	l.clear(flagHeld | flagCall)
}

// renew gives class c another slice if it has had less than its share and only others wait.
func (s *Scheduler) renew(l *lane, c *Class, next *waiter) {
	ahead := c.lead(next.class)
	if next.class == c || next.overdue || ahead <= 0 || l.renewals >= maxRenewals {
		return
	}
	l.renewals++
	l.sliceLeft = min(s.slice(), int64(min(ahead, 1e15)))
}

// dispatch grants lane l, if it is free, to whoever is next.
func (s *Scheduler) dispatch(l *lane) bool {
	if l.load().held() && l.proxy == nil {
		return false
	}
	next := s.pick(l, s.full(0))
	if next == nil {
		l.nobodySoon()
		s.unstand(l)
		return false
	}
	if r := s.owedBefore(l, next); r != nil {
		if r.class != next.class {
			l.quiet = r.class.ahead(next.class)
		}
		s.stand(l, r)
		return false
	}
	from := l.load() // now: pick may have set flags
	return (!from.held() || l.proxy != nil) && s.seat(l, from, next)
}

// pick is who is next for lane l, nil if nobody may be granted. With full only resumed and nested work
// may: its thread counts already. Waiters whose context has ended are told and passed over.
func (s *Scheduler) pick(l *lane, full bool) *waiter {
	s.classes[l.load().class()].fold() // who had the lane last may not wait again: its parents are charged, and joins moves on, all the same
	for {
		var best *line
		overdue := s.overdue(l, full)
		for i, h := range [...]*heap[*line]{&s.nested, &l.pinned, &s.general} {
			if full && i > 0 {
				break
			}
			if ln := freshest(h); ln != nil && (best == nil || ln.before(best)) {
				best = ln
			}
		}
		if !full {
			best = s.pickQueued(l, best)
		}
		// Last: of its own class it is held against the one that is next of the others, see line.before.
		if ln := freshest(&l.resumes); ln != nil && (best == nil || ln.before(best)) {
			best = ln
		}
		if overdue != nil {
			best = overdue
		}
		if best == nil {
			return nil
		}
		w := best.waiters.top()
		w.overdue = overdue != nil
		if best.kind == kindNew && w.history.Long() { // it was not known to be when it came
			s.move(w, w.class.lineFor(w.history))
			continue
		}
		switch {
		case s.expired(w):
			s.dequeue(w)
			s.settle(w, stateExpired)
		case s.stale(w):
			s.shed(w)
		case s.late(l, w):
			s.refuseLate(w)
		default:
			return w
		}
	}
}

// pickQueued is pick among the work that needs more than the lane: a worker, or a long task's place.
func (s *Scheduler) pickQueued(l *lane, best *line) *line {
	if s.idle > 0 {
		if ln := freshest(&s.jobs); ln != nil && (best == nil || ln.before(best)) {
			best = ln
		}
	}
	best = s.pickCold(l, best)
	ln := freshest(&s.long)
	for ; ln != nil && !ln.waiters.top().history.known(); ln = freshest(&s.long) { // it was taken to be when it came
		w := ln.waiters.top()
		s.move(w, w.class.general)
		if best == nil || w.class.general.before(best) {
			best = w.class.general
		}
	}
	if ln == nil || best != nil && !ln.before(best) {
		return best
	}
	if s.expects(ln.class) {
		l.quiet = leftAfter
		return best
	}
	patience := longPatience
	if ln.class.runners > 0 { // its class has what it may have
		patience = int64(Patience)
	}
	if len(l.runners) >= s.cfg.MaxLong && !l.behind(ln.class) && s.cfg.Now()-ln.waiters.top().since < patience {
		return best
	}
	return ln
}

// pickCold lets one of a class's cold work in each coldPatience: the next call may be short, and tells so.
func (s *Scheduler) pickCold(l *lane, best *line) *line {
	for ln := freshest(&s.cold); ln != nil; ln = freshest(&s.cold) {
		w, c := ln.waiters.top(), ln.class
		if w.history.cold() {
			waits := len(l.runners) >= s.cfg.MaxLong && !l.behind(c)
			if s.expects(c) {
				l.quiet = leftAfter
				return best
			}
			if best != nil && !ln.before(best) || waits && s.cfg.Now()-max(w.since, c.coldAt) < coldPatience {
				return best
			}
			return ln
		}
		to := c.lineFor(w.history) // more is known of it now
		s.move(w, to)
		if to == c.general && (best == nil || to.before(best)) {
			best = to
		}
	}
	return best
}

// coldPatience is how long cold work waits for the call before it. Two long ones at once say that a function is long (enoughLong), so that
// three of these waits at the most add up, to less than 50 ms.
const coldPatience = int64(15 * time.Millisecond)

// lineFor is where new work for any lane belongs that cannot go at once.
func (c *Class) lineFor(h *History) *line {
	switch {
	case h.known():
		return c.line(kindLong, nil)
	case h.cold():
		return c.line(kindCold, nil)
	}
	return c.general
}

// seating is a class that was granted a lane by rank, and when.
type seating struct {
	class *Class
	at    int64
}

// leftAfter is after how long without a grant a class is taken to have no more work.
const leftAfter = int64(200 * time.Microsecond)

// expects reports whether a class that has used less than c will be back: it was given a lane a moment ago. A
// long task cannot be called back, so one of c comes in when the others have gone, and not in a moment
// between two of their tasks.
func (s *Scheduler) expects(c *Class) bool {
	now := s.cfg.Now()
	for _, x := range s.seats {
		if x.class != nil && x.class != c && x.class.lead(c) > 0 && now-x.at < leftAfter {
			return true
		}
	}
	return false
}

// longPatience is how long work that is known to be long waits for that of other classes.
const longPatience = int64(time.Second)

// freshest is the first line of h once what its class was charged without the lock is taken in.
func freshest(h *heap[*line]) *line {
	for h.len() > 0 {
		ln := h.top()
		for ln.inner {
			ln = ln.kids.top()
		}
		if !ln.class.fold() {
			return ln
		}
	}
	return nil
}

func (s *Scheduler) expired(w *waiter) bool {
	if w.done == nil {
		return false
	}
	select {
	case <-w.done:
		return true
	default:
		// Timers are late on a busy machine; the deadline is not.
		return w.deadline != 0 && s.cfg.Now() >= w.deadline
	}
}

// seat makes w the primary of lane l, whose state was from. It fails if somebody else has been faster.
func (s *Scheduler) seat(l *lane, from word, w *waiter) bool {
	c := w.class
	to := from.next(c.index)
	if !l.cas(from, to) {
		return false
	}
	if w.candidate == l {
		w.candidate, l.candidate = nil, nil
	}
	l.proxy = nil
	l.seated = int(c.index)
	if from.held() {
		s.classes[from.class()].touch(s.cfg.Now())
	}
	isResume := w.line.kind == kindResume
	s.hasTurn(w)
	c.hasLane()
	if w.line.kind == kindCold {
		c.coldAt = s.cfg.Now()
	}
	if w.line.sheds() {
		s.waited(w)
	}
	s.dequeue(w)
	if isResume {
		s.back(w.resumes, c)
	} else {
		s.enter(c)
	}
	l.startSlice(s.slice())
	s.taken(l, c)
	w.grant = Grant{class: c, gen: to.gen(), lane: l.index, history: w.history}
	if !isResume {
		c.leaving.note(c.activeAt)
		s.leaving.note(c.activeAt)
	}
	if l.note(w.grant, c.activeAt); isResume {
		l.grantedAt = 0 // it began before
	}
	if long := w.isLong(); long || w.line == c.general && w.history.sleeps() {
		s.aside(l, w.grant, long)
	}
	s.settle(w, stateGranted)
	return true
}

// aside lapses a primary at once, so that another may have the lane. A primary that is known to be long computes, and is one of the lane's
// runners; the other kind is known to sleep.
func (s *Scheduler) aside(l *lane, g Grant, computes bool) {
	a := &absence{ticket: ticket{g.gen, l.index}, class: g.class, history: g.history, grantedAt: l.at(g.gen)}
	if computes {
		s.run(l, a)
	}
	s.leaveLane(a)
	s.retune(1)
	l.clear(flagHeld | flagCall)
	s.revisit = true
}

// behind reports whether c has used less than the class of every runner: then it need not wait for them.
func (l *lane) behind(c *Class) bool {
	for _, r := range l.runners {
		if r.class.lead(c) >= 0 { // c's own is level
			return false
		}
	}
	return true
}
