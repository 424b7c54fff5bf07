package handles_test

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"

	"gilt/gil"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// runAsync runs source in a namespace with the Go function f, which is Async.
func runAsync(t *testing.T, f py.GoFunc, source string) error {
	t.Helper()
	f.Async = true
	var err error
	pytest.Do(t, func(tok *gil.Token) {
		err = py.Run(tok, "import asyncio, gc, inspect, warnings\n"+source, callable(t, tok, f))
	})
	return err
}

func TestPythonAwaitsGo(t *testing.T) {
	add := func(_ context.Context, a, b int) (int, error) {
		if a < 0 {
			return 0, errOwn
		}
		return a + b, nil
	}
	src := `
assert inspect.iscoroutinefunction(f) and f.__name__ == 'f', f
async def main():
    assert await f(40, b=2) == 42
    assert await asyncio.gather(*[f(i) for i in range(200)]) == [i + 1 for i in range(200)]
    assert await asyncio.create_task(f(1)) == 2
    try: await f('x')
    except TypeError as e: assert 'cannot be interpreted' in str(e), e
    else: assert False
    try: f(1, 2, 3)
    except TypeError as e: assert str(e) == 'f() takes from 1 to 2 positional arguments but 3 were given', e
    else: assert False
for _ in range(3): asyncio.run(main())  # a loop of its own each time
asyncio.run(f(-1))
`
	if err := runAsync(t, py.GoFunc{Signature: "(a, b=1)", Func: add}, src); !errors.Is(err, errOwn) {
		t.Errorf("%+v", err)
	}
	if err := runAsync(t, py.GoFunc{Func: func(s string) string { return s + "!" }}, "assert asyncio.run(f('a')) == 'a!'\nassert str(inspect.signature(f)) == '(arg0, /)'"); err != nil {
		t.Errorf("%+v", err)
	}
	if err := runAsync(t, py.GoFunc{Func: func() {}}, "f().send(None)"); !errors.Is(err, py.RuntimeError) || !strings.Contains(err.Error(), "no running event loop") {
		t.Error(err)
	}
	pytest.Do(t, func(tok *gil.Token) {
		for _, f := range []any{func(*gil.Token) {}, func(py.Bound) {}} {
			if _, err := py.NewFunction(tok, py.GoFunc{Name: "f", Async: true, Func: f}); err == nil {
				t.Errorf("%T is taken for an Async function", f)
			}
		}
	})
}

// The event loop goes on while Go functions run: each of them waits until all do, and Python counts meanwhile.
func TestAwaitedGoDoesNotHoldTheLoop(t *testing.T) {
	var all sync.WaitGroup
	all.Add(4)
	src := `
async def main():
    waiting = [asyncio.create_task(f(i)) for i in range(3)]
    for _ in range(100): await asyncio.sleep(0)
    assert not any(w.done() for w in waiting)
    return await asyncio.gather(f(3), *waiting)
assert asyncio.run(main()) == [3, 0, 1, 2]
`
	if err := runAsync(t, py.GoFunc{Func: func(i int) int { all.Done(); all.Wait(); return i }}, src); err != nil {
		t.Errorf("%+v", err)
	}
}

func TestCancelledTaskCancelsTheGoFunction(t *testing.T) {
	begun, ended := make(chan struct{}, 10), make(chan error, 10)
	f := py.GoFunc{Func: func(ctx context.Context) error {
		begun <- struct{}{}
		<-ctx.Done()
		ended <- ctx.Err()
		return ctx.Err()
	}}
	for name, src := range map[string]string{
		"cancel": `
async def main():
    task = asyncio.create_task(f())
    await asyncio.sleep(0)
    task.cancel()
    try: await task
    except asyncio.CancelledError: return
    assert False
asyncio.run(main())`,
		"timeout": `
async def main():
    try: await asyncio.wait_for(f(), 0.001)
    except asyncio.TimeoutError: return
    assert False
asyncio.run(main())`,
		"loop is gone": `
asyncio_log = __import__('logging').getLogger('asyncio')
asyncio_log.disabled = True  # it says that the task was pending
loop = asyncio.new_event_loop()
task = loop.create_task(f())
loop.run_until_complete(asyncio.sleep(0))
loop.close()
del loop, task
gc.collect()
asyncio_log.disabled = False`,
	} {
		if err := runAsync(t, f, src); err != nil {
			t.Errorf("%s: %+v", name, err)
		}
		<-begun
		if err := <-ended; err != context.Canceled {
			t.Error(name, err)
		}
	}
}

