package gilt_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// ways in which Python takes the signals of faults for itself.
var ways = []struct{ name, env, source string }{
	{"enable", "", "import faulthandler; faulthandler.enable()"},
	{"enable for one thread", "", "import faulthandler, sys; faulthandler.enable(sys.__stderr__, all_threads=False)"},
	{"PYTHONFAULTHANDLER", "PYTHONFAULTHANDLER=1", ""},
	{"PYTHONDEVMODE", "PYTHONDEVMODE=1", ""},
	{"enabled twice", "", "import faulthandler; faulthandler.enable(); faulthandler.disable(); faulthandler.enable(); faulthandler.enable()"},
	{"disabled", "PYTHONFAULTHANDLER=1", "import faulthandler; faulthandler.disable()"},
	{"signal.signal", "", "import signal\nfor s in signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE: signal.signal(s, lambda *_: None)"},
	{"the default", "", "import signal\nfor s in signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE: signal.signal(s, signal.SIG_DFL)"},
	{"ignored", "", "import signal; signal.signal(signal.SIGSEGV, signal.SIG_IGN)"},
	{"both", "PYTHONFAULTHANDLER=1", "import faulthandler, signal; signal.signal(signal.SIGSEGV, lambda *_: None); faulthandler.disable(); faulthandler.enable()"},
}

// A recovered nil dereference of Go's is a recovered panic, whatever Python has done with the signal.
func TestFaults_GoRecovers(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("Python's handlers of faults are kept behind Go's on Linux only")
	}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			pytest.Child(t, "faults", way.env, "GILT_TEST_SOURCE="+way.source)
		})
	}
	t.Run("own GIL", func(t *testing.T) {
		pytest.NeedOwnGIL(t)
		for _, way := range ways[:3] {
			pytest.Child(t, "faults", way.env, "GILT_TEST_MODE=own-gil", "GILT_TEST_SOURCE="+way.source)
		}
	})
}

var nothing *struct{ x [4]int }

// dereference gives the error that the recovered panic is.
func dereference() (err error) {
	defer func() { err, _ = recover().(error) }()
	return fmt.Errorf("there is a %d", nothing.x[2])
}

func recovered() error {
	if err := dereference(); err == nil || !strings.Contains(err.Error(), "nil pointer dereference") {
		return fmt.Errorf("a nil dereference gave %w", err)
	}
	return nil
}

func faultModule() gilt.GoModule {
	return gilt.GoModule{Name: "gofaults", Funcs: []gilt.GoFunc{
		{Name: "recovers", Func: recovered},
		{Name: "native", Native: true, Func: recovered},
		{Name: "panics", Func: func() int { return nothing.x[2] }},
	}}
}

func faults() error {
	rt, err := gilt.Open(ctx, gilt.Config{Mode: gilt.Mode(os.Getenv("GILT_TEST_MODE")), Modules: []gilt.GoModule{faultModule()}})
	if err != nil {
		return err
	}
	run := func(source string) func(*gilt.Token) error {
		return func(tok *gilt.Token) error { return py.Run(tok, source) }
	}
	if err := recovered(); err != nil { // with what the environment says
		return err
	}
	// signal.signal works on Python's main thread only, and faulthandler in the main interpreter. The thread's signal stack
	// stays Go's.
	source := os.Getenv("GILT_TEST_SOURCE")
	if err := rt.OnMain(ctx, run("import ctypes\nstack = lambda b: ctypes.CDLL(None).sigaltstack(None, b) or b.raw\nbefore = stack(ctypes.create_string_buffer(24))\n"+source+
		"\nassert before == stack(ctypes.create_string_buffer(24)), 'another signal stack'")); err != nil {
		return err
	}
	if err := recovered(); err != nil {
		return err
	}
	other := make(chan error)
	go func() { other <- recovered() }()
	if err := <-other; err != nil {
		return err
	}
	const calls = `
import gofaults, threading
gofaults.recovers(); gofaults.native()
failed = []
def thread():
    try: gofaults.recovers(); gofaults.native()
    except BaseException as e: failed.append(e)
t = threading.Thread(target=thread); t.start(); t.join()
assert not failed, failed
`
	if err := errors.Join(rt.Do(ctx, run(calls)), rt.OnMain(ctx, run(calls))); err != nil {
		return err
	}
	if err := faultPanics(rt); err != nil {
		return err
	}
	return errors.Join(rt.Shutdown(ctx), recovered())
}

