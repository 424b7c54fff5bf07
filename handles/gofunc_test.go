package handles_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"gilt/gil"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// callable gives a namespace in which f is the Go function.
func callable(t *testing.T, tok *gil.Token, f py.GoFunc) py.Bound {
	t.Helper()
	if f.Name == "" {
		f.Name = "f"
	}
	b, err := py.NewFunction(tok, f)
	if err != nil {
		t.Fatal(err)
	}
	ns, err := py.NewDict(tok, map[string]any{"f": b})
	if err != nil {
		t.Fatal(err)
	}
	return ns.Bound
}

// What cannot be a function for Python is refused when it is made, in words that say what can.
func TestGoFunctionTypesThatCannotBe(t *testing.T) {
	type rows struct{ py.List }
	pytest.Do(t, func(tok *gil.Token) {
		for _, tc := range []struct {
			f    py.GoFunc
			want string
		}{
			{py.GoFunc{Func: func([]py.List) {}}, "parameter 1: TypeError: a handles.List cannot be inside"},
			{py.GoFunc{Func: func(int, *py.Dict) {}}, "parameter 2: TypeError: a handles.Dict cannot be inside"},
			{py.GoFunc{Func: func(py.Borrowed) {}}, "take a py.Bound"},
			{py.GoFunc{Func: func(py.Object) {}}, "no Python object is converted to Go's handles.Object"},
			{py.GoFunc{Func: func(time.Time) {}}, "convert to a DateTime"},
			{py.GoFunc{Func: func(complex128) {}}, "convert to a Complex"},
			{py.GoFunc{Func: func(chan int) {}}, "chan int"},
			{py.GoFunc{Native: true, Func: func(py.List) {}}, "take a py.Py, or a Go type"},
			{py.GoFunc{Async: true, Func: func() py.List { return py.List{} }}, "return a py.Py, or a Go type"},
		} {
			tc.f.Name = "f"
			if _, err := py.NewFunction(tok, tc.f); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%T: %v, want %q", tc.f.Func, err, tc.want)
			}
		}
		ns := callable(t, tok, py.GoFunc{Func: func(rows) {}})
		if _, err := py.Eval(tok, "f([])", ns); !errors.Is(err, py.TypeError) {
			t.Error(err)
		}
		ns = callable(t, tok, py.GoFunc{Func: func() *py.List { return nil }})
		if none, err := py.EvalAs[bool](tok, "f() is None", ns); !none || err != nil {
			t.Error(err)
		}
	})
}

// A Py is the object itself, also for a Native function, which has no token to use it.
func TestGoFunctionsTakeAndGiveOwnedHandles(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		for _, f := range []py.GoFunc{{}, {Native: true}} {
			f.Func = func(p py.Py, n int) py.Py { return p }
			ns := callable(t, tok, f)
			if same, err := py.EvalAs[bool](tok, "f(f, 1) is f", ns); !same || err != nil {
				t.Error(f.Native, same, err)
			}
		}
	})
}

// A Go function that returns a handle of the task around it is told where Python was called.
func TestMisuseInAGoFunctionNamesTheCallOfPython(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		outer := py.None(tok)
		f, err := py.NewFunction(tok, py.GoFunc{Name: "f", Func: func() py.Object { return outer }}) //gilt:vet-ignore the test is of this misuse
		if err != nil {
			t.Fatal(err)
		}
		pytest.WantMisuse(t, "an outer task", func() { _, _ = f.Call() })
	})
}

func TestGoFunctionArgumentsAndResults(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		for _, tc := range []struct {
			f    any
			expr string
			want any
		}{
			{func(a, b int) int { return a + b }, "f(2, 40)", int64(42)},
			{func(a, b int64) int64 { return a - b }, "f(2, True)", int64(1)},
			{func(x float64) float64 { return x / 2 }, "f(3)", 1.5},
			{func(x int8) int8 { return -x }, "f(100)", int64(-100)},
			{func(s string) string { return s + "é\x00" }, "f('ü')", "üé\x00"},
			{func(b []byte) int { return len(b) }, "f(b'abc')", int64(3)},
			{func(v []string) string { return strings.Join(v, "+") }, "f(['a', 'b'])", "a+b"},
			{func(m map[string]int) int { return m["a"] }, "f({'a': 7})", int64(7)},
			{func(a int, rest ...int) int { return a + len(rest) }, "f(1, [1, 2, 3])", int64(4)},
			{func() {}, "f()", nil},
			{func() error { return nil }, "f()", nil},
			{func() (string, error) { return "x", nil }, "f()", "x"},
			{func(b py.Bound) py.Bound { return b }, "f(f) is f", true},
			{func(tok *gil.Token, b py.Bound) (int, error) { return b.Len() }, "f([1, 2])", int64(2)},
			{func(v any) any { return v }, "f({'a': [1, None, 2.5]})['a'][2]", 2.5},
			{func(b bool) bool { return !b }, "f(True)", false},
		} {
			ns := callable(t, tok, py.GoFunc{Func: tc.f})
			if v, err := py.EvalAs[any](tok, tc.expr, ns); err != nil || v != tc.want {
				t.Errorf("%T: %s gives %v, %v, want %v", tc.f, tc.expr, v, err, tc.want)
			}
		}
	})
}

