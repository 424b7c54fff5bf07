package scheduler

import (
	"context"
	"time"
)

// Work is work that no goroutine waits for: it waits in its class's line, like any other, and is handed to
// an idle worker with its grant. The scheduler only counts workers; what they are is the caller's affair.
type Work interface {
	// Start is called once, with the work's grant, when a worker is idle: bring the two together. It must
	// not block. The worker ends the grant with ReleaseNext, or with Release and then Idle.
	Start(Grant)
	// Drop is called instead, once, when the work is given up: ErrClosed, a *SaturatedError when it is shed, a
	// *LateError when it would end too late, or a *WaitError when its context has ended. It must not block.
	Drop(error)
}

// Queued is work in its line.
type Queued struct {
	s *Scheduler
	w *waiter
}

// Idle says that n more workers have nothing to run.
func (s *Scheduler) Idle(n int) {
	s.mu.Lock()
	s.idle += n
	s.reflag()
	s.revisit = true
	s.unlock()
}

// Queue puts work of class c, with history h, in line. c nil means the default class, h may be nil; p is as in AcquireFor.
// Errors are those of AcquireFor; neither Start nor Drop is called then. Work whose context ends is dropped when its
// turn comes, or at once by Withdraw.
func (s *Scheduler) Queue(ctx context.Context, c *Class, h *History, p Cancellation, work Work) (Queued, error) {
	if c == nil {
		c = s.def
	}
	if err := ctx.Err(); err != nil {
		return Queued{}, c.neverWaited(ctx, err)
	}
	if c.s != s {
		return Queued{}, ErrForeignClass
	}
	s.mu.Lock()
	defer s.unlock()
	if s.closed {
		return Queued{}, ErrClosed
	}
	c, err := s.current(c)
	if err != nil {
		return Queued{}, err
	}
	if err := s.admit(c); err != nil {
		return Queued{}, err
	}
	// The waiter is not pooled: a Queued may outlive its wait.
	w := &waiter{place: -1, history: h, work: work, ctx: ctx}
	s.fill(w, ctx, c)
	ln := c.line(kindJob, nil)
	if err := s.expect(w, ln, p); err != nil {
		return Queued{}, err
	}
	s.enqueue(w, ln)
	return Queued{s, w}, nil
}

// Withdraw takes the work out of its line and reports whether it was still there: then neither Start nor
// Drop is called any more.
func (q Queued) Withdraw() bool {
	if !q.Take() {
		return false
	}
	q.w.class.cancelled.Add(1)
	return true
}

// Waited is the error of work that was withdrawn because ctx has ended.
func (q Queued) Waited(ctx context.Context) *WaitError { return q.s.waitError(ctx, q.w, ctx.Err()) }

// Take is Withdraw of work that is not given up: somebody runs it elsewhere.
func (q Queued) Take() bool {
	if q.w == nil {
		return false
	}
	q.s.mu.Lock()
	defer q.s.unlock()
	if q.w.state.Load() != stateWaiting {
		return false
	}
	q.s.dequeue(q.w)
	q.w.state.Store(stateExpired)
	return true
}

// started is queued work of which something has become: its grant, or its end.
type started struct {
	s *Scheduler
	w *waiter
}

func (x started) tell() {
	w := x.w
	switch w.state.Load() {
	case stateGranted:
		w.class.waits.record(x.s.cfg.Now() - w.since)
		w.work.Start(w.grant)
	case stateExpired:
		w.class.cancelled.Add(1)
		err := w.ctx.Err()
		if err == nil {
			err = context.DeadlineExceeded // its timer is late
		}
		w.work.Drop(x.s.waitError(w.ctx, w, err))
	case stateRefused:
		w.work.Drop(w.refused)
	default:
		w.work.Drop(ErrClosed)
	}
}

// ReleaseNext is Release by a worker, which is given the next work to run if it is queued work's turn on
// this lane: the worker goes on with it and its grant, and no other is woken. Otherwise ok is false, and
// the worker is idle.
func (s *Scheduler) ReleaseNext(g Grant, held time.Duration) (work Work, next Grant, ok bool) {
	if g.class == nil {
		misuse("ReleaseNext", int(g.lane), "")
	}
	ns := clampHeld(held)
	s.mu.Lock()
	c, l := g.class, &s.lanes[g.lane]
	w := l.load()
	if !w.held() || w.gen() != g.gen || l.proxy != nil {
		s.releaseLapsed(g, ns, false) // which unlocks and panics for a grant that was given back
		s.idle++
		s.reflag()
		s.revisit = true
		s.unlock()
		return nil, Grant{}, false
	}
	defer s.unlock()
	s.idle++
	c.chargeLocked(ns, 1)
	l.left.Add(-ns - grantCost)
	s.finished(l, g, ns)
	if best := s.pick(l, s.full(1)); best != nil && best.work != nil && s.owed(l, best.class, best.peer()) == nil {
		if from := l.load(); s.seat(l, from, best) {
			s.started = s.started[:len(s.started)-1] // this worker is told here
			best.class.waits.record(s.cfg.Now() - best.since)
			return best.work, best.grant, true
		}
	}
	s.reflag()
	s.vacate(l, c, 1)
	s.revisit = true
	return nil, Grant{}, false
}
