package gilt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// A worker that waits for submitted work while all workers do.
func TestSubmitAndWaitInside(t *testing.T) {
	rt := pytest.Runtime()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var nest func(depth int) *gilt.Future[int]
	nest = func(depth int) *gilt.Future[int] {
		return gilt.Submit(ctx, rt, func(tok *gilt.Token) (int, error) {
			if depth == 0 {
				return py.EvalAs[int](tok, "1")
			}
			sum := 0
			for i, f := range []*gilt.Future[int]{nest(depth - 1), nest(depth - 1)} {
				var v int
				var err error
				if i == 0 {
					//gilt:vet-ignore the runtime helps who waits with the token held
					v, err = f.Wait(ctx)
				} else {
					tok.AllowThreads(func() { v, err = f.Wait(ctx) })
				}
				if err != nil {
					return 0, err
				}
				sum += v
			}
			one, err := py.EvalAs[int](tok, "1")
			return sum + one, err
		})
	}
	var all []*gilt.Future[int]
	for range 8 {
		all = append(all, nest(4))
	}
	for _, f := range all {
		if v, err := f.Wait(ctx); v != 31 || err != nil {
			t.Fatal(v, err)
		}
	}
}

func TestWaitForOneself(t *testing.T) {
	rt := pytest.Runtime()
	for _, inside := range []bool{true, false} {
		self := make(chan *gilt.Future[int], 1)
		f := gilt.Submit(context.Background(), rt, func(tok *gilt.Token) (v int, err error) {
			//gilt:vet-ignore it is there at once
			me := <-self
			if inside {
				//gilt:vet-ignore the runtime refuses this wait
				return me.Wait(context.Background())
			}
			tok.AllowThreads(func() { v, err = me.Wait(context.Background()) })
			return v, err
		})
		self <- f
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		if _, err := f.Wait(ctx); !errors.Is(err, gilt.ErrWouldDeadlock) {
			t.Error(err)
		}
		cancel()
	}
}

func TestWatchdog(t *testing.T) { pytest.Child(t, "watchdog") }

// logged is a log that several goroutines write.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func watchdog() error {
	log := &logged{}
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	rt, err := gilt.Open(ctx, gilt.Config{Watchdog: 100 * time.Millisecond, MaxThreads: 3})
	if err != nil {
		return err
	}
	defer func() { _ = rt.Close() }()
	told := func(n uint64, want ...string) error {
		if !pytest.Until(func() bool { return rt.Stats().Jams >= n }) {
			return fmt.Errorf("%d reports, want %d: %s", rt.Stats().Jams, n, log)
		}
		for _, w := range want {
			if !strings.Contains(log.String(), w) {
				return fmt.Errorf("the report does not tell %q: %s", w, log)
			}
		}
		return nil
	}
	waiters := func(n int) (wait func()) {
		var all sync.WaitGroup
		for range n {
			all.Go(func() { _ = rt.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, "pass") }) })
		}
		return all.Wait
	}
	// A task that waits for a channel with the GIL held.
	free, entered := make(chan int), make(chan int)
	var all sync.WaitGroup
	all.Go(func() { holdsAndWaits(rt, entered, free) })
	<-entered
	wait := waiters(1)
	if err := told(1, "has the GIL and is in Go code", "gilt_test.holdsAndWaits", "chan receive"); err != nil {
		return err
	}
	close(free)
	all.Wait()
	wait()
	// All threads are used by tasks that wait in Go, detached.
	free = make(chan int)
	for range 3 {
		all.Go(func() {
			_ = rt.Do(ctx, func(tok *gilt.Token) error {
				//gilt:vet-ignore the task is to wait in Go
				entered <- 1
				//gilt:vet-ignore the task is to wait in Go
				<-free
				return nil
			})
		})
		<-entered
	}
	wait = waiters(1)
	if err := told(2, "all tasks that Config.MaxThreads allows"); err != nil {
		return err
	}
	close(free)
	all.Wait()
	wait()
	// Nothing to tell: Python sleeps and computes for longer, with all threads, and others wait.
	for _, source := range []string{"import time\ntime.sleep(0.5)", "import time\ntime.sleep(0.5)", "sum(range(30_000_000))"} {
		all.Go(func() { _ = rt.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, source) }) })
	}
	wait = waiters(3)
	all.Wait()
	wait()
	if n := rt.Stats().Jams; n != 2 {
		return fmt.Errorf("told %d times: %s", n, log)
	}
	return nil
}

func holdsAndWaits(rt *gilt.Runtime, entered, free chan int) {
	_ = rt.Do(ctx, func(tok *gilt.Token) error {
		err := py.Run(tok, "pass") // it may come back detached when it took long
		for range 100 {
			if _, err := py.Eval(tok, "1"); err != nil {
				return err
			}
		}
		entered <- 1
		//gilt:vet-ignore the watchdog is to see it
		<-free
		return err
	})
}
