package benchmarks

import (
	"sync"
	"sync/atomic"
	"time"
)

// underHog is attach_under_hog. In each round the loop runs alone first, for its speed.
func underHog(e *env) (result, error) {
	type figures struct{ waits, speeds []float64 }
	our, theirs, r, err := compare(e, func(s system, to *figures) (float64, error) {
		var alone, beside rate
		err := s.besideHog(&alone, func() error {
			time.Sleep(e.window())
			return nil
		})
		if err != nil {
			return 0, err
		}
		var waits []float64
		err = s.besideHog(&beside, func() error {
			return s.wait(func() (err error) {
				waits, err = arrivals(after(e.window()), nowAndThen(), s.call)
				return err
			})
		})
		to.waits, to.speeds = append(to.waits, waits...), append(to.speeds, beside.over(&alone))
		return mean(waits), err
	})
	r.extra = append(latencies(our.waits, theirs.waits),
		field{"hog_speed", quantile(our.speeds, 0.5)}, field{"raw_hog_speed", quantile(theirs.speeds, 0.5)})
	r.calls = map[string][]float64{ours: our.waits, raw: theirs.waits}
	return r, err
}

// hogs are four callers with long tasks, and one with tasks of 50 µs that rests for 1 ms after each. The long
// ones call a function of their own or, mixed, the same. A round takes that many windows, and as long as the
// long tasks then need to end.
func hogs(long time.Duration, windows int, function string) func(*env) (result, error) {
	return func(e *env) (result, error) {
		short, err := e.pySteps(shortTask)
		if err != nil {
			return result{}, err
		}
		steps := short * int64(long/shortTask)
		our, theirs, r, err := compare(e.atMost(3), func(s system, to *hogged) (float64, error) {
			return to.round(s, time.Duration(windows)*e.window(), short, steps, function)
		})
		r.extra = append(latencies(our.waits, theirs.waits), rates("long_ops_per_s", "long_vs_raw", &our.long, &theirs.long)...)
		return r, err
	}
}

type hogged struct {
	waits []float64 // of the caller with short tasks
	long  rate
}

// round counts long tasks from the start of the first to the end of the last: none is cut, and the GIL is
// in use all the time. The short ones go on as long, but only those until w are in the waits.
func (h *hogged) round(s system, w time.Duration, short, long int64, function string) (float64, error) {
	var stop, over atomic.Bool
	var ended atomic.Int64
	var failed errOnce
	var hogs, caller sync.WaitGroup
	began := time.Now()
	hogs.Add(4)
	for range 4 {
		s.start(func() {
			defer hogs.Done()
			for first := true; first || !stop.Load(); first = false {
				_, err := s.run(function, long)
				failed.set(err)
				ended.Add(1)
			}
		})
	}
	rest := func() { time.Sleep(time.Millisecond) }
	op := func() error {
		_, err := s.run("work", short)
		return err
	}
	var waits []float64
	caller.Add(1)
	s.start(func() {
		defer caller.Done()
		var err error
		waits, err = arrivals(stop.Load, rest, op)
		for failed.set(err); err == nil && !over.Load(); rest() {
			err = op()
		}
	})
	time.Sleep(w)
	stop.Store(true)
	hogs.Wait()
	h.long.add(float64(ended.Load()), time.Since(began))
	over.Store(true)
	caller.Wait()
	h.waits = append(h.waits, waits...)
	return mean(waits), failed.get()
}

func mean(v []float64) float64 { return sum(v) / float64(max(len(v), 1)) }
