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

// GoModule is a Python module made of Go functions.
type GoModule = handles.GoModule

// GoFunc is a Go function for Python.
type GoFunc = handles.GoFunc

// Func is a Python function prepared by Lookup.
type Func[A, R any] = handles.Func[A, R]

// Class is who work is for: a tenant, an endpoint, a job. Classes share Python's time by weight.
type Class = scheduler.Class

// Pinned is a session on one OS thread: see Runtime.Pin.
type Pinned = gil.Pinned

// The errors that callers branch on. Deadlines and cancellation are context.DeadlineExceeded and
// context.Canceled; Python exceptions are *handles.Error.
var (
	// ErrClosed is work for a runtime that is shutting down or has shut down.
	ErrClosed = gil.ErrClosed
	// ErrSaturated is work for which a queue has no room, or that was shed: a *scheduler.SaturatedError, which says
	// when to try again.
	ErrSaturated = scheduler.ErrSaturated
	// ErrLate is work that was refused before its deadline, for it would have ended later: a *scheduler.LateError, which says how long
	// it was expected to take. It is a context.DeadlineExceeded too.
	ErrLate = scheduler.ErrLate
	// ErrShutdownIncomplete is a shutdown that could not finalize Python.
	ErrShutdownIncomplete = gil.ErrShutdownIncomplete
	// ErrTooManyClasses is one class more than Config.MaxClasses.
	ErrTooManyClasses = scheduler.ErrTooManyClasses
	// ErrClassConfig is a class's configuration that makes no sense, or is not the existing class's.
	ErrClassConfig = scheduler.ErrConfig
	// ErrClassBusy is a class that cannot be dropped.
	ErrClassBusy = scheduler.ErrClassBusy
	// ErrWouldDeadlock is what Future.Wait gives submitted work that waits for itself: it could not end.
	ErrWouldDeadlock = gil.ErrWouldDeadlock
	// ErrGreenlet is work begun by a Go function that a greenlet has called, while another greenlet of the same thread is inside a
	// Go function that has called Python.
	ErrGreenlet = gil.ErrGreenlet
	// ErrGoexit is work that called runtime.Goexit.
	ErrGoexit = gil.ErrGoexit
)

// MisuseError is the value of the panic that answers a programming bug at the boundary.
type MisuseError = gil.MisuseError

// PanicError is a panic that did not arrive by itself, because another goroutine, or Python code, stood in the way: Do and the
// other calls panic with it, and a Future's Wait gives it as an error. It has the original value, its stack, and the Python
// frames that it passed through, and prints all of them.
type PanicError = gil.PanicError

// Recovered is the value that was panicked with, given what recover() gave: that of a *PanicError, or v itself.
func Recovered(v any) any { return gil.Recovered(v) }

// WithClass gives a context whose work is charged to c.
func WithClass(ctx context.Context, c *Class) context.Context { return gil.WithClass(ctx, c) }

// Do runs f with a token, on this goroutine and the OS thread it is on, when its turn has come. It waits
// in the order of ctx's class and deadline, and leaves the queue when ctx ends. Do may be called inside AllowThreads;
// called with a token held it works, but may wait for the grace of 100 µs.
//
// A ctx that may interrupt f once it runs, as Cancellation says, has it run on another goroutine, unless f is known to
// be short: Do then returns with ErrUninterruptible when f goes on in spite of it, and what f writes to must not be
// read. A panic of f, as a *PanicError then, and runtime.Goexit arrive at the caller all the same.
//
// Do returns f's error, in an *InterruptedError if f was interrupted. When f never ran the error matches ErrClosed,
// ErrSaturated, ErrLate, or ctx's (a *scheduler.WaitError).
func (rt *Runtime) Do(ctx context.Context, f func(*Token) error) error { return rt.host.Do(ctx, f) }

