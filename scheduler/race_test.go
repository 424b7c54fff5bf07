package scheduler

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
)

func yield() { runtime.Gosched() }

// guard notes how many are inside at once.
type guard struct{ inside, most atomic.Int32 }

func (g *guard) enter() {
	n := g.inside.Add(1)
	for m := g.most.Load(); n > m && !g.most.CompareAndSwap(m, n); m = g.most.Load() {
	}
}
func (g *guard) exit() { g.inside.Add(-1) }

// TestHammer mixes everything from many goroutines, with and without a pacer, and then expects that
// nothing is left and everything works at once.
func TestHammer(t *testing.T) {
	for _, tc := range []struct {
		name    string
		cfg     Config
		pacer   bool
		classes []ClassConfig
		tree    bool // each is the next one's parent
	}{
		{"one lane", Config{}, true, []ClassConfig{{}}, false},
		{"no pacer", Config{}, false, []ClassConfig{{}}, false},
		{"no pacer, two lanes", Config{Lanes: 2}, false, []ClassConfig{{}, {Weight: 3}}, false},
		{"three lanes, classes", Config{Lanes: 3}, true, []ClassConfig{{}, {Weight: 3}, {MaxInFlight: 2}}, false},
		{"tight cap", Config{Lanes: 2, MaxInFlight: 3}, true, []ClassConfig{{}, {}}, false},
		{"cap of one", Config{Lanes: 2, MaxInFlight: 1}, false, []ClassConfig{{}, {MaxInFlight: 1}}, false},
		{"small queue", Config{MaxQueued: 4}, true, []ClassConfig{{}, {MaxQueued: 1}}, false},
		{"a tree", Config{Lanes: 2}, true, []ClassConfig{{}, {Weight: 3}, {MaxInFlight: 3}, {}}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScheduler(t, tc.cfg)
			if tc.pacer {
				s = startPacer(t, tc.cfg, 100*time.Microsecond)
			}
			var classes []*Class
			for i, cfg := range tc.classes {
				if tc.tree && i > 0 {
					cfg.Parent = classes[i-1]
				}
				c, err := s.Class(fmt.Sprint("c", i), cfg)
				if err != nil {
					t.Fatal(err)
				}
				classes = append(classes, c)
			}
			inFlight := new(guard)
			perClass := make([]guard, len(classes))
			var wg sync.WaitGroup
			for id := range 32 {
				wg.Go(func() {
					rnd := rand.New(rand.NewPCG(uint64(id), 4))
					for range 400 {
						i := rnd.IntN(len(classes))
						hammerOnce(s, rnd, classes[i], inFlight, &perClass[i])
					}
				})
			}
			wg.Wait()
			if n := int(inFlight.most.Load()); n > s.cfg.MaxInFlight {
				t.Errorf("%d in flight, cap %d", n, s.cfg.MaxInFlight)
			}
			for i, cfg := range tc.classes {
				if n := int(perClass[i].most.Load()); cfg.MaxInFlight > 0 && n > cfg.MaxInFlight {
					t.Errorf("class %d: %d in flight, limit %d", i, n, cfg.MaxInFlight)
				}
			}
			expectIdle(t, s)
		})
	}
}

func hammerOnce(s *Scheduler, rnd *rand.Rand, c *Class, guards ...*guard) {
	ctx, cancel := context.Background(), context.CancelFunc(func() {})
	switch rnd.IntN(6) {
	case 0:
		ctx, cancel = context.WithTimeout(ctx, time.Duration(rnd.IntN(300))*time.Microsecond)
	case 1:
		ctx, cancel = context.WithCancel(ctx)
		go cancel()
	}
	defer cancel()
	var g Grant
	var err error
	if rnd.IntN(4) == 0 {
		g, err = s.AcquireLane(ctx, c, rnd.IntN(len(s.lanes)))
	} else {
		g, err = s.Acquire(ctx, c)
	}
	if err != nil {
		if !errors.Is(err, ErrSaturated) && ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
			panic(err)
		}
		return
	}
	for _, gd := range guards {
		gd.enter()
	}
	for range rnd.IntN(4) {
		if rnd.IntN(3) == 0 {
			yield()
		}
		g = s.Resume(s.Suspend(g, time.Duration(rnd.IntN(1000))))
	}
	for _, gd := range guards {
		gd.exit()
	}
	s.Release(g, time.Duration(rnd.IntN(50_000)))
}

// expectIdle says that no grant was lost.
func expectIdle(t *testing.T, s *Scheduler) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Drain(ctx); err != nil {
		t.Fatalf("%v; %+v", err, s.Stats().Lanes)
	}
	for lane := range s.lanes {
		g, err := s.AcquireLane(ctx, nil, lane)
		if err != nil {
			t.Fatal(err)
		}
		s.Release(g, 0)
	}
	if st := s.Stats(); st.All.InFlight != 0 || st.All.Queued != 0 || st.Lanes[0].Waiting {
		t.Errorf("left: %d in flight, %d queued", st.All.InFlight, st.All.Queued)
	}
}

// TestOnlyOnePrimary: without a pacer nothing lapses, so a plain counter is safe under a grant. The race
// detector watches the hand-overs.
func TestOnlyOnePrimary(t *testing.T) {
	s := newScheduler(t, Config{})
	const goroutines, rounds = 16, 3000
	n := 0
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range rounds {
				g, err := s.Acquire(context.Background(), nil)
				if err != nil {
					panic(err)
				}
				n++
				s.Release(g, time.Duration(n%7)*10*time.Microsecond)
			}
		})
	}
	wg.Wait()
	if n != goroutines*rounds {
		t.Errorf("%d", n)
	}
	expectIdle(t, s)
	if got := s.Stats().All.Granted; got != goroutines*rounds+1 {
		t.Errorf("granted %d", got)
	}
}

