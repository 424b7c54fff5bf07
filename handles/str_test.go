package handles_test

import (
	"math"
	"math/big"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

const hostileText = `
class Sub(str): pass
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
        yield 'a'
        raise RuntimeError('iterated')
class Mapping:
    def __getitem__(self, k): raise RuntimeError('item')
class Formats:
    def __format__(self, spec): raise RuntimeError('format')
class Unformatted:
    def __format__(self, spec): return 3
def angry(*a, **k): raise RuntimeError('no')
def nonsense(*a, **k): return None
names = [n for n in dir(str) if not n.startswith('_')]
Angry = type('Angry', (str,), dict.fromkeys(names, angry))
Nonsense = type('Nonsense', (str,), dict.fromkeys(names, nonsense))
`

func TestStr(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		x := expecting(t, tok, hostileText)
		x.is("'a\\0\u00fc\U0001f600'")(bare(py.NewStr(tok, "a\x00ü😀")))
		x.is("''")(bare(py.NewStr(tok, "")))
		for _, expr := range []string{"''", "'abc'", "' \\tTwo  wörds, ßtrasse\\r\\nline\\x0b end '", "'x😀y\\0z😀'", "'\\ud83d\\ude00 a\\udcff'", "Sub('Sub, class')", "'١٢3'", "'Title Case'", "'{} {0!r:>5}'"} {
			s := eval(t, tok, py.Cast[py.Str], expr, x.ns)
			for method, f := range map[string]func() (py.Str, error){
				"upper": s.Upper, "lower": s.Lower, "casefold": s.CaseFold, "title": s.Title, "capitalize": s.Capitalize, "swapcase": s.SwapCase,
			} {
				x.is("(" + expr + ")." + method + "()")(bare(f()))
			}
			for method, f := range map[string]func() (bool, error){
				"isalpha": s.IsAlpha, "isalnum": s.IsAlnum, "isascii": s.IsASCII, "isdecimal": s.IsDecimal, "isdigit": s.IsDigit, "isnumeric": s.IsNumeric,
				"isidentifier": s.IsIdentifier, "islower": s.IsLower, "isupper": s.IsUpper, "istitle": s.IsTitle, "isspace": s.IsSpace, "isprintable": s.IsPrintable,
			} {
				x.is("(" + expr + ")." + method + "()")(bare(f()))
			}
			x.is("(" + expr + ").split()")(bare(s.Split(nil, -1)))
			x.is("(" + expr + ").split(' ', 2)")(bare(s.Split(" ", 2)))
			x.is("(" + expr + ").rsplit(' ', 2)")(bare(s.Rsplit(" ", 2)))
			x.is("(" + expr + ").splitlines()")(bare(s.SplitLines(false)))
			x.is("(" + expr + ").splitlines(True)")(bare(s.SplitLines(true)))
			x.is("(" + expr + ").partition(' ')")(bare(s.Partition(" ")))
			x.is("(" + expr + ").rpartition(' ')")(bare(s.Rpartition(" ")))
			x.is("(" + expr + ").strip()")(bare(s.Strip(nil)))
			x.is("(" + expr + ").lstrip()")(bare(s.Lstrip(nil)))
			x.is("(" + expr + ").rstrip()")(bare(s.Rstrip(nil)))
			x.is("(" + expr + ").strip('abc')")(bare(s.Strip("abc")))
			x.is("(" + expr + ").zfill(8)")(bare(s.Zfill(8)))
			x.is("(" + expr + ").ljust(8, 'ü')")(bare(s.Ljust(8, 'ü')))
			x.is("(" + expr + ").rjust(8, '.')")(bare(s.Rjust(8, '.')))
			x.is("(" + expr + ").center(9, '😀')")(bare(s.Center(9, '😀')))
			x.is("(" + expr + ").expandtabs(3)")(bare(s.ExpandTabs(3)))
			x.is("(" + expr + ").join(['x', 'y', ''])")(bare(s.Join([]string{"x", "y", ""})))
			x.is("(" + expr + ").replace(' ', '__', 1)")(bare(s.Replace(" ", "__", 1)))
			x.is("(" + expr + ").replace('', '-')")(bare(s.Replace("", "-", -1)))
			x.is("(" + expr + ").translate({97: 'AA', 98: None})")(bare(s.Translate(map[int]any{97: "AA", 98: nil})))
			x.is("(" + expr + ").removeprefix('ab')")(bare(s.RemovePrefix("ab")))
			x.is("(" + expr + ").removesuffix('bc')")(bare(s.RemoveSuffix("bc")))
			x.is("(" + expr + ")[1:-1]")(bare(s.Slice(1, -1)))
			x.is("(" + expr + ")[-3:9223372036854775807]")(bare(s.Slice(-3, math.MaxInt)))
			x.is("(" + expr + ")[2:1]")(bare(s.Slice(2, 1)))
			x.is("(" + expr + ").find('a')")(bare(s.Find("a")))
			x.is("(" + expr + ").find(' ')")(bare(s.Find(" ")))
			x.is("(" + expr + ").rfind(' ')")(bare(s.Rfind(" ")))
			x.is("(" + expr + ").find('😀', 2)")(bare(s.Find("😀", 2)))
			x.is("(" + expr + ").rfind('e', -9, -1)")(bare(s.Rfind("e", -9, -1)))
			x.is("(" + expr + ").count('')")(bare(s.Count("")))
			x.is("(" + expr + ").count(' ', 0, 4)")(bare(s.Count(" ", 0, 4)))
			x.is("(" + expr + ").startswith('a')")(bare(s.StartsWith("a")))
			x.is("(" + expr + ").startswith(('q', 'Sub'))")(bare(s.StartsWith(x.eval("('q', 'Sub')"))))
			x.is("(" + expr + ").endswith('c', 1, 3)")(bare(s.EndsWith("c", 1, 3)))
			x.is("(" + expr + ").encode('utf-16-le', 'surrogatepass')")(bare(s.Encode("utf-16-le", "surrogatepass")))
			x.is("(" + expr + ").encode('ascii', 'backslashreplace')")(bare(s.Encode("ascii", "backslashreplace")))
		}
		s := eval(t, tok, py.Cast[py.Str], "'hello hello'")
		x.is("2")(bare(s.Index("ll")))
		x.is("8")(bare(s.Rindex("ll")))
		x.is("8")(bare(s.Index("ll", 3)))
		x.is("b'hello hello'")(bare(s.Encode("", "")))
		format := eval(t, tok, py.Cast[py.Str], "'{0} {b} {1:>4}'")
		x.is("'a [1]    2'")(bare(format.Format("a", 2, py.Kw{"b": []int{1}})))
		x.is("'None True    x'")(bare(format.Format(nil, "x", py.Named("b", true))))
		x.is("'1 b'")(bare(eval(t, tok, py.Cast[py.Str], "'{a} {b}'").FormatMap(map[string]any{"a": 1, "b": "b"})))
		x.is("'\\ud800-\\ud800'")(bare(eval(t, tok, py.Cast[py.Str], "'-'").Join(x.eval("['\\ud800'] * 2"))))
		x.is("'a, b'")(bare(eval(t, tok, py.Cast[py.Str], "', '").Join(x.eval("(c for c in 'ab')"))))
	})
}

