package benchmarks

import (
	"fmt"
	"sync"
	"time"

	"gilt"
	"gilt/benchmarks/naive"
	py "gilt/handles"
)

const taskValue = 7_000_000

// wholeTasks are the workloads of which each operation gets the GIL and gives it back.
func wholeTasks() []workload {
	all := []workload{
		{"do_empty", "Do of a function that uses no Python: it never attaches; the naive side does", attach(func(*env, *gilt.Token) {})},
		{"attach_detach", "Do of a function that binds one handle, which attaches", attach(func(e *env, tok *gilt.Token) { e.objects["obj"].Bind(tok) })},
	}
	for _, n := range []int{1, 2, 4, 16, 64} {
		all = append(all, workload{fmt.Sprintf("e2e_task_n%d", n), fmt.Sprintf("a whole task, f(x), by a prepared function from %d goroutines", n), task(n, (*env).call)})
	}
	for _, n := range []int{1, 64} {
		all = append(all, workload{fmt.Sprintf("do_task_n%d", n), fmt.Sprintf("the same by Do and a call from %d goroutines", n), task(n, (*env).do)})
	}
	return append(all, workload{"submit_n64", "the same by Submit to the worker threads, from 64 goroutines that wait for each", submitted})
}

// attach measures Do with little in it.
func attach(use func(*env, *gilt.Token)) func(*env) (result, error) {
	return func(e *env) (result, error) {
		fresh := func(n int) (took time.Duration, err error) {
			naive.OnThread(func() { took = attachNaive(n) })
			return took, nil
		}
		kept := func(n int) (took time.Duration, err error) {
			naive.OnThread(func() { naive.Warm(func() { took = attachNaive(n) }) })
			return took, nil
		}
		return e.interleave(
			e.loop(ours, func(n int) error {
				for range n {
					err := e.rt.Do(e.ctx, func(tok *gilt.Token) error {
						use(e, tok)
						return nil
					})
					if err != nil {
						return err
					}
				}
				return nil
			}),
			e.timed(baseline, 1, fresh), e.timed(warm, 1, kept))
	}
}

func attachNaive(n int) time.Duration {
	t := time.Now()
	for range n {
		naive.Attach()
	}
	return time.Since(t)
}

func wrong(v int64, err error) error {
	if err == nil && v != taskValue {
		err = fmt.Errorf("f(%d) = %d", taskValue, v)
	}
	return err
}

func (e *env) call(int) error { return wrong(e.f.Call(e.ctx, taskValue)) }

func (e *env) do(int) error {
	return e.rt.Do(e.ctx, func(tok *gilt.Token) error { return wrong(py.CallAs[int64](e.bound(tok, "f"), taskValue)) })
}

func naiveTask(int) error { return wrong(naive.Task(taskValue), nil) }

// task measures n callers of whole tasks.
func task(n int, op func(*env, int) error) func(*env) (result, error) {
	return func(e *env) (result, error) {
		if n == 1 {
			return e.interleave(e.loop(ours, repeat(func(i int) error { return op(e, i) })),
				e.timed(baseline, 1, onNaiveThread(naive.Go)), e.timed(warm, 1, onNaiveThread(warmThread)))
		}
		return e.interleave(
			e.contended(ours, n, goroutine, func(i int) error { return op(e, i) }),
			e.contended(baseline, n, naive.Go, naiveTask),
			e.contended(warm, n, warmThread, naiveTask))
	}
}

func repeat(op func(i int) error) func(n int) error {
	return func(n int) error {
		for i := range n {
			if err := op(i); err != nil {
				return err
			}
		}
		return nil
	}
}

// onNaiveThread times one caller of the naive embedder.
func onNaiveThread(start spawn) timer {
	return func(n int) (took time.Duration, err error) {
		done := make(chan struct{})
		start(func() {
			defer close(done)
			t := time.Now()
			err = repeat(naiveTask)(n)
			took = time.Since(t)
		})
		<-done
		return took, err
	}
}

func (e *env) submit(int) error {
	return wrong(gilt.Submit(e.ctx, e.rt, func(tok *gilt.Token) (int64, error) {
		return py.CallAs[int64](e.bound(tok, "f"), taskValue)
	}).Wait(e.ctx))
}

func submitted(e *env) (result, error) {
	r, err := e.interleave(
		e.contended(ours, 64, goroutine, e.submit),
		e.contended(baseline, 64, naive.Go, naiveTask))
	if err != nil {
		return r, err
	}
	n, err := e.workerThreads(64, 100)
	r.extra = append(r.extra, field{"workers", e.rt.Info().Workers}, field{"worker_threads_seen", n})
	return r, err
}

// workerThreads counts the native threads that run what n goroutines submit.
func (e *env) workerThreads(n, each int) (int, error) {
	var mu sync.Mutex
	var failed errOnce
	seen := make(map[int64]bool)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for range each {
				id, err := gilt.Submit(e.ctx, e.rt, func(tok *gilt.Token) (int64, error) {
					return py.CallAs[int64](e.bound(tok, "thread_id"), 0)
				}).Wait(e.ctx)
				failed.set(err)
				mu.Lock()
				seen[id] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return len(seen), failed.get()
}