// Submit queues f for one of the runtime's worker threads, in the order of ctx's class and deadline, and does not wait for
// it. A queue that is full and a closed runtime are errors of the Future; so is a panic of f, as a *PanicError, and
// runtime.Goexit, as ErrGoexit. While it waits for its turn, f is given up when ctx ends; once it runs, its Python code is
// interrupted as Cancellation says. It may be called from any goroutine, also with a token held.
func Submit[T any](ctx context.Context, rt *Runtime, f func(*Token) (T, error)) *Future[T] {
	return gil.Submit(ctx, rt.host, f)
}

// Lookup prepares the Python function named by spec, "module:function", to be called with an A for an R.
// See handles.Func for what A and R may be.
func Lookup[A, R any](ctx context.Context, rt *Runtime, spec string) (*Func[A, R], error) {
	return handles.Lookup[A, R](ctx, rt.host, spec)
}

// Lookup2 is Lookup for a function with two arguments.
func Lookup2[A, B, R any](ctx context.Context, rt *Runtime, spec string) (*handles.Func2[A, B, R], error) {
	return handles.Lookup2[A, B, R](ctx, rt.host, spec)
}

// Lookup3 is Lookup for a function with three arguments.
func Lookup3[A, B, C, R any](ctx context.Context, rt *Runtime, spec string) (*handles.Func3[A, B, C, R], error) {
	return handles.Lookup3[A, B, C, R](ctx, rt.host, spec)
}

// LookupAsync prepares the async def function, or async generator, named by spec, to be awaited on the runtime's
// event loop from any goroutine.
func LookupAsync[A, R any](ctx context.Context, rt *Runtime, spec string) (*handles.AsyncFunc[A, R], error) {
	loop, err := rt.Loop(ctx)
	if err != nil {
		return nil, err
	}
	return handles.LookupAsync[A, R](ctx, loop, spec)
}

// Pin gives a session on one OS thread and in one interpreter, for libraries that must always be called
// from the same thread. Close it when done. ctx bounds the wait for a turn, by which the interpreter is chosen.
func (rt *Runtime) Pin(ctx context.Context) (*Pinned, error) { return rt.host.Pin(ctx) }

// OnMain runs f on Python's main thread in the main interpreter, for what CPython allows only there. It
// stands outside the scheduler's order: keep it short. ctx bounds the wait for the thread; f is not interrupted. It may be
// called from any goroutine, that thread's included.
func (rt *Runtime) OnMain(ctx context.Context, f func(*Token) error) error {
	return rt.host.OnMain(ctx, f)
}

// ClassConfig says what a class may have: its weight, limits on what waits and runs and for how long it waits, and when
// what runs is interrupted.
type ClassConfig = scheduler.ClassConfig

// Class gives the class of that name, made on first use from Config.Class. Classes that have been idle for
// a minute make room for others; a handle to one that has gone is as good as new. It returns an error that
// matches ErrTooManyClasses.
func (rt *Runtime) Class(name string) (*Class, error) { return rt.ClassWith(name, ClassConfig{}) }

// WeightedClass is Class with a weight: its share of Python's time against the other classes that have
// work. It returns an error that matches ErrClassConfig for a weight that is not positive, or not the
// existing class's.
func (rt *Runtime) WeightedClass(name string, weight float64) (*Class, error) {
	if weight == 0 {
		weight = -1 // in a ClassConfig 0 is the default
	}
	return rt.ClassWith(name, ClassConfig{Weight: weight})
}

// ClassWith is Class with a configuration of its own. Limits below 0 are errors; 0 is the runtime's limit. With a Parent the
// class shares what the parent gets: an endpoint its tenant's part, many names one part.
func (rt *Runtime) ClassWith(name string, c ClassConfig) (*Class, error) {
	return rt.host.Scheduler().Class(name, c)
}

// DropClass forgets a class at once, or returns an error that matches ErrClassBusy while its work waits or
// runs, or it is a parent that has children.
func (rt *Runtime) DropClass(c *Class) error { return rt.host.Scheduler().Drop(c) }
