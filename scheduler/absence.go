package scheduler

import (
	"context"
	"time"
)

// ticket names one grant of one lane.
type ticket struct {
	gen  uint64
	lane uint32
}

// absence is a grant in flight that is not its lane's primary: it has lapsed, or is suspended.
type absence struct {
	ticket
	class     *Class
	suspended bool
	resuming  bool     // suspended, and waiting to come back
	told      bool     // its history knows that it is long
	seen      bool     // to compute: what it was charged does not prove that it is short
	computing bool     // lapsed, and one of its lane's runners
	since     int64    // when it left
	grantedAt int64    // 0: without the lock, or it was suspended
	usedTick  uint64   // the last Tick that saw it use the GIL
	history   *History // nil if it is not known
	prepaid   int64    // charged since it lapsed, to be set against what it turns out to have held
}

// Suspended is a grant whose holder works outside Python. Resume turns it into a grant again, once.
type Suspended struct {
	class   *Class
	gen     uint64
	lane    uint32
	history *History
	berth   *berth // in which it may be, nil if it was suspended under the lock
	since   int64  // in Scheduler.ticks
}

// Lane is the GIL to come back to.
func (x Suspended) Lane() int { return int(x.lane) }

func (s *Scheduler) leaveLane(a *absence) {
	a.since = s.cfg.Now()
	s.noteAway(a)
}

func (s *Scheduler) noteAway(a *absence) {
	s.away[a.ticket] = a
	s.lanes[a.lane].away.Add(1)
	if a.suspended {
		a.class.suspended++
	} else {
		a.class.lapsed++
	}
}

// back ends an absence: the grant is a primary again, or gone.
func (s *Scheduler) back(t ticket, c *Class) {
	a := s.away[t]
	s.stop(&s.lanes[t.lane], a)
	delete(s.away, t)
	s.lanes[t.lane].away.Add(-1)
	if a.suspended {
		c.suspended--
	} else {
		c.lapsed--
	}
	if s.slow {
		s.revisit = true
	}
}

// Suspend gives the lane to whoever is next while the holder works outside Python (AllowThreads). The
// grant stays in flight. held is charged as by Release. Suspending what was given back panics.
func (s *Scheduler) Suspend(g Grant, held time.Duration) Suspended {
	if g.class == nil {
		misuse("Suspend", int(g.lane), "")
	}
	ns := clampHeld(held)
	c, l, t := g.class, &s.lanes[g.lane], ticket{g.gen, g.lane}
	if ns < cellLimit && !l.load().flagged() {
		if b := l.moor(g, s.berths); b != nil {
			if _, ok := c.gather(g.lane, uint64(ns)); !ok {
				s.foldNow(c)
			}
			return Suspended{c, g.gen, g.lane, g.history, b, s.ticks()}
		}
	}
	s.mu.Lock()
	if w := l.load(); w.held() && w.gen() == g.gen {
		c.chargeLocked(ns, 0)
		c.advance(float64(-l.repay()))
		s.recount(1)
		s.vacate(l, c, 0)
		s.leaveLane(&absence{ticket: t, class: c, suspended: true})
	} else {
		a := s.settleLapsed("Suspend", t, c)
		c.chargeAbsent(a, ns, 0)
		s.stop(l, a)
		a.suspended, a.prepaid, a.grantedAt = true, 0, 0
		c.lapsed--
		c.suspended++
	}
	s.unlock()
	return Suspended{class: c, gen: g.gen, lane: g.lane, history: g.history, since: s.ticks()}
}

// Resume waits for the suspended grant's lane, ahead of new work of its class by resumeLead. It cannot be cancelled
// and never fails, not even when the scheduler is closed: the holder is inside Python and must be able
// to leave it. Resuming twice panics.
func (s *Scheduler) Resume(x Suspended) Grant {
	if x.class != nil {
		s.lanes[x.lane].linger(s.linger)
	}
	g, w := s.askResume(x)
	if w != nil {
		g, _ = s.wait(context.Background(), w)
	}
	x.class.detached.Add(max(s.ticks()-x.since, 0)) // processors' counters may differ a little
	return g
}

// askResume is Resume without the wait: a grant, or a waiter in its line.
func (s *Scheduler) askResume(x Suspended) (Grant, *waiter) {
	if x.class == nil {
		misuse("Resume", int(x.lane), "")
	}
	c, l, t := x.class, &s.lanes[x.lane], ticket{x.gen, x.lane}
	if x.berth != nil {
		if g, boarded, ok := l.unmoor(x); ok {
			if boarded {
				s.unboard(x, g)
			}
			return g, nil
		}
	}
	s.mu.Lock()
	if x.berth != nil {
		s.boardFrom(l, x.berth)
	}
	a, ok := s.away[t]
	if !ok || !a.suspended || a.resuming {
		s.unlock()
		misuse("Resume", int(x.lane), c.name)
	}
	defer s.unlock()
	if w := l.load(); !l.waiting && !w.held() && s.owed(l, c, nil) == nil {
		if to := w.next(c.index); l.cas(w, to) {
			s.back(t, c)
			s.taken(l, c)
			return Grant{class: c, gen: to.gen(), lane: x.lane, history: x.history}, nil
		}
	}
	a.resuming = true
	w := s.newWaiter(context.Background(), c)
	w.resumes, w.history = t, x.history
	s.enqueue(w, c.line(kindResume, l))
	return Grant{}, w
}

// unboard ends the absence of x, which was boarded while it came back as g.
func (s *Scheduler) unboard(x Suspended, g Grant) {
	s.mu.Lock()
	if t := (ticket{x.gen, x.lane}); s.away[t] != nil {
		s.back(t, x.class)
		s.unlock()
		return
	}
	s.unlock()
	s.Release(g, 0)
	misuse("Resume", int(x.lane), x.class.name)
}

// settleLapsed gives the lapsed grant t.
func (s *Scheduler) settleLapsed(op string, t ticket, c *Class) *absence {
	a := s.away[t]
	if a == nil || a.suspended {
		s.unlock()
		misuse(op, int(t.lane), c.name)
	}
	return a
}

// releaseLapsed ends a grant that is no longer primary.
func (s *Scheduler) releaseLapsed(g Grant, ns int64, charged bool) {
	c, t := g.class, ticket{g.gen, g.lane}
	a := s.settleLapsed("Release", t, c)
	if charged { // before it lapsed: the class's cells have it
		c.advance(float64(-a.prepaid))
	} else {
		c.chargeAbsent(a, ns, 1)
	}
	if a.computing {
		c.touch(s.cfg.Now())
	}
	if a.grantedAt == 0 {
		g.Interrupted() // it is not known how long it took, but it was not less
	}
	took := since(a.grantedAt, ns, s.cfg.Now())
	g.history.ended(ns, took)
	short := g.history != nil && !g.history.other.Load() && a.grantedAt != 0 && took < int64(longHold) // however much of that the looks have seen
	if !a.told && (!a.seen || short || a.prepaid >= int64(longHold)) {
		g.history.learn(a.prepaid, ns)
	}
	s.leave(c)
	s.back(t, c)
}

// chargeAbsent charges a held hold of a lapsed grant, less what looks have charged for it already.
func (c *Class) chargeAbsent(a *absence, ns int64, grants uint64) {
	c.chargeLocked(ns, grants)
	c.advance(float64(-a.prepaid))
}
