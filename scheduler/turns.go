package scheduler

import "time"

// Virtual time tells which class is next, and may let one wait for as long as all the others are behind it: some 50 ms for each of them. So a
// class whose work is not long has a turn, whatever its virtual time, when it has waited for turnAfter and for the time in which its share of the GIL is one
// such task. So turns alone give no class more than its share.
const (
	turnAfter = int64(8 * time.Millisecond)
	// leastTask is what a task counts for at the least, and one of which nothing is known.
	leastTask = int64(100 * time.Microsecond)
	// mostPassed bounds for how many classes one pick finds that their turn is of no use now.
	mostPassed = 16
)

// turn is when a class that waits is overdue: one that has no parent, with all below it.
type turn struct {
	share *share
	at    int64
	place int // in Scheduler.turns, -1 while nobody waits
}

func (t *turn) before(o *turn) bool { return t.at < o.at }
func (t *turn) setPlace(i int)      { t.place = i }

// await keeps the turn of c, or of the class at the root that c is below: the turn is in the heap as long as somebody waits. served says that a task of
// it was granted now, so that its turn is later.
func (s *Scheduler) await(c *Class, now int64, served bool) {
	x := c.under(&s.root)
	if x.turn == nil {
		x.turn = &turn{share: x, place: -1}
	}
	waits := x.queued+x.resuming > 0
	switch t := x.turn; {
	case waits && t.place < 0:
		s.competing += x.weight
		t.at = s.turnAt(x, c, now)
		s.turns.push(t)
	case !waits && t.place >= 0:
		s.turns.remove(t.place)
		if s.competing -= x.weight; s.turns.len() == 0 {
			s.competing = 0 // what rounding has left
		}
	case waits && served:
		t.at = s.turnAt(x, c, now)
		s.turns.fix(t.place)
	}
}

// turnAt is when x, which was served now, is overdue, if its tasks are like those of c.
func (s *Scheduler) turnAt(x *share, c *Class, now int64) int64 {
	task := leastTask
	if c.general.waiters.len() > 0 {
		if h := c.general.waiters.top().history; h != nil {
			task = max(task, h.holds())
		}
	}
	return now + turnAfter + int64(min(float64(task)*s.competing/x.weight, float64(Patience)))
}

// overdue is the line that is next for lane l because its class is overdue; nil if no class is. full is as for pick.
func (s *Scheduler) overdue(l *lane, full bool) *line {
	for range mostPassed {
		if s.turns.len() == 0 || s.turns.top().at > s.tickedAt {
			break
		}
		t := s.turns.top()
		if ln := s.next(t.share, l, full); ln != nil && t.share.runners == 0 {
			return ln
		}
		t.at = s.tickedAt + int64(time.Millisecond) // what it has is long, or for another lane, or a task of it computes
		s.turns.fix(t.place)
	}
	return nil
}

// next is the line of x that is next for lane l, of those whose work is not long; nil if there is none.
func (s *Scheduler) next(x *share, l *lane, full bool) (best *line) {
	for _, ln := range x.lines {
		fits := ln.kind == kindNested || ln.kind == kindResume && ln.lane == l
		if !full {
			fits = fits || ln.kind == kindNew || ln.kind == kindPinned && ln.lane == l || ln.kind == kindJob && s.idle > 0
		}
		if !fits || ln.place < 0 {
			continue
		}
		for ln.inner {
			ln = ln.kids.top()
		}
		if best == nil || ln.before(best) {
			best = ln
		}
	}
	return best
}

// owedBefore is the runner whose turn it is before next, nil if next may go.
func (s *Scheduler) owedBefore(l *lane, next *waiter) *absence {
	if next.overdue {
		return nil
	}
	return s.owed(l, next.class, next.peer())
}
