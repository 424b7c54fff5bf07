package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// overload is work of one class that comes when it comes, however long others wait: an open loop.
type overload struct {
	m             *world
	class         *simClass
	hold          int64
	history       *History
	from, until   int64
	came, ended   int // ended: by until
	shed, refused int
	waits         []int64
	late          int64 // when to begin with them
	granted       int
	shedAfter     []int64
	left          int64 // when the last one had ended
}

// arrive has work come at random, at so many times the rate at which the GIL alone could do it, for a time.
func (m *world) arrive(c *simClass, hold int64, load float64, d int64) *overload {
	o := &overload{m: m, class: c, hold: hold, history: new(History), from: m.now, until: m.now + d}
	var next func()
	next = func() {
		if m.now < o.until {
			o.ask()
			m.after(int64(m.rnd.ExpFloat64()*float64(hold)/load), next)
		}
	}
	m.after(1, next)
	return o
}

// burst has n tasks come at once.
func (m *world) burst(c *simClass, hold int64, n int) *overload {
	o := &overload{m: m, class: c, hold: hold, history: new(History), from: m.now}
	for range n {
		m.after(1, o.ask)
	}
	return o
}

func (o *overload) ask() {
	o.came++
	t := &simTask{class: o.class, lane: anyLane, history: o.history, prog: hold(o.hold)(), mark: o}
	t.then = func() {
		var e *SaturatedError
		o.left = o.m.now
		switch {
		case t.err == nil:
			if o.m.now <= o.until {
				o.ended++
			}
		case errors.As(t.err, &e) && e.Shed:
			o.shed++
			o.shedAfter = append(o.shedAfter, int64(e.Waited))
			if e.Waited <= 0 || e.RetryAfter < time.Duration(o.class.interval) || e.Class != o.class.name || !strings.Contains(e.Error(), "shed after") {
				o.m.tb.Errorf("%+v: %v", e, e)
			}
		default:
			o.refused++
		}
	}
	o.m.ask(t)
}

// watch collects the waits of what comes in the classes' overloads.
func (m *world) watch() {
	m.fast = true
	m.onWaited = func(t *simTask) {
		if o, ok := t.mark.(*overload); ok {
			if o.granted++; m.now >= o.from+o.late {
				o.waits = append(o.waits, m.now-t.asked)
			}
		}
	}
}

func (o *overload) quantile(p float64) time.Duration {
	slices.Sort(o.waits)
	return time.Duration(o.waits[int(float64(len(o.waits)-1)*p)])
}

// goodput is the share of what the GIL could have done.
func (o *overload) goodput() float64 {
	return float64(o.ended) * float64(o.hold) / float64(o.until-o.from)
}

func (s *Scheduler) classStats(name string) ClassStats {
	st := s.Stats()
	return st.Class(name)
}

func (o *overload) check(t *testing.T) {
	t.Helper()
	got := o.m.s.classStats(o.class.name)
	if got.Shed != uint64(o.shed) || got.Rejected != uint64(o.refused) || got.Granted != uint64(o.came-o.shed-o.refused) || o.granted != int(got.Granted) {
		t.Errorf("%d came, %d shed, %d refused, by the scheduler %+v", o.came, o.shed, o.refused, got)
	}
	t.Logf("%d came, %d ended in time, goodput %.3f; waits p50 %v, p99 %v, max %v; %d shed", o.came, o.ended, o.goodput(), o.quantile(0.5), o.quantile(0.99), o.quantile(1), o.shed)
	if o.shed > 0 {
		slices.Sort(o.shedAfter)
		t.Logf("shed after %v to %v", time.Duration(o.shedAfter[0]), time.Duration(o.shedAfter[len(o.shedAfter)-1]))
	}
}

