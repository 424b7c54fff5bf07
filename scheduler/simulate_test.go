package scheduler

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// simulation is a discrete-event simulation on a rig: clients that come, hold, suspend, give up and come
// again, wakes that take their time, and a pacer that ticks each 100 µs and lapses who is past its grace.
type simulation struct {
	*rig
	rnd    *rand.Rand
	events heap[*event]
	count  int
	woken  map[*task]bool // a wake is on its way
	ticks  []bool         // a tick is on its way

	longest map[*Class]int64 // longest wait
	held    map[*Class]int64
	freed   []int64 // since when a lane is free while somebody could have it; -1 if not
	slack   int64   // how long that may be
}

const (
	tick  = 100_000 // the pacer's
	grace = 100_000
)

// script is what a task does: each part holds the lane and then suspends for so long, the last releases.
type script struct {
	parts   []part
	then    func() // when it has ended, one way or other
	started int64
}

type part struct{ hold, away int64 }

type event struct {
	at  int64
	seq int
	do  func()
}

func (e *event) before(o *event) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }
func (e *event) setPlace(int)         {}

func newSimulation(tb testing.TB, seed uint64, cfg Config, withPacer bool) *simulation {
	tb.Helper()
	m := &simulation{
		rig: newRig(tb, cfg, withPacer), rnd: rand.New(rand.NewPCG(seed, 2)),
		woken: map[*task]bool{}, longest: map[*Class]int64{}, held: map[*Class]int64{},
	}
	m.ticks = make([]bool, len(m.s.lanes))
	m.freed = make([]int64, len(m.s.lanes))
	for i := range m.freed {
		m.freed[i] = -1
	}
	m.slack = tick + 1
	m.onGrant = m.begin
	m.onGone = func(t *task) { t.script.then() }
	return m
}

func (m *simulation) after(ns int64, do func()) {
	m.count++
	m.events.push(&event{m.now + ns, m.count, do})
}

// client asks at now + start, rounds times, each gap after the last has ended. It gives up waiting after
// patient, unless that is 0.
type client struct {
	class               *Class
	lane, rounds        int
	start, gap, patient int64
	parts               func() []part
}

func (m *simulation) add(c client) {
	var ask func()
	ask = func() {
		c.rounds--
		m.script = &script{parts: c.parts(), then: func() {
			if c.rounds > 0 {
				m.after(c.gap, ask)
			}
		}}
		deadline := int64(0)
		if c.patient > 0 {
			deadline = m.now + c.patient
		}
		t := m.ask(c.class, c.lane, deadline)
		if t.w != nil && c.patient > 0 {
			late := m.rnd.Int64N(2_000_000) // as Go's timers are
			m.after(c.patient+late, func() {
				if t.state == queued {
					m.cancel(t, context.DeadlineExceeded)
				}
			})
		}
	}
	m.after(c.start, ask)
}

// begin runs when a task learns that it was granted.
func (m *simulation) begin(t *task) {
	m.longest[t.class] = max(m.longest[t.class], m.now-t.since)
	t.script.started = m.now
	p := t.script.parts[0]
	t.script.parts = t.script.parts[1:]
	m.after(p.hold, func() {
		m.held[t.class] += p.hold
		if len(t.script.parts) == 0 {
			m.release(t, p.hold)
			return
		}
		m.suspend(t, p.hold)
		m.after(p.away, func() { m.resume(t) })
	})
}

// pump schedules what the last step set going: wakes and ticks.
func (m *simulation) pump() {
	for _, t := range m.awake() {
		if m.woken[t] {
			continue
		}
		m.woken[t] = true
		m.after(200+m.rnd.Int64N(20_000), func() {
			delete(m.woken, t)
			if t.w != nil && len(t.w.ready) > 0 {
				m.run(t)
			}
		})
	}
	for lane, armed := range m.armed {
		if armed && !m.ticks[lane] {
			m.ticks[lane] = true
			m.after(tick, func() { m.tick(lane) })
		}
	}
	if m.sparse == 0 {
		m.watchIdle()
	}
}

func (m *simulation) tick(lane int) {
	m.ticks[lane] = false
	held := m.s.lanes[lane].load().held()
	if p := m.primary(lane); held && (p == nil || p.seated() || m.now-p.script.started < grace) {
		return // not attached yet, or within its grace: armed still, so the next tick follows
	}
	m.lapse(lane)
}

// watchIdle fails if a lane stays free for longer than a tick while somebody could have it.
func (m *simulation) watchIdle() {
	for lane := range m.s.lanes {
		could := false
		if !m.s.lanes[lane].load().held() {
			for _, t := range m.tasks {
				could = could || m.eligible(t, lane)
			}
		}
		if !could {
			m.freed[lane] = -1
			continue
		}
		if m.freed[lane] < 0 {
			m.freed[lane] = m.now
		}
		if idle := m.now - m.freed[lane]; idle > m.slack {
			m.tb.Fatalf("lane %d was free for %v while somebody could have it", lane, time.Duration(idle))
		}
	}
}

// play runs events until none is left, or until the clock passes until.
func (m *simulation) play(until int64) {
	m.tb.Helper()
	for m.events.len() > 0 {
		e := m.events.top()
		if e.at > until {
			return
		}
		m.events.remove(0)
		m.now = e.at
		e.do()
		m.pump()
	}
	if len(m.tasks) != 0 {
		m.tb.Fatalf("%d tasks never ended: the first is %d, state %d", len(m.tasks), m.tasks[0].id, m.tasks[0].state)
	}
}

