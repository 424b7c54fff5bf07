package benchmarks

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"gilt"
	"gilt/benchmarks/naive"
)

// versusWorkloads are those of the harness in which somebody is in the way, and hostile ones.
func versusWorkloads() (all []versus) {
	for _, group := range [][]versus{versusContended(), versusMany(), versusMixed(), versusTasks(), versusDeadlines(), versusKept(), versusSpinning(), versusAlike()} {
		all = append(all, group...)
	}
	return all
}

// regular is a rest of 1 ms after each call.
func regular(int) time.Duration { return time.Millisecond }

// irregular is a rest of 0.5 to 2 ms, as in the workloads of one caller who comes now and then.
func irregular(call int) time.Duration {
	return 500*time.Microsecond + time.Duration(call*7919%1500)*time.Microsecond
}

const (
	nobodyPasses = "the endless loop has the semaphore, and nobody gets past"
	oneInside    = "a task that has the semaphore waits for ever for a task of its own"
	oneSleeps    = "one caller sleeps at a time, and the last has its turn after seconds"
)

func besideLoop(_ *env, s system, speed *rate, f func() error) error { return s.besideHog(speed, f) }

func besideSpinning(_ *env, _ system, _ *rate, f func() error) (err error) {
	spinning(func() { err = f() })
	return err
}

func besideBoth(e *env, s system, speed *rate, f func() error) error {
	return s.besideHog(speed, func() error { return besideSpinning(e, s, speed, f) })
}

func besidePython(threads int64) alongside {
	return func(_ *env, s system, speed *rate, f func() error) error { return besideThreads(s, threads, speed, f) }
}

// besideHeap has a heap of a million lists.
func besideHeap(_ *env, s system, _ *rate, f func() error) error {
	heap := func(lists int64) error {
		return s.wait(func() error {
			_, err := s.run("make_heap", lists)
			return err
		})
	}
	if err := heap(1_000_000); err != nil {
		return err
	}
	err := f()
	if dropped := heap(0); err == nil {
		err = dropped
	}
	return err
}

// versusContended are workloads that gilt bench has by themselves, too.
func versusContended() []versus {
	arrival := group{name: "call", callers: 1, function: "f", arg: taskValue, rest: irregular}
	rested := group{name: "short", callers: 1, micros: 50, rest: regular}
	hogs := func(function string, ms float64) []group {
		return []group{{name: "long", callers: 4, function: function, micros: ms * 1000}, rested}
	}
	alone := map[string]string{behindSemaphore: nobodyPasses}
	return []versus{
		{name: "attach_under_hog", what: "f(x) each 0.5 to 2 ms beside one endless Python loop", groups: []group{arrival}, beside: besideLoop, cannot: alone, windows: 2},
		{name: "hogs_8ms", what: "50 µs of Python, 1 ms after the last one, beside 4 callers of 8 ms", groups: hogs("work_long", 8), windows: 2},
		{name: "hogs_300ms", what: "the same beside 4 callers of 300 ms", groups: hogs("work_long", 300), windows: 3, rounds: 2},
		{name: "hogs_8ms_mixed", what: "hogs_8ms where the long and the short tasks call the same function", groups: hogs("work", 8), windows: 2},
		{name: "fairness_mixed8", what: "a caller of 10 ms and 7 of 50 µs, each in a class of its own", windows: 2,
			groups: []group{{name: "long", callers: 1, micros: 10_000}, {name: "short", callers: 7, micros: 50, apart: true}}},
		{name: "weights_124", what: "4 callers of 200 µs in each of three classes of the weights 1, 2, 4",
			groups: []group{{name: "w1", callers: 4, micros: 200}, {name: "w2", callers: 4, micros: 200, weight: 2}, {name: "w4", callers: 4, micros: 200, weight: 4}}},
		asleep(64, 10_000), asleep(256, 10_000), asleep(512, 10_000),
		{name: "hashlib_2", what: "hashlib.sha256 over 8 MB, which gives the GIL up, by 2 callers", groups: []group{{callers: 2, function: "digest", arg: 8 << 20}}},
		{name: "tiny_64", what: "f(x) by 64 callers", groups: []group{{callers: 64, function: "f", arg: taskValue}}},
		{name: "busy_go", what: "attach_under_hog with 4 goroutines that spin in Go beside it", groups: []group{arrival}, beside: besideBoth, cannot: alone, windows: 3},
		{name: "foreign_8", what: "f(x) each 0.5 to 2 ms beside 8 threading.Threads that compute", groups: []group{arrival}, beside: besidePython(8), windows: 2},
		{name: "cpu_parallel_t2", what: "20 µs of Python, then 200 µs of native work without the GIL, by 2 callers",
			groups: []group{{callers: 2, micros: 20, operation: thenNative}}},
		{name: "service_flood", what: "an HTTP request for 1 ms of Python, 200 a second, beside a tenant that keeps 16 requests for 20 ms going", round: floodRound},
	}
}

