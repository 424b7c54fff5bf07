package handles_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gilt"
	"gilt/gil"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// otherInterpreter: a Go function is called in another interpreter than the one it was made in.
func otherInterpreter() error {
	ctx := context.Background()
	rt, err := gilt.Open(ctx, gilt.Config{Mode: gilt.OwnGIL, Interpreters: 2})
	if err != nil {
		return err
	}
	calls, refused := 0, 0
	var f py.Py
	err = rt.Do(ctx, func(tok *gil.Token) error {
		b, err := py.NewFunction(tok, py.GoFunc{Name: "f", Func: func() { calls++ }})
		if err != nil {
			return err
		}
		f = b.Unbind()
		home := tok.Interpreter()
		var failed error
		tok.AllowThreads(func() { // the function's interpreter is left alone meanwhile
			failed = tok.Host().EachInterpreter(ctx, func(tok *gil.Token) error {
				if tok.Interpreter() == home {
					return nil
				}
				refused++
				_, err := py.Smuggled(tok, f).Call()
				if !errors.Is(err, py.RuntimeError) || !strings.Contains(err.Error(), "f() belongs to another interpreter") {
					return fmt.Errorf("in interpreter %d: %w", tok.Interpreter(), err)
				}
				v, err := py.EvalAs[int](tok, "1 + 1")
				if v != 2 {
					return fmt.Errorf("after it: %d, %w", v, err)
				}
				return nil
			})
		})
		if failed != nil {
			return failed
		}
		_, err = b.Call()
		return err
	})
	f.Release()
	if err != nil || calls != 1 || refused != 1 {
		return fmt.Errorf("%d calls, %d refused: %w", calls, refused, err)
	}
	return rt.Shutdown(ctx)
}

func TestGoFunctionInAnotherInterpreter(t *testing.T) {
	pytest.NeedOwnGIL(t)
	pytest.Child(t, "other interpreter")
}

// pythonsInterpreter: the same in an interpreter that Python code has made itself, on the thread of the task.
func pythonsInterpreter() error {
	ctx := context.Background()
	calls := 0
	rt, err := gilt.Open(ctx, gilt.Config{Modules: []gilt.GoModule{{Name: "host", Funcs: []gilt.GoFunc{{Name: "f", Func: func() { calls++ }}}}}})
	if err != nil {
		return err
	}
	err = rt.Do(ctx, func(tok *gil.Token) error {
		return py.Run(tok, `
import host, sys
try: import _interpreters as interpreters
except ImportError: import _xxsubinterpreters as interpreters
host.f()
made = interpreters.create('legacy') if sys.version_info >= (3, 13) else interpreters.create(isolated=False)
failed = interpreters.run_string(made, """
try: import host
except ModuleNotFoundError: pass
else: raise SystemError('the module is there')
import ctypes
f = ctypes.cast(ADDRESS, ctypes.py_object).value
try: f()
except RuntimeError as e: assert str(e) == 'f() belongs to another interpreter', e
else: raise SystemError('it was called')
del f
""".replace('ADDRESS', str(id(host.f))))
assert failed is None, failed
interpreters.destroy(made)
host.f()
`)
	})
	if err != nil || calls != 2 {
		return fmt.Errorf("%d calls: %w", calls, err)
	}
	return rt.Shutdown(ctx)
}

func TestGoFunctionInPythonsInterpreter(t *testing.T) { pytest.Child(t, "Python's interpreter") }

// intoAnother: the Python code of a task goes into another of the runtime's interpreters, and calls a Go function there.
func intoAnother() error {
	ctx := context.Background()
	rt, err := gilt.Open(ctx, gilt.Config{Mode: gilt.OwnGIL, Interpreters: 2})
	if err != nil {
		return err
	}
	began, calls := time.Now(), 0
	err = rt.Do(ctx, func(tok *gil.Token) error {
		return tok.Host().EachInterpreter(ctx, func(tok *gil.Token) error {
			f, err := py.NewFunction(tok, py.GoFunc{Name: "f", Func: func(tok *gil.Token) (int, error) {
				calls++
				return py.EvalAs[int](tok, "1 + 1")
			}})
			if err != nil {
				return err
			}
			builtins, err := py.Import(tok, "builtins")
			if err != nil {
				return err
			}
			return builtins.SetAttr("f", f)
		})
	})
	if err != nil {
		return err
	}
	err = rt.Do(ctx, func(tok *gil.Token) error {
		return py.Run(tok, `
try: import _interpreters as interpreters
except ImportError: import _xxsubinterpreters as interpreters
here = interpreters.get_current()
other = 3 - (here[0] if isinstance(here, tuple) else int(here))
for _ in range(3):
    failed = interpreters.run_string(other, 'assert f() == 2')
    assert failed is None, failed
`)
	})
	if err != nil || calls != 3 {
		return fmt.Errorf("%d calls: %w", calls, err)
	}
	if held := rt.Stats().All.Held; held > 2*time.Since(began) {
		return fmt.Errorf("charged %v for %v", held, time.Since(began))
	}
	return rt.Shutdown(ctx)
}

// The class was charged the time since the machine had started.
func TestGoFunctionCalledFromAnotherInterpreter(t *testing.T) {
	pytest.NeedOwnGIL(t)
	pytest.Child(t, "into another interpreter")
}
