package gilt_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
	"gilt/scheduler"
)

// A thread that is given no processor has not noStarving to answer its interruption, nor does it keep the GIL.
func TestStarvedThreadsAreNotStuck(t *testing.T) { inModes(t, "starved") }

// slowPython makes its OS thread one that gets next to no processor beside another that computes: on the first of the
// processors that this process may use.
const slowPython = `
import os, threading
cpu = min(os.sched_getaffinity(0))
def slow():
    me = threading.get_native_id()
    open('/proc/self/task/%d/syscall' % me).close() # without which nobody can tell
    os.sched_setaffinity(me, {cpu})
    os.setpriority(os.PRIO_PROCESS, me, 19)
def spin():
    while True: pass
`

func starved() error {
	log := &logged{}
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	const grace = 20 * time.Millisecond
	rt, err := gilt.Open(ctx, gilt.Config{Mode: mode(), Interpreters: 1, Grace: grace, Watchdog: -1})
	if err != nil {
		return err
	}
	defer func() { _ = rt.Close() }()
	if err := rt.Do(ctx, func(tok *gilt.Token) error { _, err := py.ImportSource(tok, "gilt_slow", slowPython); return err }); err != nil {
		return err
	}
	// It answers as soon as it gets a processor, or its caller is freed at last, and told the truth.
	for starved := 0; starved < 3; {
		began := time.Now()
		err := starve(rt)
		var e *gilt.UninterruptibleError
		switch {
		case errors.As(err, new(*noStarving)):
			fmt.Println("a thread cannot be starved here:", err)
			return nil
		case errors.As(err, new(*gilt.InterruptedError)), errors.As(err, new(*scheduler.WaitError)), errors.Is(err, gilt.ErrLate):
		case !errors.As(err, &e) || e.Grace < 2*grace || e.Why == "":
			return fmt.Errorf("one that was given no processor: %w\n%s", err, log)
		}
		if time.Since(began) > starvedAfter+2*grace {
			starved++
		}
	}
	if l := log.String(); strings.Contains(l, "could not be interrupted") || strings.Contains(l, "C code") {
		return errors.New("wrong warnings: " + l)
	}
	if !pytest.Until(func() bool { return len(rt.Stats().Lost) == 0 }) {
		return errors.New("it did not come back")
	}
	return nil
}

// noStarving says that the system does not let a thread be starved.
type noStarving struct{ error }

// starvedAfter is for how long a task may run before its deadline passes.
const starvedAfter = 100 * time.Millisecond

// starve runs an endless loop until its deadline, on a thread that is given next to no processor.
func starve(rt *gilt.Runtime) error {
	ctx, cancel := context.WithTimeout(ctx, starvedAfter)
	defer cancel()
	var stop atomic.Bool
	var hog sync.WaitGroup
	defer hog.Wait()
	defer stop.Store(true)
	return rt.Do(ctx, func(tok *gilt.Token) error {
		runtime.LockOSThread() // for good: nobody else is to have this thread
		if err := py.Run(tok, "import gilt_slow\ngilt_slow.slow()"); err != nil {
			if errors.Is(err, py.OSError) {
				err = &noStarving{err}
			}
			return err
		}
		cpu, err := py.EvalAs[int](tok, "__import__('gilt_slow').cpu")
		if err != nil {
			return err
		}
		pinned := make(chan error)
		hog.Go(func() {
			runtime.LockOSThread() // for good, as this one
			err := pin(cpu)
			//gilt:vet-ignore the task waits for this at once
			pinned <- err
			for err == nil && !stop.Load() {
			}
		})
		//gilt:vet-ignore the thread is there in a moment
		if err := <-pinned; err != nil {
			return &noStarving{err}
		}
		return py.Run(tok, "import gilt_slow\ngilt_slow.spin()")
	})
}
