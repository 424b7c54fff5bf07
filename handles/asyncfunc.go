package handles

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

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
	l.tell("forget", spec, 0) // a function of that name that was found before may have been replaced
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

// Call calls and awaits it. When ctx ends the coroutine is cancelled: it sees asyncio.CancelledError, and if it lets it
// pass, the error here matches context.Canceled.
func (f *AsyncFunc[A, R]) Call(ctx context.Context, a A) (R, error) {
	v, _, err := ask[R](ctx, f.loop, "call", f.spec, argsOf(a)...)
	return v, err
}

// Start is Call on a goroutine of its own.
func (f *AsyncFunc[A, R]) Start(ctx context.Context, a A) *gil.Future[R] {
	return gil.Go(func() (R, error) { return f.Call(ctx, a) })
}

// Each calls it as an async generator and iterates over what it yields; an exception, or ctx's end, comes as the last pair. The
// generator is closed when the loop is left.
func (f *AsyncFunc[A, R]) Each(ctx context.Context, a A) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		_, id, err := ask[struct{}](ctx, f.loop, "generate", f.spec, argsOf(a)...)
		if err != nil {
			var zero R
			yield(zero, err)
			return
		}
		defer func() { _, _, _ = ask[struct{}](context.WithoutCancel(ctx), f.loop, "close", "", id) }()
		for {
			v, _, err := ask[R](ctx, f.loop, "next", "", id)
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
	wait     sync.WaitGroup
	v        R
	err      error
	panicked *gil.PanicError // a Go function's panic that passed through the coroutine
}

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
func (c *call[R]) wake()          { c.wait.Done() }

// ask sends an order and waits for what becomes of it; an ended ctx cancels it in Python, and what it then
// comes to is the result: a coroutine may clean up, or refuse.
func ask[R any](ctx context.Context, l *Loop, what, function string, args ...any) (v R, id int64, err error) {
	if err := ctx.Err(); err != nil {
		return v, 0, err
	}
	if cpython.Yield() && uint64(cpython.ThisThread()) == l.thread.Load() { // the loop needs the GIL
		return v, 0, errOnLoop
	}
	wire, err := wireOf(what, function, args...)
	if err != nil {
		return v, 0, err
	}
	c := &call[R]{}
	c.waiter = c
	c.wait.Add(1)
	if err := l.send(&c.order, wire); err != nil {
		return v, 0, err
	}
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() { l.tell("cancel", "", c.id) })
		defer stop()
	}
	c.wait.Wait()
	if c.panicked != nil {
		panic(c.panicked)
	}
	return c.v, c.id, c.err
}
