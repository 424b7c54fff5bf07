package benchmarks

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"gilt"
	py "gilt/handles"
)

// bothWays are the workloads in which Python calls Go, or Go calls Python many times at once. The other side does the
// same in Python alone, or with one call at a time.
func bothWays() []workload {
	return []workload{
		{"call1_int_batch", "f(x), int64 in and out, by Func.Batch of 1,000: one of them, the task and its attach included", batchOf1000},
		{"call_from_python", "Python calls a Go func(a, b int64) int64; python_ is a call of a Python function", callFromPython},
		{"call_from_python_named", "the same with a signature: add(a, b)", callFromPythonNamed},
		{"callbacks_10m", "call_from_python, 10,000,000 of them, on a thread that Python started; memory, goroutines and OS threads after 100,000 and at the end", callbacks},
		{"go_iterator", "Python iterates over ints that a Go iterator yields: one item; python_ is a generator in Python", goIterator},
		{"coroutines_10k", "10,000 coroutines that sleep 10 ms, awaited from as many goroutines; python_ is asyncio.gather of as many", coroutines},
	}
}

const python = "python"

const bothSource = `
import asyncio
def add(a, b): return a + b
def drive(f, n):
    for _ in range(n): f(1, 2)
def drive_in_thread(f, n):
    import threading
    t = threading.Thread(target=drive, args=(f, n))
    t.start()
    t.join()
def count(n): yield from range(n)
def total(it):
    s = 0
    for x in it: s += x
    return s
async def nap(seconds): await asyncio.sleep(seconds)
def gather(n):
    async def all(): await asyncio.gather(*[nap(0.01) for _ in range(n)])
    asyncio.run(all())
`

// both gives the module of bothSource to use in a task.
func (e *env) both(use func(tok *gilt.Token, m py.Bound) error) error {
	return e.rt.Do(e.ctx, func(tok *gilt.Token) error {
		m, err := py.Import(tok, "gilt_both")
		if err != nil {
			return err
		}
		return use(tok, m)
	})
}

// prepareBoth makes the module, once.
func (e *env) prepareBoth() error {
	return e.rt.Do(e.ctx, func(tok *gilt.Token) error {
		ns, err := py.NewDict(tok, map[string]any{"source": bothSource})
		if err != nil {
			return err
		}
		return py.Run(tok, "import sys, types\nif 'gilt_both' not in sys.modules:\n    m = types.ModuleType('gilt_both')\n    exec(source, m.__dict__)\n    sys.modules['gilt_both'] = m", ns)
	})
}

func batchOf1000(e *env) (result, error) {
	args := make([]int64, 1000)
	for i := range args {
		args[i] = taskValue
	}
	return e.interleave(e.timed(ours, len(args), func(n int) (time.Duration, error) {
		t := time.Now()
		for range n {
			v, errs := e.f.Batch(e.ctx, args)
			if errs != nil || v[999] != taskValue {
				return 0, fmt.Errorf("f(%d) = %d, %v", taskValue, v[999], errs)
			}
		}
		return time.Since(t), nil
	}), e.naiveLoop("call1_int", 1))
}

func callFromPython(e *env) (result, error) {
	return driven(e, gilt.GoFunc{Name: "add", Func: addInts})
}
func callFromPythonNamed(e *env) (result, error) {
	return driven(e, gilt.GoFunc{Name: "add", Signature: "(a, b)", Func: addInts})
}

func addInts(a, b int64) int64 { return a + b }

// driven has a Python loop call f.
func driven(e *env, f gilt.GoFunc) (result, error) {
	if err := e.prepareBoth(); err != nil {
		return result{}, err
	}
	loop := func(callee func(tok *gilt.Token, m py.Bound) (py.Bound, error)) timer {
		return func(n int) (took time.Duration, err error) {
			err = e.both(func(tok *gilt.Token, m py.Bound) error {
				c, err := callee(tok, m)
				if err != nil {
					return err
				}
				t := time.Now()
				_, err = m.Method("drive", c, n)
				took = time.Since(t)
				return err
			})
			return took, err
		}
	}
	return e.interleave(
		e.timed(ours, 1, loop(func(tok *gilt.Token, _ py.Bound) (py.Bound, error) { return py.NewFunction(tok, f) })),
		e.timed(python, 1, loop(func(_ *gilt.Token, m py.Bound) (py.Bound, error) { return m.Attr("add") })))
}

// callbacks has one round: it takes a second or two.
func callbacks(e *env) (r result, err error) {
	if err := e.prepareBoth(); err != nil {
		return result{}, err
	}
	const few, all = 100_000, 10_000_000
	err = e.both(func(tok *gilt.Token, m py.Bound) error {
		f, err := py.NewFunction(tok, gilt.GoFunc{Name: "add", Func: addInts})
		if err != nil {
			return err
		}
		if _, err := m.Method("drive_in_thread", f, few); err != nil {
			return err
		}
		runtime.GC()
		early, t := look(), time.Now()
		if _, err := m.Method("drive_in_thread", f, all-few); err != nil {
			return err
		}
		took := time.Since(t)
		runtime.GC()
		late := look()
		r = once(float64(took)/(all-few),
			field{"resident_kb_100k", early.residentKB}, field{"resident_kb_10m", late.residentKB},
			field{"goroutines_100k", early.goroutines}, field{"goroutines_10m", late.goroutines},
			field{"threads_100k", early.threads}, field{"threads_10m", late.threads})
		return nil
	})
	return r, err
}

func goIterator(e *env) (result, error) {
	if err := e.prepareBoth(); err != nil {
		return result{}, err
	}
	loop := func(items func(tok *gilt.Token, m py.Bound, n int) (py.Bound, error)) timer {
		return func(n int) (took time.Duration, err error) {
			err = e.both(func(tok *gilt.Token, m py.Bound) error {
				it, err := items(tok, m, n)
				if err != nil {
					return err
				}
				t := time.Now()
				v, err := py.MethodAs[int](m, "total", it)
				took = time.Since(t)
				if err == nil && v != n*(n-1)/2 {
					err = fmt.Errorf("the sum of %d items is %d", n, v)
				}
				return err
			})
			return took, err
		}
	}
	return e.interleave(
		e.timed(ours, 1, loop(func(tok *gilt.Token, _ py.Bound, n int) (py.Bound, error) {
			return py.FromSeq(tok, func(yield func(int, error) bool) {
				for i := 0; i < n && yield(i, nil); i++ {
				}
			})
		})),
		e.timed(python, 1, loop(func(_ *gilt.Token, m py.Bound, n int) (py.Bound, error) { return m.Method("count", n) })))
}

// coroutines has few rounds, as each takes long; an operation is all of them.
func coroutines(e *env) (result, error) {
	const n = 10_000
	if err := e.prepareBoth(); err != nil {
		return result{}, err
	}
	nap, err := gilt.LookupAsync[float64, struct{}](e.ctx, e.rt, "gilt_both:nap")
	if err != nil {
		return result{}, err
	}
	return e.atMost(3).interleave(
		side{ours, func() (float64, error) {
			var failed errOnce
			var all sync.WaitGroup
			t := time.Now()
			for range n {
				all.Go(func() {
					_, err := nap.Call(e.ctx, 0.01)
					failed.set(err)
				})
			}
			all.Wait()
			return float64(time.Since(t)), failed.get()
		}},
		side{python, func() (ns float64, err error) {
			err = e.both(func(_ *gilt.Token, m py.Bound) error {
				t := time.Now()
				_, err := m.Method("gather", n)
				ns = float64(time.Since(t))
				return err
			})
			return ns, err
		}})
}
