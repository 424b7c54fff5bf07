package handles_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// gives checks what a method gives: gives(t, "Name", "C")(c.Name()).
func gives[T any](t testing.TB, what string, want T) func(T, error) {
	t.Helper()
	return func(got T, err error) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %#v, %v, want %#v", what, got, err, want)
		}
	}
}

// givesSome is gives for what may not be there.
func givesSome[T any](t testing.TB, what string, want T, there bool) func(T, bool, error) {
	t.Helper()
	return func(got T, ok bool, err error) {
		t.Helper()
		if err != nil || ok != there || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %#v, %v, %v, want %#v, %v", what, got, ok, err, want, there)
		}
	}
}

// raisedCleanly checks that err is an exception of that class whose text holds text, and that Python has none left.
func raisedCleanly(t testing.TB, tok *gilt.Token, what string, err error, class py.ExceptionClass, text string) {
	t.Helper()
	if !errors.Is(err, class) || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: %v, want %v with %q", what, err, class, text)
	}
	if tok.Entry("test").ErrorIndicator() {
		t.Errorf("%s: the error indicator is set", what)
	}
}

// castsIn checks that Cast takes instances of subclasses and nothing else.
func castsIn[T py.Object](t testing.TB, tok *gilt.Token, cast func(py.Object) (T, error), class string, good, bad []string) {
	t.Helper()
	for _, expr := range good {
		b := must(py.Eval(tok, expr))
		if v, err := cast(b); err != nil || !b.Is(v) {
			t.Errorf("%s: %v", expr, err)
		}
	}
	for _, expr := range append(bad, "None", "type('Liar', (), {'__class__': property(lambda self: 1/0)})()") {
		b := must(py.Eval(tok, expr))
		name := must(must(b.Type()).Name())
		_, err := cast(b)
		raisedCleanly(t, tok, "Cast of "+expr, err, py.TypeError, "TypeError: '"+name+"' object is not an instance of '"+class+"'")
	}
}

func TestType(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, `
import abc
__name__ = 'made.here'
class A: 
    class B: pass
class M(type):
    def mro(cls): return [cls, A, object]
class C(A, metaclass=M): pass
class Abstract(abc.ABC):
    @classmethod
    def __subclasshook__(cls, c): return True
`)
		class := func(expr string) py.Type { t.Helper(); return eval(t, tok, py.Cast[py.Type], expr, ns) }
		b := class("A.B")
		gives(t, "Name", "B")(b.Name())
		gives(t, "QualName", "A.B")(b.QualName())
		gives(t, "Module", "made.here")(b.Module())
		gives(t, "Module of int", "builtins")(class("int").Module())
		names := func(all []py.Type, err error) ([]string, error) {
			var names []string
			for _, c := range all {
				names = append(names, must(c.Name()))
			}
			return names, err
		}
		gives(t, "MRO", []string{"C", "A", "object"})(names(class("C").MRO()))
		gives(t, "Bases", []string{"A"})(names(class("C").Bases()))
		gives(t, "Bases of object", []string(nil))(names(class("object").Bases()))
		gives(t, "bool of int", true)(class("bool").IsSubtype(class("int")))
		gives(t, "int of int", true)(class("int").IsSubtype(class("int")))
		gives(t, "int of bool", false)(class("int").IsSubtype(class("bool")))
		gives(t, "type of object", true)(class("type").IsSubtype(class("object")))
		gives(t, "Abstract asked", true)(class("int").IsSubclass(class("Abstract")))
		gives(t, "Abstract not asked", false)(class("int").IsSubtype(class("Abstract")))
		gives(t, "the type", "M")(must(class("C").Type()).Name())
		if made, err := class("int").Call("12"); err != nil || must(made.Int64()) != 12 {
			t.Error("a call:", made, err)
		}
		castsIn(t, tok, py.Cast[py.Type], "type", []string{"int", "type", "type('M', (type,), {})('C', (), {})"}, []string{"1", "list[int]", "len"})
	})
}