// versusMany are crowds beside one.
func versusMany() []versus {
	many := group{name: "many", callers: 10_000, micros: 10}
	return []versus{
		{name: "crowd", what: "10,000 callers of 10 µs beside one of 10 µs; the raw sides have 512 threads instead, whose waits are not compared",
			groups: []group{many, {name: "one", callers: 1, micros: 10}}},
		{name: "crowd_rested", what: "the same where the one rests for 1 ms after each call",
			groups: []group{many, {name: "one", callers: 1, micros: 10, rest: regular}}},
		{name: "submit_flood", what: "1,000 callers of Submit with 20 µs beside 4 callers of 50 µs; the other sides have plain callers, the raw ones 512",
			groups: []group{{name: "submit", callers: 1000, micros: 20, operation: submitting}, {name: "call", callers: 4, micros: 50}}},
	}
}

// versusMixed are tasks of different lengths, rests and weights.
func versusMixed() (all []versus) {
	bimodal := group{name: "bimodal", callers: 4, micros: 20, rare: 50_000}
	short, rested := group{name: "short", callers: 4, micros: 20}, group{name: "short", callers: 1, micros: 20, rest: regular}
	burst := func(call int) time.Duration {
		if call%100 == 0 {
			return 90 * time.Millisecond
		}
		return 0
	}
	steady := group{name: "steady", callers: 4, micros: 100}
	all = []versus{
		{name: "bimodal", what: "4 callers of 20 µs, of which one call in a hundred takes 50 ms, beside 4 of 20 µs", groups: []group{bimodal, short}, windows: 2},
		{name: "bimodal_rested", what: "the same beside one of 20 µs that rests for 1 ms after each call", groups: []group{bimodal, rested}, windows: 2},
		{name: "bursts", what: "4 callers that sleep for 90 ms after each 100 calls of 100 µs, beside 4 of 100 µs",
			groups: []group{{name: "burst", callers: 4, micros: 100, rest: burst}, steady}, windows: 2},
		{name: "sleepers_beside", what: "16 callers of time.sleep(0.005) beside 4 of 100 µs", groups: []group{{name: "asleep", callers: 16, function: "nap_us", arg: 5000}, steady}},
		{name: "short_long", what: "4 callers of 50 µs beside 4 of 8 ms", groups: []group{{name: "short", callers: 4, micros: 50}, {name: "long", callers: 4, micros: 8000}}},
		{name: "weights_1000", what: "4 callers of 200 µs of the weight 1 beside 4 of the weight 1000",
			groups: []group{{name: "w1", callers: 4, micros: 200}, {name: "w1000", callers: 4, micros: 200, weight: 1000}}},
		{name: "weights_1000_long", what: "a caller of 20 µs of the weight 1 beside 4 of 5 ms of the weight 1000",
			groups: []group{{name: "w1", callers: 1, micros: 20}, {name: "w1000", callers: 4, micros: 5000, weight: 1000}}},
		{name: "threads_16", what: "4 callers of 50 µs and 2 of 2 ms beside 16 threading.Threads that compute", beside: besidePython(16),
			groups: []group{{name: "short", callers: 4, micros: 50}, {name: "long", callers: 2, micros: 2000}}},
	}
	for _, micros := range []float64{200, 1000, 4000} {
		all = append(all, versus{name: fmt.Sprintf("weights_13_%.0fus", micros), what: fmt.Sprintf("4 callers of %.0f µs of the weight 1 beside 4 of the weight 3", micros),
			groups: []group{{name: "w1", callers: 4, micros: micros}, {name: "w3", callers: 4, micros: micros, weight: 3}}})
	}
	return all
}

// versusTasks are tasks in which more happens than one call.
func versusTasks() []versus {
	short := group{name: "short", callers: 4, micros: 50}
	alone := map[string]string{behindSemaphore: oneInside}
	nested := group{name: "nested", callers: 64, micros: 80, operation: nesting(4)}
	flat := func(n int) group { return group{name: "flat", callers: n, micros: 80, operation: parts(1, false)} }
	return []versus{
		{name: "allow_threads", what: "4 callers of 20 times 50 µs and AllowThreads in one task, beside 4 of 50 µs",
			groups: []group{{name: "allow", callers: 4, micros: 1000, operation: parts(20, true)}, short}},
		{name: "many_crossings", what: "4 callers of 20 times 50 µs in one task, beside 4 of 50 µs",
			groups: []group{{name: "crossings", callers: 4, micros: 1000, operation: parts(20, false)}, short}},
		{name: "nested", what: "64 callers of tasks of 20 µs in AllowThreads in each other, 4 deep", groups: []group{nested}, cannot: alone},
		{name: "flat", what: "64 callers of tasks of 80 µs", groups: []group{flat(64)}},
		{name: "nested_beside", what: "nested beside 4 callers of tasks of 80 µs", groups: []group{nested, flat(4)}, cannot: alone},
	}
}

