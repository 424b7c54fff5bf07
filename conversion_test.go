package gilt_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// bomb is a few lists that stand for 10^12 values; dicts, tuples and Go's slices do the same.
const bomb = `
def lists(leaf='x'):
    for _ in range(12): leaf = [leaf] * 10
    return leaf
def tuples(_=0):
    v = 'x'
    for _ in range(12): v = (v,) * 10
    return v
def dicts(_=0):
    v = 1
    for _ in range(12): v = dict.fromkeys(range(10), v)
    return v
def texts(_=0): return ['x' * (1 << 17)] * 1000
def takes(v): return len(v)
def gives(n): return [[i] for i in range(n)]
`

func goBomb() any {
	var v any = "x"
	for range 12 {
		v = []any{v, v, v, v, v, v, v, v, v, v}
	}
	return v
}

// conversionLimits: what is too large is refused in both directions, by an error that says what to do, and costs little.
func conversionLimits() error {
	rt, err := gilt.Open(ctx, gilt.Config{Mode: gilt.Mode(os.Getenv("MODE")), Interpreters: 1, MaxValues: 100_000, MaxBytes: 4 << 20, Modules: []gilt.GoModule{{Name: "host", Funcs: []gilt.GoFunc{
		{Name: "takes", Func: func(v any) int { return 0 }}, {Name: "gives", Func: goBomb}}}}})
	if err != nil {
		return err
	}
	defer func() { _ = rt.Close() }()
	limited := func(what string, err error) error {
		if !errors.Is(err, py.ConversionLimitError) || !errors.Is(err, py.ValueError) || !strings.Contains(err.Error(), "raise gilt's Config.Max") || errors.Is(err, py.Cancelled) {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	}
	err = rt.Do(ctx, func(tok *gilt.Token) error {
		m, err := py.ImportSource(tok, "gilt_bomb", bomb)
		if err != nil {
			return err
		}
		for _, name := range []string{"lists", "tuples", "dicts", "texts"} {
			v, err := m.Method(name)
			if err != nil {
				return err
			}
			if err := limited(name, wrong(py.As[any](v))); err != nil {
				return err
			}
			host, err := py.Import(tok, "host")
			if err != nil {
				return err
			}
			if err := limited(name+" to a Go function", wrong(host.Method("takes", v))); err != nil {
				return err
			}
			if err := limited("from a Go function", wrong(host.Method("gives"))); err != nil {
				return err
			}
		}
		if err := limited("From", wrong(py.From(tok, goBomb()))); err != nil {
			return err
		}
		if err := limited("an argument", wrong(m.Method("takes", goBomb()))); err != nil {
			return err
		}
		if err := limited("many numbers", wrong(py.From(tok, make([]int64, 200_000)))); err != nil {
			return err
		}
		none, err := py.Eval(tok, "[None] * 50_000")
		if err != nil {
			return err
		}
		if err := limited("large structs", wrong(py.As[[]*[1 << 20]int](none))); err == nil { // pointers are small
			return errors.New("nil pointers are refused")
		}
		if err := limited("large items", wrong(py.As[[]struct{ A [1 << 20]int }](none))); err != nil {
			return err
		}
		if v, err := py.As[[][]int](must2(m.Method("gives", 40_000))); len(v) != 40_000 || v[39_999][0] != 39_999 || err != nil {
			return fmt.Errorf("a value within the limits: %d, %w", len(v), err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	lists, err := gilt.Lookup[string, any](ctx, rt, "gilt_bomb:lists")
	if err != nil {
		return err
	}
	if err := limited("a result", wrong(lists.Call(ctx, "y"))); err != nil {
		return err
	}
	takes, err := gilt.Lookup[any, int](ctx, rt, "gilt_bomb:takes")
	if err != nil {
		return err
	}
	return limited("an argument of a prepared function", wrong(takes.Call(ctx, goBomb())))
}

func must2[T any](v T, _ error) T { return v }

func TestConversionLimits(t *testing.T) { pytest.Child(t, "conversion limits", "MODE=gil") }

func TestConversionLimitsOwnGIL(t *testing.T) {
	pytest.NeedOwnGIL(t)
	pytest.Child(t, "conversion limits", "MODE=own-gil")
}

// A conversion ends with its task's deadline, and lets others have the GIL.
func TestConversionIsInterrupted(t *testing.T) {
	_, rt := cancelModule(t)
	pytest.Install(t, "gilt_bomb", bomb)
	lists, err := gilt.Lookup[string, any](ctx, rt, "gilt_bomb:lists")
	if err != nil {
		t.Fatal(err)
	}
	interrupted := func(what string, err error) {
		t.Helper()
		var e *gilt.InterruptedError
		if !errors.As(err, &e) || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, py.Cancelled) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = lists.Call(within(t, ctx, 20*time.Millisecond), "x")
	interrupted("a call", err)
	interrupted("a task", rt.Do(within(t, ctx, 20*time.Millisecond), func(tok *gilt.Token) error {
		v, err := py.Eval(tok, "__import__('gilt_bomb').lists()")
		if err == nil {
			_, err = py.As[any](v)
		}
		return err
	}))
	_, err = gilt.Submit(within(t, ctx, 20*time.Millisecond), rt, func(tok *gilt.Token) (any, error) {
		return py.EvalAs[any](tok, "__import__('gilt_bomb').lists()")
	}).Wait(ctx)
	interrupted("submitted work", err)
	clean(t, 100)

	stop, cancel := context.WithCancel(ctx)
	long := gilt.Submit(gilt.WithCancellation(stop, gilt.OnCancel), rt, func(tok *gilt.Token) (any, error) {
		return py.EvalAs[any](tok, "__import__('gilt_bomb').lists()")
	})
	for range 5 { // beside it
		if err := rt.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, "1") }); err != nil {
			t.Error(err)
		}
	}
	cancel()
	if _, err := long.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// What other threads do to a container while it is converted is an error or is not seen, and no crash.
func TestContainersThatChangeWhileTheyAreConverted(t *testing.T) {
	pytest.Install(t, "gilt_changes", `
import threading
def changes(seconds):
    inner = [[str(i)] for i in range(20_000)]
    shared = {'l': [list(inner) for _ in range(10)], 'd': {i: [i] * 100 for i in range(2000)}}
    stop = threading.Event()
    def run():
        n = 0
        while not stop.is_set():
            n += 1
            for l in shared['l']:
                if n % 2: l.clear()
                else: l.extend([str(i)] for i in range(20_000))
            d = shared['d']
            if n % 2: d.clear()
            else: d.update({i: [i] * 100 for i in range(2000)})
    t = threading.Thread(target=run, daemon=True)
    t.start()
    return shared, stop, t
`)
	pytest.Do(t, func(tok *gilt.Token) {
		m, err := py.Import(tok, "gilt_changes")
		if err != nil {
			t.Fatal(err)
		}
		all, err := m.Method("changes", 1)
		if err != nil {
			t.Fatal(err)
		}
		shared, _ := all.Item(0)
		for range 40 {
			if _, err := py.As[any](shared); err != nil && !errors.Is(err, py.RuntimeError) {
				t.Error(err)
			}
		}
		stop, _ := all.Item(1)
		thread, _ := all.Item(2)
		if _, err := stop.Method("set"); err != nil {
			t.Error(err)
		}
		if _, err := thread.Method("join"); err != nil {
			t.Error(err)
		}
	})
}
