package handles_test

import (
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func TestSuper(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, `
class A:
    x = 'A'
    def m(self): return 'A.m'
    @property
    def bad(self): return 1/0
class B(A):
    x = 'B'
    def m(self): return 'B.m'
class Liar:
    __class__ = property(lambda self: B)
class Raises:
    __class__ = property(lambda self: 1/0)
b, liar, raises = B(), Liar(), Raises()
`)
		class, b := eval(t, tok, py.Cast[py.Type], "B", ns), pytest.Get(t, ns, "b")
		s, err := py.NewSuper(tok, class, b)
		if err != nil {
			t.Fatal(err)
		}
		gives(t, "x", "A")(py.AttrAs[string](s, "x"))
		gives(t, "m", "A.m")(py.MethodAs[string](s, "m"))
		raisedCleanly(t, tok, "bad", second(s.Attr("bad")), py.ZeroDivisionError, "")
		raisedCleanly(t, tok, "missing", second(s.Attr("missing")), py.AttributeError, "missing")
		s, err = py.NewSuper(tok, class, class)
		gives(t, "x of the class", "A")(py.AttrAs[string](s, "x"))
		if err != nil {
			t.Error(err)
		}
		s, err = py.NewSuper(tok, class, pytest.Get(t, ns, "liar"))
		gives(t, "x of one that says it is a B", "A")(py.AttrAs[string](s, "x"))
		if err != nil {
			t.Error(err)
		}
		for what, obj := range map[string]any{"an int": 1, "another class": must(py.Eval(tok, "int")), "one that raises": pytest.Get(t, ns, "raises")} {
			_, err := py.NewSuper(tok, class, obj)
			want := py.TypeError
			if what == "one that raises" {
				want = py.ZeroDivisionError
			}
			raisedCleanly(t, tok, what, err, want, "")
		}
		castsIn(t, tok, py.Cast[py.Super], "super", []string{"super(int, True)", "type('S', (super,), {})(int, 1)"}, []string{"super", "1"})
	})
}
