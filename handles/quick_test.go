package handles_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// Calls whose arguments fit registers and calls that are encoded give the same.
func TestCallForms(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, `
def show(*args, **kwargs):
    return repr(args) + repr(kwargs)
class C:
    show = staticmethod(show)
`)
		show, c := pytest.Get(t, ns, "show"), pytest.Get(t, ns, "C")
		for want, args := range map[string][]any{
			"(){}":                                 {},
			"(None,){}":                            {nil},
			"(1, -2, 3){}":                         {1, int64(-2), 3},
			"(1, 2, 3, 4){}":                       {1, 2, 3, 4},
			"(True, False, 1.5){}":                 {true, false, 1.5},
			"('a', b'b'){}":                        {"a", []byte("b")},
			"(18446744073709551615,){}":            {uint64(math.MaxUint64)},
			"(-9223372036854775808,){}":            {int64(math.MinInt64)},
			"(){'b': 2}":                           {py.Named("b", 2)},
			"(1,){'b': 2}":                         {1, py.Kw{"b": 2}},
			"(1, 2){'b': 2, 'a': 1}":               {1, 2, py.Named("b", 2), py.Named("a", 1)},
			"(1,){'b': 2, 'a': None, 'z': 'Z'}":    {1, py.Named("b", 2), py.Named("a", nil), py.Kw{"z": "Z"}},
			"(1, 2, 3){'b': 2}":                    {1, 2, 3, py.Named("b", 2)},
			"(){'': 1}":                            {py.Named("", 1)},
			"(){'ü': 1, '" + long(300) + "': [2]}": {py.Named("ü", 1), py.Named(long(300), []int{2})},
			"(){'" + long(70_000) + "': 1}":        {py.Named(long(70_000), 1)},
		} {
			if got, err := py.CallAs[string](show, args...); err != nil || got != want {
				t.Errorf("show(%v) = %s, %v; want %s", args, got, err, want)
			}
			if got, err := py.MethodAs[string](c, "show", args...); err != nil || got != want {
				t.Errorf("C.show(%v) = %s, %v; want %s", args, got, err, want)
			}
			b, err := show.Call(args...)
			if err != nil {
				t.Errorf("show(%v): %v", args, err)
			} else if got, _ := b.Text(); got != want {
				t.Errorf("show(%v) gives %s, want %s", args, got, want)
			}
		}
	})
}

func long(n int) string { return strings.Repeat("n", n) }

func TestCallFormsBadInput(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, "def two(a, b): return a + b\nclass C: pass\nc = C()")
		two, c := pytest.Get(t, ns, "two"), pytest.Get(t, ns, "c")
		for _, bad := range []struct {
			err   error
			class error
			text  string
		}{
			{second(two.Call(1)), py.TypeError, "missing 1 required positional argument"},
			{second(two.Call(1, 2, 3)), py.TypeError, "3 were given"},
			{second(two.Call(1, py.Named("c", 2))), py.TypeError, "unexpected keyword argument 'c'"},
			{second(two.Call(1, 2, py.Named("a", 2))), py.TypeError, "multiple values for argument 'a'"},
			{second(two.Call(py.Named("a", 2), 1)), py.TypeError, `keyword argument "a" is not at the end`},
			{second(two.Call(1, py.Named("a\xff", 2))), py.UnicodeDecodeError, "invalid start byte"},
			{second(two.Call(1, py.Named("b", func() {}))), py.TypeError, `keyword argument "b": cannot convert Go's func()`},
			{second(c.Method("missing")), py.AttributeError, "no attribute 'missing'"},
			{second(c.Method("mis\x00sing", 1)), py.AttributeError, "no attribute"},
			{second(c.Method("\xff")), py.UnicodeDecodeError, "invalid start byte"},
			{second(c.Attr("")), py.AttributeError, "no attribute ''"},
			{second(py.CallAs[int64](two, 1.5, 1)), py.TypeError, "'float' object cannot be interpreted as an integer"},
			{second(py.CallAs[int64](two, int64(math.MaxInt64), 1)), py.OverflowError, ""},
			{second(py.CallAs[bool](two, 1, 1)), py.TypeError, "not an instance of 'bool'"},
			{second(py.CallAs[int8](two, 100, 100)), py.OverflowError, ""},
		} {
			if !errors.Is(bad.err, bad.class) || !strings.Contains(bad.err.Error(), bad.text) {
				t.Errorf("%v, want %v that says %q", bad.err, bad.class, bad.text)
			}
			if v, err := py.CallAs[int64](two, 1, 2); v != 3 || err != nil {
				t.Fatal("the call after a failure:", v, err)
			}
		}
	})
}

