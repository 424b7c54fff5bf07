package handles_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"gilt/gil"
	py "gilt/handles"
	"gilt/internal/cpython"
	"gilt/internal/pytest"
)

const loopModule = `
import asyncio, contextvars, time, weakref
var = contextvars.ContextVar("var", default=0)
async def changes(x):
    before = var.get()
    var.set(x)
    await asyncio.sleep(0)
    return before * 1000 + var.get()
async def echo(x): return x
async def hold(x): wait(x)
async def waits(x): await asyncio.sleep(3600)
class Local: pass
async def fails(x):
    global left
    local = Local()
    left = weakref.ref(local)
    await asyncio.sleep(0)
    raise ValueError(x)
async def computes(x):
    end = time.monotonic() + x
    while time.monotonic() < end: pass
`

func loopFunc[A, R any](t *testing.T, name string) *py.AsyncFunc[A, R] {
	t.Helper()
	loop, err := pytest.Runtime().Loop(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	f, err := py.LookupAsync[A, R](context.Background(), loop, "gilt_loop:"+name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Each coroutine has its own contextvars context, however many are sent at once.
func TestCoroutinesHaveTheirOwnContexts(t *testing.T) {
	pytest.Install(t, "gilt_loop", loopModule)
	changes := loopFunc[int, int](t, "changes")
	var all sync.WaitGroup
	for i := range 500 {
		all.Go(func() {
			if v, err := changes.Call(context.Background(), i); v != i || err != nil {
				t.Error(i, v, err)
			}
		})
	}
	all.Wait()
}

// holdLoop holds the event loop up in a coroutine, until leave is called.
func holdLoop(t *testing.T) (held *gil.Future[struct{}], leave func()) {
	t.Helper()
	entered, left := make(chan struct{}), make(chan struct{})
	pytest.Do(t, func(tok *gil.Token) {
		f, err := py.NewFunction(tok, py.GoFunc{Name: "wait", Native: true, Func: func(int) { close(entered); <-left }})
		if err == nil {
			var m py.Bound
			if m, err = py.Import(tok, "gilt_loop"); err == nil {
				err = m.SetAttr("wait", f)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	held = loopFunc[int, struct{}](t, "hold").Start(context.Background(), 0)
	<-entered
	return held, func() { close(left) }
}

// A call that is overdue when it is handed on to another event loop, before it has begun, is interrupted there.
func TestOverdueOrderThatMoves(t *testing.T) {
	pytest.Install(t, "gilt_loop", loopModule)
	ctx := context.Background()
	held, leave := holdLoop(t)
	loop, err := pytest.Runtime().Loop(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := loop.RetireWithOverdue(ctx, "gilt_loop:computes", 20.0); !errors.Is(err, py.Cancelled) {
		t.Errorf("the call was not interrupted on the other event loop: %v", err)
	}
	leave()
	if _, err := held.Wait(ctx); err != nil {
		t.Error(err)
	}
	pytest.Eventually(t, "the retired event loop has ended", func() bool { return len(pytest.Runtime().Stats().Lost) == 0 })
}

// The error of a coroutine does not keep the local variables of its frames.
func TestErrorOfACoroutineKeepsNoLocals(t *testing.T) {
	pytest.Install(t, "gilt_loop", loopModule)
	_, err := loopFunc[string, struct{}](t, "fails").Call(context.Background(), "mine")
	e, ok := errors.AsType[*py.Error](err)
	if !ok || !strings.Contains(err.Error(), "mine") || !strings.Contains(fmt.Sprintf("%+v", err), "in fails") {
		t.Fatalf("%+v", err)
	}
	pytest.Do(t, func(tok *gil.Token) {
		if gone, err := py.EvalAs[bool](tok, "__import__('gilt_loop').left() is None"); !gone || err != nil {
			t.Errorf("the local variable has gone: %v, %v", gone, err)
		}
	})
	e.Release()
}

// Orders that the loop takes at once stand each for itself: one that cannot be converted, one that is cancelled, and
// those around them.
func TestOrdersTakenAtOnce(t *testing.T) {
	pytest.Install(t, "gilt_loop", loopModule)
	ctx := context.Background()
	loop, err := pytest.Runtime().Loop(ctx)
	if err != nil {
		t.Fatal(err)
	}
	echo, waits := loopFunc[string, string](t, "echo"), loopFunc[int, int](t, "waits")
	held, leave := holdLoop(t)
	sent := loop.Sent()
	send := func(start func()) {
		start()
		sent++
		pytest.Eventually(t, "the order is sent", func() bool { return loop.Sent() == sent })
	}
	until, cancel := context.WithCancel(ctx)
	var first, bad, last *gil.Future[string]
	var cancelled *gil.Future[int]
	send(func() { first = echo.Start(ctx, "a") })
	send(func() { bad = echo.Start(ctx, "\xff") })
	send(func() { cancelled = waits.Start(until, 0) })
	send(cancel) // the cancellation is an order too
	send(func() { last = echo.Start(ctx, "b") })
	leave()
	if _, err := held.Wait(ctx); err != nil {
		t.Error(err)
	}
	if v, err := first.Wait(ctx); v != "a" || err != nil {
		t.Error(v, err)
	}
	if _, err := bad.Wait(ctx); !errors.Is(err, py.UnicodeDecodeError) {
		t.Error(err)
	}
	if _, err := cancelled.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if v, err := last.Wait(ctx); v != "b" || err != nil {
		t.Error(v, err)
	}
}

// What an event loop has given to be asked goes with the functions that it was given by, though it has not said its end.
func TestOrdersOfALoopWithoutItsEnd(t *testing.T) {
	orders, err := cpython.NewOrders()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // and never unlocked: the thread is the event loop's for as long as it lives
		err := pytest.Runtime().Do(context.Background(), func(tok *gil.Token) error {
			enter := py.BoundOf(tok, tok.Entry("test").EnterLoop(orders))
			ns, err := py.NewDict(tok, map[string]any{"enter": enter})
			if err != nil {
				return err
			}
			return py.Run(tok, `
import weakref
whose = set()
left = weakref.ref(whose)
enter(whose)
del whose
assert left() is not None
import builtins
builtins.gilt_left = left
`, ns)
		})
		if err != nil {
			t.Errorf("%+v", err)
		}
	}()
	<-ended
	pytest.Do(t, func(tok *gil.Token) {
		if gone, err := py.EvalAs[bool](tok, "gilt_left() is None"); !gone || err != nil {
			t.Errorf("it has gone: %v, %v", gone, err)
		}
		if err := py.Run(tok, "del __import__('builtins').gilt_left"); err != nil {
			t.Error(err)
		}
	})
	runtime.KeepAlive(orders)
}

// Orders that there is no memory to read are taken when there is.
func TestOrdersWithoutMemory(t *testing.T) {
	orders, err := cpython.NewOrders()
	if err != nil {
		t.Fatal(err)
	}
	pytest.Do(t, func(tok *gil.Token) {
		if _, err := py.Import(tok, "_testcapi"); err != nil {
			t.Skip(err)
		}
		take := py.BoundOf(tok, tok.Entry("test").TakeOrders(orders))
		wire := cpython.AppendNil(cpython.AppendNil(cpython.AppendNil(nil)))
		for id := range int64(3) {
			orders.Put(id, wire)
		}
		ns, err := py.NewDict(tok, map[string]any{"take": take})
		if err != nil {
			t.Fatal(err)
		}
		err = py.Run(tok, `
import _testcapi, select
failed = 0
for n in range(50):
    _testcapi.set_nomemory(n, n + 1)
    try: got = take()
    except MemoryError: got, failed = None, failed + 1
    finally: _testcapi.remove_mem_hooks()
    if got: break
assert failed and got == [0, None, None, None, 1, None, None, None, 2, None, None, None], (failed, got)
`, ns)
		if err != nil {
			t.Errorf("%+v", err)
		}
	})
}
