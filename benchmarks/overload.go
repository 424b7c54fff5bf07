package benchmarks

import (
	"context"
	"errors"
	"sync"
	"time"

	"gilt"
)

const (
	overloadWork   = 200 * time.Microsecond
	overloadTarget = 20 * time.Millisecond
	overloadTimes  = 2 // the capacity
)

// flooding is what became of work that came faster than Python can do it.
type flooding struct {
	mu    sync.Mutex
	waits []float64 // of what had its turn in time
	sheds float64
	done  float64 // in time
	sent  float64
	took  time.Duration
}

// overloaded is overload_2x: one round of each side, 10 s by default. What waits still when it is over is called off.
func overloaded(e *env) (result, error) {
	n, err := e.pySteps(overloadWork)
	if err != nil {
		return result{}, err
	}
	s, w := e.gilt(), 50*e.window()
	var all rate // what 8 callers have, before and after
	measure := func() error {
		counts, took, err := contend(8, s.start, 4*e.window(), func(int) error {
			_, err := s.task(e.ctx, "work", n, func() {})
			return err
		})
		all.add(sum(counts), took)
		return err
	}
	if err := measure(); err != nil {
		return result{}, err
	}
	sends := overloadTimes * all.perSecond()
	var with, without flooding
	round := func(f *flooding, name string, target time.Duration) func() (float64, error) {
		return func() (float64, error) {
			class, err := e.rt.ClassWith(name, gilt.ClassConfig{TargetWait: target})
			if err != nil {
				return 0, err
			}
			ctx, cancel := context.WithCancel(gilt.WithClass(e.ctx, class))
			defer cancel()
			err = f.run(ctx, cancel, s, n, sends, w)
			return mean(f.waits), err
		}
	}
	r, err := e.atMost(1).interleave(
		side{ours, round(&with, "bench-overload", overloadTarget)},
		side{"unshed", round(&without, "bench-overload-unshed", 0)})
	if err == nil {
		err = measure()
	}
	capacity := all.perSecond()
	r.extra = append(append(with.fields("", capacity), without.fields("unshed_", capacity)...), field{"capacity_per_s", round1(capacity)})
	return r, err
}

// run sends tasks for w, so many a second, whatever becomes of them.
func (f *flooding) run(ctx context.Context, cancel func(), s system, n int64, perSecond float64, w time.Duration) error {
	var failed errOnce
	var all sync.WaitGroup
	began := time.Now()
	one := func(sent time.Time) {
		defer all.Done()
		var wait time.Duration
		_, err := s.task(ctx, "work", n, func() { wait = time.Since(sent) })
		inTime := time.Since(began) <= w
		f.mu.Lock()
		defer f.mu.Unlock()
		switch {
		case errors.Is(err, gilt.ErrSaturated):
			f.sheds++
		case err == nil:
			f.waits = append(f.waits, float64(wait))
			if inTime {
				f.done++
			}
		case !errors.Is(err, context.Canceled):
			failed.set(err)
		}
	}
	for ; time.Since(began) < w; time.Sleep(500 * time.Microsecond) {
		for due := time.Since(began).Seconds() * perSecond; f.sent < due; f.sent++ {
			all.Add(1)
			go one(time.Now())
		}
	}
	f.took = time.Since(began)
	cancel()
	all.Wait()
	if err := failed.get(); err != nil {
		return err
	}
	if len(f.waits) == 0 {
		return errors.New("no task ended in time: give a longer --round-ms")
	}
	return nil
}

func (f *flooding) fields(prefix string, capacity float64) []field {
	seconds := max(f.took.Seconds(), 1e-9)
	return append(quantiles(prefix, f.waits), field{prefix + "goodput", round3(f.done / seconds / capacity)},
		field{prefix + "sheds", f.sheds}, field{prefix + "sent_per_s", round1(f.sent / seconds)})
}
