package handles_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"gilt"
	"gilt/gil"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// A Go function that takes a context gets that of the task that runs the Python code, however it was started.
func TestGoFunctionGetsTheTasksContext(t *testing.T) {
	rt := pytest.Runtime()
	type key struct{}
	seen := make(chan any, 1)
	m := gilt.GoModule{Name: "gilt_ctx", Funcs: []gilt.GoFunc{{Name: "look", Func: func(c context.Context, tok *py.Token, x int) int {
		seen <- c.Value(key{})
		return x
	}}}}
	pytest.AddModule(t, m)
	look, err := gilt.Lookup[int, int](context.Background(), rt, "gilt_ctx:look")
	if err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(time.Hour)
	with, cancel := context.WithDeadline(context.WithValue(context.Background(), key{}, "mine"), until)
	defer cancel()
	do := func(tok *gil.Token) error { return py.Run(tok, "import gilt_ctx; gilt_ctx.look(1)") }
	for name, run := range map[string]func() error{
		"prepared": func() error { _, err := look.Call(with, 1); return err },
		"batch": func() error {
			_, errs := look.Batch(with, []int{1})
			return errors.Join(errs...)
		},
		"Do": func() error { return rt.Do(with, do) },
		"after AllowThreads": func() error {
			return rt.Do(with, func(tok *gil.Token) error {
				tok.AllowThreads(func() {})
				return do(tok)
			})
		},
		"Submit": func() error {
			_, err := gilt.Submit(with, rt, func(tok *gil.Token) (int, error) { return 0, do(tok) }).Wait(with)
			return err
		},
	} {
		if err := run(); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if v := <-seen; v != "mine" {
			t.Errorf("%s: the context is another: %v", name, v)
		}
	}
	if err := rt.Do(context.Background(), do); err != nil || <-seen != nil {
		t.Error("a context is left over:", err)
	}
}

// Values that Go sets in the task's contextvars context are seen by the Python code of this task only.
func TestContextVariablesFromGo(t *testing.T) {
	pytest.Install(t, "gilt_vars", "import contextvars\nv = contextvars.ContextVar('v', default='none')\ndef get(): return v.get()")
	get := func(tok *gil.Token) string {
		m, err := py.Import(tok, "gilt_vars")
		if err != nil {
			t.Fatal(err)
		}
		got, err := py.MethodAs[string](m, "get")
		if err != nil {
			t.Error(err)
		}
		return got
	}
	pytest.Do(t, func(tok *gil.Token) {
		m, err := py.Import(tok, "gilt_vars")
		if err != nil {
			t.Fatal(err)
		}
		v, err := m.Attr("v")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Method("set", "from Go"); err != nil {
			t.Fatal(err)
		}
		if got := get(tok); got != "from Go" {
			t.Error(got)
		}
	})
	pytest.Do(t, func(tok *gil.Token) {
		if got := get(tok); got != "none" {
			t.Error("another task sees", got)
		}
	})
}

func TestWarn(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		if err := py.Run(tok, "import warnings\nwarnings._gilt = warnings.filters[:]\nwarnings.simplefilter('error', DeprecationWarning)"); err != nil {
			t.Fatal(err)
		}
		err := py.Warn(tok, "builtins.DeprecationWarning", "old")
		if !errors.Is(err, py.ExceptionClass("builtins.DeprecationWarning")) {
			t.Error(err)
		}
		if err := py.Run(tok, "import warnings\nwarnings.filters[:] = warnings._gilt\nwarnings._filters_mutated() if hasattr(warnings, '_filters_mutated') else None\nwarnings.simplefilter('ignore')"); err != nil {
			t.Fatal(err)
		}
		if err := py.Warn(tok, "builtins.UserWarning", "quiet"); err != nil {
			t.Error(err)
		}
		if err := py.Warn(tok, "builtins.Nothing", "x"); !errors.Is(err, py.AttributeError) {
			t.Error(err)
		}
	})
}
