package benchmarks

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"gilt"
	"gilt/benchmarks/naive"
	py "gilt/handles"
)

// contended are the workloads in which somebody is in the way, and those of the scheduler alone. The side
// that they are measured against is CPython's raw GIL: see system.
func contended() []workload {
	all := []workload{
		{"sched_acquire_release", "Acquire and Release of package scheduler alone, nobody else there; and what a mutex, a channel and a semaphore take", schedulerAlone},
		{"stats_cost", "what Stats costs a task that does not wait: the record of it, in which the charge that order needs is included; with_wait_ns is one that has waited, whole_ns all of Acquire and Release", statsCost},
		{"attach_under_hog", "a whole task, f(x), each 0.5 to 2 ms beside one endless Python loop: the mean, and p50_us, p99_us, max_us; hog_speed is the loop's, 1 if alone", underHog},
		{"hogs_8ms", "a task of 50 µs of Python, 1 ms after the last one, beside 4 callers with tasks of 8 ms; long_ops_per_s is theirs", hogs(8*time.Millisecond, 4, "work_long")},
		{"hogs_300ms", "the same beside 4 callers with tasks of 300 ms", hogs(300*time.Millisecond, 10, "work_long")},
		{"hogs_8ms_mixed", "hogs_8ms where the long and the short tasks call the same function, so that nobody can know which is which", hogs(8*time.Millisecond, 4, "work")},
		{"fairness_mixed8", "a task of 1 caller with 10 ms and 7 callers with 50 µs of Python, each a class of its own; jain_time is over time held, p50_us, p99_us, max_us are the short ones' waits", fairness},
		{"weights_124", "a task of 200 µs of Python, by 4 callers in each of three classes of the weights 1, 2, 4: share_… of 5 s; return_share_… of the 0.5 s after the class of weight 4 was away for 2 s; …_error is the largest, relative to the share that should be", weights},
	}
	for _, n := range []int{64, 256, 512} {
		all = append(all, workload{fmt.Sprintf("sleepers_%d", n), fmt.Sprintf("a prepared call of time.sleep(0.01), by %d callers", n), sleeping(n)})
	}
	return append(all,
		workload{"allow_threads_contended", "50 µs of Python and AllowThreads around nothing, 20 times in a task, by 4 callers; cost_us is the difference to the same without AllowThreads, each at its best", allowContended},
		workload{"hashlib_2", "a prepared call of hashlib.sha256 over 8 MB, which gives the GIL up, by 2 callers; speedup is over 1 caller", hashing},
		workload{"tiny_64", "a whole task, f(x), by 64 callers; max_us is the longest wait of any, jain_time is over their tasks", tiny},
		workload{"busy_go", "attach_under_hog with 4 goroutines that spin in Go beside it; go_wait_… is what a goroutine that yields waits for a processor meanwhile, beyond_p99_us the difference of the p99s", busyGo},
		workload{"busy_go_held", "a task of three 100 µs crossings beside 4 goroutines that spin in Go: how long the GIL was held for it, by Stats for gilt, by the C side's clock for naive; p99", busyGoHeld},
		workload{"foreign_8", "a whole task, f(x), each 0.5 to 2 ms beside 8 threading.Threads that compute; foreign_ops_per_s is the rounds of their loops, vs_raw its ratio", foreign},
		workload{"c_holds_gil", "a whole task, f(x), that arrives while C code keeps the GIL for 300 ms: nothing can help it", keepsGIL},
		workload{"overload_2x", "a task of 200 µs of Python in a class with TargetWait 20 ms, sent twice as often as 8 callers can have them, for 10 s: the mean wait of those that are not shed, p50_us, p99_us, max_us; goodput is what ended, as a share of what the 8 have; unshed_ is without TargetWait", overloaded},
		workload{"cpu_parallel_t1", "20 µs of Python, then 200 µs of native work without the GIL, by one goroutine", parallel(1)},
		workload{"cpu_parallel_t2", "the same by two; speedup is over t1", parallel(2)})
}

// pySteps is the n for which work(n) takes that long.
func (e *env) pySteps(want time.Duration) (int64, error) { return e.steps("work", 20_000, want) }

// steps is the n for which a function takes that long at best, found by calls with probe: for as long as a
// round, as a machine that others use too is slow for some while.
func (e *env) steps(function string, probe int64, want time.Duration) (n int64, err error) {
	best := time.Duration(math.MaxInt64)
	err = e.rt.Do(e.ctx, func(tok *gilt.Token) error {
		enough := after(e.round)
		for i := 0; i < 9 || !enough(); i++ {
			t := time.Now()
			if _, err := py.CallAs[int64](e.bound(tok, function), probe); err != nil {
				return err
			}
			best = min(best, time.Since(t))
		}
		return nil
	})
	return max(int64(float64(probe)*float64(want)/float64(best)), 1), err
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
