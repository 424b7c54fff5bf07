package gilt_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

const booksSource = `
import threading, time

def compute(ms):
    "Computes for so many milliseconds of a processor, and gives the nanoseconds that it used."
    began = time.thread_time_ns()
    end = began + int(ms * 1e6)
    while time.thread_time_ns() < end:
        for _ in range(50):
            pass
    return time.thread_time_ns() - began

def sleeps(ms):
    used = 0
    for _ in range(4):
        used += compute(ms / 4)
        time.sleep(0.001)
    return used

def nested(ms):
    "Calls Go, which computes in a task of its own."
    import books_go
    return compute(ms / 2) + books_go.inner(ms / 2)

def beside_threads(ms):
    "Computes beside threads of Python's own, whose time is nobody's."
    stop = False

    def computes():
        while not stop:
            pass

    threads = [threading.Thread(target=computes) for _ in range(3)]
    for t in threads:
        t.start()
    used = compute(ms)
    stop = True
    for t in threads:
        t.join()
    return used
`

// load is what a class does in TestBooks: callers call f, which gives the nanoseconds that it used of a processor.
type load struct {
	callers int
	f       string
	ms      func() float64
	how     string // "" for prepared, "submitted", "twice": in a task, with AllowThreads in between
}

func always(ms float64) func() float64 { return func() float64 { return ms } }

func oneInAHundred(ms, more float64) func() float64 {
	return func() float64 {
		if rand.IntN(100) == 0 {
			return more
		}
		return ms
	}
}

// What classes are charged is what their threads used of a processor in Python, whoever had the GIL in between. The tasks say
// what they used by their threads' processor clocks, which a busy machine does not disturb.
func TestBooks(t *testing.T) {
	pytest.Install(t, "books_load", booksSource)
	pytest.AddModule(t, gilt.GoModule{Name: "books_go", Funcs: []gilt.GoFunc{{Name: "inner", Func: func(tok *gilt.Token, ms float64) (used int64, err error) {
		err = pytest.Runtime().Do(tok.Context(), func(tok *gilt.Token) error { used, err = compute(tok, ms); return err })
		return used, err
	}}}})
	for name, loads := range map[string][]load{
		"one in a hundred is long": {{16, "compute", oneInAHundred(0.2, 50), ""}, {4, "compute", always(0.2), ""}},
		"long":                     {{2, "compute", always(50), ""}, {2, "compute", always(50), ""}},
		"long beside short":        {{1, "compute", always(30), ""}, {4, "compute", always(0.2), ""}},
		"of milliseconds":          {{4, "compute", always(1), ""}, {4, "compute", always(2), ""}},
		"sleeps":                   {{4, "sleeps", always(4), ""}, {2, "compute", always(1), ""}},
		"AllowThreads":             {{4, "compute", always(2), "twice"}, {1, "compute", always(20), ""}},
		"submitted":                {{4, "compute", oneInAHundred(0.2, 20), "submitted"}, {2, "compute", always(1), "submitted"}},
		"nested":                   {{2, "nested", always(4), ""}, {2, "compute", always(1), ""}},
		"beside threads":           {{1, "beside_threads", always(30), ""}, {2, "compute", always(1), ""}},
	} {
		t.Run(name, func(t *testing.T) {
			rt := pytest.Runtime()
			over, stop := context.WithTimeout(t.Context(), time.Second)
			defer stop()
			names := make([]string, len(loads))
			used := make([]atomic.Int64, len(loads))
			before := rt.Stats()
			var wg sync.WaitGroup
			for i, l := range loads {
				names[i] = fmt.Sprint(t.Name(), i)
				class, err := rt.Class(names[i])
				if err != nil {
					t.Fatal(err)
				}
				f, err := gilt.Lookup[float64, int64](t.Context(), rt, "books_load:"+l.f)
				if err != nil {
					t.Fatal(err)
				}
				for range l.callers {
					wg.Go(func() {
						for over.Err() == nil {
							n, err := l.run(gilt.WithClass(t.Context(), class), rt, f)
							if err != nil {
								t.Error(err)
								return
							}
							used[i].Add(n)
						}
					})
				}
			}
			wg.Wait()
			after := rt.Stats()
			for i, name := range names {
				charged, want := after.Class(name).Held-before.Class(name).Held, time.Duration(used[i].Load())
				t.Logf("class %d: charged %v of %v, %+.1f%%", i, charged, want, 100*(float64(charged)/float64(want)-1))
				// A base is noted up to a grace late, and as much late again when the pacer has no processor: so some milliseconds are more.
				if charged < want*95/100 || charged > want*106/100+20*time.Millisecond {
					t.Errorf("class %d: charged %v, but its threads used %v", i, charged, want)
				}
			}
		})
	}
}

func (l load) run(ctx context.Context, rt *gilt.Runtime, f *gilt.Func[float64, int64]) (used int64, err error) {
	switch l.how {
	case "submitted":
		return gilt.Submit(ctx, rt, func(tok *gilt.Token) (int64, error) { return compute(tok, l.ms()) }).Wait(ctx)
	case "twice":
		err = rt.Do(ctx, func(tok *gilt.Token) error {
			for i := 0; i < 2 && err == nil; i++ {
				var n int64
				n, err = compute(tok, l.ms())
				used += n
				tok.AllowThreads(func() { time.Sleep(time.Millisecond) })
			}
			return err
		})
		return used, err
	}
	return f.Call(ctx, l.ms())
}

func compute(tok *gilt.Token, ms float64) (int64, error) {
	m, err := py.Import(tok, "books_load")
	if err != nil {
		return 0, err
	}
	return py.MethodAs[int64](m, "compute", ms)
}

// A task that keeps the GIL and waits for something uses the GIL, though its processor clock stands still.
func TestBooksOfWaitingWithTheGIL(t *testing.T) {
	rt := pytest.Runtime()
	pytest.Install(t, "books_load", booksSource)
	pytest.Install(t, "books_c", `
import ctypes

def keep(ms):
    ctypes.PyDLL(None).usleep(int(ms * 1000)) # with the GIL held
    return 0
`)
	class, err := rt.Class(t.Name())
	if err != nil {
		t.Fatal(err)
	}
	keep, err := gilt.Lookup[float64, int64](t.Context(), rt, "books_c:keep")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	over, stop := context.WithCancel(t.Context())
	for range 2 {
		wg.Go(func() {
			for over.Err() == nil {
				if err := rt.Do(t.Context(), func(tok *gilt.Token) error { _, err := compute(tok, 1); return err }); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 10 {
		if _, err := keep.Call(gilt.WithClass(t.Context(), class), 50); err != nil {
			t.Error(err)
		}
	}
	stop()
	wg.Wait()
	stats := rt.Stats()
	if held := stats.Class(class.Name()).Held; held < 250*time.Millisecond {
		t.Errorf("charged %v of 500 ms", held)
	}
}
