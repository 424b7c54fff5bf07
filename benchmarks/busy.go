package benchmarks

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"gilt"
	"gilt/benchmarks/naive"
	py "gilt/handles"
)

// This file has the workloads beside goroutines that keep all of Go's processors busy.

// spinning runs f beside 4 goroutines that spin.
func spinning(f func()) {
	var stop atomic.Bool
	var spinners sync.WaitGroup
	for range 4 {
		spinners.Go(func() {
			for !stop.Load() {
				spin(1000)
			}
		})
	}
	f()
	stop.Store(true)
	spinners.Wait()
}

// busyGo is busy_go. In the same rounds, and as often, a goroutine gives its processor up and waits to
// have one again: what any goroutine that comes back from anywhere has to wait, Python or not. A
// goroutine that comes back from C waits in the same queue.
func busyGo(e *env) (result, error) {
	type figures struct {
		waits, goWaits []float64
		loop           rate
	}
	our, theirs, r, err := compare(e.atMost(3), func(s system, to *figures) (float64, error) {
		var waits, goWaits []float64
		err := s.besideHog(&to.loop, func() (err error) {
			spinning(func() {
				enough := after(10 * e.window())
				var plain sync.WaitGroup
				plain.Go(func() {
					goWaits, _ = arrivals(enough, nowAndThen(), func() error {
						runtime.Gosched()
						return nil
					})
				})
				err = s.wait(func() (err error) {
					waits, err = arrivals(enough, nowAndThen(), s.call)
					return err
				})
				plain.Wait()
			})
			return err
		})
		to.waits, to.goWaits = append(to.waits, waits...), append(to.goWaits, goWaits...)
		return mean(waits), err
	})
	for _, f := range []struct {
		prefix string
		of     *figures
	}{{"", &our}, {"raw_", &theirs}} {
		p99, plain := quantile(f.of.waits, 0.99), quantile(f.of.goWaits, 0.99)
		r.extra = append(r.extra, quantiles(f.prefix, f.of.waits)...)
		r.extra = append(r.extra, field{f.prefix + "go_wait_p50_us", round1(quantile(f.of.goWaits, 0.5) / 1e3)},
			field{f.prefix + "go_wait_p99_us", round1(plain / 1e3)}, field{f.prefix + "beyond_p99_us", round1((p99 - plain) / 1e3)})
	}
	return r, err
}

// busyGoHeld tells how long the GIL is held while Go's processors are all busy. A class of its own makes
// the runtime's books (Stats) tell what each task held, from attach to detach.
func busyGoHeld(e *env) (result, error) {
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

// beside runs tasks beside the spinning goroutines; a task tells how long it held the GIL. It gives the mean.
func beside(tasks int, start spawn, all *[]float64, task func() (time.Duration, error)) (mean float64, err error) {
	var total float64
	spinning(func() {
		done := make(chan struct{})
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
	})
	return total / float64(tasks), err
}
