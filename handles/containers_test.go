package handles_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"runtime"
	"testing"

	"gilt"
	"gilt/gil"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// hostile are objects whose special methods raise or return nonsense, and what the tests of containers need.
const hostile = `
class Named:
    def __repr__(self): return type(self).__name__
class BadHash(Named):
    def __hash__(self): raise ValueError('hash')
class KeyHash(Named):
    def __hash__(self): raise KeyError('hash')
class BadEq(Named):
    def __hash__(self): return hash(1)
    def __eq__(self, other): raise ValueError('eq')
class KeyEq(Named):
    def __hash__(self): return hash(1)
    def __eq__(self, other): raise KeyError('eq')
class NoBool(Named):
    def __hash__(self): return hash(1)
    def __eq__(self, other): return self
    def __bool__(self): raise ValueError('bool')
class SelfIndex(Named):
    def __index__(self): return self
class DeepIndex(Named):
    def __index__(self): return __import__('operator').index(self)
class NegLen(Named):
    def __len__(self): return -1
    def __iter__(self): return iter([1, 5])
class HugeLen(Named):
    def __len__(self): return 1 << 70
    def __iter__(self): return iter([1, 5])
class IterInt(Named):
    def __iter__(self): return 3
class IterRaises(Named):
    def __iter__(self): raise KeyError('iter')
class Midway(Named):
    def __iter__(self):
        yield 1
        raise StopAsyncIteration('midway')
class KeysInt(Named):
    def keys(self): return 3
class KeysLie(Named):
    def keys(self): return ['a', 'nope']
    def __getitem__(self, k): return {'a': 1}[k]
class Contains(Named):
    def __contains__(self, v): raise ValueError('contains')
    def __iter__(self): return iter([1, 5])
class Operators(Named):
    def __ror__(self, o): return 'ror'
    __rand__ = __rsub__ = __rxor__ = __radd__ = __rmul__ = __ror__
    def __ge__(self, o): raise ValueError('ge')
    __le__ = __ge__
def only(cls, v):
    if isinstance(v, cls): return v
    raise TypeError(f"'{type(v).__name__}' object is not an instance of '{cls.__name__}'")
def text(a):
    if isinstance(a, (set, frozenset, type({}.keys()))): return type(a).__name__ + repr(sorted(map(repr, a)))
    return type(a).__name__ + repr(a)
`

// values that every container's methods are called with.
var hostileValues = []string{
	"1", "None", "True", "1.0", "'a'", "'b'", "'a\\0'", "'\\ud800'", "10**30", "-10**30", "[]", "[1, 5]", "(1, 5)", "{1, 5}", "frozenset({1})", "{'a': 5}", "{'a': 5}.keys()",
	"{'a': 5}.items()", "[('a', 5)]", "[('a', 5, 6)]", "[('a',)]", "[[[], 1]]", "iter([1, 5])", "(i for i in [1, 5])", "range(3)", "slice(1, 2)", "int", "object",
	"BadHash()", "KeyHash()", "BadEq()", "KeyEq()", "NoBool()", "SelfIndex()", "DeepIndex()", "NegLen()", "HugeLen()", "IterInt()", "IterRaises()", "Midway()", "KeysInt()", "KeysLie()",
	"Contains()", "Operators()", "[BadHash()]", "[BadEq(), BadEq()]", "[KeyHash()]",
}

// method is a method, and the Python expression of c and x that does the same.
type method[T py.Object] struct {
	expr string
	call func(c T, x py.Bound) (any, error)
}

