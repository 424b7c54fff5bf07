package parallel

import (
	"context"
	"iter"

	"github.com/panjf2000/ants/v2"
)

// Native runs fn over the records of in, in Options.Workers goroutines of an ants pool. fn gets a
// context that ends with ctx, and when the loop is left.
func Native[T, U any](ctx context.Context, in iter.Seq2[T, error], fn func(context.Context, T) (U, error), o Options) iter.Seq2[U, error] {
	return func(yield func(U, error) bool) {
		// The stage itself counts its workers. The pool has no limit of its own, since a worker that
		// dies by runtime.Goexit must be able to start its successor.
		pool, err := ants.NewPool(-1, ants.WithDisablePurge(true))
		if err != nil {
			var zero U
			yield(zero, err)
			return
		}
		// ReleaseContext waits for the pool's goroutines, which are idle by then.
		defer func() { _ = pool.ReleaseContext(context.Background()) }()
		newStage(ctx, fn, pool.Submit, o.normalise(nativeWorkers())).run(in, yield)
	}
}

// Caller is a prepared Python function: *gilt.Func implements it.
type Caller[A, R any] interface {
	Call(context.Context, A) (R, error)
}

// Python calls fn for the records of in, Options.Workers at once; the runtime's scheduler decides which
// of them runs Python, in the class that ctx carries (gilt.WithClass). A call that runs when the loop is
// left or ctx ends is waited for.
func Python[T, U any](ctx context.Context, in iter.Seq2[T, error], fn Caller[T, U], o Options) iter.Seq2[U, error] {
	return func(yield func(U, error) bool) {
		start := func(work func()) error {
			go work()
			return nil
		}
		newStage(ctx, fn.Call, start, o.normalise(pythonWorkers())).run(in, yield)
	}
}

// Slice gives the elements of s as records.
func Slice[T any](s []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range s {
			if !yield(v, nil) {
				return
			}
		}
	}
}

// Collect gathers the values of in until its first error, which it returns with what came before.
func Collect[T any](in iter.Seq2[T, error]) ([]T, error) {
	var s []T
	for v, err := range in {
		if err != nil {
			return s, err
		}
		s = append(s, v)
	}
	return s, nil
}
