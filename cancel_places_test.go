package gilt_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// Interruptions in places where they are easily lost, or do harm.
func TestInterruptedPlaces(t *testing.T) {
	ctx, rt := cancelModule(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "gilt_slow_import.py"), []byte("import gilt_cancel\ngilt_cancel.spin()\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	places := map[string]string{
		"in an import": "import sys\nsys.path.insert(0, dir)\nimport gilt_slow_import",
		"in a __del__": `
import gilt_cancel
class D:
    def __del__(self):
        gilt_cancel.spin_for(0.001)
while True:
    D()
    gilt_cancel.spin_for(0.001)
`,
		"in a handler":     "import gilt_cancel\ntry: raise ValueError\nexcept ValueError: gilt_cancel.spin()",
		"in a generator":   "import gilt_cancel\ndef g():\n    yield gilt_cancel.spin()\nlist(g())",
		"in exec":          "exec('n = 0\\nwhile True: n += 1')",
		"in a lock's with": "import threading, gilt_cancel\nwith threading.Lock(): gilt_cancel.spin()",
		"in a sort":        "import gilt_cancel\nsorted([3, 2, 1], key=lambda x: gilt_cancel.spin())",
	}
	if pytest.Minor(t) >= 13 { // before, threading is Python code, whose locks an interruption at the wrong moment leaves locked
		places["in a thread's start"] = "import threading, gilt_cancel\nwhile True:\n    t = threading.Thread(target=lambda: None)\n    t.start()\n    t.join()"
	}
	for what, source := range places {
		began := time.Now()
		err := doWithin(t, rt, 20*time.Millisecond, func(tok *gilt.Token) error {
			ns, err := py.NewDict(tok, map[string]any{"dir": dir})
			if err != nil {
				return err
			}
			return py.Run(tok, source, ns)
		})
		interrupted(t, what, err)
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s: it took %v", what, took)
		}
		clean(t, 200)
	}
	err := rt.Do(ctx, func(tok *gilt.Token) error {
		return py.Run(tok, "import sys\nassert 'gilt_slow_import' not in sys.modules")
	})
	if err != nil {
		t.Error("what was half imported:", err)
	}
}

func TestInterruptedInGo(t *testing.T) {
	ctx, rt := cancelModule(t)
	// Inside AllowThreads: Python is not run there, so it is raised afterwards.
	entered := make(chan error, 1)
	err := begun(func() error {
		soon := within(t, ctx, 30*time.Millisecond)
		return rt.Do(soon, func(tok *gilt.Token) error {
			tok.AllowThreads(func() { <-soon.Done() })
			entered <- py.Run(tok, "n = 0\nwhile True: n += 1")
			return errors.New("mine")
		})
	})
	interrupted(t, "after AllowThreads", err)
	if err := <-entered; !errors.Is(err, py.Cancelled) {
		t.Error("Python code after AllowThreads:", err)
	}
	// In a Go function that Python calls, which looks at its context.
	wait := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	var f py.Py
	if err := rt.Do(ctx, func(tok *gilt.Token) error { // contexts are kept from the first function on that takes one
		b, err := py.NewFunction(tok, gilt.GoFunc{Name: "wait", Func: wait, Native: true})
		f = b.Unbind()
		return err
	}); err != nil {
		t.Fatal(err)
	}
	err = doWithin(t, rt, 30*time.Millisecond, func(tok *gilt.Token) error {
		_, err := f.Bind(tok).Call()
		return err
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error("a Go function:", err)
	}
	clean(t, 1000)
}

func TestPanicsAndExitsOfFreedWork(t *testing.T) {
	_, rt := cancelModule(t)
	func() {
		defer func() {
			if v := gilt.Recovered(recover()); v != "mine" {
				t.Error("recovered", v)
			}
		}()
		_ = rt.Do(within(t, ctx, time.Minute), func(*gilt.Token) error { panic("mine") })
	}()
	ended := make(chan bool, 1)
	var exits sync.WaitGroup
	exits.Go(func() {
		returned := false
		defer func() { ended <- !returned }()
		_ = rt.Do(within(t, ctx, time.Minute), func(*gilt.Token) error {
			runtime.Goexit()
			return nil
		})
		returned = true
	})
	exits.Wait()
	if !<-ended {
		t.Error("runtime.Goexit did not end the caller")
	}
	clean(t, 100)
}

func TestInterruption_OwnGIL(t *testing.T) {
	pytest.NeedOwnGIL(t)
	pytest.Child(t, "cancel own GIL")
}

func cancelOwnGIL() error {
	rt, err := gilt.Open(ctx, gilt.Config{Mode: gilt.OwnGIL, Interpreters: 2})
	if err != nil {
		return err
	}
	defer func() { _ = rt.Close() }()
	var all sync.WaitGroup
	errs := make(chan error, 100)
	for range 20 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			defer cancel()
			err := rt.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, "n = 0\nwhile True: n += 1") })
			if !errors.Is(err, context.DeadlineExceeded) {
				errs <- err
			}
		})
		all.Go(func() {
			errs <- rt.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, "sum(range(1000))") })
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestShutdownDuringStorm(t *testing.T) { pytest.Child(t, "cancel storm") }

