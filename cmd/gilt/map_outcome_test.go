package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// hostile are functions that do one record in a thousand wrong, each in its own way: B is what such a record raises.
var hostile = map[string]string{
	"no module":                    "class B(Exception): pass\nB.__module__ = None",
	"a number as its module":       "class B(Exception): pass\nB.__module__ = 7",
	"a package named gilt":         "class B(Exception): pass\nB.__module__ = 'gilt'",
	"a module of such a package":   "class B(BaseException): pass\nB.__module__ = 'gilt.sub'",
	"a name of gilt's":             "class Cancelled(BaseException): pass\nCancelled.__module__, B = 'gilt', Cancelled",
	"a metaclass without a module": "class M(type):\n    @property\n    def __module__(self): raise AttributeError('module')\nclass B(Exception, metaclass=M): pass",
	"a metaclass that lies":        "class M(type):\n    __module__ = property(lambda self: 'gilt')\n    __name__ = property(lambda self: 1 / 0)\nclass B(Exception, metaclass=M): pass",
	"a metaclass that refuses":     "class M(type):\n    def __getattribute__(self, name): raise SystemExit(name)\nclass B(Exception, metaclass=M): pass",
	"text that raises":             "class B(Exception):\n    def __str__(self): raise SystemExit(3)",
	"text that is none":            "class B(Exception):\n    def __str__(self): return 5",
	"text that recurses":           "class B(Exception):\n    def __str__(self): return str(self)",
	"text of surrogates":           "class B(Exception):\n    def __str__(self): return '\\udcff\\ud800\\0\\n'",
	"attributes that raise":        "class B(Exception):\n    def __getattribute__(self, name): raise KeyboardInterrupt",
	"another class's name":         "class B(Exception):\n    __class__ = property(lambda self: 1 / 0)",
	"no traceback":                 "class B(Exception):\n    __traceback__ = None",
	"a cause of itself":            "class B(Exception):\n    __cause__ = property(lambda self: self)\n    __context__ = property(lambda self: self)",
	"a group in a group":           "import sys\nclass B(Exception): pass\nif sys.version_info >= (3, 11):\n    def B(text):\n        e = ExceptionGroup(text, [ValueError(text)])\n        for _ in range(3000): e = ExceptionGroup(text, [e])\n        return e",
	"StopIteration":                "B = StopIteration",
	"GeneratorExit":                "B = GeneratorExit",
	"json gone":                    "import json, traceback\ndef B(text):\n    json.dumps = json.JSONDecodeError = traceback.format_exception = traceback.format_exception_only = None\n    return ValueError(text)",
	"a call that fails as a whole": "import sys\nclass B(Exception): pass\nclass Late(Exception): pass\nLate.__module__ = None\ndef hook(frame, event, arg):\n" +
		"    if event == 'c_call' and frame.f_code.co_filename.endswith('_gilt_map.py') and getattr(arg, '__name__', '') == 'encode':\n        sys.setprofile(None)\n        raise Late('whole')\ndef B(text):\n    sys.setprofile(hook)\n    return B2(text)\nclass B2(Exception): pass",
}

const someBad = "\ndef f(x):\n    if x % 1000 == 500: raise B('bad')\n    return x\n"

// Each record has an outcome of its own, whatever the others raise. No name is needed of what is lost: what is not in the output has failed.
func TestMapOutcomes(t *testing.T) {
	t.Parallel()
	const n = 5000
	var want strings.Builder
	for i := 1; i <= n; i++ {
		if i%1000 != 500 {
			fmt.Fprintln(&want, i)
		}
	}
	for name, source := range hostile {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := files(t, "fn.py", source+someBad, "gilt.py", source+someBad)
			for _, file := range []string{"fn.py", "gilt.py"} { // a module of the user's that is named gilt
				got := run(t, setting{dir: dir, stdin: numbers(n)}, "map", "-f", file+":f", "--on-error", "skip")
				if got.code != 3 || got.stdout != want.String() || !strings.Contains(got.stderr, fmt.Sprintf("gilt map: %d records, 5 errors, ", n)) {
					t.Fatalf("%s: exit code %d, %d lines, want %d; stderr %s", file, got.code, strings.Count(got.stdout, "\n"), n-5, got.stderr)
				}
				if strings.Count(got.stderr, " skipped: ") != 5 || !strings.Contains(got.stderr, "stdin line 500 skipped: ") {
					t.Errorf("%s: stderr %s", file, got.stderr)
				}
			}
			run(t, setting{dir: dir, stdin: numbers(700)}, "map", "-q", "-f", "fn.py:f").want(t, 1, numbers(499), "stdin line 500: ")
		})
	}
}

// What a function returns may be hostile too.
func TestMapResults(t *testing.T) {
	t.Parallel()
	dir := files(t, "fn.py", `
class Text(str):
    def __str__(self): raise KeyError
class Int(int):
    def __repr__(self): return "1\n2\n3"
class Float(float):
    def __repr__(self): return "1\n2\n3"
class Dict(dict):
    def items(self): raise SystemExit
class List(list):
    def __iter__(self): raise SystemExit
class Liar:
    __class__ = property(lambda self: dict)
class M(type):
    def __getattribute__(self, name): raise SystemExit(name)
class Refuses(metaclass=M): pass
def f(x): return [Text("a\nb"), Int(5), Float(1.5), Dict(a=1), List([1]), Liar(), Refuses(), {1: Int(2)}, {Text("k"): 1}, "\udcff", x][x % 11]
`)
	got := run(t, setting{dir: dir, stdin: numbers(1100)}, "map", "-f", "fn.py:f", "--on-error", "record")
	if lines := strings.Count(got.stdout, "\n"); lines != 1100 || got.code != 3 || !strings.Contains(got.stderr, "gilt map: 1100 records, ") {
		t.Errorf("exit code %d, %d lines, stderr %s", got.code, lines, got.stderr)
	}
}

