package handles

import (
	"context"
	_ "embed"
	"reflect"
	"sync"

	"gilt/gil"
	"gilt/internal/cpython"
)

//go:embed awaits.py
var awaitsSource string

// awaits are the calls of Async functions, and the event loops that are told when they end, by number.
var awaits = struct {
	mu    sync.Mutex
	last  int64
	calls map[int64]*awaitedCall
	loops map[int64]*cpython.Orders
}{calls: make(map[int64]*awaitedCall), loops: make(map[int64]*cpython.Orders)}

// awaitedCall is a call of an Async function, from when Python has given its arguments until Python has its outcome.
type awaitedCall struct {
	c      *callee
	args   []reflect.Value
	cancel context.CancelCauseFunc // nil when the function takes no context

	// Set before the event loop is told.
	out []reflect.Value
	err error
}

// awaitedCallOf takes the call of that number out of those that are known, nil for none.
func awaitedCallOf(id int64) *awaitedCall {
	awaits.mu.Lock()
	defer awaits.mu.Unlock()
	a := awaits.calls[id]
	delete(awaits.calls, id)
	return a
}

// awaitedID is what Python holds as long as it may ask for the call's outcome.
type awaitedID int64

func (id awaitedID) drop() {
	if a := awaitedCallOf(int64(id)); a != nil {
		a.end(context.Canceled)
	}
}

// promise gives Python a call's number, and an object with which the call goes: whoever awaits may be interrupted at any
// moment.
func (c *callee) promise(tok *Token, frame cpython.CallFrame, args []reflect.Value) error {
	const op = "Async function"
	id := c.prepare(args)
	value := addValue(awaitedID(id))
	guard, err := result(tok, op, tok.Entry(op).MakeValue(value))
	if err != nil {
		dropped(value)
		return err
	}
	w, err := encodeAny(tok, nil, []any{id, guard}, 0)
	if err == nil {
		frame.ReturnWire(w)
	}
	return err
}

// prepare notes a call, to be begun when its event loop is ready for the outcome, and gives its number.
func (c *callee) prepare(args []reflect.Value) int64 {
	a := &awaitedCall{c: c, args: args}
	if c.context {
		ctx, cancel := context.WithCancelCause(args[0].Interface().(context.Context))
		args[0], a.cancel = reflect.ValueOf(ctx), cancel
	}
	awaits.mu.Lock()
	awaits.last++
	id := awaits.last
	awaits.calls[id] = a
	awaits.mu.Unlock()
	if c.host.Closing() { // cancelAwaited may not have seen it
		a.end(gil.ErrClosed)
	}
	return id
}

// end cancels the context that the call has.
func (a *awaitedCall) end(why error) {
	if a.cancel != nil {
		a.cancel(why)
	}
}

// cancelAwaited cancels the calls that run: the host is closing.
func cancelAwaited(h *gil.Host) {
	awaits.mu.Lock()
	defer awaits.mu.Unlock()
	for _, a := range awaits.calls {
		if a.c.host == h {
			a.end(gil.ErrClosed)
		}
	}
}

// awaitFunctions are what awaits.py calls.
func awaitFunctions() []GoFunc {
	return []GoFunc{
		{Name: "bridge", Func: newBridge},
		{Name: "unbridge", Func: func(number int64) {
			awaits.mu.Lock()
			defer awaits.mu.Unlock()
			if orders := awaits.loops[number]; orders != nil {
				orders.Close() // each asyncio.run has a loop: Go's garbage collector would come too late
				delete(awaits.loops, number)
			}
		}},
		{Name: "begin", Func: beginAwaited},
		{Name: "drop", Func: func(id int64) { awaitedID(id).drop() }},
	}
}

// newBridge gives the number of a way to tell an event loop, the file descriptor to wait on, and the function that takes
// what was told.
func newBridge(tok *Token) ([]any, error) {
	orders, err := cpython.NewOrders()
	if err != nil {
		return nil, err
	}
	const op = "Async function"
	take, err := result(tok, op, tok.Entry(op).TakeOrders(orders))
	if err != nil {
		return nil, err
	}
	awaits.mu.Lock()
	defer awaits.mu.Unlock()
	awaits.last++
	awaits.loops[awaits.last] = orders
	return []any{awaits.last, orders.FD(), take}, nil
}

// ended is what an event loop is told of a call: the three values of an order.
var ended = cpython.AppendNil(cpython.AppendNil(cpython.AppendNil(nil)))

// beginAwaited runs a call on a goroutine, which tells the event loop of that number when it has ended. Its context is
// then of no use any more.
func beginAwaited(id, loop int64) error {
	awaits.mu.Lock()
	a, to := awaits.calls[id], awaits.loops[loop]
	awaits.mu.Unlock()
	if a == nil || to == nil {
		return conversionError(RuntimeError, "the call has ended")
	}
	go a.c.apart(a.args, func(out []reflect.Value, err error) {
		a.end(nil)
		awaits.mu.Lock() // outcome is on another thread
		a.out, a.err = out, err
		awaits.mu.Unlock()
		to.Put(id, ended) // without memory, Go has none either
	})
	return nil
}

// outcome gives Python what became of a call that has ended.
func outcome(tok *Token, frame cpython.CallFrame) error {
	a := awaitedCallOf(frame.Int(0))
	if a == nil {
		return conversionError(RuntimeError, "the call has ended")
	}
	if a.err != nil {
		return a.err
	}
	return a.c.give(tok, frame, a.out)
}

// awaited makes an async function of what prepares a call.
func awaited(tok *Token, prepare Bound) (Bound, error) {
	m, err := glue(tok, "gilt.awaits", awaitsSource, func(ns Bound) error {
		h := tok.Host()
		h.AtClose(func() { cancelAwaited(h) })
		f, err := functionWith(tok, GoFunc{Name: "outcome", Func: func(int64) {}}, shortcuts{typed: outcome})
		if err != nil {
			return err
		}
		if err := ns.SetItem("outcome", f); err != nil {
			return err
		}
		return addFunctions(tok, ns, awaitFunctions())
	})
	if err != nil {
		return Bound{}, err
	}
	return m.Method("awaited", prepare)
}
