package gilt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// forks runs code in a child made by fork, and gives how it ended and what it raised.
const forks = `
import os, select, signal, sys, time, warnings
warnings.simplefilter('ignore') # of other threads, which fork leaves behind

def wait(pid):
    "The exit status: 'hangs' after half a minute."
    for _ in range(30000):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done: return str(os.waitstatus_to_exitcode(status))
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return 'hangs'

def forked(body):
    "What body, run in a child that ends by os._exit, raises."
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = 'nothing'
        try:
            exec(body, {'state': state})
        except BaseException as e:
            said = f'{type(e).__name__}: {e}'
        os.write(w, said.encode())
        os._exit(7)
    os.close(w)
    code = wait(pid)
    said = os.read(r, 10000).decode()
    os.close(r)
    return f'{code} {said}'

def ends(body):
    "How a child ends that runs on to wherever this goes."
    pid = os.fork()
    if pid == 0:
        exec(body)
        return 'the child is back'
    return wait(pid)

def process(body):
    import multiprocessing
    p = multiprocessing.get_context('fork').Process(target=exec, args=(body,))
    p.start()
    p.join(30)
    if p.exitcode is None:
        p.kill()
        return 'hangs'
    return str(p.exitcode)

def terminated(number):
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(w, b'ready')
        try:
            while True: time.sleep(1)
        except KeyboardInterrupt:
            os._exit(9)
    os.read(r, 5)
    os.kill(pid, number)
    return wait(pid)

def evaluated(source, body):
    names = {'body': body}
    exec(source, names)
    return names['got']

class State: pass
state = State()
`

// What a child gets that asks for something of Go's, or ends in some way.
var forkedCases = []struct{ name, body, want string }{
	{"nothing of Go's", "sum(range(1000))", "7 nothing"},
	{"a Go function", "import host; host.plain(1)", "7 RuntimeError: plain(): a child made by fork cannot call Go"},
	{"with a signature", "import host; host.named(x=1)", "7 RuntimeError: named(): a child made by fork"},
	{"native", "import host; host.native(1)", "7 RuntimeError: native(): a child made by fork"},
	{"async", "import asyncio, host\nasync def f(): await host.later(1)\nasyncio.run(f())", "7 RuntimeError: "},
	{"a thread", "import threading, host\ndef f():\n    try: host.plain(1)\n    except RuntimeError as e: got.append(str(e))\ngot = []\nt = threading.Thread(target=f); t.start(); t.join()\nraise ValueError(*got)", "7 ValueError: plain(): a child made by fork"},
	{"a reader", "state.reader.read(10)", "7 RuntimeError: read(): a child made by fork"},
	{"an iterator", "next(state.iterator)", "7 RuntimeError: next(): a child made by fork"},
	{"a Go function goes", "import gc; del state.reader, state.iterator, state.function; gc.collect()", "7 nothing"},
	{"an error of Go's goes", "import gc; del state.error; gc.collect()", "7 nothing"},
	{"__del__", "import host\nclass C:\n    def __del__(self): host.plain(1)\nC()", "7 nothing"},
	{"stdout", "print('printed by a child', flush=True)", "7 nothing"},
	{"stdout of old", "state.stdout.write('written by a child\\n')", "7 nothing"},
	{"stderr", "import sys; print('complained by a child', file=sys.stderr)", "7 nothing"},
	{"logging", "import logging; logging.getLogger('x').warning('logged by a child'); logging.info('said by a child')", "7 nothing"},
	{"a warning", "import warnings; warnings.simplefilter('always'); warnings.warn('warned by a child')", "7 nothing"},
	{"an import", "import lazy", "7 ModuleNotFoundError: No module named 'lazy'"},
	{"an import of a package", "import pack.other", "7 ImportError: pack.other: a child made by fork cannot import from a Go file system"},
	{"a file", "import importlib.resources as r, pack; r.files(pack).joinpath('data.txt').read_text()", "7 OSError: "},
	{"a traceback", "import pack, traceback\ntry: pack.fails()\nexcept ValueError: traceback.format_exc()", "7 nothing"},
	{"a module that is missing", "try: import no_such_module\nexcept ImportError: pass", "7 nothing"},
	{"a child of the child", "import os\npid = os.fork()\nif pid == 0:\n    import host\n    try: host.plain(1)\n    except RuntimeError: os._exit(3)\nassert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3", "7 nothing"},
	{"a program", "import subprocess, sys; assert subprocess.check_output(['echo', 'x'], preexec_fn=lambda: None) == b'x\\n'", "7 nothing"},
}

