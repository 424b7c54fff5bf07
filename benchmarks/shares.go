package benchmarks

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"gilt"
)

const shortTask, longTask = 50 * time.Microsecond, 10 * time.Millisecond

// fair gathers the rounds of fairness.
type fair struct {
	jain  []float64
	long  []float64 // share of the time that the caller with long tasks had
	waits []float64 // of the callers with short ones
}

func (f *fair) fields(prefix string) []field {
	all := []field{
		{prefix + "jain_time", round3(quantile(f.jain, 0.5))}, {prefix + "jain_time_min", round3(quantile(f.jain, 0))},
		{prefix + "long_time_share", round3(quantile(f.long, 0.5))},
	}
	return append(all, quantiles(prefix, f.waits)...)
}

// round runs 8 callers, each in the class of its context, the first of them with long tasks.
func (f *fair) round(s system, ctxs []context.Context, w time.Duration, short int64) (float64, error) {
	waits := make([][]float64, 8)
	counts, took, err := contend(8, s.start, w, func(i int) error {
		n := short
		if i == 0 {
			n *= int64(longTask / shortTask)
		}
		t := time.Now()
		_, err := s.task(ctxs[i], "work", n, func() { waits[i] = append(waits[i], float64(time.Since(t))) })
		return err
	})
	times := make([]float64, 8)
	for i, c := range counts {
		times[i] = c * float64(shortTask)
		if i == 0 {
			times[i] = c * float64(longTask)
		} else {
			f.waits = append(f.waits, waits[i]...)
		}
	}
	f.jain = append(f.jain, jain(times))
	f.long = append(f.long, times[0]/float64(took))
	return float64(took) / max(sum(counts), 1), err
}

// fairness is fairness_mixed8.
func fairness(e *env) (result, error) {
	short, err := e.pySteps(shortTask)
	if err != nil {
		return result{}, err
	}
	ctxs, err := e.classes("bench", 1, 1, 1, 1, 1, 1, 1, 1)
	if err != nil {
		return result{}, err
	}
	our, theirs, r, err := compare(e.atMost(3), func(s system, to *fair) (float64, error) {
		return to.round(s, ctxs, 10*e.window(), short) // 2 s by default
	})
	// What of the longest wait was the queue's; the rest went by between the grant and the GIL.
	var queue time.Duration
	stats := e.rt.Stats()
	for i := range 7 {
		c := stats.Class(fmt.Sprintf("bench-%d", i+1))
		queue = max(queue, c.Waits.Quantile(1))
	}
	r.extra = append(our.fields(""), field{"queue_max_us", micros(queue)})
	r.extra = append(r.extra, theirs.fields("raw_")...)
	return r, err
}

// classes are contexts with a class each, of these weights.
func (e *env) classes(name string, weights ...float64) (ctxs []context.Context, err error) {
	for i, w := range weights {
		c, err := e.rt.WeightedClass(fmt.Sprintf("%s-%d", name, i), w)
		if err != nil {
			return nil, err
		}
		ctxs = append(ctxs, gilt.WithClass(e.ctx, c))
	}
	return ctxs, nil
}

// weights is weights_124. One round, as it takes long.
func weights(e *env) (result, error) {
	steps, err := e.pySteps(200 * time.Microsecond)
	if err != nil {
		return result{}, err
	}
	ctxs, err := e.classes("weights", 1, 2, 4)
	if err != nil {
		return result{}, err
	}
	our, theirs, r, err := compare(e.atMost(1), func(s system, to *shared) (float64, error) {
		return to.round(e.window(), s.start, func(class int) error {
			_, err := s.task(ctxs[class], "work", steps, func() {})
			return err
		})
	})
	r.extra = append(our.fields(""), theirs.fields("raw_")...)
	return r, err
}

// shared is what three classes of the weights 1, 2 and 4 got of the time. All tasks are of one length, so
// that a share is one of the tasks that ended.
type shared struct{ saturated, returned [3]float64 }

func (h *shared) fields(prefix string) []field {
	all := shares(prefix+"share_", h.saturated)
	return append(all, shares(prefix+"return_share_", h.returned)...)
}

// shares are the fields of what each class had, and of the largest error, relative to what the class
// should have had.
func shares(prefix string, n [3]float64) (all []field) {
	worst, total := 0.0, max(sum(n[:]), 1)
	for i, weight := range []float64{1, 2, 4} {
		share := n[i] / total
		worst = max(worst, math.Abs(share*7/weight-1))
		all = append(all, field{fmt.Sprint(prefix, weight), round3(share)})
	}
	return append(all, field{prefix + "error", round3(worst)})
}

// round has four callers in each class: 25 windows of saturation (5 s by default), 10 in which the class
// of weight 4 sleeps, and 2.5 after its return.
func (h *shared) round(w time.Duration, start spawn, op func(class int) error) (float64, error) {
	var stop atomic.Bool
	var ended [3]atomic.Int64
	var away sync.RWMutex // locked while the class of weight 4 sleeps
	var failed errOnce
	var callers sync.WaitGroup
	callers.Add(12)
	began := time.Now()
	for i := range 12 {
		class := i % 3
		start(func() {
			defer callers.Done()
			for !stop.Load() && failed.get() == nil {
				if class == 2 {
					away.RLock()
				}
				failed.set(op(class))
				if class == 2 {
					away.RUnlock()
				}
				ended[class].Add(1)
			}
		})
	}
	during := func(w time.Duration) (n [3]float64) {
		for i := range n {
			n[i] = -float64(ended[i].Load())
		}
		time.Sleep(w)
		for i := range n {
			n[i] += float64(ended[i].Load())
		}
		return n
	}
	h.saturated = during(25 * w)
	away.Lock()
	time.Sleep(10 * w)
	away.Unlock()
	h.returned = during(5 * w / 2)
	stop.Store(true)
	callers.Wait()
	all := ended[0].Load() + ended[1].Load() + ended[2].Load()
	return float64(time.Since(began)) / float64(max(all, 1)), failed.get()
}
