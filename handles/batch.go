package handles

import (
	"context"
	"runtime"
	"unsafe"

	"gilt/gil"
	"gilt/internal/cpython"
	"gilt/scheduler"
)

// batchSize is how many calls are made before the lane is given to others, who may wait.
const batchSize = 1024

// Batch calls the function once for each argument, in order: up to 1,024 calls share one grant, one attach and one
// crossing. errs is nil when every call went well; otherwise it has an error, or nil, for each argument, and the
// others' results are valid. When ctx ends or the runtime closes, the calls that were not made have that error; an
// interruption, as of Call, ends the call that it hits and those after it.
func (f *Func[A, R]) Batch(ctx context.Context, args []A) (results []R, errs []error) {
	past := f.batchHistory(ctx)
	c := f.host.Cancels(ctx, past, f.policy)
	if !c.Free() {
		b := f.batch(ctx, c, past, nil, args)
		return b.results, b.errs
	}
	args = append([]A{}, args...) // the caller's own, who may change it when he is freed
	b, err := gil.Freed(ctx, f.host, c, func() string { return f.spec }, func(r *gil.Running) (batch[A, R], error) {
		return f.batch(ctx, c, past, r, args), nil
	})
	if err != nil {
		b = batch[A, R]{results: make([]R, len(args))}
		b.failFrom(0, err)
	}
	return b.results, b.errs
}

// batchHistory is the history of the function's batches in ctx's class. A thousand calls take longer than one, so a call
// has another.
func (f *Func[A, R]) batchHistory(ctx context.Context) *scheduler.History {
	const batches = 1 << 63 // no function's number has this bit
	if c := gil.ClassOf(ctx); c != nil {
		return f.host.History(c, f.what|batches)
	}
	return &f.batches
}

func (f *Func[A, R]) batch(ctx context.Context, c gil.Cancel, past *scheduler.History, running *gil.Running, args []A) batch[A, R] {
	b := batch[A, R]{f: f, cancel: c, past: past, running: running, results: make([]R, len(args))}
	for from := 0; from < len(args); from += batchSize {
		part := args[from:min(from+batchSize, len(args))]
		if called, err := b.run(ctx, from, part); err != nil {
			b.failFrom(from+called, err)
			break
		}
	}
	runtime.KeepAlive(f)
	for _, err := range b.errs {
		repanic(err)
	}
	return b
}

type batch[A, R any] struct {
	f       *Func[A, R]
	results []R
	errs    []error
	cancel  gil.Cancel
	past    *scheduler.History
	running *gil.Running

	kind   cpython.ArgKind
	from   int     // index of the first call, and, unless they follow one another,
	at     []int   // of each
	in     []int64 // see cpython.Fn.Batch
	out    []int64
	data   []byte
	direct bool // out is results' own memory
}

func (b *batch[A, R]) fail(i int, err error) {
	if b.errs == nil {
		b.errs = make([]error, len(b.results))
	}
	if b.errs[i] == nil {
		b.errs[i] = err
	}
}

// failFrom gives err to the calls that were not made: the last ones.
func (b *batch[A, R]) failFrom(from int, err error) {
	for i := from; i < len(b.results); i++ {
		b.fail(i, err)
	}
}

