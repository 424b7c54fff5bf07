package scheduler

import (
	"context"
	"time"
)

// Close ends the granting: those who wait get ErrClosed, and so does every later Acquire. Grants that
// are out are not touched, and Release, Suspend, Resume and Tick go on working for them. Closing twice
// does nothing more.
func (s *Scheduler) Close() {
	s.mu.Lock()
	defer s.unlock()
	if s.closed {
		return
	}
	s.closed = true
	s.recount(0)
	for _, c := range s.classes {
		for _, ln := range c.lines {
			for ln.kind != kindResume && ln.waiters.len() > 0 {
				w := ln.waiters.items[ln.waiters.len()-1]
				s.dequeue(w)
				s.settle(w, stateClosed)
			}
		}
	}
}

// Drain waits until nothing is in flight and nobody waits, or until ctx ends, whose error it then
// returns in a *WaitError without a class. It does not keep new work out: Close does. While a Drain is
// on, every operation takes the lock.
func (s *Scheduler) Drain(ctx context.Context) error {
	since := s.cfg.Now()
	s.mu.Lock()
	s.drainers++
	if s.drained == nil {
		s.drained = make(chan struct{})
	}
	s.recount(0)
	var err error
	for !s.quiet() && err == nil {
		idle := s.drained
		s.unlock()
		select {
		case <-idle:
		case <-ctx.Done():
			err = ctx.Err()
		}
		s.mu.Lock()
	}
	if err != nil && s.quiet() {
		err = nil
	}
	if err != nil {
		left := len(s.away) + s.primaries() + s.queued
		err = &WaitError{Waited: time.Duration(s.cfg.Now() - since), Ahead: left, Err: err, Cause: context.Cause(ctx)}
	}
	s.drainers--
	s.unlock()
	return err
}

// quiet reports whether nothing is in flight and nobody waits. Exact only with flagSlow.
func (s *Scheduler) quiet() bool {
	return len(s.away) == 0 && s.queued == 0 && s.resumes == 0 && s.primaries() == 0
}
