package gil_test

import (
	"context"
	"errors"
	"math/rand/v2"
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

// holding is what a task has locked, as it is, and how another comes to wait for it.
type holding struct {
	hold, drop func(tok *gilt.Token)
	wait       func(tok *gilt.Token) // and lets go again
	inLine     func() int            // how many wait
}

func holdings(t testing.TB) map[string]holding {
	const never = time.Hour
	var m, c gil.Mutex
	var rw, wr, ctxrw gil.RWMutex
	var cm gil.Mutex
	cond, ready := gil.NewCond(&c), false
	var group gil.WaitGroup
	limited, cancel := context.WithTimeout(ctx, never)
	t.Cleanup(cancel)
	need := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	return map[string]holding{
		"Mutex":   {m.Lock, func(*gilt.Token) { m.Unlock() }, func(tok *gilt.Token) { m.Lock(tok); m.Unlock() }, m.InLine},
		"RWMutex": {rw.Lock, func(*gilt.Token) { rw.Unlock() }, func(tok *gilt.Token) { rw.RLock(tok); rw.RUnlock() }, rw.InLine},
		"RWMutex, to write": {wr.RLock, func(*gilt.Token) { wr.RUnlock() },
			func(tok *gilt.Token) { wr.Lock(tok); wr.Unlock() }, wr.InLine},
		"LockContext": {func(tok *gilt.Token) { need(cm.LockContext(limited, tok)) }, func(*gilt.Token) { cm.Unlock() },
			func(tok *gilt.Token) { need(cm.LockContext(limited, tok)); cm.Unlock() }, cm.InLine},
		"RLockContext": {func(tok *gilt.Token) { need(ctxrw.LockContext(limited, tok)) }, func(*gilt.Token) { ctxrw.Unlock() },
			func(tok *gilt.Token) { need(ctxrw.RLockContext(limited, tok)); ctxrw.RUnlock() }, ctxrw.InLine},
		"Cond": {func(*gilt.Token) {}, func(tok *gilt.Token) { c.With(tok, func() { ready = true; cond.Broadcast() }) },
			func(tok *gilt.Token) {
				c.With(tok, func() {
					for !ready {
						cond.Wait(tok)
					}
				})
			}, cond.InLine},
		"WaitGroup": {func(*gilt.Token) { group.Add(1) }, func(*gilt.Token) { group.Done() }, group.Wait, group.InLine},
	}
}

// A task has the lock, and runs Python code that gives the GIL up; another has the GIL, and waits for the lock.
func TestLocks_HolderInPythonWaiterWithTheGIL(t *testing.T) {
	for name, h := range holdings(t) {
		for _, with := range []string{"a token", "no token"} {
			if name == "Cond" && with == "no token" {
				continue // it is ready for good
			}
			t.Run(name+", waiter shows "+with, func(t *testing.T) {
				pytest.Soon(t, func() {
					var tasks sync.WaitGroup
					locked := make(chan struct{})
					tasks.Go(func() {
						pytest.Do(t, func(tok *gilt.Token) {
							evaluated(tok, "1")
							h.hold(tok)
							close(locked)
							evaluated(tok, "__import__('time').sleep(0.03)")
							evaluated(tok, "sum(range(100000))")
							h.drop(tok)
						})
					})
					<-locked
					for range 4 {
						tasks.Go(func() {
							pytest.Do(t, func(tok *gilt.Token) {
								evaluated(tok, "1")
								if with == "a token" {
									h.wait(tok)
								} else {
									h.wait(nil)
								}
								evaluated(tok, "2")
							})
						})
					}
					tasks.Wait()
				})
			})
		}
	}
	works(t)
}

// A goroutine without a token has the lock, and waits for a task of its own; a task that has the GIL waits for the lock.
func TestLocks_HolderWaitsForTheGIL(t *testing.T) {
	rt := pytest.Runtime()
	for name, h := range holdings(t) {
		t.Run(name, func(t *testing.T) {
			pytest.Soon(t, func() {
				var others sync.WaitGroup
				locked, attached := make(chan struct{}), make(chan struct{})
				others.Go(func() {
					h.hold(nil)
					close(locked)
					<-attached
					if !pytest.Until(func() bool { return h.inLine() == 1 }) {
						t.Error("the task does not wait")
					}
					if err := rt.Do(ctx, func(tok *gilt.Token) error { evaluated(tok, "1"); return nil }); err != nil {
						t.Error(err)
					}
					h.drop(nil)
				})
				<-locked
				pytest.Do(t, func(tok *gilt.Token) {
					list := evaluated(tok, "[1, 2]")
					close(attached)
					h.wait(tok)
					if n, err := list.Len(); n != 2 || err != nil {
						t.Error("a handle from before:", n, err)
					}
				})
				others.Wait()
			})
		})
	}
	works(t)
}

// The wait leaves Python to others: a task waits for a lock while others run Python, for as long as they like.
func TestLocks_AWaiterDoesNotHoldUpPython(t *testing.T) {
	pytest.Soon(t, func() {
		var m gil.Mutex
		m.Lock(nil)
		done := make(chan struct{})
		go func() {
			defer close(done)
			pytest.Do(t, func(tok *gilt.Token) {
				evaluated(tok, "1")
				m.With(tok, func() { evaluated(tok, "2") })
			})
		}()
		pytest.Eventually(t, "the task waits", func() bool { return m.InLine() == 1 })
		before := pytest.Runtime().Stats().All
		for range 100 {
			pytest.Do(t, func(tok *gilt.Token) { evaluated(tok, "3") })
		}
		if now := pytest.Runtime().Stats().All; now.Suspended != 1 || now.Lapses != before.Lapses {
			t.Errorf("the waiter kept its grant: %d are suspended, and %d lapsed", now.Suspended, now.Lapses-before.Lapses)
		}
		m.Unlock()
		<-done
	})
}

// However a token was come by: the holder needs the GIL, which the waiter has.
func TestLocks_EveryKindOfToken(t *testing.T) {
	rt := pytest.Runtime()
	var m gil.Mutex
	wait := func(tok *gilt.Token) error {
		evaluated(tok, "1")
		m.Lock(tok)
		m.Unlock()
		_, err := py.EvalAs[int](tok, "2")
		return err
	}
	pytest.AddModule(t, gilt.GoModule{Name: "gilt_locks", Funcs: []gilt.GoFunc{{Name: "wait", Func: wait}}})
	limited, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	for kind, run := range map[string]func() error{
		"Do":                func() error { return rt.Do(ctx, wait) },
		"Do with a context": func() error { return rt.Do(limited, wait) },
		"OnMain":            func() error { return rt.OnMain(ctx, wait) },
		"Submit": func() error {
			_, err := gilt.Submit(ctx, rt, func(tok *gilt.Token) (int, error) { return 0, wait(tok) }).Wait(ctx)
			return err
		},
		"Pin": func() error {
			p, err := rt.Pin(ctx)
			if err != nil {
				return err
			}
			defer p.Close()
			return p.Do(ctx, wait)
		},
		"nested": func() error { return rt.Do(ctx, func(*gilt.Token) error { return rt.Do(ctx, wait) }) },
		"called by Python": func() error {
			return rt.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, "import gilt_locks; gilt_locks.wait()") })
		},
	} {
		t.Run(kind, func(t *testing.T) {
			pytest.Soon(t, func() {
				m.Lock(nil)
				holder := make(chan struct{})
				go func() {
					defer close(holder)
					if !pytest.Until(func() bool { return m.InLine() == 1 }) {
						t.Error("nobody waits")
					}
					pytest.Do(t, func(tok *gilt.Token) { evaluated(tok, "3") })
					m.Unlock()
				}()
				if err := run(); err != nil {
					t.Error(err)
				}
				<-holder
			})
		})
	}
	works(t)
}

