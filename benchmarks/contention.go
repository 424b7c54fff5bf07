package benchmarks

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"gilt"
	"gilt/benchmarks/naive"
	py "gilt/handles"
)

// contended are the workloads in which somebody is in the way.
func contended() []workload {
	return []workload{
		{"attach_under_hog", "a whole task, f(x), now and then beside one endless Python loop: the mean, and p50_us, p99_us, max_us", underHog},
		{"fairness_mixed8", "a task of 1 caller with 10 ms and 7 callers with 50 µs of Python, each a class of its own; jain_time is over time held", fairness},
		{"cpu_parallel_t1", "20 µs of Python, then 200 µs of native work without the GIL, by one goroutine", parallel(1)},
		{"cpu_parallel_t2", "the same by two; speedup is over t1", parallel(2)},
		{"busy_go_held", "a task of three 100 µs crossings beside 4 goroutines that spin in Go: how long the GIL was held for it, by Stats for gilt, by the C side's clock for naive; p99", busyGo},
	}
}

// pySteps is the n for which work(n) takes that long.
func (e *env) pySteps(want time.Duration) (n int64, err error) {
	const probe = 20_000
	best := time.Duration(math.MaxInt64)
	err = e.rt.Do(e.ctx, func(tok *gilt.Token) error {
		for range 9 {
			t := time.Now()
			if _, err := py.CallAs[int64](e.bound(tok, "work"), probe); err != nil {
				return err
			}
			best = min(best, time.Since(t))
		}
		return nil
	})
	return max(int64(probe*float64(want)/float64(best)), 1), err
}

var sinkSpin atomic.Uint64

// spin is native work.
func spin(steps int64) {
	x := uint64(0x9E3779B97F4A7C15)
	for range steps {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	sinkSpin.Store(x)
}

func spinSteps(want time.Duration) int64 {
	const probe = 1_000_000
	best := time.Duration(math.MaxInt64)
	for range 9 {
		t := time.Now()
		spin(probe)
		best = min(best, time.Since(t))
	}
	return int64(probe * float64(want) / float64(best))
}

// underHog pools the waits of all rounds for the quantiles.
func underHog(e *env) (result, error) {
	var ourWaits, naiveWaits []float64
	r, err := e.interleave(
		side{ours, func() (float64, error) {
			return arrivals(e.window(), &ourWaits, func() error { return e.call(0) }, e.hogFor, goroutine)
		}},
		side{baseline, func() (mean float64, err error) {
			err = e.usual(func() (err error) {
				mean, err = arrivals(e.window(), &naiveWaits, func() error { return naiveTask(0) }, naiveHogFor, naive.Go)
				return err
			})
			return mean, err
		}})
	r.extra = append(quantiles("", ourWaits), quantiles("baseline_", naiveWaits)...)
	return r, err
}

func quantiles(prefix string, ns []float64) []field {
	return []field{
		{prefix + "p50_us", round1(quantile(ns, 0.5) / 1e3)}, {prefix + "p99_us", round1(quantile(ns, 0.99) / 1e3)},
		{prefix + "max_us", round1(quantile(ns, 1) / 1e3)},
	}
}

// hogFor runs the endless loop while f runs.
func (e *env) hogFor(f func()) error {
	if _, err := e.setStop.Call(e.ctx, 0); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		_, err := e.hog.Call(e.ctx, struct{}{})
		done <- err
	}()
	time.Sleep(20 * time.Millisecond)
	f()
	if _, err := e.setStop.Call(e.ctx, 1); err != nil {
		return err
	}
	return <-done
}

func naiveHogFor(f func()) error {
	naive.OnThread(func() { naive.SetStop(false) })
	done := make(chan struct{})
	naive.Go(func() {
		defer close(done)
		naive.Hog()
	})
	time.Sleep(20 * time.Millisecond)
	f()
	naive.OnThread(func() { naive.SetStop(true) })
	<-done
	return nil
}

// arrivals runs op now and then for w, beside a hog, and gives its mean.
func arrivals(w time.Duration, waits *[]float64, op func() error, beside func(func()) error, start spawn) (mean float64, err error) {
	var total float64
	var n int
	caller := func() {
		random := rand.New(rand.NewPCG(1, 2))
		for end := time.Now().Add(w); err == nil && (n < 10 || time.Now().Before(end)); n++ {
			time.Sleep(500*time.Microsecond + time.Duration(random.IntN(1_500_000)))
			t := time.Now()
			err = op()
			ns := float64(time.Since(t))
			total += ns
			*waits = append(*waits, ns)
		}
	}
	hogErr := beside(func() {
		done := make(chan struct{})
		start(func() {
			defer close(done)
			caller()
		})
		<-done
	})
	if err == nil {
		err = hogErr
	}
	return total / float64(n), err
}

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
	return append(all, quantiles(prefix+"short_wait_", f.waits)...)
}

