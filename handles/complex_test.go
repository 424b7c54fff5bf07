package handles_test

import (
	"math"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func TestComplex(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		x := expecting(t, tok, hostileNumbers)
		negative := math.Copysign(0, -1)
		for expr, v := range map[string]complex128{
			"complex(1.5, -2)": 1.5 - 2i, "complex(-0.0, -0.0)": complex(negative, negative), "complex(0.0, -0.0)": complex(0, negative),
			"complex(inf, nan)": complex(math.Inf(1), math.NaN()), "complex(nan, -inf)": complex(math.NaN(), math.Inf(-1)),
		} {
			c, err := py.NewComplex(tok, v)
			x.is(expr)(c, err)
			back, err := c.Complex128()
			x.is("[("+expr+").real, ("+expr+").imag]")([]float64{real(back), imag(back)}, err)
			x.is("(" + expr + ").real")(bare(c.Real()))
			x.is("(" + expr + ").imag")(bare(c.Imag()))
			x.is("(" + expr + ").conjugate()")(bare(c.Conjugate()))
		}
		if v, err := eval(t, tok, py.Cast[py.Complex], "CSub(1, 2)", x.ns).Complex128(); v != 1+2i || err != nil {
			t.Error(v, err)
		}
	})
}

func TestComplex_Failures(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		x := expecting(t, tok, hostileNumbers)
		for expr, class := range map[string]string{"None": "NoneType", "1": "int", "1.0": "float", "'1j'": "str"} {
			x.says("TypeError: '" + class + "' object is not an instance of 'complex'")(bare(py.Cast[py.Complex](x.eval(expr))))
		}
		n := eval(t, tok, py.Cast[py.Complex], "CNonsense(1, 2)", x.ns)
		x.fails("real", py.TypeError)(bare(n.Real()))
		x.fails("imag", py.TypeError)(bare(n.Imag()))
		x.fails("both", py.TypeError)(bare(n.Complex128()))
		x.fails("conjugate", py.TypeError)(bare(n.Conjugate()))
		a := eval(t, tok, py.Cast[py.Complex], "CAngry(1, 2)", x.ns)
		x.fails("real", py.RuntimeError)(bare(a.Real()))
		x.fails("both", py.RuntimeError)(bare(a.Complex128()))
		x.fails("conjugate", py.RuntimeError)(bare(a.Conjugate()))
		x.fails("imag", py.RuntimeError)(bare(eval(t, tok, py.Cast[py.Complex], "CHalf(1, 2)", x.ns).Complex128()))
		x.fails("order", py.TypeError)(bare(n.Less(1)))
	})
}