// No wake-up is lost between unlocking, contexts that end, and those who come.
func TestLocks_ManyContexts(t *testing.T) {
	pytest.Soon(t, func() {
		times := 3000
		if testing.Short() {
			times = 300
		}
		var m gil.RWMutex
		var n int
		var writers, entered atomic.Int64
		var all sync.WaitGroup
		for g := range 16 {
			all.Go(func() {
				for i := range times {
					c, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(50_000)))
					switch {
					case (g+i)%3 == 0 && m.RLockContext(c, nil) == nil:
						if w := writers.Load(); w != 0 {
							t.Error("writers beside a reader:", w)
						}
						_ = n
						runtime.Gosched()
						m.RUnlock()
					case i%5 == 0 || m.LockContext(c, nil) != nil:
						m.Lock(nil)
						fallthrough
					default:
						if w := writers.Add(1); w != 1 {
							t.Error("writers:", w)
						}
						n++
						entered.Add(1)
						runtime.Gosched()
						writers.Add(-1)
						m.Unlock()
					}
					cancel()
				}
			})
		}
		all.Wait()
		if int64(n) != entered.Load() || !m.Clean() {
			t.Error(n, entered.Load(), m.Clean())
		}
	})
}

// callers hammers f from 64 goroutines: every second in a task, with its token or without.
func callers(t *testing.T, times int, f func(tok *gilt.Token, i int)) {
	var all sync.WaitGroup
	for g := range 64 {
		all.Go(func() {
			for i := range times {
				switch (g + i) % 4 {
				case 0:
					pytest.Do(t, func(tok *gilt.Token) { evaluated(tok, "1"); f(tok, i); evaluated(tok, "1") })
				case 1:
					pytest.Do(t, func(*gilt.Token) { f(nil, i) })
				default: // the race detector sees these
					f(nil, i)
				}
			}
		})
	}
	all.Wait()
}

