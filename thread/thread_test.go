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

type job func()

func (j job) Run() { j() }

// Work comes as the scheduler sends it: no more at once than there are idle workers.
func TestPool_RunsWhatItIsGiven(t *testing.T) {
	const workers = 4
	p := thread.NewPool(workers)
	idle := make(chan struct{}, workers)
	for range workers {
		idle <- struct{}{}
	}
	var ran atomic.Int32
	for range 20000 {
		<-idle
		p.Start(job(func() { ran.Add(1); idle <- struct{}{} }))
	}
	p.Close()
	p.Wait()
	if ran.Load() != 20000 {
		t.Error(ran.Load())
	}
}

// Jobs that wait for one another run, as many as there are workers.
func TestPool_JobsThatBlockDoNotHoldUpTheRest(t *testing.T) {
	const workers = 4
	p := thread.NewPool(workers)
	for range 200 {
		last := make(chan struct{})
		var g sync.WaitGroup
		g.Add(workers)
		for range workers - 1 {
			p.Start(job(func() { defer g.Done(); <-last }))
		}
		p.Start(job(func() { defer g.Done(); close(last) }))
		g.Wait()
	}
	p.Close()
	p.Wait()
}

// What was started runs, also after Close.
func TestPool_StartedBeforeAndAfterClose(t *testing.T) {
	p := thread.NewPool(1)
	var ran atomic.Int32
	release := make(chan struct{})
	p.Start(job(func() { <-release; ran.Add(1) }))
	p.Start(job(func() { ran.Add(1) }))
	p.Close()
	p.Start(job(func() { ran.Add(1) }))
	close(release)
	p.Wait()
	if ran.Load() != 3 {
		t.Error(ran.Load())
	}
}

// Rule 9: a job that ends its worker's goroutine; others come in its place, also after Close.
func TestRule09_PoolOutlivesGoexit(t *testing.T) {
	p := thread.NewPool(3)
	var ran atomic.Int32
	for range 100 {
		p.Start(job(func() { ran.Add(1); runtime.Goexit() }))
		p.Start(job(func() { ran.Add(1) }))
	}
	p.Close()
	p.Wait()
	if ran.Load() != 200 {
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
