package scheduler

import (
	"context"
	"sync"
	"testing"
	"time"
)

// absences is how many grants are suspended or lapsed, in berths too.
func (s *Scheduler) absences() int {
	n := len(s.away)
	for i := range s.lanes {
		n += int(s.lanes[i].moored())
	}
	return n
}

// absenceOf is the absence of a grant, a copy of what its berth says if it is in one.
func (s *Scheduler) absenceOf(t ticket) *absence {
	if a := s.away[t]; a != nil {
		return a
	}
	for i := range s.lanes[t.lane].berths {
		if w := word(s.lanes[t.lane].berths[i].Load()); w.gen() == t.gen {
			return &absence{ticket: t, class: s.classes[w.class()], suspended: true}
		}
	}
	return nil
}

// What is suspended without the lock is in every count that somebody takes.
func TestSuspendedWithoutTheLockIsSeen(t *testing.T) {
	now := int64(0)
	s, err := New(Config{MaxInFlight: 100, Now: func() int64 { return now }})
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Class("suspends", ClassConfig{})
	if err != nil {
		t.Fatal(err)
	}
	suspend := func() Suspended {
		g, err := s.Acquire(context.Background(), c)
		if err != nil {
			t.Fatal(err)
		}
		return s.Suspend(g, time.Microsecond)
	}
	var away []Suspended
	for i := range berths + 2 {
		away = append(away, suspend())
		if moored := away[i].berth != nil; moored != (i < berths) {
			t.Fatalf("suspension %d without the lock: %v", i, moored)
		}
	}
	if n := s.absences(); n != berths+2 {
		t.Errorf("%d are away", n)
	}
	now += 1000
	resumed := s.Resume(away[0]) // from its berth
	if st := c.Stats(); st.Suspended != berths+1 || st.InFlight != berths+2 || st.Detached != 1000 || st.Held != (berths+2)*1000 {
		t.Errorf("%+v", st)
	}
	if err := s.Drop(c); err == nil {
		t.Error("a class was dropped of which grants are suspended")
	}
	s.Release(resumed, 0)
	for _, x := range away[1:] { // Stats has boarded them
		s.Release(s.Resume(x), 0)
	}
	if st := c.Stats(); st.InFlight != 0 || st.Detached != (berths+2)*1000 || st.Granted != berths+2 {
		t.Errorf("%+v", st)
	}
	x := suspend()
	misused := func() (is bool) {
		defer func() { is = recover() != nil }()
		s.Release(s.Resume(x), 0)
		s.Resume(x)
		return false
	}
	if !misused() {
		t.Error("a grant was resumed twice")
	}
	x = suspend()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := s.Drain(ctx); err == nil {
		t.Error("Drain has not waited for a suspended grant")
	}
	s.Release(s.Resume(x), 0)
	if err := s.Drain(context.Background()); err != nil || s.absences() != 0 {
		t.Error(err, s.absences())
	}
}

// Suspensions without the lock, counts, a cap that is near, and Drop all at once: at the end nothing is left.
func TestSuspendWithoutTheLockRaces(t *testing.T) {
	for _, most := range []int{2, 3 + berths, 64} {
		s, err := New(Config{Lanes: 2, MaxInFlight: most})
		if err != nil {
			t.Fatal(err)
		}
		var busy, looks sync.WaitGroup
		stop := make(chan struct{})
		var classes []*Class
		for i := range 2 {
			c, err := s.Class([]string{"a", "b"}[i], ClassConfig{})
			if err != nil {
				t.Fatal(err)
			}
			classes = append(classes, c)
			for range 3 {
				busy.Go(func() {
					for range 300 {
						g, err := s.Acquire(context.Background(), c)
						if err != nil {
							t.Error(err)
							return
						}
						for range 4 {
							g = s.Resume(s.Suspend(g, 10))
						}
						s.Release(g, 10)
					}
				})
			}
			looks.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if n := s.Stats().All.InFlight; n > most {
						t.Errorf("%d in flight of %d", n, most)
					}
					_ = s.Drop(c)
					_, _, _ = s.Jammed()
				}
			})
		}
		busy.Wait()
		close(stop)
		looks.Wait()
		for _, c := range classes {
			if st := c.Stats(); st.InFlight != 0 || st.Granted != 900 || s.absences() != 0 {
				t.Errorf("%+v, %d away", st, s.absences())
			}
		}
	}
}

// The cap holds when many are granted within one turn under the lock, while grants are in berths: work that sleeps is set aside one after
// another, and a burst of heirs is sent.
func TestCapHoldsWithGrantsInBerths(t *testing.T) {
	ctx := context.Background()
	sleeper := new(History)
	for range 5 {
		sleeper.Took(true, true, 0)
	}
	for name, tc := range map[string]struct {
		history *History
		let     func(*Scheduler, Grant, []*waiter)
	}{
		"set aside": {sleeper, func(s *Scheduler, g Grant, waiters []*waiter) {
			s.Release(g, 0)
			for _, w := range waiters {
				s.arrive(w) // one is the lane's candidate
			}
		}},
		"a burst": {nil, func(s *Scheduler, _ Grant, _ []*waiter) {
			for range 8 {
				gen := s.lanes[0].load().gen()
				s.Tick(0, Look{Known: true, Newest: gen, Arrived: gen})
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			const most = 12
			s := newScheduler(t, Config{MaxInFlight: most, Arm: func(int, Pace) {}})
			acquire := func() Grant {
				t.Helper()
				g, err := s.Acquire(ctx, nil)
				if err != nil {
					t.Fatal(err)
				}
				return g
			}
			for range berths {
				if x := s.Suspend(acquire(), 0); x.berth == nil {
					t.Fatal("it has no berth")
				}
			}
			g := acquire()
			var waiters []*waiter
			for range 30 {
				_, w, err := s.request(ctx, s.def, tc.history, anyLane, Never)
				if w == nil || err != nil {
					t.Fatal("it does not wait:", err)
				}
				waiters = append(waiters, w)
			}
			tc.let(s, g, waiters)
			if n := s.Stats().All.InFlight; n > most || n < most-1 {
				t.Errorf("%d are in flight, the cap is %d", n, most)
			}
		})
	}
}

// With few threads for each lane there are fewer berths, or none: grants without the lock stay possible.
func TestFewThreadsHaveFewBerths(t *testing.T) {
	for _, tc := range []struct{ lanes, most, berths int }{{1, 256, 4}, {1, 8, 3}, {1, 4, 1}, {1, 2, 0}, {52, 256, 1}, {63, 256, 1}, {200, 256, 0}} {
		s := newScheduler(t, Config{Lanes: tc.lanes, MaxInFlight: tc.most})
		if s.berths != tc.berths || s.slow {
			t.Errorf("%+v: %d berths, slow %v", tc, s.berths, s.slow)
		}
	}
}

// Work that sleeps is not refused for what it takes: it hardly uses the lane.
func TestWhoSleepsIsNotRefusedEarly(t *testing.T) {
	h := expecting(40 * ms)
	w := &waiter{history: h, ends: true, deadline: 30 * ms}
	if !w.misses(0) {
		t.Fatal("it ends in time")
	}
	for range 5 {
		h.Took(true, true, 0)
	}
	if w.misses(0) {
		t.Error("it is refused though it sleeps")
	}
}
