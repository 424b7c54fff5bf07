package gilt_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

const asyncModule = `
import asyncio
async def double(x):
    await asyncio.sleep(0)
    return x * 2
async def nap(s):
    await asyncio.sleep(s)
    return s
async def fails(x): raise KeyError(x)
def plain(x): return x
async def forgets(x):
    import warnings
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter('always')
        double(x)
    return [w.category.__name__ + ': ' + str(w.message) for w in seen]
cleaned = []
async def waits(x):
    try: await asyncio.sleep(3600)
    finally: cleaned.append(x)
async def refuses(x):
    try: await asyncio.sleep(3600)
    except asyncio.CancelledError: return x
async def count(n):
    try:
        for i in range(n):
            await asyncio.sleep(0)
            yield i
    finally: cleaned.append('gen')
async def bad(n):
    yield n
    raise ValueError('midway')
`

func async[A, R any](t *testing.T, name string) *py.AsyncFunc[A, R] {
	t.Helper()
	pytest.Install(t, "gilt_async", asyncModule)
	f, err := gilt.LookupAsync[A, R](ctx, pytest.Runtime(), "gilt_async:"+name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestAwaitFromGo(t *testing.T) {
	double := async[int, int](t, "double")
	if v, err := double.Call(ctx, 21); v != 42 || err != nil {
		t.Error(v, err)
	}
	if v, err := double.Start(ctx, 4).Wait(ctx); v != 8 || err != nil {
		t.Error(v, err)
	}
	nap := async[float64, float64](t, "nap")
	var all sync.WaitGroup
	for range 2000 {
		all.Go(func() {
			if v, err := nap.Call(ctx, 0.01); v != 0.01 || err != nil {
				t.Error(v, err)
			}
		})
	}
	all.Wait()
	var e *py.Error
	if _, err := async[string, int](t, "fails").Call(ctx, "k"); !errors.Is(err, py.KeyError) || !errors.As(err, &e) || e.Message != "'k'" {
		t.Error(err)
	}
	if _, err := async[string, int](t, "double").Call(ctx, "x"); err == nil { // "xx" is no int
		t.Error("a str is taken for an int")
	}
	if _, err := async[int, int](t, "plain").Call(ctx, 1); !errors.Is(err, py.TypeError) || !strings.Contains(err.Error(), "cannot be awaited") {
		t.Error(err)
	}
	if _, err := async[chan int, int](t, "double").Call(ctx, nil); err == nil {
		t.Error("a channel is converted")
	}
	if _, err := async[string, int](t, "double").Call(ctx, "\xff"); !errors.Is(err, py.UnicodeDecodeError) {
		t.Error(err)
	}
	if v, err := double.Call(ctx, 1); v != 2 || err != nil {
		t.Error("the loop is broken:", v, err)
	}
	if _, err := gilt.LookupAsync[int, int](ctx, pytest.Runtime(), "gilt_async:absent"); !errors.Is(err, py.AttributeError) {
		t.Error(err)
	}
}

// A coroutine that nobody awaits warns as in CPython, and the loop goes on.
func TestNeverAwaitedOnTheLoop(t *testing.T) {
	v, err := async[int, []string](t, "forgets").Call(ctx, 1)
	if err != nil || len(v) != 1 || v[0] != "RuntimeWarning: coroutine 'double' was never awaited" {
		t.Error(v, err)
	}
	if v, err := async[int, int](t, "double").Call(ctx, 1); v != 2 || err != nil {
		t.Error("after it:", v, err)
	}
}

func TestCancelledContextCancelsTheCoroutine(t *testing.T) {
	waits, refuses := async[string, int](t, "waits"), async[int, int](t, "refuses")
	until, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := waits.Call(until, "cleaned up"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	pytest.Do(t, func(tok *gilt.Token) {
		if err := py.Run(tok, "import gilt_async; assert 'cleaned up' in gilt_async.cleaned"); err != nil {
			t.Error(err)
		}
	})
	until, cancel = context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if v, err := refuses.Call(until, 3); v != 3 || err != nil {
		t.Error(v, err)
	}
	if _, err := waits.Call(until, "never"); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestAsyncGenerator(t *testing.T) {
	count := async[int, int](t, "count")
	sum := 0
	for v, err := range count.Each(ctx, 100) {
		if err != nil {
			t.Fatal(err)
		}
		sum += v
	}
	if sum != 4950 {
		t.Error(sum)
	}
	for v, err := range count.Each(ctx, 100) {
		if v == 3 || err != nil {
			break
		}
	}
	pytest.Do(t, func(tok *gilt.Token) {
		if v, err := py.EvalAs[int](tok, "__import__('gilt_async').cleaned.count('gen')"); v != 2 || err != nil {
			t.Error("closed generators:", v, err)
		}
	})
	var got []string
	for v, err := range async[int, int](t, "bad").Each(ctx, 7) {
		got = append(got, fmt.Sprint(v, err))
	}
	if strings.Join(got, "; ") != "7 <nil>; 0 ValueError: midway" {
		t.Error(got)
	}
	for _, err := range async[int, int](t, "double").Each(ctx, 7) {
		if !errors.Is(err, py.TypeError) {
			t.Error(err)
		}
	}
}

// asyncStop: a shutdown cancels what runs on the loop; its callers learn it, and Python has nothing to warn of.
func asyncStop() error {
	dir, err := os.MkdirTemp("", "gilt")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(dir+"/gilt_async.py", []byte(asyncModule), 0o600); err != nil {
		return err
	}
	var stderr strings.Builder
	rt, err := gilt.Open(ctx, gilt.Config{Path: []string{dir}, Stderr: &stderr})
	if err != nil {
		return err
	}
	waits, err := gilt.LookupAsync[int, int](ctx, rt, "gilt_async:waits")
	if err != nil {
		return err
	}
	double, err := gilt.LookupAsync[int, int](ctx, rt, "gilt_async:double")
	if err != nil {
		return err
	}
	var futures []*gilt.Future[int]
	for i := range 100 {
		futures = append(futures, waits.Start(ctx, i))
	}
	if v, err := double.Call(ctx, 1); v != 2 || err != nil {
		return fmt.Errorf("%d %w", v, err)
	}
	if err := rt.Shutdown(ctx); err != nil {
		return err
	}
	for _, f := range futures {
		if _, err := f.Wait(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, gilt.ErrClosed) {
			return fmt.Errorf("a coroutine at shutdown: %w", err)
		}
	}
	if _, err := double.Call(ctx, 1); !errors.Is(err, gilt.ErrClosed) {
		return fmt.Errorf("after shutdown: %w", err)
	}
	if stderr.Len() > 0 {
		return errors.New("Python warned: " + stderr.String())
	}
	return nil
}

func TestShutdownEndsTheLoop(t *testing.T) { pytest.Child(t, "async stop") }

// A function that raises before it gives a coroutine, a coroutine that asks for the process's end, and a call inside Do:
// each caller learns what became of it, and the loop, or a new one, goes on.
func TestLoopSurvives(t *testing.T) {
	pytest.Install(t, "gilt_async_bad", "import asyncio, sys\ndef early(x): raise asyncio.CancelledError()\nasync def leaves(x): sys.exit(3)\nasync def fine(x): return x\n")
	rt := pytest.Runtime()
	prepare := func(name string) *py.AsyncFunc[int, int] {
		f, err := gilt.LookupAsync[int, int](ctx, rt, "gilt_async_bad:"+name)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	if _, err := prepare("early").Call(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	fine := prepare("fine")
	pytest.Do(t, func(tok *gilt.Token) {
		if _, err := py.Eval(tok, "1"); err != nil { // attaches
			t.Error(err)
		}
		if v, err := fine.Call(ctx, 5); v != 5 || err != nil {
			t.Error(v, err)
		}
	})
	loop, err := rt.Loop(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := prepare("leaves").Call(ctx, 1); err == nil {
		t.Error("sys.exit in a coroutine is no error")
	}
	<-loop.Done()
	if v, err := prepare("fine").Call(ctx, 7); v != 7 || err != nil {
		t.Error("after it:", v, err)
	}
}

// callbackAtEnd: a daemon thread is inside a Go function, and finalizers call Go, while Python ends.
func callbackAtEnd() error {
	entered := make(chan struct{})
	leave := make(chan struct{})
	m := gilt.GoModule{Name: "host", Funcs: []gilt.GoFunc{
		{Name: "stay", Native: true, Func: func() { close(entered); <-leave }},
		{Name: "fails", Func: func() error { return errors.New("at the end") }},
	}}
	rt, err := gilt.Open(ctx, gilt.Config{Modules: []gilt.GoModule{m}})
	if err != nil {
		return err
	}
	err = rt.Do(ctx, func(tok *gilt.Token) error {
		return py.Run(tok, "import host, threading, sys\nclass C:\n    def __del__(self):\n        try: host.fails()\n        except Exception: pass\nsys.kept = C()\nsys.more = [C() for _ in range(100)]\nthreading.Thread(target=host.stay, daemon=True).start()")
	})
	if err != nil {
		return err
	}
	<-entered
	err = rt.Shutdown(ctx)
	close(leave)
	return err
}

func TestGoFunctionsWhilePythonEnds(t *testing.T) { pytest.Child(t, "callback at end") }

// awaitedAtEnd: Python awaits Go functions, in a task and on the runtime's loop, when the runtime shuts down.
func awaitedAtEnd() error {
	begun, causes := make(chan struct{}, 2), make(chan error, 2)
	m := gilt.GoModule{Name: "host", Funcs: []gilt.GoFunc{{Name: "wait", Async: true, Func: func(ctx context.Context) error {
		begun <- struct{}{}
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return ctx.Err()
	}}}}
	var stderr strings.Builder
	rt, err := gilt.Open(ctx, gilt.Config{Modules: []gilt.GoModule{m}, Stderr: &stderr})
	if err != nil {
		return err
	}
	wait, err := gilt.LookupAsync[struct{}, struct{}](ctx, rt, "host:wait")
	if err != nil {
		return err
	}
	onLoop := wait.Start(ctx, struct{}{})
	task := gilt.Submit(ctx, rt, func(tok *gilt.Token) (struct{}, error) {
		return struct{}{}, py.Run(tok, "import asyncio, host\nasyncio.run(host.wait())")
	})
	<-begun
	<-begun
	if err := rt.Shutdown(ctx); err != nil {
		return err
	}
	if _, err := onLoop.Wait(ctx); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("on the loop: %w", err)
	}
	if _, err := task.Wait(ctx); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("in the task: %w", err)
	}
	if a, b := <-causes, <-causes; errors.Is(a, gilt.ErrClosed) == errors.Is(b, gilt.ErrClosed) { // the loop's is cancelled by Python
		return fmt.Errorf("the contexts ended for %v, %v", a, b)
	}
	if stderr.Len() > 0 {
		return errors.New("Python said: " + stderr.String())
	}
	return nil
}

func TestShutdownCancelsAwaitedGo(t *testing.T) { pytest.Child(t, "awaited at end") }
