package handles_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func bigInt(s string) *big.Int {
	v, ok := new(big.Int).SetString(s, 0)
	if !ok {
		panic(s)
	}
	return v
}

type person struct {
	Name   string `py:"name"`
	Age    int    `json:"age,omitempty"`
	Both   bool   `json:"j" py:"p"`
	Hidden string `json:"-"`
	Plain  []string
	secret int // unexported fields do not travel
}

type celsius float64
type name string

// What From makes of a Go value, as Python sees it.
func TestFrom(t *testing.T) {
	seven := 7
	var nilMap map[string]int
	var nilSlice []string
	var nilPtr *int
	var nilBig *big.Int
	for _, c := range []struct {
		v    any
		repr string
	}{
		{nil, "None"}, {nilMap, "None"}, {nilSlice, "None"}, {nilPtr, "None"}, {nilBig, "None"}, {[]byte(nil), "None"},
		{true, "True"}, {false, "False"},
		{0, "0"}, {-1, "-1"}, {int8(-128), "-128"}, {int16(-1), "-1"}, {int32(math.MinInt32), "-2147483648"},
		{int64(math.MinInt64), "-9223372036854775808"}, {int64(math.MaxInt64), "9223372036854775807"},
		{uint8(255), "255"}, {uint16(65535), "65535"}, {uint32(math.MaxUint32), "4294967295"},
		{uint64(math.MaxUint64), "18446744073709551615"}, {uint(1 << 63), "9223372036854775808"}, {uintptr(3), "3"},
		{bigInt("0x10000000000000000"), "18446744073709551616"}, {bigInt("-0x8000000000000001"), "-9223372036854775809"},
		{big.NewInt(-5), "-5"}, {*big.NewInt(5), "5"}, {new(big.Int).Lsh(big.NewInt(1), 200), new(big.Int).Lsh(big.NewInt(1), 200).String()},
		{1.0, "1.0"}, {-1.0, "-1.0"}, {math.Copysign(0, -1), "-0.0"}, {math.NaN(), "nan"}, {math.Inf(-1), "-inf"},
		{math.MaxFloat64, "1.7976931348623157e+308"}, {math.SmallestNonzeroFloat64, "5e-324"}, {float32(0.5), "0.5"},
		{"", "''"}, {"a\x00b", `'a\x00b'`}, {"žluť 😀", "'žluť 😀'"}, {name("n"), "'n'"}, {celsius(1.5), "1.5"},
		{[]byte{}, "b''"}, {[]byte{0, 255}, `b'\x00\xff'`},
		{[]int{1, 2}, "[1, 2]"}, {[]int64{-1, math.MaxInt64}, "[-1, 9223372036854775807]"}, {[]int64{}, "[]"},
		{[]float64{1, math.Inf(1)}, "[1.0, inf]"}, {[]float64{}, "[]"}, {[2]bool{true, false}, "[True, False]"}, {[0]int{}, "[]"},
		{[]any{nil, 1, "a", []any{}}, "[None, 1, 'a', []]"}, {[]string{"a"}, "['a']"}, {[][]int{{1}, nil}, "[[1], None]"},
		{map[string]int{"a": 1}, "{'a': 1}"}, {map[int]string{-1: "x"}, "{-1: 'x'}"}, {map[bool]any{true: nil}, "{True: None}"},
		{&seven, "7"}, {any(&seven), "7"},
		{person{"Eva", 41, true, "h", nil, 0}, "{'name': 'Eva', 'age': 41, 'p': True, 'Plain': None}"},
		{&person{Plain: []string{"x"}}, "{'name': '', 'age': 0, 'p': False, 'Plain': ['x']}"},
		{struct{}{}, "{}"},
	} {
		pytest.Do(t, func(tok *gilt.Token) {
			b, err := py.From(tok, c.v)
			if err != nil {
				t.Errorf("From(%T %v): %v", c.v, c.v, err)
				return
			}
			if r, err := b.Repr(); err != nil || r != c.repr {
				t.Errorf("From(%T %v) is %s, %v; want %s", c.v, c.v, r, err, c.repr)
			}
		})
	}
}

