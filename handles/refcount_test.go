package handles_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/cpython"
	"gilt/internal/pytest"
)

// Whatever is done thousands of times, the reference counts of what it touches stay level.
func TestReferenceCountsAreLevel(t *testing.T) {
	const n = 3000
	pytest.Install(t, "counts", `
import sys
class Obj:
    alive = 0
    def __init__(self): Obj.alive += 1; self.attr = marker
    def __del__(self): Obj.alive -= 1
    def meth(self, *a, **k): return a
    def __getitem__(self, k): return marker
    def __setitem__(self, k, v): pass
    def __delitem__(self, k): pass
    def __iter__(self): return iter([marker, marker])
    def __contains__(self, v): return v is marker
    def __index__(self): return big
class Marker: pass
marker = Marker()
big = 1 << 70
text, data, exc = 'text' * 10, b'data' * 10, ValueError('exc')
f = 1234.5
hold = {'m': marker, 'big': big, 'f': f, 'text': text, 'data': data, 'list': [marker], 'tuple': (big, f)}
plain = {'big': big, 'f': f, 'text': text, 'data': data, 'list': [big], 'tuple': (big, f), 'none': None}
def ident(*a, **k): return a[0] if a else marker
def fail(*a, **k): raise ValueError('exc')
def failnew(*a): raise ValueError(marker, Obj())
def bigint(*a): return big
def txt(*a): return text
def dat(*a): return data
def flt(*a): return f
def values(*a): return plain
def counts():
    return [sys.getrefcount(x) for x in (marker, big, text, data, f, ValueError, Obj, hold, plain, ident, fail, exc)] + [Obj.alive]
`)
	rt := pytest.Runtime()
	counts := func() []int64 {
		if err := pytest.Collect(); err != nil { // errors and handles that are garbage
			t.Fatal(err)
		}
		pytest.Eventually(t, "the decref queue is empty", func() (empty bool) {
			pytest.Do(t, func(tok *gilt.Token) { _ = py.Run(tok, "import gc; gc.collect()"); empty = tok.Interp().Backlog() == 0 })
			return empty
		})
		c, err := call[struct{}, []int64](t, "counts:counts", struct{}{})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	inTask := func(f func(tok *gilt.Token, m py.Bound)) func() {
		return func() {
			pytest.Do(t, func(tok *gilt.Token) {
				m, err := py.Import(tok, "counts")
				if err != nil {
					t.Fatal(err)
				}
				for range n {
					if err := py.Scope(tok, func() error { f(tok, m); return nil }); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	}
	check := func(err error) {
		if err != nil {
			t.Fatalf("%+v", err)
		}
	}
	attr := func(m py.Bound, name string) py.Bound {
		b, err := m.Attr(name)
		check(err)
		return b
	}
	for name, work := range map[string]func(){
		"attributes": inTask(func(tok *gilt.Token, m py.Bound) {
			o := attr(m, "marker")
			check(o.SetAttr("x", attr(m, "big")))
			check(o.SetAttr("y", []any{attr(m, "big"), "s", 1.5}))
			check(o.DelAttr("x"))
			_, err := o.Attr("none")
			if err == nil {
				t.Fatal()
			}
		}),
		"calls": inTask(func(tok *gilt.Token, m py.Bound) {
			o := attr(m, "marker")
			for _, args := range [][]any{{o}, {o, o, o, o, o, o, o, o, o}, {o, py.Kw{"k": o, "w": 2}}, {[]any{o, map[string]any{"m": o}}}} {
				_, err := m.Method("ident", args...)
				check(err)
				_, err = attr(m, "ident").Call(args...)
				check(err)
				_, err = m.Method("fail", args...)
				if err == nil {
					t.Fatal()
				}
			}
			_, _ = m.Method("ident", o, "\xff")
			_, _ = m.Method("no\xff", o)
			_, _ = m.Method("nope", o)
			_, _ = o.Call(o)
		}),
		"objects": inTask(func(tok *gilt.Token, m py.Bound) {
			o, err := m.Method("Obj")
			check(err)
			k := attr(m, "marker")
			_, err = o.Item(k)
			check(err)
			check(o.SetItem(k, k))
			check(o.DelItem(k))
			_, err = o.Contains(k)
			check(err)
			_, err = o.Equal(k)
			check(err)
			_, _ = o.Hash()
			_, err = o.Type()
			check(err)
			_, err = o.Repr()
			check(err)
			for item, err := range o.Iter() {
				check(err)
				_ = item
				break
			}
			for _, err := range o.Iter() {
				check(err)
			}
			_, err = o.IsInstance(attr(m, "Obj"))
			check(err)
			_, _ = o.Int64() // too large
			_, _ = o.Len()
		}),
		"conversions": inTask(func(tok *gilt.Token, m py.Bound) {
			_, err := py.AttrAs[any](m, "plain")
			check(err)
			_, err = py.AttrAs[any](m, "hold")
			if err == nil {
				t.Fatal()
			}
			_, err = py.AttrAs[string](m, "text")
			check(err)
			_, err = py.AttrAs[[]byte](m, "data")
			check(err)
			_, err = py.AttrAs[float64](m, "f")
			check(err)
			_, _ = py.AttrAs[int64](m, "big")
			_, _ = py.AttrAs[uint64](m, "big")
			_, _ = py.AttrAs[bool](m, "big")
			_, _ = py.AttrAs[string](m, "big")
			_, err = py.From(tok, map[string]any{"a": []any{attr(m, "marker"), nil, true, "s"}})
			check(err)
			_, _ = py.From(tok, []any{attr(m, "marker"), "\xff"})
			_, _ = py.From(tok, map[any]any{[1]int{1}: attr(m, "marker")})
			_, err = py.EvalAs[any](tok, "range(3)")
			check(err)
		}),
		"handles": inTask(func(tok *gilt.Token, m py.Bound) {
			p := attr(m, "marker").Unbind()
			q := p.Clone(tok)
			p.Bind(tok)
			check(p.Borrow(tok).SetAttr("z", q))
			_, err := py.From(tok, []any{p, q})
			check(err)
			p.Release()
			p.Release()
			if o, err := m.Method("Obj"); err == nil {
				o.Unbind() // the garbage collector's
			}
			q.Clone(tok)
			r, err := py.AttrAs[py.Py](m, "big")
			check(err)
			r.Release()
		}),
		"errors": inTask(func(tok *gilt.Token, m py.Bound) {
			_, err := m.Method("failnew", attr(m, "marker"))
			if err == nil {
				t.Fatal()
			}
			_ = py.Run(tok, "try: 1/0\nexcept Exception as e: raise KeyError from e")
			_ = py.Run(tok, "x = (")
		}),
		"running code": inTask(func(tok *gilt.Token, m py.Bound) {
			ns, err := py.NewDict(tok, map[string]any{"m": m})
			check(err)
			check(py.Run(tok, "o = m.Obj(); l = [m.marker, o]", ns))
			_, err = py.Eval(tok, "l", ns)
			check(err)
			_, err = py.EvalAs[string](tok, "m.text", ns, ns)
			check(err)
		}),
		"prepared calls": func() {
			repeat := func(f func() error, ok bool) {
				for range n {
					if err := f(); (err == nil) != ok {
						t.Fatal(err)
					}
				}
			}
			prepared(t, repeat, "counts:txt", "x", "")
			prepared(t, repeat, "counts:dat", []byte("x"), []byte{})
			prepared(t, repeat, "counts:flt", 1.5, 1.5)
			prepared(t, repeat, "counts:ident", int64(1), int64(1))
			prepared(t, repeat, "counts:ident", true, true)
			prepared[py.Args, any](t, repeat, "counts:values", py.Args{1, "a", []any{2}}, nil)
			prepared(t, repeat, "counts:values", uint64(1), struct{}{})
			refusing[int, int](t, repeat, "counts:bigint", 1)
			refusing[int, string](t, repeat, "counts:bigint", 1)
			refusing[int, any](t, repeat, "counts:fail", 1)
			refusing[string, any](t, repeat, "counts:txt", "\xff")
			refusing[int, int](t, repeat, "counts:failnew", 1)
		},
		"lookups": func() {
			for range 300 {
				if _, err := gilt.Lookup[int, int](ctx, rt, "counts:ident"); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			work()
			before := counts()
			for same := 0; same < 3; { // the garbage collector's cleanups take their time
				if now := counts(); slices.Equal(now, before) {
					same++
				} else {
					before, same = now, 0
				}
			}
			work()
			var after []int64
			level := func() bool {
				after = counts()
				for i := range before {
					if d := after[i] - before[i]; d > 20 || d < -20 {
						return false
					}
				}
				return true
			}
			for tries := 0; !level(); tries++ {
				if tries == 20 {
					t.Fatalf("counts went from %v to %v", before, after)
				}
			}
		})
	}
}

func prepared[A, R any](t *testing.T, repeat func(func() error, bool), spec string, a A, _ R) {
	t.Helper()
	f, err := gilt.Lookup[A, R](ctx, pytest.Runtime(), spec)
	if err != nil {
		t.Fatal(err)
	}
	repeat(func() error { _, err := f.Call(ctx, a); return err }, true)
}

func refusing[A, R any](t *testing.T, repeat func(func() error, bool), spec string, a A) {
	t.Helper()
	f, err := gilt.Lookup[A, R](ctx, pytest.Runtime(), spec)
	if err != nil {
		t.Fatal(err)
	}
	repeat(func() error { _, err := f.Call(ctx, a); return err }, false)
}

// A handle whose only use is the call that is under way is not collected before the call has run.
func TestHandlesStayAliveDuringTheOperation(t *testing.T) {
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	defer func() { close(stop); <-done }()
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, "class C:\n    def __init__(self): self.v = [1, 2, 3]\n    def get(self): return self.v\n")
		fresh := func() py.Py {
			var p py.Py
			_ = py.Scope(tok, func() error {
				b, err := pytest.Get(t, ns, "C").Call()
				if err != nil {
					t.Error(err)
				}
				p = b.Unbind()
				return nil
			})
			return p
		}
		detached(t, tok)
		for range 300 {
			if v, err := py.MethodAs[[]int](fresh().Borrow(tok).Bound, "get"); err != nil || len(v) != 3 {
				t.Fatal(v, err)
			}
			if b, err := py.From(tok, []any{fresh(), fresh()}); err != nil {
				t.Fatal(err)
			} else if n, err := b.Len(); n != 2 || err != nil {
				t.Fatal(n, err)
			}
			if b := fresh().Bind(tok); b.IsZero() {
				t.Fatal("Bind")
			}
			//gilt:vet-ignore the garbage collector is to release it
			if err := fresh().Clone(tok).Borrow(tok).SetAttr("w", fresh()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A name that Go gives is gone with the operation: on 3.12 an interned string lives for ever.
func TestNamesDoNotAccumulate(t *testing.T) {
	const n = 5000
	pytest.Install(t, "namesink", `
import sys
class Any:
    def __getattr__(self, name): return ignore
    def blocks(self):
        import gc; gc.collect(); return sys.getallocatedblocks()
def ignore(*a, **k): pass
any = Any()
def module(name): sys.modules[name] = any
def forget(name): del sys.modules[name]
`)
	ops := map[string]func(tok *gilt.Token, m, o py.Bound, name string) error{
		"Attr":   func(_ *gilt.Token, _, o py.Bound, name string) error { _, err := o.Attr(name); return err },
		"Method": func(_ *gilt.Token, _, o py.Bound, name string) error { _, err := o.Method(name, ""); return err },
		"Method with keywords": func(_ *gilt.Token, _, o py.Bound, name string) error {
			_, err := o.Method(name, py.Kw{"k": 1})
			return err
		},
		"Import": func(tok *gilt.Token, m, _ py.Bound, name string) error {
			_, err := m.Method("module", name)
			_, err2 := py.Import(tok, name)
			_, err3 := m.Method("forget", name)
			return errors.Join(err, err2, err3)
		},
	}
	for what, op := range ops {
		prefix := strings.ReplaceAll(what, " ", "_")
		t.Run(what, func(t *testing.T) {
			pytest.Do(t, func(tok *gilt.Token) {
				m, err := py.Import(tok, "namesink")
				if err != nil {
					t.Fatal(err)
				}
				o, err := m.Attr("any")
				if err != nil {
					t.Fatal(err)
				}
				names := func(round int) int {
					for i := range n {
						err := py.Scope(tok, func() error { return op(tok, m, o, fmt.Sprintf("%s_%d_%d", prefix, round, i)) })
						if err != nil {
							t.Fatal(err)
						}
					}
					runtime.GC()
					blocks, err := py.MethodAs[int](o, "blocks")
					if err != nil {
						t.Fatal(err)
					}
					return blocks
				}
				before := names(0)
				if d := names(1) - before; d > n/4 {
					t.Errorf("%d names left %d blocks behind", n, d)
				}
			})
		})
	}
}

// The exception of a wire form that Go cannot read is given back all the same.
func TestError_BrokenWireFormReleasesTheException(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		e := tok.Entry("test")
		sys := e.Import("sys")
		count := e.GetAttr(sys.Obj, "getrefcount", cpython.KindObject)
		exc := e.Exec("ValueError('e')", "<test>", true, 0, 0, cpython.KindObject)
		args := cpython.AppendObject(cpython.AppendCall(nil, 1, 0), exc.Obj)
		before := e.Call(count.Obj, "", args, cpython.KindInt64)
		for range 10 {
			r := e.NewRef(exc.Obj)
			r.Status, r.Data = cpython.Raised, []byte("no wire form")
			if err := py.Failure(tok, "test", r); !errors.Is(err, cpython.ErrWire) {
				t.Error(err)
			}
		}
		tok.AllowThreads(func() {}) // the next operation attaches, which drains the decref queue
		if after := e.Call(count.Obj, "", args, cpython.KindInt64); after.Status != cpython.OK || after.Int != before.Int {
			t.Errorf("%d references, and then %d, status %d", before.Int, after.Int, after.Status)
		}
	})
}