var endedCases = []struct{ name, body, want string }{
	{"runs to its end", "pass", "0"},
	{"sys.exit", "import sys; sys.exit()", "0"},
	{"sys.exit with a number", "import sys; sys.exit(3)", "3"},
	{"sys.exit with a text", "import sys; sys.exit('told by a child')", "1"},
	{"os._exit", "import os; os._exit(5)", "5"},
	{"an exception", "raise ValueError('raised by a child')", "1"},
	{"exit functions", "import atexit, os; atexit.register(os.write, 1, b'atexit of a child\\n')", "0"},
	{"exit of a thread", "import threading, os, time; threading.Thread(target=lambda: (time.sleep(0.05), os.write(1, b'thread of a child\\n'))).start()", "0"},
}

// A child made by fork has no thread of Go's but the one that forked: whatever it asks of Go is an error, and it ends where its
// Python code does.
func TestFork(t *testing.T) {
	out := pytest.Child(t, "forks")
	for _, want := range []string{"printed by a child\n", "written by a child\n", "atexit of a child\n", "thread of a child\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q on stdout: %q", want, out)
		}
	}
}

// A child ends though another thread had threading's own lock at the fork, for which the state asks of a thread that Python did not start.
func TestForkWhileThreadingIsLocked(t *testing.T) {
	if err := pytest.Runtime().Do(ctx, func(tok *gilt.Token) error {
		return py.Run(tok, forks+`
import _thread, threading
ready, end = threading.Semaphore(0), threading.Event()
def dummy():
    threading.current_thread()
    ready.release()
    end.wait()
def locked():
    with threading._active_limbo_lock:
        ready.release()
        time.sleep(0.05) # it has the lock when the fork begins
for f in dummy, locked:
    _thread.start_new_thread(f, ())
    ready.acquire()
pid = os.fork()
if pid == 0: os._exit(5)
end.set()
got = wait(pid)
assert got == '5', got
assert threading._active_limbo_lock.acquire(False)
threading._active_limbo_lock.release()
`)
	}); err != nil {
		t.Error(err)
	}
}

// With interpreters that have a GIL of their own, CPython's child crashes, so there is none.
func TestFork_OwnGIL(t *testing.T) {
	pytest.NeedOwnGIL(t)
	pytest.Child(t, "forks own GIL")
}

