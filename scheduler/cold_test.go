package scheduler

import (
	"testing"
	"time"
)

// cold has callers of a function of which nothing is known; its first calls take so long, and the others 200 µs.
func cold(t *testing.T, seed uint64, callers int, first []int64, add func(*world)) (longest int64, most int) {
	m := newWorld(t, seed, worldConfig{})
	m.byGrant = *simFixed
	h := new(History)
	calls := 0
	for i := range callers {
		m.add(caller{class: m.classes[0], lane: anyLane, rounds: 3, start: int64(i) * ms, history: h, prog: func() []segment {
			if calls++; calls <= len(first) {
				return hold(first[calls-1])()
			}
			return hold(200 * us)()
		}})
	}
	if add != nil {
		add(m)
	}
	m.onWaited = func(x *simTask) {
		if x.history == h {
			longest, most = max(longest, m.now-x.since), max(most, m.inFlight)
		}
	}
	m.finish()
	return longest, most
}

// TestColdStartWaitsAtMost50ms: the first call of a function computes for long (it imports, or fills a cache). Others of the function, of which
// nothing else is known, wait for no longer than 50 ms: also when the first two do, and when long work of their class waits.
func TestColdStartWaitsAtMost50ms(t *testing.T) {
	long := func() *History {
		h := new(History)
		h.score.Store(historyOne)
		return h
	}
	for _, x := range []struct {
		name    string
		callers int
		first   []int64
		add     func(*world)
	}{
		{"1 s", 16, []int64{1000 * ms}, nil},
		{"30 s", 16, []int64{30_000 * ms}, nil},
		{"others of another function come and go", 16, []int64{3000 * ms}, func(m *world) {
			m.add(caller{class: m.classes[0], lane: anyLane, rounds: 1000, history: new(History), prog: hold(50 * us)})
		}},
		{"and in another class", 16, []int64{3000 * ms}, func(m *world) {
			m.add(caller{class: m.class("other", ClassConfig{}), lane: anyLane, rounds: 1000, history: new(History), prog: hold(50 * us)})
		}},
		{"the first two", 16, []int64{1000 * ms, 1000 * ms}, nil},
		{"many callers", 200, []int64{1000 * ms}, nil},
		{"behind a long one of another function", 16, []int64{1000 * ms}, func(m *world) {
			h := long()
			for range 3 {
				m.add(caller{class: m.classes[0], lane: anyLane, rounds: 1, history: h, prog: hold(1500 * ms)})
			}
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			for seed := range uint64(3) {
				longest, most := cold(t, seed, x.callers, x.first, x.add)
				t.Logf("the longest wait %v, %d at once", time.Duration(longest), most)
				if longest > 50*ms {
					t.Errorf("somebody waited %v", time.Duration(longest))
				}
			}
		})
	}
}
