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
	suspended bool
	resuming  bool  // suspended, and waiting to come back
	prepaid   int64 // charged when it lapsed, to be set against what it turns out to have held
}

// Suspended is a grant whose holder works outside Python. Resume turns it into a grant again, once.
type Suspended struct {
	class *Class
	gen   uint64
	lane  uint32
}

// Lane is the GIL to come back to.
func (x Suspended) Lane() int { return int(x.lane) }

func (s *Scheduler) leaveLane(t ticket, c *Class, a absence) {
	s.away[t] = a
	s.lanes[t.lane].away.Add(1)
	if a.suspended {
		c.suspended++
	} else {
		c.lapsed++
	}
}

// back ends an absence: the grant is a primary again, or gone.
func (s *Scheduler) back(t ticket, c *Class) {
	a := s.away[t]
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
	s.mu.Lock()
	c, l, t := g.class, &s.lanes[g.lane], ticket{g.gen, g.lane}
	if w := l.load(); w.held() && w.gen() == g.gen {
		c.chargeLocked(ns, 0)
		s.retune(1)
		s.vacate(l, c, 0)
		s.leaveLane(t, c, absence{suspended: true})
	} else {
		prepaid := s.settleLapsed("Suspend", t, c)
		c.chargeLocked(ns, 0)
		c.advance(float64(-prepaid))
		s.away[t] = absence{suspended: true}
		c.lapsed--
		c.suspended++
	}
	s.unlock()
	return Suspended{c, g.gen, g.lane}
}

// Resume waits for the suspended grant's lane, ahead of new work of its class. It cannot be cancelled
// and never fails, not even when the scheduler is closed: the holder is inside Python and must be able
// to leave it. Resuming twice panics.
func (s *Scheduler) Resume(x Suspended) Grant {
	g, w := s.askResume(x)
	if w != nil {
		g, _ = s.wait(context.Background(), w)
	}
	return g
}

// askResume is Resume without the wait: a grant, or a waiter in its line.
func (s *Scheduler) askResume(x Suspended) (Grant, *waiter) {
	if x.class == nil {
		misuse("Resume", int(x.lane), "")
	}
	s.mu.Lock()
	c, l, t := x.class, &s.lanes[x.lane], ticket{x.gen, x.lane}
	a, ok := s.away[t]
	if !ok || !a.suspended || a.resuming {
		s.unlock()
		misuse("Resume", int(x.lane), c.name)
	}
	defer s.unlock()
	if w := l.load(); !l.waiting && !w.held() {
		if to := w.next(c.index); l.cas(w, to) {
			s.back(t, c)
			return Grant{c, to.gen(), x.lane}, nil
		}
	}
	a.resuming = true
	s.away[t] = a
	w := s.newWaiter(context.Background(), c)
	w.resumes = t
	s.enqueue(w, c.line(kindResume, l))
	return Grant{}, w
}

// Lapse is the pacer's tick for a lane somebody waits for. If the lane is free, the next waiter gets it.
// If its primary holds it, the caller says that this primary has attached and is past its grace: it
// lapses, and the next waiter becomes primary, its heir, unless MaxInFlight or class limits forbid.
// It returns whether anybody still waits who could be granted; after false the pacer may sleep until
// Config.Arm. It panics for a lane the scheduler does not have.
func (s *Scheduler) Lapse(lane int) (waiting bool) {
	l := &s.lanes[lane]
	s.mu.Lock()
	defer s.unlock()
	s.retune(1)
	for l.waiting {
		next := s.pick(l, s.full(0))
		if next == nil {
			break
		}
		w := l.load()
		if !s.seat(l, w, next) {
			continue // the primary released, or a running goroutine took the lane: look again
		}
		if w.held() {
			s.lapsed(ticket{w.gen(), l.index}, s.classes[w.class()])
		} else {
			l.backoff = 0 // the wake that was held back was needed
		}
		break
	}
	return l.waiting
}

// lapsed notes that the grant t of class c has lost its lane. The class is charged half a slice at once,
// which is about the grace, so that it cannot fill the cap with long work before any of it is charged.
func (s *Scheduler) lapsed(t ticket, c *Class) {
	prepaid := int64(s.cfg.Slice) / 2
	c.advance(float64(prepaid))
	c.lapses++
	s.leaveLane(t, c, absence{prepaid: prepaid})
}

// settleLapsed checks that t has lapsed and returns what of its hold was charged already.
func (s *Scheduler) settleLapsed(op string, t ticket, c *Class) (prepaid int64) {
	a, ok := s.away[t]
	if !ok || a.suspended {
		s.unlock()
		misuse(op, int(t.lane), c.name)
	}
	return a.prepaid
}

// releaseLapsed ends a grant that is no longer primary.
func (s *Scheduler) releaseLapsed(g Grant, ns int64, charged bool) {
	c, t := g.class, ticket{g.gen, g.lane}
	prepaid := s.settleLapsed("Release", t, c)
	if !charged {
		c.chargeLocked(ns, 1)
	}
	c.advance(float64(-prepaid))
	s.leave(c)
	s.back(t, c)
}

// Waiting says whether anybody waits who could be served by the lane. It is for the pacer, which goes to
// sleep when nobody does.
func (s *Scheduler) Waiting(lane int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lanes[lane].waiting
}