// hold gives others the time to come.
func hold(tok *gilt.Token, i int) {
	switch {
	case i%4 != 0:
	case tok != nil:
		evaluated(tok, "__import__('time').sleep(0.0001)")
	default:
		runtime.Gosched()
	}
}

func TestMutex_64Callers(t *testing.T) {
	pytest.Soon(t, func() {
		const times = 40
		var m gil.Mutex
		var entered, gaveUp int
		callers(t, times, func(tok *gilt.Token, i int) {
			if i%3 == 0 {
				c, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(int(4*time.Millisecond))))
				defer cancel()
				if err := m.LockContext(c, tok); err != nil {
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Error(err)
					}
					m.Lock(tok)
					gaveUp++
				}
			} else {
				m.Lock(tok)
			}
			entered++
			hold(tok, i)
			m.Unlock()
		})
		if entered != 64*times || !m.Clean() {
			t.Errorf("%d came through, want %d; the lock is free: %v", entered, 64*times, m.Clean())
		}
		t.Log("contexts that ended:", gaveUp)
	})
	works(t)
}

func TestRWMutex_64Callers(t *testing.T) {
	pytest.Soon(t, func() {
		const times = 40
		var m gil.RWMutex
		var writes int
		var readers, writers atomic.Int32
		callers(t, times, func(tok *gilt.Token, i int) {
			c, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(int(4*time.Millisecond))))
			defer cancel()
			switch i % 4 {
			case 0:
				if i%8 != 0 || m.LockContext(c, tok) != nil {
					m.Lock(tok)
				}
				if w, r := writers.Add(1), readers.Load(); w != 1 || r != 0 {
					t.Errorf("%d writers, %d readers at once", w, r)
				}
				writes++
				hold(tok, i)
				writers.Add(-1)
				m.Unlock()
			default:
				if i%3 != 0 || m.RLockContext(c, tok) != nil {
					m.RLock(tok)
				}
				readers.Add(1)
				if w := writers.Load(); w != 0 {
					t.Errorf("%d writers beside a reader", w)
				}
				_ = writes
				hold(tok, i)
				readers.Add(-1)
				m.RUnlock()
			}
		})
		if writes != 64*times/4 || !m.Clean() {
			t.Errorf("%d writes, want %d; the lock is free: %v", writes, 64*times/4, m.Clean())
		}
	})
	works(t)
}

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