func forksOwnGIL() error {
	rt, err := gilt.Open(ctx, gilt.Config{Mode: gilt.OwnGIL, Interpreters: 2})
	if err != nil {
		return err
	}
	for _, do := range []func(context.Context, func(*gilt.Token) error) error{rt.Do, rt.OnMain} {
		err = errors.Join(err, do(ctx, func(tok *gilt.Token) error {
			return py.Run(tok, `
import os, subprocess
for f in os.fork, os.forkpty:
    try: f()
    except RuntimeError: pass
    else: os._exit(77)
assert subprocess.check_output(['echo', 'x']) == b'x\n'
`)
		}))
	}
	return errors.Join(err, rt.Shutdown(ctx))
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func forkChildren() error {
	var out, logged buffer
	rt, err := gilt.Open(ctx, forkConfig(&out, &logged))
	if err != nil {
		return err
	}
	if err := rt.Do(ctx, prepareForks); err != nil {
		return err
	}
	call := func(f string, args ...any) (got string, err error) {
		err = rt.Do(ctx, func(tok *gilt.Token) error {
			m, err := py.Import(tok, "forks")
			if err == nil {
				got, err = py.MethodAs[string](m, f, args...)
			}
			return err
		})
		return got, err
	}
	var wrong []error
	check := func(how, name, got, want string, err error) {
		if err != nil || !strings.HasPrefix(got, want) || strings.HasPrefix(got, "hangs") {
			wrong = append(wrong, fmt.Errorf("%s, %s: %q %w, want %q", how, name, got, err, want))
		}
	}
	for _, c := range forkedCases {
		got, err := call("forked", c.body)
		check("forked", c.name, got, c.want, err)
	}
	for how, run := range waysToEnd(rt, call) {
		for _, c := range endedCases {
			got, err := run(c.body)
			check(how, c.name, got, c.want, err)
		}
	}
	for _, c := range []struct{ body, want string }{{"pass", "0"}, {"import host; host.plain(1)", "1"}, {"import sys; sys.exit(4)", "4"}} {
		got, err := call("process", c.body)
		check("multiprocessing", c.body, got, c.want, err)
	}
	for number, want := range map[int]string{15: "-15", 1: "-1", 2: "-2", 9: "-9"} {
		got, err := call("terminated", number)
		check("signal", fmt.Sprint(number), got, want, err)
	}
	if s := out.String() + logged.String(); strings.Contains(s, "child") {
		wrong = append(wrong, fmt.Errorf("the parent's Go side got %q", s))
	}
	if err := rt.Do(ctx, func(tok *gilt.Token) error { // the parent goes on as before
		return py.Run(tok, "import host, lazy, forks\nassert host.plain(1) == 2 and lazy.X == 1 and len(forks.state.reader.read(10)) == 10\nprint('parent')")
	}); err != nil || !strings.Contains(out.String(), "parent\n") {
		wrong = append(wrong, fmt.Errorf("the parent: %q %w", out.String(), err))
	}
	return errors.Join(append(wrong, rt.Shutdown(ctx))...)
}

func forkConfig(out, logged *buffer) gilt.Config {
	return gilt.Config{
		Stdout: out, Logger: slog.New(slog.NewTextHandler(logged, nil)),
		FS: []fs.FS{fstest.MapFS{
			"lazy.py": {Data: []byte("X = 1\n")}, "pack/__init__.py": {Data: []byte("def fails(): raise ValueError\n")},
			"pack/other.py": {}, "pack/data.txt": {Data: []byte("data")},
		}},
		Modules: []gilt.GoModule{{Name: "host", Funcs: []gilt.GoFunc{
			{Name: "plain", Func: func(x int) int { return x + 1 }},
			{Name: "named", Signature: "(x)", Func: func(x int) int { return x + 1 }},
			{Name: "native", Native: true, Func: func(x int) int { return x + 1 }},
			{Name: "later", Async: true, Func: func(x int) int { return x + 1 }},
			{Name: "fails", Func: func() error { return errors.New("a Go error") }},
			{Name: "calls", Func: func(tok *gilt.Token, f, body string) (string, error) {
				m, err := py.Import(tok, "forks")
				if err != nil {
					return "", err
				}
				return py.MethodAs[string](m, f, body)
			}},
		}}},
	}
}

func prepareForks(tok *gilt.Token) error {
	m, err := py.ImportSource(tok, "forks", forks)
	if err != nil {
		return err
	}
	state, err := m.Attr("state")
	if err != nil {
		return err
	}
	reader, err := py.FromReader(tok, bytes.NewReader(make([]byte, 1<<20)))
	if err != nil {
		return err
	}
	iterator, err := py.FromChan(tok, make(chan int))
	if err != nil {
		return err
	}
	function, err := py.NewFunction(tok, gilt.GoFunc{Name: "f", Func: func() {}})
	if err != nil {
		return err
	}
	return errors.Join(state.SetAttr("reader", reader), state.SetAttr("iterator", iterator), state.SetAttr("function", function),
		py.Run(tok, "import forks, host, pack, sys\nforks.state.stdout = sys.stdout\ntry: host.fails()\nexcept Exception as e: forks.state.error = e"))
}

// waysToEnd are the ways by which a child's Python code goes back to Go.
func waysToEnd(rt *gilt.Runtime, call func(string, ...any) (string, error)) map[string]func(string) (string, error) {
	ways := map[string]func(string) (string, error){
		"an operation": func(body string) (string, error) { return call("ends", body) },
		"inside callback": func(body string) (string, error) {
			return call("evaluated", "import host; got = host.calls('ends', body)", body)
		},
	}
	ways["a prepared function"] = func(body string) (string, error) {
		f, err := gilt.Lookup[string, string](ctx, rt, "forks:ends")
		if err != nil {
			return "", err
		}
		return f.Call(ctx, body)
	}
	ways["a batch"] = func(body string) (string, error) {
		f, err := gilt.Lookup[string, string](ctx, rt, "forks:ends")
		if err != nil {
			return "", err
		}
		got, errs := f.Batch(ctx, []string{body, "import os; os._exit(99)"})
		if len(errs) != 0 || got[1] != "99" {
			return fmt.Sprint(got), errors.Join(errs...)
		}
		return got[0], nil
	}
	ways["submitted work"] = func(body string) (string, error) {
		return gilt.Submit(ctx, rt, func(tok *gilt.Token) (string, error) {
			m, err := py.Import(tok, "forks")
			if err != nil {
				return "", err
			}
			return py.MethodAs[string](m, "ends", body)
		}).Wait(ctx)
	}
	return ways
}
