package gilt_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// thePanic is what a stack must show.
func thePanic() {
	var m map[string]int
	m["x"] = 1 //nolint:staticcheck // it is to panic
}

const panicSource = `
import host
def calls(): host.panics()
def calls_native(): host.native()
def iterates():
    for _ in host.items(): pass
def again(): host.calls()
async def awaits(): await host.later()
def one(x): host.panics()
`

// panicModule is the module of Go functions that panic.
func panicModule() gilt.GoModule {
	return gilt.GoModule{Name: "host", Funcs: []gilt.GoFunc{
		{Name: "panics", Func: thePanic},
		{Name: "native", Func: thePanic, Native: true},
		{Name: "later", Func: thePanic, Async: true},
		{Name: "items", Func: func(tok *gilt.Token) (py.Bound, error) {
			return py.FromSeq(tok, func(yield func(int, error) bool) {
				if yield(1, nil) {
					thePanic()
				}
			})
		}},
		{Name: "calls", Func: func(tok *gilt.Token) error { return callIn(tok, "calls") }},
	}}
}

func callIn(tok *gilt.Token, name string) error {
	m, err := py.Import(tok, "gilt_panics")
	if err == nil {
		_, err = m.Method(name)
	}
	return err
}

// panicked gives what f panics with.
func panicked(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

// A panic that does not arrive by itself arrives with the value, the stack and the Python frames.
func TestPanicsArriveWithTheirOrigin(t *testing.T) {
	rt := pytest.Runtime()
	pytest.AddModule(t, panicModule())
	pytest.Install(t, "gilt_panics", panicSource)
	timed := within(t, ctx, time.Minute)
	in := func(ctx context.Context, name string) func() {
		return func() { _ = rt.Do(ctx, func(tok *gilt.Token) error { return callIn(tok, name) }) }
	}
	one, err := gilt.Lookup[int, int](ctx, rt, "gilt_panics:one")
	one = pytest.Must(t, one, err)
	awaits, err := gilt.LookupAsync[struct{}, int](ctx, rt, "gilt_panics:awaits")
	awaits = pytest.Must(t, awaits, err)
	pinned, err := rt.Pin(ctx)
	pinned = pytest.Must(t, pinned, err)
	defer pinned.Close()
	for _, c := range []struct {
		name   string
		f      func()
		frames []string // of Python's
	}{
		{"through Python", in(ctx, "calls"), []string{"in calls"}},
		{"with a deadline", in(timed, "calls"), []string{"in calls"}},
		{"of a Native function", in(ctx, "calls_native"), []string{"in calls_native"}},
		{"of an iterator", in(ctx, "iterates"), []string{"in iterates"}},
		{"through Python twice", in(ctx, "again"), []string{"in again", "in calls"}},
		{"twice with a deadline", in(timed, "again"), []string{"in again", "in calls"}},
		{"with a deadline, without Python", func() { _ = rt.Do(timed, func(*gilt.Token) error { thePanic(); return nil }) }, nil},
		{"of a prepared function", func() { _, _ = one.Call(ctx, 1) }, []string{"in one"}},
		{"of one with a deadline", func() { _, _ = one.Call(timed, 1) }, []string{"in one"}},
		{"of a batch", func() { one.Batch(ctx, []int{1}) }, []string{"in one"}},
		{"of a coroutine", func() { _, _ = awaits.Call(ctx, struct{}{}) }, []string{"in awaits"}},
		{"on a pinned thread", func() { _ = pinned.Do(ctx, func(*gilt.Token) error { thePanic(); return nil }) }, nil},
		{"on the main thread", func() { _ = rt.OnMain(ctx, func(*gilt.Token) error { thePanic(); return nil }) }, nil},
		{"of submitted work", func() {
			_, err := gilt.Submit(ctx, rt, func(tok *gilt.Token) (int, error) { return 0, callIn(tok, "calls") }).Wait(ctx)
			panic(err)
		}, []string{"in calls"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := panicked(c.f)
			p, ok := v.(*gilt.PanicError)
			if !ok {
				t.Fatalf("recovered a %T: %v", v, v)
			}
			if !strings.Contains(string(p.Stack), "gilt_test.thePanic") {
				t.Errorf("the stack: %s", p.Stack)
			}
			at := 0
			for _, f := range c.frames {
				i := strings.Index(p.Python[at:], f+"\n")
				if i < 0 {
					t.Fatalf("%q is not in the frames of Python's, or not in this order: %s", f, p.Python)
				}
				at += i
			}
			if len(c.frames) == 0 && p.Python != "" {
				t.Errorf("the frames of Python's: %s", p.Python)
			}
			if text := p.Error(); !strings.Contains(text, "nil map") || !strings.Contains(text, string(p.Stack)) || !strings.Contains(text, p.Python) {
				t.Error("it prints as", text)
			}
			var bug runtime.Error
			if r, ok := gilt.Recovered(v).(runtime.Error); !ok || !errors.As(p, &bug) || bug != r {
				t.Errorf("the value is %v", gilt.Recovered(v))
			}
		})
	}
}

// A panic on the caller's own goroutine, with no Python in between, is Go's alone.
func TestPanicThatArrivesByItself(t *testing.T) {
	mine := errors.New("mine")
	v := panicked(func() {
		_ = pytest.Runtime().Do(ctx, func(*gilt.Token) error { panic(mine) })
	})
	if v != any(mine) || gilt.Recovered(v) != any(mine) || gilt.Recovered(nil) != nil {
		t.Error(v)
	}
}

// A panic's value that is an error is found by package errors, through Python and another goroutine.
func TestPanicWithAnError(t *testing.T) {
	rt, mine := pytest.Runtime(), fmt.Errorf("mine: %w", os.ErrPermission)
	v := panicked(func() {
		_ = rt.Do(within(t, ctx, time.Minute), func(tok *gilt.Token) error {
			f, err := py.NewFunction(tok, gilt.GoFunc{Name: "f", Func: func() { panic(mine) }})
			if err == nil {
				_, err = f.Call()
			}
			return err
		})
	})
	if err, ok := v.(error); !ok || !errors.Is(err, mine) || !errors.Is(err, os.ErrPermission) {
		t.Error(v)
	}
}

// panics ends with a panic that nobody recovers.
func panics() error {
	rt, err := gilt.Open(ctx, gilt.Config{Modules: []gilt.GoModule{panicModule()}})
	if err != nil {
		return err
	}
	timed, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return rt.Do(timed, func(tok *gilt.Token) error {
		if _, err := py.ImportSource(tok, "gilt_panics", panicSource); err != nil {
			return err
		}
		return callIn(tok, "calls")
	})
}

func TestCrashShowsWhereThePanicBegan(t *testing.T) {
	stderr := pytest.Dies(t, "panics")
	for _, want := range []string{"assignment to entry in nil map", "gilt_test.thePanic", "panic_test.go:", "in calls"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("%q is missing in: %s", want, stderr)
		}
	}
}
