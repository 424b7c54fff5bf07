package handles_test

import (
	"errors"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func TestFrameAndTraceback(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, `
import sys
def f(a):
    b = a + 1
    return sys._getframe()
def outer():
    c = 1
    return f(c)
def fail(n):
    if n: fail(n - 1)
    else: 1/0
def raised():
    try: fail(1)
    except ZeroDivisionError as e: return e.__traceback__
def odd(frame, line):
    return type(raised())(None, frame, 0, line)
def generator():
    yield
g = generator()
`)
		frame, err := py.Cast[py.FrameObject](must(pytest.Get(t, ns, "outer").Call()))
		if err != nil {
			t.Fatal(err)
		}
		gives(t, "Code", "f")(must(frame.Code()).Name())
		gives(t, "Line", 5)(frame.Line())
		locals, err := frame.Locals()
		if err != nil {
			t.Fatal(err)
		}
		gives(t, "a", 1)(py.As[int](must(locals.Item("a"))))
		gives(t, "b", 2)(py.As[int](must(locals.Item("b"))))
		_, err = locals.Item("c")
		raisedCleanly(t, tok, "c", err, py.KeyError, "c")
		if g, err := frame.Globals(); err != nil || !g.Is(ns) {
			t.Error("Globals:", err)
		}
		if back, ok, err := frame.Back(); err != nil || !ok || must(must(back.Code()).Name()) != "outer" {
			t.Error("Back:", ok, err)
		} else {
			givesSome(t, "Back of what Go called", py.FrameObject{}, false)(back.Back())
		}
		running := eval(t, tok, py.Cast[py.Tuple], "(lambda: (lambda f: (f.f_back.f_code.co_name, f.f_code.co_name))(sys._getframe()))()", ns)
		gives(t, "running", "('<module>', '<lambda>')")(running.Repr())
		if line, err := eval(t, tok, py.Cast[py.FrameObject], "g.gi_frame", ns).Line(); err != nil || line != 17 {
			t.Error("a frame that has not begun:", line, err)
		}

		tb := eval(t, tok, py.Cast[py.TracebackObject], "raised()", ns)
		var lines []int
		var names []string
		for at, ok := tb, true; ok; {
			lines = append(lines, must(at.Line()))
			names = append(names, must(must(must(at.Frame()).Code()).Name()))
			if at, ok, err = at.Next(); err != nil {
				t.Fatal(err)
			}
		}
		gives(t, "the lines", []int{13, 10, 11})(lines, nil)
		gives(t, "the functions", []string{"raised", "fail", "fail"})(names, nil)
		want, err := py.EvalAs[string](tok, "''.join(__import__('traceback').format_tb(tb))", must(py.NewDict(tok, map[string]any{"tb": tb})))
		if err != nil {
			t.Fatal(err)
		}
		gives(t, "Format", want)(tb.Format())

		castsIn(t, tok, py.Cast[py.FrameObject], "frame", []string{"__import__('sys')._getframe()"}, []string{"lambda: 0", "1"})
		castsIn(t, tok, py.Cast[py.TracebackObject], "traceback",
			[]string{"__import__('types').TracebackType(None, __import__('sys')._getframe(), 0, 1)"}, []string{"ValueError()", "1"})
	})
}

// The frames of calls that still run, seen by a Go function that they call.
func TestFrame_Running(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		var names []string
		var lines []int
		f, err := py.NewFunction(tok, gilt.GoFunc{Name: "look", Func: func(tok *gilt.Token, b py.Bound) error {
			at, err := py.Cast[py.FrameObject](b)
			for ok := true; ok && err == nil; at, ok, err = at.Back() {
				names, lines = append(names, must(must(at.Code()).Name())), append(lines, must(at.Line()))
			}
			return err
		}})
		if err != nil {
			t.Fatal(err)
		}
		ns := must(py.NewDict(tok, map[string]any{"look": f}))
		if err := py.Run(tok, "import sys\ndef f():\n    look(sys._getframe())\ndef g():\n    f()\ng()", ns); err != nil {
			t.Fatalf("%+v", err)
		}
		gives(t, "the names", []string{"f", "g", "<module>"})(names, nil)
		gives(t, "the lines", []int{3, 5, 6})(lines, nil)
	})
}

func TestFrame_Hostile(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, `
import sys, types, traceback
class Mapping(dict):
    def __getitem__(self, k): raise IndexError(k) if k == 'odd' else KeyError(k)
class M(type):
    def __prepare__(*a): return Mapping()
class C(metaclass=M):
    global frame
    frame = __import__('sys')._getframe()
tb = types.TracebackType(None, frame, 0, 1)
none = types.TracebackType(None, frame, 0, -1)
class Module:
    format_tb = staticmethod(lambda t: 5)
sys_modules = sys.modules
`)
		frame, tb := eval(t, tok, py.Cast[py.FrameObject], "frame", ns), eval(t, tok, py.Cast[py.TracebackObject], "tb", ns)
		locals, err := frame.Locals()
		if err != nil {
			t.Fatal(err)
		}
		_, err = locals.Item("odd")
		raisedCleanly(t, tok, "its own mapping", err, py.IndexError, "odd")
		gives(t, "an odd line", 1)(tb.Line())
		if _, err := eval(t, tok, py.Cast[py.TracebackObject], "none", ns).Line(); err != nil {
			t.Error("a traceback without a line:", err)
		}
		givesSome(t, "Next", py.TracebackObject{}, false)(tb.Next())
		if err := py.Run(tok, "import traceback\nkept, traceback.format_tb = traceback.format_tb, lambda t: 1/0", ns); err != nil {
			t.Fatal(err)
		}
		raisedCleanly(t, tok, "Format", second(tb.Format()), py.ZeroDivisionError, "")
		if err := py.Run(tok, "traceback.format_tb = lambda t: ['a', 5]", ns); err != nil {
			t.Fatal(err)
		}
		raisedCleanly(t, tok, "Format", second(tb.Format()), py.TypeError, "'int' object")
		if err := py.Run(tok, "traceback.format_tb = kept", ns); err != nil {
			t.Fatal(err)
		}
		var e *py.Error
		if err := py.Run(tok, "\n1/0"); !errors.As(err, &e) {
			t.Fatal(err)
		}
		tb, err = py.AttrAs[py.TracebackObject](e.Bind(tok), "__traceback__")
		if err != nil || e.Frames[0].Line != must(tb.Line()) {
			t.Error("an Error's traceback:", err)
		}
	})
}