// againstPython calls every method on a new object that create gives, with every x, and expects what Python gives or
// raises, the object in the same state, and no exception left.
func againstPython[T py.Object](t *testing.T, create string, xs []string, cast func(py.Object) (T, error), methods ...method[T]) {
	t.Helper()
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, hostile)
		for _, x := range xs {
			for _, m := range methods {
				if err := py.Scope(tok, func() error {
					c := eval(t, tok, cast, create, ns)
					v, err := m.call(c, must(py.Eval(tok, x, ns)))
					got := outcome(t, tok, ns, v, err, c)
					other := must(py.Eval(tok, create, ns))
					for name, v := range map[string]any{"c": other, "x": must(py.Eval(tok, x, ns))} {
						if err := ns.SetItem(name, v); err != nil {
							return err
						}
					}
					w, err := py.Eval(tok, m.expr, ns)
					if want := outcome(t, tok, ns, w, err, other); got != want {
						t.Errorf("c = %s, x = %s, %s:\ngot  %s\nwant %s", create, x, m.expr, got, want)
					}
					return nil
				}); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// outcome is what came, and what the object is then.
func outcome(t *testing.T, tok *gilt.Token, ns py.Bound, v any, err error, c py.Object) string {
	t.Helper()
	noneLeft(t, tok)
	text := pytest.Get(t, ns, "text")
	after, bad := py.CallAs[string](text, c)
	if bad != nil {
		t.Fatal(bad)
	}
	switch {
	case errors.Is(err, py.RecursionError):
		return "RecursionError, " + after
	case err != nil:
		return address.ReplaceAllString(err.Error()+", "+after, "")
	}
	s, bad := py.CallAs[string](text, v)
	if bad != nil {
		t.Fatal(bad)
	}
	return address.ReplaceAllString(s+", "+after, "")
}

var address = regexp.MustCompile(" at 0x[0-9a-f]+")

// noneLeft fails the test when an exception is pending.
func noneLeft(t *testing.T, tok *gilt.Token) {
	t.Helper()
	if tok.Entry("test").ErrorIndicator() {
		t.Error("the error indicator is set")
	}
}

// wantText expects an exception of that text.
func wantText(t *testing.T, tok *gilt.Token, err error, want string) {
	t.Helper()
	noneLeft(t, tok)
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// castsOnly expects that Cast takes what is of the class and refuses what is not, by that name of the class.
func castsOnly[T py.Object](t *testing.T, cast func(py.Object) (T, error), class string, good, bad []string) {
	t.Helper()
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, hostile)
		for _, expr := range good {
			eval(t, tok, cast, expr, ns)
		}
		for _, expr := range append(bad, "None", "object()", "type") {
			b := must(py.Eval(tok, expr, ns))
			name, err := py.EvalAs[string](tok, "type("+expr+").__name__", ns)
			if err != nil {
				t.Fatal(err)
			}
			_, err = cast(b)
			wantText(t, tok, err, fmt.Sprintf("TypeError: '%s' object is not an instance of '%s'", name, class))
		}
	})
}

// ok is v, or nil without it.
func ok(v any, ok bool, err error) (any, error) {
	if !ok {
		return nil, err
	}
	return v, err
}

// done is None, of what gives nothing.
func done(err error) (any, error) { return nil, err }

// collect are the items of an iterator.
func collect(t *testing.T, seq func(func(py.Bound, error) bool)) ([]any, error) {
	t.Helper()
	all := []any{}
	for v, err := range seq {
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

func collectItems(seq func(func(py.Item, error) bool)) (any, error) {
	all := []any{}
	for item, err := range seq {
		if err != nil {
			return nil, err
		}
		all = append(all, []any{item.Key, item.Value})
	}
	return all, nil
}

// Every method of every type refuses what is no object any more.
func TestMisuse_EveryMethodOfTheContainers(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		var ended py.Bound
		//gilt:vet-ignore its misuse is tested
		_ = py.Scope(tok, func() error { ended = list(t, tok); return nil })
		for _, b := range []py.Bound{{}, ended} {
			n := 0
			for _, o := range handlesOf(b) {
				v := reflect.ValueOf(o)
				for i := range v.NumMethod() {
					name := v.Type().Method(i).Name
					if name == "Token" || name == "IsZero" || name == "String" {
						continue
					}
					n++
					e, err := pytest.Misused(func() { callAny(v.Method(i), b) })
					if err != nil || e == nil {
						t.Errorf("%s.%s: %v, %v", v.Type(), name, e, err)
					}
				}
			}
			if n < 15*40 {
				t.Error(n, "methods")
			}
		}
		noneLeft(t, tok)
	})
}