// The task's own context ends a wait, which nothing else interrupts: its caller need not be freed from it.
func TestLocks_TheTasksContextEnds(t *testing.T) {
	pytest.Soon(t, func() {
		var m gil.Mutex
		m.Lock(nil)
		for range 10 {
			c, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
			err := pytest.Runtime().Do(c, func(tok *gilt.Token) error {
				evaluated(tok, "1")
				return m.LockContext(c, tok)
			})
			if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, gil.ErrUninterruptible) {
				t.Error(err)
			}
			cancel()
		}
		m.Unlock()
		if !m.Clean() {
			t.Error("somebody has it")
		}
	})
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
			dead = tok
			tok.AllowThreads(func() {
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
				for _, f := range ops(tok) {
					pytest.WantMisuse(t, "another goroutine", f)
				}
			}()
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

// 64 producers and consumers, tasks and not, with contexts that end at the moment of a signal: none is lost.
func TestCond_NoSignalIsLost(t *testing.T) {
	pytest.Soon(t, func() {
		const times = 60
		var m gil.Mutex
		items, notEmpty := 0, gil.NewCond(&m)
		var all sync.WaitGroup
		for g := range 32 {
			all.Go(func() {
				for i := range times {
					take := func(tok *gilt.Token) {
						m.Lock(tok)
						defer m.Unlock()
						for items == 0 {
							if (g+i)%2 == 0 {
								notEmpty.Wait(tok)
								continue
							}
							c, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(int(time.Millisecond))))
							_ = notEmpty.WaitContext(c, tok)
							cancel()
						}
						items--
					}
					if g%2 == 0 {
						pytest.Do(t, func(tok *gilt.Token) { evaluated(tok, "1"); take(tok) })
					} else {
						take(nil)
					}
				}
			})
			all.Go(func() {
				for range times {
					put := func(tok *gilt.Token) {
						m.Lock(tok)
						items++
						m.Unlock()
						notEmpty.Signal() // one for each: a lost one leaves somebody waiting
					}
					if g%2 == 0 {
						pytest.Do(t, func(tok *gilt.Token) { put(tok); evaluated(tok, "1") })
					} else {
						put(nil)
					}
				}
			})
		}
		all.Wait()
		if items != 0 || notEmpty.InLine() != 0 || !m.Clean() {
			t.Error("left:", items, notEmpty.InLine(), m.Clean())
		}
	})
}

// A context ends while its waiter is signalled: either that one was woken, and says so, or the next one in line is.
func TestCond_SignalledAsTheContextEnds(t *testing.T) {
	pytest.Soon(t, func() {
		for range 50 {
			var m gil.Mutex
			cond := gil.NewCond(&m)
			c, cancel := context.WithCancel(ctx)
			first, second := make(chan error, 1), make(chan error, 1)
			for i, wait := range []func() error{
				func() error { return cond.WaitContext(c, nil) },
				func() error { cond.Wait(nil); return nil },
			} {
				go func() {
					m.Lock(nil)
					defer m.Unlock()
					[]chan error{first, second}[i] <- wait()
				}()
				pytest.Eventually(t, "it waits", func() bool { return cond.InLine() == i+1 })
			}
			cancel()
			cond.Signal()
			switch err := <-first; {
			case err == nil:
				if cond.InLine() != 1 {
					t.Fatal("two were woken by one signal")
				}
				cond.Signal()
			case !errors.Is(err, context.Canceled):
				t.Error(err)
			}
			if err := <-second; err != nil || cond.InLine() != 0 {
				t.Fatal(err, cond.InLine())
			}
		}
	})
}

func TestCond_Broadcast(t *testing.T) {
	pytest.Soon(t, func() {
		cond := gil.Cond{L: new(gil.Mutex)}
		ready := false
		var all sync.WaitGroup
		for i := range 64 {
			all.Go(func() {
				wait := func(tok *gilt.Token) {
					cond.L.With(tok, func() {
						for !ready {
							cond.Wait(tok)
						}
					})
				}
				if i%2 == 0 {
					wait(nil)
				} else {
					pytest.Do(t, wait)
				}
			})
		}
		pytest.Eventually(t, "all wait", func() bool { return cond.InLine() == 64 })
		cond.L.With(nil, func() { ready = true; cond.Broadcast() })
		all.Wait()
	})
}

