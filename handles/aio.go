package handles

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"iter"
	"os"
	"sync"
	"sync/atomic"

	"gilt/gil"
	"gilt/internal/cpython"
)

//go:embed aio.py
var aio string

// Loop is an event loop of asyncio's on a thread of its own, to which coroutines are sent from any goroutine:
// Runtime.Loop is the runtime's.
type Loop struct {
	host   *gil.Host
	pinned *gil.Pinned
	wakeup *os.File // written to when there are orders
	ended  chan struct{}
	thread atomic.Uint64 // the loop's OS thread
	failed error         // why it ended by itself; after ended

	mu     sync.Mutex
	orders []order
	taken  []order // by the loop's thread, which alone looks at them
	calls  map[int64]func(ok bool, value Bound)
	last   int64
	closed bool
}

// NewLoop starts a loop. For Runtime.Loop.
func NewLoop(ctx context.Context, h *gil.Host) (*Loop, error) {
	pinned, err := h.Pin(ctx)
	if err != nil {
		return nil, err
	}
	from, to, err := os.Pipe()
	if err != nil {
		pinned.Close()
		return nil, fmt.Errorf("gilt: event loop: %w", err)
	}
	l := &Loop{host: h, pinned: pinned, wakeup: to, ended: make(chan struct{}), calls: make(map[int64]func(bool, Bound))}
	go func() {
		err := pinned.Do(context.WithoutCancel(ctx), func(tok *Token) error { return l.run(tok, from) })
		_ = from.Close()
		l.over(err)
		pinned.Close()
	}()
	return l, nil
}

func (l *Loop) run(tok *Token, from *os.File) error {
	l.thread.Store(uint64(cpython.ThisThread()))
	ns, err := Dict(tok, map[string]any{"__name__": "gilt.aio", "fd": int(from.Fd())})
	if err != nil {
		return err
	}
	done := func(tok *Token, c cpython.CallFrame) error {
		l.done(c.Int(0), c.Int(1) != 0, bound(tok, cpython.Object(c.Int(2))))
		return nil
	}
	for _, f := range []struct {
		GoFunc
		typed func(*Token, cpython.CallFrame) error
	}{
		{GoFunc{Name: "take", Func: func() {}}, l.take}, {GoFunc{Name: "done", Func: l.done}, done},
		{GoFunc{Name: "taken", Func: l.takenIDs}, nil}, {GoFunc{Name: "order", Func: l.takenOrder}, nil},
	} {
		b, err := functionWith(tok, f.GoFunc, shortcuts{typed: f.typed})
		if err == nil {
			err = ns.SetItem(f.Name, b)
		}
		if err != nil {
			return err
		}
	}
	if err := RunFile(tok, aio, "<gilt event loop>", ns); err != nil {
		return err
	}
	return Run(tok, "run(fd, take, taken, order, done)", ns)
}

// over ends the calls that are still waited for: the loop has ended, with err if by itself.
func (l *Loop) over(err error) {
	l.mu.Lock()
	l.closed, l.failed = true, err
	l.orders, l.calls = nil, nil
	l.mu.Unlock()
	close(l.ended)
	_ = l.wakeup.Close()
}

// order is one to the loop, in wire form: what, id, function, arguments.
type order struct {
	id   int64
	wire encoded
}

// take gives Python the orders since the last time.
func (l *Loop) take(_ *Token, c cpython.CallFrame) error {
	l.mu.Lock()
	l.taken, l.orders = l.orders, l.taken[:0]
	l.mu.Unlock()
	w := cpython.AppendList(nil, len(l.taken))
	for _, o := range l.taken {
		w = append(w, o.wire...)
	}
	c.ReturnWire(w)
	return nil
}

// takenIDs, and takenOrder, give Python the orders of the last take once more.
func (l *Loop) takenIDs() (ids []int64) {
	for _, o := range l.taken {
		ids = append(ids, o.id)
	}
	return ids
}

func (l *Loop) takenOrder(id int64) any {
	for _, o := range l.taken {
		if o.id == id {
			return o.wire
		}
	}
	return nil
}

// done is what became of an order.
func (l *Loop) done(id int64, ok bool, value Bound) {
	l.mu.Lock()
	call := l.calls[id]
	delete(l.calls, id)
	l.mu.Unlock()
	if call != nil {
		call(ok, value)
	}
}

// order sends an order, and has call called, on the loop's thread, with what became of it.
func (l *Loop) order(what, function string, args []any, call func(ok bool, value Bound)) (id int64, err error) {
	wire, err := encode(nil, nil, args) // now, for an error is this call's own
	if err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, gil.ErrClosed
	}
	l.last++
	id = l.last
	l.calls[id] = call
	l.send(what, id, function, wire)
	return id, nil
}

var noArgs = encoded(cpython.AppendList(nil, 0))

