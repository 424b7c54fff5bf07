package scheduler

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

// change is how long it takes at most for a lane to go from one to the next: a grace, two looks (the first may still see
// the one before), the switch interval of who asks, and three wake-ups.
const change = grace + 2*maxLook + askInterval + 3*int64(maxWake)

// round is how long n classes take at most for a turn each: of a slice, or of what a task has before it is seen to
// compute, and a change.
func (m *world) round(n int) int64 { return int64(n) * (max(grace, int64(m.cfg.Slice)) + change) }

// saturated has n classes whose callers always want more, of ns each, and then what add adds, whose waits for the
// scheduler it measures: those that counts. Always: no wait is longer than catchUp for each of the classes and a round; with catchUp 0, than
// so many turns of the class as it has callers, and a round.
// At least 9 of 10 waits are no longer than a round, unless rare.
func saturated(t *testing.T, wc worldConfig, catchUp int64, callers int, rare bool, counts func(*simTask) bool, add func(*world, *simClass)) {
	for _, ns := range []int64{50 * us, 1 * ms, 10 * ms, 300 * ms} {
		for _, n := range []int{1, 4} {
			t.Run(fmt.Sprintf("%d classes, tasks of %v", n, time.Duration(ns)), func(t *testing.T) {
				m := newWorld(t, 1, wc)
				m.byGrant, m.fast = true, true
				for i := range n {
					past := m.loops(m.class(fmt.Sprint("busy", i), ClassConfig{}), 4, hold(ns))
					if ns > int64(longHold) {
						past.score.Store(historyOne) // else two of each class are let in to see
					}
				}
				add(m, m.class("measured", ClassConfig{}))
				var waits []int64
				m.onWaited = func(x *simTask) {
					if counts(x) {
						waits = append(waits, m.now-x.since)
					}
				}
				m.play(2e9)
				if len(waits) < 20 {
					t.Fatalf("only %d were served", len(waits))
				}
				for _, x := range slices.Concat(m.waiting, m.jobs) {
					if counts(x) && !x.noted {
						waits = append(waits, m.now-x.since)
					}
				}
				slices.Sort(waits)
				longest, most := waits[len(waits)-1], waits[len(waits)*9/10]
				bound, round := int64(n)*catchUp+m.round(n), m.round(n)
				if catchUp == 0 {
					bound = int64(callers)*(turnAfter+int64(n+1)*leastTask) + round
				}
				t.Logf("%d waits, 9 of 10 up to %v, a round %v; the longest %v, the bound %v", len(waits), time.Duration(most), time.Duration(round), time.Duration(longest), time.Duration(bound))
				if longest > bound || most > round && !rare {
					t.Error("out of bounds")
				}
			})
		}
	}
}

// TestResumedWorkIsServedBesideClassesThatAlwaysWantMore: who comes back from AllowThreads has used least of all. Only
// classes that are between two tasks when it comes may be behind it still, and then it has a turn all the same.
func TestResumedWorkIsServedBesideClassesThatAlwaysWantMore(t *testing.T) {
	resumes := func(x *simTask) bool { return x.resumes }
	saturated(t, worldConfig{}, 0, 1, false, resumes, func(m *world, c *simClass) {
		m.add(caller{class: c, lane: anyLane, rounds: math.MaxInt, start: 100 * ms, gap: func() int64 { return 2 * ms }, prog: func() (p []segment) {
			for range 10 {
				p = append(p, segment{compute, 20 * us}, segment{allow, m.rnd.Int64N(2 * ms)})
			}
			return append(p, segment{compute, 20 * us})
		}})
	})
}

// TestQueuedWorkIsServedBesideClassesThatAlwaysWantMore: the same, as long as a worker is idle.
func TestQueuedWorkIsServedBesideClassesThatAlwaysWantMore(t *testing.T) {
	queued := func(x *simTask) bool { return x.job }
	saturated(t, worldConfig{workers: 2}, 0, 2, false, queued, func(m *world, c *simClass) {
		for range 2 {
			m.add(caller{class: c, job: true, lane: anyLane, rounds: math.MaxInt, start: 100 * ms, history: new(History),
				gap: func() int64 { return m.rnd.Int64N(4 * ms) }, prog: hold(20 * us)})
		}
	})
}

// TestNestedWorkIsServedBesideClassesThatAlwaysWantMore: the same, whatever the caps.
func TestNestedWorkIsServedBesideClassesThatAlwaysWantMore(t *testing.T) {
	nested := func(x *simTask) bool { return x.lane == nestedLane }
	saturated(t, worldConfig{}, 0, 1, false, nested, func(m *world, c *simClass) {
		m.add(caller{class: c, lane: nestedLane, rounds: math.MaxInt, start: 100 * ms, gap: func() int64 { return m.rnd.Int64N(4 * ms) }, prog: hold(20 * us)})
	})
}

