package scheduler

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"
)

func TestClass_MadeFromTheTemplate(t *testing.T) {
	s := newScheduler(t, Config{Template: ClassConfig{Weight: 3, MaxQueued: 7}})
	c, err := s.Class("a", ClassConfig{})
	if err != nil || c.weight != 3 || c.maxQueued != 7 {
		t.Fatal(c, err)
	}
	if same, err := s.Class("a", ClassConfig{}); same != c || err != nil {
		t.Error(same, err)
	}
	if same, err := s.Class("a", ClassConfig{Weight: 3, MaxQueued: 7}); same != c || err != nil {
		t.Error(same, err)
	}
	if _, err := s.Class("a", ClassConfig{Weight: 4}); !errors.Is(err, ErrConfig) {
		t.Error("another weight:", err)
	}
	for _, bad := range []ClassConfig{{Weight: -1}, {MaxInFlight: -1}, {MaxQueued: -1}} {
		if _, err := New(Config{Template: bad}); !errors.Is(err, ErrConfig) {
			t.Error(bad, err)
		}
	}
}

// A name for which there is no room costs a look only when a class may have been idle for long enough; and that one goes at once.
func TestClass_RefusedNamesAreCheap(t *testing.T) {
	now := int64(1)
	s := newScheduler(t, Config{MaxClasses: 4, ClassIdle: time.Minute, Now: func() int64 { return now }})
	for i := range 3 {
		now = int64(time.Duration(i) * time.Second)
		if _, err := s.Class(fmt.Sprint(i), ClassConfig{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		at   time.Duration
		made bool
	}{{3 * time.Second, false}, {time.Minute - 1, false}, {time.Minute, true}} {
		now = int64(tc.at)
		s.swept, s.sweptAt = 0, now // no sweep is due
		_, err := s.Class(fmt.Sprint("at ", tc.at), ClassConfig{})
		if n := s.seenAt(now); (err == nil) != tc.made || n > 2 {
			t.Errorf("at %v: %d were looked at, %v", tc.at, n, err)
		}
	}
}

// seenAt is how many classes were found to have had work at that moment.
func (s *Scheduler) seenAt(now int64) (n int) {
	for _, c := range s.byName {
		if c.changedAt == now {
			n++
		}
	}
	return n
}

// TestClass_AFewLooksUnderOneLock: of 10,000 classes that all had work since, no more than 64 are looked at while the lock is held once, and
// those that are idle go all the same, four times each ClassIdle if somebody asks for new names, and at once when there is no room.
func TestClass_AFewLooksUnderOneLock(t *testing.T) {
	const classes = 10000
	now := int64(1)
	s := newScheduler(t, Config{MaxClasses: classes, ClassIdle: time.Minute, Now: func() int64 { return now }})
	var all []*Class
	for i := range classes - 1 {
		c, err := s.Class(fmt.Sprint(i), ClassConfig{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	for _, c := range all {
		g, err := s.Acquire(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		s.Release(g, 1)
	}
	dirty := 0
	for cell := s.dirty.Load(); cell != nil; cell = cell.next {
		dirty++
	}
	if dirty > mostDirty+1 {
		t.Errorf("%d cells are folded at once", dirty)
	}
	now += int64(20 * time.Second)
	s.swept = 0
	passes := 0
	for ; passes == 0 || s.swept != 0; passes++ {
		now++
		s.mu.Lock()
		s.sweep(now)
		s.unlock()
		if n := s.seenAt(now); n > lookedAt {
			t.Fatalf("a sweep looked at %d", n)
		}
	}
	if passes < classes/lookedAt || len(s.byName) != classes {
		t.Errorf("%d passes, %d classes", passes, len(s.byName))
	}
	// Nobody is idle: all are looked at, with the lock let go of in between, and none goes.
	for _, c := range all[1:] {
		g, err := s.Acquire(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		s.Release(g, 1)
	}
	now += int64(2 * time.Minute)
	s.sweptAt = now
	if _, err := s.Class("more", ClassConfig{}); err != nil || s.byName["0"] != nil {
		t.Error("the only one that was idle is still there:", err)
	}
	now++
	s.sweptAt = now
	if _, err := s.Class("still more", ClassConfig{}); !errors.Is(err, ErrTooManyClasses) {
		t.Error("all had work since:", err)
	}
}

func TestClass_IdleOnesMakeRoom(t *testing.T) {
	now := int64(1)
	s := newScheduler(t, Config{MaxClasses: 4, ClassIdle: time.Minute, Now: func() int64 { return now }})
	ctx := context.Background()
	var classes []*Class
	for i := range 3 {
		c, err := s.Class(fmt.Sprint(i), ClassConfig{})
		if err != nil {
			t.Fatal(err)
		}
		classes = append(classes, c)
	}
	if _, err := s.Class("more", ClassConfig{}); !errors.Is(err, ErrTooManyClasses) {
		t.Fatal("with all just made:", err)
	}
	use := func(c *Class) {
		t.Helper()
		g, err := s.Acquire(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		s.Release(g, 1)
	}
	held, _ := s.Acquire(ctx, classes[0]) // in flight all along
	now += int64(50 * time.Second)
	away := s.Suspend(held, 0)
	use(classes[1])
	now += int64(20 * time.Second) // 2 has been idle for 70 s, 1 for 20
	more, err := s.Class("more", ClassConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if !classes[2].expired.Load() || classes[1].expired.Load() || classes[0].expired.Load() || more.index != classes[2].index {
		t.Fatal("the wrong class made room")
	}
	if _, err := s.Acquire(ctx, classes[2]); !errors.Is(err, ErrTooManyClasses) {
		t.Error("the handle of a class that made room, with no room:", err)
	}
	now += int64(2 * time.Minute)
	use(classes[2]) // enrolled again, in the place of another
	if s.byName["2"] != classes[2] || classes[2].expired.Load() {
		t.Error("not enrolled again")
	}
	s.Release(s.Resume(away), 0)
	again, err := s.Class("more", ClassConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if again == more {
		t.Fatal("the idle class is still there")
	}
	use(more) // the old handle stands for the new class
	if again.fold(); again.released != 1 {
		t.Error(again.released)
	}
}

func TestDrop(t *testing.T) {
	s := newScheduler(t, Config{})
	ctx := context.Background()
	c, _ := s.Class("c", ClassConfig{})
	other, _ := s.Class("other", ClassConfig{})
	g, _ := s.Acquire(ctx, c)
	if err := s.Drop(c); !errors.Is(err, ErrClassBusy) {
		t.Error("in flight:", err)
	}
	waiting, cancel := context.WithCancel(ctx)
	done := make(chan error)
	go func() { _, err := s.Acquire(waiting, other); done <- err }()
	for st := s.Stats(); st.All.Queued == 0; st = s.Stats() {
		runtime.Gosched()
	}
	if err := s.Drop(other); !errors.Is(err, ErrClassBusy) {
		t.Error("waiting:", err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	s.Release(g, 1)
	for _, c := range []*Class{c, other, other} {
		if err := s.Drop(c); err != nil {
			t.Error(err)
		}
	}
	if g, err := s.Acquire(ctx, c); err != nil {
		t.Error("used after it was dropped:", err)
	} else {
		s.Release(g, 1)
	}
	if err := s.Drop(s.Default()); !errors.Is(err, ErrClassBusy) {
		t.Error("the default class:", err)
	}
	if err := s.Drop(nil); !errors.Is(err, ErrForeignClass) {
		t.Error(err)
	}
}

// Classes come and go while goroutines use their handles: every grant is of the class that was asked for.
func TestClass_ComeAndGoWhileUsed(t *testing.T) {
	s := newScheduler(t, Config{MaxClasses: 6, ClassIdle: 1})
	ctx := context.Background()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			name := fmt.Sprint(i)
			var c *Class
			for range 3000 {
				if c == nil {
					c, _ = s.Class(name, ClassConfig{})
					continue
				}
				g, err := s.Acquire(ctx, c)
				switch {
				case errors.Is(err, ErrTooManyClasses):
					c = nil
				case err != nil:
					t.Error(err)
				default:
					if g.Class().Name() != name {
						t.Errorf("a grant of class %s, not %s", g.Class().Name(), name)
					}
					s.Release(g, 10)
				}
			}
		})
	}
	wg.Wait()
	if st := s.Stats(); st.All.InFlight != 0 || st.All.Queued != 0 {
		t.Error(st.All)
	}
}

// A snapshot of more classes than are looked at under one lock has all of them, once.
func TestStatsOfManyClasses(t *testing.T) {
	const classes = 2000
	s, err := New(Config{MaxClasses: classes + 1})
	if err != nil {
		t.Fatal(err)
	}
	for i := range classes {
		c, err := s.Class(fmt.Sprintf("class %04d", i), ClassConfig{})
		if err != nil {
			t.Fatal(err)
		}
		g, err := s.Acquire(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		s.Release(g, time.Duration(i))
	}
	st := s.Stats()
	if len(st.Classes) != classes+1 || st.All.Granted != classes || st.All.Held != classes*(classes-1)/2 {
		t.Errorf("%d classes, %d grants, %v held", len(st.Classes), st.All.Granted, st.All.Held)
	}
	c, err := s.Class("class 0007", ClassConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if one := c.Stats(); one.Held != 7 || one.Granted != 1 || one.Name != "class 0007" {
		t.Errorf("one class: %+v", one)
	}
}

// BenchmarkStats10000 is a snapshot of all classes, and of one; longest_us is for how long it kept the lock from others at most.
func BenchmarkStats10000(b *testing.B) {
	s, err := New(Config{MaxClasses: 10001})
	if err != nil {
		b.Fatal(err)
	}
	for i := range 10000 {
		if _, err := s.Class(fmt.Sprint(i), ClassConfig{}); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("all", func(b *testing.B) {
		var longest time.Duration
		for b.Loop() {
			done := make(chan struct{})
			go func() { s.Stats(); close(done) }()
			for ended := false; !ended; {
				select {
				case <-done:
					ended = true
				default:
				}
				began := time.Now()
				s.mu.Lock()
				s.unlock()
				longest = max(longest, time.Since(began))
			}
		}
		b.ReportMetric(float64(longest.Microseconds()), "longest_us")
	})
	b.Run("one", func(b *testing.B) {
		for b.Loop() {
			s.Default().Stats()
		}
	})
}
