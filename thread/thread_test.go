package thread_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gilt"
	py "gilt/handles"
	"gilt/internal/cpython"
	"gilt/internal/pytest"
	"gilt/thread"
)

func TestMain(m *testing.M) {
	pytest.Main(m, pytest.Children{"shutdown on main": shutdownOnMain})
}

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
			if v := thread.Recovered(recover()); v != "boom" {
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
	s.Close()
	s.Close()
	if err := s.Run(ctx, func() { t.Error("it ran") }); !errors.Is(err, thread.ErrSessionClosed) {
		t.Error(err)
	}
}

// Rule 9: work that ends its goroutine does not end the session, nor take it to another OS thread.
func TestRule09_SessionOutlivesGoexit(t *testing.T) {
	s := thread.NewSession()
	defer s.Close()
	var first cpython.OSThread
	if err := s.Run(ctx, func() { first = cpython.ThisThread() }); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if err := s.Run(ctx, runtime.Goexit); !errors.Is(err, thread.ErrGoexit) {
			t.Fatal(err)
		}
		ran := false
		if err := s.Run(ctx, func() { ran = first == cpython.ThisThread() }); err != nil || !ran {
			t.Fatal(ran, err)
		}
	}
	func() {
		defer func() {
			if v := thread.Recovered(recover()); v != "boom" {
				t.Error(v)
			}
		}()
		_ = s.Run(ctx, func() { panic("boom") })
	}()
}

// soon is a context for what must not wait.
func soon(t *testing.T) context.Context {
	c, cancel := context.WithTimeout(ctx, 5*time.Second)
	t.Cleanup(cancel)
	return c
}

// Work of a session that gives the session more work would wait for itself: it is run at once.
func TestSession_RunInsideRun(t *testing.T) {
	s := thread.NewSession()
	var order []int
	err := s.Run(ctx, func() {
		order = append(order, 1)
		if err := s.Run(soon(t), func() {
			order = append(order, 2)
			if err := s.Run(soon(t), func() { order = append(order, 3) }); err != nil {
				t.Error(err)
			}
		}); err != nil {
			t.Error(err)
		}
		order = append(order, 4)
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if err := s.Run(ended, func() { t.Error("it ran") }); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	if err != nil || !slices.Equal(order, []int{1, 2, 3, 4}) {
		t.Error(order, err)
	}
	if err := s.Run(ctx, func() { _ = s.Run(soon(t), runtime.Goexit); t.Error("Goexit came back") }); !errors.Is(err, thread.ErrGoexit) {
		t.Error(err)
	}
	func() {
		defer func() {
			if v := thread.Recovered(recover()); v != "boom" {
				t.Error(v)
			}
		}()
		_ = s.Run(ctx, func() { _ = s.Run(soon(t), func() { panic("boom") }) })
	}()
	other := thread.NewSession()
	defer other.Close()
	var depth atomic.Int32
	if err := s.Run(ctx, func() { // another session's thread is another one
		if err := other.Run(ctx, func() { depth.Add(1) }); err != nil {
			t.Error(err)
		}
	}); err != nil || depth.Load() != 1 {
		t.Error(err)
	}
	if err := s.Run(ctx, func() { s.Close() }); err != nil { // it does not wait for itself either
		t.Error(err)
	}
	if err := s.Run(ctx, func() { t.Error("it ran") }); !errors.Is(err, thread.ErrSessionClosed) {
		t.Error(err)
	}
	s.Close()
}

func TestPinned_DoInsideDo(t *testing.T) {
	s, err := pytest.Runtime().Pin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	nested(t, s.Do)
}

func TestOnMain_InsideOnMain(t *testing.T) { nested(t, pytest.Runtime().OnMain) }

// nested runs do inside do, attached and inside AllowThreads.
func nested(t *testing.T, do func(context.Context, func(*pytest.Token) error) error) {
	err := do(ctx, func(tok *pytest.Token) error {
		before, err := py.Eval(tok, "[1, 2]")
		if err != nil {
			return err
		}
		inner := func() {
			err := do(soon(t), func(in *pytest.Token) error {
				v, err := py.EvalAs[int](in, "40 + 2")
				if v != 42 {
					t.Error(v)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
		inner()
		tok.AllowThreads(inner)
		n, err := before.Len()
		if n != 2 {
			t.Error(n)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A shutdown that work on Python's main thread asks for cannot finalize Python under that work.
func TestShutdown_OnPythonsMainThread(t *testing.T) { pytest.Child(t, "shutdown on main") }

func shutdownOnMain() error {
	rt, err := gilt.Open(ctx, gilt.Config{})
	if err != nil {
		return err
	}
	c, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var shut error
	err = rt.OnMain(ctx, func(tok *pytest.Token) error {
		shut = rt.Shutdown(c)
		if c.Err() != nil {
			return errors.New("Shutdown waited for its own work")
		}
		return nil
	})
	if err != nil {
		return err
	}
	if shut == nil {
		return errors.New("Shutdown says that it finalized Python")
	}
	if err := rt.Do(ctx, func(*pytest.Token) error { return nil }); !errors.Is(err, gilt.ErrClosed) {
		return fmt.Errorf("after Shutdown: %w", err)
	}
	return nil
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
	//gilt:vet-ignore its context ends while it runs
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
