package scheduler

import (
	"context"
	"time"
)

// Nearest deadline first is the best order for work that can all be done in time. When there is a little too much, the order is the
// worst: each waiter has waited for so long when its turn comes that its work cannot end in time any more, and the lane is used for
// work that is interrupted. (Locke, Best-effort decision making for real-time scheduling, 1986; the remedy, to test who is
// admitted and to drop who is late, is that of Buttazzo and Stankovic's robust earliest deadline, 1993.) So work that is expected to
// end after its deadline is refused, if others can use the lane instead of it:
//
//   - when its turn has come, and less is left of its deadline than 5/4 of what it is expected to take;
//   - when it comes, and those of its line who are due before it take the rest.
//
// No more than four are refused when they come for one that has its turn: the others wait, and are refused at their turn. Else callers who try again at once would
// do nothing else, and take the processors from Python.
//
// Four rules keep a wrong estimate from doing harm. Work that does not have to wait is never refused. Work of which little is known
// is never refused. The last waiter that could have a lane is never refused, so that no lane is idle for an estimate. And when a
// function's work was refused for so long, one is let in whatever is expected: see probeEvery.

// probeEvery bounds what is tried against the estimate: work is let in that is expected to be late when none of its function
// has had a turn, and nothing was tried, for so many times as is left of its deadline. A try costs what is left at the most, as it is
// interrupted then: 1/16 of the lane.
const probeEvery = 16

// outside reports whether the line's waiters are not inside Python yet, where others may wait for them.
func (l *line) outside() bool {
	return l.kind == kindNew || l.kind == kindLong || l.kind == kindJob || l.kind == kindCold
}

// misses reports whether w is expected to end after its deadline if it begins now. The margin is for what is no Python: to wake
// up, and to ask for the GIL.
func (w *waiter) misses(now int64) bool {
	if !w.ends || w.history.sleeps() { // who sleeps leaves the lane to others anyway
		return false
	}
	takes := w.history.takes()
	return takes > 0 && now+takes+takes/4 > w.deadline
}

// late reports whether w, which is next for lane l, is to be refused.
func (s *Scheduler) late(l *lane, w *waiter) bool {
	if !w.ends {
		return false
	}
	now := s.cfg.Now()
	if !w.misses(now) || !s.others(l, w) {
		return false
	}
	past, every := w.history, probeEvery*(w.deadline-now)
	past.turnAt.CompareAndSwap(0, now)
	return now-past.turnAt.Load() < every || now-s.triedAt < every
}

// others reports whether somebody else may have lane l if w does not get it.
func (s *Scheduler) others(l *lane, w *waiter) bool {
	if w.line.waiters.len() > 1 {
		return true
	}
	for ln := w.line; ln.above != nil; ln = ln.above {
		if ln.home.len() > 1 { // in its group
			return true
		}
	}
	lines := s.general.len() + s.nested.len() + l.pinned.len() + l.resumes.len()
	if s.idle > 0 {
		lines += s.jobs.len()
	}
	if w.line.kind != kindLong && w.line.kind != kindCold { // w's own
		lines--
	}
	return lines > 0
}

// peer is the history of work that may be refused, nil for other work: it does not overtake its like, see endsBefore.
func (w *waiter) peer() *History {
	if w.ends {
		return w.history
	}
	return nil
}

// peer is that of work that has just come.
func peer(ctx context.Context, h *History, p Cancellation) *History {
	if h != nil && p != Never {
		if _, ok := ctx.Deadline(); ok {
			return h
		}
	}
	return nil
}

// endsBefore reports whether work with history h, which has used so much, is expected to have no more left than next will use. Then
// next, which has a deadline, is not sent after it as an heir: two who share the lane both end when the second would have, and
// both too late. Work that uses more than is expected of it is overtaken as ever, and what is shorter, or known little of, overtakes.
func (h *History) endsBefore(used int64, next *History) bool {
	if h == nil || next == nil {
		return false
	}
	holds := h.holds()
	left := holds + holds/4 - used
	return holds > 0 && left > 0 && left <= next.holds()+next.holds()/4
}

// note keeps the last grant of l that was made under the lock.
func (l *lane) note(g Grant, now int64) { l.granted, l.history, l.grantedAt = g.gen, g.history, now }

// at is when that grant was made, 0 if another was since, without the lock.
func (l *lane) at(gen uint64) int64 {
	if l.granted != gen {
		return 0
	}
	return l.grantedAt
}

// since is how long work took that was granted then, and has held the GIL for so long.
func since(granted, held, now int64) int64 {
	if granted == 0 {
		return held
	}
	return max(now-granted, held)
}

// hasTurn notes that w, which had to wait, is granted.
func (s *Scheduler) hasTurn(w *waiter) {
	if !w.ends {
		return
	}
	now := s.cfg.Now()
	w.history.turnAt.Store(now)
	if w.misses(now) {
		s.triedAt = now
	}
}

// expect notes how long w is expected to take, before it enters the line ln, and that it may be refused as p says. The error is for
// one for which those in line leave too little. They are counted if all of them are due before it.
func (s *Scheduler) expect(w *waiter, ln *line, p Cancellation) error {
	if w.history == nil || !ln.outside() {
		return nil
	}
	w.holds, w.takes, w.ends = w.history.holds(), w.history.takes(), p != Never && w.deadline != 0
	if w.due < ln.last || w.misses(w.since) {
		return nil
	}
	before := s.before(ln)
	if before == 0 || !w.misses(w.since+before) || w.since-w.class.lateAt < w.takes/4 {
		return nil
	}
	w.class.lateAt = w.since
	w.class.late++
	return w.lateError(w.since, before, ln)
}

// before is how long those in line need to get their turns: as long as they hold the GIL at the least, or as the class's last turns took, which
// have seen the other classes; but not longer than all of them take, for one long wait makes the mean of the turns large.
func (s *Scheduler) before(ln *line) int64 {
	n := int64(len(s.lanes))
	return min(max(ln.holds/n, int64(ln.waiters.len())*ln.class.leaving.gap), ln.takes/n)
}

// refuseLate tells w that it would end too late.
func (s *Scheduler) refuseLate(w *waiter) {
	s.dequeue(w)
	w.class.late++
	w.refused = w.lateError(s.cfg.Now(), 0, w.line)
	s.settle(w, stateRefused)
}

func (w *waiter) lateError(now, before int64, ln *line) *LateError {
	takes := w.history.takes()
	retry := ln.class.s.before(ln) + takes + takes/4 - (w.deadline - w.since)
	return &LateError{
		Class: w.class.name, Waited: time.Duration(now - w.since), Left: time.Duration(max(w.deadline-now, 0)),
		Before: time.Duration(before), Expected: time.Duration(takes), RetryAfter: time.Duration(max(retry, int64(time.Millisecond))),
	}
}
