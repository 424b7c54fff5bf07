package gilt_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

var interruptions = flag.Int("interruptions", 10, "how often TestInterruptedLocks interrupts each form")

func loadInterrupted(rt *gilt.Runtime) error {
	source, err := os.ReadFile("stress/interrupted.py")
	if err != nil {
		return err
	}
	return rt.Do(ctx, func(tok *gilt.Token) error {
		_, err := py.ImportSource(tok, "gilt_interrupted", string(source))
		return err
	})
}

// Whatever Python code an interruption comes to, every lock is free afterwards that a with statement has taken, or an acquire
// before try and finally, and every clean-up that began has run to its end.
func TestInterruptedLocks(t *testing.T) {
	rt := pytest.Runtime()
	if err := loadInterrupted(rt); err != nil {
		t.Fatal(err)
	}
	names, err := gilt.Lookup[struct{}, []string](ctx, rt, "gilt_interrupted:names")
	if err != nil {
		t.Fatal(err)
	}
	forms, err := names.Call(ctx, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range forms {
		t.Run(form, func(t *testing.T) {
			if err := interruptForm(rt, form, *interruptions); err != nil {
				t.Error(err)
			}
		})
	}
}

// interruptForm interrupts a form so often, and looks at what is left each time.
func interruptForm(rt *gilt.Runtime, form string, times int) error {
	run, err := gilt.Lookup[string, struct{}](ctx, rt, "gilt_interrupted:run")
	if err != nil {
		return err
	}
	broken, err := gilt.Lookup[string, string](ctx, rt, "gilt_interrupted:broken")
	if err != nil {
		return err
	}
	for n := 0; n < times; {
		key := fmt.Sprintf("%s/%d", form, n)
		soon, cancel := context.WithTimeout(ctx, time.Millisecond+time.Duration(rand.IntN(3000))*time.Microsecond)
		_, err := run.Call(soon, key)
		cancel()
		switch {
		case errors.Is(err, py.Cancelled):
			n++
		case errors.Is(err, gilt.ErrUninterruptible): // the machine was busy for all of the grace
		case !errors.Is(err, context.DeadlineExceeded): // it had no time to begin
			return err
		}
		var left string
		if !pytest.Until(func() bool { left, err = broken.Call(ctx, key); return left != "runs" || err != nil }) || left != "" || err != nil {
			return fmt.Errorf("interruption %d: %s, %w", n, left, err)
		}
	}
	return nil
}

func TestInterruptedLocks_OwnGIL(t *testing.T) {
	pytest.NeedOwnGIL(t)
	pytest.Child(t, "interrupted locks, own GIL")
}

func interruptedLocksOwnGIL() error {
	rt, err := gilt.Open(ctx, gilt.Config{Mode: gilt.OwnGIL, Interpreters: 1, Grace: 5 * time.Second})
	if err != nil {
		return err
	}
	defer func() { _ = rt.Close() }()
	if err := loadInterrupted(rt); err != nil {
		return err
	}
	var all sync.WaitGroup
	forms := []string{"with_lock", "with_counted", "loop_in_with", "loop_in_try", "finally_loops", "with_managed", "put_get", "log", "acquire_decorated", "acquire_pass", "async_with", "async_acquire", "no_positions", "dropped"}
	errs := make([]error, len(forms))
	for i, form := range forms {
		all.Go(func() { errs[i] = interruptForm(rt, form, 5) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// A debugger or a coverage tool finds nothing of gilt's in sys.monitoring when nobody is interrupted, and keeps what it has asked for
// when somebody is.
func TestInterruptionLeavesNoEvents(t *testing.T) {
	if pytest.Minor(t) < 12 {
		t.Skip("sys.monitoring came with CPython 3.12")
	}
	pytest.Install(t, "gilt_monitored", `
import sys
M = sys.monitoring
seen = []
def watch(_):
    for tool in range(6): M.use_tool_id(tool, f"tool {tool}") if tool not in (3, 5) else None
    M.register_callback(0, M.events.PY_START, lambda code, at: seen.append(code.co_name))
    M.set_local_events(0, work.__code__, M.events.PY_START)
def work(): pass
def spin(_):
    while True: work()
def left(_):
    tools = [M.get_tool(i) for i in range(6)]
    events = [M.get_local_events(i, spin.__code__) for i in range(6) if M.get_tool(i)]
    return f"{tools} {events}"
def unwatch(_):
    M.set_local_events(0, work.__code__, 0)
    M.register_callback(0, M.events.PY_START, None)
    for tool in range(6): M.free_tool_id(tool) if tool not in (3, 5) else None
    return len(seen)
`)
	spin, left := lookupIn[int, int](t, "gilt_monitored:spin"), lookupIn[int, string](t, "gilt_monitored:left")
	watch, unwatch := lookupIn[int, any](t, "gilt_monitored:watch"), lookupIn[int, int](t, "gilt_monitored:unwatch")
	for _, want := range []string{"[None, None, None, None, None, None] []", "['tool 0', 'tool 1', 'tool 2', None, 'tool 4', None] [0, 0, 0, 0]"} {
		if strings.Contains(want, "tool") {
			if _, err := watch.Call(ctx, 0); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			_, err := spin.Call(within(t, ctx, 20*time.Millisecond), 0)
			interrupted(t, "a loop", err)
		}
		pytest.Eventually(t, "nothing is left: "+want, func() bool {
			got, err := left.Call(ctx, 0)
			if err != nil {
				t.Fatal(err)
			}
			return got == want
		})
	}
	if n, err := unwatch.Call(ctx, 0); n == 0 || err != nil {
		t.Errorf("the other tool saw %d calls: %v", n, err)
	}
}

func lookupIn[A, R any](t testing.TB, name string) *gilt.Func[A, R] {
	t.Helper()
	f, err := gilt.Lookup[A, R](ctx, pytest.Runtime(), name)
	return pytest.Must(t, f, err)
}