func TestType_New(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, `
class M(type):
    def __new__(m, name, bases, ns): return 5 if ns.get('odd') else super().__new__(m, name, bases, ns)
class A(metaclass=M): pass
class B: pass
class Odd(type): pass
class OtherMeta(metaclass=Odd): pass
class Raises:
    def __init_subclass__(cls): raise KeyError('no')
`)
		class := func(expr string) py.Type { t.Helper(); return eval(t, tok, py.Cast[py.Type], expr, ns) }
		c, err := py.NewType(tok, "C", []py.Type{class("A"), class("B")}, map[string]any{"x": 3, "__module__": "m"})
		if err != nil {
			t.Fatal(err)
		}
		gives(t, "Name", "C")(c.Name())
		gives(t, "Module", "m")(c.Module())
		gives(t, "x", 3)(py.AttrAs[int](c, "x"))
		gives(t, "its metaclass", "M")(must(c.Type()).Name())
		gives(t, "its base", true)(c.IsSubtype(class("B")))
		plain, err := py.NewType(tok, "Plain", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = plain.Module()
		raisedCleanly(t, tok, "Module of one that has none", err, py.AttributeError, "")
		d := eval(t, tok, py.Cast[py.Dict], "{'y': 4}")
		c, err = py.NewType(tok, "D", nil, d)
		gives(t, "y", 4)(py.AttrAs[int](c, "y"))
		if err != nil || must(d.Len()) != 1 {
			t.Error("the namespace was changed:", err)
		}
		for what, f := range map[string]func() (py.Type, error){
			"TypeError: 'int' object is not an instance of 'type'": func() (py.Type, error) {
				return py.NewType(tok, "X", []py.Type{class("A")}, map[string]any{"odd": true})
			},
			"TypeError: metaclass conflict": func() (py.Type, error) {
				return py.NewType(tok, "X", []py.Type{class("A"), class("OtherMeta")}, nil)
			},
			"TypeError: type 'bool' is not an acceptable base type": func() (py.Type, error) { return py.NewType(tok, "X", []py.Type{class("bool")}, nil) },
			"TypeError: type.__new__() argument 3 must be dict":     func() (py.Type, error) { return py.NewType(tok, "X", nil, []int{1}) },
			"KeyError: 'no'": func() (py.Type, error) {
				return py.NewType(tok, "X", []py.Type{class("Raises")}, nil)
			},
			"ValueError: type name must not contain null characters": func() (py.Type, error) { return py.NewType(tok, "a\x00b", nil, nil) },
			"UnicodeDecodeError": func() (py.Type, error) { return py.NewType(tok, "a\xff", nil, nil) },
			"TypeError":          func() (py.Type, error) { return py.NewType(tok, "X", nil, make(chan int)) },
		} {
			_, err := f()
			class, _, _ := strings.Cut(what, ":")
			raisedCleanly(t, tok, "NewType", err, py.ExceptionClass("builtins."+class), what)
		}
	})
}

func TestType_Hostile(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, `
class M(type):
    __name__ = property(lambda c: 1/0)
    __mro__ = property(lambda c: [c])
    __bases__ = property(lambda c: (1, 2))
    __subclasscheck__ = lambda c, s: 1/0
C = M('C', (), {'__module__': '\ud800', '__qualname__': 'C\ud800'})
class N(type):
    @property
    def __mro__(cls): raise KeyError('mro')
    @property
    def __bases__(cls): return self
D = N('D', (), {'__module__': None})
`)
		c, d := eval(t, tok, py.Cast[py.Type], "C", ns), eval(t, tok, py.Cast[py.Type], "D", ns)
		raisedCleanly(t, tok, "Name", second(c.Name()), py.ZeroDivisionError, "")
		raisedCleanly(t, tok, "QualName", second(c.QualName()), py.UnicodeEncodeError, "surrogates not allowed")
		raisedCleanly(t, tok, "Module with a surrogate", second(c.Module()), py.UnicodeEncodeError, "surrogates not allowed")
		raisedCleanly(t, tok, "Module that is None", second(d.Module()), py.TypeError, "")
		raisedCleanly(t, tok, "MRO", second(c.MRO()), py.TypeError, "'list' object is not an instance of 'tuple'")
		raisedCleanly(t, tok, "MRO", second(d.MRO()), py.KeyError, "mro")
		raisedCleanly(t, tok, "Bases", second(c.Bases()), py.TypeError, "'int' object is not an instance of 'type'")
		raisedCleanly(t, tok, "Bases", second(d.Bases()), py.NameError, "self")
		gives(t, "IsSubtype, which asks nobody", false)(d.IsSubtype(c))
		raisedCleanly(t, tok, "IsSubclass", second(d.IsSubclass(c)), py.ZeroDivisionError, "")
	})
}