func TestGoFunctionRefusesWrongArguments(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		ns := callable(t, tok, py.GoFunc{Func: func(a, b int8) int { return 0 }})
		for expr, want := range map[string]string{
			"f(1)":        "TypeError: f() takes 2 positional arguments but 1 was given",
			"f(1, 2, 3)":  "TypeError: f() takes 2 positional arguments but 3 were given",
			"f('1', 2)":   "TypeError: 'str' object cannot be interpreted as an integer",
			"f(1.0, 2)":   "TypeError: 'float' object cannot be interpreted as an integer",
			"f(300, 1)":   "OverflowError: f() argument 1: int 300 does not fit in Go's int8",
			"f(a=1)":      "TypeError: f() takes no keyword arguments",
			"f(2**70, 1)": "OverflowError",
		} {
			if _, err := py.EvalAs[any](tok, expr, ns); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", expr, err, want)
			}
		}
		for _, f := range []any{nil, 3, (func())(nil), func() (int, int) { return 1, 2 }, func(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q int) {}} {
			if _, err := py.NewFunction(tok, py.GoFunc{Name: "f", Func: f}); err == nil {
				t.Errorf("%T is taken for a function", f)
			}
		}
		if _, err := py.NewFunction(tok, py.GoFunc{Name: "f", Signature: "(a, b", Func: func(a, b int) {}}); !errors.Is(err, py.SyntaxError) {
			t.Error(err)
		}
		if _, err := py.NewFunction(tok, py.GoFunc{Name: "f", Signature: "(a, *, b, c)", Func: func(a, b int) {}}); err == nil {
			t.Error("a signature with another number of parameters is taken")
		}
	})
}

func TestGoFunctionSignature(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		f := py.GoFunc{
			Doc: "Says what it got.", Signature: "(a: int, b=2, *rest, scale: float = 1.0, **more) -> str",
			Func: func(a, b int, rest []int, scale float64, more map[string]any) string {
				return fmt.Sprint(a, b, rest, scale, len(more))
			},
		}
		ns := callable(t, tok, f)
		for expr, want := range map[string]string{
			"f(1)":                          "1 2 [] 1 0",
			"f(b=3, a=4)":                   "4 3 [] 1 0",
			"f(1, 2, 3, 4, scale=2.5, x=1)": "1 2 [3 4] 2.5 1",
			"str(__import__('inspect').signature(f))": "(a: int, b=2, *rest, scale: float = 1.0, **more) -> str",
			"f.__doc__":  "Says what it got.",
			"f.__name__": "f",
		} {
			if v, err := py.EvalAs[string](tok, expr, ns); err != nil || v != want {
				t.Errorf("%s gives %q, %v, want %q", expr, v, err, want)
			}
		}
		if _, err := py.EvalAs[any](tok, "f()", ns); err == nil || err.Error() != "TypeError: f() missing 1 required positional argument: 'a'" {
			t.Error(err)
		}
		plain := callable(t, tok, py.GoFunc{Doc: "Adds.", Func: func(a, b int) int { return a + b }})
		if v, err := py.EvalAs[string](tok, "str(__import__('inspect').signature(f)) + f.__doc__", plain); err != nil || v != "(arg0, arg1, /)Adds." {
			t.Error(v, err)
		}
	})
}

var errOwn = errors.New("own")

