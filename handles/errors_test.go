package handles_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// raise runs source, which must raise, and gives the error; the error indicator must be clear.
func raise(t testing.TB, tok *gilt.Token, source string) *py.Error {
	t.Helper()
	err := py.RunFile(tok, source, "job.py")
	var e *py.Error
	if !errors.As(err, &e) {
		t.Fatalf("%s: %v, want a *py.Error", source, err)
	}
	if tok.Entry("test").ErrorIndicator() {
		t.Fatalf("%s: the error indicator is set", source)
	}
	return e
}

func TestError_ClassAndMessage(t *testing.T) {
	for _, c := range []struct {
		source, text string
		is           []py.ExceptionClass
		not          py.ExceptionClass
	}{
		{"raise ValueError('no')", "ValueError: no", []py.ExceptionClass{py.ValueError, py.Exception, py.BaseException}, py.TypeError},
		{"raise ValueError", "ValueError", []py.ExceptionClass{py.ValueError}, py.KeyError},
		{"{}['k']", "KeyError: 'k'", []py.ExceptionClass{py.KeyError, py.LookupError}, py.IndexError},
		{"[][1]", "IndexError: list index out of range", []py.ExceptionClass{py.IndexError, py.LookupError}, py.KeyError},
		{"1/0", "ZeroDivisionError: division", []py.ExceptionClass{py.ZeroDivisionError, py.ArithmeticError}, py.ValueError},
		{"raise 3", "TypeError: exceptions must derive from BaseException", []py.ExceptionClass{py.TypeError}, py.ValueError},
		{"import json; json.loads('{')", "json.decoder.JSONDecodeError: ", []py.ExceptionClass{"json.decoder.JSONDecodeError", py.ValueError}, py.TypeError},
		{"class Mine(KeyError): pass\nraise Mine('x')", "__gilt__.Mine: 'x'", []py.ExceptionClass{"__gilt__.Mine", py.KeyError}, py.IndexError},
		{"import no_such_module_x", "ModuleNotFoundError: No module named 'no_such_module_x'", []py.ExceptionClass{py.ModuleNotFoundError, py.ImportError}, py.OSError},
		{"nope", "NameError: name 'nope' is not defined", []py.ExceptionClass{py.NameError}, py.AttributeError},
		{"x = (", "SyntaxError: ", []py.ExceptionClass{py.SyntaxError}, py.NameError},
		{"def f(): f()\nf()", "RecursionError: ", []py.ExceptionClass{py.RecursionError, py.RuntimeError}, py.MemoryError},
		{"raise KeyboardInterrupt", "KeyboardInterrupt", []py.ExceptionClass{py.KeyboardInterrupt, py.BaseException}, py.Exception},
		{"raise MemoryError", "MemoryError", []py.ExceptionClass{py.MemoryError}, py.OSError},
		{"raise ValueError('a\\0b', 1)", "ValueError: ('a\\x00b', 1)", []py.ExceptionClass{py.ValueError}, py.OSError},
		{"raise ValueError('a\\0b')", "ValueError: a\x00b", []py.ExceptionClass{py.ValueError}, py.OSError},
		{"raise ValueError('\\ud800')", `ValueError: \ud800`, []py.ExceptionClass{py.ValueError}, py.UnicodeError},
		{"raise ValueError('x' * 100000)", "ValueError: " + strings.Repeat("x", 100000), []py.ExceptionClass{py.ValueError}, py.OSError},
		{"b'\\xff'.decode()", "UnicodeDecodeError: ", []py.ExceptionClass{py.UnicodeDecodeError, py.UnicodeError, py.ValueError}, py.UnicodeEncodeError},
		{"class E(Exception): __module__ = 3\nraise E", "E", []py.ExceptionClass{py.Exception}, py.OSError},
	} {
		pytest.Do(t, func(tok *gilt.Token) {
			e := raise(t, tok, c.source)
			text := e.Class // as it is, which e.Error() is not
			if e.Message != "" {
				text += ": " + e.Message
			}
			if !strings.HasPrefix(text, c.text) || (c.text[len(c.text)-1] != ' ' && !strings.HasPrefix(c.text, "ZeroDiv") && text != c.text) {
				t.Errorf("%s: %.200q, want %.200q", c.source, text, c.text)
			}
			for _, class := range c.is {
				if !errors.Is(e, class) || !errors.Is(fmt.Errorf("wrapped: %w", e), class) {
					t.Errorf("%s: errors.Is %v is false", c.source, class)
				}
			}
			if errors.Is(e, c.not) {
				t.Errorf("%s: errors.Is %v is true", c.source, c.not)
			}
			if b := e.Bind(tok); b.IsZero() {
				t.Errorf("%s: no exception object", c.source)
			} else if _, err := b.Type(); err != nil {
				t.Error(err)
			}
			if e.Traceback() != fmt.Sprintf("%+v", e) || e.Error() != fmt.Sprint(e) || fmt.Sprintf("%q", e) != fmt.Sprintf("%q", e.Error()) {
				t.Error("Format")
			}
		})
	}
}

