package scheduler

import (
	"context"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"
)

// pacer calls Lapse as the C pacer does, for benchmarks and soak tests: a goroutine that ticks while
// anybody waits. Only free lanes are served when lapsing is off.
type pacer struct {
	s    *Scheduler
	wake chan int
	stop chan struct{}
	done sync.WaitGroup
}

func startPacer(tb testing.TB, cfg Config, every time.Duration) *Scheduler {
	tb.Helper()
	p := &pacer{wake: make(chan int, 1), stop: make(chan struct{})}
	cfg.Arm = func(int, Pace) {
		select {
		case p.wake <- 0:
		default:
		}
	}
	s, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	p.s = s
	p.done.Go(func() { p.run(every) })
	tb.Cleanup(func() { close(p.stop); p.done.Wait() })
	return s
}

func (p *pacer) run(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-p.wake:
		case <-p.stop:
			return
		}
		for again := true; again; {
			select {
			case <-tick.C:
			case <-p.stop:
				return
			}
			again = false
			for i := range p.s.lanes {
				again = p.s.Lapse(i) || again
			}
		}
	}
}

func newScheduler(tb testing.TB, cfg Config) *Scheduler {
	tb.Helper()
	s, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func BenchmarkUncontended(b *testing.B) {
	ctx := context.Background()
	b.Run("scheduler", func(b *testing.B) {
		s := newScheduler(b, Config{})
		b.ReportAllocs()
		for b.Loop() {
			g, _ := s.Acquire(ctx, nil)
			s.Release(g, 100)
		}
	})
	b.Run("scheduler/cancellable", func(b *testing.B) {
		s := newScheduler(b, Config{})
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		for b.Loop() {
			g, _ := s.Acquire(ctx, nil)
			s.Release(g, 100)
		}
	})
	b.Run("scheduler/lanes=4", func(b *testing.B) {
		s := newScheduler(b, Config{Lanes: 4})
		for b.Loop() {
			g, _ := s.Acquire(ctx, nil)
			s.Release(g, 100)
		}
	})
	b.Run("scheduler/history", func(b *testing.B) {
		s := newScheduler(b, Config{})
		h := new(History)
		for b.Loop() {
			g, ok := s.TryAcquire(ctx, nil, h)
			if !ok {
				g, _ = s.Acquire(ctx, nil)
				h.learn(0, 0)
			}
			s.Release(g, 100)
		}
	})
	b.Run("scheduler/limited", func(b *testing.B) {
		s := newScheduler(b, Config{})
		c, _ := s.Class("limited", ClassConfig{MaxInFlight: 4})
		for b.Loop() {
			g, _ := s.Acquire(ctx, c)
			s.Release(g, 100)
		}
	})
	b.Run("scheduler/suspend", func(b *testing.B) {
		s := newScheduler(b, Config{})
		g, _ := s.Acquire(ctx, nil)
		b.ReportAllocs()
		for b.Loop() {
			g = s.Resume(s.Suspend(g, 100))
		}
		s.Release(g, 100)
	})
	for _, n := range naive() {
		b.Run(n.name, func(b *testing.B) {
			for b.Loop() {
				n.lock()
				n.unlock()
			}
		})
	}
}

// BenchmarkContended loops 64 goroutines through acquire and release with nothing in between.
func BenchmarkContended(b *testing.B) {
	ctx := context.Background()
	for _, mode := range []struct {
		name    string
		classes int
		pacer   bool
		cfg     Config
	}{
		{"scheduler", 1, true, Config{}},
		{"scheduler/nopacer", 1, false, Config{}},
		{"scheduler/classes=8", 8, true, Config{}},
		{"scheduler/lanes=4", 1, true, Config{Lanes: 4}},
	} {
		b.Run(mode.name, func(b *testing.B) {
			var s *Scheduler
			if mode.pacer {
				s = startPacer(b, mode.cfg, 100*time.Microsecond)
			} else {
				s = newScheduler(b, mode.cfg)
			}
			classes := makeClasses(b, s, mode.classes)
			hammer(b, 64, func(i int) {
				g, err := s.Acquire(ctx, classes[i%len(classes)])
				if err != nil {
					panic(err)
				}
				s.Release(g, 50)
			})
		})
	}
	for _, n := range naive() {
		b.Run(n.name, func(b *testing.B) {
			hammer(b, 64, func(int) {
				n.lock()
				n.unlock()
			})
		})
	}
}

func makeClasses(tb testing.TB, s *Scheduler, n int) (cs []*Class) {
	tb.Helper()
	for i := range n {
		c, err := s.Class(string(rune('a'+i)), ClassConfig{})
		if err != nil {
			tb.Fatal(err)
		}
		cs = append(cs, c)
	}
	return cs
}

// hammer runs b.N operations on n goroutines.
func hammer(b *testing.B, n int, op func(i int)) {
	b.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			for range (b.N + i) / n {
				op(i)
			}
		})
	}
	wg.Wait()
}

type naiveLock struct {
	name         string
	lock, unlock func()
}

func naive() []naiveLock {
	var mu sync.Mutex
	token := make(chan struct{}, 1)
	sem := semaphore.NewWeighted(1)
	ctx := context.Background()
	return []naiveLock{
		{"mutex", mu.Lock, mu.Unlock},
		{"channel", func() { token <- struct{}{} }, func() { <-token }},
		{"semaphore", func() { _ = sem.Acquire(ctx, 1) }, func() { sem.Release(1) }},
	}
}
