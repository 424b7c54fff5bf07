package handles_test

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
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
					v, err := m.call(c, evalBound(tok, x, ns))
					got := outcome(t, tok, ns, v, err, c)
					other := evalBound(tok, create, ns)
					for name, v := range map[string]any{"c": other, "x": evalBound(tok, x, ns)} {
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

func evalBound(tok *gilt.Token, expr string, ns py.Bound) py.Bound {
	b, err := py.Eval(tok, expr, ns)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", expr, err))
	}
	return b
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
			b := evalBound(tok, expr, ns)
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
		_ = py.Scope(tok, func() error { ended = list(t, tok); return nil })
		for _, b := range []py.Bound{{}, ended} {
			n := 0
			for _, o := range []py.Object{
				py.List{Bound: b}, py.Tuple{Bound: b}, py.Slice{Bound: b}, py.Dict{Bound: b}, py.DictKeys{Bound: b}, py.DictValues{Bound: b}, py.DictItems{Bound: b}, py.Set{Bound: b}, py.FrozenSet{Bound: b},
				py.Range{Bound: b}, py.MappingProxy{Bound: b}, py.Sequence{Bound: b}, py.Mapping{Bound: b}, py.Iterator{Bound: b}, py.Generator{Bound: b},
			} {
				v := reflect.ValueOf(o)
				for i := range v.NumMethod() {
					name := v.Type().Method(i).Name
					if name == "Token" || name == "IsZero" {
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