// send is under mu.
func (l *Loop) send(what string, id int64, function string, args encoded) {
	w := cpython.AppendString(cpython.AppendList(make([]byte, 0, 64), 4), what)
	w = cpython.AppendString(cpython.AppendInt(w, id), function)
	if l.orders = append(l.orders, order{id, append(w, args...)}); len(l.orders) == 1 {
		_, _ = l.wakeup.Write([]byte{0}) // one for each take, which comes after its read: the pipe never fills
	}
}

func (l *Loop) cancel(id int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.send("cancel", id, "", noArgs)
	}
}

// Stop cancels what runs on the loop, lets it end, and ends the loop. No task is left pending.
func (l *Loop) Stop(ctx context.Context) error {
	l.mu.Lock()
	if !l.closed {
		l.send("stop", 0, "", noArgs)
	}
	l.mu.Unlock()
	cpython.Yield()
	select {
	case <-l.ended:
		return l.failed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// outcome is what an order comes to.
type outcome[R any] struct {
	v        R
	err      error
	panicked any // a Go function's panic that passed through the coroutine
}

func (o *outcome[R]) read(ok bool, value Bound) {
	defer func() { o.panicked = recover() }()
	if ok {
		o.v, o.err = As[R](value)
	} else {
		o.err = exceptionOf(value)
	}
}

func (o *outcome[R]) get() (R, error) {
	if o.panicked != nil {
		panic(o.panicked)
	}
	return o.v, o.err
}

// ask sends an order and waits for what becomes of it; an ended ctx cancels it in Python, and what it then
// comes to is the result: a coroutine may clean up, or refuse.
func ask[R any](ctx context.Context, l *Loop, what, function string, args []any) (v R, id int64, err error) {
	if err := ctx.Err(); err != nil {
		return v, 0, err
	}
	if cpython.Nested() && uint64(cpython.ThisThread()) == l.thread.Load() {
		return v, 0, errOnLoop
	}
	ch := make(chan outcome[R], 1)
	id, err = l.order(what, function, args, func(ok bool, value Bound) {
		var o outcome[R]
		o.read(ok, value)
		ch <- o
	})
	if err != nil {
		return v, 0, err
	}
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() { l.cancel(id) })
		defer stop()
	}
	cpython.Yield() // the loop needs the GIL
	select {
	case o := <-ch:
		v, err = o.get()
		return v, id, err
	case <-l.ended:
	}
	select {
	case o := <-ch: // it was cancelled when the loop ended
		v, err = o.get()
		return v, id, err
	default:
	}
	if l.failed != nil {
		return v, id, l.failed
	}
	return v, id, errLoopEnded
}

// errOnLoop is a call that would wait for itself.
var errOnLoop = errors.New("gilt: a Go function that a coroutine calls cannot wait for another coroutine of the same loop: await it in Python")

// errLoopEnded is a call whose loop ended: with the runtime, or because a coroutine called sys.exit.
var errLoopEnded = fmt.Errorf("gilt: the event loop has ended: %w", gil.ErrClosed)

// Done is closed when the loop has ended.
func (l *Loop) Done() <-chan struct{} { return l.ended }

// exceptionOf is an exception object as an error.
func exceptionOf(exception Bound) error {
	tok := exception.Token()
	ns, err := Dict(tok, map[string]any{"e": exception})
	if err != nil {
		return err
	}
	return Run(tok, "raise e", ns)
}

// AsyncFunc is an async def function, prepared for calls from any goroutine.
type AsyncFunc[A, R any] struct {
	loop *Loop
	spec string
}

// LookupAsync prepares the async def function named by spec, as Lookup does, to be awaited on l.
func LookupAsync[A, R any](ctx context.Context, l *Loop, spec string) (*AsyncFunc[A, R], error) {
	if _, err := Lookup[Args, struct{}](ctx, l.host, spec); err != nil {
		return nil, err
	}
	return &AsyncFunc[A, R]{l, spec}, nil
}

func argsOf(a any) []any {
	switch a := a.(type) {
	case struct{}:
		return []any{}
	case Args:
		return a
	}
	return []any{a}
}

// Call calls and awaits it. When ctx ends the coroutine is cancelled: it sees asyncio.CancelledError, and if it lets it
// pass, the error here matches context.Canceled.
func (f *AsyncFunc[A, R]) Call(ctx context.Context, a A) (R, error) {
	v, _, err := ask[R](ctx, f.loop, "call", f.spec, argsOf(a))
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
		_, id, err := ask[struct{}](ctx, f.loop, "generate", f.spec, argsOf(a))
		if err != nil {
			var zero R
			yield(zero, err)
			return
		}
		defer func() { _, _, _ = ask[struct{}](context.WithoutCancel(ctx), f.loop, "close", "", []any{id}) }()
		for {
			v, _, err := ask[R](ctx, f.loop, "next", "", []any{id})
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
