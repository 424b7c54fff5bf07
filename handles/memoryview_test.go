package handles_test

import (
	"math"
	"math/big"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func TestMemoryView(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		x := expecting(t, tok, `
import array
data = b'0123456789ab'
ba = bytearray(data)
ints = array.array('i', [1, -2, 3])
class Sub(bytes): pass
`)
		for _, expr := range []string{"memoryview(b'')", "memoryview(data)", "memoryview(ba)", "memoryview(ints)", "memoryview(Sub(b'sub'))", "memoryview(data)[::-2]", "memoryview(data).cast('H')", "memoryview(data).cast('B', (3, 4))", "memoryview(data).cast('B', (2, 3, 2))", "memoryview(data[:4]).cast('i', ())"} {
			m := eval(t, tok, py.Cast[py.MemoryView], expr, x.ns)
			x.is(expr + ".tobytes()")(bare(m.ToBytes()))
			x.is(expr + ".nbytes")(bare(m.NBytes()))
			x.is(expr + ".itemsize")(bare(m.ItemSize()))
			x.is(expr + ".format")(bare(m.Format()))
			x.is(expr + ".ndim")(bare(m.NDim()))
			x.is("list(" + expr + ".shape)")(bare(m.Shape()))
			x.is("list(" + expr + ".strides)")(bare(m.Strides()))
			x.is(expr + ".readonly")(bare(m.ReadOnly()))
			x.is(expr + ".contiguous")(bare(m.Contiguous()))
			x.is(expr + ".hex()")(bare(m.Hex()))
			x.is(expr + ".obj")(bare(m.Object()))
			if n, err := m.NDim(); n > 0 && err == nil {
				x.is(expr + ".tolist()")(bare(m.List()))
			}
			if n, err := m.NDim(); n == 1 && err == nil {
				s, err := m.Slice(1, -1)
				if err != nil {
					t.Fatal(err)
				}
				x.is(expr + "[1:-1].tobytes()")(bare(s.ToBytes()))
			}
			r, err := m.ToReadOnly()
			if err != nil {
				t.Fatal(err)
			}
			x.is("True")(bare(r.ReadOnly()))
		}
		m, err := py.NewMemoryView(tok, []byte("0123456789ab"))
		if err != nil {
			t.Fatal(err)
		}
		h, err := m.Cast("H")
		if err != nil {
			t.Fatal(err)
		}
		x.is("list(memoryview(data).cast('H'))")(bare(h.List()))
		grid, err := m.Cast("B", 3, 4)
		if err != nil {
			t.Fatal(err)
		}
		x.is("[3, 4]")(bare(grid.Shape()))
		x.is("12")(bare(grid.NBytes()))
		x.is("3")(bare(grid.Len()))
		x.is("ord('5')")(bare(grid.Item(x.eval("(1, 1)"))))
	})
}

func TestMemoryView_Writes(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		x := expecting(t, tok, hostileBytes+"b = bytearray(b'abcd')\n")
		m, err := py.NewMemoryView(tok, x.eval("b"))
		if err != nil {
			t.Fatal(err)
		}
		if err := m.SetItem(0, 'X'); err != nil {
			t.Error(err)
		}
		x.is("bytearray(b'Xbcd')")(x.eval("b"), nil)
		half, err := m.Slice(2, math.MaxInt)
		if err != nil {
			t.Fatal(err)
		}
		if err := half.SetItem(-1, '!'); err != nil {
			t.Error(err)
		}
		x.is("bytearray(b'Xbc!')")(x.eval("b"), nil)
		x.failed("set 256", py.ValueError, m.SetItem(0, 256))
		x.failed("set a str", py.TypeError, m.SetItem(0, "a"))
		x.failed("set None", py.TypeError, m.SetItem(0, nil))
		x.failed("set beyond the end", py.IndexError, m.SetItem(4, 1))
		x.failed("set at 2**70", py.IndexError, m.SetItem(new(big.Int).Lsh(big.NewInt(1), 70), 1))
		x.failed("del", py.TypeError, m.DelItem(0))
		x.fails("Raising", py.KeyError)(bare(m.Item(x.eval("Raising()"))))
		x.fails("Itself", py.TypeError)(bare(m.Item(x.eval("Itself()"))))
		ro, err := m.ToReadOnly()
		if err != nil {
			t.Fatal(err)
		}
		x.failed("set of read-only memory", py.TypeError, ro.SetItem(0, 1))
		x.is("bytearray(b'Xbc!')")(x.eval("b"), nil)
	})
}

