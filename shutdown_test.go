package gilt_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func TestRule21_StuckShutdown(t *testing.T) { pytest.Child(t, "stuck shutdown") }

func stuckShutdown() error {
	rt, err := gilt.Open(ctx, gilt.Config{})
	if err != nil {
		return err
	}
	f, err := gilt.Lookup[int, int](ctx, rt, "builtins:abs")
	if err != nil {
		return err
	}
	slow, err := rt.Class("sleepers")
	if err != nil {
		return err
	}
	entered := make(chan struct{})
	go func() {
		_ = rt.Do(gilt.WithClass(ctx, slow), func(tok *gilt.Token) error { close(entered); return py.Run(tok, "import time; time.sleep(30)") })
	}()
	<-entered
	c, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	err = rt.Shutdown(c)
	if !errors.Is(err, gilt.ErrShutdownIncomplete) || !strings.Contains(err.Error(), "sleepers") || !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("Shutdown: %v", err)
	}
	if d := time.Since(start); d > 3*time.Second {
		return fmt.Errorf("Shutdown took %v", d)
	}
	return refused(rt, f)
}

// refused checks that nothing enters a closed runtime.
func refused(rt *gilt.Runtime, f *gilt.Func[int, int]) error {
	ran := false
	touch := func(*gilt.Token) error { ran = true; return nil }
	_, submitted := gilt.Submit(ctx, rt, func(tok *gilt.Token) (int, error) { return 0, touch(tok) }).Wait(ctx)
	_, called := f.Call(ctx, 1)
	_, lookup := gilt.Lookup[int, int](ctx, rt, "builtins:abs")
	_, pin := rt.Pin(ctx)
	for what, err := range map[string]error{"Do": rt.Do(ctx, touch), "Submit": submitted, "Call": called, "Lookup": lookup, "Pin": pin, "OnMain": rt.OnMain(ctx, touch)} {
		if !errors.Is(err, gilt.ErrClosed) {
			return fmt.Errorf("%s of a closed runtime: %w", what, err)
		}
	}
	if ran {
		return errors.New("something ran")
	}
	if err := rt.Shutdown(ctx); err != nil {
		return fmt.Errorf("a second Shutdown: %w", err)
	}
	if _, err := gilt.Open(ctx, gilt.Config{}); !errors.Is(err, gilt.ErrAlreadyOpen) {
		return fmt.Errorf("Open after Shutdown: %w", err)
	}
	return nil
}

func TestBehaviour06_AfterShutdown(t *testing.T) { pytest.Child(t, "closed") }

func closed() error {
	rt, err := gilt.Open(ctx, gilt.Config{})
	if err != nil {
		return err
	}
	f, err := gilt.Lookup[int, int](ctx, rt, "builtins:abs")
	if err != nil {
		return err
	}
	var handles []py.Py
	var failure error
	var tok *gilt.Token
	var b py.Bound
	if err := rt.Do(ctx, func(in *gilt.Token) error {
		//gilt:vet-ignore used after the shutdown, to be refused
		tok = in
		for range 100 {
			var err error
			//gilt:vet-ignore used after the shutdown, to be refused
			if b, err = py.From(in, []int{1}); err != nil {
				return err
			}
			handles = append(handles, b.Unbind())
		}
		failure = py.Run(in, "1/0")
		return nil
	}); err != nil {
		return err
	}
	pinned, err := rt.Pin(ctx)
	if err != nil {
		return err
	}
	if err := pinned.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, "pass") }); err != nil {
		return err
	}
	if err := rt.Shutdown(ctx); err != nil {
		return err
	}
	if err := pinned.Do(ctx, func(*gilt.Token) error { return nil }); !errors.Is(err, gilt.ErrClosed) {
		return fmt.Errorf("Pinned.Do: %w", err)
	}
	pinned.Close()
	for _, p := range handles[:50] {
		p.Release()
	}
	for _, misuse := range []func(){func() { handles[99].Bind(tok) }, func() { _, _ = b.Len() }, func() { tok.AllowThreads(func() {}) }, func() { handles[0].Bind(tok) }} {
		if _, err := pytest.Misused(misuse); err != nil {
			return err
		}
	}
	handles = nil
	if err := pytest.Collect(); err != nil {
		return err
	}
	if !strings.Contains(fmt.Sprintf("%+v", failure), "ZeroDivisionError") || !errors.Is(failure, py.ArithmeticError) {
		return errors.New("an exception cannot be printed after Shutdown")
	}
	return refused(rt, f)
}

func TestShutdown_UnderLoad(t *testing.T) {
	for range 3 {
		pytest.Child(t, "shutdown under load")
	}
}

