package handles

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"slices"
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

	orders atomic.Pointer[order] // not taken yet, the last one first; closed when the loop has ended

	// By the loop's thread alone, and by over.
	taken []*order         // the last time
	calls map[int64]*order // whose outcome is waited for
	last  int64
}

// order is one to the loop. It costs a goroutine no lock: thousands may be sent at once.
type order struct {
	before *order
	wire   encoded // what, function and arguments, one after the other
	of     *order  // the one that it cancels
	id     int64   // given by the loop's thread
	waiter waiter  // nil when nothing becomes of it
}

// waiter waits for what becomes of an order: it is told by one of the two, once, and then woken.
type waiter interface {
	settle(ok bool, value Bound) // on the loop's thread, with its token
	lose(err error)              // the loop has ended
	wake()
}

// closed is what orders is when none is taken any more.
var closed = new(order)

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
	l := &Loop{host: h, pinned: pinned, wakeup: to, ended: make(chan struct{}), calls: make(map[int64]*order)}
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
	for _, f := range []struct {
		GoFunc
		typed func(*Token, cpython.CallFrame) error
	}{
		{GoFunc{Name: "take", Func: func() {}}, l.take}, {GoFunc{Name: "done", Func: l.done}, nil},
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
	l.failed = err
	left := l.orders.Swap(closed)
	close(l.ended)
	_ = l.wakeup.Close()
	if err == nil {
		err = errLoopEnded
	}
	for ; left != nil; left = left.before {
		if left.waiter != nil {
			left.waiter.lose(err)
			left.waiter.wake()
		}
	}
	for _, o := range l.calls {
		o.waiter.lose(err)
		o.waiter.wake()
	}
}

// take gives Python the orders since the last time.
func (l *Loop) take(_ *Token, c cpython.CallFrame) error {
	for i, o := range l.taken { // what was taken before is kept no longer
		o.wire, l.taken[i] = nil, nil
	}
	l.taken = l.taken[:0]
	size := 9
	for o := l.orders.Swap(nil); o != nil; o, o.before = o.before, nil {
		l.taken = append(l.taken, o)
		size += 9 + len(o.wire)
	}
	slices.Reverse(l.taken)
	w := cpython.AppendList(make([]byte, 0, size), orderItems*len(l.taken))
	for _, o := range l.taken {
		if o.of != nil {
			o.id = o.of.id
		} else {
			l.last++
			o.id = l.last
		}
		if o.waiter != nil {
			l.calls[o.id] = o
		}
		w = o.append(w)
	}
	c.ReturnWire(w)
	return nil
}

const orderItems = 4 // in Python's list of orders, for each

func (o *order) append(w []byte) []byte { return append(cpython.AppendInt(w, o.id), o.wire...) }

// takenIDs, and takenOrder, give Python the orders of the last take once more.
func (l *Loop) takenIDs() (ids []int64) {
	for _, o := range l.taken {
		ids = append(ids, o.id)
	}
	return ids
}

func (l *Loop) takenOrder(i int) any {
	return encoded(l.taken[i].append(cpython.AppendList(nil, orderItems)))
}

// done is what became of orders: values has the result of each, or the exception where the id is negative.
func (l *Loop) done(ids []int64, values Bound) {
	told := make([]waiter, 0, len(ids))
	i := 0
	for v, err := range values.Iter() {
		if err != nil { // no memory: nothing comes after it
			for _, id := range ids[i:] {
				if w := l.waiter(id); w != nil {
					w.lose(err)
					told = append(told, w)
				}
			}
			break
		}
		if w := l.waiter(ids[i]); w != nil {
			w.settle(ids[i] > 0, v)
			told = append(told, w)
		}
		i++
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

// waiter is who waits for the order of an id, or for the one whose negative it is: nil for nobody any more.
func (l *Loop) waiter(id int64) waiter {
	id = max(id, -id)
	o := l.calls[id]
	if o == nil {
		return nil
	}
	delete(l.calls, id)
	return o.waiter
}

// send sends an order, or says that the loop has ended.
func (l *Loop) send(o *order) error {
	before := l.orders.Load()
	for {
		if before == closed {
			return gil.ErrClosed
		}
		o.before = before
		if l.orders.CompareAndSwap(before, o) { // from here on it is the loop's thread's
			break
		}
		before = l.orders.Load()
	}
	if before == nil {
		_, _ = l.wakeup.Write([]byte{0}) // one for each take, which comes after its read: the pipe never fills
	}
	return nil
}

// encode gives an order its wire form; an error is of an argument that cannot be converted.
func (o *order) encode(what, function string, args ...any) (err error) {
	w := cpython.AppendString(make([]byte, 0, 96), what)
	w = cpython.AppendTuple(cpython.AppendString(w, function), len(args))
	for i, a := range args {
		if w, err = encode(nil, w, a); err != nil {
			return argumentError(err, "%s: argument %d", function, i+1)
		}
	}
	o.wire = w
	return nil
}

// tell sends an order of which nothing becomes.
func (l *Loop) tell(what, function string, of *order) {
	o := &order{of: of}
	_ = o.encode(what, function) // without arguments
	_ = l.send(o)                // a loop that has ended has nothing to do
}

// Stop cancels what runs on the loop, lets it end, and ends the loop. No task is left pending.
func (l *Loop) Stop(ctx context.Context) error {
	l.tell("stop", "", nil)
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
	ns, err := Dict(tok, map[string]any{"e": exception})
	if err != nil {
		return err
	}
	return Run(tok, "raise e", ns)
}
