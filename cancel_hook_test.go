package gilt_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"testing"
	"testing/fstest"
	"time"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// A Go function that does nothing but short operations is interrupted between two of them.
func TestInterruptedGoLoop(t *testing.T) {
	_, rt := cancelModule(t)
	for what, operation := range map[string]func(ns py.Dict, f py.Bound) error{
		"calls of a Python function": func(_ py.Dict, f py.Bound) error { _, err := f.Call(1); return err },
		"calls of C":                 func(ns py.Dict, _ py.Bound) error { _, err := ns.Len(); return err },
		"text, which has a wire form": func(_ py.Dict, f py.Bound) error {
			_, err := f.Call([]string{"text"})
			return err
		},
	} {
		err := rt.Do(within(t, ctx, 30*time.Millisecond), func(tok *gilt.Token) error {
			ns, err := py.NewDict(tok, nil)
			if err != nil {
				return err
			}
			if err := py.Run(tok, "def f(x): return x", ns); err != nil {
				return err
			}
			f, err := ns.Item("f")
			for err == nil {
				err = py.Scope(tok, func() error { return operation(ns, f) })
			}
			return err
		})
		interrupted(t, what, err)
		if !errors.Is(err, py.Cancelled) {
			t.Errorf("%s: %v", what, err)
		}
	}
	clean(t, 100)
}

// What is entered only after the deadline has passed is interrupted too.
func TestInterruptedLater(t *testing.T) {
	_, rt := cancelModule(t)
	for what, source := range map[string]string{
		"a loop after C code":           "import time\ntime.sleep(0.05)\nwhile True: pass",
		"a function called after it":    "import time\ndef f():\n    n = 0\n    while True: n += 1\ntime.sleep(0.05)\nf()",
		"one that C code calls":         "import time\ntime.sleep(0.05)\nany(map(lambda x: False, iter(int, 1)))",
		"a generator that C code draws": "import time\ndef g():\n    while True: yield 0\ntime.sleep(0.05)\nany(g())",
		"two that call one another":     "import time, sys\nsys.setrecursionlimit(300)\ndef f(n): return g(n + 1)\ndef g(n): return f(n + 1)\ntime.sleep(0.05)\nwhile 1:\n    try: f(0)\n    except RecursionError: pass",
	} {
		err := rt.Do(within(t, ctx, 10*time.Millisecond), func(tok *gilt.Token) error {
			ns, err := py.NewDict(tok, nil)
			if err != nil {
				return err
			}
			return py.Run(tok, source+"\n", ns)
		})
		interrupted(t, what, err)
	}
	clean(t, 100)
}

// Recursion without an end and without a limit. 3.10 recurses on the C stack, which ends the process, as in python3.
func TestInterruptedRecursion(t *testing.T) {
	if pytest.Minor(t) < 11 {
		t.Skip("on 3.10 recursion without a limit overflows the C stack")
	}
	_, rt := cancelModule(t)
	err := rt.Do(within(t, ctx, 20*time.Millisecond), func(tok *gilt.Token) error {
		return py.Run(tok, "import sys\nlimit = sys.getrecursionlimit()\nsys.setrecursionlimit(10**9)\ndef f(n): return f(n + 1)\ntry: f(0)\nfinally: sys.setrecursionlimit(limit)")
	})
	interrupted(t, "recursion", err)
	clean(t, 100)
}

func TestCleanUpIsNotInterrupted(t *testing.T) { pytest.Child(t, "long clean-up") }

