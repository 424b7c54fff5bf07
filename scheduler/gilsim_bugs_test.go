package scheduler

import (
	"context"
	"testing"
)

// Found by TestSimulatedGIL: several heirs, or several long tasks, that were let in within one turn under the lock
// were counted against the cap only after it.
func TestCapHoldsWithinOneTurn(t *testing.T) {
	t.Run("burst", func(t *testing.T) {
		r := newRig(t, Config{MaxInFlight: 6}, true)
		for range 10 {
			r.ask(r.s.Default(), anyLane, 0)
		}
		for range 4 {
			r.s.Tick(0, Look{Known: true})
			if n := len(r.s.away) + r.s.primaries(); n > 6 {
				t.Fatalf("%d in flight, the cap is 6", n)
			}
		}
	})
	t.Run("long", func(t *testing.T) {
		r := newRig(t, Config{MaxInFlight: 4, MaxLong: 100}, true)
		var long History
		long.score.Store(historyOne)
		first := r.ask(r.s.Default(), anyLane, 0)
		for range 10 {
			if _, _, err := r.s.ask(first.ctx, r.s.Default(), &long, anyLane); err != nil {
				t.Fatal(err)
			}
		}
		r.s.Release(first.g, 0)
		if n := len(r.s.away) + r.s.primaries(); n > 4 {
			t.Fatalf("%d in flight, the cap is 4", n)
		}
	})
	// Found by review: so was the one that came beside a primary that is elsewhere.
	t.Run("beside", func(t *testing.T) {
		for _, limit := range []int{1, 2, 5} {
			s := newScheduler(t, Config{MaxInFlight: limit, Elsewhere: func(int, uint64) bool { return true }})
			for i := range limit {
				if _, w, err := s.ask(context.Background(), s.Default(), nil, anyLane); w != nil || err != nil {
					t.Fatalf("%d of %d: a wait, or %v", i+1, limit, err)
				}
			}
			_, w, err := s.ask(context.Background(), s.Default(), nil, anyLane)
			if n := len(s.away) + s.primaries(); n != limit || w == nil || err != nil {
				t.Fatalf("%d in flight, the cap is %d; error %v", n, limit, err)
			}
		}
	})
}

// running has the primary seen to compute, so that it lapses in favour of the next waiter, which is primary then.
func (r *rig) running(t *testing.T) (old, heir *task) {
	t.Helper()
	old = r.primary(0)
	r.s.Tick(0, Look{Known: true, Taken: true, Computes: true, Holder: old.g.Tag(), User: old.g.Tag(), Used: 100_000})
	if len(r.s.away) == 0 || len(r.awake()) == 0 {
		t.Fatal("it did not lapse")
	}
	old.heir, old.state = true, lapsed
	heir = r.awake()[0]
	r.run(heir)
	return old, heir
}

// Found by TestSimulatedShares: with several tasks that compute and nobody in line the pacer went to sleep. Only its
// looks tell what each uses, so they were charged next to nothing and taken for short.
func TestPacerStaysWhileSeveralCompute(t *testing.T) {
	r := newRig(t, Config{}, true)
	r.ask(r.s.Default(), anyLane, 0)
	r.ask(r.s.Default(), anyLane, 0)
	a, b := r.running(t)
	for range 3 {
		if r.s.Tick(0, Look{Known: true, Taken: true, Computes: true, Holder: b.g.Tag()}) == Rest {
			t.Fatal("the pacer sleeps while a primary computes beside a runner")
		}
	}
	r.s.Release(b.g, 1000)
	r.s.Tick(0, Look{Known: true, Taken: true, Computes: true, Holder: a.g.Tag()}) // the last look may still have seen somebody
	if r.s.Tick(0, Look{Known: true, Taken: true, Computes: true, Holder: a.g.Tag()}) != Rest {
		t.Error("the pacer looks at a task that computes alone")
	}
}

// Found by review: a waiter that moved to the line of long work, or back, was treated as if its class had been away:
// what the class had not used while it waited was lost.
func TestMovedWaiterKeepsItsClassesPlace(t *testing.T) {
	r := newRig(t, Config{}, true)
	behind, ahead := r.class("behind", ClassConfig{}), r.class("ahead", ClassConfig{})
	holder := r.ask(r.s.Default(), anyLane, 0)
	var h History
	ask := func(c *Class, h *History) *waiter {
		t.Helper()
		_, w, err := r.s.ask(context.Background(), c, h, anyLane)
		if w == nil || err != nil {
			t.Fatal("no wait:", err)
		}
		return w
	}
	w := ask(behind, &h)
	ask(ahead, nil)
	ahead.advance(50e6)
	r.now += 20e6 // long after it came
	l, was, seq := &r.s.lanes[0], behind.vtime, w.seq
	same := func(kind kind) {
		t.Helper()
		if w.line.kind != kind || behind.vtime != was || w.seq != seq || r.s.queued != 2 || behind.queued != 1 || !l.waiting {
			t.Fatalf("in line %d; virtual time %.0f, was %.0f; number %d, was %d; %d queued", w.line.kind, behind.vtime, was, w.seq, seq, r.s.queued)
		}
	}
	h.score.Store(historyOne)
	if r.s.pick(l, false) != w {
		t.Fatal("it is another's turn")
	}
	same(kindLong)
	h.score.Store(0)
	if r.s.pick(l, false) != w {
		t.Fatal("it is another's turn")
	}
	same(kindNew)
	r.s.Release(holder.g, 0)
	if w.candidate == nil && w.state.Load() != stateGranted {
		t.Error("nobody told it that the lane is free")
	}
}

// Found by review: of several lanes whose primaries were elsewhere the first got all that came.
func TestBesideSpreadsOverLanes(t *testing.T) {
	s := newScheduler(t, Config{Lanes: 4, Elsewhere: func(int, uint64) bool { return true }})
	for range 16 {
		if _, w, err := s.ask(context.Background(), s.Default(), nil, anyLane); w != nil || err != nil {
			t.Fatal("a wait, or", err)
		}
	}
	for i := range s.lanes {
		if away := s.lanes[i].away.Load(); away != 3 {
			t.Errorf("lane %d: %d away, want 3", i, away)
		}
	}
}
