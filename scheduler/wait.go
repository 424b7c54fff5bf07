package scheduler

import (
	"context"
	"time"
)

// wait blocks until w is granted, its context ends, or the scheduler closes.
func (s *Scheduler) wait(ctx context.Context, w *waiter) (Grant, error) {
	for {
		select {
		case <-w.ready:
		case <-w.done:
			return s.abandon(ctx, w)
		}
		switch w.state.Load() {
		case stateWaiting:
			s.arrive(w)
			continue
		case stateGranted:
			g := w.grant
			w.class.waits.record(s.cfg.Now() - w.since)
			if err := ctx.Err(); err != nil {
				return Grant{}, s.giveUp(ctx, w, err)
			}
			w.recycle()
			return g, nil
		case stateExpired:
			return Grant{}, s.giveUp(ctx, w, context.DeadlineExceeded)
		case stateRefused:
			return Grant{}, w.sentAway()
		default:
			w.recycle()
			return Grant{}, ErrClosed
		}
	}
}

// abandon ends a wait whose context is done.
func (s *Scheduler) abandon(ctx context.Context, w *waiter) (Grant, error) {
	s.mu.Lock()
	if w.state.Load() == stateWaiting {
		s.dequeue(w)
		w.state.Store(stateExpired)
	}
	s.unlock()
	if w.state.Load() == stateRefused { // and is counted as that
		return Grant{}, w.sentAway()
	}
	return Grant{}, s.giveUp(ctx, w, ctx.Err())
}

// sentAway is the end of a wait that was shed or refused.
func (w *waiter) sentAway() error {
	err := w.refused
	w.recycle()
	return err
}

// giveUp makes the error of a wait that came to nothing, and gives back the grant that came too late.
func (s *Scheduler) giveUp(ctx context.Context, w *waiter, err error) error {
	if w.state.Load() == stateGranted {
		w.grant.history = nil // it has held nothing, which says nothing
		s.Release(w.grant, 0)
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	w.class.cancelled.Add(1)
	e := s.waitError(ctx, w, err)
	w.recycle()
	return e
}

// waitError is the error of a wait that ended with ctx, whose error is err.
func (s *Scheduler) waitError(ctx context.Context, w *waiter, err error) *WaitError {
	return &WaitError{Class: w.class.name, Waited: time.Duration(s.cfg.Now() - w.since), Ahead: w.ahead, Lost: s.lostPlaces(), Err: err, Cause: context.Cause(ctx)}
}

func (c *Class) neverWaited(ctx context.Context, err error) error {
	c.cancelled.Add(1)
	return &WaitError{Class: c.name, Err: err, Cause: context.Cause(ctx)}
}
