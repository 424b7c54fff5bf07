package gilt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// Python's daemon threads are inside Go functions, and call them, while Python is finalized.
func TestShutdown_DaemonsInGo(t *testing.T) {
	for range 3 {
		pytest.Child(t, "daemons in Go")
	}
	t.Run("own GIL", func(t *testing.T) {
		pytest.NeedOwnGIL(t)
		pytest.Child(t, "daemons in Go", "GILT_TEST_MODE=own-gil")
	})
}

func daemonsInGo() error {
	leave, left := make(chan struct{}), make(chan struct{}, 100)
	var spins, calls, stays atomic.Int64
	m := gilt.GoModule{Name: "host", Funcs: []gilt.GoFunc{
		{Name: "spin", Func: func(tok *gilt.Token, f py.Py) error {
			b := f.Bind(tok)
			for {
				tok.AllowThreads(func() {})
				spins.Add(1)
				if err := py.Scope(tok, func() error { _, err := py.CallAs[int](b); return err }); errors.Is(err, gilt.ErrClosed) {
					return err
				}
			}
		}},
		{Name: "call", Func: func(n int) int { calls.Add(1); return n }},
		{Name: "stay", Native: true, Func: func() { stays.Add(1); <-leave; left <- struct{}{} }},
		{Name: "short", Func: func(tok *gilt.Token, f py.Py) error { // operations that never take long enough to detach
			b := f.Bind(tok)
			for {
				if _, err := py.As[int](b); errors.Is(err, gilt.ErrClosed) {
					return err
				}
			}
		}},
	}}
	rt, err := gilt.Open(ctx, gilt.Config{Mode: gilt.Mode(os.Getenv("GILT_TEST_MODE")), Modules: []gilt.GoModule{m}})
	if err != nil {
		return err
	}
	if err := rt.OnMain(ctx, func(tok *gilt.Token) error {
		return py.Run(tok, `
import threading, host, atexit, time, sys
ending = threading.Event()
atexit.register(ending.set)      # runs with the first round of exit functions
def late():                      # a library that registers an exit function late, from a daemon thread
    ending.wait()
    while True:
        time.sleep(0.0002)
        atexit.register(time.sleep, 0.02)
def boom():
    time.sleep(0.00002)
    raise ValueError('x')
def calls():
    while True: host.call(1)
def stays():
    host.stay()
    while True: host.call(1)
for target, args in [(late, ())] + [(host.spin, (boom,))] * 6 + [(calls, ())] * 3 + [(stays, ())] * 3 + [(host.short, (1,))]:
    threading.Thread(target=target, args=args, daemon=True).start()
`)
	}); err != nil {
		return err
	}
	if !pytest.Until(func() bool { return spins.Load() > 100 && calls.Load() > 100 && stays.Load() == 3 }) {
		return fmt.Errorf("the threads do not run: %d, %d, %d", spins.Load(), calls.Load(), stays.Load())
	}
	c, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := rt.Shutdown(c); err != nil {
		return err
	}
	close(leave) // and now those come back, which have no Python any more
	for range 3 {
		<-left
	}
	return nil
}

// A thread that Python made is inside Python, called by a Go function, and does not come back.
func TestShutdown_DaemonInsidePython(t *testing.T) { pytest.Child(t, "daemon inside Python") }

func daemonInsidePython() error {
	entered := make(chan struct{})
	m := gilt.GoModule{Name: "host", Funcs: []gilt.GoFunc{
		{Name: "sleepy", Func: func(tok *gilt.Token, f py.Bound) error { close(entered); _, err := f.Call(); return err }},
	}}
	rt, err := gilt.Open(ctx, gilt.Config{Modules: []gilt.GoModule{m}})
	if err != nil {
		return err
	}
	if err := rt.Do(ctx, func(tok *gilt.Token) error {
		return py.Run(tok, "import host, threading, time\nthreading.Thread(target=host.sleepy, args=(lambda: time.sleep(60),), daemon=True).start()")
	}); err != nil {
		return err
	}
	<-entered
	c, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if err := rt.Shutdown(c); !errors.Is(err, gilt.ErrShutdownIncomplete) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 in sleepy") {
		return fmt.Errorf("Shutdown: %w", err)
	}
	return nil
}