// handlesOf are all types' handles of the object, whatever it is.
func handlesOf(b py.Bound) []py.Object {
	return []py.Object{
		py.List{Bound: b}, py.Tuple{Bound: b}, py.Slice{Bound: b}, py.Dict{Bound: b}, py.DictKeys{Bound: b}, py.DictValues{Bound: b}, py.DictItems{Bound: b}, py.Set{Bound: b}, py.FrozenSet{Bound: b},
		py.Range{Bound: b}, py.MappingProxy{Bound: b}, py.Sequence{Bound: b}, py.Mapping{Bound: b}, py.Iterator{Bound: b}, py.Generator{Bound: b},
	}
}

// A handle may be made of any object: what its methods then do is Python's own error, if it is one.
func TestContainers_OfOtherObjects(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, hostile)
		for _, expr := range append(hostileValues, "set", "dict", "list", "iter", "{}", "set()", "__import__('sys')") {
			_ = py.Scope(tok, func() error {
				for i, n := 0, len(handlesOf(py.Bound{})); i < n; i++ {
					v := reflect.ValueOf(handlesOf(must(py.Eval(tok, expr, ns)))[i])
					for m := range v.NumMethod() {
						callAny(v.Method(m), v.Field(0).Interface().(py.Bound))
						if tok.Entry("test").ErrorIndicator() {
							t.Fatalf("%s: %s.%s: the error indicator is set", expr, v.Type(), v.Type().Method(m).Name)
						}
					}
				}
				return nil
			})
		}
	})
}

// callAny calls f with some arguments, and runs the iterator that it gives.
func callAny(f reflect.Value, b py.Bound) {
	var args []reflect.Value
	for i := range f.Type().NumIn() {
		in := f.Type().In(i)
		switch {
		case f.Type().IsVariadic() && i == f.Type().NumIn()-1:
		case in == reflect.TypeFor[error]():
			args = append(args, reflect.ValueOf(gil.ErrClosed))
		case in == reflect.TypeFor[py.Object]():
			args = append(args, reflect.ValueOf(b))
		case in.Kind() == reflect.Interface:
			args = append(args, reflect.ValueOf(1))
		default:
			args = append(args, reflect.Zero(in))
		}
	}
	out := f.Call(args)
	if len(out) == 1 && out[0].Kind() == reflect.Func {
		out[0].Call([]reflect.Value{reflect.MakeFunc(out[0].Type().In(0), func([]reflect.Value) []reflect.Value { return []reflect.Value{reflect.ValueOf(false)} })})
	}
}

// must is v, of what cannot fail.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// containersOfTwo: each interpreter has its own classes, and its own object that stands for none.
func containersOfTwo() error {
	ctx := context.Background()
	rt, err := gilt.Open(ctx, gilt.Config{Mode: gilt.OwnGIL, Interpreters: 2})
	if err != nil {
		return err
	}
	visited := 0
	for range 2 {
		err = errors.Join(err, rt.Do(ctx, func(tok *gilt.Token) (failed error) {
			host := tok.Host()
			tok.AllowThreads(func() {
				failed = host.EachInterpreter(ctx, func(tok *gilt.Token) error {
					visited++
					return everyContainer(tok)
				})
			})
			return failed
		}))
	}
	if err != nil || visited != 4 {
		return fmt.Errorf("%d visits: %w", visited, err)
	}
	return rt.Shutdown(ctx)
}

func TestContainersOfTwoInterpreters(t *testing.T) {
	if pytest.Minor(t) < 12 {
		t.Skip("interpreters with a GIL of their own came with CPython 3.12")
	}
	pytest.Child(t, "containers of two interpreters")
}

