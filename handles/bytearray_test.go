package handles_test

import (
	"bytes"
	"math"
	"math/big"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

const bufferError py.ExceptionClass = "builtins.BufferError"

func TestByteArray(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		x := expecting(t, tok, hostileBytes)
		x.is("bytearray()")(bare(py.NewByteArray(tok, nil)))
		x.is("bytearray(b'\\x01\\xab')")(bare(py.ByteArrayFromHex(tok, "01 AB")))
		for _, expr := range []string{"bytearray()", "bytearray(b'abc')", "bytearray(b' two  words\\tand\\r\\nline\\n')", "bytearray(range(256))", "ASub(b'Sub class')"} {
			goodBytes[py.ByteArray](x, expr, eval(t, tok, py.Cast[py.ByteArray], expr, x.ns))
		}
	})
}

// Each step is done to a bytearray of Go's and to one of Python's.
func TestByteArray_Changes(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		x := expecting(t, tok, hostileBytes+"b = bytearray(b'start')\n")
		b, err := py.NewByteArray(tok, []byte("start"))
		x.is("b")(b, err)
		for _, step := range []struct {
			python string
			do     func() error
		}{
			{"b.append(255)", func() error { return b.Append(255) }},
			{"b.extend(b'more')", func() error { return b.Extend([]byte("more")) }},
			{"b.extend([1, 2])", func() error { return b.Extend([]int{1, 2}) }},
			{"b.extend(b)", func() error { return b.Extend(b) }},
			{"b.insert(1, 0)", func() error { return b.Insert(1, 0) }},
			{"b.insert(-100, 7)", func() error { return b.Insert(-100, 7) }},
			{"b.remove(255)", func() error { return b.Remove(255) }},
			{"b[2] = 66", func() error { return b.SetItem(2, 66) }},
			{"b[-1] = 67", func() error { return b.SetItem(-1, 67) }},
			{"del b[0]", func() error { return b.DelItem(0) }},
			{"b[1:3] = b'longer'", func() error { return b.SetSlice(1, 3, []byte("longer")) }},
			{"b[1:5] = b''", func() error { return b.SetSlice(1, 5, []byte{}) }},
			{"b[1000:] = (1, 2)", func() error { return b.SetSlice(1000, math.MaxInt, []int{1, 2}) }},
			{"b[0:2] = b", func() error { return b.SetSlice(0, 2, b) }},
			{"del b[3:-3]", func() error { return b.DelSlice(3, -3) }},
			{"b.reverse()", b.Reverse},
			{"del b[4:]", func() error { return b.Resize(4) }},
			{"b.extend(bytes(5))", func() error { return b.Resize(9) }},
			{"pass", func() error { return b.Resize(9) }},
			{"b.clear()", b.Clear},
			{"b.extend(bytes(2))", func() error { return b.Resize(2) }},
			{"b.clear()", func() error { return b.Resize(0) }},
		} {
			if err := py.Run(tok, step.python, x.ns); err != nil {
				t.Fatal(err)
			}
			if err := step.do(); err != nil {
				t.Errorf("%s: %v", step.python, err)
			}
			x.is("b")(b, nil)
		}
		b, _ = py.NewByteArray(tok, []byte("pop"))
		x.is("112")(bare(b.Pop(-1)))
		x.is("112")(bare(b.Pop(0)))
		x.is("bytearray(b'o')")(b, nil)
		c, err := b.Copy()
		x.is("bytearray(b'o')")(c, err)
		if b.Is(c) {
			t.Error("a copy is the same")
		}
		large := bytes.Repeat([]byte("0123456789"), 1<<16)
		b, err = py.NewByteArray(tok, large)
		if got, _ := b.Bytes(); err != nil || !bytes.Equal(got, large) {
			t.Error(len(got), err)
		}
	})
}

func TestByteArray_Failures(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		x := expecting(t, tok, hostileBytes)
		for expr, class := range map[string]string{"None": "NoneType", "b'a'": "bytes", "'a'": "str", "[1]": "list"} {
			x.says("TypeError: '" + class + "' object is not an instance of 'bytearray'")(bare(py.Cast[py.ByteArray](x.eval(expr))))
		}
		x.fails("hex", py.ValueError)(bare(py.ByteArrayFromHex(tok, "0")))
		b := eval(t, tok, py.Cast[py.ByteArray], "bytearray(b'a b\\xff')")
		badBytes[py.ByteArray](x, b)
		x.failed("remove", py.ValueError, b.Remove('x'))
		x.fails("pop", py.IndexError)(bare(b.Pop(4)))
		x.fails("pop", py.IndexError)(bare(b.Pop(math.MinInt)))
		x.failed("resize", py.ValueError, b.Resize(-1))
		x.failed("resize", py.MemoryError, b.Resize(1<<62))
		for name, v := range map[string]any{"None": nil, "float": 1.5, "bytes": []byte("a"), "str": "a", "Itself": x.eval("Itself()")} {
			x.failed("set "+name, py.TypeError, b.SetItem(0, v))
		}
		x.failed("set 256", py.ValueError, b.SetItem(0, 256))
		x.failed("set -1", py.ValueError, b.SetItem(0, -1))
		x.failed("set 2**70", py.ValueError, b.SetItem(0, new(big.Int).Lsh(big.NewInt(1), 70)))
		x.failed("set Raising", py.KeyError, b.SetItem(0, x.eval("Raising()")))
		x.failed("set at 4", py.IndexError, b.SetItem(4, 1))
		x.failed("del at -5", py.IndexError, b.DelItem(-5))
		x.failed("set at 2**70", py.IndexError, b.SetItem(new(big.Int).Lsh(big.NewInt(1), 70), 1))
		for name, class := range map[string]py.ExceptionClass{
			"None": py.TypeError, "1.5": py.TypeError, "'text'": py.TypeError, "['a']": py.TypeError, "[256]": py.ValueError,
			"NoIter()": py.TypeError, "Iter()": py.RuntimeError, "[Raising()]": py.KeyError, "[Itself()]": py.TypeError, "[Deep()]": py.RecursionError,
		} {
			x.failed("extend by "+name, class, b.Extend(x.eval(name)))
			x.failed("set slice to "+name, class, b.SetSlice(0, 1, x.eval(name)))
		}
		x.failed("extend", py.UnicodeDecodeError, b.Extend("\xff"))
		x.is("bytearray(b'a b\\xff')")(b, nil) // nothing of all this
		empty := eval(t, tok, py.Cast[py.ByteArray], "bytearray()")
		x.fails("pop", py.IndexError)(bare(empty.Pop(-1)))
		x.fails("at", py.IndexError)(bare(empty.At(0)))
	})
}

