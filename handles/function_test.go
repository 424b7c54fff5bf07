package handles_test

import (
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func TestFunction(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, `
def outer():
    def f(a: int, b=2, *args, c, d='x', **kw) -> str:
        "what f does"
        local = a
        return local
    return f
f = outer()
g = lambda: 0
exec('def h(): pass', bare := {})
h = bare['h']
`)
		f, g := eval(t, tok, py.Cast[py.Function], "f", ns), eval(t, tok, py.Cast[py.Function], "g", ns)
		gives(t, "Name", "f")(f.Name())
		gives(t, "QualName", "outer.<locals>.f")(f.QualName())
		gives(t, "Name", "<lambda>")(g.Name())
		givesSome(t, "Module", t.Name(), true)(f.Module())
		givesSome(t, "Doc", "what f does", true)(f.Doc())
		givesSome(t, "Doc", "", false)(g.Doc())
		givesSome(t, "Defaults", py.Tuple{}, false)(g.Defaults())
		givesSome(t, "KwDefaults", py.Dict{}, false)(g.KwDefaults())
		if d, ok, err := f.Defaults(); err != nil || !ok || must(d.Repr()) != "(2,)" {
			t.Error(ok, err)
		}
		if d, ok, err := f.KwDefaults(); err != nil || !ok || must(d.Repr()) != "{'d': 'x'}" {
			t.Error(ok, err)
		}
		gives(t, "Annotations", "{'a': <class 'int'>, 'return': <class 'str'>}")(must(f.Annotations()).Repr())
		gives(t, "Annotations", "{}")(must(g.Annotations()).Repr())
		if d, err := f.Globals(); err != nil || !d.Is(ns) {
			t.Error("Globals:", err)
		}
		if _, err := eval(t, tok, py.Cast[py.Function], "h", ns).Globals(); err != nil {
			t.Error(err)
		}
		gives(t, "a call", 7)(py.CallAs[int](f, 7, py.Named("c", 1)))

		c, err := f.Code()
		if err != nil {
			t.Fatal(err)
		}
		gives(t, "Code.Name", "f")(c.Name())
		gives(t, "Code.File", "<string>")(c.File())
		gives(t, "Code.FirstLine", 3)(c.FirstLine())
		gives(t, "Code.ArgCount", 2)(c.ArgCount())
		gives(t, "Code.KwOnlyArgCount", 2)(c.KwOnlyArgCount())
		gives(t, "Code.VarNames", []string{"a", "b", "c", "d", "args", "kw", "local"})(c.VarNames())
		gives(t, "Code.VarNames of none", []string{})(must(g.Code()).VarNames())
		module := eval(t, tok, py.Cast[py.Code], `compile("\n\nx = 1", "a\nfile.py", "exec")`)
		gives(t, "Code.Name", "<module>")(module.Name())
		gives(t, "Code.File", "a\nfile.py")(module.File())
		gives(t, "Code.ArgCount", 0)(module.ArgCount())

		castsIn(t, tok, py.Cast[py.Function], "function", []string{"lambda: 0"}, []string{"len", "int", "[].append", "(lambda: 0).__call__"})
		castsIn(t, tok, py.Cast[py.Code], "code", []string{"compile('1', 'f', 'eval')"}, []string{"'1'", "lambda: 0"})
	})
}

func TestFunction_Hostile(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, `
def f(): pass
f.__module__, f.__doc__ = 3, []
f.__name__ = f.__qualname__ = 'f\ud800'
exec('def h(): pass', bare := {'__name__': None})
h = bare['h']
c = f.__code__.replace(co_name='\ud800', co_filename='\udfff', co_varnames=('\ud800',) * len(f.__code__.co_varnames), co_firstlineno=2**31 - 1)
def g(__no_such_type_x: int = 1): pass
`)
		f, h, c := eval(t, tok, py.Cast[py.Function], "f", ns), eval(t, tok, py.Cast[py.Function], "h", ns), eval(t, tok, py.Cast[py.Code], "c", ns)
		raisedCleanly(t, tok, "Name", second(f.Name()), py.UnicodeEncodeError, "")
		raisedCleanly(t, tok, "QualName", second(f.QualName()), py.UnicodeEncodeError, "")
		raisedCleanly(t, tok, "Module", third(f.Module()), py.TypeError, "'int' object")
		raisedCleanly(t, tok, "Doc", third(f.Doc()), py.TypeError, "'list' object")
		givesSome(t, "Module", "", false)(h.Module())
		raisedCleanly(t, tok, "Code.Name", second(c.Name()), py.UnicodeEncodeError, "")
		raisedCleanly(t, tok, "Code.File", second(c.File()), py.UnicodeEncodeError, "")
		gives(t, "Code.FirstLine", 1<<31-1)(c.FirstLine())
		raisedCleanly(t, tok, "VarNames", second(eval(t, tok, py.Cast[py.Code], `compile("lambda \u0061: 0", 'f', 'eval').co_consts[0].replace(co_varnames=('\ud800',))`).VarNames()), py.UnicodeEncodeError, "")
		if pytest.Minor(t) < 14 {
			return
		}
		lazy := pytest.Module(t, tok, "def f(a: Missing): pass")
		raisedCleanly(t, tok, "Annotations", second(eval(t, tok, py.Cast[py.Function], "f", lazy).Annotations()), py.NameError, "Missing")
	})
}
