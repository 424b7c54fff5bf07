package gil_test

import (
	"context"
	"errors"
	"fmt"
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

// soon ends the process, with all stacks, when f does not end: a deadlock takes everything after it along.
func soon(t testing.TB, f func()) {
	t.Helper()
	watchdog := time.AfterFunc(30*time.Second, func() {
		buf := make([]byte, 1<<20)
		panic(t.Name() + " hangs\n" + string(buf[:runtime.Stack(buf, true)]))
	})
	defer watchdog.Stop()
	f()
}

// holding is what a task has locked, as it is, and how another comes to wait for it.
type holding struct {
	hold, drop func(tok *gilt.Token)
	wait       func(tok *gilt.Token) // and lets go again
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
		"Mutex":   {m.Lock, func(*gilt.Token) { m.Unlock() }, func(tok *gilt.Token) { m.Lock(tok); m.Unlock() }},
		"RWMutex": {rw.Lock, func(*gilt.Token) { rw.Unlock() }, func(tok *gilt.Token) { rw.RLock(tok); rw.RUnlock() }},
		"RWMutex, to write": {wr.RLock, func(*gilt.Token) { wr.RUnlock() },
			func(tok *gilt.Token) { wr.Lock(tok); wr.Unlock() }},
		"LockContext": {func(tok *gilt.Token) { need(cm.LockContext(limited, tok)) }, func(*gilt.Token) { cm.Unlock() },
			func(tok *gilt.Token) { need(cm.LockContext(limited, tok)); cm.Unlock() }},
		"RLockContext": {func(tok *gilt.Token) { need(ctxrw.LockContext(limited, tok)) }, func(*gilt.Token) { ctxrw.Unlock() },
			func(tok *gilt.Token) { need(ctxrw.RLockContext(limited, tok)); ctxrw.RUnlock() }},
		"Cond": {func(*gilt.Token) {}, func(tok *gilt.Token) { c.With(tok, func() { ready = true; cond.Broadcast() }) },
			func(tok *gilt.Token) {
				c.With(tok, func() {
					for !ready {
						cond.Wait(tok)
					}
				})
			}},
		"WaitGroup": {func(*gilt.Token) { group.Add(1) }, func(*gilt.Token) { group.Done() }, group.Wait},
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
				soon(t, func() {
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
			soon(t, func() {
				var others sync.WaitGroup
				locked, attached := make(chan struct{}), make(chan struct{})
				others.Go(func() {
					h.hold(nil)
					close(locked)
					<-attached
					time.Sleep(time.Millisecond)
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
	soon(t, func() {
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
		before := pytest.Runtime().Stats().All.Lapses
		for range 100 {
			pytest.Do(t, func(tok *gilt.Token) { evaluated(tok, "3") })
		}
		if n := pytest.Runtime().Stats().All.Lapses - before; n > 50 {
			t.Errorf("%d of 100 tasks had to wait for the grace: the waiter kept its grant", n)
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
	name := fmt.Sprintf("gilt_locks_%d", time.Now().UnixNano()) // with -count there are several
	if err := rt.AddModule(ctx, gilt.GoModule{Name: name, Funcs: []gilt.GoFunc{{Name: "wait", Func: wait}}}); err != nil {
		t.Fatal(err)
	}
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
			return rt.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, "import "+name+" as m; m.wait()") })
		},
	} {
		t.Run(kind, func(t *testing.T) {
			soon(t, func() {
				m.Lock(nil)
				holder := make(chan struct{})
				go func() {
					defer close(holder)
					pytest.Eventually(t, "somebody waits", func() bool { return m.InLine() == 1 })
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
	soon(t, func() {
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
	soon(t, func() {
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
	soon(t, func() {
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
	soon(t, func() {
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

// Goroutines that lock and unlock all the time do not keep others waiting for good.
func TestLocks_NobodyStarves(t *testing.T) {
	soon(t, func() {
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
	soon(t, func() {
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
	soon(t, func() {
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
	soon(t, func() {
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
	soon(t, func() {
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
	soon(t, func() {
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

func TestCond_Broadcast(t *testing.T) {
	soon(t, func() {
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
	soon(t, func() {
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