// In = out + failed, whatever happens between two records: exceptions come at any call in gilt's own code, and others from the function.
func TestMapInvariant(t *testing.T) {
	t.Parallel()
	dir := files(t, "fn.py", `
import random, sys, threading, traceback
class B(Exception): pass
B.__module__ = None
mine = threading.local()
def hook(frame, event, arg):
    if frame.f_code.co_filename.endswith("_gilt_map.py"):
        mine.left -= 1
        if mine.left < 0:
            sys.setprofile(None)
            raise random.choice([B, MemoryError, KeyboardInterrupt, SystemExit, StopIteration])
def f(x):
    kind = x * 7919 // 5 % 97 if x % 5 == 0 else -1
    if kind == 0: raise B
    if kind == 1: return {x}
    if kind == 2: sys.setrecursionlimit(random.choice([100, 1000]))
    if kind == 3: traceback.format_exception = random.choice([None, traceback.format_exception])
    if kind == 4:
        mine.left = x // 5 % 30
        sys.setprofile(hook)
    return x
`)
	const n = 60000
	for _, more := range [][]string{{"--workers", "1"}, {"--workers", "3"}, {"--workers", "2", "--unordered"}, {"--interpreters", "2"}} {
		if more[0] == "--interpreters" && minor(t) < 12 {
			continue // they came with CPython 3.12
		}
		got := run(t, setting{dir: dir, stdin: numbers(n)}, append([]string{"map", "-f", "fn.py:f", "--on-error", "skip"}, more...)...)
		var records, failed, before int
		_, summary, _ := strings.Cut(got.stderr, "gilt map: ")
		if _, err := fmt.Sscanf(summary, "%d records, %d error", &records, &failed); err != nil {
			t.Fatalf("%v: %v: exit code %d, stderr %.3000s", more, err, got.code, got.stderr)
		}
		seen := map[int]bool{}
		for line := range strings.Lines(got.stdout) {
			v, err := strconv.Atoi(strings.TrimSuffix(line, "\n"))
			if err != nil || v < 1 || v > n || seen[v] || v <= before && more[len(more)-1] != "--unordered" {
				t.Fatalf("%v: the line %q comes after %d", more, line, before)
			}
			seen[v], before = true, v
		}
		if records != n || len(seen)+failed != n || got.code != 3 || failed < 1 || failed > n/2 {
			t.Errorf("%v: exit code %d: %d records, %d written and %d failed of %d; stderr %.3000s", more, got.code, records, len(seen), failed, n, got.stderr)
		}
	}
}

// Whatever else writes to the descriptor of stdout does not come between the records.
func TestMapOwnsStdout(t *testing.T) {
	t.Parallel()
	dir := files(t, "fn.py", `
import os, sys, subprocess
os.write(1, b"at the import\n")
def f(x):
    os.write(1, b"by os.write\n")
    print("by print")
    print("by __stdout__", file=sys.__stdout__, flush=x % 2)
    open("/dev/stdout", "w").write("by a file\n")
    if x == 1: subprocess.run(["echo", "by a child"])
    if x == 3: os.system("echo by a shell")
    return x
`)
	for _, output := range [][]string{nil, {"-o", "-"}, {"-o", "/dev/stdout"}} {
		got := run(t, setting{dir: dir, stdin: numbers(3)}, append([]string{"map", "-q", "-f", "fn.py:f"}, output...)...)
		got.want(t, 0, "1\n2\n3\n", "at the import", "by os.write", "by print", "by __stdout__", "by a file", "by a child", "by a shell")
	}
	run(t, setting{dir: dir, stdin: numbers(3)}, "map", "-q", "-f", "fn.py:f", "-o", "out")
	if got, err := os.ReadFile(filepath.Join(dir, "out")); string(got) != "1\n2\n3\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// An extension module that refuses to load in an interpreter with its own GIL is named, also when packages around it say something else.
func TestMapNamesTheModuleThatRefused(t *testing.T) {
	t.Parallel()
	if minor(t) < 12 {
		t.Skip("interpreters with their own GIL came with CPython 3.12")
	}
	const refuses = `
def inner():
    for name in ("readline", "_curses", "_decimal"):
        try: __import__(name)
        except ModuleNotFoundError: pass
def package():
    try: inner()
    except ImportError as e: raise ImportError("IMPORTANT: PLEASE READ THIS") from e
def outer():
    try: package()
    except ImportError: raise ImportError("Unable to import required dependencies")
`
	dir := files(t, "fn.py", refuses+"outer()\ndef f(x): return x\n", "lazy.py", refuses+"def f(x):\n    if x == 2: outer()\n    return x\n")
	const want = " does not load in an interpreter with its own GIL: leave --interpreters out"
	run(t, setting{dir: dir, stdin: "1\n"}, "map", "-q", "--interpreters", "2", "-f", "fn.py:f").want(t, 1, "", "gilt: --func fn.py:f: module ", want)
	run(t, setting{dir: dir, stdin: "1\n2\n3\n"}, "map", "-q", "--interpreters", "2", "-f", "lazy.py:f", "--on-error", "skip").want(t, 3, "1\n3\n", "stdin line 2 skipped: module ", want)
	run(t, setting{dir: dir, stdin: "1\n"}, "map", "-q", "-f", "fn.py:f").want(t, 0, "1\n")
}