func TestFrom_Refused(t *testing.T) {
	loop := []any{nil}
	loop[0] = loop
	loopMap := map[string]any{}
	loopMap["m"] = loopMap
	type node struct{ Next *node }
	ring := &node{}
	ring.Next = ring
	type ptr *ptr
	var p ptr
	p = &p
	for _, c := range []struct {
		what  string
		v     any
		class py.ExceptionClass
		say   string
	}{
		{"chan", make(chan int), py.TypeError, "chan int"},
		{"func", func() {}, py.TypeError, "func()"},
		{"complex", 1i, py.TypeError, "complex128"},
		{"inside a list", []any{1, make(chan int)}, py.TypeError, "item 1"},
		{"inside a map", map[string]any{"k": make(chan int)}, py.TypeError, "key k"},
		{"inside a struct", struct{ F func() }{}, py.TypeError, "field F"},
		{"list that holds itself", loop, py.RecursionError, "holds itself"},
		{"map that holds itself", loopMap, py.RecursionError, "holds itself"},
		{"ring of pointers", ring, py.RecursionError, "holds itself"},
		{"pointer to itself", p, py.RecursionError, "holds itself"},
		{"not UTF-8", "a\xff", py.UnicodeDecodeError, "0xff"},
		{"dict key that has no hash", map[[1]int]int{{1}: 1}, py.TypeError, "unhashable"},
	} {
		t.Run(c.what, func(t *testing.T) {
			pytest.Do(t, func(tok *gilt.Token) {
				_, err := py.From(tok, c.v)
				if !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.say) {
					t.Errorf("%v; want %v with %q", err, c.class, c.say)
				}
				if tok.Entry("test").ErrorIndicator() {
					t.Error("the error indicator is set")
				}
			})
		})
	}
}

// asCase converts a Python expression to T.
type asCase struct {
	expr string
	into func(py.Bound) (any, error)
	want any               // or
	fail py.ExceptionClass // with
	say  string
}

func as[T any](expr string, want T) asCase {
	return asCase{expr: expr, into: func(b py.Bound) (any, error) { return py.As[T](b) }, want: want}
}

func refused[T any](expr string, class py.ExceptionClass, say string) asCase {
	return asCase{expr: expr, into: func(b py.Bound) (any, error) { return py.As[T](b) }, fail: class, say: say}
}

const convertHelpers = `
class Index:
    def __init__(self, v): self.v = v
    def __index__(self): return self.v
class Raises:
    def __index__(self): raise KeyError('no')
class MyInt(int): pass
class MyStr(str): pass
class MyFloat(float): pass
class MyList(list): pass
class MyDict(dict): pass
class MyBytes(bytes): pass
import enum
class Color(enum.IntEnum): RED = 3
loop = []; loop.append(loop)
loopd = {}; loopd['d'] = loopd
def nest(n, v=None):
    for _ in range(n): v = [v]
    return v
`

func checkAs(t *testing.T, cases []asCase) {
	t.Helper()
	checkAsWith(t, convertHelpers, cases)
}

func checkAsWith(t *testing.T, helpers string, cases []asCase) {
	t.Helper()
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, helpers)
		for _, c := range cases {
			b, err := py.Eval(tok, c.expr, ns)
			if err != nil {
				t.Fatalf("%s: %v", c.expr, err)
			}
			v, err := c.into(b)
			switch {
			case c.fail != "":
				if !errors.Is(err, c.fail) || !strings.Contains(err.Error(), c.say) {
					t.Errorf("%s: %v, %v; want %v with %q", c.expr, v, err, c.fail, c.say)
				}
			case err != nil:
				t.Errorf("%s: %v", c.expr, err)
			default:
				if d, ok := c.want.(*big.Int); ok {
					if g, ok := v.(*big.Int); !ok || g.Cmp(d) != 0 {
						t.Errorf("%s: %v (%T), want %v", c.expr, v, v, d)
					}
				} else if !reflect.DeepEqual(v, c.want) {
					t.Errorf("%s: %#v, want %#v", c.expr, v, c.want)
				}
			}
			if tok.Entry("test").ErrorIndicator() {
				t.Fatalf("%s: the error indicator is set", c.expr)
			}
		}
	})
}

