package gil_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gilt"
	"gilt/gil"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func TestLocks_FirstComeFirstServed(t *testing.T) {
	pytest.Soon(t, func() {
		var m gil.RWMutex
		var mu sync.Mutex
		var order []int
		var all sync.WaitGroup
		join := func(i int, f func()) {
			all.Go(f)
			pytest.Eventually(t, "it stands in line", func() bool { return m.InLine() == i+1 })
		}
		came := func(i int) { mu.Lock(); order = append(order, i); mu.Unlock() }
		m.Lock(nil)
		for i := range 12 {
			if i%4 == 3 {
				join(i, func() { m.RWith(nil, func() { came(i) }) })
			} else {
				join(i, func() { pytest.Do(t, func(tok *gilt.Token) { m.With(tok, func() { came(i) }) }) })
			}
		}
		if m.TryLock() || m.TryRLock() {
			t.Error("a locked one was locked")
		}
		m.Unlock()
		all.Wait()
		for i, n := range order {
			if n != i {
				t.Fatalf("came in the order %v", order)
			}
		}
	})
}

// waitsForLong returns when somebody has waited for m for longer than patience.
func waitsForLong(t testing.TB, m *gil.Mutex) {
	t.Helper()
	pytest.Eventually(t, "somebody waits", func() bool { return m.InLine() == 1 })
	came := time.Now()
	pytest.Eventually(t, "it has waited for long", func() bool { return time.Since(came) > 2*time.Millisecond })
}

// Who has waited for long is given the lock when it is unlocked, so that nobody who comes then is faster.
func TestLocks_WhoHasWaitedLongIsGivenIt(t *testing.T) {
	pytest.Soon(t, func() {
		for range 20 {
			var m gil.Mutex
			m.Lock(nil)
			leave, left := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(left)
				m.With(nil, func() { <-leave })
			}()
			waitsForLong(t, &m)
			m.Unlock()
			if m.TryLock() {
				t.Fatal("somebody else was faster")
			}
			close(leave)
			<-left
		}
	})
}

// A context ends while its lock is given: the lock is passed on, or had.
func TestLocks_GivenAsTheContextEnds(t *testing.T) {
	pytest.Soon(t, func() {
		for range 50 {
			var m gil.Mutex
			m.Lock(nil)
			c, cancel := context.WithCancel(ctx)
			got := make(chan error)
			go func() { got <- m.LockContext(c, nil) }()
			waitsForLong(t, &m)
			cancel()
			m.Unlock()
			if err := <-got; err == nil {
				m.Unlock()
			} else if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			if !m.Clean() {
				t.Fatal("nobody has it, and it is not free")
			}
		}
	})
}

// Goroutines that lock and unlock all the time do not keep others waiting for good.
func TestLocks_NobodyStarves(t *testing.T) {
	pytest.Soon(t, func() {
		var m gil.RWMutex
		var stop atomic.Bool
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for !stop.Load() {
					if i%2 == 0 {
						m.With(nil, func() {})
					} else {
						m.RWith(nil, func() { runtime.Gosched() })
					}
				}
			})
		}
		pytest.Do(t, func(tok *gilt.Token) {
			for range 50 {
				//gilt:vet-ignore a wait that holds the GIL is what it is compared with
				m.With(tok, func() { time.Sleep(10 * time.Microsecond) })
				m.RWith(tok, func() {})
			}
		})
		stop.Store(true)
		all.Wait()
		if !m.Clean() {
			t.Error("it is not free")
		}
	})
}

// A writer that leaves the line lets those in who stood behind it.
func TestRWMutex_AWriterGivesUp(t *testing.T) {
	pytest.Soon(t, func() {
		var m gil.RWMutex
		m.RLock(nil)
		c, cancel := context.WithCancel(ctx)
		gone, in := make(chan error), make(chan struct{})
		go func() { gone <- m.LockContext(c, nil) }()
		pytest.Eventually(t, "a writer waits", func() bool { return m.InLine() == 1 })
		if m.TryRLock() {
			t.Error("a reader overtook a writer")
		}
		go func() { m.RLock(nil); close(in) }()
		pytest.Eventually(t, "a reader waits", func() bool { return m.InLine() == 2 })
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		<-in
		m.RUnlock()
		m.RUnlock()
		if !m.Clean() {
			t.Error("it is not free")
		}
	})
}

