package parallel_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
	"gilt/parallel"
)

var errOdd = errors.New("odd")

// withErrors is count with errOdd in place of each record that bad names.
func withErrors(n int, bad func(int64) bool) iter.Seq2[int64, error] {
	return func(yield func(int64, error) bool) {
		for i := range count(n) {
			var err error
			if bad(i) {
				i, err = 0, errOdd
			}
			if !yield(i, err) {
				return
			}
		}
	}
}

// jumble takes longer for some records, so that they finish out of order.
func jumble(_ context.Context, i int64) (int64, error) {
	if i%7 == 0 {
		time.Sleep(time.Duration(i%5) * 100 * time.Microsecond)
	}
	return 2 * i, nil
}

// checkLeaks must be the test's first call.
func checkLeaks(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
}

func TestResults(t *testing.T) {
	for _, n := range []int{0, 1, 2, 63, 64, 65, 1000} {
		for _, workers := range []int{0, 1, 2, 7} {
			for _, window := range []int{0, 1, 2, 3, 100} {
				for _, ordered := range []bool{false, true} {
					o := parallel.Options{Workers: workers, Window: window, Ordered: ordered}
					t.Run(fmt.Sprintf("n=%d %+v", n, o), func(t *testing.T) {
						checkLeaks(t)
						got, err := parallel.Collect(parallel.Native(t.Context(), count(n), jumble, o))
						if err != nil {
							t.Fatal(err)
						}
						if !ordered {
							slices.Sort(got)
						}
						want := make([]int64, n)
						for i := range want {
							want[i] = 2 * int64(i)
						}
						if !slices.Equal(got, want) {
							t.Fatalf("got %v", got)
						}
					})
				}
			}
		}
	}
}

func TestUnorderedGivesWhatIsReady(t *testing.T) {
	checkLeaks(t)
	release := make(chan struct{})
	fn := func(_ context.Context, i int64) (int64, error) {
		if i == 0 {
			<-release
		}
		return i, nil
	}
	var got []int64
	for v, err := range parallel.Native(t.Context(), count(10), fn, parallel.Options{Workers: 2}) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, v); len(got) == 9 {
			close(release)
		}
	}
	if len(got) != 10 || got[9] != 0 {
		t.Fatalf("got %v: record 0 should come last", got)
	}
}

// A slow record holds up nobody but itself: all the others are worked off meanwhile.
func TestSlowRecordTakesNoOtherAlong(t *testing.T) {
	checkLeaks(t)
	var worked atomic.Int64
	all := make(chan struct{})
	fn := func(_ context.Context, i int64) (int64, error) {
		if i == 5 {
			<-all
			return i, nil
		}
		if worked.Add(1) == 99 {
			close(all)
		}
		return i, nil
	}
	got, err := parallel.Collect(parallel.Native(t.Context(), count(100), fn, parallel.Options{Ordered: true, Workers: 2, Window: 100}))
	if err != nil || len(got) != 100 {
		t.Fatal(len(got), err)
	}
}

func TestRecordErrors(t *testing.T) {
	failing := func(_ context.Context, i int64) (int64, error) {
		if i%10 == 3 {
			return i, errOdd
		}
		return i, nil
	}
	goexit := func(_ context.Context, i int64) (int64, error) {
		if i%10 == 3 {
			runtime.Goexit()
		}
		return i, nil
	}
	for _, c := range []struct {
		name          string
		fn            func(context.Context, int64) (int64, error)
		cause         error
		policy        parallel.ErrorPolicy
		values, fails int
	}{
		{"stop", failing, errOdd, parallel.Stop, 3, 1},
		{"yield", failing, errOdd, parallel.Yield, 90, 10},
		{"skip", failing, errOdd, parallel.Skip, 90, 0},
		{"goexit stop", goexit, parallel.ErrGoexit, parallel.Stop, 3, 1},
		{"goexit yield", goexit, parallel.ErrGoexit, parallel.Yield, 90, 10},
	} {
		for _, workers := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s/workers=%d", c.name, workers), func(t *testing.T) {
				checkLeaks(t)
				o := parallel.Options{Ordered: true, Workers: workers, OnError: c.policy}
				var place int64
				values, fails := 0, 0
				for v, err := range parallel.Native(t.Context(), count(100), c.fn, o) {
					var re *parallel.RecordError
					switch {
					case err == nil:
						values++
						if c.policy == parallel.Skip && place%10 == 3 {
							place++
						}
						if v != place {
							t.Fatalf("value %d in place %d", v, place)
						}
					case !errors.As(err, &re) || !errors.Is(err, c.cause) || re.Index != place || re.Input != place || v != 0:
						t.Fatalf("in place %d: %d, %v", place, v, err)
					case !strings.Contains(err.Error(), fmt.Sprint("record ", place, ":")):
						t.Fatalf("message %q", err)
					default:
						fails++
					}
					place++
				}
				if values != c.values || fails != c.fails {
					t.Fatalf("%d values and %d errors, want %d and %d", values, fails, c.values, c.fails)
				}
			})
		}
	}
}

