package handles

import (
	"context"

	"gilt/internal/cpython"
)

// Failure is failure, for the wire forms that no Python makes.
var Failure = failure

// LiveFunctions is how many Go functions Python knows.
func LiveFunctions() (n int) {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	return int(registry.used) - len(registry.free)
}

// Sent is how many orders were sent to the loop whose outcome is not known, and none before these were noted.
func (l *Loop) Sent() (n int) {
	for o := l.current.Load().sent.Load(); o != nil; o = o.before { // of a loop that is held up
		n++
	}
	return n
}

// Smuggled is an object of another interpreter, as C code that minds no interpreter would give it.
func Smuggled(tok *Token, p Py) Bound { return bound(tok, p.ref.object()) }

// BoundOf is the object that an operation gave.
func BoundOf(tok *Token, r cpython.Result) Bound { return bound(tok, r.Obj) }

// AwaitedCalls is how many calls of Async functions Go keeps.
func AwaitedCalls() int {
	awaits.mu.Lock()
	defer awaits.mu.Unlock()
	return len(awaits.calls)
}

// Check is what each operation does first.
func (b Bound) Check() { b.entry("Check") }

// InZone runs f as on a machine whose zone is that of the key.
func InZone(key string, f func()) {
	defer func(was func() string) { localKey = was }(localKey)
	localKey = func() string { return key }
	f()
}

// RetireWithOverdue sends a call to the event loop that takes orders, which must be held up, and retires that event loop when
// the call is overdue and no cancellation has been sent. It gives what becomes of the call.
func (l *Loop) RetireWithOverdue(ctx context.Context, function string, arg any) error {
	c := &call[struct{}]{name: function, done: make(chan struct{}, 1)}
	c.waiter, c.moves = c, true
	wire, err := wireOf("call", function, arg)
	if err != nil {
		return err
	}
	if err := l.send(ctx, nil, &c.order, wire); err != nil {
		return err
	}
	l.pursue(&c.order)
	l.retire(c.on.Load(), function, "a test")
	<-c.done
	c.spare()
	return c.err
}