func TestLocks_ContextsEnd(t *testing.T) {
	ended, cancel := context.WithCancel(ctx)
	cancel()
	why := errors.New("why")
	caused, cancelCause := context.WithCancelCause(ctx)
	cancelCause(why)
	var m gil.Mutex
	var rw gil.RWMutex
	var cond = gil.NewCond(new(gil.Mutex))
	var group gil.WaitGroup
	var cell gil.OnceCell[int]
	group.Add(1)
	waits := map[string]func(ctx context.Context, tok *gilt.Token) error{
		"Mutex":        m.LockContext,
		"RWMutex":      rw.LockContext,
		"RWMutex read": rw.RLockContext,
		"Cond": func(ctx context.Context, tok *gilt.Token) error {
			cond.L.Lock(tok)
			defer cond.L.Unlock()
			return cond.WaitContext(ctx, tok)
		},
		"WaitGroup": group.WaitContext,
		"OnceCell": func(ctx context.Context, tok *gilt.Token) error {
			_, err := cell.GetOrInitContext(ctx, tok, func() (int, error) { return 0, errors.New("it ran") })
			return err
		},
	}
	try := func(t *testing.T, wait func(context.Context, *gilt.Token) error, tok *gilt.Token) {
		t.Helper()
		if err := wait(ended, tok); !errors.Is(err, context.Canceled) {
			t.Error("an ended context:", err)
		}
		if err := wait(caused, tok); !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
			t.Error("an ended context with a cause:", err)
		}
	}
	pytest.Soon(t, func() {
		for name, wait := range waits {
			try(t, wait, nil)
			pytest.Do(t, func(tok *gilt.Token) {
				evaluated(tok, "1")
				try(t, wait, tok)
				if v, err := py.EvalAs[int](tok, "2"); v != 2 || err != nil {
					t.Error(name, v, err)
				}
			})
		}
		m.Lock(nil)
		rw.Lock(nil)
		leave, in := make(chan struct{}), make(chan struct{})
		go func() {
			_, _ = cell.GetOrInit(nil, func() (int, error) { close(in); <-leave; return 1, nil })
			close(leave)
		}()
		<-in
		for name, wait := range waits {
			for _, nested := range []bool{false, true} {
				c, cancel := context.WithTimeout(ctx, 3*time.Millisecond)
				if nested {
					pytest.Do(t, func(tok *gilt.Token) {
						evaluated(tok, "1")
						if err := wait(c, tok); !errors.Is(err, context.DeadlineExceeded) {
							t.Error(name, err)
						}
						evaluated(tok, "1")
					})
				} else if err := wait(c, nil); !errors.Is(err, context.DeadlineExceeded) {
					t.Error(name, err)
				}
				cancel()
			}
		}
		leave <- struct{}{}
		<-leave
		m.Unlock()
		rw.Unlock()
		group.Done()
		if !m.Clean() || !rw.Clean() || !cond.L.Clean() || cond.InLine() != 0 {
			t.Error("something is left")
		}
		if err := group.WaitContext(ended, nil); err != nil {
			t.Error("nothing is left to wait for:", err)
		}
		if v, err := cell.GetOrInitContext(ended, nil, nil); v != 1 || err != nil {
			t.Error("the cell has a value:", v, err)
		}
	})
}

func TestLocks_WithUnlocks(t *testing.T) {
	var m gil.Mutex
	var rw gil.RWMutex
	for name, with := range map[string]func(*gilt.Token, func()){"Mutex": m.With, "RWMutex": rw.With, "RWMutex read": rw.RWith} {
		for how, leave := range map[string]func(){"panic": func() { panic("boom") }, "Goexit": runtime.Goexit} {
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer func() { _ = recover() }()
				_ = pytest.Runtime().Do(ctx, func(tok *gilt.Token) error { with(tok, leave); return nil })
			}()
			<-done
			if !m.Clean() || !rw.Clean() {
				t.Errorf("%s: %s leaves it locked", name, how)
			}
		}
	}
	works(t)
}