// What no exception may do to whoever prints it.
func TestBehaviour14_HostileExceptions(t *testing.T) {
	const placeholder = "<its str() raised an exception>"
	for source, want := range map[string]string{
		"class E(Exception):\n  def __str__(self): raise KeyError\nraise E":                                                    placeholder,
		"class E(Exception):\n  def __str__(self): return 3\nraise E":                                                          placeholder,
		"class E(Exception):\n  def __str__(self): raise self\nraise E":                                                        placeholder,
		"class E(Exception):\n  def __getattribute__(self, n): raise KeyError(n)\nraise E('m')":                                "m",
		"class E(Exception):\n  __notes__ = 3\nraise E('m')":                                                                   "m",
		"class M(type):\n  def __getattribute__(c, n): raise KeyError(n)\nclass E(Exception, metaclass=M): pass\nraise E('m')": "m",
		"class E(Exception):\n  __mro__ = 3\n  __qualname__ = 'a\\0b'\nraise E('m')":                                           "m",
		"class E(OSError):\n  errno = property(lambda s: 1/0)\nraise E('m')":                                                   "m",
		"class E(SystemExit):\n  code = property(lambda s: 1/0)\nraise E('m')":                                                 "m",
		"class E(Exception):\n  def __new__(cls, *a): return 3\nraise E('m')":                                                  "",
	} {
		pytest.Do(t, func(tok *gilt.Token) {
			e := raise(t, tok, source)
			if want != "" && e.Message != want {
				t.Errorf("%s: message %q, want %q", source, e.Message, want)
			}
			if e.Traceback() == "" {
				t.Error(source, "no traceback")
			}
		})
	}
}

func TestBehaviour15_CauseAndContext(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		e := raise(t, tok, "try:\n  {}['k']\nexcept KeyError as k:\n  raise ValueError('v') from k")
		if e.Cause == nil || e.Cause.Class != "KeyError" || !errors.Is(e, py.KeyError) || errors.Unwrap(e) != error(e.Cause) {
			t.Errorf("cause: %+v", e)
		}
		if !strings.Contains(e.Traceback(), "KeyError: 'k'\n\nThe above exception was the direct cause of the following exception:\n\nTraceback") {
			t.Error(e.Traceback())
		}
		e = raise(t, tok, "try:\n  {}['k']\nexcept KeyError:\n  raise ValueError('v')")
		if e.Cause != nil || e.Context == nil || e.Context.Class != "KeyError" || e.Hidden || errors.Is(e, py.KeyError) {
			t.Errorf("context: %+v", e)
		}
		if !strings.Contains(e.Traceback(), "During handling of the above exception, another exception occurred:") {
			t.Error(e.Traceback())
		}
		e = raise(t, tok, "try:\n  {}['k']\nexcept KeyError:\n  raise ValueError('v') from None")
		if e.Cause != nil || e.Context == nil || !e.Hidden || errors.Unwrap(e) != nil || strings.Contains(e.Traceback(), "KeyError") {
			t.Errorf("from None: %+v", e)
		}
		for _, loop := range []string{
			"a, b = ValueError('a'), KeyError('b')\na.__cause__ = b; b.__cause__ = a\nraise a",
			"a = ValueError('a')\na.__cause__ = a\nraise a",
			"a, b = ValueError('a'), KeyError('b')\na.__context__ = b; b.__context__ = a\nraise a",
			"a, b = ValueError('a'), KeyError('b')\na.__context__ = b; b.__cause__ = a; a.__cause__ = b\nraise a",
			"e = ValueError('0')\nfor i in range(5000):\n  n = KeyError(str(i)); n.__cause__ = e; e = n\nraise e",
		} {
			e := raise(t, tok, loop)
			if errors.Is(e, py.ZeroDivisionError) || len(e.Traceback()) > 100000 {
				t.Error(loop)
			}
			var other *py.Error
			if !errors.As(error(e), &other) {
				t.Error(loop)
			}
		}
	})
}

