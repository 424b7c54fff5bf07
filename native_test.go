package gilt_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func TestNativeFunctionsUsePython(t *testing.T) { pytest.Child(t, "native inside") }

// nativeInside: as many tasks as there may be, and more, are in Native functions, each of which waits for a task.
func nativeInside() error {
	rt, err := gilt.Open(ctx, gilt.Config{MaxThreads: 4, Workers: 2})
	if err != nil {
		return err
	}
	defer rt.Close()
	all := make(chan struct{})
	var inside atomic.Int32
	err = rt.AddModule(ctx, gilt.GoModule{Name: "inside", Funcs: []gilt.GoFunc{{Name: "ask", Native: true, Func: func(ctx context.Context, x int) (v int, err error) {
		if inside.Add(1) == 4 {
			close(all)
		}
		<-all
		err = rt.Do(ctx, func(tok *gilt.Token) error { v, err = py.EvalAs[int](tok, fmt.Sprint(x, " + 1")); return err })
		return v, err
	}}}})
	if err != nil {
		return err
	}
	var tasks errgroup.Group
	for i := range 16 {
		tasks.Go(func() error {
			return rt.Do(ctx, func(tok *gilt.Token) error {
				if v, err := py.EvalAs[int](tok, fmt.Sprintf("__import__('inside').ask(%d)", i)); v != i+1 || err != nil {
					return fmt.Errorf("%d: %w", v, err)
				}
				return nil
			})
		})
	}
	return tasks.Wait()
}
