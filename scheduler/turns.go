package scheduler

import "time"

// Virtual time tells which class is next, and may let one wait for as long as all the others are behind it: some 50 ms for each of them. So a
// class whose work is not long has a turn, whatever its virtual time, when it has waited for turnAfter and for the time in which its share of the GIL is one
// such task. So turns alone give no class more than its share.
const (
	turnAfter = int64(8 * time.Millisecond)
	// leastTask is what a task counts for at the least, and one of which nothing is known.
	leastTask = int64(100 * time.Microsecond)
)

// turn is when a class that waits is overdue.
type turn struct {
	class *Class
	at    int64
	place int // in Scheduler.turns, -1 while nobody of the class waits
}

func (t *turn) before(o *turn) bool { return t.at < o.at }
func (t *turn) setPlace(i int)      { t.place = i }

// await begins and ends the wait for c's turn as it has somebody waiting or not; with served it has just had one.
func (s *Scheduler) await(c *Class, now int64, served bool) {
	waits := c.queued+c.resuming > 0
	switch t := &c.turn; {
	case waits && t.place < 0:
		s.competing += c.weight
		t.at = s.turnAt(c, now)
		s.turns.push(t)
	case !waits && t.place >= 0:
		s.turns.remove(t.place)
		if s.competing -= c.weight; s.turns.len() == 0 {
			s.competing = 0 // what rounding has left
		}
	case waits && served:
		t.at = s.turnAt(c, now)
		s.turns.fix(t.place)
	}
}

// turnAt is when c is overdue that was served now. Of the classes that compete only those count that wait: more would only make it later.
func (s *Scheduler) turnAt(c *Class, now int64) int64 {
	task := leastTask
	if c.general.waiters.len() > 0 {
		if h := c.general.waiters.top().history; h != nil {
			task = max(task, h.holds())
		}
	}
	return now + turnAfter + int64(min(float64(task)*s.competing/c.weight, float64(Patience)))
}

// overdue is the line whose turn it is on lane l whatever the virtual times are, nil if there is none. With full as pick.
func (s *Scheduler) overdue(l *lane, full bool) *line {
	for s.turns.len() > 0 && s.turns.top().at <= s.tickedAt {
		c := s.turns.top().class
		if ln := c.shortest(l, full); ln != nil && c.runners == 0 {
			return ln
		}
		s.await(c, s.tickedAt, true) // what it has is long, or for another lane, or a task of the class computes
	}
	return nil
}

// shortest is the next of c's lines for lane l whose work is not long, nil if there is none.
func (c *Class) shortest(l *lane, full bool) (best *line) {
	lines := [...]*line{c.nested, nil, nil, nil, nil}
	if c.resumes != nil {
		lines[1] = c.resumes[l.index]
	}
	if !full {
		lines[2] = c.general
		if c.pinned != nil {
			lines[3] = c.pinned[l.index]
		}
		if c.s.idle > 0 {
			lines[4] = c.jobs
		}
	}
	for _, ln := range lines {
		if ln != nil && ln.place >= 0 && (best == nil || ln.before(best)) {
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
