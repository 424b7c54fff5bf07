package handles_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// What is kept of classes and code objects by their addresses, in C, and by their numbers, in Go, never stands for another one,
// though all have the same names and addresses are used again.
func TestError_OfManyClassesAndFunctionsOfOneName(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, `
import gc
kept = []
def make(i):
    if i % 50 == 0: gc.collect(); kept.clear()
    base = (ValueError, KeyError, OSError, Exception)[i % 4]
    E = type('E', (base,), {'__module__': 'm%d' % i})
    f = {'E': E}
    exec(compile('\n' * (i % 70) + 'def f(): raise E(7, "said")', 'file%d.py' % i, 'exec'), f)
    if i % 3 == 0: kept.append(f)
    return f['f']
`)
		makes := pytest.Get(t, ns, "make")
		bases := []py.ExceptionClass{py.ValueError, py.KeyError, py.OSError, py.Exception}
		for i := range 2000 {
			err := py.Scope(tok, func() error {
				f, err := makes.Call(i)
				if err != nil {
					return err
				}
				for range 2 { // the second one is of what was kept of the first
					_, raised := f.Call()
					var e *py.Error
					if !errors.As(raised, &e) {
						return fmt.Errorf("%d: %w", i, raised)
					}
					class, frame := fmt.Sprintf("m%d.E", i), py.Frame{File: fmt.Sprintf("file%d.py", i), Func: "f", Line: i%70 + 1}
					if e.Class != class || !errors.Is(e, py.ExceptionClass(class)) || len(e.Frames) != 1 || e.Frames[0] != frame {
						t.Errorf("%d: %+v", i, e)
					}
					for j, base := range bases[:3] {
						if errors.Is(e, base) != (j == i%4) {
							t.Errorf("%d: errors.Is %v", i, base)
						}
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// counted is a module whose exceptions are counted.
const counted = `
import gc
alive = 0
class E(Exception):
    def __init__(self, *a):
        global alive
        alive += 1
        super().__init__(*a)
    def __del__(self):
        global alive
        alive -= 1
def fail(i): raise E(i)
def left():
    gc.collect()
    return alive
`

// collected waits until no more than most of counted's exceptions are alive.
func collected(t *testing.T, module string, most int) {
	t.Helper()
	pytest.Eventually(t, "dropped errors' exceptions are freed", func() bool {
		runtime.GC()
		n, err := call[struct{}, int](t, module+":left", struct{}{})
		if err != nil {
			t.Fatal(err)
		}
		return n <= most
	})
}

func TestError_DroppedErrorsFreeTheirExceptions(t *testing.T) {
	pytest.Install(t, "counted", counted)
	const n = 100_000
	most := 0
	pytest.Do(t, func(tok *gilt.Token) {
		m, err := py.Import(tok, "counted")
		if err != nil {
			t.Fatal(err)
		}
		fail, err := m.Attr("fail")
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if _, err := fail.Call(i); !errors.Is(err, py.ExceptionClass("counted.E")) {
				t.Fatal(err)
			}
			if i%1000 == 0 {
				alive, err := py.AttrAs[int](m, "alive")
				if err != nil {
					t.Fatal(err)
				}
				most = max(most, alive)
			}
		}
	})
	if most > n/2 {
		t.Errorf("%d of %d exceptions were alive at once, in one task", most, n)
	}
	collected(t, "counted", 0)

	f, err := gilt.Lookup[int, int](ctx, pytest.Runtime(), "counted:fail")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if _, err := f.Call(ctx, i); err == nil {
			t.Fatal("no error")
		}
	}
	if _, errs := f.Batch(ctx, make([]int, 1000)); errs == nil {
		t.Error("no errors")
	}
	collected(t, "counted", 0)
}

// A kept error keeps its own exception, whatever became of those that it shares memory with, and not those of all others.
func TestError_KeptErrorKeepsItsException(t *testing.T) {
	pytest.Install(t, "counted_kept", counted)
	f, err := gilt.Lookup[int, int](ctx, pytest.Runtime(), "counted_kept:fail")
	if err != nil {
		t.Fatal(err)
	}
	kept := make(map[int]*py.Error)
	for i := range 4000 {
		_, err := f.Call(ctx, i)
		var e *py.Error
		if !errors.As(err, &e) {
			t.Fatal(err)
		}
		if i%37 == 0 {
			kept[i] = e
		}
	}
	collected(t, "counted_kept", 8*len(kept))
	pytest.Do(t, func(tok *gilt.Token) {
		for i, e := range kept {
			args, err := py.AttrAs[[]int](e.Bind(tok), "args")
			if err != nil || !slices.Equal(args, []int{i}) || e.Message != fmt.Sprint(i) {
				t.Errorf("%d: %v, %v", i, args, err)
			}
		}
	})
	kept = nil
	collected(t, "counted_kept", 0)
}

// An error may be used, and raised again, from several goroutines at once.
func TestError_UsedByManyGoroutines(t *testing.T) {
	pytest.Install(t, "counted_many", counted)
	f, err := gilt.Lookup[int, int](ctx, pytest.Runtime(), "counted_many:fail")
	if err != nil {
		t.Fatal(err)
	}
	errs := make([]*py.Error, 20)
	for i := range errs {
		_, err := f.Call(ctx, i)
		if !errors.As(err, &errs[i]) {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 100 {
				n := (i*7 + g) % len(errs)
				e := errs[n]
				if text := fmt.Sprintf("%+v", e); e.Error() != fmt.Sprintf("counted_many.E: %d", n) || !errors.Is(e, py.Exception) || text == "" {
					t.Error(text)
				}
				if err := pytest.Runtime().Do(ctx, func(tok *gilt.Token) error { return sameAgain(tok, e, n) }); err != nil {
					t.Error(err)
				}
				if i%20 == 0 {
					runtime.GC()
				}
			}
		})
	}
	wg.Wait()
	errs = nil
	collected(t, "counted_many", 0)
}

// sameAgain looks at the exception of counted's fail(n) and has a Go function raise it again.
func sameAgain(tok *gilt.Token, e *py.Error, n int) error {
	args, err := py.AttrAs[[]int](e.Bind(tok), "args")
	if err != nil || !slices.Equal(args, []int{n}) {
		return fmt.Errorf("%v, %w", args, err)
	}
	f, err := py.NewFunction(tok, py.GoFunc{Name: "f", Func: func() error { return e }})
	if err != nil {
		return err
	}
	_, err = f.Call()
	if again := (*py.Error)(nil); !errors.As(err, &again) || !again.Bind(tok).Is(e.Bind(tok)) {
		return fmt.Errorf("raised again it is %w", err)
	}
	return nil
}

// Exceptions whose end calls Go, which raises others, while one is being raised.
func TestError_EndsOfExceptionsThatCallGo(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		var calls atomic.Int64
		ns := callable(t, tok, py.GoFunc{Func: func(tok *gilt.Token) error {
			calls.Add(1)
			_ = py.Run(tok, "1/0")
			return py.Raise(py.ValueError, "from Go")
		}})
		err := py.Run(tok, `
class E(Exception):
    def __del__(self):
        try: f()
        except ValueError: pass
def fail(i): raise E(i)
`, ns)
		if err != nil {
			t.Fatal(err)
		}
		fail := pytest.Get(t, ns, "fail")
		const n = 3000
		for i := range n {
			_, err := fail.Call(i)
			var e *py.Error
			if !errors.As(err, &e) || e.Message != fmt.Sprint(i) {
				t.Fatalf("%d: %+v", i, err)
			}
			if i%500 == 0 {
				runtime.GC()
			}
		}
		pytest.Eventually(t, "all have ended", func() bool {
			runtime.GC()
			tok.AllowThreads(func() {})
			_ = py.Run(tok, "pass")
			return calls.Load() == n
		})
	})
}