func TestAwaitedGoPanicsAndGoexit(t *testing.T) {
	type mine struct{ n int }
	func() {
		defer func() {
			if p := gil.Recovered(recover()); p != (mine{3}) {
				t.Error("recovered", p)
			}
		}()
		err := runAsync(t, py.GoFunc{Func: func() { panic(mine{3}) }}, `
log = []
async def main():
    try: await f()
    except Exception: log.append('caught')
    finally: log.append('finally')
try: asyncio.run(main())
finally: assert log == ['finally'], log`)
		t.Error("no panic:", err)
	}()
	if err := runAsync(t, py.GoFunc{Func: runtime.Goexit}, "asyncio.run(f())"); !errors.Is(err, py.RuntimeError) || !strings.Contains(err.Error(), "Goexit") {
		t.Error(err)
	}
}

// A coroutine that awaits Go on the runtime's own loop; its cancellation reaches Go.
func TestAwaitedGoOnTheRuntimesLoop(t *testing.T) {
	begun, ended := make(chan struct{}), make(chan error, 1)
	pytest.Install(t, "gilt_loop_go", "async def twice(x): return await f(x) * 2\n")
	pytest.Do(t, func(tok *gil.Token) {
		f, err := py.NewFunction(tok, py.GoFunc{Name: "f", Async: true, Func: func(ctx context.Context, x int) (int, error) {
			if x < 0 {
				close(begun)
				<-ctx.Done()
				ended <- ctx.Err()
				return 0, ctx.Err()
			}
			return x, nil
		}})
		if err == nil {
			var m py.Bound
			if m, err = py.Import(tok, "gilt_loop_go"); err == nil {
				err = m.SetAttr("f", f)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	ctx := context.Background()
	loop, err := pytest.Runtime().Loop(ctx)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := py.LookupAsync[int, int](ctx, loop, "gilt_loop_go:twice")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			if v, err := twice.Call(ctx, i); v != 2*i || err != nil {
				t.Error(v, err)
			}
		})
	}
	all.Wait()
	until, cancel := context.WithCancel(ctx)
	waits := twice.Start(until, -1)
	<-begun
	cancel()
	if _, err := waits.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error("in Go:", err)
	}
}

// An async Go function that is called and never awaited warns as Python's own do, and so does Python's.
func TestNeverAwaited(t *testing.T) {
	src := `
async def own(): pass
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter('always')
    f()
    own()
    gc.collect()
assert [str(w.message) for w in seen] == ["coroutine 'f' was never awaited", "coroutine 'own' was never awaited"], seen
assert {w.category for w in seen} == {RuntimeWarning}
`
	if err := runAsync(t, py.GoFunc{Func: func() { t.Error("it ran") }}, src); err != nil {
		t.Errorf("%+v", err)
	}
}

// Each asyncio.run has an event loop of its own, whose descriptors go with it and not when Go's garbage collector comes.
func TestAwaitedDescriptors(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	src := `
import os, sys
if not os.path.isdir('/proc/self/fd'): sys.exit(0)
def count():
    gc.collect()
    return len(os.listdir('/proc/self/fd'))
asyncio.run(f(1))
before = count()
for i in range(100): assert asyncio.run(f(i)) == i
assert count() < before + 50, (before, count())
`
	if err := runAsync(t, py.GoFunc{Func: func(i int) int { return i }}, src); err != nil && !errors.Is(err, py.SystemExit) {
		t.Errorf("%+v", err)
	}
}

// Whatever stops the Python half of a call (an interruption may come between any two bytecodes, also in the clause that
// tidies up), Go keeps nothing of it.
func TestAwaitedCallsGoWithTheirCoroutine(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		f, err := py.NewFunction(tok, py.GoFunc{Name: "f", Async: true, Func: func() {}})
		if err != nil {
			t.Fatal(err)
		}
		ns, err := py.NewDict(tok, map[string]any{"f": f})
		if err != nil {
			t.Fatal(err)
		}
		before := py.AwaitedCalls()
		err = py.Run(tok, `
import asyncio, gc
class Stop(BaseException): pass
def stop(*_): raise Stop
call = f.__globals__['__gilt__']
drop = dict(zip(call.__code__.co_freevars, call.__closure__))['drop']
begin, tidy = call.__globals__['begin'], drop.cell_contents
call.__globals__['begin'] = drop.cell_contents = stop
try:
    for _ in range(10):
        try: asyncio.run(f())
        except Stop: pass
        else: raise AssertionError
finally:
    call.__globals__['begin'], drop.cell_contents = begin, tidy
gc.collect()
asyncio.run(f())
`, ns)
		if err != nil {
			t.Fatalf("%+v", err)
		}
		if n := py.AwaitedCalls(); n != before {
			t.Errorf("Go keeps %d calls, and kept %d before", n, before)
		}
	})
}
