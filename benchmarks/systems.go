package benchmarks

import (
	"context"
	"math/rand/v2"
	"time"

	"gilt"
	"gilt/benchmarks/naive"
	py "gilt/handles"
)

// system is one of the two that the contended workloads compare: gilt, and CPython's raw GIL, which
// threads of their own take in the order in which it comes, each with a thread state that it keeps.
type system struct {
	label  string
	prefix string                                        // of its fields in a report
	start  spawn                                         // a caller
	call   func() error                                  // f(x), by a prepared function
	run    func(function string, n int64) (int64, error) // a task in the default class
	// task is run in the class of ctx. began is called when it has the GIL.
	// The raw GIL knows no classes, and does not look at the context.
	task func(ctx context.Context, function string, n int64, began func()) (int64, error)
}

const raw = "raw"

func (e *env) gilt() system {
	return system{
		label: ours, start: goroutine,
		call: func() error { return e.call(0) },
		run:  func(function string, n int64) (int64, error) { return e.tasks[function].Call(e.ctx, n) },
		task: func(ctx context.Context, function string, n int64, began func()) (v int64, err error) {
			err = e.rt.Do(ctx, func(tok *gilt.Token) error {
				f := e.objects[function].Bind(tok) // attaches
				began()
				v, err = py.CallAs[int64](f, n)
				return err
			})
			return v, err
		},
	}
}

func rawGIL() system {
	return system{
		label: raw, prefix: "raw_", start: warmThread,
		call: func() error { return naiveTask(0) },
		run:  func(function string, n int64) (int64, error) { return naive.Call(function, n, func() {}), nil },
		task: func(_ context.Context, function string, n int64, began func()) (int64, error) {
			return naive.Call(function, n, began), nil
		},
	}
}

// wait runs f as one caller, to its end.
func (s system) wait(f func() error) (err error) {
	done := make(chan struct{})
	s.start(func() {
		defer close(done)
		err = f()
	})
	<-done
	return err
}

// compare runs rounds of gilt and of the raw GIL in turn, the latter under the switch interval that its
// users have. Each side has an F, to which its rounds add.
func compare[F any](e *env, round func(s system, to *F) (ns float64, err error)) (our, theirs F, r result, err error) {
	ourSystem, rawSystem := e.gilt(), rawGIL()
	r, err = e.interleave(
		side{ours, func() (float64, error) { return round(ourSystem, &our) }},
		side{raw, func() (ns float64, err error) {
			err = e.usual(func() (err error) {
				ns, err = round(rawSystem, &theirs)
				return err
			})
			return ns, err
		}})
	return our, theirs, r, err
}

// rate is how often something happened in how long.
type rate struct {
	n    float64
	took time.Duration
}

func (r *rate) add(n float64, took time.Duration) {
	r.n += n
	r.took += took
}

func (r *rate) perSecond() float64 { return r.n / max(r.took.Seconds(), 1e-9) }

// over is how many times higher r is.
func (r *rate) over(other *rate) float64 { return round3(r.perSecond() / max(other.perSecond(), 1e-9)) }

// rates are the fields of a rate of both sides, and of their ratio.
func rates(name, ratio string, our, theirs *rate) []field {
	return []field{
		{name, round1(our.perSecond())}, {"raw_" + name, round1(theirs.perSecond())}, {ratio, our.over(theirs)},
	}
}

// quantiles are the fields of a side's waits.
func quantiles(prefix string, ns []float64) []field {
	return []field{
		{prefix + "p50_us", round1(quantile(ns, 0.5) / 1e3)}, {prefix + "p99_us", round1(quantile(ns, 0.99) / 1e3)},
		{prefix + "max_us", round1(quantile(ns, 1) / 1e3)},
	}
}

// latencies are the fields of the waits of both sides.
func latencies(our, theirs []float64) []field {
	return append(quantiles("", our), quantiles("raw_", theirs)...)
}

// arrivals calls op after each rest until enough says so, ten times at least, and gives how long each
// call took, in nanoseconds.
func arrivals(enough func() bool, rest func(), op func() error) (waits []float64, err error) {
	for len(waits) < 10 || !enough() {
		rest()
		t := time.Now()
		if err = op(); err != nil {
			return waits, err
		}
		waits = append(waits, float64(time.Since(t)))
	}
	return waits, nil
}

// after says when d has passed.
func after(d time.Duration) func() bool {
	end := time.Now().Add(d)
	return func() bool { return time.Now().After(end) }
}

// nowAndThen rests for 0.5 to 2 ms.
func nowAndThen() func() {
	random := rand.New(rand.NewPCG(1, 2))
	return func() { time.Sleep(500*time.Microsecond + time.Duration(random.IntN(1_500_000))) }
}

// besideHog runs f while another caller is in an endless Python loop, and adds the loop's rounds to speed.
func (s system) besideHog(speed *rate, f func() error) error {
	stop := func(yes int64) error {
		return s.wait(func() error {
			_, err := s.run("set_stop", yes)
			return err
		})
	}
	if err := stop(0); err != nil {
		return err
	}
	began, ended := make(chan struct{}), make(chan error, 1)
	s.start(func() {
		var t time.Time
		n, err := s.task(context.Background(), "hog", 0, func() {
			t = time.Now()
			close(began)
		})
		speed.add(float64(n), time.Since(t))
		ended <- err
	})
	select {
	case <-began:
	case err := <-ended:
		return err
	}
	err := f()
	if stopErr := stop(1); stopErr != nil {
		return stopErr // and the loop goes on: nothing more can be measured here
	}
	if hogErr := <-ended; err == nil {
		err = hogErr
	}
	return err
}
