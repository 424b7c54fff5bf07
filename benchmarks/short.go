package benchmarks

import (
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"gilt/scheduler"
)

// tiny is tiny_64. The longest wait is taken in rounds of its own: a task is not much longer than a look
// at the clock.
func tiny(e *env) (result, error) {
	const n = 64
	type figures struct {
		rate
		longest, jain []float64
	}
	our, theirs, r, err := compare(e, func(s system, to *figures) (float64, error) {
		counts, took, err := contend(n, s.start, e.window(), func(int) error { return s.call() })
		if err != nil {
			return 0, err
		}
		to.add(sum(counts), took)
		to.jain = append(to.jain, jain(counts))
		longest, err := longestWait(s, n, e.window())
		to.longest = append(to.longest, float64(longest))
		return float64(took) / max(sum(counts), 1), err
	})
	r.extra = rates("ops_per_s", "vs_raw", &our.rate, &theirs.rate)
	for _, f := range []struct {
		prefix string
		of     *figures
	}{{"", &our}, {"raw_", &theirs}} {
		r.extra = append(r.extra, field{f.prefix + "max_us", round1(quantile(f.of.longest, 1) / 1e3)},
			field{f.prefix + "jain_time", round3(quantile(f.of.jain, 0.5))})
	}
	return r, err
}

// longestWait is that of any call of n callers, their first ones left out, which may have to make an OS
// thread.
func longestWait(s system, n int, w time.Duration) (longest time.Duration, err error) {
	callers := make([]struct {
		longest time.Duration
		warm    bool
		_       [48]byte // no two in one cache line
	}, n)
	_, _, err = contend(n, s.start, w, func(i int) error {
		t := time.Now()
		err := s.call()
		if took, c := time.Since(t), &callers[i]; !c.warm {
			c.warm = true
		} else if took > c.longest {
			c.longest = took
		}
		return err
	})
	for i := range callers {
		longest = max(longest, callers[i].longest)
	}
	return longest, err
}

// schedulerAlone is sched_acquire_release. The others are what one would take instead if order did not
// matter.
func schedulerAlone(e *env) (result, error) {
	s, err := scheduler.New(scheduler.Config{})
	if err != nil {
		return result{}, err
	}
	var mutex sync.Mutex
	token := make(chan struct{}, 1)
	weighted := semaphore.NewWeighted(1)
	loop := func(label string, once func() error) side {
		return e.loop(label, func(n int) error {
			for range n {
				if err := once(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	r, err := e.interleave(
		loop(ours, func() error {
			g, err := s.Acquire(e.ctx, nil)
			if err == nil {
				s.Release(g, 100)
			}
			return err
		}),
		loop("mutex", func() error {
			mutex.Lock()
			defer mutex.Unlock()
			return nil
		}),
		loop("channel", func() error {
			token <- struct{}{}
			<-token
			return nil
		}),
		loop("semaphore", func() error {
			err := weighted.Acquire(e.ctx, 1)
			if err == nil {
				weighted.Release(1)
			}
			return err
		}))
	if err != nil {
		return r, err
	}
	for _, s := range r.sides[1:] {
		r.extra = append(r.extra, field{s.label + "_ns", round1(s.min)})
	}
	r.sides = r.sides[:1]
	return r, nil
}

// statsCost is stats_cost. The books cannot be left out to see what they take, so that they are kept is measured
// by itself: the very calls that Acquire and Release make, with holds that differ.
func statsCost(e *env) (result, error) {
	s, err := scheduler.New(scheduler.Config{})
	if err != nil {
		return result{}, err
	}
	c := s.Default()
	loop := func(label string, once func(held time.Duration) error) side {
		return e.loop(label, func(n int) error {
			for i := range n {
				if err := once(time.Duration(500 + i&1023)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	r, err := e.interleave(
		loop(ours, func(held time.Duration) error { c.Record(held, -1); return nil }),
		loop("with_wait", func(held time.Duration) error { c.Record(held, held); return nil }),
		loop("whole", func(held time.Duration) error {
			g, err := s.Acquire(e.ctx, nil)
			if err == nil {
				s.Release(g, held)
			}
			return err
		}),
		loop("nothing", func(time.Duration) error { return nil }))
	if err != nil {
		return r, err
	}
	nothing := r.sides[3] // the loop
	for i := range r.sides[:3] {
		r.sides[i].min = max(r.sides[i].min-nothing.min, 0.1)
		r.sides[i].median = max(r.sides[i].median-nothing.min, 0.1)
	}
	for _, s := range r.sides[1:3] {
		r.extra = append(r.extra, field{s.label + "_ns", round1(s.min)})
	}
	r.sides = r.sides[:1]
	return r, nil
}
