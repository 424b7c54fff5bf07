package handles_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

var (
	many      = flag.Int("handles.many", 200_000, "how many handles TestManyHandles makes and drops")
	callbacks = flag.Int("handles.callbacks", 200_000, "how many calls of Go functions TestManyCallbacks makes")
)

// Handles made and dropped on 4 goroutines, half of them while detached, some left to the garbage collector: memory stays
// level, what waits for its decref is bounded, and nothing is left.
func TestManyHandles(t *testing.T) {
	rt := pytest.Runtime()
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("no /proc/self/status to read the resident memory from")
	}
	const each = 500 // a task
	before := rt.Stats().Handles
	var made, backlog atomic.Int64
	var quarter atomic.Int64 // RSS, kB, when a quarter was made
	var all errgroup.Group
	for range 4 {
		all.Go(func() error {
			handles := make([]py.Py, 0, each)
			for round := 0; made.Add(each) <= int64(*many); round++ {
				handles = handles[:0]
				err := rt.Do(ctx, func(tok *gilt.Token) error {
					err := py.Scope(tok, func() error {
						for i := range each {
							b, err := py.NewList(tok, i)
							if err != nil {
								return err
							}
							handles = append(handles, b.Unbind())
						}
						return nil
					})
					if round%2 == 0 {
						release(handles)
					}
					return err
				})
				if err != nil {
					return err
				}
				if round%64 == 1 {
					handles[0] = py.Py{} // the garbage collector's
				}
				release(handles)
				backlog.Store(max(backlog.Load(), rt.Stats().Backlog))
				if made.Load() >= int64(*many)/4 {
					quarter.CompareAndSwap(0, residentKB(t))
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	pytest.Eventually(t, "all handles have gone", func() bool {
		runtime.GC()
		st := rt.Stats()
		return st.Handles <= before && st.Backlog == 0
	})
	end := residentKB(t)
	t.Logf("%d handles: RSS %d kB after a quarter, %d kB at the end; at most %d waited for their decref", *many, quarter.Load(), end, backlog.Load())
	if backlog.Load() > 40*each {
		t.Errorf("%d waited for their decref", backlog.Load())
	}
	if end > quarter.Load()*5/4+16<<10 {
		t.Errorf("RSS went from %d to %d kB", quarter.Load(), end)
	}
}

func release(handles []py.Py) {
	for _, p := range handles {
		p.Release()
	}
}

// Calls of Go functions, of the fast form and with a token, from 4 tasks at once: memory, goroutines and threads stay level.
func TestManyCallbacks(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("no /proc/self/status to read the resident memory from")
	}
	rt := pytest.Runtime()
	pytest.AddModule(t, gilt.GoModule{Name: "gilt_many", Funcs: []gilt.GoFunc{
		{Name: "add", Func: func(a, b int) int { return a + b }},
		{Name: "text", Func: func(_ *gilt.Token, s string) string { return s + "!" }},
	}})
	run := func(n int) {
		var all errgroup.Group
		for range 4 {
			all.Go(func() error {
				return rt.Do(ctx, func(tok *gilt.Token) error {
					return py.Run(tok, fmt.Sprintf(`
from gilt_many import add, text
for i in range(%d):
    assert add(i, 1) == i + 1 and text("abc") == "abc!"
`, n/8))
				})
			})
		}
		if err := all.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	run(*callbacks / 4)
	runtime.GC()
	kB, goroutines, threads := residentKB(t), runtime.NumGoroutine(), statusField(t, "Threads:")
	run(*callbacks * 3 / 4)
	runtime.GC()
	endKB, endGoroutines, endThreads := residentKB(t), runtime.NumGoroutine(), statusField(t, "Threads:")
	t.Logf("%d calls, after a quarter and at the end: RSS %d and %d kB, goroutines %d and %d, threads %d and %d",
		*callbacks, kB, endKB, goroutines, endGoroutines, threads, endThreads)
	if endKB > kB*5/4+16<<10 || endGoroutines > goroutines+4 || endThreads > threads+4 {
		t.Error("not level")
	}
}

func residentKB(t testing.TB) int64 { return statusField(t, "VmRSS:") }

func statusField(t testing.TB, name string) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Error(err)
		return 0
	}
	_, after, _ := strings.Cut(string(status), name)
	n, err := strconv.ParseInt(strings.Fields(after)[0], 10, 64)
	if err != nil {
		t.Error(err)
	}
	return n
}
