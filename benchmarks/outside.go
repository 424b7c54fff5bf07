package benchmarks

import (
	"context"
	"errors"
	"sync"
	"time"

	"gilt/scheduler"
)

// This file has the workloads in which the GIL is with somebody whom no scheduler above it can order:
// threads that Python started by itself, and C code that does not give it up.

// foreign is foreign_8.
func foreign(e *env) (result, error) {
	type figures struct {
		waits   []float64
		threads rate
	}
	our, theirs, r, err := compare(e.atMost(3), func(s system, to *figures) (float64, error) {
		var waits []float64
		err := besideThreads(s, 8, &to.threads, func() (err error) {
			waits, err = arrivals(after(4*e.window()), nowAndThen(), s.call)
			return err
		})
		to.waits = append(to.waits, waits...)
		return mean(waits), err
	})
	r.extra = append(latencies(our.waits, theirs.waits), rates("foreign_ops_per_s", "vs_raw", &our.threads, &theirs.threads)...)
	return r, err
}

// besideThreads runs f as a caller beside n Python threads that compute, and adds the rounds of their
// loops to speed, over the whole time that any of them ran.
func besideThreads(s system, n int64, speed *rate, f func() error) error {
	return s.wait(func() error {
		began := time.Now()
		if _, err := s.run("start_threads", n); err != nil {
			return err
		}
		failed := f()
		rounds, err := s.run("end_threads", n)
		speed.add(float64(rounds), time.Since(began))
		if failed != nil {
			return failed
		}
		return err
	})
}

// keepsGIL is c_holds_gil: a caller that arrives while sum(range(n)), which is C code that never looks
// whether anybody wants the GIL, has 300 ms to go. One arrival a round.
func keepsGIL(e *env) (result, error) {
	steps, err := e.steps("keep_gil", 1_000_000, 300*time.Millisecond)
	if err != nil {
		return result{}, err
	}
	before := e.rt.Stats()
	our, theirs, r, err := compare(e.atMost(3), func(s system, to *kept) (float64, error) { return to.round(s, steps) })
	r.extra = latencies(our.waits, theirs.waits)
	r.extra = append(r.extra, field{"kept_max_us", round1(quantile(our.kept, 1) / 1e3)},
		field{"raw_kept_max_us", round1(quantile(theirs.kept, 1) / 1e3)})
	r.extra = append(r.extra, keptByStats(before, e.rt.Stats())...)
	return r, err
}

// kept is how long the GIL was kept, and how long the callers waited who arrived meanwhile.
type kept struct{ waits, kept []float64 }

// round starts the caller first: a thread of the raw side needs the GIL to begin with.
func (k *kept) round(s system, steps int64) (float64, error) {
	ready, began := make(chan struct{}), make(chan struct{})
	var wait, took time.Duration
	var keeper, caller error
	var both sync.WaitGroup
	both.Add(2)
	s.start(func() {
		defer both.Done()
		close(ready)
		<-began
		nowAndThen()()
		t := time.Now()
		caller = s.call()
		wait = time.Since(t)
	})
	<-ready
	s.start(func() {
		defer both.Done()
		begin := sync.OnceFunc(func() { close(began) })
		defer begin() // if the task never ran
		t := time.Now()
		_, keeper = s.task(context.Background(), "keep_gil", steps, func() {
			t = time.Now()
			begin()
		})
		took = time.Since(t)
	})
	both.Wait()
	k.waits, k.kept = append(k.waits, float64(wait)), append(k.kept, float64(took))
	return float64(wait), errors.Join(keeper, caller)
}

// keptByStats is what the runtime's books say of it: how many tasks were reported for not giving the GIL up,
// and how many heirs had to wait for it.
func keptByStats(before, after scheduler.Stats) []field {
	stuck := func(s scheduler.Stats) (n uint64) {
		for _, l := range s.Lanes {
			n += l.Kept
		}
		return n
	}
	return []field{
		{"stats_kept", stuck(after) - stuck(before)},
		{"stats_preemptions", after.All.Preemptions - before.All.Preemptions},
	}
}