func TestStr_LoneSurrogates(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		x := expecting(t, tok, hostileText)
		for expr, want := range map[string]string{
			"''": "", "'aü\u20ac😀\\0'": "aü€😀\x00", "'\\ud800'": "\uFFFD", "'a\\udfffb'": "a\uFFFDb", "'\\ud83d\\ude00'": "\uFFFD\uFFFD",
			"'\\ud7ff\\ue000\\uffff'": "\ud7ff\ue000\uffff", "'\\udc80\\udcff!'": "\uFFFD\uFFFD!",
		} {
			s := eval(t, tok, py.Cast[py.Str], expr)
			got, err := s.TextLossy()
			if got != want || err != nil {
				t.Errorf("%s: %q, %v, want %q", expr, got, err, want)
			}
			x.clean(expr)
		}
		s := eval(t, tok, py.Cast[py.Str], "'ab\\ud800'")
		x.says("UnicodeEncodeError: 'utf-8' codec can't encode character '\\ud800' in position 2: surrogates not allowed")(bare(s.Text()))
		x.fails("encode", py.UnicodeEncodeError)(bare(s.Encode("", "")))
		x.is("b'ab'")(bare(s.Encode("", "ignore")))
		x.is("2")(bare(s.Find(x.eval("'\\ud800'"))))
		x.is("'AB\\ud800'")(bare(s.Upper()))
		part, err := s.Slice(0, 2)
		x.is("'ab'")(part, err)
		x.is("'ab'")(bare(part.Text()))
	})
}