func TestInputErrorIsPassedOn(t *testing.T) {
	for _, c := range []struct {
		policy         parallel.ErrorPolicy
		values, errors int
	}{{parallel.Stop, 4, 1}, {parallel.Yield, 18, 2}, {parallel.Skip, 18, 2}} {
		checkLeaks(t)
		values, errs := 0, 0
		in := withErrors(20, func(i int64) bool { return i%10 == 4 })
		for _, err := range parallel.Native(t.Context(), in, same, parallel.Options{Ordered: true, OnError: c.policy}) {
			if err == nil {
				values++
				continue
			}
			if err != errOdd {
				t.Fatalf("policy %d: %v", c.policy, err)
			}
			errs++
		}
		if values != c.values || errs != c.errors {
			t.Fatalf("policy %d: %d values and %d errors, want %d and %d", c.policy, values, errs, c.values, c.errors)
		}
	}
}

// recovered is what f panics with.
func recovered(f func()) (p any) {
	defer func() { p = recover() }()
	f()
	return nil
}

func TestPanicReachesTheLoop(t *testing.T) {
	boom := func(_ context.Context, i int64) (int64, error) {
		if i == 5 {
			panic(errOdd)
		}
		return i, nil
	}
	input := func(yield func(int64, error) bool) {
		for i := range count(5) {
			if !yield(i, nil) {
				return
			}
		}
		panic(errOdd)
	}
	for _, c := range []struct {
		name string
		seq  func(context.Context, parallel.Options) iter.Seq2[int64, error]
	}{
		{"function", func(ctx context.Context, o parallel.Options) iter.Seq2[int64, error] {
			return parallel.Native(ctx, count(100), boom, o)
		}},
		{"input", func(ctx context.Context, o parallel.Options) iter.Seq2[int64, error] {
			return parallel.Native(ctx, input, same, o)
		}},
		{"stage before", func(ctx context.Context, o parallel.Options) iter.Seq2[int64, error] {
			return parallel.Native(ctx, parallel.Native(ctx, count(100), boom, o), same, o)
		}},
	} {
		for _, policy := range []parallel.ErrorPolicy{parallel.Stop, parallel.Skip} {
			t.Run(fmt.Sprintf("%s/policy=%d", c.name, policy), func(t *testing.T) {
				checkLeaks(t)
				values := 0
				p := recovered(func() {
					for _, err := range c.seq(t.Context(), parallel.Options{Ordered: true, Workers: 2, OnError: policy}) {
						if err != nil {
							t.Error(err)
						}
						values++
					}
				})
				pe, ok := p.(*parallel.PanicError)
				if !ok || !errors.Is(pe, errOdd) || !strings.Contains(string(pe.Stack), "parallel_test.go") {
					t.Fatalf("recovered %v", p)
				}
				if values != 5 {
					t.Fatalf("%d values before it, want 5", values)
				}
			})
		}
	}
}