func TestBehaviour08_IntsThatDoNotFit(t *testing.T) {
	checkAs(t, []asCase{
		refused[int64]("2**63", py.OverflowError, ""), refused[int64]("-2**63-1", py.OverflowError, ""), refused[int]("2**63", py.OverflowError, ""),
		as[int64]("2**63-1", math.MaxInt64), as[int64]("-2**63", math.MinInt64), as[int64]("-1", -1), as[int]("-1", -1),
		refused[uint64]("-1", py.OverflowError, ""), refused[uint64]("2**64", py.OverflowError, ""), refused[uint]("-1", py.OverflowError, ""),
		as[uint64]("2**63", 1<<63), as[uint64]("2**64-1", math.MaxUint64), as[uint64]("0", 0), as[uint]("2**64-1", math.MaxUint64),
		refused[uint8]("256", py.OverflowError, "256"), refused[uint8]("-1", py.OverflowError, "-1"), as[uint8]("255", 255),
		refused[int8]("128", py.OverflowError, ""), refused[int8]("-129", py.OverflowError, ""), as[int8]("-128", -128),
		refused[int16]("2**15", py.OverflowError, ""), refused[int32]("2**31", py.OverflowError, ""), as[int32]("-2**31", math.MinInt32),
		refused[uint16]("2**16", py.OverflowError, ""), refused[uint32]("2**32", py.OverflowError, ""), as[uint32]("2**32-1", math.MaxUint32),
		refused[[]uint8]("[1, 256]", py.TypeError, "'list'"), refused[[]uint16]("[1, 2**16]", py.OverflowError, "item 1"), refused[[]int64]("[2**63]", py.OverflowError, "item 0"),
		refused[map[string]int8]("{'a': 200}", py.OverflowError, "a"),
		as("2**63", bigInt("0x8000000000000000")), as("-2**200", new(big.Int).Neg(new(big.Int).Lsh(big.NewInt(1), 200))), as("-1", big.NewInt(-1)), as("True", big.NewInt(1)),
		as("MyInt(2**70)", new(big.Int).Lsh(big.NewInt(1), 70)),
		as[any]("2**63", bigInt("0x8000000000000000")), as[any]("-2**63", int64(math.MinInt64)), as[any]("-1", int64(-1)),
	})
}

const floatIsNoInt = "'float' object cannot be interpreted as an integer"

type count int16

// Behaviours 8 and 9 for an integer type, alone and inside others.
func integerCases[T comparable](lo, hi string, bits int) []asCase {
	var v T
	set := func(x int64) T {
		r := reflect.ValueOf(&v).Elem()
		if r.CanInt() {
			r.SetInt(x)
		} else {
			r.SetUint(uint64(x))
		}
		return v
	}
	five, one, zero := set(5), set(1), set(0)
	type holder struct{ X T }
	cases := []asCase{
		as("5", five), as("True", one), as("False", zero), as("MyInt(5)", five), as("Color.RED", set(3)), as("Index(5)", five), as("Index(MyInt(5))", five),
		as("[5, True, Index(5)]", []T{five, one, five}), as("(Index(1), 0)", [2]T{one, zero}), as("{'a': Index(5)}", map[string]T{"a": five}),
		as("{Index(5): True}", map[T]bool{five: true}), as("{'X': Index(5)}", holder{five}), as("Index(5)", &five), as("[Index(1)]", []*T{&one}), as("None", (*T)(nil)),
	}
	for _, bad := range []struct {
		expr, say string
		class     py.ExceptionClass
	}{
		{"1.0", floatIsNoInt, py.TypeError}, {"MyFloat(1)", "' object cannot be interpreted as an integer", py.TypeError},
		{"'1'", "'str' object cannot be interpreted as an integer", py.TypeError}, {"b'1'", "'bytes' object cannot be interpreted as an integer", py.TypeError},
		{"[1]", "'list' object cannot be interpreted as an integer", py.TypeError}, {"None", "'NoneType' object cannot be interpreted as an integer", py.TypeError},
		{"Raises()", "no", py.KeyError}, {"Index('x')", "str", py.TypeError}, {"object()", "'object'", py.TypeError},
		{lo, "", py.OverflowError}, {hi, "", py.OverflowError}, {"2**70", "", py.OverflowError}, {"-2**70", "", py.OverflowError},
		{"Index(" + hi + ")", "", py.OverflowError}, {"Index(2**70)", "", py.OverflowError}, {"Index(" + lo + ")", "", py.OverflowError},
	} {
		cases = append(cases, refused[T](bad.expr, bad.class, bad.say), refused[[1]T]("["+bad.expr+"]", bad.class, bad.say), refused[map[string]T]("{'a': "+bad.expr+"}", bad.class, bad.say))
		if bits != 8 || reflect.TypeFor[T]().Kind() != reflect.Uint8 { // a []byte is of bytes
			cases = append(cases, refused[[]T]("["+bad.expr+"]", bad.class, bad.say))
		}
		if bad.expr != "None" {
			cases = append(cases, refused[*T](bad.expr, bad.class, bad.say))
		}
	}
	return cases
}

