package handles_test

import (
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func TestBool(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		x := expecting(t, tok, hostileIntegers)
		for v, expr := range map[bool]string{true: "True", false: "False"} {
			b, err := py.NewBool(tok, v)
			x.is(expr)(b, err)
			x.is(expr)(bare(b.Bool()))
			if !b.Is(x.eval(expr)) {
				t.Error(expr, "is another one")
			}
		}
		for expr, class := range map[string]string{"None": "NoneType", "1": "int", "Sub(1)": "Sub", "'True'": "str"} {
			x.says("TypeError: '" + class + "' object is not an instance of 'bool'")(bare(py.Cast[py.Bool](x.eval(expr))))
		}
	})
}
