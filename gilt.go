// Package gilt runs CPython inside a Go process and decides, fairly and measurably, who runs Python
// next.
//
// Open finds a Python, loads and starts it. Work gets a Token, the proof that it may use Python now:
// Do runs a function with one on the calling goroutine, Submit on a worker thread, Pin on one thread for
// good; a function prepared by Lookup is called from any goroutine without handling a token. Objects,
// conversions and exceptions are in package handles, which programs import as py:
//
//	import (
//		"gilt"
//		_ "gilt/embedded" // a bundled CPython, used when no other is named
//		py "gilt/handles"
//	)
package gilt

import (
	"context"

	"gilt/gil"
	"gilt/handles"
	"gilt/scheduler"
)

// Token proves that this goroutine, on this OS thread, may use Python until the function that was given
// it returns.
type Token = gil.Token

// Future is the result of submitted work, to come.
type Future[T any] = gil.Future[T]

// Func is a Python function prepared by Lookup.
type Func[A, R any] = handles.Func[A, R]

// Class is who work is for: a tenant, an endpoint, a job. Classes share Python's time by weight.
type Class = scheduler.Class

// Pinned is a session on one OS thread: see Runtime.Pin.
type Pinned = gil.Pinned

// The errors that callers branch on. Deadlines and cancellation are context.DeadlineExceeded and
// context.Canceled; Python exceptions are *handles.Error.
var (
	ErrClosed             = gil.ErrClosed
	ErrSaturated          = scheduler.ErrSaturated
	ErrShutdownIncomplete = gil.ErrShutdownIncomplete
)

// WithClass gives a context whose work is charged to c.
func WithClass(ctx context.Context, c *Class) context.Context { return gil.WithClass(ctx, c) }

// Do runs f with a token, on this goroutine and the OS thread it is on, when its turn has come. It waits
// in the order of ctx's class and deadline, and leaves the queue when ctx ends; f, once it runs, is not
// interrupted. Do may be called inside AllowThreads; called with a token held it works, but may wait for
// the grace of 100 µs.
func (rt *Runtime) Do(ctx context.Context, f func(*Token) error) error { return rt.host.Do(ctx, f) }

// Submit queues f for one of the runtime's worker threads.
func Submit[T any](ctx context.Context, rt *Runtime, f func(*Token) (T, error)) *Future[T] {
	return gil.Submit(ctx, rt.host, f)
}

// Lookup prepares the Python function named by spec, "module:function", to be called with an A for an R.
// See handles.Func for what A and R may be.
func Lookup[A, R any](ctx context.Context, rt *Runtime, spec string) (*Func[A, R], error) {
	return handles.Lookup[A, R](ctx, rt.host, spec)
}

// Pin gives a session on one OS thread and in one interpreter, for libraries that must always be called
// from the same thread. Close it when done.
func (rt *Runtime) Pin(ctx context.Context) (*Pinned, error) { return rt.host.Pin(ctx) }

// OnMain runs f on Python's main thread in the main interpreter, for what CPython allows only there. It
// stands outside the scheduler's order: keep it short.
func (rt *Runtime) OnMain(ctx context.Context, f func(*Token) error) error {
	return rt.host.OnMain(ctx, f)
}

// Class gives the class of that name, made on first use with weight 1.
func (rt *Runtime) Class(name string) (*Class, error) {
	return rt.host.Scheduler().Class(name, scheduler.ClassConfig{})
}

// WeightedClass gives the class of that name, made on first use with that weight: its share of Python's
// time against the other classes that have work.
func (rt *Runtime) WeightedClass(name string, weight float64) (*Class, error) {
	return rt.host.Scheduler().Class(name, scheduler.ClassConfig{Weight: weight})
}