// Every width of integer, alone or inside another type, takes and refuses the same.
func TestBehaviour09_AllIntegerTypesAlike(t *testing.T) {
	signed := func(bits int) (lo, hi string) {
		return fmt.Sprintf("-2**%d - 1", bits-1), fmt.Sprintf("2**%d", bits-1)
	}
	lo8, hi8 := signed(8)
	lo16, hi16 := signed(16)
	lo32, hi32 := signed(32)
	lo64, hi64 := signed(64)
	for name, cases := range map[string][]asCase{
		"int8": integerCases[int8](lo8, hi8, 8), "int16": integerCases[int16](lo16, hi16, 16), "int32": integerCases[int32](lo32, hi32, 32),
		"int64": integerCases[int64](lo64, hi64, 64), "int": integerCases[int](lo64, hi64, 64), "named": integerCases[count](lo16, hi16, 16),
		"uint8": integerCases[uint8]("-1", "256", 8), "uint16": integerCases[uint16]("-1", "2**16", 16), "uint32": integerCases[uint32]("-1", "2**32", 32),
		"uint64": integerCases[uint64]("-1", "2**64", 64), "uint": integerCases[uint]("-1", "2**64", 64), "uintptr": integerCases[uintptr]("-1", "2**64", 64),
	} {
		if name == "uint8" { // [5, True] is no []byte
			cases = slices.DeleteFunc(cases, func(c asCase) bool { _, bytes := c.want.([]byte); return bytes })
		}
		t.Run(name, func(t *testing.T) { checkAs(t, cases) })
	}
	t.Run("others", func(t *testing.T) {
		checkAs(t, []asCase{
			as("Index(2**70)", new(big.Int).Lsh(big.NewInt(1), 70)), as("[Index(-5)]", []*big.Int{big.NewInt(-5)}), refused[big.Int]("1.0", py.TypeError, floatIsNoInt),
			refused[*big.Int]("Raises()", py.KeyError, "no"), refused[any]("Index(5)", py.TypeError, "cannot convert 'Index' object to a Go value"),
			refused[[]any]("[Index(5)]", py.TypeError, "cannot convert 'Index' object to a Go value"), refused[map[string]any]("{'a': Index(5)}", py.TypeError, "'Index'"),
			refused[string]("Index(5)", py.TypeError, "'Index'"), refused[[]string]("[Index(5)]", py.TypeError, "'Index'"), refused[[]bool]("[Index(1)]", py.TypeError, "'Index'"),
			refused[map[string]int]("Index(5)", py.TypeError, "'Index'"), refused[[]int]("Index(5)", py.TypeError, "'Index'"), refused[person]("Index(5)", py.TypeError, "'Index'"),
			as("Index(5)", 5.0), as("[Index(5), 1.5]", []float64{5, 1.5}), as("Index(5)", float32(5)), as("{'name': 'x', 'more': [Index(5)]}", person{Name: "x"}),
			refused[[]float64]("[Index(2**1024)]", py.OverflowError, "int too large to convert to float"),
		})
	})
	for expr, want := range map[string]string{"7": "7", "-1": "OverflowError", "300": "OverflowError", "2.0": "TypeError: " + floatIsNoInt} {
		pytest.Install(t, "narrow", "def f(): return "+expr)
		v, err := call[struct{}, uint8](t, "narrow:f", struct{}{})
		if got := fmt.Sprint(v, err); !strings.Contains(got, want) {
			t.Errorf("a prepared function's %s as uint8: %s", expr, got)
		}
	}
}