func shutdownUnderLoad() error {
	rt, err := gilt.Open(ctx, gilt.Config{})
	if err != nil {
		return err
	}
	f, err := gilt.Lookup[int, int](ctx, rt, "builtins:abs")
	if err != nil {
		return err
	}
	var g sync.WaitGroup
	bad := make(chan error, 100)
	var ended [4]atomic.Int64 // of each kind of work
	for i := range 24 {
		g.Go(func() {
			for ; ; ended[i%4].Add(1) {
				var err error
				switch i % 4 {
				case 0:
					_, err = f.Call(ctx, -1)
				case 1:
					err = rt.Do(ctx, func(tok *gilt.Token) error {
						b, err := py.From(tok, []int{1})
						if err == nil {
							//gilt:vet-ignore what is left is for the shutdown to deal with
							b.Unbind()
							tok.AllowThreads(func() {})
						}
						return err
					})
				case 2:
					_, err = gilt.Submit(ctx, rt, func(tok *gilt.Token) (int, error) { return py.EvalAs[int](tok, "sum(range(2000))") }).Wait(ctx)
				case 3:
					err = rt.OnMain(ctx, func(tok *gilt.Token) error { return py.Run(tok, "pass") })
				}
				if err != nil {
					if !errors.Is(err, gilt.ErrClosed) {
						bad <- err
					}
					return
				}
			}
		})
	}
	for kind := range ended {
		if !pytest.Until(func() bool { return ended[kind].Load() >= 50 }) {
			return fmt.Errorf("no load: %d ended of the kind %d", ended[kind].Load(), kind)
		}
	}
	c, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := rt.Shutdown(c); err != nil {
		return err
	}
	g.Wait()
	select {
	case err := <-bad:
		return err
	default:
		return nil
	}
}

// Ten thousand wait for a grant when the runtime is closed. None is forgotten, and no goroutine is left.
func TestShutdown_ManyWait(t *testing.T) {
	pytest.Child(t, "close many")
	pytest.Child(t, "shut down many")
}

func closeMany() error {
	return endMany(gilt.ErrClosed, func(rt *gilt.Runtime, letGo func(), ended <-chan struct{}) error {
		// Close gives those who run a second, and they wait for all the others to be sent away.
		go func() { <-ended; letGo() }()
		return rt.Close()
	})
}

// Shutdown lets those who wait already have their turn.
func shutDownMany() error {
	return endMany(nil, func(rt *gilt.Runtime, letGo func(), _ <-chan struct{}) error {
		over, cancel := context.WithCancel(ctx)
		cancel() // with it Do does not wait, and tells whether Shutdown has begun
		go func() {
			for !errors.Is(rt.Do(over, func(*gilt.Token) error { return nil }), gilt.ErrClosed) {
				runtime.Gosched()
			}
			letGo()
		}()
		return rt.Shutdown(ctx)
	})
}

// endMany ends a runtime while many wait, which want is to come of, and a few run until they are let go.
func endMany(want error, end func(rt *gilt.Runtime, letGo func(), ended <-chan struct{}) error) error {
	const running, waiting = 4, 10_000
	rt, err := gilt.Open(ctx, gilt.Config{MaxThreads: running, Workers: running})
	if err != nil {
		return err
	}
	letGo := make(chan struct{})
	var runs, waits sync.WaitGroup
	var entered sync.WaitGroup
	entered.Add(running)
	bad := make(chan error, running+waiting)
	for range running {
		runs.Go(func() {
			bad <- rt.Do(ctx, func(tok *gilt.Token) error {
				tok.AllowThreads(func() { entered.Done(); <-letGo })
				return nil
			})
		})
	}
	entered.Wait()
	for i := range waiting {
		waits.Go(func() {
			run := func(tok *gilt.Token) (int, error) { return py.EvalAs[int](tok, "1") }
			var err error
			if i%2 == 0 {
				err = rt.Do(ctx, func(tok *gilt.Token) error { _, err := run(tok); return err })
			} else {
				_, err = gilt.Submit(ctx, rt, run).Wait(ctx)
			}
			if errors.Is(err, want) {
				err = nil
			} else {
				err = fmt.Errorf("waiter %d: %v, want %v", i, err, want)
			}
			bad <- err
		})
	}
	for rt.Stats().All.Queued < waiting {
		runtime.Gosched()
	}
	start := time.Now()
	ended := make(chan struct{})
	go func() { waits.Wait(); close(ended) }()
	err = end(rt, sync.OnceFunc(func() { close(letGo) }), ended)
	<-ended
	runs.Wait()
	for range running + waiting {
		err = errors.Join(err, <-bad)
	}
	if took := time.Since(start); took > 10*time.Second {
		err = errors.Join(err, fmt.Errorf("it took %v", took))
	}
	return errors.Join(err, goleak.Find())
}

func TestClose(t *testing.T) { pytest.Child(t, "close") }

