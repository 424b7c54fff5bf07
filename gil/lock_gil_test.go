package gil_test

import (
	"context"
	"errors"
	"sync"
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
