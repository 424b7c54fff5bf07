package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gilt/internal/discover"
)

const functions = `
import sys, time, threading, asyncio
def same(x): return x
def odd(x):
    if x % 2 == 0: raise ValueError(f"{x} is even")
    return x
def leave(x):
    if x == 3: sys.exit(3)
    return x
def report(x): print("hello"); return x
def slow(x): time.sleep(0.2); return x
def late(x): time.sleep(0.05 * (x % 3)); return x
def endless(x):
    while x == 2: pass
    return x
def ends(x): return [len(x), x[:2], x[-2:]] if isinstance(x, str) else x
def collect(x): return {x} if x == 1 else x
def nojson(x):
    if x == 1: return float("nan")
    cycle = {}; cycle["a"] = cycle
    return cycle
async def coroutine(x): return x
def text(x): raise Bad()
class Bad(Exception):
    def __str__(self): raise RuntimeError
class Base(BaseException): pass
def base(x): raise Base("b")
number = 3
class C:
    @staticmethod
    def m(x): return [x]
`

func numbers(n int) string {
	var b strings.Builder
	for i := 1; i <= n; i++ {
		fmt.Fprintln(&b, i)
	}
	return b.String()
}

func TestMap(t *testing.T) {
	t.Parallel()
	dir := files(t, "fn.py", functions, "a.jsonl", "1\n2\n", "b.jsonl", "3\n\"\xff\"\n5", "json.py", "def f(x): return x",
		"bad.py", "1/0", "bad2.py", "import nosuchmodule", "bad3.py", "def f(:", "exits.py", "import sys; sys.exit(0)", "my-mod.py", "",
		"pipe.py", "import os, time\nr, w = os.pipe(); os.close(r)\ntry: os.write(w, b'x')\nexcept BrokenPipeError: time.sleep(0.2)\ndef f(x): return x")
	if err := os.Symlink("gone/out", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args   []string
		stdin  string
		code   int
		stdout string
		words  []string
	}{
		"in order":                   {[]string{"fn.py:same", "--workers", "8"}, numbers(3000), 0, numbers(3000), nil},
		"in order, slow ones first":  {[]string{"fn.py:late", "--workers", "8"}, numbers(20), 0, numbers(20), nil},
		"in own-GIL interpreters":    {[]string{"fn.py:same", "--interpreters", "3"}, numbers(3000), 0, numbers(3000), nil},
		"a method":                   {[]string{"fn.py:C.m"}, "1\n", 0, "[1]\n", nil},
		"a module of the library":    {[]string{"math:sqrt"}, "4\n", 0, "2.0\n", nil},
		"values stay exact":          {[]string{"fn.py:same"}, "123456789012345678901234567890\n-0.0\n1.5e300\n\"é\\ud800\\u0000\"\n{\"b\":1,\"a\":null}\n", 0, "123456789012345678901234567890\n-0.0\n1.5e+300\n\"é\\ud800\\u0000\"\n{\"b\":1,\"a\":null}\n", nil},
		"blank lines, CRLF and BOM":  {[]string{"fn.py:same"}, "\xef\xbb\xbf1\r\n\r\n  \n2", 0, "1\n2\n", nil},
		"nothing":                    {[]string{"fn.py:same"}, "", 0, "", nil},
		"several inputs":             {[]string{"fn.py:same", "--on-error", "skip", "a.jsonl", "-", "b.jsonl"}, "9", 3, "1\n2\n9\n3\n5\n", []string{"b.jsonl line 2 skipped: the line is not UTF-8: byte 0xff at column 2"}},
		"stop":                       {[]string{"fn.py:odd"}, numbers(9), 1, "1\n", []string{"stdin line 2: ValueError: 2 is even; use --on-error", "in odd"}},
		"stop at bad JSON":           {[]string{"fn.py:same"}, "1\n\n{\n", 1, "1\n", []string{"stdin line 3: the line is not JSON: Expecting property name"}},
		"NaN is not JSON":            {[]string{"fn.py:same"}, "NaN\n", 1, "", []string{"NaN is not JSON"}},
		"skip":                       {[]string{"fn.py:odd", "--on-error", "skip"}, numbers(30), 3, "1\n3\n5\n7\n9\n11\n13\n15\n17\n19\n21\n23\n25\n27\n29\n", []string{"stdin line 20 skipped", "more records are skipped"}},
		"record":                     {[]string{"fn.py:odd", "--on-error", "record"}, "1\nx\n3\n", 3, "1\n{\"line\":2,\"error\":\"the line is not JSON: Expecting value at column 1\",\"traceback\":\"\"}\n3\n", nil},
		"sys.exit is an error":       {[]string{"fn.py:leave"}, numbers(5), 1, "1\n2\n", []string{"stdin line 3: SystemExit: 3"}},
		"sys.exit is skipped":        {[]string{"fn.py:leave", "--on-error", "skip"}, numbers(5), 3, "1\n2\n4\n5\n", []string{"SystemExit: 3"}},
		"a BaseException":            {[]string{"fn.py:base"}, "1\n", 1, "", []string{"Base: b"}},
		"an exception without text":  {[]string{"fn.py:text"}, "1\n", 1, "", []string{"stdin line 1: ", "Bad"}},
		"a result that is no JSON":   {[]string{"fn.py:collect"}, "2\n1\n", 1, "2\n", []string{"gilt: stdin line 2: what the function returned is not JSON: Object of type set is not JSON serializable; use --on-error skip or record to go on\n"}},
		"such a result is recorded":  {[]string{"fn.py:collect", "--on-error", "record"}, "1\n2\n", 3, "{\"line\":1,\"error\":\"what the function returned is not JSON: Object of type set is not JSON serializable\",\"traceback\":\"\"}\n2\n", nil},
		"nor is NaN":                 {[]string{"fn.py:nojson"}, "1\n", 1, "", []string{"gilt: stdin line 1: what the function returned is not JSON: Out of range float values are not JSON compliant"}},
		"nor is a cycle":             {[]string{"fn.py:nojson"}, "2\n", 1, "", []string{"gilt: stdin line 1: what the function returned is not JSON: it holds itself, or is nested too deeply"}},
		"what is printed":            {[]string{"fn.py:report"}, "1\n", 0, "1\n", []string{"hello"}},
		"a record that is too long":  {[]string{"fn.py:same", "--max-record", "1KiB"}, "1\n\"" + strings.Repeat("x", 1<<20) + "\"\n3\n", 1, "1\n", []string{"stdin line 2: the line is longer than 1KiB; raise --max-record"}},
		"too long, and skipped":      {[]string{"fn.py:same", "--max-record", "1KiB", "--on-error", "skip"}, "1\n\"" + strings.Repeat("x", 1<<20) + "\"\n3\n", 3, "1\n3\n", []string{"line 2 skipped"}},
		"function missing":           {[]string{"fn.py:nosuch"}, "1\n", 1, "", []string{"fn.py has no nosuch; it has same, odd"}},
		"not a function":             {[]string{"fn.py:number"}, "1\n", 1, "", []string{"number of", "is not a function but int"}},
		"async":                      {[]string{"fn.py:coroutine"}, "1\n", 1, "", []string{"is an async function"}},
		"a broken pipe at import":    {[]string{"pipe.py:f"}, "1\n", 0, "1\n", nil},
		"raises at import":           {[]string{"bad.py:f"}, "1\n", 1, "", []string{"module bad raised when it was imported: ZeroDivisionError", "bad.py\", line 1"}},
		"imports what is missing":    {[]string{"bad2.py:f"}, "1\n", 1, "", []string{"No module named 'nosuchmodule'; install it for"}},
		"syntax error":               {[]string{"bad3.py:f"}, "1\n", 1, "", []string{"SyntaxError"}},
		"exits at import":            {[]string{"exits.py:f"}, "1\n", 1, "", []string{"SystemExit: 0"}},
		"module missing":             {[]string{"nosuch:f"}, "1\n", 1, "", []string{"there is no module nosuch"}},
		"hides the standard library": {[]string{"json.py:f"}, "1\n", 1, "", []string{"rename the file"}},
		"no identifier":              {[]string{"my-mod.py:f"}, "1\n", 2, "", []string{"must be a Python identifier"}},
		"input missing":              {[]string{"fn.py:same", "a.jsonl", "nosuch.jsonl"}, "", 1, "", []string{"input nosuch.jsonl cannot be read: no such file"}},
		"input is a directory":       {[]string{"fn.py:same", "."}, "", 1, "", []string{"input . is a directory"}},
		"output in /proc":            {[]string{"fn.py:same", "-o", "/proc/x"}, "1\n", 1, "", []string{"output /proc/x cannot be written"}},
		"output directory read-only": {[]string{"fn.py:same", "-o", unwritable + "/x"}, "1\n", 1, "", []string{"output " + unwritable + "/x cannot be written"}},
		"output through a dead link": {[]string{"fn.py:same", "-o", "link"}, "1\n", 1, "", []string{"output link is a link to gone/out, which does not exist: make that file first, or name another one"}},
		"output directory missing":   {[]string{"fn.py:same", "-o", "no/such"}, "", 1, "", []string{"there is no directory no; make it first"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			last := &c.args[len(c.args)-1]
			if strings.HasPrefix(*last, "/proc/") {
				needsLinux(t)
			}
			if strings.HasPrefix(*last, unwritable) {
				dir := readOnly(t)
				*last, c.words[0] = strings.Replace(*last, unwritable, dir, 1), strings.Replace(c.words[0], unwritable, dir, 1)
			}
			if slices.Contains(c.args, "--interpreters") && minor(t) < 12 {
				t.Skip("interpreters with their own GIL came with CPython 3.12")
			}
			got := run(t, setting{dir: dir, stdin: c.stdin}, append([]string{"map", "--quiet", "--func"}, c.args...)...)
			got.want(t, c.code, c.stdout, c.words...)
			if strings.Contains(got.stderr, "_gilt_map") {
				t.Errorf("a traceback in gilt's own file:\n%s", got.stderr)
			}
		})
	}
}

