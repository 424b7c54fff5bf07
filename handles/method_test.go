package handles_test

import (
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func TestMethod(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, `
class C:
    def m(self, x=1): return self, x
    @classmethod
    def k(cls): pass
o = C()
class Getter:
    def __call__(self, *args): return args
    def __getattr__(self, name): raise KeyError(name)
`)
		m := eval(t, tok, py.Cast[py.Method], "o.m", ns)
		if self, err := m.Self(); err != nil || !self.Is(pytest.Get(t, ns, "o")) {
			t.Error(err)
		}
		f, err := m.Func()
		if err != nil {
			t.Fatal(err)
		}
		gives(t, "Func", "m")(must(py.Cast[py.Function](f)).Name())
		if self, err := eval(t, tok, py.Cast[py.Method], "o.k", ns).Self(); err != nil || !self.Is(pytest.Get(t, ns, "C")) {
			t.Error(err)
		}
		made, err := py.NewMethod(tok, f, "me")
		if err != nil {
			t.Fatal(err)
		}
		gives(t, "a call", []any{"me", int64(5)})(py.CallAs[[]any](made, 5))
		made, err = py.NewMethod(tok, must(pytest.Get(t, ns, "Getter").Call()), 1)
		gives(t, "a call", []int{1, 2})(py.CallAs[[]int](made, 2))
		if self, e := made.Self(); err != nil || e != nil || must(self.Int64()) != 1 {
			t.Error(err, e)
		}
		raisedCleanly(t, tok, "NewMethod of None", second(py.NewMethod(tok, f, nil)), py.TypeError, "None")
		raisedCleanly(t, tok, "NewMethod of what is not callable", second(py.NewMethod(tok, py.None(tok), 1)), py.TypeError, "callable")
		raisedCleanly(t, tok, "NewMethod of nothing", second(py.NewMethod(tok, nil, 1)), py.TypeError, "callable")
		raisedCleanly(t, tok, "NewMethod of a chan", second(py.NewMethod(tok, f, make(chan int))), py.TypeError, "chan int")
		castsIn(t, tok, py.Cast[py.Method], "method", []string{"type('C', (), {'m': lambda s: 0})().m"}, []string{"len", "[].append", "lambda: 0", "1"})
	})
}