// TestShedsWhatIsTooMuch: from half to five times of what the GIL can do, for 10 s. Who is admitted waits no longer
// than twice the target, and the GIL is used as ever. Without a target he waits for seconds.
func TestShedsWhatIsTooMuch(t *testing.T) {
	const target = 20 * time.Millisecond
	seconds := int64(10)
	if testing.Short() {
		seconds = 4
	}
	for _, hold := range []int64{400 * us, 800 * us} {
		for _, load := range []float64{0.5, 0.8, 1, 2, 5} {
			if hold < 800*us && load > 2 {
				continue // it takes too long
			}
			t.Run(fmt.Sprintf("%v at %gx", time.Duration(hold), load), func(t *testing.T) {
				m := newWorld(t, 1, worldConfig{})
				m.byGrant = *simFixed
				m.watch()
				o := m.arrive(m.class("c", ClassConfig{TargetWait: target}), hold, load, seconds*1000*ms)
				m.finish()
				o.check(t)
				if p99 := o.quantile(0.99); seconds == 10 && p99 > 2*target {
					t.Errorf("p99 is %v", p99)
				}
				switch g := o.goodput(); {
				case load <= 0.8 && o.shed > 0:
					t.Errorf("%d were shed", o.shed)
				case load >= 2 && g < 0.9 || load == 1 && g < 0.85:
					t.Errorf("goodput %.3f", g)
				}
			})
		}
	}
	t.Run("without", func(t *testing.T) {
		m := newWorld(t, 1, worldConfig{})
		m.watch()
		o := m.arrive(m.class("c", ClassConfig{}), 800*us, 2, 500*ms)
		m.finish()
		o.check(t)
		if o.shed > 0 || o.quantile(0.99) < 400*time.Millisecond {
			t.Errorf("%d were shed, p99 %v: then what is the target for", o.shed, o.quantile(0.99))
		}
	})
}

// TestShedsNoBurst: a burst that drains within the interval is let pass, again and again; one that does not is
// shed, but not all of it.
func TestShedsNoBurst(t *testing.T) {
	const target, hold = 20 * time.Millisecond, 400 * us
	for _, d := range []int64{30 * ms, 90 * ms, 300 * ms} {
		t.Run(time.Duration(d).String(), func(t *testing.T) {
			m := newWorld(t, 1, worldConfig{})
			m.byGrant = *simFixed
			m.watch()
			c := m.class("c", ClassConfig{TargetWait: target})
			for range 3 {
				o := m.burst(c, hold, int(d/hold))
				m.play(m.now + d + 200*ms)
				if short := d < 100*ms; short != (o.shed == 0) {
					t.Errorf("%d of %d were shed", o.shed, o.came)
				}
				if d > 100*ms && (o.shed == o.came || m.now-o.left < d/3) {
					t.Errorf("%d of %d were shed, the last left %v ago", o.shed, o.came, time.Duration(m.now-o.left))
				}
			}
			m.finish()
		})
	}
}

// TestShedSparesQuietClasses: a class that floods beside one that asks now and then, both with a target. Who is
// flooded is the flood alone, whose admitted keep their bound on half a GIL, too.
func TestShedSparesQuietClasses(t *testing.T) {
	for _, quiet := range []float64{0.1, 0.35, 2} {
		t.Run(fmt.Sprint(quiet), func(t *testing.T) {
			m := newWorld(t, 1, worldConfig{})
			m.byGrant = *simFixed
			m.watch()
			cfg := ClassConfig{TargetWait: 20 * time.Millisecond}
			a := m.arrive(m.class("flood", cfg), 400*us, 3, 3000*ms)
			b := m.arrive(m.class("quiet", cfg), 400*us, quiet, 3000*ms)
			a.late, b.late = 500*ms, 500*ms
			m.finish()
			a.check(t)
			b.check(t)
			if a.quantile(0.99) > 40*time.Millisecond || b.quantile(0.99) > 40*time.Millisecond || a.goodput()+b.goodput() < 0.9 {
				t.Error("out of bounds")
			}
			share := b.goodput() / (a.goodput() + b.goodput())
			if quiet < 0.5 && (b.shed > 0 || b.quantile(0.99) > 10*time.Millisecond) || quiet > 1 && (share < 0.45 || share > 0.55) {
				t.Errorf("the quiet class: %d shed, share %.3f", b.shed, share)
			}
		})
	}
}

// standingRig has a class with a target of 10 ms whose waits stand above it, and n more waiters.
func standingRig(t *testing.T, n int) (r *rig, c *Class) {
	t.Helper()
	r = newRig(t, Config{}, true)
	c = r.class("c", ClassConfig{TargetWait: 10 * time.Millisecond})
	holder := r.ask(c, anyLane, 0)
	for range 8 {
		r.ask(c, anyLane, 0)
	}
	for range 8 {
		r.now += 12 * ms
		r.ask(c, anyLane, 0)
		r.release(holder, 5*ms)
		for holder = nil; holder == nil || holder.state != primary; {
			r.run(r.awake()[0])
			holder = r.primary(0)
		}
	}
	if c.until <= r.now {
		t.Fatal("it does not shed")
	}
	for range n {
		r.ask(c, anyLane, 0)
	}
	return r, c
}

