package gil

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"gilt/scheduler"
)

// PanicError is a panic of submitted work, given to whoever waits for it.
type PanicError struct {
	Value any
	Stack []byte // of the panic
}

// Error gives the panic's value and stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("gilt: submitted work panicked: %v\n\n%s", e.Value, e.Stack)
}

// Unwrap gives the panic's value when it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Future is the result of submitted work, to come.
type Future[T any] struct {
	job[T]
}

const (
	jobQueued uint32 = iota
	jobStarted
	jobEnded
)

type job[T any] struct {
	ctx   context.Context
	host  *Host
	f     func(*Token) (T, error)
	grant scheduler.Grant
	state atomic.Uint32
	ended sync.WaitGroup // one, until the result is there
	value T
	err   error

	mu   sync.Mutex
	done chan struct{} // made when somebody asks for it
	over bool          // done, if it was made, is closed
}

// Submit queues f for a worker thread. The Future fails at once when the runtime is closed or the queue
// is full. While it waits, f is given up when ctx ends; once it runs, f is told nothing.
func Submit[T any](ctx context.Context, h *Host, f func(*Token) (T, error)) *Future[T] {
	fut := &Future[T]{job[T]{ctx: ctx, host: h, f: f}}
	fut.ended.Add(1)
	err := ctx.Err()
	if err == nil && h.closing.Load() {
		err = ErrClosed
	}
	if err == nil {
		err = h.pool.Submit(&fut.job)
	}
	if err != nil {
		fut.finish(submitError(err))
	}
	return fut
}

func (j *job[T]) finish(err error) {
	j.err = err
	j.state.Store(jobEnded)
	j.ended.Done()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.over = true
	if j.done != nil {
		close(j.done)
	}
}

// Ready waits for a grant on a worker's thread.
func (j *job[T]) Ready() bool {
	if !j.state.CompareAndSwap(jobQueued, jobStarted) {
		return false // given up by Wait
	}
	g, err := j.host.sched.Acquire(j.ctx, ClassOf(j.ctx))
	if err != nil {
		j.finish(closedError(err))
		return false
	}
	j.grant = g
	return true
}

// Run runs the work.
func (j *job[T]) Run() {
	returned := false
	var err error
	defer func() {
		if !returned {
			if v := recover(); v != nil {
				err = &PanicError{Value: v, Stack: debug.Stack()}
			} else {
				err = ErrGoexit
			}
		}
		j.finish(err)
	}()
	err = j.host.run(j.grant, func(t *Token) (err error) {
		j.value, err = j.f(t)
		return err
	})
	returned = true
}

// Done is closed when the result is there.
func (f *Future[T]) Done() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done == nil {
		f.done = make(chan struct{})
		if f.over {
			close(f.done)
		}
	}
	return f.done
}

// Wait waits for the result. When ctx or the context that the work was submitted with ends while the
// work is still queued, the work is given up; work that runs goes on, and Wait(ctx) again gives its
// result. Do not call it with a token that the work may need: detach with AllowThreads.
func (f *Future[T]) Wait(ctx context.Context) (T, error) {
	submitted := f.ctx.Done()
	if f.state.Load() == jobEnded || (submitted == nil && ctx.Done() == nil) {
		f.ended.Wait()
		return f.value, f.err
	}
	done := f.Done()
	for {
		select {
		case <-done:
			return f.value, f.err
		case <-submitted:
			f.giveUp(f.ctx)
			submitted = nil // it runs already: its result counts
		case <-ctx.Done():
			f.giveUp(ctx)
			select {
			case <-done:
				return f.value, f.err
			default:
			}
			var zero T
			return zero, fmt.Errorf("gilt: waiting for submitted work that runs: %w", ctx.Err())
		}
	}
}

func (f *Future[T]) giveUp(ctx context.Context) {
	if f.state.CompareAndSwap(jobQueued, jobStarted) {
		f.finish(fmt.Errorf("gilt: submitted work was given up while it was queued: %w", ctx.Err()))
	}
}
