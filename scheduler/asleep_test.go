package scheduler

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"
)

// Work that is known to sleep does not keep the lane: as many as MaxInFlight allows are granted at once, without a pacer, and work
// of other functions beside them.
func TestWhatSleepsDoesNotKeepTheLane(t *testing.T) {
	s, ctx := newScheduler(t, Config{MaxInFlight: 3 + 2*(1+berths)}), context.Background()
	h := new(History)
	acquire := func(h *History) Grant {
		t.Helper()
		g, err := s.AcquireFor(ctx, nil, h, OnDeadline)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	for range 5 { // of which nothing is known yet
		s.Release(acquire(h), 50*time.Microsecond)
		h.Took(true, true, 50*time.Microsecond)
	}
	var out []Grant
	for range 6 {
		out = append(out, acquire(h))
	}
	out = append(out, acquire(nil)) // it has the lane
	soon, cancel := context.WithCancel(ctx)
	cancelled := make(chan error)
	go func() {
		_, err := s.AcquireFor(soon, nil, h, OnDeadline)
		cancelled <- err
	}()
	for s.Stats().All.Queued == 0 {
		runtime.Gosched()
	}
	cancel()
	if err := <-cancelled; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if st := s.Stats().All; st.InFlight != 7 || st.Lapsed != 6 {
		t.Errorf("%d in flight, %d lapsed", st.InFlight, st.Lapsed)
	}
	for _, g := range out {
		s.Release(g, 10*time.Microsecond)
	}
	if st := s.Stats().All; st.InFlight != 0 || st.Held != 5*50*time.Microsecond+7*10*time.Microsecond {
		t.Errorf("%d in flight, %v held", st.InFlight, st.Held)
	}
}

// One call that does not sleep, or that computes, and the function keeps its lane again.
func TestWhoComputesIsNotTakenForAsleep(t *testing.T) {
	for name, last := range map[string]func(*History){
		"a short call":                       func(h *History) { h.Took(false, true, time.Microsecond) },
		"a call that computes":               func(h *History) { h.Took(true, true, time.Second) },
		"a call that waited for a processor": func(h *History) { h.Took(true, false, 0) },
	} {
		h := new(History)
		for range 10 {
			h.Took(true, true, 0)
		}
		if !h.sleeps() {
			t.Error("ten that slept, and it is not known")
		}
		if last(h); h.sleeps() {
			t.Errorf("after %s it is still taken to sleep", name)
		}
	}
	var none *History
	if none.Took(true, true, 0); none.sleeps() {
		t.Error("nothing is known, and it sleeps")
	}
}