// run is one round. task runs n steps of Python for caller i and calls began when it has the GIL.
func (f *fair) run(w time.Duration, start spawn, short, long int64, task func(i int, n int64, began func()) error) (float64, error) {
	waits := make([][]float64, 8)
	counts, took, err := contend(8, start, w, func(i int) error {
		n := short
		if i == 0 {
			n = long
		}
		t := time.Now()
		return task(i, n, func() { waits[i] = append(waits[i], float64(time.Since(t))) })
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

func fairness(e *env) (result, error) {
	short, err := e.pySteps(shortTask)
	if err != nil {
		return result{}, err
	}
	long := short * int64(longTask/shortTask)
	ctxs := make([]context.Context, 8)
	for i := range ctxs {
		c, err := e.rt.Class(fmt.Sprintf("bench-%d", i))
		if err != nil {
			return result{}, err
		}
		ctxs[i] = gilt.WithClass(e.ctx, c)
	}
	var our, usual fair
	w := 10 * e.window() // 2 s by default
	few := *e
	few.rounds = min(e.rounds, 3)
	r, err := few.interleave(
		side{ours, func() (float64, error) {
			return our.run(w, goroutine, short, long, func(i int, n int64, began func()) error {
				return e.rt.Do(ctxs[i], func(tok *gilt.Token) error {
					work := e.objects["work"].Bind(tok) // attaches
					began()
					_, err := py.CallAs[int64](work, n)
					return err
				})
			})
		}},
		side{baseline, func() (ns float64, err error) {
			err = e.usual(func() (err error) {
				ns, err = usual.run(w, naive.Go, short, long, func(_ int, n int64, began func()) error {
					naive.With(func() {
						began()
						naive.Work(n)
					})
					return nil
				})
				return err
			})
			return ns, err
		}})
	// What of the longest wait was the queue's; the rest went by between the grant and the GIL.
	var queue time.Duration
	stats := e.rt.Stats()
	for i := range 7 {
		c := stats.Class(fmt.Sprintf("bench-%d", i+1))
		queue = max(queue, c.Waits.Quantile(1))
	}
	r.extra = append(our.fields(""), field{"short_queue_max_us", micros(queue)})
	r.extra = append(r.extra, usual.fields("baseline_")...)
	return r, err
}

// unit is one operation of cpu_parallel.
func (e *env) unit(steps, native int64) error {
	return e.rt.Do(e.ctx, func(tok *gilt.Token) error {
		_, err := py.CallAs[int64](e.bound(tok, "work"), steps)
		tok.AllowThreads(func() { spin(native) })
		return err
	})
}

func parallel(n int) func(*env) (result, error) {
	return func(e *env) (result, error) {
		steps, err := e.pySteps(20 * time.Microsecond)
		if err != nil {
			return result{}, err
		}
		native := spinSteps(200 * time.Microsecond)
		op := func(int) error { return e.unit(steps, native) }
		naiveOp := func(int) error {
			naive.With(func() {
				naive.Work(steps)
				naive.Detached(func() { spin(native) })
			})
			return nil
		}
		sides := []side{e.contended(ours, n, goroutine, op), e.contended(baseline, n, naive.Go, naiveOp)}
		if n == 1 {
			return e.interleave(sides...)
		}
		// t1 is measured again, in turn with t2: the ratio is of the same minutes.
		sides = append(sides, e.contended("t1", 1, goroutine, op), e.contended("baseline_t1", 1, naive.Go, naiveOp))
		r, err := e.interleave(sides...)
		if err != nil {
			return r, err
		}
		r.extra = []field{
			{"speedup", round3(r.sides[2].min / r.sides[0].min)},
			{"baseline_speedup", round3(r.sides[3].min / r.sides[1].min)},
		}
		r.sides = r.sides[:2]
		return r, nil
	}
}

// busyGo tells how long the GIL is held while Go's processors are all busy. A class of its own makes the
// runtime's books (Stats) tell what each task held, from attach to detach.
func busyGo(e *env) (result, error) {
	steps, err := e.pySteps(100 * time.Microsecond)
	if err != nil {
		return result{}, err
	}
	class, err := e.rt.Class("busy-go")
	if err != nil {
		return result{}, err
	}
	ctx := gilt.WithClass(e.ctx, class)
	heldSoFar := func() time.Duration { s := e.rt.Stats(); return s.Class("busy-go").Held }
	tasks := max(int(e.window()/(2*time.Millisecond)), 5)
	var ourHeld, naiveHeld []float64
	r, err := e.interleave(
		side{ours, func() (float64, error) {
			return beside(tasks, goroutine, &ourHeld, func() (time.Duration, error) {
				before := heldSoFar()
				err := e.rt.Do(ctx, func(tok *gilt.Token) error {
					work := e.bound(tok, "work")
					for range 3 {
						if _, err := py.CallAs[int64](work, steps); err != nil {
							return err
						}
					}
					return nil
				})
				return heldSoFar() - before, err
			})
		}},
		side{baseline, func() (float64, error) {
			return beside(tasks, naive.Go, &naiveHeld, func() (time.Duration, error) { return naive.WorkHeld(steps), nil })
		}})
	r.extra = append(quantiles("held_", ourHeld), quantiles("baseline_held_", naiveHeld)...)
	return r, err
}

// beside runs tasks beside 4 spinning goroutines; a task tells how long it held the GIL. It gives the mean.
func beside(tasks int, start spawn, all *[]float64, task func() (time.Duration, error)) (mean float64, err error) {
	var stop atomic.Bool
	var spinners sync.WaitGroup
	for range 4 {
		spinners.Go(func() {
			for !stop.Load() {
				spin(1000)
			}
		})
	}
	done := make(chan struct{})
	var total float64
	start(func() {
		defer close(done)
		for range tasks {
			var held time.Duration
			if held, err = task(); err != nil {
				return
			}
			total += float64(held)
			*all = append(*all, float64(held))
		}
	})
	<-done
	stop.Store(true)
	spinners.Wait()
	return total / float64(tasks), err
}