func TestInputGoexit(t *testing.T) {
	checkLeaks(t)
	in := func(yield func(int64, error) bool) {
		yield(1, nil)
		runtime.Goexit()
	}
	got, err := parallel.Collect(parallel.Native(t.Context(), in, same, parallel.Options{Ordered: true}))
	if !errors.Is(err, parallel.ErrGoexit) || len(got) != 1 {
		t.Fatal(got, err)
	}
}

func TestLeavingTheLoop(t *testing.T) {
	for _, c := range []struct {
		name  string
		leave func(iter.Seq2[int64, error])
	}{
		{"break", func(seq iter.Seq2[int64, error]) {
			for range seq {
				break
			}
		}},
		{"panic", func(seq iter.Seq2[int64, error]) {
			if p := recovered(func() {
				for range seq {
					panic("loop")
				}
			}); p != "loop" {
				t.Errorf("recovered %v", p)
			}
		}},
		{"goexit", func(seq iter.Seq2[int64, error]) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				for range seq {
					runtime.Goexit()
				}
			}()
			<-done
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkLeaks(t)
			var running atomic.Int64
			fn := func(ctx context.Context, i int64) (int64, error) {
				running.Add(1)
				defer running.Add(-1)
				if i > 0 {
					<-ctx.Done() // leaving the loop ends it
				}
				return i, nil
			}
			forever := func(yield func(int64, error) bool) {
				for i := int64(0); yield(i, nil); i++ {
				}
			}
			first := parallel.Native(t.Context(), forever, same, parallel.Options{})
			c.leave(parallel.Native(t.Context(), first, fn, parallel.Options{Workers: 3}))
			if n := running.Load(); n != 0 {
				t.Fatalf("%d functions still run after the loop", n)
			}
		})
	}
}