// cancelStorm shuts the runtime down while hundreds of interruptions are under way.
func cancelStorm() error {
	rt, err := gilt.Open(ctx, gilt.Config{})
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	bad := make(chan error, 1)
	var interrupted atomic.Int64
	for i := range 64 {
		all.Go(func() {
			for {
				ctx, cancel := context.WithTimeout(ctx, time.Duration(1+i%7)*time.Millisecond)
				err := rt.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, "n = 0\nwhile True: n += 1") })
				cancel()
				if errors.Is(err, gilt.ErrClosed) {
					return
				}
				switch {
				case errors.Is(err, py.Cancelled):
					interrupted.Add(1)
				case !errors.Is(err, context.DeadlineExceeded):
					select {
					case bad <- err:
					default:
					}
				}
			}
		})
	}
	if !pytest.Until(func() bool { return interrupted.Load() >= 64 }) {
		return fmt.Errorf("no storm: %d interruptions", interrupted.Load())
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := rt.Shutdown(ctx); err != nil {
		return err
	}
	all.Wait()
	select {
	case err := <-bad:
		return fmt.Errorf("a task of the storm: %w", err)
	default:
		return nil
	}
}

// A deadline that passes while what a task leaves behind goes is not the next task's, which the worker begins
// without giving the GIL up in between.
func turnInterrupted() error {
	rt, err := gilt.Open(ctx, gilt.Config{Workers: 1, FS: []fs.FS{fstest.MapFS{"gilt_cancel.py": {Data: []byte(cancelSource)}}}})
	if err != nil {
		return err
	}
	defer func() { _ = rt.Close() }()
	for range 20 {
		if err := turnOnce(rt); err != nil {
			return err
		}
	}
	return nil
}

func turnOnce(rt *gilt.Runtime) error {
	var pipe [2]int // whose ends block
	if err := syscall.Pipe(pipe[:]); err != nil {
		return err
	}
	r, w := os.NewFile(uintptr(pipe[0]), "r"), os.NewFile(uintptr(pipe[1]), "w")
	defer r.Close()
	defer w.Close()
	full := make(chan struct{})
	first := func(tok *gilt.Token) (struct{}, error) {
		// The last reference to a writer whose close waits in C until somebody reads.
		ns, err := py.NewDict(tok, map[string]any{"fd": int64(pipe[1])})
		if err != nil {
			return struct{}{}, err
		}
		if err := py.Run(tok, "import os\nw = open(os.dup(fd), 'wb')\nos.write(fd, bytes(65536))\nw.write(b'x')", ns); err != nil {
			return struct{}{}, err
		}
		f, err := ns.Method("pop", "w")
		if err != nil {
			return struct{}{}, err
		}
		close(full)
		for range 20 { // the first of them take long, and come back detached
			if _, err := f.Truth(); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	}
	soon, cancel := context.WithTimeout(ctx, 30*time.Millisecond)
	defer cancel()
	//gilt:vet-ignore Go code that does not come back is what is tested
	block := gilt.Submit(ctx, rt, func(*gilt.Token) (struct{}, error) { time.Sleep(2 * time.Millisecond); return struct{}{}, nil })
	one := gilt.Submit(soon, rt, first)
	next := make([]*gilt.Future[int64], 3)
	for i := range next {
		next[i] = gilt.Submit(ctx, rt, func(tok *gilt.Token) (int64, error) {
			return py.EvalAs[int64](tok, "sum(range(10)) + len([i for i in range(1000)])")
		})
	}
	<-soon.Done()
	select {
	case <-full:
		time.Sleep(70 * time.Millisecond)
		if _, err := r.Read(make([]byte, 65536)); err != nil {
			return err
		}
	default: // its deadline has passed before that: there is nothing to see, but its writer may wait all the same
		go func() { _, _ = io.Copy(io.Discard, r) }()
	}
	if _, err := block.Wait(ctx); err != nil {
		return err
	}
	_, _ = one.Wait(ctx)
	for i, f := range next {
		if v, err := f.Wait(ctx); err != nil || v != 1045 {
			return fmt.Errorf("task %d after it: %d, %w", i, v, err)
		}
	}
	return nil
}

func TestTurnInterrupted(t *testing.T) { pytest.Child(t, "turn interrupted") }

// A deadline that passes while a nested task without one runs counts when that has ended.
func TestDeadlinePassesInNestedTask(t *testing.T) {
	ctx, rt := cancelModule(t)
	err := rt.Do(ctx, func(outermost *gilt.Token) (err error) {
		outermost.AllowThreads(func() { // what is nested is never freed: nobody but the deadline itself interrupts it
			err = doWithin(t, rt, 30*time.Millisecond, func(tok *gilt.Token) (err error) {
				tok.AllowThreads(func() {
					err = rt.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, "import gilt_cancel\ngilt_cancel.spin_for(0.1)") })
				})
				return errors.Join(err, py.Run(tok, "import gilt_cancel\ngilt_cancel.spin_for(5)"))
			})
		})
		return err
	})
	interrupted(t, "a task around another", err)
	clean(t, 100)
}