func (m *simulation) workload() {
	for range m.rnd.IntN(25) + 2 {
		c := client{
			class: m.classes[m.rnd.IntN(len(m.classes))], lane: anyLane, rounds: 1 + m.rnd.IntN(5),
			start: m.rnd.Int64N(1_000_000), gap: []int64{50, 1_000, 100_000}[m.rnd.IntN(3)],
		}
		if m.rnd.IntN(5) == 0 {
			c.lane = m.rnd.IntN(len(m.s.lanes))
		}
		if m.rnd.IntN(4) == 0 {
			c.patient = m.rnd.Int64N(2_000_000) + 1
		}
		c.parts = func() (ps []part) {
			for range m.rnd.IntN(3) + 1 {
				hold := []int64{200, 5_000, 90_000, 3_000_000}[m.rnd.IntN(4)]
				ps = append(ps, part{m.rnd.Int64N(hold) + 1, m.rnd.Int64N(500_000)})
			}
			return ps
		}
		m.add(c)
	}
}

func TestSimulatedWorkloads(t *testing.T) {
	n := 400
	if testing.Short() {
		n = 300
	}
	for seed := range n {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(uint64(seed), 3))
			cfg := Config{Lanes: 1 + rnd.IntN(3), MaxInFlight: []int{1 << 20, 256, 5, 2}[rnd.IntN(4)]}
			m := newSimulation(t, uint64(seed), cfg, rnd.IntN(4) > 0)
			for i := range rnd.IntN(4) {
				m.class(fmt.Sprint("c", i), ClassConfig{Weight: float64(1 + rnd.IntN(5)), MaxInFlight: rnd.IntN(4)})
			}
			m.workload()
			m.play(math.MaxInt64)
			m.onGrant, m.onGone = nil, nil
			m.finish()
		})
	}
}

// TestSharesUnderSaturation: classes that always want more get held time in proportion to their weights,
// whatever their holds, their number of clients and the number of lanes.
func TestSharesUnderSaturation(t *testing.T) {
	type load struct {
		weight  float64
		clients int
		hold    int64
	}
	for _, tc := range []struct {
		name  string
		lanes int
		loads []load
	}{
		{"equal", 1, []load{{1, 3, 10_000}, {1, 3, 10_000}}},
		{"weights 1:2:4", 1, []load{{1, 3, 10_000}, {2, 3, 10_000}, {4, 3, 10_000}}},
		{"one client each 1:3", 1, []load{{1, 1, 10_000}, {3, 1, 10_000}}},
		{"many clients do not help", 1, []load{{1, 40, 5_000}, {1, 2, 5_000}}},
		{"long holds do not help", 1, []load{{1, 4, 900_000}, {1, 4, 1_000}}},
		{"tiny holds", 1, []load{{1, 4, 100}, {1, 4, 100}}},
		{"two lanes", 2, []load{{1, 6, 10_000}, {2, 6, 10_000}}},
		{"mixed holds, two lanes", 2, []load{{1, 6, 150_000}, {1, 6, 2_000}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newSimulation(t, 1, Config{Lanes: tc.lanes}, true)
			m.sparse = 1000
			var cs []*Class
			var sum float64
			for i, l := range tc.loads {
				c := m.class(fmt.Sprint("c", i), ClassConfig{Weight: l.weight})
				cs = append(cs, c)
				sum += l.weight
				for range l.clients {
					m.loop(c, l.hold, 50)
				}
			}
			m.play(m.now + 100_000_000)
			var all int64
			for _, c := range cs {
				all += m.held[c]
			}
			for i, c := range cs {
				got, want := float64(m.held[c])/float64(all), tc.loads[i].weight/sum
				if math.Abs(got-want) > 0.05*want+0.01 {
					t.Errorf("%s: share %.3f, want %.3f", c.name, got, want)
				}
			}
		})
	}
}

// loop makes a client that holds and comes again for ever.
func (m *simulation) loop(c *Class, hold, gap int64) {
	m.add(client{class: c, lane: anyLane, rounds: math.MaxInt, gap: gap, parts: func() []part { return []part{{hold: hold}} }})
}

// TestStarvationBound: 64 clients that loop wait no longer than 64 slices while their holds are within
// the grace. Longer holds lapse; a round of them is 64 times grace and tick, and a class that was charged
// for them all at once may sit out a round.
func TestStarvationBound(t *testing.T) {
	for _, hold := range []int64{200, 1_000, 30_000, 150_000, 2_000_000} {
		for _, classes := range []int{1, 8} {
			t.Run(fmt.Sprintf("hold %v, %d classes", time.Duration(hold), classes), func(t *testing.T) {
				m := newSimulation(t, 1, Config{}, true)
				m.sparse = 1000
				for i := range classes {
					c := m.class(fmt.Sprint("c", i), ClassConfig{})
					for range 64 / classes {
						m.loop(c, hold, 50)
					}
				}
				m.play(m.now + 40_000_000)
				for c, ns := range m.longest {
					bound := 64 * m.cfg.Slice
					if hold > grace+tick {
						bound *= 2
					}
					if time.Duration(ns) > bound {
						t.Errorf("%s: somebody waited %v, bound %v", c.name, time.Duration(ns), bound)
					}
				}
			})
		}
	}
}
