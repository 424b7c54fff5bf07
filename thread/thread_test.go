package thread_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gilt/internal/pytest"
	"gilt/thread"
)

func TestMain(m *testing.M) { pytest.Main(m, nil) }

var ctx = context.Background()

type job struct {
	ready func() bool
	run   func()
}

func (j job) Ready() bool { return j.ready == nil || j.ready() }
func (j job) Run()        { j.run() }

func submit(t testing.TB, p *thread.Pool, f func()) {
	t.Helper()
	if err := p.Submit(job{run: f}); err != nil {
		t.Fatal(err)
	}
}

func TestPool_RunsAllInOrderOfArrival(t *testing.T) {
	p := thread.NewPool(1, 1000)
	var got []int
	for i := range 500 {
		submit(t, p, func() { got = append(got, i) })
	}
	p.Close()
	p.Wait()
	for i, v := range got {
		if v != i {
			t.Fatal(got)
		}
	}
	if len(got) != 500 || p.Queued() != 0 {
		t.Error(len(got), p.Queued())
	}
	if err := p.Submit(job{run: func() { t.Error("it ran") }}); !errors.Is(err, thread.ErrPoolClosed) {
		t.Error(err)
	}
}

func TestPool_Full(t *testing.T) {
	p := thread.NewPool(1, 3)
	release, started := make(chan struct{}), make(chan struct{})
	submit(t, p, func() { close(started); <-release })
	<-started
	for range 3 {
		submit(t, p, func() {})
	}
	if err := p.Submit(job{run: func() { t.Error("it ran") }}); !errors.Is(err, thread.ErrPoolFull) {
		t.Error(err)
	}
	close(release)
	p.Close()
	p.Wait()
}

// A job that waits for another one must not keep it from a worker.
func TestPool_JobsThatBlockDoNotHoldUpTheRest(t *testing.T) {
	const workers = 4
	p := thread.NewPool(workers, 1000)
	for range 200 {
		last := make(chan struct{})
		var g sync.WaitGroup
		g.Add(workers)
		for range workers - 1 {
			submit(t, p, func() { <-last; g.Done() })
		}
		submit(t, p, func() { close(last); g.Done() })
		g.Wait()
	}
	p.Close()
	p.Wait()
}

func TestPool_NotReadyIsNotRun(t *testing.T) {
	p := thread.NewPool(2, 100)
	var ran atomic.Int32
	for i := range 100 {
		if err := p.Submit(job{ready: func() bool { return i%2 == 0 }, run: func() { ran.Add(1) }}); err != nil {
			t.Fatal(err)
		}
	}
	p.Close()
	p.Wait()
	if ran.Load() != 50 {
		t.Error(ran.Load())
	}
}

// Rule 9: a job that ends its worker's goroutine; others come in its place, also after Close.
func TestRule09_PoolOutlivesGoexit(t *testing.T) {
	p := thread.NewPool(3, 1000)
	var ran atomic.Int32
	for range 100 {
		submit(t, p, func() { ran.Add(1); runtime.Goexit() })
		submit(t, p, func() { ran.Add(1) })
	}
	p.Close()
	p.Wait()
	if ran.Load() != 200 {
		t.Error(ran.Load())
	}
}

func TestPool_Hammer(t *testing.T) {
	p := thread.NewPool(4, 1<<20)
	var ran atomic.Int32
	var g sync.WaitGroup
	for range 16 {
		g.Go(func() {
			for i := range 2000 {
				submit(t, p, func() {
					if ran.Add(1); i%500 == 0 {
						runtime.Goexit()
					}
				})
			}
		})
	}
	g.Wait()
	p.Close()
	p.Wait()
	if ran.Load() != 32000 {
		t.Error(ran.Load())
	}
}

func TestSession(t *testing.T) {
	s := thread.NewSession()
	n := 0
	var g sync.WaitGroup
	for range 100 {
		g.Go(func() {
			if err := s.Run(ctx, func() { n++ }); err != nil {
				t.Error(err)
			}
		})
	}
	g.Wait()
	if n != 100 {
		t.Error(n)
	}
	func() {
		defer func() {
			if v := recover(); v != "boom" {
				t.Error(v)
			}
		}()
		_ = s.Run(ctx, func() { panic("boom") })
	}()
	c, cancel := context.WithCancel(ctx)
	started, release, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Run(ctx, func() { close(started); <-release }); err != nil {
			t.Error(err)
		}
	}()
	<-started
	cancel()
	if err := s.Run(c, func() { t.Error("it ran") }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(release)
	<-done
	if err := s.Run(ctx, runtime.Goexit); !errors.Is(err, thread.ErrGoexit) {
		t.Error(err)
	}
	if err := s.Run(ctx, func() {}); !errors.Is(err, thread.ErrSessionClosed) {
		t.Error(err)
	}
	s.Close()
	s.Close()
}

func TestStart_Twice(t *testing.T) {
	if p, err := thread.Start(thread.Options{Library: "/no/such/lib"}); !errors.Is(err, thread.ErrAlreadyStarted) || p != nil {
		t.Error(p, err)
	}
}

func TestOnMain_ContextEndsWhileItRuns(t *testing.T) {
	rt := pytest.Runtime()
	started, release := make(chan struct{}), make(chan struct{})
	c, cancel := context.WithCancel(ctx)
	go func() { <-started; cancel() }()
	err := rt.OnMain(c, func(*pytest.Token) error { close(started); <-release; return nil })
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	c2, cancel2 := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel2()
	if err := rt.OnMain(c2, func(*pytest.Token) error { t.Error("it ran"); return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	close(release)
	if err := rt.OnMain(ctx, func(*pytest.Token) error { return nil }); err != nil {
		t.Error(err)
	}
}