// Exceptions whose causes and contexts all differ: there are 2**n ways through the chain.
func TestError_ChainIsNotWalkedOnEveryPath(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		e := raise(t, tok, `
row = [ValueError('end'), ValueError('end')]
for i in range(40):
    a, b = ValueError('a%d' % i), KeyError('b%d' % i)
    a.__cause__, a.__context__ = row
    b.__context__, b.__cause__ = row
    row = [a, b]
raise row[0]
`)
		n := 0
		var count func(*py.Error)
		count = func(e *py.Error) {
			if e != nil {
				n++
				count(e.Cause)
				count(e.Context)
			}
		}
		count(e)
		if n > 100 {
			t.Errorf("%d exceptions were captured", n)
		}
	})
}

func TestBehaviour17_Traceback(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		e := raise(t, tok, "def g():\n    raise ValueError('v')\n\ndef f():\n    g()\n\nf()\n")
		want := "Traceback (most recent call last):\n" +
			"  File \"job.py\", line 7, in <module>\n" +
			"  File \"job.py\", line 5, in f\n" +
			"  File \"job.py\", line 2, in g\n" +
			"ValueError: v\n"
		if got := e.Traceback(); got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
		if len(e.Frames) != 3 || e.Frames[2] != (py.Frame{File: "job.py", Func: "g", Line: 2}) {
			t.Errorf("%+v", e.Frames)
		}
		for _, source := range []string{
			"def f(n):\n  if n == 0: deepest()\n  f(n - 1)\ndef deepest(): 1/0\nf(900)",
			"import sys\nsys.setrecursionlimit(1000)\ndef f(): f()\nf()",
		} {
			e = raise(t, tok, source)
			if n := len(e.Frames); n < 50 || n > 500 {
				t.Error(n, "frames")
			}
			if len(e.Traceback()) > 50000 {
				t.Error(len(e.Traceback()), "bytes")
			}
		}
		e = raise(t, tok, "def f(n):\n  if n == 0: deepest()\n  f(n - 1)\ndef deepest(): 1/0\nf(900)")
		if last := e.Frames[len(e.Frames)-1]; last.Func != "deepest" {
			t.Errorf("the last frame is %+v, and not where the exception was raised", last)
		}
		if first := e.Frames[0]; first.Func != "<module>" {
			t.Errorf("the first frame is %+v", first)
		}
	})
}

func TestError_Notes(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		if pytest.Minor(t) < 11 {
			t.Skip("notes came with CPython 3.11")
		}
		e := raise(t, tok, "e = ValueError('v')\ne.add_note('one')\ne.add_note('two\\nlines')\nraise e")
		if len(e.Notes) != 2 || !strings.HasSuffix(e.Traceback(), "ValueError: v\none\ntwo\nlines\n") {
			t.Errorf("%q", e.Traceback())
		}
		e = raise(t, tok, "e = ValueError('v')\ne.__notes__ = ['a', 3, object]\nraise e")
		if len(e.Notes) != 3 || e.Notes[1] != "3" {
			t.Errorf("%q", e.Notes)
		}
		for _, bad := range []string{"e.__notes__ = None", "e.__notes__ = {}", "e.__notes__ = 'abc'"} {
			if e := raise(t, tok, "e = ValueError('v')\n"+bad+"\nraise e"); e.Message != "v" {
				t.Error(bad)
			}
		}
	})
}

