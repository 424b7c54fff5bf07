package scheduler

import (
	"fmt"
	"time"
)

// defaultClassIdle is the default of Config.ClassIdle.
const defaultClassIdle = time.Minute

// lookedAt is how many classes are looked at while s.mu is held once. 10,000 of them take a millisecond.
const lookedAt = 64

// Class is in Scheduler.idlest, with the one first that was found changed the longest time ago.
func (c *Class) before(o *Class) bool { return c.changedAt < o.changedAt }
func (c *Class) setPlace(i int)       { c.idlePlace = i }

// keep notes that c was found to have had work.
func (s *Scheduler) keep(c *Class, now int64) {
	c.changedAt, c.hadReleased = now, c.released
	if c.idlePlace < 0 {
		s.idlest.push(c)
	} else {
		s.idlest.fix(c.idlePlace)
	}
}

// look expires c if it has had nothing to do since a look at least ClassIdle ago.
func (s *Scheduler) look(c *Class, now int64) {
	c.fold()
	if c != s.def && !s.busy(c) && c.released == c.hadReleased {
		if now-c.changedAt < int64(s.cfg.ClassIdle) {
			return
		}
		if s.expire(c); c.expired.Load() {
			return
		}
	}
	s.keep(c, now)
}

// makeRoom has room for one more class. It looks at some classes each time, at all of them four times each ClassIdle; and, when there is no room, at
// those that may have been idle for long enough. It lets go of s.mu after each lookedAt of these.
func (s *Scheduler) makeRoom() error {
	now := s.cfg.Now()
	s.sweep(now)
	for n := 1; len(s.byName) >= s.cfg.MaxClasses; n++ {
		c := s.idlest.top() // there is one: the default class
		if now-c.changedAt < int64(s.cfg.ClassIdle) {
			return fmt.Errorf("%w: %d are in use", ErrTooManyClasses, len(s.byName))
		}
		if s.look(c, now); n%lookedAt == 0 {
			s.unlock()
			if s.mu.Lock(); s.closed {
				return ErrClosed
			}
		}
	}
	return nil
}

// sweep looks at the next classes, in the order of their indices.
func (s *Scheduler) sweep(now int64) {
	if s.swept == 0 {
		if now-s.sweptAt < int64(s.cfg.ClassIdle)/4 {
			return
		}
		s.sweptAt = now
	}
	upTo := min(s.swept+lookedAt, len(s.classes))
	for _, c := range s.classes[s.swept:upTo] {
		if !c.expired.Load() {
			s.look(c, now)
		}
	}
	if s.swept = upTo; upTo == len(s.classes) {
		s.swept = 0
	}
}