// TestLongWorkIsServedBesideClassesThatAlwaysWantMore: who has used the GIL for 5 ms waits until each of the others has
// had as much. The long ones among them do not hold it up then, for it is behind them.
func TestLongWorkIsServedBesideClassesThatAlwaysWantMore(t *testing.T) {
	h := new(History)
	long := func(x *simTask) bool { return x.history == h }
	saturated(t, worldConfig{}, maxCredit+5*ms, 1, true, long, func(m *world, c *simClass) {
		h.score.Store(historyOne)
		m.add(caller{class: c, lane: anyLane, rounds: math.MaxInt, start: 100 * ms, history: h, gap: func() int64 { return 5 * ms }, prog: hold(5 * ms)})
	})
}

// TestLongWorkDoesNotWaitForEverForItsOwnClass: MaxLong holds it up for Patience, until the pacer tells, and a change.
func TestLongWorkDoesNotWaitForEverForItsOwnClass(t *testing.T) {
	for _, maxLong := range []int{1, 2} {
		m := newWorld(t, 1, worldConfig{Config: Config{MaxLong: maxLong}})
		m.byGrant, m.fast = true, true
		h, longest, n := new(History), int64(0), 0
		h.score.Store(historyOne)
		for i := range maxLong + 1 {
			m.add(caller{class: m.classes[0], lane: anyLane, rounds: 1, start: int64(i) * 10 * ms, history: h, prog: hold(30_000 * ms)})
		}
		m.onWaited = func(x *simTask) { longest, n = max(longest, m.now-x.since), n+1 }
		m.play(15_000 * ms)
		if bound := int64(Patience) + mostQuiet + change; n != maxLong+1 || longest > bound || longest < bound/2 {
			t.Errorf("MaxLong %d: %d of %d are in, the longest wait %v, the bound %v", maxLong, n, maxLong+1, time.Duration(longest), time.Duration(bound))
		}
	}
}

// TestNewWorkIsServedBesideWorkThatResumes: tasks of the same class that suspend all the time. Whoever comes waits for one turn of
// each of them and of those who came before, and for resumeLead.
func TestNewWorkIsServedBesideWorkThatResumes(t *testing.T) {
	for _, givers := range []int{2, 8, 64} {
		for _, away := range []int64{1, 100 * us} {
			m := newWorld(t, 1, worldConfig{Config: Config{MaxInFlight: 4 * givers}})
			m.byGrant, m.fast = true, true
			for i := range givers {
				m.add(caller{class: m.classes[0], lane: anyLane, rounds: math.MaxInt, start: int64(i) * 700, prog: func() (p []segment) {
					for range 10000 {
						p = append(p, segment{compute, 50 * us}, segment{allow, away})
					}
					return p
				}})
			}
			short := new(History)
			m.add(caller{class: m.classes[0], lane: anyLane, rounds: math.MaxInt, start: 10 * ms, history: short, prog: hold(50 * us), patient: 1000 * ms})
			var longest int64
			served := 0
			m.onWaited = func(x *simTask) {
				if x.history == short {
					longest, served = max(longest, m.now-x.since), served+1
				}
			}
			m.play(1e9)
			turn := 50*us + change
			if bound := resumeLead + int64(givers+1)*turn; longest > bound || int64(served) < int64(1e9)/(2*bound) {
				t.Errorf("%d givers, away for %v: %d were served, the longest wait %v, the bound %v", givers, time.Duration(away), served, time.Duration(longest), time.Duration(bound))
			}
		}
	}
}

// TestThePacerIsQuietBesideALongTask: while a long task computes and there is nothing to decide, the pacer hardly calls Tick, though others
// come and go, or wait for the long task to end; and they have no longer to wait for that.
func TestThePacerIsQuietBesideALongTask(t *testing.T) {
	for _, tc := range []struct {
		name    string
		queued  int   // others that wait for the long one to end
		hold    int64 // of long ones
		ticks   int   // in a second, in which some 800 short tasks come
		longest int64
	}{
		{"nobody waits", 0, 1e10, 20, 1 * ms},
		{"15 long ones wait", 15, 20 * ms, 3200, 2 * ms},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newWorld(t, 1, worldConfig{})
			m.byGrant, m.fast = true, true
			m.loops(m.class("long", ClassConfig{}), 1+tc.queued, hold(tc.hold)).score.Store(historyOne)
			short := m.class("short", ClassConfig{})
			m.add(caller{class: short, lane: anyLane, rounds: math.MaxInt, history: new(History), gap: func() int64 { return ms/2 + m.rnd.Int64N(ms*3/2) }, prog: hold(50 * us)})
			m.play(1e9)
			var longest int64
			m.onFirst = func(x *simTask) {
				if x.class == short {
					longest = max(longest, m.now-x.asked)
				}
			}
			before := m.s.lanes[0].ticks
			m.play(2e9)
			if ticks := int(m.s.lanes[0].ticks - before); ticks > tc.ticks || longest > tc.longest {
				t.Errorf("%d ticks, at most %d wanted; the longest wait of a short task %v, at most %v wanted", ticks, tc.ticks, time.Duration(longest), time.Duration(tc.longest))
			}
		})
	}
}