// TestCancellationRaces cancels waits at about the moment they are granted.
func TestCancellationRaces(t *testing.T) {
	s := newScheduler(t, Config{})
	var granted, cancelled atomic.Int64
	var wg sync.WaitGroup
	for id := range 16 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(id), 5))
			for range 2500 {
				ctx, cancel := context.WithCancel(context.Background())
				var canceller sync.WaitGroup
				after, inside := rnd.IntN(3), rnd.IntN(3)
				canceller.Go(func() {
					for range after {
						yield()
					}
					cancel()
				})
				g, err := s.Acquire(ctx, nil)
				if err == nil {
					granted.Add(1)
					for range inside {
						yield()
					}
					s.Release(g, 60*time.Microsecond)
				} else if cancelled.Add(1); !errors.Is(err, context.Canceled) {
					panic(err)
				}
				canceller.Wait()
			}
		})
	}
	wg.Wait()
	t.Logf("%d granted, %d cancelled", granted.Load(), cancelled.Load())
	if granted.Load() == 0 || cancelled.Load() == 0 {
		t.Error("nothing raced")
	}
	expectIdle(t, s)
}

func TestCloseWithManyWaiters(t *testing.T) {
	s := newScheduler(t, Config{Lanes: 2})
	ctx := context.Background()
	bounded, _ := s.Class("bounded", ClassConfig{MaxInFlight: 1})
	g0, _ := s.AcquireLane(ctx, bounded, 0)
	g1, _ := s.AcquireLane(ctx, nil, 1)
	const n = 10_000
	errs := make(chan error, n)
	for i := range n {
		go func() {
			var err error
			switch i % 3 {
			case 0:
				_, err = s.Acquire(ctx, nil)
			case 1:
				_, err = s.AcquireLane(ctx, nil, i%2)
			default:
				_, err = s.Acquire(ctx, bounded)
			}
			errs <- err
		}()
	}
	eventually(t, func() bool { return s.Stats().All.Queued == n })
	x := s.Suspend(g1, 0)
	// The lane went to one of the waiters, who now holds it for good: take it as closed with the rest.
	eventually(t, func() bool { return s.Stats().All.Queued == n-1 })
	if err := <-errs; err != nil {
		t.Fatal(err)
	}
	s.Close()
	s.Close()
	for range n - 1 {
		if err := <-errs; !errors.Is(err, ErrClosed) {
			t.Fatalf("got %v", err)
		}
	}
	if _, err := s.Acquire(ctx, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	resumed := make(chan Grant)
	go func() { resumed <- s.Resume(x) }()
	eventually(t, func() bool { return s.Stats().All.Resuming == 1 })
	if s.Lapse(1) {
		t.Error("nobody waits after the one who resumes")
	}
	s.Release(<-resumed, 0)
	s.Release(g0, 0)
	if st := s.Stats(); st.All.InFlight != 1 || st.All.Queued != 0 || st.All.Lapsed != 1 {
		t.Errorf("in flight %d, queued %d, lapsed %d", st.All.InFlight, st.All.Queued, st.All.Lapsed)
	}
	short, cancel := context.WithCancel(ctx)
	cancel()
	if err := s.Drain(short); !errors.Is(err, context.Canceled) {
		t.Errorf("Drain: %v", err)
	}
}

func TestDrainWaits(t *testing.T) {
	s := newScheduler(t, Config{})
	g, _ := s.Acquire(context.Background(), nil)
	done := make(chan error)
	for range 2 {
		go func() { done <- s.Drain(context.Background()) }()
	}
	eventually(t, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.drainers == 2 })
	x := s.Suspend(g, 0)
	g = s.Resume(x)
	select {
	case <-done:
		t.Fatal("drained with a grant out")
	default:
	}
	s.Release(g, 5)
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if s.slow {
		t.Error("still slow after the drain")
	}
}

// TestNobodyStarves loops 64 real goroutines of 4 classes and looks at the longest wait. Virtual bounds
// are in TestStarvationBound; this one only catches who is forgotten.
func TestNobodyStarves(t *testing.T) {
	s := startPacer(t, Config{}, 100*time.Microsecond)
	classes := makeClasses(t, s, 4)
	var wg sync.WaitGroup
	counts := make([]int, 64)
	// Go itself lets a goroutine that never blocks run for 10 ms before one that has not begun, so on a busy
	// machine the last of 64 begins late.
	var started atomic.Int32
	stop, limit := time.Now().Add(300*time.Millisecond), time.Now().Add(10*time.Second)
	for i := range counts {
		wg.Go(func() {
			started.Add(1)
			for now := time.Now(); now.Before(stop) || counts[i] == 0 || int(started.Load()) < len(counts) && now.Before(limit); now = time.Now() {
				g, err := s.Acquire(context.Background(), classes[i%4])
				if err != nil {
					panic(err)
				}
				counts[i]++
				s.Release(g, 100)
			}
		})
	}
	wg.Wait()
	for i, n := range counts {
		if n == 0 {
			t.Errorf("goroutine %d never had a grant", i)
		}
	}
	st := s.Stats()
	t.Logf("granted %d, waits p50 %v p99 %v max %v", st.All.Granted, st.All.Waits.Quantile(0.5), st.All.Waits.Quantile(0.99), st.All.Waits.Quantile(1))
	expectIdle(t, s)
}