// A note whose text is asked for is kept alive, whatever asking does to the list.
func TestError_NotesThatChangeTheirList(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		if pytest.Minor(t) < 11 {
			t.Skip("notes came with CPython 3.11")
		}
		e := raise(t, tok, `
import weakref
class Evil:
    def __repr__(self):
        if e.__notes__:
            e.__notes__.clear()
            e.__notes__.extend([bytearray(40) for _ in range(100)])
            e.__notes__.clear()
        return 'gone' if last() is None else 'alive'
evils = [Evil() for _ in range(3)]
last = weakref.ref(evils[2])
e = ValueError('v')
e.__notes__ = [slice(*evils), 'b', 'c']
del evils
raise e
`)
		if len(e.Notes) != 1 || e.Notes[0] != "slice(alive, alive, alive)" {
			t.Errorf("%q", e.Notes)
		}
		e = raise(t, tok, `
class More:
    def __str__(self):
        e.__notes__.append(self)
        return 'more'
e = ValueError('v')
e.__notes__ = [More()]
raise e
`)
		if len(e.Notes) != 1 || e.Notes[0] != "more" {
			t.Errorf("%q", e.Notes)
		}
	})
}

func TestBehaviour18_SystemExit(t *testing.T) {
	for source, want := range map[string]int{
		"import sys; sys.exit(3)": 3, "import sys; sys.exit()": 0, "import sys; sys.exit('text')": 1, "raise SystemExit": 0,
		"import sys; sys.exit(-1)": -1, "exit(4)": 4, "import sys; sys.exit(None)": 0, "import sys; sys.exit([1])": 1, "import sys; sys.exit(2**80)": -1,
		"import sys; sys.exit(False)": 0, "import sys; sys.exit(True)": 1, "import sys, enum\nclass E(enum.IntEnum): A = 7\nsys.exit(E.A)": 7,
		"import sys\nclass I(int):\n  def __str__(self): return '9'\n  def __index__(self): return 9\nsys.exit(I(5))": 5, "import sys; sys.exit(2.0)": 1,
	} {
		if source == "exit(4)" {
			continue // site's
		}
		pytest.Do(t, func(tok *gilt.Token) {
			e := raise(t, tok, source)
			if code, ok := e.ExitCode(); !ok || code != want || !errors.Is(e, py.SystemExit) {
				t.Errorf("%s: %d, %v", source, code, ok)
			}
		})
	}
	pytest.Do(t, func(tok *gilt.Token) {
		if _, ok := raise(t, tok, "raise ValueError(3)").ExitCode(); ok {
			t.Error("a ValueError has an exit code")
		}
	})
}

func TestBehaviour20_OSError(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		for source, want := range map[string]error{
			"open('/no/such/file')":                                                            fs.ErrNotExist,
			"import errno; raise OSError(errno.ENOENT, 'x')":                                   fs.ErrNotExist,
			"import errno; raise OSError(errno.EEXIST, 'x')":                                   fs.ErrExist,
			"import errno; raise PermissionError(errno.EACCES, 'x')":                           fs.ErrPermission,
			"import errno\nclass E(OSError): pass\ne = E('x'); e.errno = errno.EPERM\nraise e": fs.ErrPermission,
		} {
			if e := raise(t, tok, source); !errors.Is(e, want) || !errors.Is(e, py.OSError) {
				t.Errorf("%s: %v", source, e)
			}
		}
		for _, source := range []string{"raise OSError('x')", "raise ValueError(2)", "raise SystemExit(2)", "e = OSError('x'); e.errno = 2**70\nraise e", "e = OSError('x'); e.errno = 'y'\nraise e"} {
			if e := raise(t, tok, source); errors.Is(e, fs.ErrNotExist) {
				t.Errorf("%s: is fs.ErrNotExist", source)
			}
		}
	})
}