// What gilt has put in the place of Python's streams and reports says nothing when Python ends, and what Python still writes
// then goes to its own.
func TestShutdown_StreamsAreQuiet(t *testing.T) {
	modes := []string{"gil"}
	if pytest.Minor(t) >= 12 {
		modes = append(modes, "own-gil")
	}
	for _, mode := range modes {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "GILT_TEST_CHILD=quiet streams", "GILT_TEST_MODE="+mode)
		out, err := cmd.CombinedOutput()
		ends := mode == "gil" || pytest.Minor(t) != 12 // else Python is not finalized
		if err != nil || strings.Contains(string(out), "calls Go no more") || strings.Contains(string(out), "Exception") || ends && !strings.Contains(string(out), "late\n") {
			t.Errorf("%s: %v\n%s", mode, err, out)
		}
	}
}

type closing struct {
	mu sync.Mutex
	bytes.Buffer
	closed int
}

func (c *closing) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Buffer.Write(b)
}

func (c *closing) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed++
	return nil
}

func quietStreams() error {
	var out, errs, logged closing
	file, source := new(closing), new(closing)
	rt, err := gilt.Open(ctx, gilt.Config{Mode: gilt.Mode(os.Getenv("GILT_TEST_MODE")), Stdout: &out, Stderr: &errs, Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	if err != nil {
		return err
	}
	r, w := io.Pipe()
	if err := rt.OnMain(ctx, func(tok *gilt.Token) error {
		ns, err := py.NewDict(tok, nil)
		if err != nil {
			return err
		}
		for name, make := range map[string]func() (py.Bound, error){
			"file": func() (py.Bound, error) { return py.FromWriter(tok, file) }, "source": func() (py.Bound, error) { return py.FromReader(tok, source) },
			"blocked": func() (py.Bound, error) { return py.FromReader(tok, r) },
			"seq": func() (py.Bound, error) {
				return py.FromSeq(tok, func(yield func(int, error) bool) {
					for yield(1, nil) {
					}
				})
			},
		} {
			var b py.Bound
			if b, err = make(); err == nil {
				err = ns.SetItem(name, b)
			}
			if err != nil {
				return err
			}
		}
		return py.Run(tok, `
import atexit, builtins, logging, sys, threading, time, warnings
builtins.kept = [file, source, blocked, seq, sys.stdout, sys.stderr, logging.StreamHandler(sys.stdout)]
next(seq)
file.write(b'buffered')
logging.getLogger('kept').addHandler(builtins.kept[-1])
print('printed'); logging.warning('warned')
class Late:
    def __init__(self): self.stdout, self.log, self.warn = sys.stdout, logging.getLogger('kept').warning, warnings.warn
    def __del__(self):
        self.stdout.write('late\n'); self.log('late too'); self.warn('and this')
        raise ValueError('unraisable') from None
sys.late = Late()
del sys.late
sys.later = Late()
atexit.register(print, 'at exit')
threading.Thread(target=blocked.read, daemon=True).start()
`, ns)
	}); err != nil {
		return err
	}
	defer w.Close()
	c, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := rt.Shutdown(c); err != nil {
		return err
	}
	if !strings.Contains(out.String(), "printed\n") || !strings.Contains(out.String(), "late\n") || !strings.Contains(out.String(), "at exit\n") || !strings.Contains(logged.String(), "warned") || !strings.Contains(logged.String(), "unraisable") {
		return fmt.Errorf("stdout has %q, the logger %q", out.String(), logged.String())
	}
	if file.String() != "buffered" || file.closed != 1 || source.closed != 1 {
		return fmt.Errorf("the file has %q, and was closed %d times; the source %d times", file.String(), file.closed, source.closed)
	}
	return nil
}