// Code that __index__ runs in the middle of a conversion, on every version.
func TestConvert_IndexChangesTheContainer(t *testing.T) {
	const helpers = `
spare = []
class Index:
    def __init__(self, then): self.then, self.v = then, 1
    def __index__(self):
        self.then()
        spare[:] = [str(i) * 5 for i in range(200)]
        return self.v
    def __hash__(self): return 1
def shrinking(): l = [0]; l[:] = [Index(l.clear), 2]; return l
def growing(): l = [0]; l[:] = [Index(lambda: l.extend(range(1000))), 2]; return l
def replacing(): l = [0]; l[:] = [Index(lambda: l.__setitem__(0, 0)), 2]; return l
def nested(): l = [0]; l[:] = [[Index(l.clear), 2]]; return l
def renested():
    l = [[0, 2]]; l[0][0] = Index(lambda: l.__setitem__(0, 0)); return l
def smaller(): d = {}; d.update({Index(d.clear): 'v' * 3, 2: 'w'}); return d
def larger(): d = {}; d.update({Index(lambda: d.update(dict.fromkeys(range(1000), 'x'))): 'v' * 3, 2: 'w'}); return d
def revalued(): d = {}; k = Index(lambda: d.update({k: 'w'})); d.update({k: ''.join(['v'] * 3), 2: 'w'}); return d
`
	const list, dict = "list changed size during iteration", "dictionary changed size during iteration"
	cases := []asCase{
		refused[[]int]("shrinking()", py.RuntimeError, list), refused[[]int]("growing()", py.RuntimeError, list), as("replacing()", []int{1, 2}),
		refused[[][]int]("nested()", py.RuntimeError, list), as("renested()", [][]int{{1, 2}}),
		refused[map[int]string]("smaller()", py.RuntimeError, dict), refused[map[int]string]("larger()", py.RuntimeError, dict),
		as("revalued()", map[int]string{1: "vvv", 2: "w"}),
	}
	for range 20 {
		checkAsWith(t, helpers, cases)
	}
}

func TestBehaviour09_FloatIsNoInt(t *testing.T) {
	checkAs(t, []asCase{
		refused[int64]("1.0", py.TypeError, floatIsNoInt), refused[int]("1.0", py.TypeError, floatIsNoInt), refused[uint64]("1.0", py.TypeError, floatIsNoInt),
		refused[int32]("1.0", py.TypeError, floatIsNoInt), refused[int8]("'1'", py.TypeError, "'str' object cannot be interpreted as an integer"),
		refused[int64]("'1'", py.TypeError, "'str' object cannot be interpreted as an integer"), refused[int64]("None", py.TypeError, "NoneType"),
		as[int64]("True", 1), as[int64]("False", 0), as[int8]("True", 1), as[uint64]("True", 1), as[int]("MyInt(5)", 5), as[int64]("Color.RED", 3),
		as[int64]("Index(5)", 5), as[uint64]("Index(2**64-1)", math.MaxUint64), refused[int64]("Index(2**63)", py.OverflowError, ""),
		refused[int64]("Raises()", py.KeyError, "no"), refused[int64]("Index('x')", py.TypeError, ""),
		refused[big.Int]("1.0", py.TypeError, "'float'"), refused[*big.Int]("'1'", py.TypeError, "'str'"),
	})
}

func TestBehaviour10_Floats(t *testing.T) {
	checkAs(t, []asCase{
		refused[float64]("2**1024", py.OverflowError, "int too large to convert to float"), refused[[]float64]("[2**1024]", py.OverflowError, "int too large"),
		as[float64]("-1", -1), as[float64]("-1.0", -1), as[float64]("True", 1), as[float64]("MyFloat(2.5)", 2.5), as[float64]("2**53+1", 1<<53),
		as[float64]("float('-inf')", math.Inf(-1)), as[float64]("5e-324", math.SmallestNonzeroFloat64), as[[]float64]("[1, 2.5]", []float64{1, 2.5}),
		as[float64]("2**1023", math.Ldexp(1, 1023)), as[float64]("-2**1023", math.Ldexp(-1, 1023)),
		refused[float64]("'1.0'", py.TypeError, "must be real number, not str"), refused[[]float64]("['1.0']", py.TypeError, "must be real number, not str"),
		refused[float64]("None", py.TypeError, "must be real number"), refused[float64]("1j", py.TypeError, ""),
		as[float32]("0.1", float32(0.1)), as[float32]("float('inf')", float32(math.Inf(1))), refused[float32]("1e300", py.OverflowError, ""),
		as[celsius]("1", 1), as[any]("MyFloat(2.5)", 2.5),
	})
	pytest.Do(t, func(tok *gilt.Token) {
		if f, err := py.EvalAs[float64](tok, "float('nan')"); err != nil || !math.IsNaN(f) {
			t.Error("nan is", f, err)
		}
		if f, err := py.EvalAs[[]float64](tok, "[float('nan')]"); err != nil || !math.IsNaN(f[0]) {
			t.Error("[nan] is", f, err)
		}
		b, err := py.From(tok, math.Copysign(0, -1))
		if err != nil {
			t.Fatal(err)
		}
		if f, err := b.Float64(); err != nil || !math.Signbit(f) {
			t.Error("-0.0 lost its sign:", f, err)
		}
	})
}

