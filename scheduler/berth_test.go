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