// run makes the calls for args, the first of which has the index from. An error is that of the calls after the
// first so many.
func (b *batch[A, R]) run(ctx context.Context, from int, args []A) (called int, err error) {
	if !b.running.Reads(func() { b.encode(from, args) }) { // nobody waits for the rest
		return 0, context.Cause(ctx)
	}
	if len(b.in) == 0 {
		return 0, nil
	}
	f := b.f
	g, err := f.host.Acquire(ctx, b.cancel, b.past)
	if err != nil {
		return 0, err
	}
	b.running.Granted(g)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	it := f.host.Lanes()[g.Lane()]
	task := f.host.Begin(ctx, g, b.running)
	r := f.fn.Batch(it, g.Tag(), b.cancel.Deadline(), b.kind, b.in, b.data, f.kind, b.out)
	f.host.EndTask(task, g, r)
	b.past.Took(r.Slow, r.Shared, r.Held)
	if r.Status == cpython.Raised { // the function is not there in this interpreter
		return 0, f.failure(g, r)
	}
	b.decode(it, r)
	called = len(args)
	if n := int(r.Int); n < len(b.in) || r.Fired {
		called = 0
		if n > 0 {
			called = b.index(n-1) - from + 1
		}
	}
	if r.Status != cpython.OK {
		return called, gil.Status(f.spec, cpython.Result{Status: r.Status})
	}
	if last := from + called - 1; r.Fired && called > 0 && b.errs != nil && b.errs[last] != nil {
		err = gil.Interrupted(ctx, true, b.errs[last])
		b.errs[last] = err
	}
	return called, err
}

// encode brings args into the form that crosses: their own memory when they are numbers of eight bytes.
func (b *batch[A, R]) encode(from int, args []A) {
	b.from, b.at, b.data = from, b.at[:0], b.data[:0]
	if b.in = words(args); b.in != nil {
		b.kind, _, _, _ = b.f.encode(args[0])
	} else {
		b.in = make([]int64, 0, len(args))
		b.encodeEach(from, args)
	}
	b.out = nil
	if len(b.in) == len(args) { // else results has gaps
		b.out = words(b.results[from : from+len(args)])
	}
	if b.direct = b.out != nil; !b.direct {
		b.out = make([]int64, len(b.in))
	}
}

func (b *batch[A, R]) encodeEach(from int, args []A) {
	for i, a := range args {
		kind, number, data, err := b.f.encode(a)
		if err != nil {
			b.fail(from+i, argumentError(err, "%s: argument 1", b.f.spec))
			continue
		}
		if b.kind = kind; kind >= cpython.ArgStr {
			b.data = append(b.data, data...)
			number = int64(len(b.data))
		}
		b.at, b.in = append(b.at, from+i), append(b.in, number)
	}
}

// words is the memory of numbers that cross as they are; nil for everything else.
func words[T any](s []T) []int64 {
	switch any((*T)(nil)).(type) {
	case *int64, *uint64, *float64:
		// SAFETY: they have the size and the alignment of an int64, and every one of its values is one of theirs.
		return unsafe.Slice((*int64)(unsafe.Pointer(unsafe.SliceData(s))), len(s))
	}
	return nil
}

// decode reads the results of the calls that were made.
func (b *batch[A, R]) decode(it *cpython.Interp, r cpython.Result) {
	rd := &cpython.Reader{Data: r.Data}
	next := rd.Uint64
	other := int64(-1) // the next call whose result is no number
	if len(r.Data) > 0 {
		other = int64(next())
	}
	if b.direct && other < 0 {
		return
	}
	for i := range r.Int {
		one := cpython.Result{Int: b.out[i]}
		if i == other {
			status := next()
			one = cpython.Result{Status: cpython.Status(status & 0xff), Int: int64(status >> 8), Obj: cpython.Object(next())}
			one.Data = rd.Bytes()
			if other = -1; len(rd.Data) > 0 {
				other = int64(next())
			}
		}
		b.set(it, b.index(int(i)), one)
	}
}

// index is the index of the i-th call.
func (b *batch[A, R]) index(i int) int {
	if len(b.at) > 0 {
		return b.at[i]
	}
	return b.from + i
}

func (b *batch[A, R]) set(it *cpython.Interp, i int, r cpython.Result) {
	var err error
	switch r.Status {
	case cpython.OK:
		b.results[i], err = b.f.decode(r)
	case cpython.Raised:
		err = b.f.exception(it, r)
	default:
		err = gil.Status(b.f.spec, r)
	}
	if err != nil {
		b.fail(i, err)
	}
}
