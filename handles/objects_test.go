package handles_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"testing"
	"time"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func TestBehaviour21_Dicts(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		d, err := py.NewDict(tok, map[string]any{"a": 1})
		if err != nil {
			t.Fatal(err)
		}
		if b, err := d.Method("get", "missing"); err != nil || !b.Is(py.None(tok)) {
			t.Error("get of a missing key:", err)
		}
		if _, err := d.Item("missing"); !errors.Is(err, py.KeyError) {
			t.Error(err)
		}
		unhashable, err := py.From(tok, []int{1})
		if err != nil {
			t.Fatal(err)
		}
		for what, err := range map[string]error{
			"get": second(d.Method("get", unhashable)), "item": second(d.Item(unhashable)), "set": d.SetItem(unhashable, 1),
			"contains": second(d.Contains(unhashable)), "hash": second(unhashable.Hash()), "del": d.DelItem(unhashable),
		} {
			if !errors.Is(err, py.TypeError) || !strings.Contains(err.Error(), "unhashable") {
				t.Errorf("%s of an unhashable key: %v", what, err)
			}
		}
		n := 0
		var last error
		for _, last = range d.Iter() {
			if n++; n > 100 {
				t.Fatal("it does not end")
			}
			if last == nil {
				if err := d.SetItem(n, n); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !errors.Is(last, py.RuntimeError) || !strings.Contains(last.Error(), "changed size") {
			t.Error("a dict changed while iterated:", last)
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestBehaviour22_IteratorFailsMidway(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, "def gen():\n  yield 1\n  yield 2\n  raise ValueError('midway')\n")
		g := func() py.Bound {
			b, err := pytest.Get(t, ns, "gen").Call()
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		var items []int64
		var errs []error
		for b, err := range g().Iter() {
			if err != nil {
				errs = append(errs, err)
				continue
			}
			n, err := b.Int64()
			items = append(items, n)
			if err != nil {
				t.Fatal(err)
			}
		}
		if len(items) != 2 || items[1] != 2 || len(errs) != 1 || !errors.Is(errs[0], py.ValueError) {
			t.Error(items, errs)
		}
		for b := range g().Iter() {
			if n, _ := b.Int64(); n != 1 {
				t.Error(n)
			}
			break
		}
		n := 0
		for _, err := range pytest.Get(t, ns, "gen").Iter() { // a function is not iterable
			if n++; !errors.Is(err, py.TypeError) {
				t.Error(err)
			}
		}
		if n != 1 {
			t.Error(n, "pairs")
		}
		e, _ := py.From(tok, []int{})
		for range e.Iter() {
			t.Error("an empty list has an item")
		}
	})
}

func TestBehaviour23_Namespaces(t *testing.T) {
	const source = "eg = 1\ndef f(): return eg\nf()"
	pytest.Do(t, func(tok *gilt.Token) {
		dict := func() py.Bound {
			d, err := py.NewDict(tok, nil)
			if err != nil {
				t.Fatal(err)
			}
			return d.Bound
		}
		if err := py.Run(tok, source, dict(), dict()); !errors.Is(err, py.NameError) {
			t.Error("separate globals and locals:", err)
		}
		if err := py.Run(tok, source, dict()); err != nil {
			t.Error("one dict:", err)
		}
		if err := py.Run(tok, source); err != nil {
			t.Error("no dict:", err)
		}
		if err := py.Run(tok, "eg"); !errors.Is(err, py.NameError) {
			t.Error("a name leaked from another Run:", err)
		}
		if v, err := py.EvalAs[string](tok, "__name__"); err != nil || v == "__main__" {
			t.Error("__name__ is", v, err)
		}
		g, l := dict(), dict()
		if err := py.Run(tok, "x = 1", g, l); err != nil {
			t.Error(err)
		}
		if has, err := g.Contains("x"); has || err != nil {
			t.Error("x is in globals:", err)
		}
		if v, err := py.EvalAs[int](tok, "x", g, l); v != 1 || err != nil {
			t.Error(v, err)
		}
		for _, bad := range []string{"[]", "3", "None", "object()", "()"} {
			b, err := py.Eval(tok, bad)
			if err != nil {
				t.Fatal(err)
			}
			for range 50 {
				if err := py.Run(tok, "x = 1\ndef f(): return x\nf()\nimport sys\ny = len('a')", b); err == nil {
					t.Error("globals", bad, "is no error")
				}
				_, _ = py.Eval(tok, "[x for x in (1, 2)] + [len]", b)
				if err := py.Run(tok, "x = 1", dict(), b); bad == "3" && err == nil {
					t.Error("locals", bad, "is no error")
				}
			}
			if tok.Entry("test").ErrorIndicator() {
				t.Fatal("the error indicator is set")
			}
		}
	})
}

func TestBehaviour24_Import(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		m, err := py.Import(tok, "os.path")
		if err != nil {
			t.Fatal(err)
		}
		if n, err := py.AttrAs[string](m, "__name__"); n != "posixpath" || err != nil {
			t.Error(n, err)
		}
		for name, class := range map[string]py.ExceptionClass{"no.such": py.ModuleNotFoundError, "": py.ValueError, "os.nothing": py.ModuleNotFoundError, "a\x00b": py.ImportError, "..": py.Exception} {
			if _, err := py.Import(tok, name); err == nil || (!errors.Is(err, class) && !errors.Is(err, py.ValueError)) {
				t.Errorf("import %q: %v", name, err)
			}
			if tok.Entry("test").ErrorIndicator() {
				t.Fatal("the error indicator is set")
			}
		}
		dir := t.TempDir()
		if err := os.WriteFile(dir+"/half_made.py", []byte("x = 1\nraise ValueError('half')\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		ns, err := py.NewDict(tok, map[string]any{"dir": dir})
		if err != nil {
			t.Fatal(err)
		}
		if err := py.Run(tok, "import sys; sys.path.insert(0, dir)", ns); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = py.Run(tok, "import sys; sys.path.remove(dir)", ns) }()
		if _, err := py.Import(tok, "half_made"); !errors.Is(err, py.ValueError) {
			t.Error(err)
		}
		if has, err := py.EvalAs[bool](tok, "'half_made' in __import__('sys').modules"); has || err != nil {
			t.Error("a module that raised is in sys.modules", err)
		}
	})
}

func TestBehaviour25_DeepRepr(t *testing.T) {
	deep := func(tok *gilt.Token) (int, error) {
		b, err := py.Eval(tok, "__import__('functools').reduce(lambda a, _: [a], range(100000), 0)")
		if err != nil {
			return 0, err
		}
		if _, err := b.Repr(); !errors.Is(err, py.RecursionError) {
			t.Errorf("repr: %.100v", err)
		}
		if _, err := py.As[any](b); !errors.Is(err, py.RecursionError) {
			t.Errorf("As: %.100v", err)
		}
		if _, err := b.Equal(b); err != nil {
			t.Errorf("equal: %.100v", err)
		}
		return 0, nil
	}
	if _, err := gilt.Submit(ctx, pytest.Runtime(), deep).Wait(ctx); err != nil {
		t.Error(err)
	}
	pytest.Do(t, func(tok *gilt.Token) {
		if _, err := deep(tok); err != nil {
			t.Error(err)
		}
	})
}

func TestBehaviour26_Source(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		if err := py.Run(tok, "x = 1\x00\ny = 2"); !errors.Is(err, py.SyntaxError) && !errors.Is(err, py.ValueError) {
			t.Error("NUL:", err)
		}
		for what, source := range map[string]string{
			"BOM": "\ufeffx = 1\nassert x == 1", "CRLF": "if True:\r\n    x = 1\r\nassert x == 1\r\n", "CR": "x = 1\rassert x == 1", "empty": "", "comment": "# nothing",
			"coding line": "# -*- coding: latin-1 -*-\nx = '\xe9'\nassert x == chr(233)", "no newline": "def f():\n  return 1\nassert f() == 1",
		} {
			if err := py.Run(tok, source); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := py.Run(tok, "x = '\xff'"); !errors.Is(err, py.SyntaxError) {
			t.Error("not UTF-8:", err)
		}
		if v, err := py.EvalAs[int](tok, " 1 + 1\n"); v != 2 || err != nil {
			t.Error("eval with space around, which Python's eval accepts:", v, err)
		}
		if _, err := py.Eval(tok, "x = 1"); !errors.Is(err, py.SyntaxError) {
			t.Error(err)
		}
		if _, err := py.Eval(tok, ""); !errors.Is(err, py.SyntaxError) {
			t.Error(err)
		}
		if err := py.RunFile(tok, "1/0", "a\x00b.py"); err == nil {
			t.Error("a file name with NUL")
		}
		err := py.RunFile(tok, "1/0", "d\xff/f.py")
		var e *py.Error
		if !errors.As(err, &e) || !errors.Is(err, py.ZeroDivisionError) || len(e.Frames) != 1 {
			t.Error(err)
		}
	})
}

