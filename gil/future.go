package gil

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"gilt/internal/cpython"
	"gilt/scheduler"
	"gilt/thread"
)

// PanicError is a panic that another goroutine, or Python code, stood in the way of.
type PanicError = thread.PanicError

// Recovered is the value that was panicked with, given what recover() gave.
func Recovered(v any) any { return thread.Recovered(v) }

// Future is the result of submitted work, to come.
type Future[T any] struct {
	job[T]
}

// Go runs f on a goroutine of its own, and gives its result as a Future: for gilt's own packages, whose work waits for
// Python elsewhere. A panic of f arrives as a *PanicError, runtime.Goexit as ErrGoexit.
func Go[T any](f func() (T, error)) *Future[T] {
	fut := &Future[T]{job[T]{ctx: context.Background()}}
	fut.wait.Add(1)
	go func() {
		err := ErrGoexit
		defer func() {
			if p := recover(); p != nil {
				err = thread.Caught(p)
			}
			fut.finish(err)
		}()
		fut.value, err = f()
	}()
	return fut
}

// Whether work that is started wakes a worker.
const (
	wakesAtOnce   int32 = iota
	wakesLater          // Submit will
	startedAsleep       // it was started, and Submit must
)

// ErrWouldDeadlock is what Future.Wait gives submitted work that waits for itself: it could not end.
var ErrWouldDeadlock = errors.New("gilt: this would wait for itself: the submitted work that is waited for is the one that waits")

// job is submitted work: it waits in the scheduler's line, and runs on a worker.
type job[T any] struct {
	ctx    context.Context
	host   *Host
	f      func(*Token) (T, error)
	grant  scheduler.Grant
	cancel Cancel
	past   *scheduler.History
	queued scheduler.Queued
	token  atomic.Pointer[Token] // with which it runs
	waking atomic.Int32          // who wakes a worker: see Submit
	value  T
	err    error

	ended atomic.Bool
	wait  sync.WaitGroup // one, until the result is there
	mu    sync.Mutex
	done  chan struct{} // made when somebody asks for it
}

// Submit queues f for a worker thread. The Future fails at once when the runtime is closed or the queue
// is full. While it waits, f is given up when ctx ends; once it runs, its Python code is interrupted as ctx's class says.
// A panic of f arrives as a *PanicError, runtime.Goexit as ErrGoexit.
func Submit[T any](ctx context.Context, h *Host, f func(*Token) (T, error)) *Future[T] {
	fut := &Future[T]{job[T]{ctx: ctx, host: h, f: f}}
	fut.wait.Add(1)
	if h.closing.Load() {
		fut.finish(ErrClosed)
		return fut
	}
	c := ClassOf(ctx)
	code := uintptr(0)
	if f != nil {
		// SAFETY: as in code; a generic function's type is none of code's.
		code = **(**uintptr)(unsafe.Pointer(&f))
	}
	past := h.History(c, uint64(code))
	fut.cancel, fut.past = h.Cancels(ctx, past, nil), past
	fut.waking.Store(wakesLater)
	q, err := h.sched.Queue(ctx, c, past, fut.cancel.policy(), &fut.job)
	if err != nil {
		fut.finish(closedError(err))
		return fut
	}
	fut.queued = q
	if !fut.waking.CompareAndSwap(wakesLater, wakesAtOnce) {
		// To wake a worker takes two thread switches. Goroutines that are about to submit too do it first, so
		// that the worker finds their work as well.
		if !cpython.Nested() {
			runtime.Gosched()
		}
		h.pool.Wake()
	}
	return fut
}

// Start is the scheduler's: the work's turn has come, and a worker is idle.
func (j *job[T]) Start(g scheduler.Grant) {
	j.grant = g
	j.host.pool.Ready(starter{j.host, j}) // first: Submit's Wake must find it
	if !j.waking.CompareAndSwap(wakesLater, startedAsleep) {
		j.host.pool.Wake()
	}
}

// Drop is the scheduler's: the work is given up.
func (j *job[T]) Drop(err error) { j.finish(closedError(err)) }

func (j *job[T]) finish(err error) {
	j.err = err
	j.mu.Lock()
	j.ended.Store(true) // under the lock: Done closes the channel if it finds it so
	if j.done != nil {
		close(j.done)
	}
	j.mu.Unlock()
	j.wait.Done()
}

// work is a job whatever its result's type.
type work interface {
	scheduler.Work
	call(t *Token)
	deliver()
	fail(error)
	begun() (scheduler.Grant, Cancel)
	granted(scheduler.Grant)
	over(cpython.Result)
}

func (j *job[T]) begun() (scheduler.Grant, Cancel) { return j.grant, j.cancel }
func (j *job[T]) granted(g scheduler.Grant)        { j.grant = g }
func (j *job[T]) deliver()                         { j.finish(j.err) }
func (j *job[T]) fail(err error)                   { j.finish(err) }

