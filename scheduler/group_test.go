package scheduler

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"
)

// below reports whether c is of, or is in the tree below it.
func (c *Class) below(of *Class) bool {
	for ; c != nil; c = c.parent {
		if c == of {
			return true
		}
	}
	return false
}

// TestSimulatedTree: classes share within shares by weight, each within 2%: tenants, their endpoints, a parent's own work as one more of weight 1, and
// a parent whose children have a new name for each task.
func TestSimulatedTree(t *testing.T) {
	for _, lanes := range []int{1, 2} {
		for _, ns := range []int64{20 * us, 200 * us, 10 * ms} {
			t.Run(fmt.Sprint(lanes, " lanes, ", time.Duration(ns)), func(t *testing.T) {
				m := newWorld(t, 1, worldConfig{Config: Config{Lanes: lanes, MaxClasses: maxClassesLimit}})
				m.byGrant, m.fast = *simFixed, true
				shares := map[*simClass]float64{}
				class := func(name string, weight float64, parent *simClass, share float64) *simClass {
					cfg := ClassConfig{Weight: weight}
					if parent != nil {
						cfg.Parent = parent.Class
					}
					c := m.class(name, cfg)
					shares[c] = share
					return c
				}
				acme := class("acme", 4, nil, 0)
				score := class("score", 3, acme, 0)
				loops := []*simClass{
					class("fit", 1, acme, 1./8),
					class("fast", 1, score, 3./16),
					class("slow", 1, score, 3./16),
				}
				beta := class("beta", 2, nil, 1./8)
				loops = append(loops, beta, class("only", 1, beta, 1./8), class("plain", 1, nil, 1./8))
				for _, c := range loops {
					m.loops(c, 4*lanes, hold(ns))
				}
				names := class("names", 1, nil, 0)
				past, n, had := new(History), 0, []*simClass{}
				for range 8 * lanes {
					m.add(caller{lane: anyLane, rounds: math.MaxInt, history: past, prog: hold(ns), of: func() *simClass {
						if n++; n > 100 && had[n-100].Class.Stats().InFlight == 0 {
							_ = m.s.Drop(had[n-100].Class)
						}
						c := m.class(fmt.Sprint(n), ClassConfig{Parent: names.Class})
						had = append(had, c)
						return c
					}})
				}
				m.play(1e9)
				was, held := int64(0), map[*simClass]int64{}
				sum := func() (all, stream int64) {
					m.settle()
					for _, c := range m.classes {
						all += c.held
					}
					for _, c := range had {
						stream += c.held
					}
					return all, stream
				}
				was, streamed := sum()
				for _, c := range m.classes {
					held[c] = c.held
				}
				span := 600 * ms
				if ns > ms {
					span *= 4
				}
				m.play(m.now + span)
				all, stream := sum()
				check := func(name string, ns int64, want float64) {
					t.Helper()
					share := float64(ns) / float64(all-was)
					t.Logf("%s: share %.4f of %.4f", name, share, want)
					if math.Abs(share-want) > 0.02*want+0.003 {
						t.Errorf("%s: share %.4f, want %.4f", name, share, want)
					}
				}
				for _, c := range loops {
					check(c.name, c.held-held[c], shares[c])
				}
				check("names", stream-streamed, 1./8)
			})
		}
	}
}

