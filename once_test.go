package gilt_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gilt"
	"gilt/gil"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func init() {
	children["once own GIL"] = onceOwnGIL
	children["locks own GIL"] = locksOwnGIL
	children["locks at shutdown"] = locksAtShutdown
}

// A cell has an object of its own in each interpreter, the main one too; it is used and emptied after Shutdown.
func TestOnceCell_OwnGIL(t *testing.T) {
	pytest.NeedOwnGIL(t)
	pytest.Child(t, "once own GIL")
}

func onceOwnGIL() error {
	rt, err := gilt.Open(ctx, gilt.Config{Mode: gilt.OwnGIL, Interpreters: 2})
	if err != nil {
		return err
	}
	var c py.OnceCell
	var ran [8]atomic.Int32
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	use := func(tok *gilt.Token) error {
		b, err := c.GetOrInit(tok, func(tok *gilt.Token) (py.Bound, error) {
			ran[tok.Interpreter()].Add(1)
			if err := py.Run(tok, "import time; time.sleep(0.002)"); err != nil {
				return py.Bound{}, err
			}
			return py.From(tok, map[string]int{"in": tok.Interpreter()})
		})
		if err != nil {
			return err
		}
		if in, err := py.MethodAs[int](b, "get", "in"); err != nil || in != tok.Interpreter() {
			return fmt.Errorf("interpreter %d got the object of %d, %w", tok.Interpreter(), in, err)
		}
		return nil
	}
	for range 32 {
		all.Go(func() {
			for range 20 {
				if err := rt.Do(ctx, use); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	if err := rt.OnMain(ctx, use); err != nil {
		return err
	}
	interpreters := 0
	for i := range ran {
		switch ran[i].Load() {
		case 0:
		case 1:
			interpreters++
		default:
			return fmt.Errorf("%d initializers ran in interpreter %d", ran[i].Load(), i)
		}
	}
	if interpreters != 3 {
		return fmt.Errorf("it was initialized in %d interpreters of 3", interpreters)
	}
	var dead *gilt.Token
	//gilt:vet-ignore a dead token is what is tried
	if err := rt.Do(ctx, func(tok *gilt.Token) error { dead = tok; return nil }); err != nil {
		return err
	}
	if err := rt.Shutdown(ctx); err != nil {
		return err
	}
	if _, err := pytest.Misused(func() { c.Get(dead) }); err != nil {
		return err
	}
	c.Clear()
	return pytest.Collect() // the objects' handles are given back, to nobody
}

// A lock is one for all interpreters: their tasks meet at it.
func TestLocks_OwnGIL(t *testing.T) {
	pytest.NeedOwnGIL(t)
	pytest.Child(t, "locks own GIL")
}

func locksOwnGIL() error {
	rt, err := gilt.Open(ctx, gilt.Config{Mode: gilt.OwnGIL, Interpreters: 2})
	if err != nil {
		return err
	}
	var m gil.Mutex
	n := 0
	var failed atomic.Pointer[error]
	var group gil.WaitGroup
	for range 32 {
		group.Go(func() {
			for range 20 {
				if err := rt.Do(ctx, func(tok *gilt.Token) error {
					if _, err := py.Eval(tok, "1"); err != nil {
						return err
					}
					m.Lock(tok)
					defer m.Unlock()
					n++
					return py.Run(tok, "import time; time.sleep(0)")
				}); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	err = rt.Do(ctx, func(tok *gilt.Token) error {
		c, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		return group.WaitContext(c, tok)
	})
	if e := failed.Load(); e != nil {
		err = errors.Join(err, *e)
	}
	if err == nil && n != 32*20 {
		err = fmt.Errorf("%d came through", n)
	}
	return errors.Join(err, rt.Shutdown(ctx))
}

// A task that waits for a lock is inside: Shutdown waits for it, and the task comes through when the lock is free.
func TestLocks_AtShutdown(t *testing.T) { pytest.Child(t, "locks at shutdown") }

func locksAtShutdown() error {
	rt, err := gilt.Open(ctx, gilt.Config{})
	if err != nil {
		return err
	}
	var m gil.Mutex
	m.Lock(nil)
	inside, came := make(chan struct{}), make(chan error, 1)
	go func() {
		came <- rt.Do(ctx, func(tok *gilt.Token) error {
			_, err := py.Eval(tok, "1")
			close(inside)
			m.Lock(tok)
			m.Unlock()
			_, again := py.Eval(tok, "1")
			return errors.Join(err, again)
		})
	}()
	<-inside
	if !pytest.Until(func() bool { return rt.Stats().All.Suspended == 1 }) {
		return errors.New("the task does not wait")
	}
	closing := make(chan bool, 1)
	go func() {
		closing <- pytest.Until(func() bool { return errors.Is(rt.Do(ctx, func(*gilt.Token) error { return nil }), gilt.ErrClosed) })
		m.Unlock()
	}()
	if err := rt.Shutdown(ctx); err != nil {
		return err
	}
	if !<-closing {
		return errors.New("Shutdown does not refuse new work")
	}
	m.Lock(nil)
	defer m.Unlock()
	return <-came
}