// What was interrupted stays so whatever its clean-up does.
func TestInterruptedThenAllowThreads(t *testing.T) {
	_, rt := cancelModule(t)
	for what, cleanUp := range map[string]func(*gilt.Token){
		"AllowThreads": func(tok *gilt.Token) { tok.AllowThreads(func() {}) },
		"another task that is interrupted": func(tok *gilt.Token) {
			tok.AllowThreads(func() {
				err := doWithin(t, rt, 20*time.Millisecond, func(tok *gilt.Token) error { return py.Run(tok, "import gilt_cancel\ngilt_cancel.spin()") })
				interrupted(t, "the inner one", err)
			})
		},
	} {
		for range 20 {
			err := doWithin(t, rt, 30*time.Millisecond, func(tok *gilt.Token) error {
				err := py.Run(tok, "import gilt_cancel\ngilt_cancel.spin()")
				cleanUp(tok)
				return err
			})
			interrupted(t, what, err)
		}
	}
	clean(t, 100)
}

// Who cancels runs no code of others first: what was released meanwhile is for tasks to drop.
func TestReleasedWhileCancelled(t *testing.T) {
	ctx, rt := cancelModule(t)
	var slow py.Py
	err := rt.Do(ctx, func(tok *gilt.Token) error {
		ns, err := py.NewDict(tok, nil)
		if err != nil {
			return err
		}
		b, err := py.Eval(tok, "type('D', (), {'__del__': lambda self: __import__('time').sleep(1)})()", ns)
		slow = b.Unbind()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = doWithin(t, rt, 300*time.Millisecond, func(tok *gilt.Token) error {
		time.AfterFunc(200*time.Millisecond, slow.Release)
		return py.Run(tok, "import gilt_cancel, time\nbegan = time.monotonic()\ntry:\n    gilt_cancel.spin()\nexcept BaseException: gilt_cancel.took = time.monotonic() - began")
	})
	if err != nil {
		t.Fatal(err)
	}
	var took float64
	err = rt.Do(ctx, func(tok *gilt.Token) (err error) { // another task: that one is interrupted again
		took, err = py.EvalAs[float64](tok, "__import__('gilt_cancel').took")
		return err
	})
	if err != nil || took > 0.5 {
		t.Errorf("after %v s: %v", took, err)
	}
}

// Tasks that are interrupted while they import leave no lock of the import system locked.
func TestInterruptedImports(t *testing.T) {
	ctx, rt := cancelModule(t)
	const source = "import sys\nwhile True:\n    for _ in range(100):\n        sys.modules.pop('colorsys', None)\n        import colorsys"
	for range 6 { // each takes a while: it is interrupted between two imports
		err := doWithin(t, rt, 15*time.Millisecond, func(tok *gilt.Token) error { return py.Run(tok, source) })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		err = rt.Do(within(t, ctx, 20*time.Second), func(tok *gilt.Token) error { return py.Run(tok, "import colorsys") })
		if err != nil {
			t.Fatal("an import afterwards:", err)
		}
	}
	clean(t, 100)
}
