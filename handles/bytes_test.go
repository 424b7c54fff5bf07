package handles_test

import (
	"math"
	"math/big"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

const hostileBytes = `
class Sub(bytes): pass
class ASub(bytearray): pass
class Raising:
    def __index__(self): raise KeyError('index')
class Itself:
    def __index__(self): return self
class Deep:
    def __index__(self): return self.__index__()
class NoIter:
    def __iter__(self): return 3
class Iter:
    def __iter__(self):
        yield 1
        raise RuntimeError('iterated')
class Joins:
    def __iter__(self):
        yield b'a'
        raise RuntimeError('iterated')
def angry(*a, **k): raise RuntimeError('no')
def nonsense(*a, **k): return None
names = {n for c in (bytes, bytearray) for n in dir(c) if not n.startswith('_')}
Angry = type('Angry', (bytes,), dict.fromkeys(names, angry) | {'__getitem__': angry})
Nonsense = type('Nonsense', (bytes,), dict.fromkeys(names, nonsense) | {'__getitem__': lambda self, i: 1000})
AAngry = type('AAngry', (bytearray,), dict.fromkeys(names, angry) | {'__getitem__': angry, '__len__': angry})
ANonsense = type('ANonsense', (bytearray,), dict.fromkeys(names, nonsense) | {'__getitem__': nonsense, '__len__': lambda self: -1})
`

// bytesLike is what a Bytes and a ByteArray have in common, T being the one that it is.
type bytesLike[T py.Object] interface {
	py.Object
	At(int) (byte, error)
	Slice(from, to int) (T, error)
	Decode(encoding, errors string) (py.Str, error)
	Hex() (string, error)
	Bytes() ([]byte, error)
	Upper() (T, error)
	Lower() (T, error)
	Strip(any) (T, error)
	Lstrip(any) (T, error)
	Rstrip(any) (T, error)
	RemovePrefix(any) (T, error)
	RemoveSuffix(any) (T, error)
	Replace(from, to any, count int) (T, error)
	Translate(any) (T, error)
	Join(any) (T, error)
	Split(any, int) (py.List, error)
	Rsplit(any, int) (py.List, error)
	SplitLines(bool) (py.List, error)
	Partition(any) (py.Tuple, error)
	Rpartition(any) (py.Tuple, error)
	Find(any, ...int) (int, error)
	Rfind(any, ...int) (int, error)
	Index(any, ...int) (int, error)
	Rindex(any, ...int) (int, error)
	Count(any, ...int) (int, error)
	StartsWith(any, ...int) (bool, error)
	EndsWith(any, ...int) (bool, error)
	Item(any) (py.Bound, error)
	Contains(any) (bool, error)
}

func TestBytes(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		x := expecting(t, tok, hostileBytes)
		x.is("b'a\\0\\xff'")(bare(py.NewBytes(tok, []byte("a\x00\xff"))))
		x.is("b''")(bare(py.NewBytes(tok, nil)))
		x.is("b'\\x01\\xab'")(bare(py.BytesFromHex(tok, "01 AB")))
		for _, expr := range []string{"b''", "b'abc'", "b' two  words\\tand\\r\\nline\\n'", "bytes(range(256))", "Sub(b'Sub class')"} {
			goodBytes[py.Bytes](x, expr, eval(t, tok, py.Cast[py.Bytes], expr, x.ns))
		}
	})
}