// Names are kept by what they say: many of them, and those whose look-up runs code that gives hundreds of others.
func TestManyNames(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, `
class Any:
    def __getattr__(self, name):
        other()
        return len(name)
a = Any()
`)
		a := pytest.Get(t, ns, "a")
		other, err := py.NewFunction(tok, gilt.GoFunc{Name: "other", Func: func(tok *gilt.Token) error {
			o, err := py.Eval(tok, "type('T', (), {})()")
			for i := 0; err == nil && i < 600; i++ {
				err = o.SetAttr(fmt.Sprintf("x%d", i), i)
			}
			return err
		}})
		if err != nil {
			t.Fatal(err)
		}
		if err := ns.SetItem("other", other); err != nil {
			t.Fatal(err)
		}
		for i := range 60 { // lengths around 4, 8, 16 and 40, where names are kept in another way
			for _, name := range []string{long(i), "a" + long(i), long(i) + "b", long(i/2) + "ü" + long(i/2)} {
				if v, err := py.AttrAs[int](a, name); err != nil || v != len([]rune(name)) {
					t.Fatalf("%q: %d, %v", name, v, err)
				}
			}
		}
		o, err := py.Eval(tok, "type('T', (), {})()")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 5000 {
			if err := o.SetAttr(fmt.Sprintf("name%d", i), i); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 5000 {
			if v, err := py.AttrAs[int](o, fmt.Sprintf("name%d", i)); err != nil || v != i {
				t.Fatal(i, v, err)
			}
		}
	})
}

func lookup[A, R any](t *testing.T, spec string) *gilt.Func[A, R] {
	t.Helper()
	f, err := gilt.Lookup[A, R](context.Background(), pytest.Runtime(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

//gilt:vet-ignore it is a test of misuse
func TestCallIn(t *testing.T) {
	pytest.Install(t, "gilt_call_in", `
def inc(x): return x + 1
def twice(s): return s * 2
def both(a, b): return [a, b]
def fail(x): raise KeyError(x)
`)
	inc := lookup[int64, int64](t, "gilt_call_in:inc")
	twice := lookup[string, string](t, "gilt_call_in:twice")
	both := lookup[py.Args, []any](t, "gilt_call_in:both")
	fail := lookup[string, struct{}](t, "gilt_call_in:fail")
	var dead *gilt.Token
	pytest.Do(t, func(tok *gilt.Token) {
		if v, err := inc.CallIn(tok, 41); v != 42 || err != nil {
			t.Error(v, err)
		}
		if v, err := twice.CallIn(tok, "aü\x00"); v != "aü\x00aü\x00" || err != nil {
			t.Error(v, err)
		}
		if v, err := both.CallIn(tok, py.Args{1, "b"}); fmt.Sprint(v) != "[1 b]" || err != nil {
			t.Error(v, err)
		}
		if _, err := fail.CallIn(tok, "k"); !errors.Is(err, py.KeyError) || !strings.Contains(err.Error(), "'k'") {
			t.Error(err)
		}
		if _, err := both.CallIn(tok, py.Args{1}); !errors.Is(err, py.TypeError) {
			t.Error(err)
		}
		if v, err := inc.CallIn(tok, 1); v != 2 || err != nil {
			t.Error("after failures:", v, err)
		}
		tok.AllowThreads(func() {
			pytest.WantMisuse(t, "AllowThreads", func() { _, _ = inc.CallIn(tok, 1) })
		})
		dead = tok
	})
	pytest.WantMisuse(t, "", func() { _, _ = inc.CallIn(dead, 1) })
}

// Numbers of eight bytes are batched in place.
func TestBatchOfNumbers(t *testing.T) {
	pytest.Install(t, "gilt_numbers", `
def same(x): return x
def picky(x):
    if x == 2: raise ValueError(x)
    if x == 3: return 'three'
    if x == 4: return 2**63
    return -x
`)
	ctx := context.Background()
	picky := lookup[int64, int64](t, "gilt_numbers:picky")
	args := make([]int64, 2500)
	for i := range args {
		args[i] = int64(i % 6)
	}
	v, errs := picky.Batch(ctx, args)
	for i, a := range args {
		class := map[int64]error{2: py.ValueError, 3: py.TypeError, 4: py.OverflowError}[a]
		if class == nil && (v[i] != -a || errs[i] != nil) || class != nil && (v[i] != 0 || !errors.Is(errs[i], class)) {
			t.Fatalf("%d: %d, %v", a, v[i], errs[i])
		}
	}
	floats := lookup[float64, float64](t, "gilt_numbers:same")
	if v, errs := floats.Batch(ctx, []float64{1.5, math.Inf(-1), math.Copysign(0, -1)}); errs != nil || v[0] != 1.5 || !math.IsInf(v[1], -1) || !math.Signbit(v[2]) {
		t.Error(v, errs)
	}
	unsigned := lookup[uint64, uint64](t, "gilt_numbers:same")
	if v, errs := unsigned.Batch(ctx, []uint64{0, math.MaxUint64}); errs != nil || v[1] != math.MaxUint64 {
		t.Error(v, errs)
	}
	mixed := lookup[int64, float64](t, "gilt_numbers:same")
	if v, errs := mixed.Batch(ctx, []int64{-1, 7}); errs != nil || v[0] != -1 || v[1] != 7 {
		t.Error(v, errs)
	}
}
