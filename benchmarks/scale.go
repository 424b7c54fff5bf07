package benchmarks

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"gilt"
)

// threadCounts are the workloads that tell what the process grows to.
func threadCounts() []workload {
	return []workload{
		{"submit_10k", "Submit of f(x), by 10,000 goroutines at once; OS threads at most workers + 16", submitMany},
		{"tasks_1m", "a whole task by a prepared function in a new goroutine, 64 at a time, 1,000,000 of them; memory, goroutines and OS threads after 10,000 and at the end", million},
	}
}

func sleepers() []workload {
	return []workload{{"sleepers_20k", "Do of time.sleep(0.1), by 20,000 goroutines at once; OS threads at most MaxThreads + 16", sleepMany}}
}

// process is what the process has; numbers that the system does not tell are -1.
type process struct{ residentKB, goroutines, threads int }

func look() process {
	p := process{-1, runtime.NumGoroutine(), -1}
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		p.residentKB, p.threads = statusField(status, "VmRSS:"), statusField(status, "Threads:")
	}
	return p
}

func statusField(status []byte, name string) int {
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte(name)); ok {
			if n, err := strconv.Atoi(string(bytes.Fields(rest)[0])); err == nil {
				return n
			}
		}
	}
	return -1
}

// peakThreads runs f and gives the most OS threads that the process had meanwhile.
func peakThreads(f func()) int {
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		most := look().threads
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				most = max(most, look().threads)
			case <-stop:
				done <- max(most, look().threads)
				return
			}
		}
	}()
	f()
	close(stop)
	return <-done
}

// once is a workload that has one round of its own, and no naive side: 10,000 goroutines that enter
// Python by themselves are as many OS threads.
func once(ns float64, extra ...field) result {
	return result{sides: []figures{{ours, ns, ns}}, extra: extra}
}

// atOnce starts n goroutines and lets them go together.
func atOnce(n int, op func(i int) error) (took time.Duration, finished int64, err error) {
	var failed errOnce
	var ended atomic.Int64
	var wg sync.WaitGroup
	gate := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-gate
			if err := op(i); err != nil {
				failed.set(err)
				return
			}
			ended.Add(1)
		})
	}
	t := time.Now()
	close(gate)
	wg.Wait()
	return time.Since(t), ended.Load(), failed.get()
}

func submitMany(e *env) (result, error) {
	const n = 10_000
	var took time.Duration
	var finished int64
	var err error
	before := look().threads
	peak := peakThreads(func() { took, finished, err = atOnce(n, e.submit) })
	limit := e.rt.Info().Workers + 16
	return once(float64(took)/n, field{"finished", finished}, field{"threads_before", before}, field{"threads_peak", peak},
		field{"threads_limit", limit}, field{"within", peak <= limit}), err
}

func million(e *env) (result, error) {
	const few, all = 10_000, 1_000_000
	if err := e.inGoroutines(few); err != nil {
		return result{}, err
	}
	runtime.GC()
	early := look()
	t := time.Now()
	if err := e.inGoroutines(all - few); err != nil {
		return result{}, err
	}
	took := time.Since(t)
	runtime.GC()
	late := look()
	return once(float64(took)/(all-few),
		field{"resident_kb_10k", early.residentKB}, field{"resident_kb_1m", late.residentKB},
		field{"goroutines_10k", early.goroutines}, field{"goroutines_1m", late.goroutines},
		field{"threads_10k", early.threads}, field{"threads_1m", late.threads}), nil
}

// inGoroutines runs n tasks, each in a goroutine of its own, 64 at a time.
func (e *env) inGoroutines(n int) error {
	var failed errOnce
	var wg sync.WaitGroup
	places := make(chan struct{}, 64)
	for range n {
		places <- struct{}{}
		wg.Go(func() {
			failed.set(e.call(0))
			<-places
		})
	}
	wg.Wait()
	return failed.get()
}

func sleepMany(e *env) (result, error) {
	const n = 20_000
	var took time.Duration
	var finished int64
	var err error
	before := look().threads
	peak := peakThreads(func() {
		took, finished, err = atOnce(n, func(int) error {
			return e.rt.Do(e.ctx, func(tok *gilt.Token) error {
				_, err := e.bound(tok, "nap_us").Call(100_000)
				return err
			})
		})
	})
	if err != nil {
		err = fmt.Errorf("%d of %d finished: %w", finished, n, err)
	}
	limit := e.rt.Info().MaxThreads + 16
	return once(float64(took)/n, field{"seconds", round3(took.Seconds())}, field{"finished", finished}, field{"threads_before", before},
		field{"threads_peak", peak}, field{"threads_limit", limit}, field{"within", peak <= limit}), err
}
