package handles

import (
	"context"
	"runtime"

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
	most := min(len(args), batchSize)
	b := batch[A, R]{f: f, results: results, at: make([]int, 0, most), in: make([]int64, 0, most), out: make([]int64, most)}
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

	kind cpython.ArgKind
	at   []int   // index of each call
	in   []int64 // see cpython.Fn.Batch
	out  []int64
	data []byte
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
	if len(b.at) == 0 {
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
	r := f.fn.Batch(it, g.Tag(), b.kind, b.in, b.data, f.kind, b.out[:len(b.in)])
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

func (b *batch[A, R]) encode(from int, args []A) {
	b.at, b.in, b.data = b.at[:0], b.in[:0], b.data[:0]
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

// decode reads the results of the calls that were made.
func (b *batch[A, R]) decode(it *cpython.Interp, r cpython.Result) {
	rd := &cpython.Reader{Data: r.Data}
	next := rd.Uint64
	other := int64(-1) // the next call whose result is no number
	if len(r.Data) > 0 {
		other = int64(next())
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
		b.set(it, b.at[i], one)
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
