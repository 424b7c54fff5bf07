package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gilt"
	py "gilt/handles"
)

// cancellations are the workloads in which contexts end, or could.
func cancellations() []workload {
	return []workload{
		{"context_cost", "f(x) by a prepared function, whole task, with a context that has a deadline; background_ is without", contextCost},
		{"freed_task", "the same whose caller could be freed at any time (OnCancel); background_ is a call that ends when Python does", freedTask},
		{"cancel_loop", "a pure Python loop whose deadline passes: from the deadline to the return of the call", cancelLoop},
		{"cancel_sleep", "time.sleep(5) whose deadline passes: from the deadline to the return of the call; then 10,000 tasks on the same thread", cancelSleep},
	}
}

const background = "background"

func contextCost(e *env) (result, error) {
	ctx, cancel := context.WithTimeout(e.ctx, time.Hour)
	defer cancel()
	return e.withAndWithout(ctx)
}

func freedTask(e *env) (result, error) {
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	return e.withAndWithout(gilt.WithCancellation(ctx, gilt.OnCancel))
}

func (e *env) withAndWithout(ctx context.Context) (result, error) {
	calls := func(ctx context.Context) func(n int) error {
		return func(n int) error {
			for range n {
				if v, err := e.f.Call(ctx, taskValue); err != nil || v != taskValue {
					return fmt.Errorf("f(%d) = %d, %w", taskValue, v, err)
				}
			}
			return nil
		}
	}
	r, err := e.interleave(e.loop(ours, calls(ctx)), e.loop(background, calls(context.Background())))
	if err == nil {
		r.extra = append(r.extra, field{"extra_ns", round1(r.sides[0].min - r.sides[1].min)})
	}
	return r, err
}

func cancelLoop(e *env) (result, error) {
	const n, after = 200, 5 * time.Millisecond
	var late []time.Duration
	others := 0
	for range n {
		d, err := e.late(after, py.Cancelled, &others, func(ctx context.Context) error {
			return e.rt.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, "n = 0\nwhile True: n += 1") })
		})
		if err != nil {
			return result{}, err
		}
		late = append(late, d)
	}
	return once(float64(quantile(late, 0.5)), field{"p50_us", micros(quantile(late, 0.5))}, field{"p99_us", micros(quantile(late, 0.99))}, field{"other_ends", others}), nil
}

// late runs something whose deadline passes: how long after that it came back with that error. On a busy machine a deadline
// has other ends as well: it passes before the work has its turn, before the work is where it is to be interrupted, or the
// work is given no processor for so long that its caller is freed. These are counted in others, and it is run again.
func (e *env) late(after time.Duration, with error, others *int, run func(context.Context) error) (time.Duration, error) {
	const tries = 100
	var err error
	for range tries {
		deadline := time.Now().Add(after)
		ctx, cancel := context.WithDeadline(e.ctx, deadline)
		err = run(ctx)
		d := time.Since(deadline)
		cancel()
		switch {
		case !errors.Is(err, context.DeadlineExceeded):
			return 0, fmt.Errorf("it ended with %w, not with its deadline", err)
		case errors.Is(err, with):
			return d, nil
		}
		*others++
	}
	return 0, fmt.Errorf("it ended %d times without %w, the last time with %w", tries, with, err)
}

func cancelSleep(e *env) (result, error) {
	const n = 10_000
	p, err := e.rt.Pin(e.ctx)
	if err != nil {
		return result{}, err
	}
	defer p.Close()
	others := 0
	late, err := e.late(10*time.Millisecond, gilt.ErrUninterruptible, &others, func(ctx context.Context) error {
		return p.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, "import time\ntime.sleep(5)") })
	})
	if err != nil {
		return result{}, err
	}
	failed := 0
	for range n { // they wait until the thread is back
		if err := p.Do(e.ctx, func(tok *gilt.Token) error { return py.Run(tok, "for i in (1, 2, 3): pass") }); err != nil {
			failed++
		}
	}
	return once(float64(late), field{"freed_after_ms", round1(float64(late) / 1e6)}, field{"tasks_after", n}, field{"stray", failed}, field{"other_ends", others}), nil
}
