package handles_test

import (
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func TestGenericAlias(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		a := eval(t, tok, py.Cast[py.GenericAlias], "dict[str, list[int]]")
		if origin, err := a.Origin(); err != nil || must(origin.Repr()) != "<class 'dict'>" {
			t.Error(err)
		}
		gives(t, "Args", "(<class 'str'>, list[int])")(must(a.Args()).Repr())
		class := must(py.ClassOf[py.List](tok))
		made, err := py.NewGenericAlias(tok, class, must(py.Eval(tok, "int")), must(py.Eval(tok, "...")))
		if err != nil {
			t.Fatal(err)
		}
		gives(t, "made", "list[int, ...]")(made.Repr())
		gives(t, "its call", "[]")(must(made.Call()).Repr())
		made, err = py.NewGenericAlias(tok, class)
		gives(t, "of none", "()")(must(made.Args()).Repr())
		if err != nil {
			t.Error(err)
		}
		made, err = py.NewGenericAlias(tok, py.None(tok), 1, "two")
		gives(t, "of anything", "(1, 'two')")(must(made.Args()).Repr())
		if origin, e := made.Origin(); err != nil || e != nil || !origin.IsNone() {
			t.Error(err, e)
		}
		ns := pytest.Module(t, tok, "import types\nclass A(types.GenericAlias):\n    __origin__ = property(lambda s: 1/0)\n    __args__ = []\na = A(list, int)\n")
		odd := eval(t, tok, py.Cast[py.GenericAlias], "a", ns)
		raisedCleanly(t, tok, "Origin", second(odd.Origin()), py.ZeroDivisionError, "")
		raisedCleanly(t, tok, "Args", second(odd.Args()), py.TypeError, "'list' object is not an instance of 'tuple'")
		raisedCleanly(t, tok, "of a chan", second(py.NewGenericAlias(tok, class, make(chan int))), py.TypeError, "chan int")
		castsIn(t, tok, py.Cast[py.GenericAlias], "GenericAlias",
			[]string{"list[int]", "__import__('collections.abc').abc.Callable[[int], str]"}, []string{"list", "__import__('typing').List[int]"})
	})
}