// A task waits for goroutines that want the GIL, again and again.
func TestWaitGroup_GoroutinesThatWantTheGIL(t *testing.T) {
	pytest.Soon(t, func() {
		var group gil.WaitGroup
		group.Wait(nil)
		pytest.Do(t, func(tok *gilt.Token) {
			for range 10 {
				var n atomic.Int32
				for i := range 32 {
					group.Go(func() {
						if i%2 == 0 {
							pytest.Do(t, func(tok *gilt.Token) { evaluated(tok, "1") })
						}
						n.Add(1)
						if i == 7 {
							runtime.Goexit()
						}
					})
				}
				group.Wait(tok)
				if v, err := py.EvalAs[int](tok, "2"); v != 2 || err != nil || n.Load() != 32 {
					t.Error(v, err, n.Load())
				}
			}
		})
	})
}

func BenchmarkUncontended(b *testing.B) {
	var std sync.Mutex
	var m gil.Mutex
	var stdrw sync.RWMutex
	var rw gil.RWMutex
	var once sync.Once
	var cell gil.OnceCell[int]
	n := 0
	one := func() (int, error) { return 1, nil }
	for _, c := range []struct {
		name string
		f    func(tok *gilt.Token)
	}{
		{"sync.Mutex", func(*gilt.Token) { std.Lock(); n++; std.Unlock() }},
		{"Mutex nil", func(*gilt.Token) { m.Lock(nil); n++; m.Unlock() }},
		{"Mutex token", func(tok *gilt.Token) { m.Lock(tok); n++; m.Unlock() }},
		{"Mutex context", func(tok *gilt.Token) { _ = m.LockContext(ctx, tok); n++; m.Unlock() }},
		{"sync.RWMutex.RLock", func(*gilt.Token) { stdrw.RLock(); n++; stdrw.RUnlock() }},
		{"RWMutex.RLock token", func(tok *gilt.Token) { rw.RLock(tok); n++; rw.RUnlock() }},
		{"sync.RWMutex.Lock", func(*gilt.Token) { stdrw.Lock(); n++; stdrw.Unlock() }},
		{"RWMutex.Lock token", func(tok *gilt.Token) { rw.Lock(tok); n++; rw.Unlock() }},
		{"sync.Once", func(*gilt.Token) { once.Do(func() {}) }},
		{"OnceCell", func(tok *gilt.Token) { _, _ = cell.GetOrInit(tok, one) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			pytest.Do(b, func(tok *gilt.Token) {
				for b.Loop() {
					c.f(tok)
				}
			})
		})
	}
}

// Goroutines without Python that fight for a lock, and tasks whose locked part gives the GIL up.
func BenchmarkContended(b *testing.B) {
	var std sync.Mutex
	var m gil.Mutex
	n := 0
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"sync.Mutex", func() { std.Lock(); n++; std.Unlock() }},
		{"Mutex", func() { m.Lock(nil); n++; m.Unlock() }},
	} {
		b.Run("goroutines/"+c.name, func(b *testing.B) {
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					c.f()
				}
			})
		})
	}
	locked := func(tok *gilt.Token) { evaluated(tok, "__import__('time').sleep(0)") }
	for _, c := range []struct {
		name string
		f    func(tok *gilt.Token)
	}{
		{"AllowThreads around sync.Mutex", func(tok *gilt.Token) { tok.AllowThreads(std.Lock); locked(tok); std.Unlock() }},
		{"Mutex", func(tok *gilt.Token) { m.With(tok, func() { locked(tok) }) }},
	} {
		b.Run("tasks/"+c.name, func(b *testing.B) {
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_ = pytest.Runtime().Do(ctx, func(tok *gilt.Token) error { c.f(tok); return nil })
				}
			})
		})
	}
}