func goodBytes[T py.Object](x expect, expr string, b bytesLike[T]) {
	x.t.Helper()
	x.is("bytes(" + expr + ")")(bare(b.Bytes()))
	x.is("(" + expr + ").upper()")(bare(b.Upper()))
	x.is("(" + expr + ").lower()")(bare(b.Lower()))
	x.is("(" + expr + ").hex()")(bare(b.Hex()))
	x.is("(" + expr + ").decode('latin-1')")(bare(b.Decode("latin-1", "")))
	x.is("(" + expr + ").decode(errors='replace')")(bare(b.Decode("", "replace")))
	x.is("(" + expr + ").decode('ascii', 'surrogateescape')")(bare(b.Decode("ascii", "surrogateescape")))
	x.is("(" + expr + ")[1:-1]")(bare(b.Slice(1, -1)))
	x.is("(" + expr + ")[-3:9223372036854775807]")(bare(b.Slice(-3, math.MaxInt)))
	x.is("(" + expr + ").split()")(bare(b.Split(nil, -1)))
	x.is("(" + expr + ").split(b' ', 1)")(bare(b.Split([]byte(" "), 1)))
	x.is("(" + expr + ").rsplit(b' ', 1)")(bare(b.Rsplit([]byte(" "), 1)))
	x.is("(" + expr + ").splitlines()")(bare(b.SplitLines(false)))
	x.is("(" + expr + ").splitlines(True)")(bare(b.SplitLines(true)))
	x.is("(" + expr + ").partition(b' ')")(bare(b.Partition([]byte(" "))))
	x.is("(" + expr + ").rpartition(b' ')")(bare(b.Rpartition([]byte(" "))))
	x.is("(" + expr + ").strip()")(bare(b.Strip(nil)))
	x.is("(" + expr + ").lstrip(b'ab')")(bare(b.Lstrip([]byte("ab"))))
	x.is("(" + expr + ").rstrip(b'\\n')")(bare(b.Rstrip([]byte("\n"))))
	x.is("(" + expr + ").removeprefix(b'ab')")(bare(b.RemovePrefix([]byte("ab"))))
	x.is("(" + expr + ").removesuffix(b'bc')")(bare(b.RemoveSuffix([]byte("bc"))))
	x.is("(" + expr + ").replace(b' ', b'__', 1)")(bare(b.Replace([]byte(" "), []byte("__"), 1)))
	x.is("(" + expr + ").replace(b'', b'-')")(bare(b.Replace([]byte{}, []byte("-"), -1)))
	x.is("(" + expr + ").translate(bytes(range(255, -1, -1)))")(bare(b.Translate(x.eval("bytes(range(255, -1, -1))"))))
	x.is("(" + expr + ").join([b'x', b'', b'y'])")(bare(b.Join([][]byte{[]byte("x"), {}, []byte("y")})))
	x.is("(" + expr + ").find(b'b')")(bare(b.Find([]byte("b"))))
	x.is("(" + expr + ").find(32, 2)")(bare(b.Find(32, 2)))
	x.is("(" + expr + ").rfind(b'w', -9, -1)")(bare(b.Rfind([]byte("w"), -9, -1)))
	x.is("(" + expr + ").count(b'')")(bare(b.Count([]byte{})))
	x.is("(" + expr + ").startswith(b'a')")(bare(b.StartsWith([]byte("a"))))
	x.is("(" + expr + ").startswith((b'q', b'Sub'))")(bare(b.StartsWith(x.eval("(b'q', b'Sub')"))))
	x.is("(" + expr + ").endswith(b'c', 1, 3)")(bare(b.EndsWith([]byte("c"), 1, 3)))
	if n, err := py.CallAs[int](x.eval("len"), b); n > 2 && err == nil {
		x.is("(" + expr + ")[0]")(bare(b.At(0)))
		x.is("(" + expr + ")[-1]")(bare(b.At(-1)))
		x.is("(" + expr + ").index((" + expr + ")[2])")(bare(b.Index(x.eval("(" + expr + ")[2]"))))
		x.is("(" + expr + ").rindex((" + expr + ")[2])")(bare(b.Rindex(x.eval("(" + expr + ")[2]"))))
	}
}

func TestBytes_Failures(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		x := expecting(t, tok, hostileBytes)
		for expr, class := range map[string]string{"None": "NoneType", "bytearray(b'a')": "bytearray", "'a'": "str", "memoryview(b'a')": "memoryview"} {
			x.says("TypeError: '" + class + "' object is not an instance of 'bytes'")(bare(py.Cast[py.Bytes](x.eval(expr))))
		}
		for _, text := range []string{"0", "0g", "00\x00", "é0"} {
			x.fails(text, py.ValueError)(bare(py.BytesFromHex(tok, text)))
		}
		x.fails("no UTF-8", py.UnicodeDecodeError)(bare(py.BytesFromHex(tok, "\xff")))
		b := eval(t, tok, py.Cast[py.Bytes], "b'a b\\xff'")
		badBytes[py.Bytes](x, b)
		x.failed("set", py.TypeError, b.SetItem(0, 1))
		angryBytes[py.Bytes](x, eval(t, tok, py.Cast[py.Bytes], "Angry(b'abc')", x.ns), py.RuntimeError)
		n := eval(t, tok, py.Cast[py.Bytes], "Nonsense(b'abc')", x.ns)
		x.fails("At gives 1000", py.OverflowError)(bare(n.At(0)))
		x.fails("hex", py.TypeError)(bare(n.Hex()))
		x.fails("find", py.TypeError)(bare(n.Find(1)))
		x.is("b'abc'")(bare(n.Bytes()))
		x.says("TypeError: 'NoneType' object is not an instance of 'str'")(bare(n.Decode("", "")))
	})
}

