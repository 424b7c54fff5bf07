package handles_test

import (
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func TestSingletons(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		x := expecting(t, tok, "class Adds:\n  def __add__(self, other): return NotImplemented\n")
		for expr, b := range map[string]py.Bound{"None": py.None(tok), "...": py.Ellipsis(tok), "(1).__eq__('')": py.NotImplemented(tok)} {
			if !b.Is(x.eval(expr)) {
				r, err := b.Repr()
				t.Error(expr, "is another one than", r, err)
			}
			if b.IsNone() != (expr == "None") {
				t.Error(expr, "IsNone:", b.IsNone())
			}
		}
		x.is("[None, ..., NotImplemented]")(py.From(tok, []any{py.None(tok), py.Ellipsis(tok), py.NotImplemented(tok)}))
		if v, err := x.eval("Adds()").Method("__add__", 1); err != nil || !v.Is(py.NotImplemented(tok)) {
			t.Error(v, err)
		}
		x.fails("None has no items", py.TypeError)(py.None(tok).Item(0))
		x.fails("no int", py.TypeError)(bare(py.Ellipsis(tok).Int64()))
		x.fails("no length", py.TypeError)(bare(py.NotImplemented(tok).Len()))
	})
}

// None and its kin belong to all: however often they are asked for, they stay.
func TestSingletons_References(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		x := expecting(t, tok, "import sys\ndef counts(): return [sys.getrefcount(o) for o in (..., NotImplemented)]\n")
		counts := func() []int64 {
			c, err := py.As[[]int64](x.eval("counts()"))
			return pytest.Must(t, c, err)
		}
		before := counts()
		for range 1000 {
			if err := py.Scope(tok, func() error { py.Ellipsis(tok); py.NotImplemented(tok); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		for i, n := range counts() {
			if d := n - before[i]; d < -2 || d > 2 {
				t.Error(i, before[i], n)
			}
		}
	})
	pytest.WantMisuse(t, "", func() { py.Ellipsis(nil) })
}