// TestShedIsTold: of those who wait for too long each is told once, at a tick, though its turn has not come; with the
// right error, and only the last is left. Who gave up at the same moment is told that it was shed, too.
func TestShedIsTold(t *testing.T) {
	r, c := standingRig(t, 4)
	waiting := c.queued
	var gave *task
	for _, x := range r.tasks {
		if x.waits() {
			gave = x // the last
		}
	}
	r.s.mu.Lock()
	r.now += 11 * ms
	r.s.shed(gave.w)
	r.s.unlock()
	w := gave.w
	gave.ctx.end(context.Canceled)
	_, err := r.s.abandon(gave.ctx, w)
	var e *SaturatedError
	if !errors.As(err, &e) || !e.Shed || e.Waited != 11*time.Millisecond || e.RetryAfter < 50*time.Millisecond || e.Queued != waiting-1 || errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	r.remove(gave)
	r.lapse(0)
	told := 0
	for _, x := range r.awake() {
		if x.w.state.Load() == stateRefused {
			told++
		}
	}
	if told < waiting-3 || c.queued > 1 {
		t.Errorf("%d of %d were told at the tick, %d wait", told, waiting, c.queued)
	}
	r.finish()
	if st := r.s.classStats("c"); st.Shed != c.shed || st.Shed < uint64(told+1) || st.Cancelled != 0 || r.s.Stats().All.Shed != st.Shed {
		t.Errorf("%+v", st)
	}
}

// TestShedEnds: when nobody had to be shed for an interval, waits may be longer again.
func TestShedEnds(t *testing.T) {
	r, c := standingRig(t, 3)
	before := c.shed
	r.now += 60 * ms
	r.lapse(0)
	if c.shed != before || len(r.s.shedding) != 0 {
		t.Errorf("%d were shed", c.shed-before)
	}
	r.finish()
}

// TestNeverShed: work that resumes, is bound to a lane or is nested waits for as long as it takes.
func TestNeverShed(t *testing.T) {
	r, c := standingRig(t, 4)
	if !r.s.NearLimit(c) {
		t.Error("nested work would not be known as that")
	}
	out := r.primary(0)
	r.suspend(out, 1000)
	for range 3 {
		r.ask(c, 0, 0)
		r.askNested(c)
	}
	r.resume(out)
	r.now += 45 * ms
	r.lapse(0)
	left := 0
	for _, x := range r.tasks {
		if x.waits() && (x.lane != anyLane || x.nested) {
			left++
		}
	}
	if c.shed == 0 || left < 6 {
		t.Errorf("%d were shed, %d wait that must not be", c.shed, left)
	}
	r.finish()
	for _, x := range r.tasks {
		if x.err != nil {
			t.Error(x.err)
		}
	}
}

// askNested is AcquireNested up to where it would block.
func (r *rig) askNested(c *Class) {
	x := &task{class: c, lane: anyLane, since: r.now, ctx: &fakeContext{Context: context.Background(), done: make(chan struct{})}}
	var err error
	if _, x.w, err = r.s.ask(x.ctx, c, nil, nestedLane); err != nil || x.w == nil {
		r.tb.Fatal(err, x.w)
	}
	x.nested = true
	r.tasks = append(r.tasks, x)
}

// TestShedJobs: submitted work is dropped with the same error.
func TestShedJobs(t *testing.T) {
	m := newWorld(t, 1, worldConfig{workers: 2})
	m.byGrant = *simFixed
	m.watch()
	c := m.class("c", ClassConfig{TargetWait: 20 * time.Millisecond})
	shed, ran := 0, 0
	for i := range int64(20_000) {
		m.after(i*100*us, func() {
			x := &simTask{class: c, lane: anyLane, job: true, prog: hold(200 * us)()}
			x.then = func() {
				var e *SaturatedError
				if ran++; errors.As(x.err, &e) && e.Shed {
					ran, shed = ran-1, shed+1
				}
			}
			m.ask(x)
		})
	}
	m.finish()
	st := m.s.classStats("c")
	if st.Shed != uint64(shed) || shed < 9000 || ran < 9000 || shed+ran != 20_000 || st.Waits.Count() == 0 {
		t.Errorf("%d shed, %d ran: %+v", shed, ran, st)
	}
}