func TestBehaviour27_SignalsStayGos(t *testing.T) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt)
	defer signal.Stop(c)
	pytest.Do(t, func(tok *gilt.Token) {
		if err := py.Run(tok, "import asyncio, signal\nasync def f(): return 1\nassert asyncio.run(f()) == 1"); err != nil {
			t.Errorf("%+v", err)
		}
	})
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c:
	case <-time.After(10 * time.Second):
		t.Error("os/signal did not get SIGINT")
	}
	pytest.Do(t, func(tok *gilt.Token) {
		if err := py.Run(tok, "for i in range(100000): pass"); err != nil {
			t.Errorf("Python got the signal too: %v", err)
		}
	})
}

func TestObject(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, `
class C:
    x = 1
    def m(self, *a, **k): return [list(a), k]
    def __bool__(self): raise ValueError('bool')
    def __len__(self): return -1
    def __hash__(self): return -1
    def __eq__(self, o): raise KeyError('eq')
    def __str__(self): return 'é\ud800'
    def __call__(self, *a, **k): return (a, k)
o = C()
`)
		o := pytest.Get(t, ns, "o")
		for what, c := range map[string]struct {
			err   error
			class py.ExceptionClass
		}{
			"truth":    {second(o.Truth()), py.ValueError},
			"len":      {second(o.Len()), py.ValueError},
			"eq":       {second(o.Equal(1)), py.KeyError},
			"str":      {second(o.Str()), py.UnicodeEncodeError},
			"attr":     {second(o.Attr("nope")), py.AttributeError},
			"attr NUL": {second(o.Attr("no\x00pe")), py.AttributeError},
			"attr bad": {second(o.Attr("no\xff")), py.UnicodeDecodeError},
			"method":   {second(o.Method("nope")), py.AttributeError},
			"del":      {o.DelAttr("nope"), py.AttributeError},
			"item":     {second(o.Item(1)), py.TypeError},
			"iter": {func() error {
				for _, err := range o.Iter() {
					return err
				}
				return nil
			}(), py.TypeError},
			"cast":   {second(py.Cast[py.List](o)), py.TypeError},
			"text":   {second(o.Text()), py.TypeError},
			"bytes":  {second(o.Bytes()), py.TypeError},
			"bool":   {second(o.Bool()), py.TypeError},
			"int":    {second(o.Int64()), py.TypeError},
			"float":  {second(o.Float64()), py.TypeError},
			"isinst": {second(o.IsInstance(o)), py.TypeError},
			"many":   {second(py.CallAs[int](o, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)), py.TypeError},
		} {
			if !errors.Is(c.err, c.class) {
				t.Errorf("%s: %v, want %v", what, c.err, c.class)
			}
			if tok.Entry("test").ErrorIndicator() {
				t.Fatal(what, "the error indicator is set")
			}
		}
		if s, err := o.Str(); s != "" || err == nil {
			t.Errorf("a failed Str gives %q", s)
		}
		if h, err := o.Hash(); h != -2 || err != nil {
			t.Error("hash:", h, err)
		}
		for n := range 12 { // around the room that calls keep on the stack
			args := make([]any, n)
			want := make([]any, n)
			for i := range args {
				args[i], want[i] = i, int64(i)
			}
			for _, kw := range []py.Kw{nil, {"k": 1}, {"k": "v", "w": nil}} {
				all := args
				if kw != nil {
					all = append(args[:n:n], kw)
				}
				got, err := py.MethodAs[[]any](o, "m", all...)
				if err != nil || len(got[0].([]any)) != n || len(got[1].(map[string]any)) != len(kw) {
					t.Fatal(n, kw, got, err)
				}
				got, err = py.CallAs[[]any](o, all...)
				if err != nil || len(got[0].([]any)) != n || len(got[1].(map[string]any)) != len(kw) {
					t.Fatal(n, kw, got, err)
				}
			}
		}
		if err := o.SetAttr("y", []any{1, o}); err != nil {
			t.Error(err)
		}
		if v, err := py.AttrAs[py.Bound](o, "y"); err != nil {
			t.Error(err)
		} else if last, err := v.Item(-1); err != nil || !last.Is(o) {
			t.Error(err)
		}
		p, err := py.AttrAs[py.Py](o, "y")
		if err != nil {
			t.Error(err)
		}
		defer p.Release()
		if !o.Callable() || pytest.Get(t, ns, "__name__").Callable() {
			t.Error("callable")
		}
		if ok, err := o.IsInstance(pytest.Get(t, ns, "C")); !ok || err != nil {
			t.Error(ok, err)
		}
	})
}

