package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// What python3 itself prints, returns and exits with is the reference.
func TestRunIsAsPython3(t *testing.T) {
	t.Parallel()
	dir := files(t,
		"main.py", `import sys, inspect, threading, atexit
print(__name__, __file__, sys.argv, sys.path[0], __spec__, __package__, type(__loader__).__name__)
print([f.function for f in inspect.stack()], threading.main_thread() is threading.current_thread())
atexit.register(lambda: print("bye"))
threading.Thread(target=lambda: (__import__('time').sleep(.1), print("thread"))).start()
def f(): g()
def g(): raise ValueError("boom")
f()
`,
		"exit.py", `import sys; sys.stdout.write("no newline"); sys.exit(int(sys.argv[1]))`,
		"text.py", `raise SystemExit("bad thing")`,
		"none.py", `raise SystemExit`,
		"hook.py", "import sys\ndef hook(*a): print('hook', a[0])\nsys.excepthook = hook\n1/0\n",
		"hook2.py", "import sys\ndef hook(*a): raise KeyError(1)\nsys.excepthook = hook\n1/0\n",
		"syntax.py", "x = (1\nprint(2\n",
		"nul.py", "x = 1\x00\n",
		"latin.py", "# -*- coding: latin-1 -*-\nprint('s\xe9')\n",
		"bom.py", "\xef\xbb\xbfprint('bom')\r\n",
		"signals.py", "import signal\nfor s in (1,2,3,6,13,14,15,17,28): print(s, signal.getsignal(s))\n",
		"pickled.py", "import pickle\nclass C: pass\nprint(type(pickle.loads(pickle.dumps(C()))))\n",
		"aio.py", "import asyncio\nasync def m():\n  await asyncio.sleep(.01)\n  raise ValueError(1)\nasyncio.run(m())\n",
		"pkg/__init__.py", "",
		"pkg/__main__.py", "import sys; print(__name__, sys.argv, sys.path[0], __package__, __file__)\n",
		"chain.py", "try: 1/0\nexcept ZeroDivisionError as e: raise KeyError('k') from e\n",
		"deep.py", "def f(): f()\nf()\n",
		"children.py", `import multiprocessing as mp
def square(x): return x*x
if __name__ == "__main__":
    for m in ("fork", "spawn", "forkserver"):
        with mp.get_context(m).Pool(1) as p: print(m, p.map(square, range(3)))
`,
	)
	if err := os.Symlink("main.py", filepath.Join(dir, "link.py")); err != nil {
		t.Fatal(err)
	}
	python := childPython(t)
	for name, args := range map[string][]string{
		"script with arguments": {"main.py", "a", "-c", "--help"},
		"path is not tidied":    {"./main.py"},
		"symbolic link":         {"link.py"},
		"exit code":             {"exit.py", "3"},
		"exit code -1":          {"exit.py", "-1"},
		"exit code 256":         {"exit.py", "256"},
		"exit with text":        {"text.py"},
		"exit without code":     {"none.py"},
		"own excepthook":        {"hook.py"},
		"excepthook that fails": {"hook2.py"},
		"syntax error":          {"syntax.py"},
		"encoding cookie":       {"latin.py"},
		"byte order mark":       {"bom.py"},
		"signal handlers":       {"signals.py"},
		"pickle of __main__":    {"pickled.py"},
		"asyncio":               {"aio.py"},
		"directory":             {"pkg", "x"},
		"module":                {"-m", "pkg", "x", "-m"},
		"module that is absent": {"-m", "nosuch"},
		"module of the library": {"-m", "json.tool", "nofile"},
		"exception chain":       {"chain.py"},
		"endless recursion":     {"deep.py"},
		"multiprocessing":       {"children.py"},
		"code":                  {"-c", "import sys; print(sys.argv, repr(sys.path[0])); 1/0", "a", "-b"},
		"code that is broken":   {"-c", "def f(: pass"},
		"stdin":                 {"-", "a"},
		"stdin, without FILE":   {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setting{dir: dir, stdin: "import sys; print(sys.argv, repr(sys.path[0]), '__file__' in globals())"}
			got := run(t, s, append([]string{"run"}, args...)...)
			cmd := command(t, s, args...)
			cmd.Path, cmd.Args[0] = python.Executable, python.Executable
			var stdout, stderr strings.Builder
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Run(); err != nil {
				if _, ok := err.(*exec.ExitError); !ok {
					t.Fatal(err)
				}
			}
			if code := cmd.ProcessState.ExitCode(); got.code != code {
				t.Errorf("exit code %d, python3 %d", got.code, code)
			}
			if a, b := plain(got.stdout), plain(stdout.String()); a != b {
				t.Errorf("stdout %q, python3 %q", a, b)
			}
			if a, b := plain(got.stderr), plain(stderr.String()); a != b {
				t.Errorf("stderr:\n%s\npython3:\n%s", a, b)
			}
		})
	}
}

var address = regexp.MustCompile(`0x[0-9a-f]+`)

// repeated counts the frames before the recursion limit: until 3.11 the exec around the program is one of them.
var repeated = regexp.MustCompile(`\[Previous line repeated \d+ more times\]`)

