package gil_test

import (
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"gilt"
	py "gilt/handles"
	"gilt/internal/cpython"
	"gilt/internal/pytest"
)

func mainInterp(t testing.TB) *cpython.Interp { return host(t).Python().Main() }

// onEndingThreads runs f with a token on n OS threads of its own, and ends those threads.
func onEndingThreads(t testing.TB, n int, f func(tok *gilt.Token) error) {
	t.Helper()
	var g sync.WaitGroup
	var inside sync.WaitGroup
	inside.Add(n)
	for range n {
		g.Go(func() {
			runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
			if err := pytest.Runtime().Do(ctx, f); err != nil {
				t.Errorf("%+v", err)
			}
			inside.Done()
			inside.Wait()
		})
	}
	g.Wait()
}

func TestRule01_EndedThreadsGiveStatesBack(t *testing.T) {
	h, it := host(t), mainInterp(t)
	const n = 200
	pytest.Install(t, "ended", `
import threading
local = threading.local()
deleted = 0
lock = threading.Lock()
class Noisy:
    def __del__(self):
        global deleted
        with lock: deleted += 1
        sum(range(100)); [x for x in 'abc']
def enter(): local.noisy = Noisy()
def count(): return deleted
`)
	enter := lookup[struct{}, struct{}](t, "ended:enter")
	count := lookup[struct{}, int](t, "ended:count")
	contexts := func() (n int) {
		pytest.Do(t, func(tok *gilt.Token) {
			var err error
			n, err = py.EvalAs[int](tok, "sum(type(o).__name__ == 'Context' for o in (__import__('gc').collect(), __import__('gc').get_objects())[1])")
			if err != nil {
				t.Fatal(err)
			}
		})
		return n
	}
	contextsBefore := contexts()
	pytest.Eventually(t, "the states of threads that ended before are given back", func() bool { h.ReapThreads(); return it.Backlog() == 0 })
	before := it.States()
	onEndingThreads(t, n, func(tok *gilt.Token) error {
		_, err := enter.Call(ctx, struct{}{})
		return err
	})
	pytest.Eventually(t, "thread states are level", func() bool {
		h.ReapThreads()
		return it.States() <= before+runtime.GOMAXPROCS(0)+2
	})
	pytest.Eventually(t, "thread-local data of ended threads is deleted", func() bool {
		deleted, err := count.Call(ctx, struct{}{})
		return err == nil && deleted >= n-1 // Go parks the process's first thread for good instead of ending it
	})
	pytest.Eventually(t, "contexts of ended threads are freed", func() bool { return contexts() <= contextsBefore+10 })
	works(t)
}

func osThreads(t testing.TB) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Skip("no /proc")
	}
	return len(d)
}

func TestThreadsAreLevel(t *testing.T) {
	work := func() {
		var g sync.WaitGroup
		for range 200 {
			g.Go(func() {
				if err := pytest.Runtime().Do(ctx, func(tok *gilt.Token) error { _, err := py.EvalAs[int](tok, "sum(range(3000))"); return err }); err != nil {
					t.Error(err)
				}
			})
		}
		g.Wait()
	}
	for range 20 {
		work()
	}
	before := osThreads(t)
	for range 20 {
		work()
	}
	if now := osThreads(t); now > max(before+30, 80) { // of 4,000 tasks
		t.Errorf("%d OS threads, %d before", now, before)
	}
}

