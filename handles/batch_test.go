package handles_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"gilt"
	"gilt/gil"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// batchModule makes a module with the functions that the tests prepare.
func batchModule(t *testing.T) context.Context {
	t.Helper()
	pytest.Install(t, "gilt_batch", `
def inc(x): return x + 1
def picky(x):
    if x % 3 == 0: raise ValueError(x)
    return x
def text(s): return s * 2
def pair(a, b): return (a, b)
def add3(a, b, c): return f"{a}{b}{c}"
def opts(*, name, count=1): return name * count
def nothing(): return None
`)
	return context.Background()
}

func TestBatch(t *testing.T) {
	ctx, rt := batchModule(t), pytest.Runtime()
	inc, err := gilt.Lookup[int64, int64](ctx, rt, "gilt_batch:inc")
	if err != nil {
		t.Fatal(err)
	}
	args := make([]int64, 3000)
	for i := range args {
		args[i] = int64(i)
	}
	v, errs := inc.Batch(ctx, args)
	if errs != nil || len(v) != len(args) {
		t.Fatal(len(v), errs)
	}
	for i := range v {
		if v[i] != args[i]+1 {
			t.Fatalf("%d gives %d", args[i], v[i])
		}
	}
	if v, errs := inc.Batch(ctx, nil); len(v) != 0 || errs != nil {
		t.Error(v, errs)
	}
	text, err := gilt.Lookup[string, string](ctx, rt, "gilt_batch:text")
	if err != nil {
		t.Fatal(err)
	}
	if v, errs := text.Batch(ctx, []string{"a", "", "ü"}); errs != nil || strings.Join(v, ",") != "aa,,üü" {
		t.Error(v, errs)
	}
	nothing, err := gilt.Lookup[struct{}, struct{}](ctx, rt, "gilt_batch:nothing")
	if err != nil {
		t.Fatal(err)
	}
	if v, errs := nothing.Batch(ctx, make([]struct{}, 5)); len(v) != 5 || errs != nil {
		t.Error(v, errs)
	}
}

func TestBatchErrorsAreEachCallsOwn(t *testing.T) {
	ctx, rt := batchModule(t), pytest.Runtime()
	picky, err := gilt.Lookup[any, int64](ctx, rt, "gilt_batch:picky")
	if err != nil {
		t.Fatal(err)
	}
	v, errs := picky.Batch(ctx, []any{1, 3, make(chan int), "x", 5, 6, 2.5})
	if len(errs) != 7 || v[0] != 1 || v[4] != 5 || errs[0] != nil || errs[4] != nil {
		t.Fatal(v, errs)
	}
	for i, want := range map[int]py.ExceptionClass{1: py.ValueError, 2: py.TypeError, 3: py.TypeError, 5: py.ValueError, 6: py.TypeError} {
		if !errors.Is(errs[i], want) {
			t.Errorf("%d: %v, want %v", i, errs[i], want)
		}
	}
	var e *py.Error
	if !errors.As(errs[1], &e) || len(e.Frames) == 0 || e.Message != "3" {
		t.Errorf("%+v", errs[1])
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, errs := picky.Batch(ended, []any{1, 2}); len(errs) != 2 || !errors.Is(errs[0], context.Canceled) || !errors.Is(errs[1], context.Canceled) {
		t.Error(errs)
	}
}

func TestLookupOfSeveralArguments(t *testing.T) {
	ctx, rt := batchModule(t), pytest.Runtime()
	add, err := gilt.Lookup3[string, int, float64, string](ctx, rt, "gilt_batch:add3")
	if err != nil {
		t.Fatal(err)
	}
	if v, err := add.Call(ctx, "a", 1, 2.5); v != "a12.5" || err != nil {
		t.Error(v, err)
	}
	pair, err := gilt.Lookup2[[]int, any, []any](ctx, rt, "gilt_batch:pair")
	if err != nil {
		t.Fatal(err)
	}
	if v, err := pair.Call(ctx, []int{1}, nil); fmt.Sprint(v) != "[[1] <nil>]" || err != nil {
		t.Error(v, err)
	}
	if _, err := pair.Call(ctx, nil, func() {}); err == nil || !strings.Contains(err.Error(), "argument 1: 2: cannot convert Go's func()") {
		t.Error(err)
	}
	type options struct {
		Name  string `py:"name"`
		Count int    `py:"count"`
	}
	opts, err := gilt.Lookup[py.Spread[options], string](ctx, rt, "gilt_batch:opts")
	if err != nil {
		t.Fatal(err)
	}
	if v, err := opts.Call(ctx, py.Spread[options]{options{"ab", 2}}); v != "abab" || err != nil {
		t.Error(v, err)
	}
	if _, err := gilt.Lookup2[int, int, int](ctx, rt, "gilt_batch:absent"); !errors.Is(err, py.AttributeError) {
		t.Error(err)
	}
}

// A Go function that panics in a batch: the panic arrives, and the thread is not left locked or attached.
func TestBatchPanics(t *testing.T) {
	ctx, rt := batchModule(t), pytest.Runtime()
	pytest.AddModule(t, gilt.GoModule{Name: "gilt_batch_panics", Funcs: []gilt.GoFunc{{Name: "f", Func: func(x int) int { panic(x) }}}})
	f, err := gilt.Lookup[int, int](ctx, rt, "gilt_batch_panics:f")
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range []func(){func() { f.Batch(ctx, []int{7}) }, func() { _, _ = f.Call(ctx, 7) }} {
		func() {
			defer func() {
				if p := gil.Recovered(recover()); p != 7 {
					t.Error(p)
				}
			}()
			call()
		}()
	}
	pytest.Do(t, func(tok *gil.Token) {
		if v, err := py.EvalAs[int](tok, "1 + 1"); v != 2 || err != nil {
			t.Error(v, err)
		}
	})
}
