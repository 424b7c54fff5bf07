package scheduler

import "time"

// Shedding looks for what CoDel looks for (Nichols and Jacobson, Controlling Queue Delay, 2012), a queue that
// stands: for an interval, each waiter that was granted had waited for longer than the target, and the queue was
// never empty. A burst drains and is let pass. What CoDel does then, to shed one now and one sooner after it, is for
// senders that slow down; callers do not, and at twice the capacity it takes minutes to shed half. So from then on
// every waiter is shed that has waited for longer than the target, until that has been necessary to nobody for an
// interval. The head of the line is then always just younger than the target, however many come: it bounds the wait
// of those who are granted, and there is always one to grant. RATIONALE.md has what others did in the simulation.

// minTarget is the least TargetWait: what a wake-up of a goroutine and a look of the pacer can take.
const minTarget = time.Millisecond

// maxTarget keeps an interval within what a deadline may be.
const maxTarget = time.Minute

// standing is what a class with a target knows of its waits.
type standing struct {
	target   int64 // 0: none
	interval int64
	above    int64 // since when each waiter that was granted had waited for longer; 0 if the last had not
	until    int64 // waiters are shed until then
	listed   bool  // in Scheduler.shedding
}

// standingAt is for a target. The interval: with less, bursts are shed that would have been through after as many
// targets; with more, those who are admitted before it is over are more than one in a hundred in 10 s.
func standingAt(target time.Duration) standing {
	return standing{target: int64(target), interval: max(5*int64(target), int64(20*time.Millisecond))}
}

// sheds reports whether the line's waiters count, and may be shed. Work that comes back, is bound to a lane or is
// nested is inside Python already, or may be what others there wait for.
func (l *line) sheds() bool {
	return l.class.target != 0 && l.outside()
}

// waited notes that w is granted, at the head of its line.
func (s *Scheduler) waited(w *waiter) {
	now, c := s.cfg.Now(), w.class
	switch {
	case now-w.since <= c.target:
		c.above = 0
	case c.above == 0:
		c.above = now
	case now-c.above >= c.interval:
		s.keepShedding(c, now)
	}
}

func (s *Scheduler) keepShedding(c *Class, now int64) {
	c.until = now + c.interval
	if !c.listed {
		c.listed = true
		s.shedding = append(s.shedding, c)
	}
}

// stale reports whether w is to be shed: not the last ones, for a lane without work serves nobody.
func (s *Scheduler) stale(w *waiter) bool {
	c := w.class
	if c.until == 0 || !w.line.sheds() || w.line.waiters.len() <= len(s.lanes) {
		return false
	}
	now := s.cfg.Now()
	return now < c.until && now-w.since > c.target
}

// shed sends w away.
func (s *Scheduler) shed(w *waiter) {
	c, now := w.class, s.cfg.Now()
	s.keepShedding(c, now)
	s.dequeue(w)
	c.shed++
	after := max(s.clears(&c.leaving, c, c.queued), time.Duration(c.interval))
	w.refused = &SaturatedError{Class: c.name, Queued: c.queued, PerClass: true, Shed: true, Waited: time.Duration(now - w.since), RetryAfter: after}
	s.settle(w, stateRefused)
}

// shedStale sheds those whose turn does not come: a deadline keeps others before them, or a class that has used less,
// or a task that goes on and on. Each is told at once and not when it would have been its turn.
func (s *Scheduler) shedStale() {
	if len(s.shedding) == 0 {
		return
	}
	now := s.cfg.Now()
	if now-s.shedAt < int64(time.Millisecond) {
		return
	}
	s.shedAt = now
	kept := s.shedding[:0]
	for _, c := range s.shedding {
		for _, ln := range c.lines {
			for i := 0; i < ln.waiters.len(); {
				if w := ln.waiters.items[i]; s.stale(w) {
					s.shed(w) // and another takes its place
				} else {
					i++
				}
			}
		}
		if c.listed = now < c.until; c.listed {
			kept = append(kept, c)
		}
	}
	clear(s.shedding[len(kept):])
	s.shedding = kept
}

// leaving is how fast those who wait get their turns.
type leaving struct {
	at  int64 // when the last one did, or somebody came when nobody waited
	gap int64 // the mean of the times between the last ones
	n   int64 // how many it is the mean of
}

// leavingOver is over how many turns the mean goes.
const leavingOver = 64

func (p *leaving) note(now int64) {
	p.n = min(p.n+1, leavingOver)
	p.gap += (now - p.at - p.gap) / p.n
	p.at = now
}

// clears is how long n waiters of p need to get their turns: SaturatedError.RetryAfter.
func (s *Scheduler) clears(p *leaving, c *Class, n int) time.Duration {
	gap := p.gap
	if c.fold(); p.n == 0 && c.released > 0 { // nobody has waited yet
		gap = c.held / int64(c.released) / int64(len(s.lanes))
	}
	ns := max(float64(n)*float64(gap), float64(s.cfg.Now()-p.at), float64(time.Millisecond))
	return time.Duration(min(ns, float64(time.Hour))).Round(time.Microsecond)
}
