package handles_test

import (
	"strings"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func TestModule(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		m, err := py.NewModule(tok, "made")
		if err != nil {
			t.Fatal(err)
		}
		gives(t, "Name", "made")(m.Name())
		givesSome(t, "File", "", false)(m.File())
		givesSome(t, "Doc", "", false)(m.Doc())
		gives(t, "in sys.modules", false)(must(py.Eval(tok, "__import__('sys').modules")).Contains("made"))
		if err := m.Add("x", 3); err != nil {
			t.Error(err)
		}
		d, err := m.Dict()
		if err != nil {
			t.Fatal(err)
		}
		gives(t, "x", 3)(py.As[int](must(d.Item("x"))))
		gives(t, "no __all__ is made", false)(m.HasAttr("__all__"))
		if err := m.SetAttr("__all__", []string{"x"}); err != nil {
			t.Error(err)
		}
		for range 2 {
			if err := m.Add("y", "z"); err != nil {
				t.Error(err)
			}
		}
		gives(t, "y", "z")(py.AttrAs[string](m, "y"))
		gives(t, "__all__", []string{"x", "y"})(py.AttrAs[[]string](m, "__all__"))

		textwrap := eval(t, tok, py.Cast[py.Module], "__import__('textwrap')")
		file, ok, err := textwrap.File()
		if err != nil || !ok || !strings.HasSuffix(file, "textwrap.py") {
			t.Error(file, ok, err)
		}
		givesSome(t, "Doc", "Text wrapping and filling.\n", true)(textwrap.Doc())
		givesSome(t, "File of sys", "", false)(eval(t, tok, py.Cast[py.Module], "__import__('sys')").File())
		castsIn(t, tok, py.Cast[py.Module], "module",
			[]string{"__import__('sys')", "type('M', (type(__import__('sys')),), {})('m')"}, []string{"1", "__import__('sys').__dict__", "type(__import__('sys'))"})
	})
}

func TestModule_Hostile(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, `
import types
class Bad(types.ModuleType):
    __file__ = property(lambda m: 1/0)
    __dict__ = property(lambda m: [])
    __all__ = property(lambda m: {}['all'])
    def __setattr__(m, k, v): raise LookupError(k)
class Refuses(types.ModuleType):
    def __setattr__(m, k, v): raise LookupError(k)
refuses = Refuses('r')
bad = Bad('bad')
odd = types.ModuleType('odd')
odd.__file__, odd.__doc__, odd.__name__, odd.__all__ = 3, b'', '\ud800', ('x',)
class NoEq:
    __eq__ = lambda a, b: 1/0
searched = types.ModuleType('searched')
searched.__all__ = [NoEq()]
del searched.__name__, searched.__doc__
none = types.ModuleType('none')
none.__file__ = None
`)
		m := func(name string) py.Module { t.Helper(); return eval(t, tok, py.Cast[py.Module], name, ns) }
		bad, odd, searched := m("bad"), m("odd"), m("searched")
		raisedCleanly(t, tok, "File", third(bad.File()), py.ZeroDivisionError, "")
		raisedCleanly(t, tok, "Dict", second(bad.Dict()), py.TypeError, "'list' object is not an instance of 'dict'")
		raisedCleanly(t, tok, "Add", bad.Add("x", 1), py.KeyError, "all")
		raisedCleanly(t, tok, "Add", m("refuses").Add("x", 1), py.LookupError, "x")
		raisedCleanly(t, tok, "File", third(odd.File()), py.TypeError, "")
		raisedCleanly(t, tok, "Doc", third(odd.Doc()), py.TypeError, "")
		raisedCleanly(t, tok, "Name", second(odd.Name()), py.UnicodeEncodeError, "")
		raisedCleanly(t, tok, "Add", odd.Add("x", 1), py.TypeError, "'tuple' object is not an instance of 'list'")
		gives(t, "nothing was set", false)(odd.HasAttr("x"))
		raisedCleanly(t, tok, "Name", second(searched.Name()), py.AttributeError, "__name__")
		givesSome(t, "Doc of one without", "", false)(eval(t, tok, py.Cast[py.Module], "none", ns).Doc())
		raisedCleanly(t, tok, "Add", searched.Add("x", 1), py.ZeroDivisionError, "")
		raisedCleanly(t, tok, "Add what cannot be converted", m("none").Add("x", make(chan int)), py.TypeError, "chan int")
		raisedCleanly(t, tok, "Add of no text", m("none").Add("\xff", 1), py.UnicodeDecodeError, "")
		givesSome(t, "File that is None", "", false)(m("none").File())
		if err := m("none").Add("a\x00b", 1); err != nil {
			t.Error(err)
		}
		gives(t, "a name with NUL", true)(must(m("none").Dict()).Contains("a\x00b"))
		raisedCleanly(t, tok, "NewModule", second(py.NewModule(tok, "\xff")), py.UnicodeDecodeError, "")
	})
}
