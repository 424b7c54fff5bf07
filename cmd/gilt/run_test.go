package main

import (
	"debug/elf"
	endian "encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
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
		"original.py", "import sys; print(sys.orig_argv[1:], sys.argv[1:])",
		"chain.py", "try: 1/0\nexcept ZeroDivisionError as e: raise KeyError('k') from e\n",
		"deep.py", "def f(): f()\nf()\n",
		"children.py", `import multiprocessing as mp
def square(x): return x*x
if __name__ == "__main__":
    for m in ("fork", "spawn", "forkserver"):
        with mp.get_context(m).Pool(1) as p: print(m, p.map(square, range(3)))
`,
		"forked.py", `import os, sys, warnings
warnings.simplefilter("ignore")  # python3 has one thread
def ended(child):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0: child()
    return pid == 0 or print(child, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
def fails(): raise ValueError("in the child")
def leaves(): sys.exit(3)
def says(): sys.exit("said by the child")
def prints(): print("printed by the child")
for child in fails, leaves, says, prints:
    if ended(child): break  # and the child runs on to the end
print("the end")
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
		"arguments of a module": {"-m", "original", "a", "-b"},
		"arguments of code":     {"-c", "import sys; print(sys.orig_argv[1:])", "a", "-m"},
		"arguments of a script": {"original.py", "a", "-c"},
		"indented code":         {"-c", "\n   if 1:\n     print('''a\n  \n     b''')\n   print(2)\n"},
		"code with odd indents": {"-c", "  print(1)\n\tprint(2)"},
		"children of os.fork":   {"forked.py"},
		"code":                  {"-c", "import sys; print(sys.argv, repr(sys.path[0])); 1/0", "a", "-b"},
		"code that is broken":   {"-c", "def f(: pass"},
		"stdin":                 {"-", "a"},
		"stdin, without FILE":   {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setting{dir: dir, stdin: "import sys; print(sys.argv, sys.orig_argv[1:], repr(sys.path[0]), '__file__' in globals())"}
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

// bySIGINT stands for a process that a signal has ended: its exit code for package os.
const bySIGINT = -1

// A program's signals come as under python3, and its children have their masks and limits.
func TestRunSignals(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]string{
		"to itself": `
missed, got = 0, []
signal.signal(signal.SIGUSR1, lambda *_: got.append(1))
for i in range(1000):
    os.kill(os.getpid(), signal.SIGUSR1)
    missed += len(got) <= i
print("late:", missed, threading.get_native_id() == os.getpid())`,
		"pause": `
got = []
signal.signal(signal.SIGALRM, lambda *_: got.append(1))
for i in range(20):
    signal.setitimer(signal.ITIMER_REAL, .01)
    signal.pause()
    print(len(got) == i + 1)`,
		"blocked": `
for s in signal.SIGUSR1, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP:
    signal.pthread_sigmask(signal.SIG_BLOCK, [s])
    os.kill(os.getpid(), s)
    print(s in signal.sigpending(), signal.sigwait([s]) == s)`,
		"no descriptor of gilt's": `print(signal.set_wakeup_fd(-1))`,
		"masks":                   `threading.Thread(target=lambda: print(signal.pthread_sigmask(signal.SIG_BLOCK, []), subprocess.run(["grep", "SigBlk", "/proc/self/status"], capture_output=True).stdout)).start()`,
		"limit of open files":     `print(subprocess.run("ulimit -S -n", shell=True, capture_output=True).stdout, resource.getrlimit(resource.RLIMIT_NOFILE))`,
		"uncaught Ctrl-C":         `os.kill(os.getpid(), signal.SIGINT); time.sleep(10)`,
		"fault":                   `signal.signal(signal.SIGINT, signal.SIG_IGN); import ctypes; ctypes.string_at(0)`,
		"abort":                   `os.abort()`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "masks" {
				needsLinux(t)
			}
			python := childPython(t)
			args := []string{"-c", "import os, resource, signal, subprocess, threading, time\n" + code}
			ours := command(t, setting{}, append([]string{"run"}, args...)...)
			theirs := command(t, setting{}, args...)
			theirs.Path, theirs.Args[0] = python.Executable, python.Executable
			a, _ := ours.Output()
			b, _ := theirs.Output()
			if got, want := ours.ProcessState.String(), theirs.ProcessState.String(); got != want || string(a) != string(b) {
				t.Errorf("%s and %q; python3 %s and %q", got, a, want, b)
			}
		})
	}
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
		"in sleep":      {"import time\n" + ready + "time.sleep(20)", os.Interrupt, bySIGINT, "ready\n", "KeyboardInterrupt\n"},
		"in a loop":     {ready + "while True: pass", os.Interrupt, bySIGINT, "ready\n", "KeyboardInterrupt\n"},
		"in input":      {ready + "input()", os.Interrupt, bySIGINT, "ready\n", "KeyboardInterrupt\n"},
		"at a lock":     {"import threading\nl=threading.Lock(); l.acquire()\n" + ready + "l.acquire()", os.Interrupt, bySIGINT, "ready\n", "KeyboardInterrupt\n"},
		"and caught":    {"import time, sys\ntry:\n  " + ready + "  time.sleep(20)\nexcept KeyboardInterrupt: print('caught'); sys.exit(4)", os.Interrupt, 4, "ready\ncaught\n", ""},
		"in asyncio":    {"import asyncio\nasync def m():\n  " + ready + "  await asyncio.sleep(20)\nasyncio.run(m())", os.Interrupt, bySIGINT, "ready\n", "KeyboardInterrupt\n"},
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

// The bundled Python goes into an empty cache directory, once.
func TestEmptyCache(t *testing.T) {
	t.Parallel()
	s := setting{env: []string{"GILT_PYTHON=bundled", "GILT_CACHE_DIR=" + t.TempDir()}}
	for range 2 {
		got := run(t, s, "run", "-c", "import sys; print(sys.prefix)")
		got.want(t, 0, got.stdout)
		if dir := strings.TrimPrefix(s.env[1], "GILT_CACHE_DIR="); !strings.HasPrefix(got.stdout, dir) {
			t.Errorf("the prefix is %q, not in %s", got.stdout, dir)
		}
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

// foreignLibrary is a libpython for another architecture: what can be told from its header.
func foreignLibrary(t *testing.T) (path, architecture string) {
	t.Helper()
	machine, architecture := elf.EM_AARCH64, "arm64"
	if runtime.GOARCH == architecture {
		machine, architecture = elf.EM_X86_64, "amd64"
	}
	h := elf.Header64{Type: uint16(elf.ET_DYN), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Ehsize: 64, Phentsize: 56, Shentsize: 64}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)
	var b strings.Builder
	if err := endian.Write(&b, endian.LittleEndian, h); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(files(t, "libpython3.12.so.1.0", b.String()), "libpython3.12.so.1.0"), architecture
}

// staticPython answers as a python3 that was built without a shared library.
func staticPython(t *testing.T) string {
	t.Helper()
	dir := files(t, "bin/python3", `#!/bin/sh
echo 'gilt-python:{"implementation": "cpython", "version": "3.12.1", "info": [3, 12, 1], "executable": "/nonexistent/bin/python3",
"base_prefix": "/nonexistent", "base_exec_prefix": "/nonexistent", "libdir": "/nonexistent/lib", "ldlibrary": "libpython3.12.a", "instsoname": "libpython3.12.a"}' | tr -d '\n'
`)
	path := filepath.Join(dir, "bin", "python3")
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// unwritable stands in a table for readOnly, which only a test can give.
const unwritable = "READ-ONLY"

// readOnly is a directory in which this user cannot make a file. Modes do not stop root, but /sys does where it is
// mounted. The test is skipped where neither is there.
func readOnly(t *testing.T) string {
	t.Helper()
	own := t.TempDir()
	if err := os.Chmod(own, 0o500); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{own, "/sys"} {
		f, err := os.CreateTemp(dir, "")
		if err == nil {
			f.Close()
			os.Remove(f.Name())
		} else if _, err := os.Stat(dir); err == nil {
			return dir
		}
	}
	t.Skip("this user may write everywhere: modes do not stop root, and /sys is not mounted")
	return ""
}

// needsLinux skips a test of a file that only Linux has, or loads.
func needsLinux(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("it needs /proc or ELF, and this is " + runtime.GOOS)
	}
}

func TestNoPython(t *testing.T) {
	t.Parallel()
	dir := files(t, "fn.py", "def f(x): return x\n", "text", "not a Python\n", "libpython3.12.so", "not a library\n")
	foreign, foreignName := foreignLibrary(t)
	for name, c := range map[string]struct{ env, words string }{
		"does not exist":                    {"GILT_PYTHON=/nonexistent", "/nonexistent (from GILT_PYTHON) does not exist"},
		"is no interpreter":                 {"GILT_PYTHON=" + filepath.Join(dir, "text"), "is not executable"},
		"is no library":                     {"GILT_PYTHON=" + filepath.Join(dir, "libpython3.12.so"), "libpython3.12.so (from GILT_PYTHON)"},
		"a library of another architecture": {"GILT_PYTHON=" + foreign, "libpython3.12.so.1.0 (from GILT_PYTHON) is built for " + foreignName},
		"a static python3":                  {"GILT_PYTHON=" + staticPython(t), "is statically linked and has no shared libpython3.12"},
		"cache is read-only":                {"GILT_PYTHON=bundled GILT_CACHE_DIR=" + unwritable + "/cache", "cannot be written"},
		"cache is no folder":                {"GILT_PYTHON=bundled GILT_CACHE_DIR=" + filepath.Join(dir, "text", "x"), "set GILT_CACHE_DIR to a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(c.env, foreign) {
				needsLinux(t)
			}
			if strings.Contains(c.env, unwritable) {
				c.env = strings.ReplaceAll(c.env, unwritable, readOnly(t))
			}
			s := setting{dir: dir, env: strings.Fields(c.env), stdin: "1\n"}
			out := "out " + name // the others' are in the same directory
			for _, args := range [][]string{{"run", "-c", "1"}, {"map", "-f", "fn.py:f", "-o", out}, {"doctor"}} {
				got := run(t, s, args...)
				if got.code != 1 || !strings.Contains(got.stderr, c.words) || strings.Count(got.stderr, "\n") != 1 {
					t.Errorf("%s: exit code %d, stderr %q; want %q", args[0], got.code, got.stderr, c.words)
				}
			}
			if left, _ := filepath.Glob(filepath.Join(dir, out+"*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}