// faultPanics has a Go function panic below Python.
func faultPanics(rt *gilt.Runtime) (err error) {
	defer func() {
		if p := recover(); !strings.Contains(fmt.Sprint(p), "nil pointer dereference") {
			err = errors.Join(err, fmt.Errorf("recovered %v", p))
		}
	}()
	return rt.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, "import gofaults; gofaults.panics()") })
}

// A fault in C code ends the process: faulthandler writes where Python was, and Go what happened.
func TestFaults_InC(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("Python's handlers of faults are kept behind Go's on Linux only")
	}
	const read, kill = "import ctypes; ctypes.string_at(8)", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV); import time; time.sleep(60)"
	for _, c := range []struct{ name, env, source, fault, say string }{
		{"enable", "", ways[0].source, read, "Fatal Python error: Segmentation fault"},
		{"PYTHONFAULTHANDLER", "PYTHONFAULTHANDLER=1", "", read, "Fatal Python error: Segmentation fault"},
		{"sent", "", ways[0].source, kill, "Fatal Python error: Segmentation fault"},
		{"both", "", "import faulthandler, signal; signal.signal(signal.SIGSEGV, lambda *_: None); faulthandler.enable()", read, "Fatal Python error: Segmentation fault"},
		{"both, sent", "", "import faulthandler, signal; signal.signal(signal.SIGSEGV, lambda *_: None); faulthandler.enable()", kill, "Fatal Python error: Segmentation fault"},
		{"signal.signal", "", "import signal; signal.signal(signal.SIGSEGV, lambda *_: None)", read, "SIGSEGV"},
		{"ignored", "", "import signal; signal.signal(signal.SIGSEGV, signal.SIG_IGN)", read, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), c.env, "GILT_TEST_CHILD=fault in C", "GILT_TEST_SOURCE="+c.source, "GILT_TEST_FAULT="+c.fault)
			out, err := cmd.CombinedOutput()
			if _, exited := errors.AsType[*exec.ExitError](err); !exited || strings.Contains(string(out), "still there") || !strings.Contains(string(out), c.say) {
				t.Errorf("%v, want %q\n%.3000s", err, c.say, out)
			}
			if n := strings.Count(string(out), "Fatal Python error"); c.say != "" && n > 1 {
				t.Errorf("%d times:\n%.3000s", n, out)
			}
		})
	}
}

func faultInC() error {
	rt, err := gilt.Open(ctx, gilt.Config{})
	if err != nil {
		return err
	}
	err = rt.OnMain(ctx, func(tok *gilt.Token) error {
		return py.Run(tok, os.Getenv("GILT_TEST_SOURCE")+"\n"+os.Getenv("GILT_TEST_FAULT")+"\nprint('still there', flush=True)")
	})
	return errors.Join(err, rt.Shutdown(ctx))
}

// What of faulthandler needs no fault works, and handlers that programs install for signals that are sent.
func TestFaults_Dumps(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("signals are sent as on Linux")
	}
	pytest.Child(t, "fault dumps")
}

func faultDumps() error {
	rt, err := gilt.Open(ctx, gilt.Config{})
	if err != nil {
		return err
	}
	if err := rt.OnMain(ctx, func(tok *gilt.Token) error {
		return py.Run(tok, `
import faulthandler, os, signal, tempfile, time
def written(f, what):
    end = time.monotonic() + 30
    while what not in open(f.name).read():
        assert time.monotonic() < end, (what, open(f.name).read())
with tempfile.NamedTemporaryFile() as f:
    faulthandler.register(signal.SIGUSR1, file=f, all_threads=False)
    signal.raise_signal(signal.SIGUSR1)
    written(f, 'most recent call first')
    faulthandler.unregister(signal.SIGUSR1)
r, w = os.pipe()
faulthandler.dump_traceback_later(0.01, file=w) # whose thread reads frames without the GIL: they must not change meanwhile
said = os.read(r, 7)
assert said == b'Timeout', said
faulthandler.cancel_dump_traceback_later()
with tempfile.NamedTemporaryFile() as f:
    faulthandler.dump_traceback(f)
    written(f, 'most recent call first')
got = []
signal.signal(signal.SIGFPE, lambda *_: got.append(1))
for n in 1, 2, 3:
    signal.raise_signal(signal.SIGFPE) # which this thread handles
    assert len(got) == n, (n, got)
assert faulthandler.is_enabled() is False
`)
	}); err != nil {
		return err
	}
	return errors.Join(recovered(), rt.Shutdown(ctx))
}