func TestByteArray_Held(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		x := expecting(t, tok, hostileBytes)
		b := eval(t, tok, py.Cast[py.ByteArray], "bytearray(b'abc')")
		m, err := py.NewMemoryView(tok, b)
		if err != nil {
			t.Fatal(err)
		}
		x.failed("append", bufferError, b.Append(1))
		x.failed("extend", bufferError, b.Extend([]byte("x")))
		x.failed("insert", bufferError, b.Insert(0, 1))
		x.failed("remove", bufferError, b.Remove('a'))
		x.fails("pop", bufferError)(bare(b.Pop(0)))
		x.failed("clear", bufferError, b.Clear())
		x.failed("resize", bufferError, b.Resize(1))
		x.failed("resize", bufferError, b.Resize(10))
		x.failed("set slice", bufferError, b.SetSlice(0, 1, []byte("xy")))
		x.failed("del slice", bufferError, b.DelSlice(0, 1))
		if err := b.SetSlice(0, 2, []byte("xy")); err != nil { // of the same size
			t.Error(err)
		}
		x.is("b'xyc'")(bare(m.ToBytes()))
		if err := m.Release(); err != nil {
			t.Error(err)
		}
		if err := b.Append(1); err != nil {
			t.Error(err)
		}
	})
}

func TestByteArray_ChangesMeanwhile(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		x := expecting(t, tok, hostileBytes+`
def clears(b):
    yield 1
    b.clear()
    yield 2
class Clears:
    def __index__(self): b.clear(); return 65
b = bytearray(b'abc')
`)
		b := eval(t, tok, py.Cast[py.ByteArray], "b", x.ns)
		if err := b.Extend(x.eval("clears(b)")); err != nil {
			t.Error(err)
		}
		x.is("bytearray([1, 2])")(b, nil)
		x.failed("set by what clears it", py.IndexError, b.SetItem(1, x.eval("Clears()")))
		x.is("bytearray()")(b, nil)
		var seen []byte
		b = eval(t, tok, py.Cast[py.ByteArray], "bytearray(b'abcd')")
		for item, err := range b.Iter() {
			if err != nil {
				t.Fatal(err)
			}
			v, _ := item.Int64()
			seen = append(seen, byte(v))
			if v == 'b' {
				if err := b.Resize(3); err != nil {
					t.Fatal(err)
				}
			}
		}
		if string(seen) != "abc" {
			t.Errorf("%q", seen)
		}
	})
}

func TestByteArray_Subclasses(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		x := expecting(t, tok, hostileBytes)
		a := eval(t, tok, py.Cast[py.ByteArray], "AAngry(b'abc')", x.ns)
		angryBytes[py.ByteArray](x, a, py.RuntimeError)
		x.failed("append", py.RuntimeError, a.Append(1))
		x.failed("extend", py.RuntimeError, a.Extend(nil))
		x.failed("insert", py.RuntimeError, a.Insert(0, 1))
		x.failed("remove", py.RuntimeError, a.Remove(1))
		x.fails("pop", py.RuntimeError)(bare(a.Pop(0)))
		x.failed("clear", py.RuntimeError, a.Clear())
		x.failed("reverse", py.RuntimeError, a.Reverse())
		x.fails("copy", py.RuntimeError)(bare(a.Copy()))
		x.failed("resize", py.RuntimeError, a.Resize(1))
		n := eval(t, tok, py.Cast[py.ByteArray], "ANonsense(b'abc')", x.ns)
		x.failed("a length of -1", py.ValueError, n.Resize(1))
		x.fails("at", py.TypeError)(bare(n.At(0)))
		x.fails("pop", py.TypeError)(bare(n.Pop(0)))
		x.fails("find", py.TypeError)(bare(n.Find(1)))
		x.fails("copy", py.TypeError)(bare(n.Copy()))
		x.is("b'abc'")(bare(n.Bytes()))
	})
}