// Rule 27, behaviour 4: what is released while nobody enters Python is freed all the same.
func TestRule27_BacklogDrainsWhenNobodyEnters(t *testing.T) {
	it := mainInterp(t)
	pytest.Install(t, "dropped", `
import sys
deleted = 0
seen = []
sys.unraisablehook = lambda u: seen.append(str(u.exc_value))
class Counted:
    def __del__(self):
        global deleted
        deleted += 1
        if deleted == 3: raise ValueError('in __del__')
def make(): return Counted()
`)
	level := func(what string) {
		t.Helper()
		pytest.Eventually(t, what, func() bool { return it.Backlog() == 0 })
	}
	state := func() (deleted, seen int) {
		pytest.Do(t, func(tok *gilt.Token) {
			if tok.Entry("test").ErrorIndicator() {
				t.Error("the error of a __del__ is pending")
			}
			m := imported(tok, "dropped")
			var err error
			if deleted, err = py.AttrAs[int](m, "deleted"); err != nil {
				t.Fatal(err)
			}
			s, err := m.Attr("seen")
			if err != nil {
				t.Fatal(err)
			}
			if seen, err = s.Len(); err != nil {
				t.Fatal(err)
			}
		})
		return deleted, seen
	}
	var owned []py.Py
	pytest.Do(t, func(tok *gilt.Token) {
		for range 1000 {
			b, err := imported(tok, "dropped").Method("make")
			if err != nil {
				t.Fatal(err)
			}
			owned = append(owned, b.Unbind())
		}
	})
	level("the task's references are gone")
	for _, p := range owned[:500] {
		p.Release()
	}
	level("released handles are freed though nobody enters")
	if deleted, seen := state(); deleted != 500 || seen != 1 {
		t.Errorf("%d deleted, %d seen by sys.unraisablehook", deleted, seen)
	}
	clear(owned)
	owned = nil
	pytest.Eventually(t, "handles that the garbage collector found are freed", func() bool {
		runtime.GC()
		deleted, _ := state()
		return deleted == 1000
	})
	// A task whose last operation took long ends detached; its references join the queue.
	pytest.Do(t, func(tok *gilt.Token) {
		for range 100 {
			if _, err := imported(tok, "dropped").Method("make"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := py.EvalAs[int](tok, "sum(range(30000))"); err != nil {
			t.Fatal(err)
		}
	})
	level("references of a task that ended detached are freed though nobody enters")
	if deleted, _ := state(); deleted != 1100 {
		t.Errorf("%d deleted", deleted)
	}
	pytest.Do(t, func(tok *gilt.Token) { _ = py.Run(tok, "import sys; sys.unraisablehook = sys.__unraisablehook__") })
}

// Behaviour 5: a __del__ that takes locks and gives the GIL up, in the middle of the drain.
func TestBehaviour05_FinalizerInTheDrain(t *testing.T) {
	pytest.Install(t, "slowdel", `
import time, threading
lock = threading.Lock()
n = 0
class Slow:
    def __del__(self):
        global n
        with lock:
            time.sleep(0.0005)
            n += 1
def make(): return [Slow() for _ in range(5)]
def count():
    with lock: return n
`)
	make := lookup[struct{}, struct{}](t, "slowdel:make")
	count := lookup[struct{}, int](t, "slowdel:count")
	var g sync.WaitGroup
	for range 8 {
		g.Go(func() {
			for range 10 {
				if _, err := make.Call(ctx, struct{}{}); err != nil {
					t.Error(err)
				}
				pytest.Do(t, func(tok *gilt.Token) {
					b, err := imported(tok, "slowdel").Method("make")
					if err != nil {
						t.Error(err)
						return
					}
					go b.Unbind().Release()
				})
			}
		})
	}
	g.Wait()
	pytest.Eventually(t, "all are deleted", func() bool { n, err := count.Call(ctx, struct{}{}); return err == nil && n == 8*10*10 })
}

// A loaded main thread and threads that Python starts itself.
func TestPythonThreads(t *testing.T) {
	start := time.Now()
	pytest.Do(t, func(tok *gilt.Token) {
		err := py.Run(tok, `
import threading, time
out = []
ts = [threading.Thread(target=lambda: (time.sleep(0.01), out.append(1))) for _ in range(20)]
[t.start() for t in ts]
[t.join() for t in ts]
assert len(out) == 20
`)
		if err != nil {
			t.Errorf("%+v", err)
		}
	})
	if d := time.Since(start); d > 5*time.Second {
		t.Error("it took", d)
	}
	works(t)
}