func TestBehaviour11_Text(t *testing.T) {
	const lone = `'utf-8' codec can't encode character '\ud800' in position 0: surrogates not allowed`
	checkAs(t, []asCase{
		refused[string](`'\ud800'`, py.UnicodeEncodeError, lone), refused[[]string](`['\ud800']`, py.UnicodeEncodeError, lone), refused[any](`{'\ud800': 1}`, py.UnicodeEncodeError, lone),
		refused[name](`'\ud800'`, py.UnicodeEncodeError, lone),
		as[string](`'a\0b'`, "a\x00b"), as[string]("''", ""), as[string]("'é😀'", "é😀"), as[name]("MyStr('x')", "x"), as[string]("MyStr('x')", "x"), as[any]("MyStr('x')", "x"),
		refused[string]("b'x'", py.TypeError, "'bytes'"), refused[string]("1", py.TypeError, "'int'"), refused[string]("None", py.TypeError, "NoneType"), refused[[]string]("[1]", py.TypeError, "item 0"),
		as[[]byte](`b'\0\xff'`, []byte{0, 255}), as[[]byte]("bytearray(b'ab')", []byte("ab")), as[[]byte]("b''", []byte{}), as[[]byte]("MyBytes(b'z')", []byte("z")),
		as[[]byte]("None", nil), as[[][]byte]("[None]", [][]byte{nil}), as[json.RawMessage]("None", nil), as[*[]byte]("None", nil), as[json.RawMessage]("b'{}'", json.RawMessage("{}")),
		refused[[]byte]("'x'", py.TypeError, "'str'"), as[any]("bytearray(b'ab')", []byte("ab")), as[[][]byte]("[b'a', bytearray(b'b')]", [][]byte{[]byte("a"), []byte("b")}),
	})
}

func TestBehaviour12_Lists(t *testing.T) {
	checkAs(t, []asCase{
		refused[[]string]("'abc'", py.TypeError, "'str'"), refused[[]int]("{1, 2}", py.TypeError, "'set'"), refused[[]int]("(i for i in range(2))", py.TypeError, "'generator'"),
		refused[[]int]("{1: 2}", py.TypeError, "'dict'"), refused[[]int]("3", py.TypeError, "'int'"),
		as[[]int]("(1, 2)", []int{1, 2}), as[[]int]("range(3)", []int{0, 1, 2}), as[[]int]("[]", []int{}), as[[]int]("None", nil), as[[]int]("MyList([1])", []int{1}),
		as[[]any]("(1, 'a')", []any{int64(1), "a"}), as[any]("(1, [2])", []any{int64(1), []any{int64(2)}}), as[[3]int]("range(3)", [3]int{0, 1, 2}),
		as[[2]int]("(1, 2)", [2]int{1, 2}), refused[[2]int]("(1, 2, 3)", py.ValueError, "length 2 (got 3)"), refused[[2]int]("[1]", py.ValueError, "length 2 (got 1)"),
		refused[[]int]("loop", py.RecursionError, "holds itself"), refused[any]("loop", py.RecursionError, "holds itself"), refused[any]("loopd", py.RecursionError, "holds itself"),
		refused[any]("nest(600)", py.RecursionError, "500"), refused[any]("[nest(600), 1]", py.RecursionError, ""),
	})
}