// Package fmt prints objects as Python's print does, and what cannot be printed without harm.
func TestPrinting(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		l, err := py.NewList(tok, 1, "a")
		if err != nil {
			t.Fatal(err)
		}
		angry, err := py.Eval(tok, "type('Angry', (), {'__str__': lambda self: 1 // 0})()")
		if err != nil {
			t.Fatal(err)
		}
		var ended py.Bound
		_ = py.Scope(tok, func() error {
			ended, err = py.From(tok, "x") //gilt:vet-ignore the test is of this misuse
			return err
		})
		for want, v := range map[string]any{
			"[1, 'a']": l, "None": py.None(tok), "<no object>": py.Str{}, "{[1, 'a'] None}": py.Item{Key: l.Bound, Value: py.None(tok)},
			"<ZeroDivisionError: ": angry, "scope has ended": ended,
		} {
			if got := fmt.Sprint(v); !strings.Contains(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
		}
	})
}

func TestLookup(t *testing.T) {
	rt := pytest.Runtime()
	pytest.Install(t, "prep", `
class K:
    @staticmethod
    def s(a, b=2): return a + b
def echo(x): return x
def kind(x): return type(x).__name__
def none(): return None
def fail(x): raise ValueError('fail %r' % (x,))
def exit(): raise SystemExit(3)
notcallable = 3
`)
	for spec, class := range map[string]error{
		"prep:missing": py.AttributeError, "prep:notcallable": py.TypeError, "no_such:f": py.ModuleNotFoundError, "prep:K.nope": py.AttributeError,
		"": nil, "prep": nil, ":f": nil, "prep:": nil, "a\x00:b": nil, "prep:a\x00b": nil,
	} {
		_, err := gilt.Lookup[int, int](ctx, rt, spec)
		if err == nil || (class != nil && !errors.Is(err, class)) || !strings.Contains(err.Error(), "function") {
			t.Errorf("%q: %v", spec, err)
		}
	}
	roundTrip(t, "prep:echo", int64(-1), int64(1)<<62)
	roundTrip(t, "prep:echo", uint64(1)<<63, ^uint64(0))
	roundTrip(t, "prep:echo", -1, 1<<62)
	roundTrip(t, "prep:echo", -1.0, 0.5)
	roundTrip(t, "prep:echo", true, false)
	roundTrip(t, "prep:echo", "", "a\x00é", strings.Repeat("x", 1<<20))
	type pair struct{ A, B int32 }
	roundTrip(t, "prep:echo", pair{1, -1})
	roundTrip(t, "prep:echo", [2]string{"a", "b"})
	roundTrip(t, "prep:echo", uint8(255))
	for what, err := range map[string]error{
		"raises":    second(call[string, int](t, "prep:fail", "x")),
		"wrong int": second(call[string, int](t, "prep:echo", "x")),
		"wrong arg": second(call[chan int, int](t, "prep:echo", nil)),
		"not UTF-8": second(call[string, string](t, "prep:echo", "\xff")),
		"too large": second(call[uint64, int64](t, "prep:echo", 1<<63)),
		"arity":     second(call[struct{}, int](t, "prep:echo", struct{}{})),
		"a handle":  second(gilt.Lookup[struct{}, py.Bound](ctx, rt, "prep:none")),
		"handles":   second(gilt.Lookup[struct{}, []py.List](ctx, rt, "prep:none")),
		"a time":    second(gilt.Lookup[struct{}, map[string]time.Time](ctx, rt, "prep:none")),
		"coroutine": second(gilt.LookupAsync[struct{}, py.Py](ctx, rt, "prep:none")),
	} {
		var e *py.Error
		if !errors.As(err, &e) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if v, err := call[py.Args, int](t, "prep:K.s", py.Args{1}); v != 3 || err != nil {
		t.Error(v, err)
	}
	if v, err := call[py.Args, int](t, "prep:K.s", py.Args{1, 5}); v != 6 || err != nil {
		t.Error(v, err)
	}
	if v, err := call[[]byte, string](t, "prep:kind", []byte("x")); v != "bytes" || err != nil {
		t.Error(v, err)
	}
	if v, err := call[struct{}, any](t, "prep:none", struct{}{}); v != nil || err != nil {
		t.Error(v, err)
	}
	if v, err := call[struct{}, *int](t, "prep:none", struct{}{}); v != nil || err != nil {
		t.Error(v, err)
	}
	_, err := call[struct{}, int](t, "prep:exit", struct{}{})
	var e *py.Error
	if errors.As(err, &e) {
		if code, ok := e.ExitCode(); code != 3 || !ok {
			t.Error(code)
		}
	} else {
		t.Error(err)
	}
}

func call[A, R any](t testing.TB, spec string, a A) (R, error) {
	t.Helper()
	f, err := gilt.Lookup[A, R](context.Background(), pytest.Runtime(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return f.Call(ctx, a)
}

func roundTrip[T comparable](t testing.TB, spec string, values ...T) {
	t.Helper()
	for _, v := range values {
		if got, err := call[T, T](t, spec, v); err != nil || got != v {
			t.Errorf("%v came back as %v, %v", v, got, err)
		}
	}
}