// longCleanUp: a finally clause that loops for longer than the grace runs to its end. Its caller is freed before.
func longCleanUp() error {
	const source = "import threading\ngo = threading.Event()\nended = False\ndef f(_):\n    global ended\n    try:\n        while True: pass\n    finally:\n        while not go.is_set(): pass\n        ended = True\ndef finish(_):\n    go.set()\ndef has_ended(_): return ended\n"
	rt, err := gilt.Open(ctx, gilt.Config{Grace: 100 * time.Millisecond, FS: []fs.FS{fstest.MapFS{"gilt_clean.py": {Data: []byte(source)}}}})
	if err != nil {
		return err
	}
	defer func() { _ = rt.Close() }()
	f, err := gilt.Lookup[int, any](ctx, rt, "gilt_clean:f")
	if err != nil {
		return err
	}
	soon, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := f.Call(soon, 0); !errors.Is(err, gilt.ErrUninterruptible) {
		return fmt.Errorf("a finally clause that loops: %w", err)
	}
	ask := func(name string) (v bool, err error) {
		g, err := gilt.Lookup[int, bool](ctx, rt, "gilt_clean:"+name)
		if err != nil {
			return false, err
		}
		return g.Call(ctx, 0)
	}
	if ended, err := ask("has_ended"); ended || err != nil {
		return fmt.Errorf("it has ended: %w", err)
	}
	finish, err := gilt.Lookup[int, struct{}](ctx, rt, "gilt_clean:finish")
	if err != nil {
		return err
	}
	if _, err := finish.Call(ctx, 0); err != nil {
		return err
	}
	if !pytest.Until(func() bool { ended, err := ask("has_ended"); return ended && err == nil && len(rt.Stats().Lost) == 0 }) {
		return errors.New("the finally clause did not run to its end")
	}
	return nil
}

func TestNoToolIsFree(t *testing.T) {
	if pytest.Minor(t) < 12 {
		t.Skip("sys.monitoring came with CPython 3.12")
	}
	pytest.Child(t, "no tool")
}

// noTool: where other tools have every number of sys.monitoring, Python code cannot be interrupted, and its caller is freed. When one
// of them is free again it can.
func noTool() error {
	const source = "import sys\nM = sys.monitoring\ndef take(_): [M.use_tool_id(i, 'x') for i in range(6)]\ndef give(_): M.free_tool_id(2)\nstop = False\ndef spin(_):\n    while not stop: pass\ndef end(_):\n    global stop\n    stop = True\n"
	rt, err := gilt.Open(ctx, gilt.Config{Grace: 50 * time.Millisecond, FS: []fs.FS{fstest.MapFS{"gilt_tools.py": {Data: []byte(source)}}}})
	if err != nil {
		return err
	}
	defer func() { _ = rt.Close() }()
	call := func(name string, limit time.Duration) error {
		f, err := gilt.Lookup[int, struct{}](ctx, rt, "gilt_tools:"+name)
		if err != nil {
			return err
		}
		soon, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		_, err = f.Call(soon, 0)
		return err
	}
	if err := call("take", time.Minute); err != nil {
		return err
	}
	if err := call("spin", 20*time.Millisecond); !errors.Is(err, gilt.ErrUninterruptible) {
		return fmt.Errorf("without a tool id: %w", err)
	}
	if err := call("give", time.Minute); err != nil {
		return err
	}
	if !pytest.Until(func() bool { return len(rt.Stats().Lost) == 0 }) {
		return errors.New("it was not interrupted when an id was free")
	}
	return nil
}

// A task that is traced by other means keeps its trace function. Before 3.12 it is then not interrupted.
func TestInterruptionKeepsATracer(t *testing.T) { pytest.Child(t, "traced") }

func traced() error {
	const source = `
import sys, time
lines = 0
kept = None
def tracer(frame, event, arg):
    global lines
    lines += 1
    return tracer
def step(): pass
def f(_):
    global kept
    sys.settrace(tracer)
    try:
        end = time.monotonic() + 2
        while time.monotonic() < end: step()
    finally:
        kept = sys.gettrace() is tracer
        sys.settrace(None)
def is_kept(_): return kept and lines > 0
`
	rt, err := gilt.Open(ctx, gilt.Config{Grace: 30 * time.Second, FS: []fs.FS{fstest.MapFS{"gilt_traced.py": {Data: []byte(source)}}}})
	if err != nil {
		return err
	}
	defer func() { _ = rt.Close() }()
	f, err := gilt.Lookup[int, any](ctx, rt, "gilt_traced:f")
	if err != nil {
		return err
	}
	soon, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	_, err = f.Call(soon, 0)
	var minor int
	if _, err := fmt.Sscanf(rt.Info().Version, "3.%d", &minor); err != nil {
		return err
	}
	if interrupted := errors.Is(err, py.Cancelled); interrupted != (minor >= 12) {
		return fmt.Errorf("interrupted is %t: %w", interrupted, err)
	}
	isKept, err := gilt.Lookup[int, bool](ctx, rt, "gilt_traced:is_kept")
	if err != nil {
		return err
	}
	if kept, err := isKept.Call(ctx, 0); !kept || err != nil {
		return fmt.Errorf("the trace function is gone: %w", err)
	}
	return nil
}