func TestStr_Failures(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		x := expecting(t, tok, hostileText)
		for expr, class := range map[string]string{"None": "NoneType", "b'a'": "bytes", "1": "int", "['a']": "list"} {
			x.says("TypeError: '" + class + "' object is not an instance of 'str'")(bare(py.Cast[py.Str](x.eval(expr))))
		}
		x.fails("no UTF-8", py.UnicodeDecodeError)(bare(py.NewStr(tok, "a\xff")))
		x.fails("a surrogate is not UTF-8", py.UnicodeDecodeError)(bare(py.NewStr(tok, "\xed\xa0\x80")))
		s := eval(t, tok, py.Cast[py.Str], "'a {} b'")
		for what, f := range map[string]func(any) (any, error){
			"strip": func(v any) (any, error) { return s.Strip(v) }, "lstrip": func(v any) (any, error) { return s.Lstrip(v) },
			"rstrip": func(v any) (any, error) { return s.Rstrip(v) }, "removeprefix": func(v any) (any, error) { return s.RemovePrefix(v) },
			"removesuffix": func(v any) (any, error) { return s.RemoveSuffix(v) }, "replace": func(v any) (any, error) { return s.Replace(v, "x", -1) },
			"replace with": func(v any) (any, error) { return s.Replace("x", v, -1) }, "split": func(v any) (any, error) { return s.Split(v, -1) },
			"rsplit": func(v any) (any, error) { return s.Rsplit(v, -1) }, "partition": func(v any) (any, error) { return s.Partition(v) },
			"rpartition": func(v any) (any, error) { return s.Rpartition(v) }, "find": func(v any) (any, error) { return s.Find(v) },
			"rfind": func(v any) (any, error) { return s.Rfind(v) }, "index": func(v any) (any, error) { return s.Index(v) },
			"rindex": func(v any) (any, error) { return s.Rindex(v) }, "count": func(v any) (any, error) { return s.Count(v) },
			"startswith": func(v any) (any, error) { return s.StartsWith(v) }, "endswith": func(v any) (any, error) { return s.EndsWith(v, 1) },
		} {
			for name, bad := range map[string]any{"int": 1, "bytes": []byte("a"), "list": []string{"a"}, "Raising": x.eval("Raising()")} {
				x.fails(what+" "+name, py.TypeError)(f(bad))
			}
			x.fails(what+" of what is not UTF-8", py.UnicodeDecodeError)(f("\xff"))
			if what != "strip" && what != "lstrip" && what != "rstrip" && what != "split" && what != "rsplit" {
				x.fails(what+" None", py.TypeError)(f(nil))
			}
		}
		x.fails("split at nothing", py.ValueError)(bare(s.Split("", -1)))
		x.fails("rsplit at nothing", py.ValueError)(bare(s.Rsplit("", -1)))
		x.fails("partition at nothing", py.ValueError)(bare(s.Partition("")))
		x.fails("rpartition at nothing", py.ValueError)(bare(s.Rpartition("")))
		x.fails("index of what is not there", py.ValueError)(bare(s.Index("x")))
		x.fails("rindex of what is not there", py.ValueError)(bare(s.Rindex("a", 1)))
		x.fails("three bounds", py.TypeError)(bare(s.Find("a", 1, 2, 3)))
		for name, class := range map[string]py.ExceptionClass{"Raising()": py.TypeError, "NoIter()": py.TypeError, "Iter()": py.RuntimeError, "[1]": py.TypeError, "None": py.TypeError, "['a', None]": py.TypeError} {
			x.fails("join "+name, class)(bare(s.Join(x.eval(name))))
		}
		x.fails("format without", py.IndexError)(bare(s.Format()))
		x.fails("format raises", py.RuntimeError)(bare(s.Format(x.eval("Formats()"))))
		x.fails("format gives no str", py.TypeError)(bare(s.Format(x.eval("Unformatted()"))))
		x.fails("format", py.ValueError)(bare(eval(t, tok, py.Cast[py.Str], "'{'").Format(1)))
		x.fails("format", py.KeyError)(bare(eval(t, tok, py.Cast[py.Str], "'{a\\0}'").Format(1)))
		x.fails("format_map", py.RuntimeError)(bare(eval(t, tok, py.Cast[py.Str], "'{a}'").FormatMap(x.eval("Mapping()"))))
		x.fails("format_map", py.TypeError)(bare(eval(t, tok, py.Cast[py.Str], "'{a}'").FormatMap(nil)))
		x.fails("translate", py.RuntimeError)(bare(s.Translate(x.eval("Mapping()"))))
		x.fails("translate", py.TypeError)(bare(s.Translate(nil)))
		x.fails("translate to a float", py.TypeError)(bare(s.Translate(map[int]float64{97: 1})))
		x.fails("no such encoding", py.LookupError)(bare(s.Encode("nope", "")))
		x.fails("encoding with NUL", py.ValueError)(bare(s.Encode("utf-8\x00", "")))
		x.fails("encoding that is not UTF-8", py.UnicodeDecodeError)(bare(s.Encode("\xff", "")))
		x.fails("no such errors", py.LookupError)(bare(eval(t, tok, py.Cast[py.Str], "'ü'").Encode("ascii", "nope")))
		x.fails("ascii", py.UnicodeEncodeError)(bare(eval(t, tok, py.Cast[py.Str], "'ü'").Encode("ascii", "")))
		x.fails("far too wide", py.MemoryError)(bare(s.Ljust(math.MaxInt, ' ')))
		x.fails("far too wide", py.MemoryError)(bare(s.Center(math.MaxInt, ' ')))
	})
}

