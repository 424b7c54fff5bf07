package handles_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// What is dropped runs Python code, which changes the context it runs in: a context of its own, unless its own task drops it.
const dropped = `
import contextvars, decimal, threading, weakref
v = contextvars.ContextVar('v', default='none')
ran, saw = 0, []
lock = threading.Lock()
def note():
    global ran
    with lock:
        ran += 1
        saw.append(see())
def see(): return f'{v.get()} {decimal.getcontext().prec}'
def precision():
    decimal.getcontext().prec = 7
    with decimal.localcontext():
        try: yield 1
        finally: note()
def sets():
    try: yield 1
    finally:
        note()
        v.set('left behind')
class Deleted:
    def __del__(self):
        note()
        v.set('left behind')
        decimal.getcontext().prec = 5
class Chained: # what it leaves in the context leaves something in the context in turn
    def __init__(self, left): self.left = left
    def __del__(self):
        note()
        v.set(Chained(self.left - 1) if self.left else 'left behind')
class Watched: pass
def callback(ref):
    note()
    v.set('left behind')
refs = []
def watched():
    o = Watched()
    refs.append(weakref.ref(o, callback))
    return o
def started(g):
    next(g)
    return g
makers = {
    'generator': lambda: started(precision()),
    'generator that sets': lambda: started(sets()),
    '__del__': Deleted,
    'weakref': watched,
    'chain': lambda: Chained(5),
}
def make(kind): return makers[kind]()
def mine():
    v.set('mine')
    decimal.getcontext().prec = 50
def fails(kind):
    local = make(kind) # the exception's traceback holds it
    raise ValueError
def set_in_context(kind): v.set(make(kind))
local = threading.local()
def set_in_thread(kind): local.it = make(kind)
def count(): return ran
def seen():
    wrong = [s for s in saw if s != 'none 28' and not s.startswith('none 7')]
    saw.clear()
    return wrong
`

func TestDropped_InAContextOfItsOwn(t *testing.T) {
	ctx := context.Background()
	pytest.Install(t, "gilt_dropped", dropped)
	see := must(gilt.Lookup[struct{}, string](ctx, pytest.Runtime(), "gilt_dropped:see"))
	count := must(gilt.Lookup[struct{}, int](ctx, pytest.Runtime(), "gilt_dropped:count"))
	seen := must(gilt.Lookup[struct{}, []string](ctx, pytest.Runtime(), "gilt_dropped:seen"))
	module := func(tok *gilt.Token) py.Bound { return must(py.Import(tok, "gilt_dropped")) }
	task := func(f func(m py.Bound) error) error {
		return pytest.Runtime().Do(ctx, func(tok *gilt.Token) error { return f(module(tok)) })
	}
	// What happens while a task waits, which makes something of that kind and drops it.
	ways := map[string]func(kind string) error{
		"Release": func(kind string) error {
			var p py.Py
			err := task(func(m py.Bound) error { p = must(m.Method("make", kind)).Unbind(); return nil })
			p.Release()
			return err
		},
		"a nested task's end": func(kind string) error {
			return task(func(m py.Bound) error { _, err := m.Method("make", kind); return err })
		},
		"a nested task's context": func(kind string) error {
			return task(func(m py.Bound) error { _, err := m.Method("set_in_context", kind); return err })
		},
		"an error": func(kind string) error {
			err := task(func(m py.Bound) error { _, err := m.Method("fails", kind); return err })
			if e := (*py.Error)(nil); !errors.As(err, &e) {
				return fmt.Errorf("no exception: %w", err)
			}
			return pytest.Collect()
		},
		"another thread's task": func(kind string) error {
			_, err := gilt.Submit(ctx, pytest.Runtime(), func(tok *gilt.Token) (int, error) {
				_, err := module(tok).Method("set_in_context", kind)
				return 0, err
			}).Wait(ctx)
			return err
		},
		"a thread's end": func(kind string) error {
			done := make(chan error)
			go func() {
				runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
				done <- task(func(m py.Bound) error { _, err := m.Method("set_in_thread", kind); return err })
			}()
			return <-done
		},
	}
	const times = 10
	for _, kind := range []string{"generator", "generator that sets", "__del__", "weakref", "chain"} {
		for name, way := range ways {
			before := must(count.Call(ctx, struct{}{}))
			for range times {
				pytest.Do(t, func(tok *gilt.Token) {
					m := module(tok)
					must(m.Method("mine"))
					tok.AllowThreads(func() {
						if err := way(kind); err != nil {
							t.Errorf("%s, %s: %+v", kind, name, err)
						}
					})
					if got := must(py.MethodAs[string](m, "see")); got != "mine 50" {
						t.Errorf("%s, %s: a task that goes on sees %q, not what it has set", kind, name, got)
					}
				})
				if got := must(see.Call(ctx, struct{}{})); got != "none 28" {
					t.Errorf("%s, %s: a later task sees %q", kind, name, got)
				}
			}
			// Not all: Go does not end the process's first thread, and a worker may keep the context of its last task.
			pytest.Eventually(t, kind+", "+name+": most is dropped", func() bool { return must(count.Call(ctx, struct{}{})) >= before+times/2 })
			if wrong := must(seen.Call(ctx, struct{}{})); len(wrong) > 0 {
				t.Errorf("%s, %s: what is dropped sees %q", kind, name, wrong)
			}
			if t.Failed() {
				return
			}
		}
	}
}

// A scope's end is its own task's: what goes there runs in the task's context.
func TestDropped_ByItsOwnTask(t *testing.T) {
	pytest.Install(t, "gilt_dropped_own", dropped)
	pytest.Do(t, func(tok *gilt.Token) {
		m := must(py.Import(tok, "gilt_dropped_own"))
		must(m.Method("mine"))
		if err := tok.InScope(func() error { _, err := m.Method("make", "weakref"); return err }); err != nil {
			t.Fatal(err)
		}
		if got := must(py.MethodAs[string](m, "see")); got != "left behind 50" {
			t.Errorf("the task sees %q", got)
		}
	})
}
