package handles_test

import (
	"math"
	"math/big"
	"strings"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

const hostileIntegers = `
class Sub(int): pass
class Raising:
    def __index__(self): raise KeyError('index')
    __int__ = __index__
class Itself:
    def __index__(self): return self
    __int__ = __index__
class Deep:
    def __index__(self): return self.__index__()
    __int__ = __index__
class Good:
    def __index__(self): return 3
class Nonsense(int):
    def bit_length(self): return 'many'
    def bit_count(self): return 1 << 80
    def to_bytes(self, *a, **k): return None
class Angry(int):
    def bit_length(self, *a, **k): raise RuntimeError('no')
    bit_count = to_bytes = bit_length
`

func TestInt(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		x := expecting(t, tok, hostileIntegers)
		huge := new(big.Int).Lsh(big.NewInt(1), 70)
		type small int8
		x.is("5")(bare(py.NewInt(tok, 5)))
		x.is("-5")(bare(py.NewInt(tok, small(-5))))
		x.is("2**64 - 1")(bare(py.NewInt(tok, uint64(math.MaxUint64))))
		x.is("-2**63")(bare(py.NewInt(tok, int64(math.MinInt64))))
		x.is("2**70")(bare(py.NewInt(tok, huge)))
		x.is("-2**70")(bare(py.NewInt(tok, new(big.Int).Neg(huge))))
		x.is("0")(bare(py.NewInt(tok, new(big.Int))))
		x.says("TypeError: 'NoneType' object is not an instance of 'int'")(bare(py.NewInt(tok, (*big.Int)(nil))))

		for _, expr := range []string{"0", "1", "-1", "255", "-256", "2**63 - 1", "-2**63", "2**63", "2**70", "-10**30", "Sub(77)", "True", "Sub(2**90)"} {
			i := eval(t, tok, py.Cast[py.Int], expr, x.ns)
			x.is("int(" + expr + ")")(bare(i.Big()))
			x.is("(" + expr + ").bit_length()")(bare(i.BitLength()))
			x.is("(" + expr + ").bit_count()")(bare(i.BitCount()))
			x.is("str(int(" + expr + "))")(bare(i.Digits(10)))
			x.is("format(" + expr + ", 'x')")(bare(i.Digits(16)))
			x.is("format(" + expr + ", 'b')")(bare(i.Digits(2)))
			for _, order := range []string{"big", "little"} {
				b, err := i.ToBytes(20, order, true)
				x.is("("+expr+").to_bytes(20, '"+order+"', signed=True)")(b, err)
				x.is("int(" + expr + ")")(bare(py.IntFromBytes(tok, b, order, true)))
				x.is("int.from_bytes((" + expr + ").to_bytes(20, '" + order + "', signed=True), '" + order + "')")(bare(py.IntFromBytes(tok, b, order, false)))
			}
		}
		x.is("2**64 - 1")(bare(eval(t, tok, py.Cast[py.Int], "2**64 - 1").Uint64()))
		x.is("0")(bare(py.IntFromBytes(tok, nil, "big", false)))
		x.is("b''")(bare(eval(t, tok, py.Cast[py.Int], "0").ToBytes(0, "big", false)))
		x.is("255")(bare(py.ParseInt(tok, " 0xf_f\n", 16)))
		x.is("-8")(bare(py.ParseInt(tok, "-0o10", 0)))
		x.is("35")(bare(py.ParseInt(tok, "z", 36)))
		x.is("12")(bare(py.ParseInt(tok, "\u0661\u0662", 10))) // Arabic digits
		digits := strings.Repeat("9", 10000)
		if v, err := eval(t, tok, py.Cast[py.Int], "10**10000 - 1").Digits(10); v != digits || err != nil {
			t.Errorf("%.20s, %v", v, err)
		}
	})
}

func TestInt_Failures(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		x := expecting(t, tok, hostileIntegers)
		for expr, class := range map[string]string{"None": "NoneType", "1.0": "float", "'1'": "str", "Good()": "Good", "Raising()": "Raising", "Itself()": "Itself", "Deep()": "Deep"} {
			x.says("TypeError: '" + class + "' object is not an instance of 'int'")(bare(py.Cast[py.Int](x.eval(expr))))
		}
		x.fails("text", py.ValueError)(bare(py.ParseInt(tok, "12a", 10)))
		x.fails("nothing", py.ValueError)(bare(py.ParseInt(tok, "", 10)))
		x.fails("NUL", py.ValueError)(bare(py.ParseInt(tok, "1\x00", 10)))
		x.fails("no UTF-8", py.UnicodeDecodeError)(bare(py.ParseInt(tok, "1\xff", 10)))
		x.fails("base 1", py.ValueError)(bare(py.ParseInt(tok, "1", 1)))
		x.fails("base 37", py.ValueError)(bare(py.ParseInt(tok, "1", 37)))
		x.fails("base -1", py.ValueError)(bare(py.ParseInt(tok, "1", -1)))
		x.fails("base beyond C's int", py.ValueError)(bare(py.ParseInt(tok, "1", math.MaxInt64)))
		x.fails("order", py.ValueError)(bare(py.IntFromBytes(tok, []byte{1}, "middle", false)))
		x.fails("order with NUL", py.ValueError)(bare(py.IntFromBytes(tok, []byte{1}, "big\x00", false)))

		i := eval(t, tok, py.Cast[py.Int], "-300")
		x.fails("negative", py.OverflowError)(bare(i.ToBytes(8, "big", false)))
		x.fails("does not fit", py.OverflowError)(bare(i.ToBytes(1, "big", true)))
		x.fails("negative length", py.ValueError)(bare(i.ToBytes(-1, "big", true)))
		x.fails("order", py.ValueError)(bare(i.ToBytes(8, "", true)))
		x.fails("no UTF-8", py.UnicodeDecodeError)(bare(i.ToBytes(8, "\xed\xa0\x80", true)))
		x.fails("negative", py.OverflowError)(bare(i.Uint64()))
		x.fails("2**64", py.OverflowError)(bare(eval(t, tok, py.Cast[py.Int], "2**64").Uint64()))
		x.fails("2**63", py.OverflowError)(bare(eval(t, tok, py.Cast[py.Int], "2**63").Int64()))
		for _, base := range []int{-1, 0, 1, 37, math.MaxInt} {
			x.fails("base", py.ValueError)(bare(i.Digits(base)))
		}

		n := eval(t, tok, py.Cast[py.Int], "Nonsense(300)", x.ns)
		x.fails("bit_length", py.TypeError)(bare(n.BitLength()))
		x.fails("bit_count", py.OverflowError)(bare(n.BitCount()))
		x.fails("to_bytes", py.TypeError)(bare(n.ToBytes(2, "big", false)))
		x.is("300")(bare(n.Big()))
		a := eval(t, tok, py.Cast[py.Int], "Angry(300)", x.ns)
		x.fails("bit_length", py.RuntimeError)(bare(a.BitLength()))
		x.fails("bit_count", py.RuntimeError)(bare(a.BitCount()))
		x.fails("to_bytes", py.RuntimeError)(bare(a.ToBytes(2, "big", false)))
	})
}
