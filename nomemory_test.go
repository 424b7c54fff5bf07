package gilt_test

import (
	"errors"
	"fmt"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/cpython"
	"gilt/internal/pytest"
)

// Without memory for the next task's contextvars context that task fails, and the process goes on.
func TestNoMemory_BetweenTwoTasks(t *testing.T) { pytest.Child(t, "no memory between tasks") }

func noMemoryBetweenTasks() error {
	rt, err := gilt.Open(ctx, gilt.Config{Workers: 1, Modules: []gilt.GoModule{{Name: "host", Funcs: []gilt.GoFunc{
		{Name: "away", Func: func(tok *gilt.Token) { tok.AllowThreads(func() {}) }}, // comes back by attaching again
	}}}})
	if err != nil {
		return err
	}
	var away py.Py
	if err := rt.Do(ctx, func(tok *gilt.Token) error {
		m, err := py.ImportSource(tok, "contexts", "import contextvars, host\nv = contextvars.ContextVar('v')\nspare = [contextvars.Context() for _ in range(2000)]\ndef dirty(): v.set(1); return len(spare)\naway = host.away\n")
		if err != nil {
			return err
		}
		b, err := m.Attr("away")
		away = b.Unbind()
		return err
	}); err != nil {
		return err
	}
	failed := 0
	for range 100 {
		submitted := make(chan bool)
		first := gilt.Submit(ctx, rt, func(tok *gilt.Token) (int, error) {
			m, err := py.Import(tok, "contexts")
			if err != nil {
				return 0, err
			}
			tok.AllowThreads(func() { <-submitted })
			n, err := py.MethodAs[int](m, "dirty")
			cpython.FailMemory(0)
			return n, err
		})
		next := gilt.Submit(ctx, rt, func(tok *gilt.Token) (int, error) { // the same thread's, without a break
			defer cpython.FailMemory(-1)
			_, err := away.Bind(tok).Call()
			return 0, err
		})
		close(submitted)
		if _, err := first.Wait(ctx); err != nil {
			return err
		}
		if _, err := next.Wait(ctx); err != nil {
			failed++
		}
		if left, err := gilt.Submit(ctx, rt, func(tok *gilt.Token) (int, error) { // with memory again
			return py.EvalAs[int](tok, "__import__('contexts').v.get(0)")
		}).Wait(ctx); err != nil || left != 0 {
			return fmt.Errorf("afterwards: the first task has left %d %w", left, err)
		}
	}
	if failed == 0 {
		return errors.New("no task was without memory")
	}
	away.Release()
	return rt.Shutdown(ctx)
}