func TestMemoryView_Failures(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		x := expecting(t, tok, hostileBytes)
		for expr, class := range map[string]string{"None": "NoneType", "b'a'": "bytes", "bytearray(b'a')": "bytearray"} {
			x.says("TypeError: '" + class + "' object is not an instance of 'memoryview'")(bare(py.Cast[py.MemoryView](x.eval(expr))))
		}
		for name, v := range map[string]any{"None": nil, "int": 1, "str": "text", "list": []int{1}, "object": x.eval("object()")} {
			x.fails(name, py.TypeError)(bare(py.NewMemoryView(tok, v)))
		}
		m := eval(t, tok, py.Cast[py.MemoryView], "memoryview(b'abcde')")
		x.fails("no divisor", py.TypeError)(bare(m.Cast("H")))
		x.fails("too large", py.TypeError)(bare(m.Cast("B", 2, 3)))
		x.fails("negative", py.ValueError)(bare(m.Cast("B", -5)))
		x.fails("overflow", py.TypeError)(bare(m.Cast("B", math.MaxInt)))
		x.fails("no format", py.ValueError)(bare(m.Cast("hello")))
		x.fails("no format", py.ValueError)(bare(m.Cast("")))
		x.fails("format that is not ASCII", py.UnicodeEncodeError)(bare(m.Cast("ü")))
		x.fails("format that is not UTF-8", py.UnicodeDecodeError)(bare(m.Cast("\xff")))
		for _, i := range []int{5, -6, math.MaxInt, math.MinInt} {
			x.fails("beyond the end", py.IndexError)(bare(m.Item(i)))
		}
		x.fails("of no dimension", py.TypeError)(bare(eval(t, tok, py.Cast[py.MemoryView], "memoryview(b'abcd').cast('i', ())").Slice(0, 1)))
	})
}

func TestMemoryView_Released(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		x := expecting(t, tok, hostileBytes+"b = bytearray(b'abcd')\n")
		m, err := py.NewMemoryView(tok, x.eval("b"))
		if err != nil {
			t.Fatal(err)
		}
		part, err := m.Slice(0, 2)
		if err != nil {
			t.Fatal(err)
		}
		inner, err := py.NewMemoryView(tok, m)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := m.Release(); err != nil {
				t.Fatal(err)
			}
		}
		x.is("b'ab'")(bare(part.ToBytes())) // has the memory itself
		x.is("b'abcd'")(bare(inner.ToBytes()))
		for what, f := range map[string]func() (any, error){
			"tobytes": func() (any, error) { return m.ToBytes() }, "nbytes": func() (any, error) { return m.NBytes() },
			"itemsize": func() (any, error) { return m.ItemSize() }, "format": func() (any, error) { return m.Format() },
			"ndim": func() (any, error) { return m.NDim() }, "shape": func() (any, error) { return m.Shape() },
			"strides": func() (any, error) { return m.Strides() }, "readonly": func() (any, error) { return m.ReadOnly() },
			"contiguous": func() (any, error) { return m.Contiguous() }, "obj": func() (any, error) { return m.Object() },
			"cast": func() (any, error) { return m.Cast("b") }, "toreadonly": func() (any, error) { return m.ToReadOnly() },
			"slice": func() (any, error) { return m.Slice(0, 1) }, "tolist": func() (any, error) { return m.List() },
			"hex": func() (any, error) { return m.Hex() }, "len": func() (any, error) { return m.Len() },
			"item": func() (any, error) { return m.Item(0) }, "set": func() (any, error) { return nil, m.SetItem(0, 1) },
			"again": func() (any, error) { return py.NewMemoryView(tok, m) },
		} {
			x.fails(what, py.ValueError)(f())
		}
		ba := eval(t, tok, py.Cast[py.ByteArray], "b", x.ns)
		x.failed("append", bufferError, ba.Append(1))
		for _, m := range []py.MemoryView{part, inner} {
			if err := m.Release(); err != nil {
				t.Error(err)
			}
		}
		if err := ba.Append(1); err != nil {
			t.Error(err)
		}
	})
}

// A view whose own buffer is held cannot be released.
func TestMemoryView_Held(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		x := expecting(t, tok, "import pickle\nm = memoryview(b'abc')\nholder = pickle.PickleBuffer(m)\n")
		m := eval(t, tok, py.Cast[py.MemoryView], "m", x.ns)
		x.failed("held", bufferError, m.Release())
		x.is("b'abc'")(bare(m.ToBytes()))
		if _, err := x.eval("holder").Method("release"); err != nil {
			t.Fatal(err)
		}
		if err := m.Release(); err != nil {
			t.Error(err)
		}
		x.fails("released", py.ValueError)(bare(m.Len()))
	})
}