func closeAtOnce() error {
	rt, err := gilt.Open(ctx, gilt.Config{})
	if err != nil {
		return err
	}
	f, err := gilt.Lookup[int, int](ctx, rt, "builtins:abs")
	if err != nil {
		return err
	}
	if err := rt.Close(); err != nil {
		return err
	}
	return refused(rt, f)
}

// An ended context leaves no time for work that runs; when none does, Python is finalized all the same.
func TestShutdown_EndedContextOnAnIdleRuntime(t *testing.T) { pytest.Child(t, "ended context") }

func shutdownEnded() error {
	rt, err := gilt.Open(ctx, gilt.Config{})
	if err != nil {
		return err
	}
	if _, err := gilt.Submit(ctx, rt, func(*gilt.Token) (int, error) { return 1, nil }).Wait(ctx); err != nil {
		return err
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	return rt.Shutdown(ended)
}

// Rule 21: atexit and threading's own end run first, buffered output is written.
func TestShutdown_ExitFunctions(t *testing.T) {
	out := pytest.Child(t, "exit functions")
	for _, want := range []string{"buffered", "thread ended", "atexit ran"} {
		if strings.Count(out, want) != 1 {
			t.Errorf("%q is not once in %q", want, out)
		}
	}
}

func exitFunctions() error {
	rt, err := gilt.Open(ctx, gilt.Config{})
	if err != nil {
		return err
	}
	if err := rt.Do(ctx, func(tok *gilt.Token) error {
		return py.Run(tok, `
import atexit, threading, time, sys
def late():
    time.sleep(0.1)
    sys.stdout.write('thread ended\n')
t = threading.Thread(target=late); t.daemon = False
t.start()
atexit.register(lambda: sys.stdout.write('atexit ran\n'))
atexit.register(lambda: 1/0)
sys.stdout.write('buffered\n')
`)
	}); err != nil {
		return err
	}
	return rt.Shutdown(ctx)
}

func TestShutdown_PythonThreadThatDoesNotEnd(t *testing.T) { pytest.Child(t, "daemon") }

func pythonThreadLeft() error {
	rt, err := gilt.Open(ctx, gilt.Config{})
	if err != nil {
		return err
	}
	if err := rt.Do(ctx, func(tok *gilt.Token) error {
		return py.Run(tok, "import threading, time\nt = threading.Thread(target=time.sleep, args=(60,)); t.daemon = False; t.start()")
	}); err != nil {
		return err
	}
	c, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if err := rt.Shutdown(c); !errors.Is(err, gilt.ErrShutdownIncomplete) {
		return fmt.Errorf("Shutdown: %w", err)
	}
	return nil
}

// What Python has buffered in an interpreter with its own GIL is written too.
func TestShutdown_OwnGILFlushes(t *testing.T) {
	pytest.NeedOwnGIL(t)
	if out := pytest.Child(t, "own GIL output"); strings.Count(out, "buffered in") != 2 {
		t.Errorf("%q", out)
	}
}

func ownGILOutput() error {
	rt, err := gilt.Open(ctx, gilt.Config{Mode: gilt.OwnGIL, Interpreters: 1})
	if err != nil {
		return err
	}
	write := func(tok *gilt.Token) error {
		return py.Run(tok, fmt.Sprintf("import sys; sys.stdout.write('buffered in %d\\n')", tok.Interpreter()))
	}
	if err := errors.Join(rt.Do(ctx, write), rt.OnMain(ctx, write)); err != nil {
		return err
	}
	return rt.Shutdown(ctx)
}

// A task that holds the GIL in C for long, while the drainer waits for it: Shutdown still ends with its context.
func TestShutdown_WhileTheGILIsHeld(t *testing.T) { pytest.Child(t, "held GIL") }

func heldGIL() error {
	rt, err := gilt.Open(ctx, gilt.Config{})
	if err != nil {
		return err
	}
	var p py.Py
	entered := make(chan struct{})
	go func() {
		_ = rt.Do(ctx, func(tok *gilt.Token) error {
			b, err := py.From(tok, []int{1})
			if err != nil {
				return err
			}
			p = b.Unbind()
			close(entered)
			return py.Run(tok, "sum(range(1 << 29))")
		})
	}()
	<-entered
	p.Release()
	if !pytest.Until(func() bool { return rt.Stats().All.InFlight == 2 }) {
		return errors.New("the drainer does not come for the handle")
	}
	c, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := rt.Shutdown(c); !errors.Is(err, gilt.ErrShutdownIncomplete) {
		return fmt.Errorf("Shutdown: %w", err)
	}
	if d := time.Since(start); d > 2*time.Second {
		return fmt.Errorf("Shutdown with a context of 200 ms took %v", d)
	}
	return nil
}