// badBytes are calls of b"a b\xff" that fail.
func badBytes[T py.Object](x expect, b bytesLike[T]) {
	x.t.Helper()
	for what, f := range map[string]func(any) (any, error){
		"strip": func(v any) (any, error) { return b.Strip(v) }, "lstrip": func(v any) (any, error) { return b.Lstrip(v) },
		"rstrip": func(v any) (any, error) { return b.Rstrip(v) }, "removeprefix": func(v any) (any, error) { return b.RemovePrefix(v) },
		"removesuffix": func(v any) (any, error) { return b.RemoveSuffix(v) }, "replace": func(v any) (any, error) { return b.Replace(v, []byte{}, -1) },
		"replace with": func(v any) (any, error) { return b.Replace([]byte{}, v, -1) }, "split": func(v any) (any, error) { return b.Split(v, -1) },
		"rsplit": func(v any) (any, error) { return b.Rsplit(v, -1) }, "partition": func(v any) (any, error) { return b.Partition(v) },
		"rpartition": func(v any) (any, error) { return b.Rpartition(v) }, "find": func(v any) (any, error) { return b.Find(v) },
		"rfind": func(v any) (any, error) { return b.Rfind(v) }, "index": func(v any) (any, error) { return b.Index(v) },
		"rindex": func(v any) (any, error) { return b.Rindex(v) }, "count": func(v any) (any, error) { return b.Count(v) },
		"startswith": func(v any) (any, error) { return b.StartsWith(v) }, "endswith": func(v any) (any, error) { return b.EndsWith(v) },
		"translate": func(v any) (any, error) { return b.Translate(v) }, "join": func(v any) (any, error) { return b.Join(v) },
		"contains": func(v any) (any, error) { return b.Contains(v) },
	} {
		x.fails(what+" float", py.TypeError)(f(1.5))
		x.fails(what+" object", py.TypeError)(f(x.eval("object()")))
		x.fails(what+" strs", py.TypeError)(f([]string{"a"}))
		x.fails(what+" of what is not UTF-8", py.UnicodeDecodeError)(f("\xff"))
	}
	nothing := []byte{}
	x.fails("split at nothing", py.ValueError)(bare(b.Split(nothing, -1)))
	x.fails("rsplit at nothing", py.ValueError)(bare(b.Rsplit(nothing, -1)))
	x.fails("partition at nothing", py.ValueError)(bare(b.Partition(nothing)))
	x.fails("rpartition at nothing", py.ValueError)(bare(b.Rpartition(nothing)))
	x.fails("index of what is not there", py.ValueError)(bare(b.Index([]byte("x"))))
	x.fails("rindex of what is not there", py.ValueError)(bare(b.Rindex(97, 1)))
	x.fails("no byte", py.ValueError)(bare(b.Find(256)))
	x.fails("no byte", py.ValueError)(bare(b.Contains(-1)))
	x.fails("three bounds", py.TypeError)(bare(b.Find(97, 1, 2, 3)))
	x.fails("short table", py.ValueError)(bare(b.Translate([]byte("short"))))
	x.fails("join NoIter", py.TypeError)(bare(b.Join(x.eval("NoIter()"))))
	x.fails("join Joins", py.RuntimeError)(bare(b.Join(x.eval("Joins()"))))
	x.fails("decode", py.UnicodeDecodeError)(bare(b.Decode("", "")))
	x.fails("no such encoding", py.LookupError)(bare(b.Decode("nope", "")))
	x.fails("encoding with NUL", py.ValueError)(bare(b.Decode("utf-8\x00", "")))
	x.fails("encoding that is not UTF-8", py.UnicodeDecodeError)(bare(b.Decode("\xff", "")))
	x.fails("no such errors", py.LookupError)(bare(b.Decode("", "nope")))
	for _, i := range []int{4, -5, math.MaxInt, math.MinInt} {
		x.fails("beyond the end", py.IndexError)(bare(b.At(i)))
	}
	x.fails("beyond int64", py.IndexError)(bare(b.Item(new(big.Int).Lsh(big.NewInt(1), 70))))
	x.fails("Raising", py.KeyError)(bare(b.Item(x.eval("Raising()"))))
	x.fails("Itself", py.TypeError)(bare(b.Item(x.eval("Itself()"))))
	x.fails("Deep", py.RecursionError)(bare(b.Item(x.eval("Deep()"))))
	x.fails("None", py.TypeError)(bare(b.Item(nil)))
	x.fails("count None", py.TypeError)(bare(b.Count(nil)))
}

// angryBytes are calls of a subclass whose methods all fail.
func angryBytes[T py.Object](x expect, b bytesLike[T], class py.ExceptionClass) {
	x.t.Helper()
	x.fails("At", class)(bare(b.At(0)))
	x.fails("Slice", class)(bare(b.Slice(0, 1)))
	x.fails("Decode", class)(bare(b.Decode("", "")))
	x.fails("Hex", class)(bare(b.Hex()))
	x.fails("Upper", class)(bare(b.Upper()))
	x.fails("Join", class)(bare(b.Join([]any{})))
	x.fails("Split", class)(bare(b.Split(nil, -1)))
	x.fails("Partition", class)(bare(b.Partition(nil)))
	x.fails("Find", class)(bare(b.Find(1)))
	x.fails("Count", class)(bare(b.Count(1)))
	x.fails("StartsWith", class)(bare(b.StartsWith(1)))
	x.is("b'abc'")(bare(b.Bytes()))
}
