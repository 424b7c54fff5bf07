package handles_test

import (
	"math"
	"math/big"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

const hostileNumbers = `
inf = float('inf')
nan = float('nan')
class Sub(float): pass
class Nonsense(float):
    def is_integer(self): return 1
    def as_integer_ratio(self): return self.ratio
    def hex(self): return 3
    def __int__(self): return 'x'
    __trunc__ = __int__
class Angry(float):
    def is_integer(self): raise RuntimeError('no')
    as_integer_ratio = hex = __int__ = __trunc__ = is_integer
class Floaty:
    def __float__(self): return 1.5
class CSub(complex): pass
class CNonsense(complex):
    real = imag = 'x'
    def conjugate(self): return None
class CAngry(complex):
    @property
    def real(self): raise RuntimeError('real')
    def conjugate(self): raise RuntimeError('conjugate')
class CHalf(complex):
    @property
    def imag(self): raise RuntimeError('imag')
def with_ratio(r):
    n = Nonsense(1)
    n.ratio = r
    return n
`

func TestFloat(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		x := expecting(t, tok, hostileNumbers)
		for expr, v := range map[string]float64{"1.5": 1.5, "-0.0": math.Copysign(0, -1), "inf": math.Inf(1), "-inf": math.Inf(-1), "nan": math.NaN(), "5e-324": 5e-324} {
			x.is(expr)(bare(py.NewFloat(tok, v)))
		}
		for _, expr := range []string{"0.0", "-0.0", "1.0", "-2.5", "0.1", "1e300", "5e-324", "Sub(0.75)", "Sub(3)"} {
			f := eval(t, tok, py.Cast[py.Float], expr, x.ns)
			x.is("(" + expr + ").is_integer()")(bare(f.IsInteger()))
			hex, err := f.Hex()
			x.is("("+expr+").hex()")(hex, err)
			x.is("float(" + expr + ")")(bare(py.FloatFromHex(tok, hex)))
			x.is("float(" + expr + ")")(bare(f.Float64()))
			x.is("int(" + expr + ")")(bare(f.Int()))
			r, err := f.Ratio()
			if err != nil {
				t.Fatal(expr, err)
			}
			x.is("list(("+expr+").as_integer_ratio())")([]*big.Int{r.Num(), r.Denom()}, nil)
		}
		x.is("1000.25")(bare(py.ParseFloat(tok, " 1_000.25 ")))
		x.is("nan")(bare(py.ParseFloat(tok, "NaN")))
		x.is("-inf")(bare(py.ParseFloat(tok, "-infinity")))
		x.is("0.5")(bare(py.FloatFromHex(tok, "0x.8")))
		x.is("inf")(bare(py.FloatFromHex(tok, "inf")))
		x.is("False")(bare(eval(t, tok, py.Cast[py.Float], "nan", x.ns).IsInteger()))
	})
}

func TestFloat_Failures(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		x := expecting(t, tok, hostileNumbers)
		for expr, class := range map[string]string{"None": "NoneType", "1": "int", "True": "bool", "'1'": "str", "Floaty()": "Floaty", "1j": "complex"} {
			x.says("TypeError: '" + class + "' object is not an instance of 'float'")(bare(py.Cast[py.Float](x.eval(expr))))
		}
		for _, text := range []string{"", "1.5x", "1\x00", "0x1"} {
			x.fails(text, py.ValueError)(bare(py.ParseFloat(tok, text)))
		}
		x.fails("no UTF-8", py.UnicodeDecodeError)(bare(py.ParseFloat(tok, "1\xff")))
		for _, text := range []string{"", "0xg", "0x1\x00"} {
			x.fails(text, py.ValueError)(bare(py.FloatFromHex(tok, text)))
		}
		x.fails("too large", py.OverflowError)(bare(py.FloatFromHex(tok, "0x1p99999")))
		for expr, class := range map[string]py.ExceptionClass{"inf": py.OverflowError, "-inf": py.OverflowError, "nan": py.ValueError} {
			f := eval(t, tok, py.Cast[py.Float], expr, x.ns)
			x.fails(expr, class)(bare(f.Ratio()))
			x.fails(expr, class)(bare(f.Int()))
		}
		for expr, class := range map[string]py.ExceptionClass{
			"(1, 0)": py.ZeroDivisionError, "(1,)": py.ValueError, "None": py.TypeError, "(None, 1)": py.TypeError, "(1, 2.5)": py.TypeError, "'ab'": py.TypeError,
		} {
			x.fails(expr, class)(bare(eval(t, tok, py.Cast[py.Float], "with_ratio("+expr+")", x.ns).Ratio()))
		}
		n := eval(t, tok, py.Cast[py.Float], "with_ratio((3, -6))", x.ns)
		if r, err := n.Ratio(); err != nil || r.String() != "-1/2" {
			t.Error(r, err)
		}
		x.fails("is_integer", py.TypeError)(bare(n.IsInteger()))
		x.fails("hex", py.TypeError)(bare(n.Hex()))
		x.fails("int", py.TypeError)(bare(n.Int()))
		a := eval(t, tok, py.Cast[py.Float], "Angry(1)", x.ns)
		x.fails("is_integer", py.RuntimeError)(bare(a.IsInteger()))
		x.fails("as_integer_ratio", py.RuntimeError)(bare(a.Ratio()))
		x.fails("hex", py.RuntimeError)(bare(a.Hex()))
		x.fails("int", py.RuntimeError)(bare(a.Int()))
	})
}
