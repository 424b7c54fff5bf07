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
	"gilt/internal/pytest"
)

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