// The errors of flags that this Python cannot follow name the flags.
func TestMapNamesItsFlags(t *testing.T) {
	t.Parallel()
	dir := files(t, "fn.py", functions)
	run(t, setting{dir: dir}, "map", "-f", "fn.py:same", "--python", "/nonexistent").
		want(t, 1, "", "gilt: /nonexistent (from --python) does not exist")
	old := oldPython(t)
	got := run(t, setting{dir: dir, env: []string{"GILT_PYTHON=" + old}, stdin: "1\n"}, "map", "-f", "fn.py:same", "--interpreters", "2")
	got.want(t, 1, "", "gilt: --interpreters 2 needs CPython 3.12 or later, and ", ": leave --interpreters out, or name another Python with --python\n")
}

// oldPython is a Python that cannot make interpreters with their own GIL.
func oldPython(t *testing.T) string {
	t.Helper()
	for _, choice := range []string{testPython(), "python3.11", "python3.10"} {
		p, err := discover.Find(t.Context(), discover.Options{Python: cmp.Or(choice, discover.Bundled)})
		if err == nil && p.Minor < 12 {
			return p.Executable
		}
	}
	t.Skip("needs a CPython 3.10 or 3.11: put python3.11 on PATH, or name one in GILT_TEST_PYTHON")
	return ""
}