func TestContextEnds(t *testing.T) {
	for _, when := range []string{"before", "in the loop", "in a function"} {
		t.Run(when, func(t *testing.T) {
			checkLeaks(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if when == "before" {
				cancel()
			}
			fn := func(ctx context.Context, i int64) (int64, error) {
				if i == 20 && when == "in a function" {
					cancel()
					return 0, ctx.Err()
				}
				return i, nil
			}
			var last error
			n := 0
			for _, err := range parallel.Native(ctx, count(1000), fn, parallel.Options{Ordered: true, OnError: parallel.Yield}) {
				if last != nil {
					t.Fatalf("a pair after the error: %v", last)
				}
				if n++; n == 10 && when == "in the loop" {
					cancel()
				}
				last = err
			}
			if last != context.Canceled {
				t.Fatalf("the last pair's error is %v, want %v", last, context.Canceled)
			}
		})
	}
}

func TestWindowBoundsReadingAhead(t *testing.T) {
	for _, ordered := range []bool{false, true} {
		checkLeaks(t)
		const window = 5
		var read, taken atomic.Int64
		in := func(yield func(int64, error) bool) {
			for i := range count(1000) {
				if ahead := read.Add(1) - taken.Load(); ahead > window+1 { // and the one in the loop
					t.Errorf("the input is read %d ahead", ahead)
				}
				if !yield(i, nil) {
					return
				}
			}
		}
		for range parallel.Native(t.Context(), in, jumble, parallel.Options{Ordered: ordered, Workers: 3, Window: window}) {
			taken.Add(1)
			// A feeder that waits for room may be left to wait until half the window is free.
			if n := taken.Load(); n%100 == 0 && !pytest.Until(func() bool { return read.Load() >= min(n+window/2+1, 1000) }) {
				t.Fatalf("the input is read no further than to %d when %d are taken", read.Load(), n)
			}
		}
	}
}

func TestMillionRecordsKeepMemoryLevel(t *testing.T) {
	checkLeaks(t)
	block := func(_ context.Context, i int64) ([]byte, error) { return make([]byte, 1024), nil }
	length := func(_ context.Context, b []byte) (int64, error) { return int64(len(b)), nil }
	n := 1_000_000
	if testing.Short() {
		n /= 10
	}
	var before, m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	blocks := parallel.Native(t.Context(), count(n), block, parallel.Options{})
	done := 0
	for v, err := range parallel.Native(t.Context(), blocks, length, parallel.Options{Ordered: true}) {
		if err != nil || v != 1024 {
			t.Fatal(v, err)
		}
		if done++; done%(n/10) == 0 {
			runtime.GC()
			if runtime.ReadMemStats(&m); int64(m.HeapAlloc)-int64(before.HeapAlloc) > 4<<20 {
				t.Fatalf("after %d records the heap has grown by %d bytes", done, m.HeapAlloc-before.HeapAlloc)
			}
		}
	}
	if done != n {
		t.Fatalf("%d records, want %d", done, n)
	}
}

func TestASequenceRunsAgain(t *testing.T) {
	checkLeaks(t)
	seq := parallel.Native(t.Context(), parallel.Slice([]int64{1, 2, 3}), same, parallel.Options{Ordered: true})
	for range 2 {
		if got, err := parallel.Collect(seq); err != nil || !slices.Equal(got, []int64{1, 2, 3}) {
			t.Fatal(got, err)
		}
	}
}

func lookup[A, R any](t *testing.T, spec string) *gilt.Func[A, R] {
	t.Helper()
	f, err := gilt.Lookup[A, R](t.Context(), python, spec)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestPython(t *testing.T) {
	upper := lookup[string, string](t, "stages:upper")
	for _, ordered := range []bool{false, true} {
		checkLeaks(t)
		words := parallel.Native(t.Context(), count(1000), func(_ context.Context, i int64) (string, error) {
			return fmt.Sprintf("word%04d", i), nil
		}, parallel.Options{Ordered: ordered})
		got, err := parallel.Collect(parallel.Python(t.Context(), words, upper, parallel.Options{Ordered: ordered}))
		if err != nil || len(got) != 1000 {
			t.Fatal(len(got), err)
		}
		if !ordered {
			slices.Sort(got)
		}
		for i, w := range got {
			if w != fmt.Sprintf("WORD%04d", i) {
				t.Fatalf("result %d is %q", i, w)
			}
		}
	}
}

func TestPythonErrors(t *testing.T) {
	for _, c := range []struct {
		spec  string
		cause error
		fails int
	}{{"stages:inverse", py.ZeroDivisionError, 1}, {"stages:leave", py.SystemExit, 3}} {
		checkLeaks(t)
		f := lookup[int64, float64](t, c.spec)
		fails := 0
		for _, err := range parallel.Python(t.Context(), parallel.Slice([]int64{1, 0, 2}), f, parallel.Options{Ordered: true, OnError: parallel.Yield}) {
			var re *parallel.RecordError
			if err == nil {
				continue
			}
			if fails++; !errors.As(err, &re) || !errors.Is(err, c.cause) {
				t.Fatalf("%s: %v", c.spec, err)
			}
		}
		if fails != c.fails {
			t.Fatalf("%s: %d records failed, want %d", c.spec, fails, c.fails)
		}
	}
}

// Python that waits outside the GIL overlaps as far as there are workers.
func TestPythonSleepsOverlap(t *testing.T) {
	checkLeaks(t)
	sleep := lookup[float64, float64](t, "stages:sleep")
	start := time.Now()
	got, err := parallel.Collect(parallel.Python(t.Context(), parallel.Slice(slices.Repeat([]float64{0.05}, 32)), sleep, parallel.Options{Workers: 16}))
	if took := time.Since(start); err != nil || len(got) != 32 || took > 800*time.Millisecond {
		t.Fatal(len(got), err, took) // one after the other takes 1.6 s
	}
}

func TestPythonBreakAndCancel(t *testing.T) {
	checkLeaks(t)
	same := lookup[int64, int64](t, "stages:same")
	for v, err := range parallel.Python(t.Context(), count(1_000_000), same, parallel.Options{}) {
		if err != nil {
			t.Fatal(v, err)
		}
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	var last error
	for _, err := range parallel.Python(ctx, count(1_000_000), same, parallel.Options{OnError: parallel.Yield}) {
		if n++; n == 100 {
			cancel()
		}
		last = err
	}
	if last != context.Canceled {
		t.Fatal(n, last)
	}
}
