package handles

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"strings"

	"gilt/gil"
	"gilt/internal/cpython"
	"gilt/scheduler"
)

// Func is a Python function prepared for calls from any goroutine without a token: looked up once in
// each interpreter that runs it, its conversions chosen once, one cgo crossing a call that attaches,
// calls and detaches.
type Func[A, R any] struct {
	host   *gil.Host
	fn     *cpython.Fn
	spec   string
	encode func(A) (cpython.ArgKind, int64, []byte, error)
	decode func(cpython.Result) (R, error)
	kind   cpython.Kind
	scalar bool   // the result is none, a number or a bool
	what   uint64 // its number, see gil.Prepared
	policy *scheduler.Cancellation
	past   scheduler.History // of calls without a class

	batches scheduler.History // of batches without a class
}

// Lookup prepares the function named by spec, "module:function" or "module:Class.method", to be called
// with one argument of type A, or none when A is struct{}, or several when A is Args. The result is
// converted to R; struct{} drops it. The module is imported now, in one interpreter; in the others at
// the first call there. Handles are neither arguments nor results: call objects by Bound.Call, inside Do.
func Lookup[A, R any](ctx context.Context, h *gil.Host, spec string) (*Func[A, R], error) {
	return lookup[A, R](ctx, h, spec, encoder[A]())
}

func lookup[A, R any](ctx context.Context, h *gil.Host, spec string, encode func(A) (cpython.ArgKind, int64, []byte, error)) (*Func[A, R], error) {
	module, name, ok := strings.Cut(spec, ":")
	if !ok || module == "" || name == "" || strings.ContainsRune(spec, 0) {
		return nil, fmt.Errorf("gilt: function %q: write it as module:function", spec)
	}
	if err := resultOf[R](); err != nil {
		return nil, fmt.Errorf("gilt: function %q: %w", spec, err)
	}
	what, forget := gil.Prepared(spec)
	fn, err := cpython.NewFn(module, name, what)
	if err != nil {
		forget()
		return nil, fmt.Errorf("gilt: function %q: %w", spec, err)
	}
	f := &Func[A, R]{host: h, what: what, fn: fn, spec: spec, encode: encode, decode: decoder[R](), kind: kindOf[R]()}
	f.scalar = f.kind != cpython.KindObject && f.kind < cpython.KindStr
	if err := f.resolve(ctx); err != nil {
		fn.Free()
		forget()
		return nil, fmt.Errorf("gilt: function %q: %w", spec, err)
	}
	runtime.AddCleanup(f, func(fn *cpython.Fn) { fn.Free(); forget() }, fn)
	return f, nil
}

// resultOf says why no prepared function gives an R.
func resultOf[R any]() error {
	t := reflect.TypeFor[R]()
	if isHandle(t) {
		return conversionError(TypeError, "a prepared function gives no handles: call the object by Bound.Call, inside Do")
	}
	if kindOf[R]() != cpython.KindWire {
		return nil
	}
	return readable(t, 0)
}

func (f *Func[A, R]) resolve(ctx context.Context) error {
	g, err := f.host.Acquire(ctx, gil.Cancel{}, nil)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r := f.fn.Resolve(f.host.Lanes()[g.Lane()], g.Tag())
	f.host.Scheduler().Release(g, r.Held)
	return f.failure(g, r)
}

// Cancellation sets when a call's context interrupts the function while it runs, which else its class says. It is
// for the one who looked the function up, before others call it, and gives f.
func (f *Func[A, R]) Cancellation(c scheduler.Cancellation) *Func[A, R] {
	f.policy = &c
	return f
}

// Call calls the function. It waits for its turn, in the order of ctx's class and deadline; an ended ctx
// takes it out of the queue. How a ctx that ends later interrupts it, Cancellation says: the error is then a
// *gil.InterruptedError, or a *gil.UninterruptibleError if it goes on all the same. It may be called from any
// goroutine, also inside AllowThreads.
func (f *Func[A, R]) Call(ctx context.Context, a A) (v R, err error) {
	ak, ai, data, err := f.encode(a)
	if err != nil {
		return v, argumentError(err, "%s: argument 1", f.spec)
	}
	past := f.history(ctx)
	c := f.host.Cancels(ctx, past, f.policy)
	if c.Free() {
		return f.freed(ctx, c, past, ak, ai, data)
	}
	return f.call(ctx, c, past, nil, ak, ai, data)
}

func (f *Func[A, R]) history(ctx context.Context) *scheduler.History {
	if c := gil.ClassOf(ctx); c != nil { // what is long for one tenant is not for another
		return f.host.History(c, f.what)
	}
	return &f.past
}

// freed is call on another goroutine, for a caller who may not wait for its end.
func (f *Func[A, R]) freed(ctx context.Context, c gil.Cancel, past *scheduler.History, ak cpython.ArgKind, ai int64, data []byte) (R, error) {
	if ak == cpython.ArgBytes { // the caller's own, who may change it when he is freed
		data = append([]byte{}, data...)
	}
	return gil.Freed(ctx, f.host, c, func() string { return f.spec }, func(r *gil.Running) (R, error) {
		return f.call(ctx, c, past, r, ak, ai, data)
	})
}