// everyContainer uses every type, with an object that all of them hold.
func everyContainer(tok *gilt.Token) (err error) {
	defer func() {
		if v, is := recover().(error); is {
			err = v
		}
	}()
	marker := must(py.Eval(tok, "__import__('sys').__dict__.setdefault('_gilt_marker', object())"))
	d := must(py.NewDict(tok, map[string]any{"a": marker, "b": 2}))
	must(must(d.Merge(d)).Copy())
	v, found, err := d.Get("a")
	if err != nil || !found || !v.Is(marker) {
		return fmt.Errorf("get: %v, %w", found, err)
	}
	proxy := must(must(d.KeysView()).Mapping())
	for _, get := range []func(any) (py.Bound, bool, error){must(py.Cast[py.Mapping](d)).Get, proxy.Get, must(proxy.Dict()).Pop} {
		if v, found, err := get("a"); err != nil || !found || !v.Is(marker) {
			return fmt.Errorf("get: %v, %w", found, err)
		}
		if v, found, err := get("none"); err != nil || found || !v.IsZero() {
			return fmt.Errorf("get of none: %v, %w", found, err)
		}
	}
	must(must(d.KeysView()).Union([]any{marker}))
	must(must(d.ItemsView()).Difference([]any{}))
	for item, err := range d.Items() {
		if err != nil {
			return err
		}
		must(item.Value.Repr())
	}
	for range must(d.ValuesView()).Iter() {
		break
	}
	s := must(py.NewSet(tok, marker, 1))
	must(s.Union([]any{marker}, must(py.FrozenSetFrom(tok, s))))
	if err := s.Add([]any{marker}); !errors.Is(err, py.TypeError) {
		return fmt.Errorf("a list in a set: %w", err)
	}
	l := must(py.NewList(tok, marker, 1, marker))
	must(l.Slice(0, 2))
	must(must(l.Tuple()).Index(marker))
	if err := errors.Join(l.SetSlice(0, 1, []any{marker, marker}), l.DelSlice(2, 3), l.Remove(marker)); err != nil {
		return err
	}
	must(must(py.Cast[py.Sequence](l)).Concat(l))
	must(must(py.NewRange(tok, 0, 9, 2)).Slice(1, 2))
	it := must(py.NewIterator(tok, l))
	if _, _, err := it.Next(); err != nil {
		return err
	}
	g := must(py.Cast[py.Generator](must(py.Eval(tok, "(x for x in l)", must(py.NewDict(tok, map[string]any{"l": l}))))))
	if v, found, err := g.Next(); err != nil || !found || !v.Is(marker) {
		return fmt.Errorf("generator: %v, %w", found, err)
	}
	if s, err := g.State(); s != py.GeneratorSuspended {
		return fmt.Errorf("%s: %w", s, err)
	}
	if _, _, err := g.Throw(py.Raise(py.ValueError, "v")); !errors.Is(err, py.ValueError) {
		return fmt.Errorf("throw: %w", err)
	}
	if _, found, err := g.Next(); found || err != nil {
		return fmt.Errorf("generator: %v, %w", found, err)
	}
	return g.Close()
}

func TestContainersKeepReferenceCounts(t *testing.T) {
	counts := func() (n int) {
		for range 3 {
			runtime.GC() // errors that keep exceptions
		}
		pytest.Eventually(t, "the decref queue is empty", func() (empty bool) {
			pytest.Do(t, func(tok *gilt.Token) { _ = py.Run(tok, "import gc; gc.collect()"); empty = tok.Interp().Backlog() == 0 })
			return empty
		})
		pytest.Do(t, func(tok *gilt.Token) {
			n = must(py.EvalAs[int](tok, "__import__('sys').getrefcount(__import__('sys')._gilt_marker)"))
		})
		return n
	}
	work := func(n int) {
		pytest.Do(t, func(tok *gilt.Token) {
			for range n {
				if err := py.Scope(tok, func() error { return everyContainer(tok) }); err != nil {
					t.Fatal(err)
				}
				noneLeft(t, tok)
			}
		})
	}
	work(1)
	before := counts()
	work(300)
	if after := counts(); after > before+20 { // errors of the same chunk may be kept
		t.Errorf("references went from %d to %d", before, after)
	}
}