// TestRetryAfter: the hint of a full queue is what it takes to clear at the pace at which it did lately.
func TestRetryAfter(t *testing.T) {
	r := newRig(t, Config{MaxQueued: 10}, true)
	refused := func() time.Duration {
		t.Helper()
		x := r.ask(r.s.Default(), anyLane, 0)
		var e *SaturatedError
		if !errors.As(x.err, &e) || e.Shed || !strings.Contains(e.Error(), "try again after "+e.RetryAfter.String()) {
			t.Fatalf("got %v", x.err)
		}
		return e.RetryAfter
	}
	turn := func(ns int64) {
		x := r.primary(0)
		r.now += ns
		r.release(x, ns)
		for r.primary(0) == nil || r.primary(0).state != primary {
			r.run(r.awake()[0])
		}
	}
	r.release(r.ask(r.s.Default(), anyLane, 0), 3*ms)
	for range 11 {
		r.ask(r.s.Default(), anyLane, 0)
	}
	if d := refused(); d != 30*time.Millisecond { // of nobody who waited it is known how long it took
		t.Errorf("at first %v", d)
	}
	for range 30 {
		turn(2 * ms)
		r.ask(r.s.Default(), anyLane, 0)
	}
	if d := refused(); d < 19*time.Millisecond || d > 21*time.Millisecond {
		t.Errorf("10 that wait for 2 ms each: %v", d)
	}
	r.now += 3000 * ms
	if d := refused(); d != 3*time.Second {
		t.Errorf("behind a task of 3 s: %v", d)
	}
	r.finish()
}

// TestShedRace: real goroutines that ask in classes with short targets, and give up; each is told once, and the books
// say what.
func TestShedRace(t *testing.T) {
	s := newScheduler(t, Config{Lanes: 2})
	stop := make(chan struct{})
	var pacer sync.WaitGroup
	pacer.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Microsecond):
				for lane := range s.lanes {
					s.Tick(lane, Look{Known: true, Taken: true})
				}
			}
		}
	})
	c, err := s.Class("c", ClassConfig{TargetWait: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	c.interval = ms
	var granted, shed, cancelled atomic.Int64
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			for range 100 {
				ctx, cancel := context.Background(), context.CancelFunc(func() {})
				if i%4 == 0 {
					ctx, cancel = context.WithTimeout(ctx, 1100*time.Microsecond)
				}
				g, err := s.Acquire(ctx, c)
				switch {
				case err == nil:
					granted.Add(1)
					time.Sleep(50 * time.Microsecond)
					s.Release(g, 50*time.Microsecond)
				case errors.Is(err, ErrSaturated):
					shed.Add(1)
				case errors.Is(err, context.DeadlineExceeded):
					cancelled.Add(1)
				default:
					t.Error(err)
				}
				cancel()
			}
		})
	}
	all.Wait()
	close(stop)
	pacer.Wait()
	st := s.classStats("c")
	if n := granted.Load() + shed.Load() + cancelled.Load(); n != 6400 || st.Shed != uint64(shed.Load()) || st.Cancelled != uint64(cancelled.Load()) || shed.Load() == 0 || st.Queued+st.InFlight != 0 {
		t.Errorf("%d granted, %d shed, %d cancelled: %+v", granted.Load(), shed.Load(), cancelled.Load(), st)
	}
}

func TestTargetWaitConfig(t *testing.T) {
	for _, cfg := range []ClassConfig{{TargetWait: time.Millisecond}, {MaxInFlight: 1}} {
		if s := newScheduler(t, Config{Template: cfg}); !s.NearLimit(nil) || !s.NearLimit(s.Default()) {
			t.Errorf("%+v: nested work of the default class would wait with the others", cfg)
		}
	}
	s := newScheduler(t, Config{})
	for _, d := range []time.Duration{-1, 1, 20, time.Millisecond - 1, time.Minute + 1} {
		_, err := s.Class("c", ClassConfig{TargetWait: d})
		if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), "TargetWait "+d.String()) || !strings.Contains(err.Error(), "1ms to 1m") {
			t.Errorf("%v: got %v", d, err)
		}
		if _, err := New(Config{Template: ClassConfig{TargetWait: d}}); !errors.Is(err, ErrConfig) {
			t.Errorf("template %v: got %v", d, err)
		}
	}
	if c, err := s.Class("c", ClassConfig{TargetWait: time.Millisecond}); err != nil || c.target != ms {
		t.Error(err)
	}
}