func TestGoErrorThroughPythonIsTheSame(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		for _, tc := range []struct {
			err    error
			caught string
		}{
			{errOwn, "Exception"},
			{fmt.Errorf("wrapped: %w", errOwn), "Exception"},
			{fs.ErrNotExist, "FileNotFoundError"},
			{&fs.PathError{Op: "open", Path: "/no", Err: os.ErrPermission}, "PermissionError"},
			{io.EOF, "EOFError"},
			{context.DeadlineExceeded, "TimeoutError"},
			{py.Raise(py.KeyError, "k"), "KeyError"},
			{py.Raise("json.decoder.JSONDecodeError", "m", "doc", 1), "ValueError"},
		} {
			ns := callable(t, tok, py.GoFunc{Func: func() error { return tc.err }})
			_, err := py.EvalAs[any](tok, "f()", ns)
			if !errors.Is(err, tc.err) {
				t.Errorf("%v came back as %v", tc.err, err)
			}
			if err := py.Run(tok, "try: f()\nexcept "+tc.caught+" as e: pass\nelse: assert False", ns); err != nil {
				t.Errorf("%v is no %s: %+v", tc.err, tc.caught, err)
			}
		}
		ns := callable(t, tok, py.GoFunc{Func: func() error { return fs.ErrNotExist }})
		if v, err := py.EvalAs[int](tok, "[e.errno for e in [None]] if 0 else (lambda: 2)()", ns); err != nil || v != 2 {
			t.Error(v, err)
		}
		if err := py.Run(tok, "try: f()\nexcept OSError as e: assert e.errno == 2, e", ns); err != nil {
			t.Error(err)
		}
	})
}

// An exception that passes through Go is the same object.
func TestExceptionThroughGoIsTheSame(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		ns := callable(t, tok, py.GoFunc{Func: func(g py.Bound) error { _, err := g.Call(); return err }})
		src := "e = ValueError('v')\ndef g(): raise e\ntry: f(g)\nexcept ValueError as x: assert x is e"
		if err := py.Run(tok, src, ns); err != nil {
			t.Errorf("%+v", err)
		}
	})
}

func TestBehaviour19_PanicThroughPython(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		type mine struct{ n int }
		ns := callable(t, tok, py.GoFunc{Func: func() { panic(mine{7}) }})
		func() {
			defer func() {
				if p := gil.Recovered(recover()); p != (mine{7}) {
					t.Errorf("the panic came back as %v", p)
				}
			}()
			_ = py.Run(tok, "log = []\ntry:\n  f()\nexcept Exception: log.append('caught')\nfinally: log.append('finally')", ns)
			t.Error("no panic")
		}()
		if v, err := py.EvalAs[[]string](tok, "log", ns); err != nil || len(v) != 1 || v[0] != "finally" {
			t.Error(v, err)
		}
		if err := py.Run(tok, "try: f()\nexcept BaseException as e: assert 'gofunc_test.go' in ''.join(getattr(e, '__notes__', ['gofunc_test.go'])), e.__notes__", ns); err != nil {
			t.Errorf("%+v", err)
		}
		if v, err := py.EvalAs[int](tok, "1 + 1", ns); v != 2 || err != nil {
			t.Error(v, err)
		}
	})
}

func TestGoFunctionReenters(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		f := func(inner *gil.Token, self py.Bound, n int) (int, error) {
			if n == 0 {
				return 0, nil
			}
			v, err := py.CallAs[int](self, self, n-1)
			return v + 1, err
		}
		ns := callable(t, tok, py.GoFunc{Func: f})
		if v, err := py.EvalAs[int](tok, "f(f, 50)", ns); v != 50 || err != nil {
			t.Error(v, err)
		}
		if _, err := py.EvalAs[int](tok, "f(f, 10**9)", ns); !errors.Is(err, py.RecursionError) {
			t.Errorf("re-entry without end: %.300v", err)
		}
	})
}

//gilt:vet-ignore it is a test of misuse
func TestOuterTokenInsideCallbackIsMisuse(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		var misuse any
		var outer py.Bound
		ns := callable(t, tok, py.GoFunc{Func: func() {
			defer func() { misuse = recover() }()
			_, _ = outer.Len()
		}})
		outer = ns
		if err := py.Run(tok, "f()", ns); err != nil {
			t.Error(err)
		}
		if _, ok := misuse.(*gil.MisuseError); !ok {
			t.Errorf("an outer token inside a callback: %v", misuse)
		}
		if _, err := ns.Len(); err != nil {
			t.Error(err)
		}
	})
}