// versusDeadlines are calls with deadlines. What ends later does not count for the throughput.
func versusDeadlines() []versus {
	short := group{name: "short", callers: 2, micros: 50}
	late := func(function string) group {
		return group{name: "late", callers: 64, function: function, micros: 5000, deadline: time.Millisecond}
	}
	return []versus{
		{name: "deadlines_15ms", what: "16 callers of 1 ms with deadlines of 15 ms: just too many",
			groups: []group{{callers: 16, micros: 1000, deadline: 15 * time.Millisecond}}},
		{name: "deadlines_10ms", what: "64 callers of 200 µs with deadlines of 10 ms, where 50 could have theirs",
			groups: []group{{callers: 64, micros: 200, deadline: 10 * time.Millisecond}}},
		{name: "hopeless", what: "64 callers of 5 ms with deadlines of 1 ms", groups: []group{late("work")}},
		{name: "hopeless_beside", what: "the same beside 2 callers of 50 µs", groups: []group{late("work"), short}},
		{name: "hopeless_c_beside", what: "the same where C code computes that cannot be interrupted", groups: []group{late("keep_gil"), short}},
	}
}

// versusKept has code that does not give the GIL up.
func versusKept() []versus {
	kept := func(function string, callers int) group {
		return group{name: "kept", callers: callers, function: function, micros: 5000}
	}
	short := group{name: "short", callers: 2, micros: 50}
	return []versus{
		{name: "c_keeps_gil", what: "2 callers of C code that keeps the GIL for 5 ms, beside 2 of 50 µs", groups: []group{kept("keep_gil", 2), short}},
		{name: "regexp_keeps_gil", what: "the same with a regular expression", groups: []group{kept("backtrack", 2), short}},
		{name: "c_keeps_gil_rested", what: "a caller of C code that keeps the GIL for 5 ms, beside one of 50 µs that rests for 1 ms after each call",
			groups: []group{kept("keep_gil", 1), {name: "short", callers: 1, micros: 50, rest: regular}}},
		{name: "gc_collect", what: "a caller of gc.collect() with a heap of a million lists, beside 2 of 50 µs", beside: besideHeap,
			groups: []group{{name: "gc", callers: 1, function: "collect", arg: 1}, short}},
	}
}

// versusSpinning have 4 goroutines that spin in Go beside them.
func versusSpinning() []versus {
	return []versus{
		{name: "spinning_short_long", what: "4 callers of 50 µs and 2 of 2 ms beside 4 goroutines that spin in Go", beside: besideSpinning,
			groups: []group{{name: "short", callers: 4, micros: 50}, {name: "long", callers: 2, micros: 2000}}},
		{name: "spinning_tiny_16", what: "f(x) by 16 callers beside 4 goroutines that spin in Go", beside: besideSpinning, groups: []group{{callers: 16, function: "f", arg: taskValue}}},
		{name: "spinning_sleepers", what: "time.sleep(0.005) by 16 callers beside 4 goroutines that spin in Go", beside: besideSpinning,
			groups: []group{{callers: 16, function: "nap_us", arg: 5000}}},
	}
}

// versusAlike are callers of one class who do the same, and one who comes to those.
func versusAlike() (all []versus) {
	for _, n := range []int{1, 16, 200} {
		all = append(all, versus{name: fmt.Sprintf("tiny_%d", n), what: fmt.Sprintf("f(x) by %d callers", n), groups: []group{{callers: n, function: "f", arg: taskValue}}})
	}
	for _, micros := range []float64{10, 100, 1000, 10_000} {
		for _, n := range []int{2, 16} {
			all = append(all, versus{name: fmt.Sprintf("alike_%.0fus_%d", micros, n), what: fmt.Sprintf("%.0f µs by %d callers", micros, n), groups: []group{{callers: n, micros: micros}}, windows: 0.5})
		}
	}
	for _, micros := range []float64{500, 2000, 10_000} {
		all = append(all, versus{name: fmt.Sprintf("joined_%.0fus", micros), what: fmt.Sprintf("4 callers of %.0f µs beside one of 20 µs", micros),
			groups: []group{{name: "long", callers: 4, micros: micros}, {name: "short", callers: 1, micros: 20}}})
	}
	return append(all, asleep(16, 1000), asleep(64, 1000), asleep(200, 1000), asleep(16, 10_000), asleep(200, 10_000))
}