func (j *job[T]) over(r cpython.Result) {
	j.past.Took(r.Slow, r.Shared, r.Held)
	j.err = Interrupted(j.ctx, r.Fired, j.err)
}

// call runs the function. When it calls runtime.Goexit, this does not return.
func (j *job[T]) call(t *Token) {
	j.err = ErrGoexit
	defer func() {
		if v := recover(); v != nil {
			j.err = thread.Caught(v)
		}
	}()
	j.token.Store(t)
	defer j.token.Store(nil)
	if j.cancel.any {
		t.running = &Running{host: j.host}
		t.running.Granted(j.grant)
		defer t.running.watch(j.ctx)()
	}
	t.ctx, t.task = j.ctx, j.host.Begin(j.ctx, j.grant, t.running)
	j.value, j.err = j.f(t)
}

// starter is a worker's run: the work that was started, and all that the scheduler then has for the same
// worker, in one attach as long as it is short.
type starter struct {
	host *Host
	work work
}

func (s starter) Run() {
	h, w := s.host, s.work
	t := h.submitted(w)
	if err := t.begin(); err != nil {
		h.unable(w, err)
		return
	}
	for w != nil {
		w, t = h.turn(w, t)
	}
}

// turn runs w with the token t, gives its result, and the next work for this worker with its token.
func (h *Host) turn(w work, t *Token) (next work, token *Token) {
	returned := false
	defer func() {
		if !returned { // runtime.Goexit: the worker ends, and another takes its place
			w.over(t.end())
			w.deliver()
			h.sched.Idle(1)
		}
	}()
	w.call(t)
	returned = true
	t.die()
	entry, attached, r := t.entry.Turn()
	runtime.UnlockOSThread() // t.begin's
	if r.Int > 0 {
		h.wakeDrainer()
	}
	w.over(t.total(r))
	queued, g, ok := h.sched.ReleaseNext(h.endOf(t.task, t.grant, r), r.Held)
	w.deliver()
	if !ok {
		if attached {
			entry.Leave()
		}
		return nil, nil
	}
	next = queued.(work)
	next.granted(g)
	token = h.submitted(next)
	if attached {
		token.adopt(entry)
		return next, token
	}
	if err := token.begin(); err != nil {
		h.unable(next, err)
		return nil, nil
	}
	return next, token
}

// submitted is a token for work that was submitted.
func (h *Host) submitted(w work) *Token {
	g, cancel := w.begun()
	t := h.token(g, 0)
	t.deadline = cancel.deadline
	return t
}

// unable ends work for which there is no thread state.
func (h *Host) unable(w work, err error) {
	g, _ := w.begun()
	h.sched.Release(g, 0)
	w.fail(err)
	h.sched.Idle(1)
}

// Done is closed when the result is there.
func (f *Future[T]) Done() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done == nil {
		f.done = make(chan struct{})
		if f.ended.Load() {
			close(f.done)
		}
	}
	return f.done
}

// Wait waits for the result. When ctx or the context that the work was submitted with ends while the
// work is still queued, the work is given up; work that runs goes on, and Wait(ctx) again gives its
// result.
//
// With a token held, or in AllowThreads, it gives the GIL up while it waits, and work that is still queued is run at once
// on a thread more: the workers may all be waiting. Work that waits for itself gets ErrWouldDeadlock.
func (f *Future[T]) Wait(ctx context.Context) (T, error) {
	if f.ended.Load() {
		return f.value, f.err
	}
	if cpython.Yield() {
		if err := f.help(); err != nil {
			var zero T
			return zero, err
		}
	}
	submitted := f.ctx.Done()
	if submitted == nil && ctx.Done() == nil {
		f.wait.Wait()
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

// help sees to it that somebody who is in a task may wait.
func (f *Future[T]) help() error {
	if f.host == nil { // of Go
		return nil
	}
	if t := f.token.Load(); t != nil && t.entry.Here() {
		return ErrWouldDeadlock
	}
	if f.queued.Take() {
		f.host.apart(f.runApart)
	}
	return nil
}

// runApart runs work that was taken out of its line, on this goroutine. The thread of whoever waits is counted, so this
// one is not.
func (j *job[T]) runApart() {
	h := j.host
	g, err := h.sched.AcquireNested(j.ctx, ClassOf(j.ctx))
	if err != nil {
		j.finish(closedError(err))
		return
	}
	j.grant = g
	t := h.submitted(j)
	if err := t.begin(); err != nil {
		h.sched.Release(g, 0)
		j.finish(err)
		return
	}
	defer func() { // also when it calls runtime.Goexit
		j.over(t.end())
		j.deliver()
	}()
	j.call(t)
}

func (f *Future[T]) giveUp(ctx context.Context) {
	if f.host != nil && f.queued.Withdraw() { // one of Go was never queued
		f.finish(fmt.Errorf("gilt: submitted work was given up while it was queued: %w", f.queued.Waited(ctx)))
	}
}