// Code that the canceller does not meet, since its thread mostly waits in asyncio's own.
func TestInterruptedAsyncioRun(t *testing.T) {
	_, rt := cancelModule(t)
	for _, body := range []string{"while True: await asyncio.sleep(0)", "while True: await asyncio.sleep(0.001)", "while True:\n        await asyncio.sleep(0)\n        n = 1"} {
		err := rt.Do(within(t, ctx, 30*time.Millisecond), func(tok *gilt.Token) error {
			ns, err := py.NewDict(tok, nil)
			if err != nil {
				return err
			}
			return py.Run(tok, "import asyncio\nasync def main():\n    "+body+"\nasyncio.run(main())", ns)
		})
		interrupted(t, body, err)
	}
	clean(t, 100)
}

// AllowThreads gives a task another name for the scheduler. It is the same task for its deadline.
func TestInterruptedBetweenAllowThreads(t *testing.T) {
	_, rt := cancelModule(t)
	for what, away := range map[string]func(){
		"nothing":     func() {},
		"a yield":     func() { runtime.Gosched() },
		"a short nap": func() { time.Sleep(2 * time.Millisecond) },
	} {
		err := rt.Do(within(t, ctx, 30*time.Millisecond), func(tok *gilt.Token) error {
			for {
				tok.AllowThreads(away)
				if err := py.Run(tok, "for i in (1, 2, 3): pass"); err != nil {
					return err
				}
			}
		})
		interrupted(t, what, err)
	}
	clean(t, 100)
}

// The clean-up of a task around it does not keep a nested task from its own deadline.
func TestNestedTaskInCleanUp(t *testing.T) {
	_, rt := cancelModule(t)
	pytest.AddModule(t, gilt.GoModule{Name: "gilt_nests", Funcs: []gilt.GoFunc{{Name: "inner", Func: func(tok *gilt.Token) (err error) {
		tok.AllowThreads(func() {
			err = rt.Do(within(t, ctx, 20*time.Millisecond), func(tok *gilt.Token) error { return py.Run(tok, "import gilt_cancel\ngilt_cancel.spin()") })
		})
		return err
	}}}})
	err := rt.Do(ctx, func(tok *gilt.Token) error {
		return py.Run(tok, "import gilt_nests\ntry: pass\nfinally: gilt_nests.inner()")
	})
	interrupted(t, "the nested one", err)
	clean(t, 100)
}

// A profiler sees a return for each call, and a call for each return, of what is interrupted.
func TestProfilerOfInterruptedCode(t *testing.T) {
	_, rt := cancelModule(t)
	const source = `
import sys
calls = returns = 0
def profile(frame, event, arg):
    global calls, returns
    if frame.f_code.co_name == 'work':
        if event == 'call': calls += 1
        elif event == 'return': returns += 1
def work(n):
    return n
sys.setprofile(profile)
try:
    while True: work(1)
finally:
    sys.setprofile(None)
    assert calls == returns, (calls, returns)
`
	for range 5 {
		err := rt.Do(within(t, ctx, 10*time.Millisecond), func(tok *gilt.Token) error {
			ns, err := py.NewDict(tok, nil)
			if err != nil {
				return err
			}
			return py.Run(tok, source, ns)
		})
		interrupted(t, "profiled code", err)
		if !errors.Is(err, py.Cancelled) {
			t.Error(err)
		}
	}
	clean(t, 100)
}