func TestParents(t *testing.T) {
	now := int64(1)
	s := newScheduler(t, Config{ClassIdle: time.Minute, Now: func() int64 { return now }})
	class := func(name string, cfg ClassConfig) *Class {
		t.Helper()
		c, err := s.Class(name, cfg)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	other := newScheduler(t, Config{})
	if _, err := s.Class("x", ClassConfig{Parent: other.Default()}); !errors.Is(err, ErrForeignClass) {
		t.Error("a parent of another scheduler:", err)
	}
	if _, err := New(Config{Template: ClassConfig{Parent: other.Default()}}); !errors.Is(err, ErrConfig) {
		t.Error("a template with a parent:", err)
	}
	tenant := class("tenant", ClassConfig{Weight: 3})
	endpoint := class("endpoint", ClassConfig{Weight: 2, Parent: tenant})
	if st := endpoint.Stats(); st.Parent != "tenant" || st.Weight != 2 {
		t.Error(st)
	}
	if st := tenant.Stats(); st.Parent != "" || st.Weight != 3 {
		t.Error(st)
	}
	if same, err := s.Class("endpoint", ClassConfig{Weight: 2, Parent: tenant}); same != endpoint || err != nil {
		t.Error(same, err)
	}
	for _, cfg := range []ClassConfig{{Weight: 2}, {Weight: 2, Parent: s.Default()}} {
		if _, err := s.Class("endpoint", cfg); !errors.Is(err, ErrConfig) {
			t.Error("another parent:", err)
		}
	}
	if err := s.Drop(tenant); !errors.Is(err, ErrClassBusy) {
		t.Error("a parent with a child:", err)
	}
	t.Run("depth", func(t *testing.T) {
		c := class("1", ClassConfig{})
		for i := 2; i <= maxDepth; i++ {
			c = class(fmt.Sprint(i), ClassConfig{Parent: c})
		}
		if _, err := s.Class("too deep", ClassConfig{Parent: c}); !errors.Is(err, ErrConfig) {
			t.Error(err)
		}
		g, err := s.Acquire(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		s.Release(g, 8)
		if s.Stats(); c.vtime != 8 {
			t.Error(c.vtime)
		}
	})
	t.Run("cycle", func(t *testing.T) {
		a := class("a", ClassConfig{})
		b := class("b", ClassConfig{Parent: a})
		for _, c := range []*Class{b, a} {
			if err := s.Drop(c); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Class("a", ClassConfig{Parent: b}); !errors.Is(err, ErrConfig) { // b needs a
			t.Error(err)
		}
		if _, err := s.Class("a", ClassConfig{Parent: a}); !errors.Is(err, ErrConfig) {
			t.Error("its own parent:", err)
		}
	})
	t.Run("idle", func(t *testing.T) {
		now += int64(30 * time.Second)
		g, _ := s.Acquire(t.Context(), endpoint)
		s.Release(g, 1)
		for range 8 { // the sweeps of some minutes
			now += int64(30 * time.Second)
			class(fmt.Sprint("at ", now), ClassConfig{})
			if !endpoint.expired.Load() && tenant.expired.Load() {
				t.Error("the parent went before its child")
			}
		}
		if !endpoint.expired.Load() || !tenant.expired.Load() {
			t.Fatal("idle for some minutes, and still there")
		}
		g, err := s.Acquire(t.Context(), endpoint)
		if err != nil || tenant.expired.Load() || endpoint.expired.Load() || tenant.children != 1 {
			t.Fatal("used again:", err)
		}
		s.Release(g, 1)
	})
	t.Run("made anew", func(t *testing.T) {
		for _, c := range []*Class{endpoint, tenant} {
			if err := s.Drop(c); err != nil {
				t.Fatal(err)
			}
		}
		class("tenant", ClassConfig{MaxInFlight: 3})
		if _, err := s.Acquire(t.Context(), endpoint); !errors.Is(err, ErrConfig) {
			t.Error("a child whose parent has another limit now:", err)
		}
		if n := s.byName["tenant"].children; n != 0 {
			t.Error(n, "children")
		}
	})
}

// TestParentsLimits: a parent's limits hold for it and its children together.
func TestParentsLimits(t *testing.T) {
	s := newScheduler(t, Config{Lanes: 4})
	parent, err := s.Class("parent", ClassConfig{MaxInFlight: 2, MaxQueued: 2})
	if err != nil {
		t.Fatal(err)
	}
	var children []*Class
	for i := range 3 {
		c, err := s.Class(fmt.Sprint(i), ClassConfig{Parent: parent})
		if err != nil {
			t.Fatal(err)
		}
		children = append(children, c)
	}
	var grants []Grant
	for _, c := range []*Class{parent, children[0]} {
		g, w, err := s.ask(t.Context(), c, nil, anyLane)
		if err != nil || w != nil {
			t.Fatal(err)
		}
		grants = append(grants, g)
	}
	var waits []*waiter
	for _, c := range children[1:] {
		_, w, err := s.ask(t.Context(), c, nil, anyLane)
		if err != nil || w == nil {
			t.Fatal("a third is in flight", err)
		}
		waits = append(waits, w)
	}
	var full *SaturatedError
	if _, _, err := s.ask(t.Context(), children[0], nil, anyLane); !errors.As(err, &full) || full.Class != "parent" || full.Queued != 2 || full.Limit != 2 || !full.PerClass {
		t.Error(err)
	}
	other, w, err := s.ask(t.Context(), s.Default(), nil, anyLane)
	if err != nil || w != nil {
		t.Fatal("another class is held up:", err)
	}
	grants = append(grants, other)
	for _, g := range grants {
		s.Release(g, 1)
	}
	for _, w := range waits {
		g, err := s.wait(context.Background(), w)
		if err != nil {
			t.Fatal(err)
		}
		s.Release(g, 1)
	}
	if parent.inUse != 0 || parent.group.queued != 0 {
		t.Error(parent.inUse, parent.group.queued)
	}
}

// TestAParentWithWaiters: a class with work that waits becomes a parent; nobody is lost.
func TestAParentWithWaiters(t *testing.T) {
	s := newScheduler(t, Config{})
	c, _ := s.Class("c", ClassConfig{Weight: 2})
	held, _ := s.Acquire(t.Context(), nil)
	_, own, err := s.ask(t.Context(), c, nil, anyLane)
	if err != nil {
		t.Fatal(err)
	}
	child, err := s.Class("child", ClassConfig{Parent: c})
	if err != nil {
		t.Fatal(err)
	}
	_, its, err := s.ask(t.Context(), child, nil, anyLane)
	if err != nil {
		t.Fatal(err)
	}
	s.Release(held, 1)
	for _, w := range []*waiter{own, its} {
		g, err := s.wait(t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		s.Release(g, 1)
	}
	if s.general.len() != 0 || c.group.queued != 0 || c.whole().weight != 2 {
		t.Error(s.general.len(), c.group.queued)
	}
}
