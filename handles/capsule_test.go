package handles_test

import (
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func TestCapsule(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		c := eval(t, tok, py.Cast[py.Capsule], "__import__('unicodedata')._ucnhash_CAPI")
		givesSome(t, "Name", "unicodedata._ucnhash_CAPI", true)(c.Name())
		ns := pytest.Module(t, tok, `
import ctypes
new = ctypes.pythonapi.PyCapsule_New
new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
names = [b'', b'NULL', b'"', b'a" at 0x1>', b'\xff', 'é'.encode()]
capsules = [new(1, n, None) for n in names] + [new(1, None, None)]
`)
		for i, want := range []string{"", "NULL", `"`, `a" at 0x1>`, "\uFFFD", "é"} {
			givesSome(t, "Name", want, true)(must(py.Cast[py.Capsule](must(pytest.Get(t, ns, "capsules").Item(i)))).Name())
		}
		givesSome(t, "no name", "", false)(must(py.Cast[py.Capsule](must(pytest.Get(t, ns, "capsules").Item(-1)))).Name())
		castsIn(t, tok, py.Cast[py.Capsule], "PyCapsule", []string{"__import__('unicodedata')._ucnhash_CAPI"}, []string{"1", "'capsule'"})
	})
}