func plain(s string) string {
	return repeated.ReplaceAllString(address.ReplaceAllString(s, "ADDRESS"), "REPEATED")
}

func TestRunIsInterrupted(t *testing.T) {
	t.Parallel()
	const ready = "print('ready', flush=True)\n"
	for name, c := range map[string]struct {
		code   string
		signal os.Signal
		exit   int
		stdout string
		stderr string
	}{
		"in sleep":      {"import time\n" + ready + "time.sleep(20)", os.Interrupt, 130, "ready\n", "KeyboardInterrupt\n"},
		"in a loop":     {ready + "while True: pass", os.Interrupt, 130, "ready\n", "KeyboardInterrupt\n"},
		"in input":      {ready + "input()", os.Interrupt, 130, "ready\n", "KeyboardInterrupt\n"},
		"at a lock":     {"import threading\nl=threading.Lock(); l.acquire()\n" + ready + "l.acquire()", os.Interrupt, 130, "ready\n", "KeyboardInterrupt\n"},
		"and caught":    {"import time, sys\ntry:\n  " + ready + "  time.sleep(20)\nexcept KeyboardInterrupt: print('caught'); sys.exit(4)", os.Interrupt, 4, "ready\ncaught\n", ""},
		"in asyncio":    {"import asyncio\nasync def m():\n  " + ready + "  await asyncio.sleep(20)\nasyncio.run(m())", os.Interrupt, 130, "ready\n", "KeyboardInterrupt\n"},
		"own SIGTERM":   {"import time, sys, signal\nsignal.signal(signal.SIGTERM, lambda *a: sys.exit(7))\n" + ready + "time.sleep(20)", syscall.SIGTERM, 7, "ready\n", ""},
		"own alarm":     {"import time, sys, signal\nsignal.signal(signal.SIGALRM, lambda *a: sys.exit(8))\nsignal.setitimer(signal.ITIMER_REAL, .3)\n" + ready + "time.sleep(20)", syscall.Signal(0), 8, "ready\n", ""},
		"while it ends": {"import threading, time\ndef f():\n  time.sleep(.3)\n  " + ready + "  time.sleep(20)\nthreading.Thread(target=f).start()", os.Interrupt, 0, "ready\n", "KeyboardInterrupt"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := interrupted(t, setting{signal: c.signal}, "run", "-c", c.code)
			if got.code != c.exit || got.stdout != c.stdout || !strings.Contains(got.stderr, c.stderr) {
				t.Errorf("exit code %d, want %d; stdout %q; stderr %q", got.code, c.exit, got.stdout, got.stderr)
			}
		})
	}
}

func TestRunOutput(t *testing.T) {
	t.Parallel()
	t.Run("a full device is 120", func(t *testing.T) {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Skip("this system has no /dev/full")
		}
		defer full.Close()
		cmd := command(t, setting{}, "run", "-c", "print(1)")
		cmd.Stdout = full
		_ = cmd.Run()
		if code := cmd.ProcessState.ExitCode(); code != 120 {
			t.Errorf("exit code %d", code)
		}
	})
	t.Run("a forked child that exits", func(t *testing.T) {
		run(t, setting{}, "run", "-c", "import os, sys, warnings\nwarnings.simplefilter('ignore')\nif os.fork() == 0: print('child'); sys.exit(5)\nprint(os.waitstatus_to_exitcode(os.wait()[1]))").
			want(t, 0, "child\n5\n")
	})
	t.Run("os._exit", func(t *testing.T) {
		run(t, setting{}, "run", "-c", "import os; os._exit(9)").want(t, 9, "")
	})
}

func TestNoPython(t *testing.T) {
	t.Parallel()
	dir := files(t, "fn.py", "def f(x): return x\n", "text", "not a Python\n", "libpython3.12.so", "not a library\n")
	for name, c := range map[string]struct{ env, words string }{
		"does not exist":     {"GILT_PYTHON=/nonexistent", "/nonexistent (from GILT_PYTHON) does not exist"},
		"is no interpreter":  {"GILT_PYTHON=" + filepath.Join(dir, "text"), "is not executable"},
		"is no library":      {"GILT_PYTHON=" + filepath.Join(dir, "libpython3.12.so"), "libpython3.12.so (from GILT_PYTHON)"},
		"cache is no folder": {"GILT_PYTHON=bundled GILT_CACHE_DIR=" + filepath.Join(dir, "text", "x"), "set GILT_CACHE_DIR to a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setting{dir: dir, env: strings.Fields(c.env), stdin: "1\n"}
			for _, args := range [][]string{{"run", "-c", "1"}, {"map", "-f", "fn.py:f", "-o", "out"}, {"doctor"}} {
				got := run(t, s, args...)
				if got.code != 1 || !strings.Contains(got.stderr, c.words) || strings.Count(got.stderr, "\n") != 1 {
					t.Errorf("%s: exit code %d, stderr %q; want %q", args[0], got.code, got.stderr, c.words)
				}
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "out*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}
