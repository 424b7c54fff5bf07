package scheduler

import (
	"fmt"
	"math"
	"testing"
)

// shareOf plays for a second more and gives the part of c of all that was held.
func (m *world) shareOf(c *simClass) float64 {
	sum := func() (all int64) {
		for _, h := range m.heldNow() {
			all += h
		}
		return all
	}
	before, had := sum(), c.held
	m.play(m.now + 1e9)
	after := sum()
	return float64(c.held-had) / float64(after-before)
}

// TestSimulatedNames: callers whose every task has a class of another name, or of a name that was not used for long, get what as many
// classes get that stay: the class beside them has its weight's part within 2%.
func TestSimulatedNames(t *testing.T) {
	for _, tc := range []struct {
		name    string
		mine    int     // callers of the class beside them
		weight  float64 // its
		callers int     // of changing names, each of weight 1
		hold    int64   // below 0: C code that keeps the GIL
		tasks   int     // for which a caller keeps a name
		names   int     // a caller has; 0: never the same again
		off     float64 // by which the class beside them may have more: a name's last task is charged, and the name is owed nothing
	}{
		{"a new name for each task", 4, 1, 4, 200 * us, 1, 0, 0},
		{"short tasks", 4, 1, 4, 20 * us, 1, 0, 0},
		{"long tasks", 4, 1, 4, 5 * ms, 1, 0, 0.02},
		{"C code of 20 ms", 4, 1, 4, -20 * ms, 1, 0, 0.02},
		{"C code of 20 ms, two tasks a name", 4, 1, 4, -20 * ms, 2, 0, 0.07},
		{"weight 4", 4, 4, 4, 200 * us, 1, 0, 0},
		{"one caller of names", 4, 1, 1, 200 * us, 1, 0, 0.11},
		{"one caller beside", 1, 1, 4, 200 * us, 1, 0, 0},
		{"16 callers of names", 4, 1, 16, 200 * us, 1, 0, 0},
		{"three tasks a name", 4, 1, 4, 200 * us, 3, 0, 0},
		{"20 tasks a name", 4, 1, 4, 200 * us, 20, 0, 0},
		{"50 names in turn", 4, 1, 4, 200 * us, 1, 50, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newWorld(t, 1, worldConfig{Config: Config{MaxClasses: maxClassesLimit}})
			m.byGrant, m.fast = *simFixed, true
			stays := m.class("stays", ClassConfig{Weight: tc.weight})
			m.loops(stays, tc.mine, hold(200*us))
			h, prog := new(History), hold(tc.hold)
			if tc.hold < 0 {
				prog = func() []segment { return []segment{{stubborn, -tc.hold}} }
			}
			for i := range tc.callers {
				var c *simClass
				var mine []*simClass
				n := 0
				m.add(caller{lane: anyLane, rounds: math.MaxInt, start: int64(i) * 7000, history: h, prog: prog, of: func() *simClass {
					n++
					switch k := n / tc.tasks; {
					case n%tc.tasks != 0 && c != nil:
					case tc.names > 0 && len(mine) == tc.names:
						c = mine[k%tc.names]
					default:
						if c != nil && tc.names == 0 {
							if err := m.s.Drop(c.Class); err != nil {
								t.Fatal(err)
							}
						}
						c = m.class(fmt.Sprint(i, "-", n), ClassConfig{})
						mine = append(mine, c)
					}
					return c
				}})
			}
			m.play(500 * ms)
			share, want := m.shareOf(stays), tc.weight/(tc.weight+float64(tc.callers))
			t.Logf("share %.3f, by weight %.3f", share, want)
			if off := 0.02*want + 0.002 + tc.off; share < want-0.02*want-0.002 || share > want+off {
				t.Errorf("share %.3f, want %.3f", share, want)
			}
		})
	}
}

// TestSimulatedUseAlone: what a class used while nobody waited is nobody's loss, also when it is bounded, or its books are looked at just before
// others come.
func TestSimulatedUseAlone(t *testing.T) {
	for _, limited := range []bool{false, true} {
		m := newWorld(t, 1, worldConfig{})
		m.byGrant, m.fast = *simFixed, true
		cfg := ClassConfig{}
		if limited {
			cfg.MaxInFlight = 4
		}
		a, b := m.class("a", cfg), m.class("b", ClassConfig{})
		m.loops(a, 1, hold(200*us))
		m.after(1e9+10*ms, func() { m.s.Stats(); m.loops(b, 4, hold(200*us)); m.loops(a, 3, hold(200*us)) })
		m.play(1e9 + 20*ms)
		share := m.shareOf(a)
		t.Logf("limited %v: share %.3f", limited, share)
		if math.Abs(share-0.5) > 0.01 {
			t.Errorf("limited %v: share %.3f, want 0.5", limited, share)
		}
	}
}
