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