// Errors of two interpreters at once: each exception goes back to its own. After the end dropping an error does nothing.
func TestError_OfTwoInterpreters(t *testing.T) {
	pytest.NeedOwnGIL(t)
	pytest.Child(t, "errors of two interpreters")
}

func errorsOfTwo() error {
	rt, err := gilt.Open(ctx, gilt.Config{Mode: gilt.OwnGIL, Interpreters: 2})
	if err != nil {
		return err
	}
	both := func(f func(tok *gilt.Token) error) error {
		ids := make(map[int]bool)
		var mu sync.Mutex
		for range 1000 {
			var wg sync.WaitGroup
			failed := make(chan error, 2)
			for range 2 {
				wg.Go(func() {
					failed <- rt.Do(ctx, func(tok *gilt.Token) error {
						mu.Lock()
						ids[tok.Interpreter()] = true
						mu.Unlock()
						return f(tok)
					})
				})
			}
			wg.Wait()
			if err := errors.Join(<-failed, <-failed); err != nil {
				return err
			}
			if len(ids) == 2 {
				return nil
			}
		}
		return errors.New("only one interpreter was used")
	}
	var kept []*py.Error
	var mu sync.Mutex
	err = both(func(tok *gilt.Token) error {
		ns, err := py.NewDict(tok, map[string]any{"__name__": "counted"})
		if err != nil {
			return err
		}
		if err := py.Run(tok, counted, ns); err != nil {
			return err
		}
		fail, err := ns.Item("fail")
		if err != nil {
			return err
		}
		for i := range 5000 {
			_, err := fail.Call(i)
			var e *py.Error
			if !errors.As(err, &e) || e.Message != fmt.Sprint(i) {
				return fmt.Errorf("%d: %w", i, err)
			}
			if i%500 == 0 {
				mu.Lock()
				kept = append(kept, e)
				mu.Unlock()
				runtime.GC()
			}
		}
		for range 100 {
			runtime.GC()
			tok.AllowThreads(func() {})
			left, err := ns.Item("left")
			if err != nil {
				return err
			}
			if n, err := py.CallAs[int](left); err != nil || n <= 100 {
				return err
			}
		}
		return errors.New("dropped errors' exceptions are not freed")
	})
	if err != nil {
		return err
	}
	var mine, foreign int
	err = rt.Do(ctx, func(tok *gilt.Token) error {
		for _, e := range kept {
			misuse, _ := pytest.Misused(func() { e.Bind(tok) })
			if misuse != nil {
				foreign++
			} else {
				mine++
			}
		}
		return nil
	})
	if err != nil || mine == 0 || foreign == 0 {
		return fmt.Errorf("%d of this interpreter, %d of the other; %w", mine, foreign, err)
	}
	if err := rt.Shutdown(ctx); err != nil {
		return err
	}
	text := fmt.Sprintf("%+v", kept[0])
	kept = nil
	if err := pytest.Collect(); err != nil {
		return err
	}
	if text == "" {
		return errors.New("no text after the end")
	}
	return nil
}