func TestStr_Items(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		x := expecting(t, tok, hostileText)
		s := eval(t, tok, py.Cast[py.Str], "'añ😀'")
		x.is("3")(bare(s.Len()))
		x.is("'😀'")(bare(s.Item(-1)))
		x.is("True")(bare(s.Contains("ñ")))
		x.fails("beyond the end", py.IndexError)(bare(s.Item(3)))
		x.fails("far beyond the end", py.IndexError)(bare(s.Item(math.MinInt)))
		x.fails("beyond int64", py.IndexError)(bare(s.Item(new(big.Int).Lsh(big.NewInt(1), 70))))
		x.fails("Raising", py.KeyError)(bare(s.Item(x.eval("Raising()"))))
		x.fails("Itself", py.TypeError)(bare(s.Item(x.eval("Itself()"))))
		x.fails("Deep", py.RecursionError)(bare(s.Item(x.eval("Deep()"))))
		x.fails("None", py.TypeError)(bare(s.Item(nil)))
		x.fails("contains", py.TypeError)(bare(s.Contains(1)))
		x.failed("set", py.TypeError, s.SetItem(0, "x"))
	})
}

// What a subclass has of its own is what runs; what it gives is believed no further than it goes.
func TestStr_Subclasses(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		x := expecting(t, tok, hostileText)
		for expr, class := range map[string]py.ExceptionClass{"Angry('abc')": py.RuntimeError, "Nonsense('abc')": py.TypeError} {
			s := eval(t, tok, py.Cast[py.Str], expr, x.ns)
			x.fails("lossy", class)(bare(s.TextLossy()))
			x.fails("encode", class)(bare(s.Encode("", "")))
			x.fails("find", class)(bare(s.Find("a")))
			x.fails("count", class)(bare(s.Count("a")))
			x.fails("startswith", class)(bare(s.StartsWith("a")))
			x.fails("isalpha", class)(bare(s.IsAlpha()))
			x.is("'abc'")(bare(s.Text()))
			x.is("'ab'")(bare(s.Slice(0, 2)))
		}
		angry := eval(t, tok, py.Cast[py.Str], "Angry('abc')", x.ns)
		x.fails("upper", py.RuntimeError)(bare(angry.Upper()))
		x.fails("split", py.RuntimeError)(bare(angry.Split(nil, -1)))
		x.fails("partition", py.RuntimeError)(bare(angry.Partition("a")))
		nonsense := eval(t, tok, py.Cast[py.Str], "Nonsense('abc')", x.ns)
		x.says("TypeError: 'NoneType' object is not an instance of 'str'")(bare(nonsense.Upper()))
	})
}
