package scheduler

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

var (
	simRuns   = flag.Int("sim.runs", 2000, "random workloads to simulate")
	simFixed  = flag.Bool("sim.fixed", true, "with the pacer as it is; false gives the one before, which these tests found wanting: see world.byGrant")
	simStrict = flag.Bool("sim.strict", false, "fail for what is known to be too much, too")
	simSeed   = flag.Uint64("sim.seed", 0, "the first of them")
)

// known is t.Errorf, or only a word if it is known and not strict.
func known(t *testing.T, so bool) func(string, ...any) {
	if so && !*simStrict {
		return func(format string, args ...any) { t.Logf("KNOWN: "+format, args...) }
	}
	return t.Errorf
}

// caller asks for the program again and again.
type caller struct {
	class   *simClass
	of      func() *simClass // instead of class: that of the next task
	lane    int
	job     bool
	rounds  int
	start   int64
	gap     func() int64
	patient int64 // 0: for ever
	history *History
	prog    func() []segment
	mark    any
}

func (m *world) add(c caller) {
	var ask func()
	ask = func() {
		if c.rounds--; c.rounds < 0 {
			return
		}
		if c.of != nil {
			c.class = c.of()
		}
		t := &simTask{class: c.class, lane: c.lane, job: c.job, history: c.history, prog: c.prog(), mark: c.mark}
		t.then = func() {
			gap := int64(300)
			if c.gap != nil {
				gap = c.gap()
			}
			m.after(gap, ask)
		}
		if c.patient > 0 {
			t.ctx = &fakeContext{Context: context.Background(), done: make(chan struct{})}
			t.ctx.deadline = m.s.epoch.Add(time.Duration(m.now + c.patient - m.s.epochNow))
			m.after(c.patient+m.rnd.Int64N(2_000_000), func() { m.cancel(t, context.DeadlineExceeded) })
		}
		m.ask(t)
	}
	m.after(c.start, ask)
}

func pick[T any](rnd *rand.Rand, of ...T) T { return of[rnd.IntN(len(of))] }

// program is a random one: short, long, sleeping, hashlib-like, with AllowThreads, a batch of operations.
func program(rnd *rand.Rand, long bool) (p []segment) {
	some := func(hi int64) int64 { return rnd.Int64N(hi) + 1 }
	for range rnd.IntN(3) + 1 {
		switch rnd.IntN(8) {
		case 0, 1:
			p = append(p, segment{compute, some(50_000)})
		case 2:
			ns := int64(900_000)
			if long {
				ns = 8_000_000
			}
			p = append(p, segment{compute, some(ns)})
		case 3:
			p = append(p, segment{compute, some(10_000)}, segment{block, some(2_000_000)}, segment{compute, some(10_000)})
		case 4:
			p = append(p, segment{compute, some(10_000)}, segment{allow, some(800_000)}, segment{compute, some(50_000)})
		case 5:
			for range rnd.IntN(20) {
				p = append(p, segment{compute, 20_000 + some(40_000)}, segment{gap, some(20_000)})
			}
		case 6:
			p = append(p, segment{gap, some(300_000)}, segment{compute, some(1000)})
		case 7:
			p = append(p, segment{stubborn, some(400_000)})
		}
	}
	return p
}

func randomWorld(tb testing.TB, seed uint64) *world {
	rnd := rand.New(rand.NewPCG(seed, 11))
	wc := worldConfig{workers: pick(rnd, 0, 1, 2, 4)}
	wc.MaxInFlight = pick(rnd, 256, 256, 8, 3, 1)
	wc.MaxLong = pick(rnd, 1, 1, 2)
	switch rnd.IntN(8) {
	case 0:
		wc.unknown = true
	case 1:
		wc.noGIL, wc.Lanes = true, 2+rnd.IntN(3)
	case 2:
		wc.Lanes = 2 + rnd.IntN(2)
	}
	m := newWorld(tb, seed, wc)
	m.byGrant = *simFixed
	tree := rand.New(rand.NewPCG(seed, 13))
	for i := range rnd.IntN(4) {
		parent := []*Class{nil, nil}
		for _, c := range m.classes {
			parent = append(parent, c.Class)
		}
		m.class(fmt.Sprint("c", i), ClassConfig{Parent: pick(tree, parent...), Weight: float64(1 + rnd.IntN(5)), MaxInFlight: pick(rnd, 0, 0, 1, 2)})
	}
	for range rnd.IntN(14) + 2 {
		long := rnd.IntN(3) == 0
		c := caller{
			class: m.classes[rnd.IntN(len(m.classes))], lane: anyLane, rounds: 1 + rnd.IntN(4), start: rnd.Int64N(1_500_000),
			gap: func() int64 { return m.rnd.Int64N(200_000) },
		}
		if rnd.IntN(3) > 0 {
			c.history = new(History)
			c.rounds += 3
		}
		switch rnd.IntN(5) {
		case 0:
			c.lane = rnd.IntN(m.cfg.Lanes)
			c.history = nil
		case 1, 2:
			c.job = m.workers > 0
		}
		if rnd.IntN(4) == 0 {
			c.patient = rnd.Int64N(3_000_000) + 1
		}
		same := rnd.IntN(2) == 0
		fixed := program(rnd, long)
		c.prog = func() []segment {
			if same {
				return append([]segment(nil), fixed...)
			}
			return program(m.rnd, long)
		}
		m.add(c)
	}
	return m
}

// idleBound: three looks (the first may still see somebody come, the second lets the next one in, whom the third
// may see asleep) and two wake-ups.
const idleBound = 3*maxLook + 2*int64(maxWake)

// TestSimulatedGIL plays random workloads. Always:
//
//   - A grant is never given twice. At most MaxInFlight are in flight, of a class at most its limit, of queued
//     work at most the workers.
//   - Every task ends, or is dropped with an error, and nothing is left in any line.
//   - No GIL is idle for longer than idleBound while somebody waits who may have it, unless another is granted.
//   - No wait is longer than all that the workload's tasks compute and do elsewhere, and idleBound for each grant.
func TestSimulatedGIL(t *testing.T) {
	var idle, wait time.Duration
	n := *simRuns
	if testing.Short() {
		n /= 10
	}
	for i := range n {
		seed := *simSeed + uint64(i)
		if !t.Run(fmt.Sprint("sim.seed=", seed), func(t *testing.T) {
			m := randomWorld(t, seed)
			m.idleBound = idleBound
			longest := int64(0)
			m.onWaited = func(x *simTask) { longest = max(longest, m.now-x.since) }
			m.finish()
			if bound := m.demand + int64(m.allGrants)*idleBound; longest > bound {
				t.Errorf("somebody waited %v, the bound is %v", time.Duration(longest), time.Duration(bound))
			}
			idle, wait = max(idle, time.Duration(m.longest)), max(wait, time.Duration(longest))
		}) {
			break
		}
	}
	t.Logf("longest wait %v; longest a GIL was idle while somebody could have it %v", wait, idle)
}
