package handles

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"gilt/gil"
	"gilt/internal/cpython"
)

//go:embed aio.py
var aio string

// eventLoop is one of asyncio's, on a thread of its own.
type eventLoop struct {
	loop    *Loop
	pinned  *gil.Pinned
	running *gil.Running
	orders  *cpython.Orders // to Python
	ended   chan struct{}
	thread  atomic.Uint64 // the loop's OS thread
	failed  error         // why it ended by itself; after ended

	// Who waits is noted without a lock, as thousands may come at once.
	sent  atomic.Pointer[order] // not in calls yet, the last one first; closed when the loop has ended
	mu    sync.Mutex            // of calls; no Python runs under it
	calls map[int64]*order

	retired    atomic.Bool // it was given up: see Loop.retire
	suspected  atomic.Bool // somebody waits for it to answer
	overdue    atomic.Int64
	kick       chan struct{} // of one: for interrupt
	interrupts sync.Once
}

// order is one to an event loop whose outcome is waited for.
type order struct {
	id     int64
	waiter waiter
	moves  bool                      // to another event loop, when this one is retired before it has begun
	of     int64                     // the order that this one is about, 0 for none
	on     atomic.Pointer[eventLoop] // written with its mu, or before it is sent
	before *order

	pursued atomic.Pointer[eventLoop] // where its code is interrupted, for which eventLoop.overdue counts it
	lost    *gil.Running              // of a coroutine whose caller was freed
	gone    atomic.Bool               // that has ended
}

// waiter waits for what becomes of an order: it is told by one of the two, once, and then woken.
type waiter interface {
	settle(ok bool, value Bound) // on the loop's thread, with its token
	lose(err error)              // the loop has ended
	wake()
}

// closed is what sent is when nothing is taken any more.
var closed = new(order)

func startEventLoop(ctx context.Context, l *Loop) (*eventLoop, error) {
	pinned, err := l.host.Pin(ctx)
	if err != nil {
		return nil, err
	}
	orders, err := cpython.NewOrders()
	if err != nil {
		pinned.Close()
		return nil, err
	}
	e := &eventLoop{loop: l, pinned: pinned, running: l.host.NewRunning(), orders: orders, ended: make(chan struct{}),
		calls: make(map[int64]*order), kick: make(chan struct{}, 1)}
	go func() {
		e.over(pinned.Run(l.ctx, e.running, e.run))
		pinned.Close()
	}()
	return e, nil
}

func (e *eventLoop) run(tok *Token) error {
	e.thread.Store(uint64(cpython.ThisThread()))
	const op = "event loop"
	enter, err := result(tok, op, tok.Entry(op).EnterLoop(e.orders)) // first: what follows is not to be interrupted
	if err != nil {
		return err
	}
	take, err := result(tok, op, tok.Entry(op).TakeOrders(e.orders))
	if err != nil {
		return err
	}
	done, err := NewFunction(tok, GoFunc{Name: "done", Func: e.done})
	if err != nil {
		return err
	}
	builtins, err := Eval(tok, "dict(__import__('builtins').__dict__)") // Python code may change its own
	if err != nil {
		return err
	}
	ns, err := NewDict(tok, map[string]any{"__name__": "gilt.aio", "__builtins__": builtins, "fd": e.orders.FD(), "take": take, "enter": enter, "done": done})
	if err != nil {
		return err
	}
	if err := RunFile(tok, aio, "<gilt event loop>", ns); err != nil {
		return err
	}
	return Run(tok, "run(fd, take, enter, done)", ns)
}

// takes says whether orders may be sent to it.
func (e *eventLoop) takes() bool { return !e.retired.Load() && e.sent.Load() != closed }

// over ends the calls that are still waited for: the loop has ended, with err if by itself.
func (e *eventLoop) over(err error) {
	e.failed = err
	e.running.Found()
	e.mu.Lock()
	e.note(closed)
	calls := e.calls
	e.calls = nil
	e.mu.Unlock()
	close(e.ended)
	if err == nil {
		err = errLoopEnded
	}
	for _, o := range calls {
		o.waiter.lose(err)
		o.waiter.wake()
	}
}

// note puts what was sent into calls. With mu.
func (e *eventLoop) note(next *order) {
	for o := e.sent.Swap(next); o != nil && o != closed; o, o.before = o.before, nil {
		e.calls[o.id] = o
	}
}

// done is what became of orders: values has the result of each, or a list of the exception where the id is negative. It may be told of
// one twice.
func (e *eventLoop) done(ids []int64, values Bound) {
	told := make([]*order, len(ids))
	e.mu.Lock()
	e.note(nil)
	for i, id := range ids {
		id = max(id, -id)
		told[i] = e.calls[id] // nil when nobody waits
		delete(e.calls, id)
	}
	e.mu.Unlock()
	i := 0
	for v, err := range values.Iter() {
		if err != nil { // no memory: nothing comes after it
			break
		}
		if told[i] != nil {
			told[i].waiter.settle(ids[i] > 0, v)
		}
		i++
	}
	for _, o := range told[i:] {
		if o != nil {
			o.waiter.lose(gil.ErrNoMemory)
		}
	}
	if len(told) > 4 { // the loop has better things to do
		go wake(told)
	} else {
		wake(told)
	}
}

func wake(told []*order) {
	for _, o := range told {
		if o != nil {
			o.waiter.wake()
		}
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

// send sends an order that is waited for; or says that the loop has ended.
func (e *eventLoop) send(o *order, wire []byte) error {
	o.on.Store(e)
	err := e.put(o, wire)
	if err == nil && o.moves && e.retired.Load() { // which may have come too late to be handed on
		go e.loop.replace(e)
	}
	return err
}

func (e *eventLoop) put(o *order, wire []byte) error {
	o.on.Store(e)
	before := e.sent.Load()
	for {
		if before == closed {
			return errLoopEnded
		}
		o.before = before
		if e.sent.CompareAndSwap(before, o) { // from here on o is the loop's thread's
			break
		}
		before = e.sent.Load()
	}
	if !e.orders.Put(o.id, wire) {
		return gil.ErrNoMemory
	}
	return nil
}

// tell sends an order of which nothing becomes. A loop that has ended has nothing to do.
func (e *eventLoop) tell(what, function string) {
	if wire, err := wireOf(what, function); err == nil { // without arguments
		e.orders.Put(0, wire)
	}
}

// errOnLoop is a call that would wait for itself.
var errOnLoop = errors.New("gilt: a Go function that a coroutine calls cannot wait for another coroutine of the same loop: await it in Python")

// errLoopEnded is a call whose loop ended: with the runtime, or because a coroutine called sys.exit.
var errLoopEnded = fmt.Errorf("gilt: the event loop has ended: %w", gil.ErrClosed)

// exceptionOf is the exception in a list of one as an error. The list has it no more: what only the exception has may go.
func exceptionOf(box Bound) error {
	const op = "event loop"
	_, err := result(box.tok, op, box.entry(op).RaiseFrom(box.obj))
	return err
}
