package scheduler

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

func TestConfigErrors(t *testing.T) {
	for _, tc := range []struct {
		name string
		cfg  Config
	}{
		{"lanes", Config{Lanes: -1}},
		{"too many lanes", Config{Lanes: maxLanes + 1}},
		{"in flight", Config{MaxInFlight: -1}},
		{"queued", Config{MaxQueued: -5}},
		{"slice", Config{Slice: -time.Second}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := New(tc.cfg); !errors.Is(err, ErrConfig) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestClassErrors(t *testing.T) {
	s := newScheduler(t, Config{})
	for _, tc := range []struct {
		name string
		cfg  ClassConfig
	}{
		{"negative weight", ClassConfig{Weight: -1}},
		{"NaN", ClassConfig{Weight: math.NaN()}},
		{"infinite", ClassConfig{Weight: math.Inf(1)}},
		{"vanishing", ClassConfig{Weight: 1e-300}},
		{"in flight", ClassConfig{MaxInFlight: -1}},
		{"queued", ClassConfig{MaxQueued: -1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := s.Class("x", tc.cfg); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), `"x"`) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestClassesByName(t *testing.T) {
	s := newScheduler(t, Config{})
	a, _ := s.Class("a", ClassConfig{Weight: 2})
	if b, _ := s.Class("a", ClassConfig{}); a != b {
		t.Error("the same name gave another class")
	}
	if d, _ := s.Class("", ClassConfig{}); d != s.Default() {
		t.Error("the empty name is not the default class")
	}
	if _, err := newScheduler(t, Config{}).Acquire(context.Background(), a); !errors.Is(err, ErrForeignClass) {
		t.Errorf("a class of another scheduler: %v", err)
	}
	for i := 2; i < s.cfg.MaxClasses; i++ {
		if _, err := s.Class(fmt.Sprint(i), ClassConfig{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Class("one more", ClassConfig{}); !errors.Is(err, ErrTooManyClasses) {
		t.Errorf("class %d: %v", s.cfg.MaxClasses+1, err)
	}
	last, _ := s.Class(fmt.Sprint(s.cfg.MaxClasses-1), ClassConfig{})
	g, _ := s.Acquire(context.Background(), last)
	if st := s.Stats(); st.Lanes[0].Holder != last.Name() {
		t.Errorf("holder %q", st.Lanes[0].Holder)
	}
	s.Release(g, 0)
}

func TestSizeAndAllocations(t *testing.T) {
	if n := unsafe.Sizeof(Grant{}); n > 32 {
		t.Errorf("a grant has %d bytes", n)
	}
	if unsafe.Sizeof(cell{})%64 != 0 || unsafe.Offsetof(lane{}.berths) != 64 {
		t.Error("cells or lanes share cache lines")
	}
	s, ctx := newScheduler(t, Config{}), context.Background()
	if n := testing.AllocsPerRun(1000, func() {
		g, _ := s.Acquire(ctx, nil)
		s.Release(g, 100)
	}); n != 0 {
		t.Errorf("%v allocations for an uncontended grant", n)
	}
}

func TestFastPathReadsNoClock(t *testing.T) {
	reads := 0
	s := newScheduler(t, Config{Now: func() int64 { reads++; return int64(reads) }})
	reads = 0
	for range 1000 {
		g, _ := s.Acquire(context.Background(), nil)
		s.Release(g, 100)
	}
	if reads != 0 {
		t.Errorf("%d clock reads", reads)
	}
	if c := s.Stats().All; c.Granted != 1000 || c.Held != 1000*100 || c.Waits.Count() != 0 || c.Holds.Count() != 1000/sampleEvery {
		t.Errorf("granted %d, held %v, %d waits, %d holds", c.Granted, c.Held, c.Waits.Count(), c.Holds.Count())
	}
}

func TestMisusePanics(t *testing.T) {
	ctx := context.Background()
	for _, tc := range []struct {
		name string
		do   func(*Scheduler)
	}{
		{"zero grant", func(s *Scheduler) { s.Release(Grant{}, 0) }},
		{"zero suspended", func(s *Scheduler) { s.Resume(Suspended{}) }},
		{"suspend zero", func(s *Scheduler) { s.Suspend(Grant{}, 0) }},
		{"release twice", func(s *Scheduler) { g, _ := s.Acquire(ctx, nil); s.Release(g, 0); s.Release(g, 0) }},
		{"release another's", func(s *Scheduler) {
			g, _ := s.Acquire(ctx, nil)
			s.Release(g, 0)
			_, _ = s.Acquire(ctx, nil)
			s.Release(g, 0)
		}},
		{"release suspended", func(s *Scheduler) { g, _ := s.Acquire(ctx, nil); s.Suspend(g, 0); s.Release(g, 0) }},
		{"suspend twice", func(s *Scheduler) { g, _ := s.Acquire(ctx, nil); s.Suspend(g, 0); s.Suspend(g, 0) }},
		{"resume twice", func(s *Scheduler) {
			g, _ := s.Acquire(ctx, nil)
			x := s.Suspend(g, 0)
			s.Release(s.Resume(x), 0)
			s.Resume(x)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScheduler(t, Config{})
			defer func() {
				if msg, _ := recover().(string); !strings.HasPrefix(msg, "gilt/scheduler: ") {
					t.Errorf("panic %q", msg)
				}
				s.Stats() // the lock is free
			}()
			tc.do(s)
			t.Error("no panic")
		})
	}
}

// order runs a rig until nothing is left and returns the tasks in the order they were granted.
func order(r *rig, ts ...*task) (names []string) {
	done := map[*task]bool{}
	for range 10 * len(ts) {
		for lane := range r.s.lanes {
			if p := r.primary(lane); p != nil {
				if p.seated() {
					r.run(p)
				}
				for _, t := range ts {
					if t == p && !done[t] {
						done[t] = true
						names = append(names, fmt.Sprint(t.id))
					}
				}
				r.release(p, 1_000_000) // over the slice: handed over
			}
		}
	}
	return names
}

func TestOrderInAClass(t *testing.T) {
	r := newRig(t, Config{}, false)
	c := r.class("c", ClassConfig{})
	holder := r.ask(c, anyLane, 0) // 1
	r.suspend(holder, 100)
	other := r.ask(c, anyLane, 0)                 // 2
	plain := r.ask(c, anyLane, 0)                 // 3
	plain2 := r.ask(c, anyLane, 0)                // 4
	far := r.ask(c, anyLane, r.now+int64(5e9))    // 5
	near := r.ask(c, anyLane, r.now+int64(1e9))   // 6
	hour := r.ask(c, anyLane, r.now+int64(36e11)) // 7: later than Patience, so by arrival
	r.resume(holder)
	if got := fmt.Sprint(order(r, other, holder, plain, plain2, far, near, hour)); got != "[2 1 6 5 3 4 7]" {
		t.Errorf("granted in the order %v", got)
	}
	r.finish()
}

func TestOldWorkIsNotOvertakenForEver(t *testing.T) {
	r := newRig(t, Config{}, false)
	holder := r.ask(r.s.Default(), anyLane, 0)
	old := r.ask(r.s.Default(), anyLane, 0)
	r.now += int64(Patience)
	urgent := r.ask(r.s.Default(), anyLane, r.now+1e6)
	if got := fmt.Sprint(order(r, holder, old, urgent)); got != "[1 2 3]" {
		t.Errorf("granted in the order %v", got)
	}
	r.finish()
}

func TestSleepEarnsNothing(t *testing.T) {
	for _, tc := range []struct {
		name   string
		before func(r *rig, a, b *Class)
	}{
		{"one used the idle machine alone", func(r *rig, a, b *Class) { r.release(r.ask(a, anyLane, 0), 10e9) }},
		{"both took turns before", func(r *rig, a, b *Class) {
			x, y := r.ask(a, anyLane, 0), r.ask(b, anyLane, 0)
			order(r, x, y)
			r.release(r.ask(a, anyLane, 0), 10e9)
		}},
		{"the other waited meanwhile", func(r *rig, a, b *Class) {
			for range 10 {
				x, y := r.ask(a, anyLane, 0), r.ask(a, anyLane, 0)
				order(r, x, y)
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, Config{}, false)
			a, b := r.class("a", ClassConfig{}), r.class("b", ClassConfig{})
			tc.before(r, a, b)
			var ts []*task
			for range 4 {
				ts = append(ts, r.ask(b, anyLane, 0), r.ask(a, anyLane, 0))
			}
			first := ts[0].id
			got := order(r, ts...)
			// b holds first; then they alternate: b never gets two in a row for having slept.
			for i, name := range got {
				if want := fmt.Sprint(first + i); name != want {
					t.Fatalf("granted in the order %v", got)
				}
			}
			r.finish()
		})
	}
}

func TestHeldIsChargedByWeight(t *testing.T) {
	r := newRig(t, Config{}, false)
	a, b := r.class("a", ClassConfig{Weight: 1}), r.class("b", ClassConfig{Weight: 3})
	var ts []*task
	for range 8 {
		ts = append(ts, r.ask(a, anyLane, 0))
	}
	for range 8 {
		ts = append(ts, r.ask(b, anyLane, 0))
	}
	inB := 0
	for _, name := range order(r, ts...)[:9] {
		if id := 0; true {
			fmt.Sscan(name, &id)
			if id > 8 {
				inB++
			}
		}
	}
	if inB < 6 {
		t.Errorf("%d of the first 9 grants went to the class of weight 3", inB)
	}
	r.finish()
}

func TestLapse(t *testing.T) {
	r := newRig(t, Config{MaxInFlight: 3}, true)
	c := r.s.Default()
	if r.s.Lapse(0) {
		t.Error("nobody waits")
	}
	long := r.ask(c, anyLane, 0)
	if r.s.Lapse(0) || long.g.gen != r.s.lanes[0].load().gen() {
		t.Error("lapsed though nobody waits")
	}
	second, third, fourth := r.ask(c, anyLane, 0), r.ask(c, anyLane, 0), r.ask(c, anyLane, 0)
	if !r.lapse(0) || long.state != lapsed || !second.seated() {
		t.Fatal("the first did not lapse in favour of the second")
	}
	r.run(second)
	if !r.lapse(0) || second.state != lapsed {
		t.Fatal("the second did not lapse")
	}
	r.run(third)
	if !r.lapse(0) || third.state != primary || fourth.seated() {
		t.Fatal("the cap of 3 does not hold")
	}
	st := r.s.Stats()
	if st.All.Lapses != 2 || st.All.InFlight != 3 || st.All.Queued != 1 {
		t.Errorf("%d lapses, %d in flight, %d queued", st.All.Lapses, st.All.InFlight, st.All.Queued)
	}
	r.release(long, 9e6)
	if fourth.seated() {
		t.Error("a lapsed grant's release gave away a lane that is held")
	}
	if r.lapse(0) || !fourth.seated() {
		t.Error("there is room now")
	}
	r.finish()
	if held := r.s.Stats().All.Held; held != 9e6+3*1000 {
		t.Errorf("held %v", held)
	}
}

func TestReleaseOfALapsedGrantFreesItsPlaceOnly(t *testing.T) {
	r := newRig(t, Config{MaxInFlight: 2}, true)
	a := r.ask(r.s.Default(), anyLane, 0)
	b := r.ask(r.s.Default(), anyLane, 0)
	r.lapse(0)
	r.run(b)
	r.suspend(a, 100) // lapsed, then suspended
	r.release(b, 100)
	c := r.ask(r.s.Default(), anyLane, 0)
	if c.state != primary {
		t.Fatal("the lane is free and there is room for one")
	}
	r.resume(a)
	d := r.ask(r.s.Default(), anyLane, 0)
	r.release(c, 1e6)
	if !a.seated() || d.seated() {
		t.Error("who resumes goes first")
	}
	r.finish()
}

func TestResumeNeedsNoRoom(t *testing.T) {
	r := newRig(t, Config{MaxInFlight: 2}, true)
	c := r.s.Default()
	a := r.ask(c, anyLane, 0)
	r.suspend(a, 100)
	b := r.ask(c, anyLane, 0)
	if x := r.ask(c, anyLane, 0); x.state != queued {
		t.Fatal("over the cap")
	}
	r.resume(a)
	if !r.lapse(0) || !a.seated() || b.state != lapsed {
		t.Fatal("at the cap the one who resumes is not admitted as heir")
	}
	r.finish()
}

func TestClassLimits(t *testing.T) {
	r := newRig(t, Config{Lanes: 2}, true)
	a := r.class("a", ClassConfig{MaxInFlight: 1, MaxQueued: 1})
	b := r.class("b", ClassConfig{})
	a1, a2 := r.ask(a, anyLane, 0), r.ask(a, anyLane, 0)
	a3 := r.ask(a, anyLane, 0)
	var full *SaturatedError
	if !errors.As(a3.err, &full) || !errors.Is(a3.err, ErrSaturated) || full.Class != "a" || full.Queued != 1 || !full.PerClass {
		t.Fatalf("queue full: %v", a3.err)
	}
	if r.s.Stats().Lanes[1].Waiting {
		t.Error("a lane waits for a class at its limit")
	}
	b1 := r.ask(b, anyLane, 0)
	if b1.state != primary {
		t.Error("a class at its limit holds others up")
	}
	r.release(a1, 1e6)
	for _, w := range r.awake() {
		r.run(w)
	}
	if a2.state != primary && !a2.seated() {
		t.Error("the class is below its limit again")
	}
	r.finish()
}

func TestSaturation(t *testing.T) {
	r := newRig(t, Config{MaxQueued: 2}, true)
	for range 3 {
		r.ask(r.s.Default(), anyLane, 0)
	}
	x := r.ask(r.s.Default(), anyLane, 0)
	var full *SaturatedError
	if !errors.As(x.err, &full) || full.Queued != 2 || full.Limit != 2 || full.PerClass {
		t.Fatalf("got %v", x.err)
	}
	if n := r.s.Stats().All.Rejected; n != 1 {
		t.Errorf("%d rejected", n)
	}
	r.finish()
}

func TestContextDoneBefore(t *testing.T) {
	s := newScheduler(t, Config{})
	cause := errors.New("tenant gone")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	_, err := s.Acquire(ctx, nil)
	var wait *WaitError
	if !errors.Is(err, context.Canceled) || !errors.Is(err, cause) || !errors.As(err, &wait) || wait.Class != DefaultClass {
		t.Errorf("got %v", err)
	}
	if st := s.Stats().All; st.Granted != 0 || st.Cancelled != 1 {
		t.Errorf("granted %d, cancelled %d", st.Granted, st.Cancelled)
	}
	if _, err := s.AcquireLane(context.Background(), nil, 1); !errors.Is(err, ErrNoLane) {
		t.Errorf("lane 1 of 1: %v", err)
	}
}

func TestExpiredWorkIsNeverGranted(t *testing.T) {
	r := newRig(t, Config{}, false)
	holder := r.ask(r.s.Default(), anyLane, 0)
	late := r.ask(r.s.Default(), anyLane, r.now+1000)
	gone := r.ask(r.s.Default(), anyLane, 0)
	alive := r.ask(r.s.Default(), anyLane, 0)
	gone.ctx.end(context.Canceled)
	r.now += 2000 // past late's deadline; its timer has not fired
	r.release(holder, 1e6)
	if late.seated() || gone.seated() || !alive.seated() {
		t.Fatal("not the one whose context lives was granted")
	}
	r.run(late)
	var wait *WaitError
	if !errors.As(late.err, &wait) || !errors.Is(late.err, context.DeadlineExceeded) || wait.Waited != 2000 || wait.Ahead != 0 {
		t.Errorf("got %v", late.err)
	}
	r.run(gone)
	if !errors.As(gone.err, &wait) || wait.Ahead != 1 {
		t.Errorf("got %v", gone.err)
	}
	r.finish()
}

func TestBargingEndsWithTheSlice(t *testing.T) {
	for _, withPacer := range []bool{true, false} {
		t.Run(fmt.Sprint("pacer ", withPacer), func(t *testing.T) {
			r := newRig(t, Config{}, withPacer)
			a, b := r.class("a", ClassConfig{}), r.class("b", ClassConfig{})
			x := r.ask(a, anyLane, 0)
			y := r.ask(b, anyLane, 0)
			n := 0
			for ; !y.seated(); n++ {
				r.release(x, 1000)
				if y.seated() {
					break
				}
				if other := r.s.lanes[0].load(); other.open(b.index) {
					t.Fatal("another class could barge")
				}
				if x = r.ask(a, anyLane, 0); x.state != primary {
					t.Fatal("its own class could not barge within the slice")
				}
				if n > 1000 {
					t.Fatal("the slice never ends")
				}
			}
			if want := 200_000 / (1000 + grantCost); n < want-2 || n > want+2 {
				t.Errorf("%d grants in a slice, want about %d", n, want)
			}
			r.finish()
		})
	}
}

func TestAtMostOneCandidate(t *testing.T) {
	r := newRig(t, Config{}, true)
	c := r.s.Default()
	x := r.ask(c, anyLane, 0)
	for range 10 {
		r.ask(c, anyLane, 0)
	}
	wakes, grants := 0, 0
	for range 150 {
		r.release(x, 100)
		if r.s.lanes[0].load().held() {
			break // handed over
		}
		if n := len(r.awake()); n > 1 {
			t.Fatalf("%d awake at once", n)
		}
		x = r.ask(c, anyLane, 0)
		grants++
		for _, w := range r.awake() {
			wakes++
			r.run(w) // in vain
		}
	}
	if wakes == 0 || wakes > grants/5 {
		t.Errorf("%d wakes in vain for %d grants", wakes, grants)
	}
	r.finish()
}

func TestLeastLoadedLane(t *testing.T) {
	r := newRig(t, Config{Lanes: 3}, true)
	c := r.s.Default()
	a := r.ask(c, 0, 0)
	r.suspend(a, 0)
	b := r.ask(c, 1, 0)
	r.suspend(b, 0)
	if x := r.ask(c, anyLane, 0); x.g.Lane() != 2 {
		t.Errorf("lane %d, but 2 has nothing in flight", x.g.Lane())
	}
	seen := map[int]bool{}
	for range 2 {
		seen[r.ask(c, anyLane, 0).g.Lane()] = true
	}
	if !seen[0] || !seen[1] {
		t.Errorf("free lanes were not used: %v", seen)
	}
	r.finish()
}

func TestArmedOncePerWait(t *testing.T) {
	var arms atomic.Int32
	s := newScheduler(t, Config{Arm: func(int, Pace) { arms.Add(1) }})
	ctx, cancel := context.WithCancel(context.Background())
	g, _ := s.Acquire(ctx, nil)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { _, _ = s.Acquire(ctx, nil) })
	}
	eventually(t, func() bool { return s.Stats().All.Queued == 3 })
	cancel()
	wg.Wait()
	if n := arms.Load(); n != 1 {
		t.Errorf("armed %d times", n)
	}
	if s.Lapse(0) {
		t.Error("nobody waits any more")
	}
	s.Release(g, 0)
}

// eventually yields until cond holds.
func eventually(tb testing.TB, cond func() bool) {
	tb.Helper()
	for start := time.Now(); !cond(); {
		if time.Since(start) > 20*time.Second {
			tb.Fatal("it never happened")
		}
		yield()
	}
}

func TestHistogram(t *testing.T) {
	var r recorder
	for i := range 1000 {
		r.record(int64(i+1) * 1000)
	}
	r.record(-5)
	r.record(math.MaxInt64 / 2)
	h := r.snapshot()
	if h.Count() != 1002 {
		t.Errorf("count %d", h.Count())
	}
	for _, tc := range []struct{ p, want float64 }{{0.5, 500_000}, {0.9, 900_000}, {0.99, 990_000}} {
		if got := float64(h.Quantile(tc.p)); got < tc.want || got > 1.26*tc.want {
			t.Errorf("quantile %v: %v, want %v", tc.p, got, tc.want)
		}
	}
	if h.Quantile(0) != 0 || h.Quantile(1) < time.Minute || (&Histogram{}).Quantile(0.5) != 0 {
		t.Error("the ends")
	}
	for ns := int64(0); ns < 1<<41; ns = ns*3/2 + 1 {
		if b := bucketOf(ns); bucketEdge(b) < ns || b > 0 && bucketEdge(b-1) >= ns {
			t.Fatalf("%d is not in bucket %d", ns, b)
		}
	}
}

// A task inside AllowThreads that starts another one on its own thread must not wait for a place that
// it holds itself.
func TestNestedWorkDoesNotWaitForTheCap(t *testing.T) {
	ctx := context.Background()
	s := newScheduler(t, Config{MaxInFlight: 1})
	bounded, err := s.Class("bounded", ClassConfig{MaxInFlight: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*Class{nil, bounded} {
		outer, err := s.Acquire(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		if !s.NearLimit(c) {
			t.Error("a cap of 1 is near")
		}
		away := s.Suspend(outer, 0)
		inner, err := s.AcquireNested(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		queued := make(chan Grant)
		go func() { // two deep: the inner one holds the lane until it is suspended too
			g, err := s.AcquireNested(ctx, c)
			if err != nil {
				t.Error(err)
			}
			queued <- g
		}()
		eventually(t, func() bool { return s.Stats().All.Queued == 1 })
		innerAway := s.Suspend(inner, 0)
		s.Release(<-queued, 0)
		s.Release(s.Resume(innerAway), 0)
		s.Release(s.Resume(away), 0)
		expectIdle(t, s)
	}
}

// Whoever waits in vain behind lost tasks is told how many there are; lost tasks that keep nobody out are not blamed.
func TestWaitErrorTellsOfTheLost(t *testing.T) {
	s := newScheduler(t, Config{MaxInFlight: 2})
	wait := func() *WaitError {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		g, err := s.AcquireLane(ctx, nil, 0)
		var e *WaitError
		if !errors.As(err, &e) {
			t.Fatal(g, err)
		}
		return e
	}
	one, err := s.Acquire(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Lost(1)
	if e := wait(); e.Lost != 0 || strings.Contains(e.Error(), "lost") {
		t.Error("with a place left:", e)
	}
	away := s.Suspend(one, 0)
	two, err := s.Acquire(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Lost(1)
	if e := wait(); e.Lost != 2 || !strings.Contains(e.Error(), "2 of them are lost") {
		t.Error("with none:", e)
	}
	if st := s.Stats(); st.MaxInFlight != 2 || st.All.InFlight != 2 {
		t.Error(st.MaxInFlight, st.All.InFlight)
	}
	s.Release(two, 0) // it has come back
	s.Lost(-1)
	if two, err = s.Acquire(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	s.Release(two, 0)
	s.Release(s.Resume(away), 0)
	s.Lost(-1)
}