func TestDictsAndStructs(t *testing.T) {
	type inner struct{ X int }
	type outer struct {
		In  inner            `py:"in"`
		Ptr *inner           `py:"ptr"`
		M   map[string]inner `py:"m"`
		Any any              `py:"any"`
	}
	checkAs(t, []asCase{
		as[map[string]int]("{'a': 1}", map[string]int{"a": 1}), as[map[string]int]("{}", map[string]int{}), as[map[string]int]("None", nil),
		as[map[int64]bool]("{1: True}", map[int64]bool{1: true}), as[map[float64]int]("{1.5: 1}", map[float64]int{1.5: 1}), as[map[[2]int]string]("{(1, 2): 'x'}", map[[2]int]string{{1, 2}: "x"}),
		as[any]("{'a': None, 'b': {}}", map[string]any{"a": nil, "b": map[string]any{}}), as[any]("{'a': 1, 2: 'b', None: 3}", map[any]any{"a": int64(1), int64(2): "b", nil: int64(3)}),
		as[map[any]any]("{1: 2, 'a': 'b'}", map[any]any{int64(1): int64(2), "a": "b"}), as[any]("MyDict(a=1)", map[string]any{"a": int64(1)}),
		refused[any]("{(1, 2): 3}", py.TypeError, "key"), refused[map[string]int]("{1: 1}", py.TypeError, "a key"), refused[map[string]int]("[('a', 1)]", py.TypeError, "'list'"),
		refused[map[any]int]("{(1,): 1}", py.TypeError, "key"),
		as("{'name': 'Eva', 'age': 41, 'p': True, 'Plain': ['x'], 'more': [1, {}], 'secret': 9, 'Hidden': 'h', 5: 6}", person{"Eva", 41, true, "", []string{"x"}, 0}),
		as("{'name': 'x', 'more': {(1, 2): 3}}", person{Name: "x"}), as("{}", person{}),
		refused[person]("{'age': 'old'}", py.TypeError, "field age"), refused[person]("{'name': None}", py.TypeError, "field name"), refused[person]("[1]", py.TypeError, "'list'"), refused[person]("None", py.TypeError, "NoneType"),
		as("{'in': {'X': 1}, 'ptr': {'X': 2}, 'm': {'a': {'X': 3}}, 'any': (1,)}", outer{inner{1}, &inner{2}, map[string]inner{"a": {3}}, []any{int64(1)}}),
		as("{'ptr': None, 'm': None, 'any': None}", outer{}), as[*person]("None", nil), as[*int64]("3", new(int64(3))), as[**bool]("True", new(new(true))),
		refused[bool]("1", py.TypeError, "not an instance of 'bool'"), refused[[]bool]("[1]", py.TypeError, "'int'"), as[bool]("True", true), as[struct{}]("object()", struct{}{}),
		refused[any]("object()", py.TypeError, "'object'"), refused[[]any]("[1, object()]", py.TypeError, "'object'"), refused[map[string]any]("{'a': {1}}", py.TypeError, "'set'"),
		refused[chan int]("1", py.TypeError, "chan int"), refused[error]("1", py.TypeError, "error"), refused[func()]("1", py.TypeError, "func()"),
		refused[[]py.Py]("[{}]", py.TypeError, "handles.Py"), refused[map[string]py.Bound]("{'a': {}}", py.TypeError, "handles.Bound"),
		refused[*py.List]("[]", py.TypeError, "handles.List"), refused[[]py.List]("[[]]", py.TypeError, "handles.List"), refused[embedding]("[]", py.TypeError, "'list'"),
		refused[time.Time]("{}", py.TypeError, "DateTime"), refused[[]time.Time]("object()", py.TypeError, "DateTime"), refused[outerTime]("{'T': {}}", py.TypeError, "field T"), as("{'N': 1}", outerTime{N: 1}),
		refused[complex128]("1j", py.TypeError, "Complex"), refused[sync.Mutex]("{}", py.TypeError, "no exported fields"),
	})
}

type embedding struct{ py.List }

type outerTime struct {
	N int
	T time.Time
}

// Pointers to handles are as what they point to, and nil is None.
func TestConvert_PointersToHandles(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		l, err := py.NewList(tok, 1)
		if err != nil {
			t.Fatal(err)
		}
		same, err := py.Eval(tok, "lambda a, b=None, c=0, d=0: a is b")
		if err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]any{{&l, l}, {l, &l.Bound}, {(*py.List)(nil), nil}, {l, &l, "not", "quick"}} {
			if is, err := py.CallAs[bool](same, args...); !is || err != nil {
				t.Errorf("%T, %T: %v, %v", args[0], args[1], is, err)
			}
		}
		for v, want := range map[any]string{time.Time{}: "NewDateTime", 1i: "NewComplex"} {
			if _, err := py.From(tok, []any{v}); !errors.Is(err, py.TypeError) || !strings.Contains(err.Error(), want) {
				t.Error(err)
			}
		}
	})
}

