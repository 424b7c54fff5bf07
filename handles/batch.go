package handles

import (
	"context"
	"runtime"
	"unsafe"

	"gilt/gil"
	"gilt/internal/cpython"
)

// batchSize is how many calls are made before the lane is given to others, who may wait.
const batchSize = 1024

// Batch calls the function once for each argument, in order: up to 1,024 calls share one grant, one attach and one
// crossing. errs is nil when every call went well; otherwise it has an error, or nil, for each argument, and the
// others' results are valid. When ctx ends or the runtime closes, the calls that were not made have that error.
func (f *Func[A, R]) Batch(ctx context.Context, args []A) (results []R, errs []error) {
	results = make([]R, len(args))
	b := batch[A, R]{f: f, results: results}
	for from := 0; from < len(args); from += batchSize {
		part := args[from:min(from+batchSize, len(args))]
		if err := b.run(ctx, from, part); err != nil {
			for i := from; i < len(args); i++ {
				b.fail(i, err)
			}
			break
		}
	}
	runtime.KeepAlive(f)
	for _, err := range b.errs {
		repanic(err)
	}
	return results, b.errs
}

type batch[A, R any] struct {
	f       *Func[A, R]
	results []R
	errs    []error

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

// run makes the calls for args, the first of which has the index from.
func (b *batch[A, R]) run(ctx context.Context, from int, args []A) error {
	b.encode(from, args)
	if len(b.in) == 0 {
		return nil
	}
	f := b.f
	past := &f.past
	if c := gil.ClassOf(ctx); c != nil {
		past = f.host.History(c, f.what)
	}
	g, err := f.host.Acquire(ctx, past)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	it := f.host.Lanes()[g.Lane()]
	f.host.Remember(ctx, g)
	r := f.fn.Batch(it, g.Tag(), b.kind, b.in, b.data, f.kind, b.out)
	f.host.Forget(g)
	f.host.Scheduler().Release(g, r.Held)
	if r.Status == cpython.Raised { // the function is not there in this interpreter
		return f.failure(g, r)
	}
	b.decode(it, r)
	if r.Status != cpython.OK {
		return gil.Status(f.spec, cpython.Result{Status: r.Status})
	}
	return nil
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
		at := b.from + int(i)
		if len(b.at) > 0 {
			at = b.at[i]
		}
		b.set(it, at, one)
	}
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
