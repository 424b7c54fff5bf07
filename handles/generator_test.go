package handles_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

const generators = `
log = []
def echo():
    got = yield 'first'
    while got != 'stop':
        try: got = yield ('got', got)
        except ValueError as e: got = 'caught ' + str(e)
    return 'returned'
def none():
    yield
def fail():
    yield 1
    raise KeyError('fail')
def stops():
    yield 1
    raise StopIteration('inside')
def group():
    yield 1
    raise ExceptionGroup('g', [StopIteration('in a group')])
def caused():
    yield 1
    try: raise StopIteration('cause')
    except StopIteration as e: raise LookupError('caused') from e
def stubborn():
    try: yield 1
    except GeneratorExit: yield 2
def cleans():
    try: yield 1
    finally: log.append('cleaned')
def closes():
    try: yield 1
    finally: 1/0
def itself():
    yield 1
    yield me.send(None)
def state():
    yield __import__('inspect').getgeneratorstate(me)
`

func generator(t *testing.T, ns py.Bound, name string) py.Generator {
	t.Helper()
	g, err := py.Cast[py.Generator](must(pytest.Get(t, ns, name).Call()))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGenerator(t *testing.T) {
	castsOnly(t, py.Cast[py.Generator], "generator", []string{"(x for x in [])"}, []string{"iter([])", "map(int, [])", "[]", "type('Liar', (), {'__class__': type((x for x in []))})()"})
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, generators)
		step := func(what, want string, v py.Bound, found bool, err error) {
			t.Helper()
			noneLeft(t, tok)
			got := ""
			if err != nil {
				got = err.Error()
			} else {
				got = fmt.Sprint(must(v.Repr()), " ", found)
			}
			if got != want {
				t.Errorf("%s: %s, want %s", what, got, want)
			}
		}
		state := func(g py.Generator, want py.GeneratorState) {
			t.Helper()
			if s, err := g.State(); s != want || err != nil {
				t.Error(s, want, err)
			}
			noneLeft(t, tok)
		}
		g := generator(t, ns, "echo")
		state(g, py.GeneratorCreated)
		v, found, err := g.Send(1)
		step("send before it began", "TypeError: can't send non-None value to a just-started generator", v, found, err)
		v, found, err = g.Next()
		step("next", "'first' true", v, found, err)
		state(g, py.GeneratorSuspended)
		v, found, err = g.Send([]int{1})
		step("send", "('got', [1]) true", v, found, err)
		v, found, err = g.Throw(py.Raise(py.ValueError, "thrown"))
		step("throw", "('got', 'caught thrown') true", v, found, err)
		v, found, err = g.Send("stop")
		step("stop", "'returned' false", v, found, err)
		state(g, py.GeneratorClosed)
		v, found, err = g.Next()
		step("after its end", "None false", v, found, err)
		v, found, err = g.Throw(py.Raise(py.ValueError, "late"))
		step("throw after its end", "ValueError: late", v, found, err)
		if err := g.Close(); err != nil {
			t.Error(err)
		}

		for name, want := range map[string]string{"none": "None false", "fail": "KeyError: 'fail'", "stops": "RuntimeError: generator raised StopIteration", "caused": "LookupError: caused", "itself": "ValueError: generator already executing"} {
			g := generator(t, ns, name)
			if err := ns.SetItem("me", g); err != nil {
				t.Fatal(err)
			}
			if _, found, err := g.Next(); !found || err != nil {
				t.Error(name, found, err)
			}
			v, found, err := g.Next()
			step(name, want, v, found, err)
			state(g, py.GeneratorClosed)
		}
		if pytest.Minor(t) >= 11 {
			g := generator(t, ns, "group")
			_, _, _ = g.Next()
			if _, found, err := g.Next(); found || !errors.Is(err, py.ExceptionClass("builtins.ExceptionGroup")) {
				t.Error(found, err)
			}
			noneLeft(t, tok)
		}
		running := generator(t, ns, "state")
		if err := ns.SetItem("me", running); err != nil {
			t.Fatal(err)
		}
		v, found, err = running.Next()
		step("state", "'GEN_RUNNING' true", v, found, err)
		if _, _, err := generator(t, ns, "echo").Send(make(chan int)); err == nil {
			t.Error("a chan was sent")
		}
		noneLeft(t, tok)
	})
}

// What is thrown into a generator and passes through it is the same Go error.
func TestGeneratorThrow(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, generators)
		mine := errors.New("mine")
		for _, e := range []error{mine, io.EOF, fmt.Errorf("wrapped: %w", mine), py.Raise(py.KeyError, "k")} {
			g := generator(t, ns, "echo")
			if _, _, err := g.Next(); err != nil {
				t.Fatal(err)
			}
			if _, found, err := g.Throw(e); found || !errors.Is(err, e) && !errors.Is(err, py.KeyError) {
				t.Errorf("%v came back as %v", e, err)
			}
			noneLeft(t, tok)
		}
		_, err := py.Eval(tok, "{}['from Python']")
		g := generator(t, ns, "cleans")
		_, _, _ = g.Next()
		_, _, again := g.Throw(err)
		wantText(t, tok, again, "KeyError: 'from Python'")
		_, _, err = generator(t, ns, "echo").Throw(py.Raise("no.such.Class"))
		if !errors.Is(err, py.ModuleNotFoundError) {
			t.Error(err)
		}
		g = generator(t, ns, "echo") // it has not begun
		_, _, err = g.Throw(py.Raise(py.LookupError, "early"))
		wantText(t, tok, err, "LookupError: early")
		if s, err := g.State(); s != py.GeneratorClosed || err != nil {
			t.Error(s, err)
		}
	})
}

func TestGeneratorClose(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, generators)
		began := func(name string) py.Generator {
			g := generator(t, ns, name)
			if _, found, err := g.Next(); !found || err != nil {
				t.Fatal(found, err)
			}
			return g
		}
		wantText(t, tok, began("stubborn").Close(), "RuntimeError: generator ignored GeneratorExit")
		wantText(t, tok, began("closes").Close(), "ZeroDivisionError: division by zero")
		g := began("cleans")
		for range 2 {
			if err := g.Close(); err != nil {
				t.Error(err)
			}
		}
		if s := must(py.EvalAs[[]string](tok, "[v for v in log if v == 'cleaned']", ns)); len(s) != 1 {
			t.Error(s)
		}
		if _, found, err := g.Next(); found || err != nil {
			t.Error(found, err)
		}
		fresh := generator(t, ns, "cleans")
		if err := fresh.Close(); err != nil {
			t.Error(err)
		}
		for v, err := range fresh.Iter() {
			t.Error("a closed generator yields", v, err)
		}
		n := 0
		for _, err := range generator(t, ns, "fail").Iter() {
			if n++; n == 2 {
				wantText(t, tok, err, "KeyError: 'fail'")
			}
		}
		if n != 2 {
			t.Error(n)
		}
	})
}