//gilt:vet-ignore it is a test of misuse
func TestTokenOfACallAfterItIsMisuse(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		var kept *gil.Token
		ns := callable(t, tok, py.GoFunc{Func: func(inner *gil.Token) { kept = inner }})
		if err := py.Run(tok, "f()", ns); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if _, ok := recover().(*gil.MisuseError); !ok {
				t.Error("a token that was kept works")
			}
		}()
		_, _ = py.Eval(kept, "1")
	})
}

func TestGoFunctionGivesTheGILUp(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		ctx := context.Background()
		ns := callable(t, tok, py.GoFunc{Func: func(inner *gil.Token) (v int, err error) {
			inner.AllowThreads(func() {
				err = inner.Host().Do(ctx, func(tok *gil.Token) error {
					v, err = py.EvalAs[int](tok, "41")
					return err
				})
			})
			if err != nil {
				return 0, err
			}
			n, err := py.EvalAs[int](inner, "1")
			return v + n, err
		}})
		if v, err := py.EvalAs[int](tok, "f()", ns); v != 42 || err != nil {
			t.Error(v, err)
		}
	})
}

func TestNativeGoFunction(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		ns := callable(t, tok, py.GoFunc{Native: true, Func: func(v []int) (int, error) {
			sum := 0
			for _, x := range v {
				sum += x
			}
			return sum, nil
		}})
		if v, err := py.EvalAs[int](tok, "f([1, 2, 3])", ns); v != 6 || err != nil {
			t.Error(v, err)
		}
		ns = callable(t, tok, py.GoFunc{Native: true, Func: runtime.Goexit})
		if _, err := py.EvalAs[any](tok, "f()", ns); !errors.Is(err, py.RuntimeError) || !strings.Contains(err.Error(), "Goexit") {
			t.Error(err)
		}
	})
}

func TestGoFunctionOnPythonsThread(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		ns := callable(t, tok, py.GoFunc{Func: func(inner *gil.Token, x int) (int, error) {
			return py.EvalAs[int](inner, fmt.Sprint(x, "* 2"))
		}})
		src := "import threading\nout = []\nts = [threading.Thread(target=lambda i=i: out.extend(f(i) for _ in range(200))) for i in range(8)]\n" +
			"for t in ts: t.start()\nfor t in ts: t.join()\nassert sum(out) == 200 * 2 * sum(range(8)), out"
		if err := py.Run(tok, src, ns); err != nil {
			t.Errorf("%+v", err)
		}
	})
}

func TestGoFunctionsAreFreed(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		collect := func() {
			if err := py.Run(tok, "import gc; gc.collect()"); err != nil {
				t.Fatal(err)
			}
		}
		collect()
		before := py.LiveFunctions()
		for range 1000 {
			if err := py.Scope(tok, func() error {
				_, err := py.NewFunction(tok, py.GoFunc{Name: "f", Func: func(int) int { return 0 }})
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		collect()
		if after := py.LiveFunctions(); after > before { // fewer: others of before were still to be released
			t.Errorf("%d Go functions before, %d after", before, after)
		}
	})
}

// A function tells its own name, with and without a signature, alone and in a module.
func TestGoFunctionNames(t *testing.T) {
	m := py.GoModule{Name: t.Name(), Funcs: []py.GoFunc{
		{Name: "plain", Func: func() {}}, {Name: "named", Signature: "(a=1)", Func: func(int) {}}, {Name: "waits", Async: true, Func: func() {}},
	}}
	pytest.Do(t, func(tok *gil.Token) {
		defer func() {
			if err := py.Run(tok, "import sys; del sys.modules['"+t.Name()+"']"); err != nil {
				t.Error(err)
			}
		}()
		if err := py.Install(tok, m); err != nil {
			t.Fatal(err)
		}
		src := `
import ` + t.Name() + ` as m, pickle
for name in 'plain', 'named', 'waits':
    g = getattr(m, name)
    assert (g.__name__, g.__qualname__, g.__module__) == (name, name, m.__name__), (g.__name__, g.__qualname__, g.__module__)
    assert repr(g).startswith('<') and name in repr(g) and 'PyCapsule' not in repr(g), repr(g)
    assert pickle.loads(pickle.dumps(g)) is g
assert repr(m.plain) == '<built-in function plain>'
assert m.plain != m.named and m.plain == m.plain and len({m.plain, m.named, m.waits}) == 3
`
		if err := py.Run(tok, src); err != nil {
			t.Errorf("%+v", err)
		}
		if err := py.Run(tok, "assert f.__qualname__ == 'f' and f.__module__ == 'gilt' and repr(f) == '<built-in function f>', repr(f)\ng = f.__class__\ndel f.__self__.__dict__['__name__']\nf.__self__.__dict__.clear()\nassert f() == 7",
			callable(t, tok, py.GoFunc{Func: func() int { return 7 }})); err != nil {
			t.Errorf("%+v", err)
		}
	})
}

// Functions that differ are different objects, and none of Python's parameter names breaks a signature.
func TestGoFunctionParameterNames(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		for _, name := range []string{"f", "__gilt__", "__gilt___", "__name__", "__builtins__", "self"} {
			for _, parameters := range []string{"(__gilt__)", "(__gilt__, __gilt___=2)", "(*, __gilt__, f=1)", "(a, __builtins__=None)"} {
				n := strings.Count(parameters, ",") + 1 - strings.Count(parameters, "*")
				var fn any = func(a int) int { return a }
				if n == 2 {
					fn = func(a int, _ any) int { return a }
				}
				first := strings.Trim(strings.FieldsFunc(strings.TrimPrefix(parameters, "(*, "), func(r rune) bool { return strings.ContainsRune("(),= ", r) })[0], " ")
				b, err := py.NewFunction(tok, py.GoFunc{Name: name, Signature: parameters, Func: fn})
				if err != nil {
					t.Errorf("%s%s: %v", name, parameters, err)
					continue
				}
				if v, err := py.CallAs[int](b, py.Kw{first: 5}); v != 5 || err != nil {
					t.Errorf("%s%s gives %d, %v", name, parameters, v, err)
				}
			}
		}
	})
}

