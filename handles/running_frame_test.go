package handles_test

import (
	"testing"

	"gilt/gil"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// An exception that was kept, and is raised again, has a traceback with a frame that runs. Its locals stay.
func TestErrorWithARunningFrame(t *testing.T) {
	pytest.Runtime()
	pytest.Install(t, "gilt_running", `
go = None
c = []
def raiser(): raise ValueError("x")
def G(): raise c.pop()
def F():
    try: raiser()
    except ValueError as e: c.append(e)
    go(G)
def P():
    secret = [1, 2, 3]
    other = "abc" * 3
    F()
    return secret, other
`)
	pytest.Do(t, func(tok *gil.Token) {
		m, err := py.Import(tok, "gilt_running")
		if err != nil {
			t.Fatal(err)
		}
		fn, err := py.NewFunction(tok, py.GoFunc{Name: "go", Func: func(tok *gil.Token, g py.Bound) { _, _ = g.Call() }})
		if err == nil {
			err = m.SetAttr("go", fn)
		}
		if err != nil {
			t.Fatal(err)
		}
		v, err := m.Method("P")
		if err != nil {
			t.Fatal(err)
		}
		if text, err := v.Str(); text != "([1, 2, 3], 'abcabcabc')" || err != nil {
			t.Error(text, err)
		}
	})
}