// asleep are callers that wait outside the GIL. Those of 10 ms have the names of the harness's.
func asleep(n int, micros int64) versus {
	v := versus{name: fmt.Sprintf("sleepers_%d", n), what: fmt.Sprintf("time.sleep of %d µs by %d callers", micros, n),
		groups: []group{{callers: n, function: "nap_us", arg: micros}}}
	if micros != 10_000 {
		v.name += fmt.Sprintf("_%dus", micros)
	}
	if int64(n)*micros > 500_000 {
		v.cannot = map[string]string{behindSemaphore: oneSleeps}
	}
	return v
}

// parts is a task of n equal crossings, with AllowThreads around nothing after each or not.
func parts(n int64, allow bool) func(*env) operation {
	return func(e *env) operation {
		work := e.tasks["work"]
		return operation{
			gilt: func(ctx context.Context, steps int64) error {
				return e.rt.Do(ctx, func(tok *gilt.Token) error {
					for range n {
						if _, err := work.CallIn(tok, steps/n); err != nil {
							return err
						}
						if allow {
							tok.AllowThreads(func() {})
						}
					}
					return nil
				})
			},
			raw: func(steps int64) {
				naive.With(func() {
					for range n {
						naive.Work(steps / n)
						if allow {
							naive.Detached(func() {})
						}
					}
				})
			}}
	}
}

// nesting is a task that does its part and then begins the next in AllowThreads, n deep.
func nesting(n int64) func(*env) operation {
	return func(e *env) operation {
		work := e.tasks["work"]
		var gilts func(ctx context.Context, steps, deep int64) error
		gilts = func(ctx context.Context, steps, deep int64) error {
			return e.rt.Do(ctx, func(tok *gilt.Token) (err error) {
				if _, err = work.CallIn(tok, steps); err == nil && deep > 1 {
					tok.AllowThreads(func() { err = gilts(ctx, steps, deep-1) })
				}
				return err
			})
		}
		var raws func(steps, deep int64)
		raws = func(steps, deep int64) {
			naive.With(func() {
				if naive.Work(steps); deep > 1 {
					naive.Detached(func() { raws(steps, deep-1) })
				}
			})
		}
		return operation{
			gilt: func(ctx context.Context, steps int64) error { return gilts(ctx, steps/n, n) },
			raw:  func(steps int64) { raws(steps/n, n) },
		}
	}
}

// submitting hands the work to the workers and waits for it.
func submitting(e *env) operation {
	work := e.tasks["work"]
	submit := func(ctx context.Context, steps int64) error {
		_, err := gilt.Submit(ctx, e.rt, func(tok *gilt.Token) (int64, error) { return work.CallIn(tok, steps) }).Wait(ctx)
		return err
	}
	return operation{gilt: submit, raw: e.calling("work").raw}
}

// thenNative is Python and then native work of 200 µs.
func thenNative(e *env) operation {
	native := spinSteps(200 * time.Microsecond)
	return operation{
		gilt: func(_ context.Context, steps int64) error { return e.unit(steps, native) },
		raw: func(steps int64) {
			naive.With(func() {
				naive.Work(steps)
				naive.Detached(func() { spin(native) })
			})
		}}
}

// floodRound is a round of service_flood, 1 s by default: see serviceFlood.
func floodRound(e *env, c contender) ([]figure, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 2))
	short, err := e.pySteps(steadyWork)
	if err != nil {
		return nil, err
	}
	compute, end, err := c.computing(e)
	if err != nil {
		return nil, err
	}
	defer end()
	var l load
	w := max(5*e.window(), time.Second)
	err = c.under(e, func() error {
		_, err := l.run(w, service(compute, short, short*int64(floodWork/steadyWork)))
		if err == nil && l.failures > 0 {
			err = fmt.Errorf("%d requests failed, one of them with %s", l.failures, l.failure)
		}
		return err
	})
	python := float64(len(l.sent))*steadyWork.Seconds() + float64(l.flood)*floodWork.Seconds()
	return append([]figure{{name: "busy", more: true, value: python / max(l.took.Seconds(), 1e-9)}},
		waitsOf(func(what string) string { return "steady_" + what }, l.sent)...), err
}

// computing is how a service uses Python by this side. end is called when the service has ended.
func (c contender) computing(e *env) (compute computing, end func(), err error) {
	switch c.label {
	case ours:
		compute, err = e.scheduled()
		return compute, func() {}, err
	case behindSemaphore:
		work := e.calling("work")
		return func(ctx context.Context, _ string, n int64) error { return c.do(ctx, work, n) }, func() {}, nil
	}
	threads := make(rawThreads)
	return threads.compute, func() { close(threads) }, nil
}
