package benchmarks

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gilt"
	"gilt/benchmarks/naive"
	py "gilt/handles"
)

// side is one of the things that a workload compares: ours, the naive embedder with a thread state made
// for each task, as its users write it (baseline), the same with a kept one (warm).
type side struct {
	label string
	round func() (ns float64, err error) // nanoseconds an operation
}

const (
	ours     = "ours"
	baseline = "baseline"
	warm     = "warm"
)

// figures are one side's rounds.
type figures struct {
	label       string
	min, median float64
}

type result struct {
	sides []figures
	extra []field
	calls map[string][]float64 // what each call took, in nanoseconds, by side: for a picture
	table *table               // of a workload of versus, which has no sides here
}

// field is one more figure of a workload.
type field struct {
	name  string
	value any
}

// interleave runs one round of each side after the other, and the whole again.
func (e *env) interleave(sides ...side) (result, error) {
	rounds := make([][]float64, len(sides))
	for range e.rounds {
		for i, s := range sides {
			ns, err := s.round()
			if err != nil {
				return result{}, fmt.Errorf("%s: %w", s.label, err)
			}
			rounds[i] = append(rounds[i], ns)
		}
	}
	var r result
	for i, s := range sides {
		slices.Sort(rounds[i])
		r.sides = append(r.sides, figures{s.label, rounds[i][0], rounds[i][len(rounds[i])/2]})
	}
	return r, nil
}

// timer runs something n times and gives how long that took.
type timer func(n int) (time.Duration, error)

// timed makes rounds of a timer; how many times it runs in one is found out once. per is the number of
// operations in each of the n.
func (e *env) timed(label string, per int, run timer) side {
	n := 0
	return side{label, func() (float64, error) {
		for grown := 1; n == 0; {
			took, err := run(grown)
			if err != nil {
				return 0, err
			}
			if took >= e.round {
				n = grown
			}
			growth := 1.2 * float64(e.round) / math.Max(float64(took), 50)
			grown = max(int(float64(grown)*min(max(growth, 1.2), 50)), grown+1)
		}
		took, err := run(n)
		return float64(took) / float64(n*per), err
	}}
}

func (e *env) loop(label string, body func(n int) error) side {
	return e.timed(label, 1, func(n int) (time.Duration, error) {
		t := time.Now()
		err := body(n)
		return time.Since(t), err
	})
}

// withToken times a body inside a task, after the task's thread has attached.
func (e *env) withToken(body func(tok *gilt.Token, n int) error) timer {
	return func(n int) (took time.Duration, err error) {
		err = e.rt.Do(e.ctx, func(tok *gilt.Token) error {
			if err := body(tok, 1); err != nil {
				return err
			}
			t := time.Now()
			err := body(tok, n)
			took = time.Since(t)
			return err
		})
		return took, err
	}
}

// scoped runs op n times, in scopes of 100: what ordinary code does in a long loop.
func scoped(tok *gilt.Token, n int, op func(i int) error) error {
	for done := 0; done < n; {
		end := min(done+100, n)
		err := py.Scope(tok, func() error {
			for ; done < end; done++ {
				if err := op(done); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// naiveLoop times the naive form of the workload of that name, with the GIL held.
func (e *env) naiveLoop(name string, per int) side {
	prepare, body := naive.Loop(name)
	return e.timed(baseline, per, func(n int) (took time.Duration, err error) {
		naive.OnThread(func() {
			naive.With(func() {
				prepare()
				body(1)
				t := time.Now()
				body(n)
				took = time.Since(t)
			})
		})
		return took, nil
	})
}

// errOnce keeps the first error of several goroutines.
type errOnce struct{ p atomic.Pointer[error] }

func (o *errOnce) set(err error) {
	if err != nil {
		o.p.CompareAndSwap(nil, &err)
	}
}

func (o *errOnce) get() error {
	if p := o.p.Load(); p != nil {
		return *p
	}
	return nil
}

// spawn starts f as one of the callers of a contended workload.
type spawn func(f func())

func goroutine(f func()) { go f() }

// contend runs op in n callers for w, once at least in each, after a first time that does not count. It gives the
// operations of each and the time they took.
func contend(n int, start spawn, w time.Duration, op func(i int) error) (counts []float64, took time.Duration, err error) {
	var stop atomic.Bool
	var ready, done sync.WaitGroup
	var failed errOnce
	gate := make(chan struct{})
	counts = make([]float64, n)
	ready.Add(n)
	done.Add(n)
	for i := range n {
		start(func() {
			defer done.Done()
			failed.set(op(i))
			ready.Done()
			<-gate
			c := 0
			for c == 0 || !stop.Load() {
				if err := op(i); err != nil {
					failed.set(err)
					break
				}
				c++
			}
			counts[i] = float64(c)
		})
	}
	ready.Wait()
	t := time.Now()
	close(gate)
	time.Sleep(w)
	stop.Store(true)
	done.Wait()
	return counts, time.Since(t), failed.get()
}

// window makes rounds of contend.
func (e *env) contended(label string, n int, start spawn, op func(i int) error) side {
	return side{label, func() (ns float64, err error) {
		run := func() error {
			counts, took, err := contend(n, start, e.window(), op)
			ns = float64(took) / max(sum(counts), 1)
			return err
		}
		if label == ours {
			return ns, run()
		}
		err = e.usual(run)
		return ns, err
	}}
}

// warmThread starts f on a thread of its own with a thread state that is kept.
func warmThread(f func()) { naive.Go(func() { naive.Warm(f) }) }

func sum(c []float64) (s float64) {
	for _, x := range c {
		s += x
	}
	return s
}

// jain is Jain's fairness index: 1 when all are equal, 1/n when one has everything.
func jain(c []float64) float64 {
	var q float64
	for _, x := range c {
		q += x * x
	}
	if q == 0 {
		return 0
	}
	s := sum(c)
	return s * s / (float64(len(c)) * q)
}

// quantile sorts v; p from 0 to 1.
func quantile[T ~int64 | ~float64](v []T, p float64) T {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return v[min(max(int(math.Ceil(float64(len(v))*p)), 1), len(v))-1]
}

func micros(d time.Duration) float64 { return round1(float64(d) / 1e3) }

func round1(x float64) float64 { return math.Round(x*10) / 10 }
func round3(x float64) float64 { return math.Round(x*1000) / 1000 }
