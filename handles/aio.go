package handles

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
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
	orders *cpython.Orders // to Python
	last   atomic.Int64    // order
	ended  chan struct{}
	thread atomic.Uint64 // the loop's OS thread
	failed error         // why it ended by itself; after ended

	// Who waits is noted without a lock, as thousands may come at once.
	sent  atomic.Pointer[order] // not in calls yet, the last one first; closed when the loop has ended
	calls map[int64]waiter      // by the loop's thread alone, and by over
}

// order is one to the loop whose outcome is waited for.
type order struct {
	id     int64
	waiter waiter
	before *order
}

// waiter waits for what becomes of an order: it is told by one of the two, once, and then woken.
type waiter interface {
	settle(ok bool, value Bound) // on the loop's thread, with its token
	lose(err error)              // the loop has ended
	wake()
}

// closed is what sent is when nothing is taken any more.
var closed = new(order)

// NewLoop starts a loop. For Runtime.Loop.
func NewLoop(ctx context.Context, h *gil.Host) (*Loop, error) {
	pinned, err := h.Pin(ctx)
	if err != nil {
		return nil, err
	}
	orders, err := cpython.NewOrders()
	if err != nil {
		pinned.Close()
		return nil, err
	}
	l := &Loop{host: h, pinned: pinned, orders: orders, ended: make(chan struct{}), calls: make(map[int64]waiter)}
	go func() {
		l.over(pinned.Do(context.WithoutCancel(ctx), l.run))
		pinned.Close()
	}()
	return l, nil
}

func (l *Loop) run(tok *Token) error {
	l.thread.Store(uint64(cpython.ThisThread()))
	const op = "event loop"
	take, err := result(tok, op, tok.Entry(op).TakeOrders(l.orders))
	if err != nil {
		return err
	}
	done, err := NewFunction(tok, GoFunc{Name: "done", Func: l.done})
	if err != nil {
		return err
	}
	ns, err := NewDict(tok, map[string]any{"__name__": "gilt.aio", "fd": l.orders.FD(), "take": take, "done": done})
	if err != nil {
		return err
	}
	if err := RunFile(tok, aio, "<gilt event loop>", ns); err != nil {
		return err
	}
	return Run(tok, "run(fd, take, done)", ns)
}

// over ends the calls that are still waited for: the loop has ended, with err if by itself.
func (l *Loop) over(err error) {
	l.failed = err
	l.note(closed)
	close(l.ended)
	if err == nil {
		err = errLoopEnded
	}
	for _, w := range l.calls {
		w.lose(err)
		w.wake()
	}
	l.calls = nil
}

// note puts what was sent into calls.
func (l *Loop) note(next *order) {
	for o := l.sent.Swap(next); o != nil; o, o.before = o.before, nil {
		l.calls[o.id] = o.waiter
	}
}

// done is what became of orders: values has the result of each, or the exception where the id is negative.
func (l *Loop) done(ids []int64, values Bound) {
	l.note(nil)
	told := make([]waiter, 0, len(ids))
	tell := func(id int64, f func(waiter)) {
		w := l.calls[max(id, -id)]
		if w == nil { // nobody waits, as for a cancellation
			return
		}
		delete(l.calls, max(id, -id))
		f(w)
		told = append(told, w)
	}
	i := 0
	for v, err := range values.Iter() {
		if err != nil { // no memory: nothing comes after it
			break
		}
		tell(ids[i], func(w waiter) { w.settle(ids[i] > 0, v) })
		i++
	}
	for _, id := range ids[i:] {
		tell(id, func(w waiter) { w.lose(gil.ErrNoMemory) })
	}
	if len(told) > 4 { // the loop has better things to do
		go wake(told)
	} else {
		wake(told)
	}
}

func wake(told []waiter) {
	for _, w := range told {
		w.wake()
	}
}

// wireOf is an order in wire form; an error is of an argument that cannot be converted.
func wireOf(what, function string, args ...any) ([]byte, error) {
	w := cpython.AppendString(make([]byte, 0, 96), what)
	w = cpython.AppendTuple(cpython.AppendString(w, function), len(args))
	var err error
	for i, a := range args {
		if w, err = encode(nil, w, a); err != nil {
			return nil, argumentError(err, "%s: argument %d", function, i+1)
		}
	}
	return w, nil
}

// send sends an order that is waited for, and gives its id; or says that the loop has ended.
func (l *Loop) send(o *order, wire []byte) error {
	o.id = l.last.Add(1)
	before := l.sent.Load()
	for {
		if before == closed {
			return gil.ErrClosed
		}
		o.before = before
		if l.sent.CompareAndSwap(before, o) { // from here on o is the loop's thread's
			break
		}
		before = l.sent.Load()
	}
	if !l.orders.Put(o.id, wire) {
		return gil.ErrNoMemory
	}
	return nil
}

// tell sends an order of which nothing becomes: of is the order that it is about. A loop that has ended has nothing to do.
func (l *Loop) tell(what, function string, of int64) {
	if wire, err := wireOf(what, function); err == nil { // without arguments
		l.orders.Put(of, wire)
	}
}

// Stop cancels what runs on the loop, lets it end, and ends the loop. No task is left pending.
func (l *Loop) Stop(ctx context.Context) error {
	l.tell("stop", "", 0)
	cpython.Yield()
	select {
	case <-l.ended:
		return l.failed
	case <-ctx.Done():
		return ctx.Err()
	}
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
	ns, err := NewDict(tok, map[string]any{"e": exception})
	if err != nil {
		return err
	}
	return Run(tok, "raise e", ns)
}