// Functions that come and go cost the same however many there are.
func TestManyGoFunctions(t *testing.T) {
	const n = 100_000
	pytest.Do(t, func(tok *gil.Token) {
		before := py.LiveFunctions()
		err := py.Scope(tok, func() error {
			for range n {
				if _, err := py.NewFunction(tok, py.GoFunc{Name: "f", Func: func(int) int { return 0 }}); err != nil {
					return err
				}
			}
			if made := py.LiveFunctions() - before; made < n-1000 || made > n {
				t.Errorf("%d Go functions were made", made)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if after := py.LiveFunctions(); after > before {
			t.Errorf("%d Go functions before, %d after", before, after)
		}
	})
}

func TestRaiseNestedClass(t *testing.T) {
	pytest.Install(t, "gilt_nested", "class Outer:\n    class Inner(ValueError):\n        class Most(Exception): pass\n")
	pytest.Do(t, func(tok *gil.Token) {
		for _, class := range []py.ExceptionClass{"gilt_nested:Outer.Inner", "gilt_nested.Outer.Inner"} {
			ns := callable(t, tok, py.GoFunc{Func: func() error { return py.Raise(class, "m", 2) }})
			if err := py.Run(tok, "import gilt_nested\ntry: f()\nexcept gilt_nested.Outer.Inner as e: assert e.args == ('m', 2)\nelse: assert False", ns); err != nil {
				t.Errorf("%+v", err)
			}
			_, err := py.EvalAs[any](tok, "f()", ns)
			if !errors.Is(err, class) || !errors.Is(err, py.ExceptionClass("gilt_nested.Outer.Inner")) || !errors.Is(err, py.ExceptionClass("gilt_nested:Outer.Inner")) || !errors.Is(err, py.ValueError) {
				t.Errorf("%v", err)
			}
			if made := py.Raise(class); !errors.Is(made, py.ExceptionClass("gilt_nested:Outer.Inner")) || made.Error() != "gilt_nested.Outer.Inner" {
				t.Error(made)
			}
		}
		for class, want := range map[py.ExceptionClass]py.ExceptionClass{
			"gilt_nested:Outer.Absent": py.AttributeError, "gilt_absent:X.Y": py.ModuleNotFoundError, "gilt_absent.x.Y": py.ModuleNotFoundError, "gilt_nested.Absent.X": py.AttributeError, "X": py.TypeError,
		} {
			_, err := py.EvalAs[any](tok, "f()", callable(t, tok, py.GoFunc{Func: func() error { return py.Raise(class) }}))
			if !errors.Is(err, want) {
				t.Errorf("%s: %v", class, err)
			}
		}
	})
}