func TestLocks_Misuse(t *testing.T) {
	pytest.Soon(t, func() {
		var m, l gil.Mutex
		var rw gil.RWMutex
		var group gil.WaitGroup
		var cell gil.OnceCell[int]
		cond := gil.NewCond(&l)
		l.Lock(nil) // as Wait wants it
		group.Add(1)
		ops := func(tok *gilt.Token) map[string]func() {
			return map[string]func(){
				"Lock": func() { m.Lock(tok) }, "LockContext": func() { _ = m.LockContext(ctx, tok) }, "With": func() { m.With(tok, func() {}) },
				"rw.Lock": func() { rw.Lock(tok) }, "rw.RLock": func() { rw.RLock(tok) }, "rw.RWith": func() { rw.RWith(tok, func() {}) },
				"rw.LockContext": func() { _ = rw.LockContext(ctx, tok) }, "rw.RLockContext": func() { _ = rw.RLockContext(ctx, tok) },
				"Cond.Wait": func() { cond.Wait(tok) }, "Cond.WaitContext": func() { _ = cond.WaitContext(ctx, tok) },
				"WaitGroup.Wait": func() { group.Wait(tok) }, "WaitGroup.WaitContext": func() { _ = group.WaitContext(ctx, tok) },
				"GetOrInit":        func() { _, _ = cell.GetOrInit(tok, func() (int, error) { return 1, nil }) },
				"GetOrInitContext": func() { _, _ = cell.GetOrInitContext(ctx, tok, func() (int, error) { return 1, nil }) },
			}
		}
		var dead *gilt.Token
		pytest.Do(t, func(tok *gilt.Token) {
			//gilt:vet-ignore it tries each misuse
			dead = tok
			tok.AllowThreads(func() {
				//gilt:vet-ignore it tries each misuse
				for _, f := range ops(tok) {
					pytest.WantMisuse(t, "inside AllowThreads", f)
				}
			})
			pytest.Do(t, func(*gilt.Token) { // the outer task's token; what need not wait does not look
				m.Lock(nil)
				rw.Lock(nil)
				for _, f := range ops(tok) {
					pytest.WantMisuse(t, "another goroutine", f)
				}
				m.Unlock()
				rw.Unlock()
			})
			done := make(chan struct{})
			m.Lock(nil)
			rw.Lock(nil)
			go func() {
				defer close(done)
				//gilt:vet-ignore it tries each misuse
				for _, f := range ops(tok) {
					pytest.WantMisuse(t, "another goroutine", f)
				}
			}()
			//gilt:vet-ignore it tries each misuse
			<-done // with the token live
			m.Unlock()
			rw.Unlock()
		})
		for _, f := range ops(dead) {
			pytest.WantMisuse(t, "task has ended", f)
		}
		if l.TryLock() || cond.InLine() != 0 {
			t.Error("a misused Wait left the Cond changed")
		}
		l.Unlock()
		for _, f := range []func(){func() { m.Unlock() }, func() { rw.Unlock() }, func() { rw.RUnlock() }} {
			pytest.WantMisuse(t, "not locked", f)
		}
		pytest.WantMisuse(t, "not locked", func() { cond.Wait(nil) })
		rw.RLock(nil)
		pytest.WantMisuse(t, "not locked", func() { rw.Unlock() })
		rw.RUnlock()
		rw.Lock(nil)
		pytest.WantMisuse(t, "not locked", func() { rw.RUnlock() })
		rw.Unlock()
		group.Done()
		pytest.WantMisuse(t, "more calls of Done", func() { group.Done() })
		if !m.Clean() || !rw.Clean() || !l.Clean() || cond.InLine() != 0 {
			t.Error("something is left")
		}
		if _, ok := cell.Get(); ok {
			t.Error("a misused cell has a value")
		}
	})
	works(t)
}
