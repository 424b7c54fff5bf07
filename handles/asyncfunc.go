package handles

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"gilt/gil"
	"gilt/internal/cpython"
	"gilt/thread"
)

// AsyncFunc is an async def function, prepared for calls from any goroutine.
type AsyncFunc[A, R any] struct {
	loop *Loop
	spec string
}

// LookupAsync prepares the async def function named by spec, as Lookup does, to be awaited on l.
func LookupAsync[A, R any](ctx context.Context, l *Loop, spec string) (*AsyncFunc[A, R], error) {
	if err := resultOf[R](); err != nil {
		return nil, fmt.Errorf("gilt: function %q: %w", spec, err)
	}
	if _, err := Lookup[Args, struct{}](ctx, l.host, spec); err != nil {
		return nil, err
	}
	l.tell("forget", spec) // a function of that name that was found before may have been replaced
	return &AsyncFunc[A, R]{l, spec}, nil
}

func argsOf(a any) []any {
	switch a := a.(type) {
	case struct{}:
		return nil
	case Args:
		return a
	}
	return []any{a}
}

// Call calls and awaits it. When ctx ends the coroutine is cancelled: it sees asyncio.CancelledError where it awaits,
// or gilt.Cancelled, as a task does, where it computes. What it then raises is in an *InterruptedError, which matches ctx's
// error and its cause; what it then returns is the result. The same holds for what it has made: asyncio tasks and callbacks.
//
// After Config.Grace without an end Call returns an *UninterruptibleError: a coroutine that catches CancelledError and goes on,
// or blocks the event loop in C code, a sleep, a lock. A blocked event loop is replaced by a new one: coroutines that it had not
// begun, and later ones, run there, and objects that are bound to the old one cannot be used by them. So is one whose
// thread takes no orders any more.
// An event loop that another coroutine keeps busy, whose own ctx has not ended, is replaced a second later. A ctx whose policy is
// Never cancels the coroutine, and Call waits for it all the same.
func (f *AsyncFunc[A, R]) Call(ctx context.Context, a A) (R, error) {
	v, _, err := ask[R](ctx, f.loop, nil, "call", f.spec, argsOf(a)...)
	return v, err
}

// Start is Call on a goroutine of its own.
func (f *AsyncFunc[A, R]) Start(ctx context.Context, a A) *gil.Future[R] {
	return gil.Go(func() (R, error) { return f.Call(ctx, a) })
}

// Each calls it as an async generator and iterates over what it yields; an exception, or ctx's end, comes as the last pair. The
// generator is closed when the loop is left; after ctx's end that is waited for no longer than for Config.Grace, twice.
func (f *AsyncFunc[A, R]) Each(ctx context.Context, a A) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		_, made, err := ask[struct{}](ctx, f.loop, nil, "generate", f.spec, argsOf(a)...)
		if err != nil {
			var zero R
			yield(zero, err)
			return
		}
		on := made.on.Load()
		defer func() {
			if ctx.Err() != nil {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), f.loop.host.Grace())
				defer cancel()
			}
			_, _, _ = ask[struct{}](ctx, f.loop, on, "close", f.spec, made.id)
		}()
		for {
			v, _, err := ask[R](ctx, f.loop, on, "next", f.spec, made.id)
			if err != nil && errors.Is(err, stopAsync) {
				return
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

const stopAsync ExceptionClass = "builtins.StopAsyncIteration"

// call is an order that is waited for, and what it comes to.
type call[R any] struct {
	order
	name     string
	state    atomic.Int32   // callWaits and so on
	wait     sync.WaitGroup // of a caller whose context does not end
	done     chan struct{}  // of another, of one
	v        R
	err      error
	panicked *gil.PanicError // a Go function's panic that passed through the coroutine
}

// Who has ended first: of a call whose context may end.
const (
	callWaits int32 = iota
	callEnded
	callFreed
)

func (c *call[R]) settle(ok bool, value Bound) {
	defer func() {
		if v := recover(); v != nil {
			c.panicked = thread.Caught(v)
		}
	}()
	if ok {
		c.v, c.err = As[R](value)
	} else {
		c.err = exceptionOf(value)
	}
}

func (c *call[R]) lose(err error) { c.err = err }

func (c *call[R]) wake() {
	switch {
	case c.done == nil:
		c.wait.Done()
	case c.state.CompareAndSwap(callWaits, callEnded):
		c.done <- struct{}{}
	default:
		c.spare()
		c.gone.Store(true)
		c.lost.Found()
		if c.panicked != nil {
			slog.Error("gilt: a coroutine whose caller was freed has panicked", "function", c.name, "panic", c.panicked)
			return
		}
		slog.Info("gilt: a coroutine whose caller was freed has ended", "function", c.name)
	}
}

// ask sends an order and waits for what becomes of it, on that event loop, or the one that takes orders. An ended ctx
// cancels it in Python, and what it then comes to is the result: a coroutine may clean up, or refuse.
func ask[R any](ctx context.Context, l *Loop, on *eventLoop, what, function string, args ...any) (v R, o *order, err error) {
	if err := ctx.Err(); err != nil {
		return v, nil, err
	}
	if cpython.Yield() && l.here(on) { // the loop needs the GIL
		return v, nil, errOnLoop
	}
	wire, err := wireOf(what, function, args...)
	if err != nil {
		return v, nil, err
	}
	c := &call[R]{name: function}
	c.waiter, c.moves = c, on == nil
	if ctx.Done() == nil {
		c.wait.Add(1)
	} else {
		c.done = make(chan struct{}, 1)
	}
	if err := l.send(ctx, on, &c.order, wire); err != nil {
		return v, nil, err
	}
	interrupted := false
	if c.done == nil {
		c.wait.Wait()
	} else if interrupted, err = c.await(ctx, l); err != nil {
		return v, nil, err
	}
	if c.panicked != nil {
		panic(c.panicked)
	}
	return c.v, &c.order, gil.Interrupted(ctx, interrupted, c.err)
}

// here says whether the calling OS thread is that of the event loop, or of the one that takes orders if that is nil.
func (l *Loop) here(e *eventLoop) bool {
	if e == nil {
		e = l.current.Load()
	}
	return e != nil && uint64(cpython.ThisThread()) == e.thread.Load()
}

// await waits for what becomes of the order. When ctx has ended it is cancelled, and interrupted for the grace; then its
// caller is freed, with an error.
func (c *call[R]) await(ctx context.Context, l *Loop) (interrupted bool, err error) {
	select {
	case <-c.done:
		return false, nil
	case <-ctx.Done():
	}
	answer := l.cancel(&c.order)
	if !gil.Interrupts(ctx) {
		<-c.done
		return true, nil
	}
	l.pursue(&c.order)
	grace := time.NewTimer(l.host.Grace())
	defer grace.Stop()
	select {
	case <-c.done:
		c.spare()
		return true, nil
	case <-grace.C:
	}
	c.lost = l.host.NewRunning()
	if !c.state.CompareAndSwap(callWaits, callFreed) { // at the same time
		<-c.done
		c.spare()
		return true, nil
	}
	where := c.on.Load().free(&c.order, c.name, answer) // the order may have been handed on during the grace
	return true, &gil.UninterruptibleError{What: c.name, Where: where, Grace: l.host.Grace(), Err: gil.EndOf(ctx)}
}