// A value that changes its container while the container is converted: an error or a value, never a crash.
func TestConvert_ContainerChangesUnderneath(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, `
import gc
def make_dict():
    d = {}
    class Sly:
        @property
        def __class__(self):
            d.clear(); gc.collect()
            return int
    for i in range(50): d['k%d' % i] = Sly(); d['s%d' % i] = 'v' * i
    return d
def make_list():
    l = []
    class Sly:
        @property
        def __class__(self):
            l.clear(); gc.collect()
            return int
    l.extend(Sly() for _ in range(50))
    return l
class Meta(type):
    def __getattribute__(cls, n):
        if n == '__name__': box.clear(); gc.collect()
        return super().__getattribute__(n)
box = []
def make_meta():
    box.append(Meta('Gone', (), {})())
    return box
`)
		for range 20 {
			for _, f := range []string{"make_dict()", "make_list()", "make_meta()"} {
				if _, err := py.EvalAs[any](tok, f, ns); !errors.Is(err, py.TypeError) {
					t.Fatalf("%s: %v, want a TypeError", f, err)
				}
			}
		}
	})
}

// As deep as one side may nest, the other may too.
func TestConvert_NestingIsTheSameBothWays(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, convertHelpers)
		for _, n := range []int{100, 400, 499} {
			v, err := py.EvalAs[any](tok, fmt.Sprintf("nest(%d)", n), ns)
			if err != nil {
				t.Fatal(n, err)
			}
			if _, err := py.From(tok, v); err != nil {
				t.Errorf("what came out of Python nested %d deep does not go back: %v", n, err)
			}
		}
	})
}

// Whatever a Go value says of itself, it comes back the same.
func FuzzRoundTrip(f *testing.F) {
	f.Add(int64(math.MinInt64), uint64(math.MaxUint64), 0.1, "a\x00é", []byte{0, 255}, true, []byte("123456789012345678901234567890"))
	f.Add(int64(-1), uint64(1<<63), math.Inf(-1), "", []byte{}, false, []byte{})
	f.Add(int64(0), uint64(0), math.NaN(), "\xff\ud7ff", []byte(nil), false, []byte{255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Add(int64(0), uint64(0), 0.0, "", []byte(nil), true, bytes.Repeat([]byte{255}, 1780)) // 4287 digits
	f.Add(int64(0), uint64(0), 0.0, "", []byte(nil), true, bytes.Repeat([]byte{255}, 1790)) // 4311 digits
	const mostDigits = 4300
	f.Fuzz(func(t *testing.T, i int64, u uint64, d float64, s string, b []byte, o bool, raw []byte) {
		type record struct {
			I int64
			U uint64
			D float64
			S string
			B []byte
			O bool
			N *big.Int
			L []any
			M map[string][]float64
		}
		n := new(big.Int).SetBytes(raw)
		if o {
			n.Neg(n)
		}
		s = strings.ToValidUTF8(s, "�")
		in := record{i, u, d, s, b, o, n, []any{i, s, o, nil, []any{}}, map[string][]float64{s: {d, 1}}}
		pytest.Do(t, func(tok *gilt.Token) {
			x, err := py.From(tok, in)
			if err != nil {
				t.Fatal(err)
			}
			out, err := py.As[record](x)
			if err != nil {
				t.Fatal(err)
			}
			same := func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) || a != a && b != b }
			if out.N == nil || in.N.Cmp(out.N) != 0 || !same(in.D, out.D) || len(out.M) != 1 || !same(out.M[s][0], d) {
				t.Errorf("%+v came back as %+v", in, out)
			}
			in.N, out.N, in.D, out.D, in.M, out.M = nil, nil, 0, 0, nil, nil
			if !reflect.DeepEqual(in, out) {
				t.Errorf("%+v came back as %+v", in, out)
			}
			if len(n.Text(10)) > mostDigits {
				return // Python refuses to write such a number in decimal: sys.set_int_max_str_digits
			}
			text, err := py.MethodAs[string](x, "__repr__")
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(text, fmt.Sprintf("'I': %d, 'U': %d,", i, u)) || !strings.Contains(text, "'N': "+n.String()) {
				t.Errorf("Python sees %s", text)
			}
		})
	})
}