func TestMapUnordered(t *testing.T) {
	t.Parallel()
	dir := files(t, "fn.py", functions)
	got := run(t, setting{dir: dir, stdin: numbers(50)}, "map", "-f", "fn.py:late", "--unordered", "--workers", "6")
	seen := map[string]bool{}
	for line := range strings.Lines(got.stdout) {
		seen[line] = true
	}
	if got.code != 0 || len(seen) != 50 || strings.Count(got.stdout, "\n") != 50 || !strings.Contains(got.stderr, "gilt map: 50 records, 0 errors, ") {
		t.Errorf("exit code %d, %d lines, stderr %s", got.code, len(seen), got.stderr)
	}
}

func TestMapErrorsAreRecorded(t *testing.T) {
	t.Parallel()
	dir := files(t, "fn.py", functions, "in.jsonl", "1\n2\n3\n")
	got := run(t, setting{dir: dir}, "map", "-q", "-f", "fn.py:odd", "--on-error", "record", "in.jsonl")
	lines := strings.Split(got.stdout, "\n")
	var e recordError
	if err := json.Unmarshal([]byte(lines[1]), &e); err != nil || got.code != 3 || len(lines) != 4 {
		t.Fatalf("%v, exit code %d: %s%s", err, got.code, got.stdout, got.stderr)
	}
	if e.Line != 2 || e.File != "in.jsonl" || e.Message != "ValueError: 2 is even" || !strings.Contains(e.Traceback, "in odd\n") || strings.Contains(e.Traceback, "_gilt_map") {
		t.Errorf("%+v", e)
	}
}

