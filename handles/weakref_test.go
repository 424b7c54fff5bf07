package handles_test

import (
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func TestWeakRef(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, "import gc, weakref\nclass C: pass\nalive = C()\nmortal = C()\nclass Raises(weakref.ref):\n    def __call__(self): 1/0\nraises = Raises(alive)\n")
		alive := pytest.Get(t, ns, "alive")
		w, err := py.NewWeakRef(tok, alive, nil)
		if err != nil {
			t.Fatal(err)
		}
		if o, ok, err := w.Get(); err != nil || !ok || !o.Is(alive) {
			t.Error(ok, err)
		}
		calls := 0
		callback, err := py.NewFunction(tok, gilt.GoFunc{Name: "gone", Func: func(b py.Bound) error {
			calls++
			dead, err := py.Cast[py.WeakRef](b)
			givesSome(t, "Get in the callback", py.Bound{}, false)(dead.Get())
			return err
		}})
		if err != nil {
			t.Fatal(err)
		}
		var kept py.Py
		if err := py.Scope(tok, func() error { // whose handles keep the object alive
			w, err := py.NewWeakRef(tok, pytest.Get(t, ns, "mortal"), callback)
			kept = w.Unbind()
			if err := py.Run(tok, "del mortal\ngc.collect()", ns); err != nil {
				t.Error(err)
			}
			if _, ok, err := w.Get(); !ok || err != nil {
				t.Error("it is gone while a handle is there:", err)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := py.Run(tok, "gc.collect()", ns); err != nil {
			t.Error(err)
		}
		givesSome(t, "Get", py.Bound{}, false)(must(py.Cast[py.WeakRef](kept.Bind(tok))).Get())
		kept.Release()
		if calls != 1 {
			t.Error(calls, "calls of the callback")
		}
		raisedCleanly(t, tok, "Get", third(eval(t, tok, py.Cast[py.WeakRef], "raises", ns).Get()), py.ZeroDivisionError, "")
		raisedCleanly(t, tok, "of None", second(py.NewWeakRef(tok, py.None(tok), nil)), py.TypeError, "cannot create weak reference to 'NoneType' object")
		raisedCleanly(t, tok, "of nothing", second(py.NewWeakRef(tok, nil, nil)), py.TypeError, "cannot create weak reference to 'NoneType' object")
		raisedCleanly(t, tok, "of a list", second(py.NewWeakRef(tok, must(py.NewList(tok)), nil)), py.TypeError, "cannot create weak reference to 'list' object")
		raisedCleanly(t, tok, "a callback", second(py.NewWeakRef(tok, alive, make(chan int))), py.TypeError, "chan int")
		castsIn(t, tok, py.Cast[py.WeakRef], "ReferenceType",
			[]string{"__import__('weakref').ref(int)", "type('R', (__import__('weakref').ref,), {})(int)"},
			[]string{"__import__('weakref').WeakSet()", "int"})
	})
}
