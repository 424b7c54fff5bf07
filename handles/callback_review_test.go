package handles_test

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"strings"
	"testing"

	"gilt"
	"gilt/gil"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// What reviews found in Go functions that Python calls.

// A batch's results were read after a __del__ at the end of its task had made another batch.
func TestBatchInsideTheEndOfABatch(t *testing.T) {
	rt := pytest.Runtime()
	pytest.Install(t, "gilt_nested_batch", `
import contextvars
v = contextvars.ContextVar("v")
class C:
    def __del__(self): hook()
hook = lambda: None
def text(s):
    v.set(C())
    return s * 3
`)
	f, err := gilt.Lookup[string, string](context.Background(), rt, "gilt_nested_batch:text")
	if err != nil {
		t.Fatal(err)
	}
	pytest.Do(t, func(tok *gil.Token) {
		m, err := py.Import(tok, "gilt_nested_batch")
		if err != nil {
			t.Fatal(err)
		}
		inner := make([]string, 200)
		hook, err := py.NewFunction(tok, py.GoFunc{Name: "hook", Func: func() { _ = strings.Join(inner, "") }})
		if err == nil {
			err = m.SetAttr("hook", hook)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	args := []string{"a", "b", "c"}
	for range 200 {
		if v, errs := f.Batch(context.Background(), args); errs != nil || strings.Join(v, "") != "aaabbbccc" {
			t.Fatal(v, errs)
		}
	}
}

func TestRaiseOfWhatCannotBeRaised(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		loop := py.Raise(py.ValueError, "its own cause")
		loop.Cause = loop
		for _, tc := range []struct {
			err  error
			want error
		}{
			{py.Raise("NoModule", "x"), py.TypeError},
			{py.Raise("no_such_module.X", "x"), py.ModuleNotFoundError},
			{py.Raise(py.ValueError, make(chan int)), py.TypeError},
			{py.Raise("builtins.len", "abc"), py.Exception},
			{loop, py.ValueError},
		} {
			ns := callable(t, tok, py.GoFunc{Func: func() error { return tc.err }})
			if _, err := py.Eval(tok, "f()", ns); !errors.Is(err, tc.want) {
				t.Errorf("%v: %v, want %v", tc.err, err, tc.want)
			}
		}
		if v, err := py.EvalAs[int](tok, "2"); v != 2 || err != nil {
			t.Error(v, err)
		}
	})
}

func TestExceptionGroupWithOddMembers(t *testing.T) {
	if pytest.Minor(t) < 11 {
		t.Skip("exception groups came with CPython 3.11")
	}
	pytest.Do(t, func(tok *gil.Token) {
		err := py.Run(tok, "class G(ExceptionGroup): exceptions = (1, KeyError('k'), 2)\nraise G('m', [ValueError()])")
		var e *py.Error
		if !errors.As(err, &e) || len(e.Group) != 1 || !errors.Is(err, py.KeyError) {
			t.Errorf("%+v", err)
		}
	})
}

// An iterator that several threads read gives each item once, and a panic or Goexit of its Go side is no end.
func TestIteratorReadByThreads(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		run := func(seq iter.Seq2[int, error], src string) error {
			it, err := py.FromSeq(tok, seq)
			if err != nil {
				t.Fatal(err)
			}
			ns, err := py.NewDict(tok, map[string]any{"it": it})
			if err != nil {
				t.Fatal(err)
			}
			return py.Run(tok, src, ns)
		}
		src := "import threading\nout = []\nts = [threading.Thread(target=lambda: out.extend(it)) for _ in range(8)]\nfor t in ts: t.start()\nfor t in ts: t.join()\nassert sorted(out) == list(range(2000)), len(out)"
		for range 10 {
			if err := run(numbers(2000, nil), src); err != nil {
				t.Fatalf("%+v", err)
			}
		}
		if err := run(func(func(int, error) bool) { runtime.Goexit() }, "list(it)"); !errors.Is(err, py.RuntimeError) {
			t.Error(err)
		}
		defer func() {
			if p := gil.Recovered(recover()); p != "boom" {
				t.Error("the iterator's panic came as", p)
			}
		}()
		_ = run(func(func(int, error) bool) { panic("boom") }, "list(it)")
	})
}

// A small C stack is not taken for one that is used up.
func TestGoFunctionOnASmallStack(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		ns := callable(t, tok, py.GoFunc{Func: func(x int) int { return x + 1 }})
		src := "import threading\nold = threading.stack_size(256 * 1024)\nout = []\nt = threading.Thread(target=lambda: out.append(f(1))); t.start(); t.join()\nthreading.stack_size(old)\nassert out == [2], out"
		if err := py.Run(tok, src, ns); err != nil {
			t.Errorf("%+v", err)
		}
	})
}