func TestMapOutputFile(t *testing.T) {
	t.Parallel()
	read := func(t *testing.T, dir string) map[string]string {
		t.Helper()
		all := map[string]string{}
		found, _ := filepath.Glob(filepath.Join(dir, "out*"))
		for _, f := range found {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			all[filepath.Base(f)] = string(b)
		}
		return all
	}
	for name, c := range map[string]struct {
		function, before string
		code             int
		want             map[string]string
	}{
		"appears when whole":         {"same", "", 0, map[string]string{"out": "1\n2\n3\n"}},
		"replaces":                   {"same", "old", 0, map[string]string{"out": "1\n2\n3\n"}},
		"is not touched by failure":  {"leave", "old", 1, map[string]string{"out": "old", "out.partial": "1\n2\n"}},
		"leaves nothing for nothing": {"collect", "old", 1, map[string]string{"out": "old"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := files(t, "fn.py", functions)
			if c.before != "" {
				if err := os.WriteFile(filepath.Join(dir, "out"), []byte(c.before), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got := run(t, setting{dir: dir, stdin: numbers(3)}, "map", "-q", "-f", "fn.py:"+c.function, "-o", "out")
			if files := read(t, dir); got.code != c.code || fmt.Sprint(files) != fmt.Sprint(c.want) {
				t.Errorf("exit code %d, files %v, want %v; stderr %s", got.code, files, c.want, got.stderr)
			}
			if info, err := os.Stat(filepath.Join(dir, "out")); c.before != "" && (err != nil || info.Mode().Perm() != 0o600) {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
		})
	}
}

func TestMapIsInterrupted(t *testing.T) {
	t.Parallel()
	dir := files(t, "fn.py", functions, "in.jsonl", numbers(1000))
	for name, c := range map[string]struct {
		function string
		args     []string
	}{
		"between slow records": {"slow", []string{"in.jsonl"}},
		"with several workers": {"slow", []string{"--workers", "4", "in.jsonl"}},
		"in an endless call":   {"endless", []string{"in.jsonl"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := interrupted(t, setting{dir: dir, signal: syscall.SIGINT}, append([]string{"map", "-f", "fn.py:" + c.function}, c.args...)...)
			n := strings.Count(got.stdout, "\n")
			if got.code != 130 || got.stdout != numbers(n) || !strings.Contains(got.stderr, fmt.Sprintf("gilt: interrupted: %s written, up to in.jsonl line %d\n", count(int64(n), "line"), n)) {
				t.Errorf("exit code %d; stdout %q; stderr %q", got.code, got.stdout, got.stderr)
			}
		})
	}
	t.Run("while the module is imported", func(t *testing.T) {
		t.Parallel()
		dir := files(t, "slow.py", "import os, time\nos.write(1, b'ready\\n')\ntime.sleep(20)\n", "in.jsonl", "1\n")
		got := interrupted(t, setting{dir: dir, signal: syscall.SIGINT}, "map", "-f", "slow.py:f", "in.jsonl", "-o", "out")
		left, _ := filepath.Glob(filepath.Join(dir, "out*"))
		if got.code != 130 || !strings.Contains(got.stderr, "interrupted: nothing was written") || len(left) > 0 {
			t.Errorf("exit code %d, stderr %q, left %v", got.code, got.stderr, left)
		}
	})
	t.Run("while it waits for input", func(t *testing.T) {
		t.Parallel()
		cmd := command(t, setting{dir: dir}, "map", "-f", "fn.py:same")
		cmd.Stdin = nil
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := in.Write([]byte("1\n")); err != nil {
			t.Fatal(err)
		}
		line := make([]byte, 2) // the line comes while the input stays open
		if _, err := out.Read(line); err != nil || string(line) != "1\n" {
			t.Errorf("got %q, %v", line, err)
		}
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.Contains(stderr.String(), "up to stdin line 1") {
			t.Errorf("exit code %d, stderr %s", code, stderr.String())
		}
	})
}

func TestMapWithoutAReader(t *testing.T) {
	t.Parallel()
	dir := files(t, "fn.py", functions, "in.jsonl", numbers(200000))
	cmd := command(t, setting{dir: dir}, "map", "-f", "fn.py:same", "in.jsonl")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = w, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if _, err := r.Read(make([]byte, 2)); err != nil {
		t.Error(err)
	}
	r.Close()
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 141 || stderr.Len() > 0 {
		t.Errorf("exit code %d, stderr %q", code, stderr.String())
	}
}

// A record of 100 MB is refused by default, by its line, and goes through when it is allowed; the lines
// around it are not lost.
func TestMapHugeRecord(t *testing.T) {
	t.Parallel()
	dir := files(t, "fn.py", functions)
	f, err := os.Create(filepath.Join(dir, "in.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	megabyte := strings.Repeat("x", 1_000_000)
	_, err = f.WriteString("1\n\"a" + megabyte[2:])
	for range 99 {
		if err == nil {
			_, err = f.WriteString(megabyte)
		}
	}
	if err == nil {
		_, err = f.WriteString("z\"\n3\n")
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	run(t, setting{dir: dir}, "map", "-q", "-f", "fn.py:same", "in.jsonl").
		want(t, 1, "1\n", "gilt: in.jsonl line 2: the line is longer than 64MiB; raise --max-record")
	run(t, setting{dir: dir}, "map", "-q", "-f", "fn.py:same", "--on-error", "record", "in.jsonl").
		want(t, 3, "1\n{\"line\":2,\"error\":\"the line is longer than 64MiB; raise --max-record\",\"traceback\":\"\",\"file\":\"in.jsonl\"}\n3\n")
	run(t, setting{dir: dir}, "map", "-q", "-f", "fn.py:ends", "--max-record", "128MiB", "in.jsonl").
		want(t, 0, "1\n[100000000,\"ax\",\"xz\"]\n3\n")
}

// Many small lines, some of which fail, in batches of many sizes: nothing is lost or moved.
func TestMapLosesNothing(t *testing.T) {
	t.Parallel()
	dir := files(t, "fn.py", functions)
	const n = 20000
	var want strings.Builder
	for i := 1; i <= n; i += 2 {
		fmt.Fprintln(&want, i)
	}
	for _, more := range [][]string{{"--workers", "1"}, {"--workers", "5"}, {"--interpreters", "2"}} {
		if more[0] == "--interpreters" && minor(t) < 12 {
			continue // they came with CPython 3.12
		}
		got := run(t, setting{dir: dir, stdin: numbers(n)}, append([]string{"map", "-f", "fn.py:odd", "--on-error", "skip"}, more...)...)
		if got.code != 3 || got.stdout != want.String() || !strings.Contains(got.stderr, fmt.Sprintf("%d records, %d errors", n, n/2)) {
			t.Errorf("%v: exit code %d, %d bytes of output, want %d; stderr %s", more, got.code, len(got.stdout), want.Len(), got.stderr)
		}
	}
}