func (f *Func[A, R]) call(ctx context.Context, c gil.Cancel, past *scheduler.History, running *gil.Running, ak cpython.ArgKind, ai int64, data []byte) (v R, err error) {
	g, err := f.host.Acquire(ctx, c, past)
	if err != nil {
		return v, err
	}
	running.Granted(g)
	// The result is read out of the thread's buffer, so the goroutine stays on the thread until it is.
	runtime.LockOSThread()
	task := f.host.Begin(ctx, g, running)
	r := f.cross(g, c.Deadline(), ak, ai, data)
	f.host.EndTask(task, g, r)
	past.Took(r.Slow, r.Shared, r.Held)
	if r.Status == cpython.OK {
		v, err = f.decode(r)
	} else {
		err = f.failure(g, r)
	}
	runtime.UnlockOSThread()
	runtime.KeepAlive(f)
	repanic(err)
	return v, gil.Interrupted(ctx, r.Fired, err)
}

// CallIn calls the function within a task, whose token it takes, as any operation of tok's: in one crossing, without
// waiting for a turn. It is the cheapest of the calls.
func (f *Func[A, R]) CallIn(tok *Token, a A) (v R, err error) {
	const op = "Func.CallIn"
	e := tok.Entry(op)
	ak, ai, data, err := f.encode(a)
	if err != nil {
		return v, argumentError(err, "%s: argument 1", f.spec)
	}
	i, status := f.fn.CallIn(e, ak, ai, data, f.kind)
	runtime.KeepAlive(f)
	runtime.KeepAlive(a)
	if status != cpython.OK {
		return v, quickFailure(tok, op, status)
	}
	if f.kind.Quick() {
		return f.decode(cpython.Result{Int: i})
	}
	return f.decode(e.Rest())
}

// cross makes the one crossing of a call.
func (f *Func[A, R]) cross(g scheduler.Grant, deadline cpython.Deadline, ak cpython.ArgKind, ai int64, data []byte) (r cpython.Result) {
	it := f.host.Lanes()[g.Lane()]
	if !f.scalar || ak >= cpython.ArgStr {
		return f.fn.Call(it, g.Tag(), deadline, ak, ai, data, f.kind)
	}
	if r = f.fn.CallScalar(it, g.Tag(), deadline, ak, ai, f.kind); r.Status != cpython.OK {
		return cpython.Rest()
	}
	return r
}

func (f *Func[A, R]) failure(g scheduler.Grant, r cpython.Result) error {
	if r.Status == cpython.OK {
		return nil
	}
	if r.Status != cpython.Raised {
		return gil.Status(f.spec, r)
	}
	return f.exception(f.host.Lanes()[g.Lane()], r)
}

func (f *Func[A, R]) exception(it *cpython.Interp, r cpython.Result) error {
	e, err := raised(f.host, it, r)
	if err != nil {
		return err
	}
	if it == f.host.Python().Main() {
		return e
	}
	return refusal(e)
}

// Args are several positional arguments of a prepared function: Lookup[Args, R]. It is no value: inside another value, or
// among the arguments of another call, it is a TypeError.
type Args []any

// encoder chooses how an A travels; nothing of it reflects for scalars, strings and bytes.
func encoder[A any]() func(A) (cpython.ArgKind, int64, []byte, error) {
	var f any
	switch any((*A)(nil)).(type) {
	case *struct{}:
		f = func(struct{}) (cpython.ArgKind, int64, []byte, error) { return cpython.ArgNone, 0, nil, nil }
	case *int64:
		f = func(a int64) (cpython.ArgKind, int64, []byte, error) { return cpython.ArgInt64, a, nil, nil }
	case *int:
		f = func(a int) (cpython.ArgKind, int64, []byte, error) { return cpython.ArgInt64, int64(a), nil, nil }
	case *uint64:
		f = func(a uint64) (cpython.ArgKind, int64, []byte, error) { return cpython.ArgUint64, int64(a), nil, nil }
	case *float64:
		f = func(a float64) (cpython.ArgKind, int64, []byte, error) {
			return cpython.ArgFloat64, int64(math.Float64bits(a)), nil, nil
		}
	case *bool:
		f = func(a bool) (cpython.ArgKind, int64, []byte, error) {
			if a {
				return cpython.ArgBool, 1, nil, nil
			}
			return cpython.ArgBool, 0, nil, nil
		}
	case *string:
		f = func(a string) (cpython.ArgKind, int64, []byte, error) {
			return cpython.ArgStr, 0, cpython.StringBytes(a), nil
		}
	case *[]byte:
		f = func(a []byte) (cpython.ArgKind, int64, []byte, error) { return cpython.ArgBytes, 0, a, nil }
	case *Args:
		f = func(a Args) (cpython.ArgKind, int64, []byte, error) { return wireArgs(a...) }
	default:
		if _, ok := any(*new(A)).(spreads); ok && reflect.TypeFor[A]().Kind() == reflect.Struct { // no pointer, which may be nil
			return func(a A) (cpython.ArgKind, int64, []byte, error) { return spreadWire(any(a).(spreads).spread()) }
		}
		return func(a A) (cpython.ArgKind, int64, []byte, error) { return wireArgs(any(a)) }
	}
	return f.(func(A) (cpython.ArgKind, int64, []byte, error))
}

func wireArgs(args ...any) (cpython.ArgKind, int64, []byte, error) {
	b := cpython.AppendCall(nil, len(args), 0)
	var err error
	for i, a := range args {
		if b, err = encode(nil, b, a); err != nil {
			if len(args) > 1 {
				err = argumentError(err, "%d", i+1)
			}
			return 0, 0, nil, err
		}
	}
	return cpython.ArgWire, 0, b, nil
}
