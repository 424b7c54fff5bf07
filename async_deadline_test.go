package gilt_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"gilt"
	"gilt/gil"
	py "gilt/handles"
	"gilt/internal/pytest"
	"gilt/scheduler"
)

const overdueModule = `
import asyncio, builtins, gc, os, threading, time, types
seen = []
async def which(x): return id(asyncio.get_running_loop()) % (1 << 40)
async def double(x): return 2 * x
async def spin(x):
    try:
        while True: pass
    finally: seen.append('finally')
async def tidy(x):
    try:
        n = 0  # see cancelSource
        while True: n += 1
    except BaseException: return x
async def gathers(x): await asyncio.gather(spin(x), asyncio.sleep(3600))
async def calls_back(x):
    asyncio.get_running_loop().call_soon(spin_now)
    await asyncio.sleep(3600)
def spin_now():
    while True: pass
async def yields(x):
    yield x
    while True: pass
async def naps(x): time.sleep(x)
async def locks(x):
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
async def refuses(x):
    end = time.monotonic() + x
    while time.monotonic() < end:
        try: await asyncio.sleep(3600)
        except asyncio.CancelledError: loop = asyncio.get_running_loop(); loop.call_later(max(0, end - time.monotonic()), asyncio.current_task().cancel)
async def stubborn(x):
    end = time.monotonic() + x
    while time.monotonic() < end:
        try: until(end)
        except BaseException: pass
def until(end):
    while time.monotonic() < end: pass
async def computes(x):
    end, n = time.monotonic() + x, 0
    while time.monotonic() < end: n += 1
    return x
async def deaf(x):
    loop = asyncio.get_running_loop()
    for key in list(loop._selector.get_map().values()): loop.remove_reader(key.fd)
async def closes(x):
    loop = asyncio.get_running_loop()
    for key in list(loop._selector.get_map().values()):
        if not isinstance(key.fileobj, int): continue
        os.close(key.fd)
async def waits(x): await asyncio.sleep(x)
async def starves(n):
    import _testcapi
    if n >= 0: _testcapi.set_nomemory(int(n), int(n) + 1)
    return n
async def fed(x):
    import _testcapi
    _testcapi.remove_mem_hooks()
async def forgets(x):
    for f in gc.get_objects():
        if isinstance(f, types.FunctionType) and f.__qualname__.startswith('run.<locals>.') and 'done' in f.__code__.co_freevars:
            break
    cell = f.__closure__[f.__code__.co_freevars.index('done')]
    done = cell.cell_contents
    def once(*args):
        cell.cell_contents = done
        raise MemoryError
    cell.cell_contents = once
    return x
async def bare(x):
    for name in vars(builtins): setattr(builtins, name, None)
`

// overdue is what its tests share: a runtime whose log is kept.
type overdue struct {
	rt  *gilt.Runtime
	log *logged
	err error
}

var errMine = errors.New("mine")

func (o *overdue) fail(format string, args ...any) {
	o.err = errors.Join(o.err, fmt.Errorf(format, args...))
}

// call calls the coroutine function with a deadline, or without one if it is 0.
func (o *overdue) call(name string, x float64, deadline time.Duration) (float64, error) {
	f, err := gilt.LookupAsync[float64, any](ctx, o.rt, "gilt_overdue:"+name)
	if err != nil {
		return 0, err
	}
	c, cancel := ctx, context.CancelFunc(func() {})
	if deadline > 0 {
		c, cancel = context.WithTimeoutCause(ctx, deadline, errMine)
	}
	defer cancel()
	v, err := f.Call(c, x)
	switch v := v.(type) {
	case int64:
		return float64(v), err
	case float64:
		return v, err
	}
	return 0, err
}

// loop is the event loop that runs.
func (o *overdue) loop() float64 {
	v, err := o.call("which", 0, 0)
	if err != nil {
		o.fail("the event loop: %w", err)
	}
	return v
}

// within calls it and fails unless the call returns soon after its deadline.
func (o *overdue) within(name string, x float64) (float64, error) {
	const deadline, soon = 100 * time.Millisecond, 5 * time.Second
	began := time.Now()
	v, err := o.call(name, x, deadline)
	if took := time.Since(began); took < deadline || took > soon {
		o.fail("%s returned after %v: %w", name, took, err)
	}
	return v, err
}

func overdueRuntime(grace time.Duration) (*overdue, error) {
	o := &overdue{log: &logged{}}
	slog.SetDefault(slog.New(slog.NewTextHandler(o.log, nil)))
	dir, err := os.MkdirTemp("", "gilt")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(dir+"/gilt_overdue.py", []byte(overdueModule), 0o600); err != nil {
		return nil, err
	}
	config := gilt.Config{Path: []string{dir}, Grace: grace}
	if os.Getenv("GILT_TEST_MODE") == "own-gil" {
		config.Mode, config.Interpreters = gilt.OwnGIL, 2
	}
	if o.rt, err = gilt.Open(ctx, config); err != nil {
		return nil, err
	}
	o.loop() // asyncio is imported
	return o, o.err
}

func everyMode(t *testing.T, name string) {
	t.Helper()
	pytest.Child(t, name)
	t.Run("own GIL", func(t *testing.T) {
		pytest.NeedOwnGIL(t)
		pytest.Child(t, name, "GILT_TEST_MODE=own-gil")
	})
}

// A coroutine that computes is interrupted at its deadline, with what it has made, and nothing else on the event loop is.
func TestComputingCoroutineIsInterrupted(t *testing.T) { everyMode(t, "async computes") }

func asyncComputes() error {
	o, err := overdueRuntime(30 * time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = o.rt.Close() }()
	loop := o.loop()
	other := make(chan error, 1)
	go func() { _, err := o.call("waits", 0.8, 0); other <- err }()
	for _, name := range []string{"spin", "gathers", "calls_back"} {
		_, err := o.within(name, 1)
		var i *gil.InterruptedError
		if !errors.As(err, &i) || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errMine) || errors.Is(err, gilt.ErrUninterruptible) {
			o.fail("%s: %w", name, err)
		}
		if name == "spin" && !errors.Is(err, py.Cancelled) {
			o.fail("%s was not interrupted: %w", name, err)
		}
	}
	if v, err := o.within("tidy", 3); v != 3 || err != nil {
		o.fail("a coroutine that returns when it is interrupted: %v %w", v, err)
	}
	if err := <-other; err != nil {
		o.fail("another coroutine: %w", err)
	}
	c, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	f, err := gilt.LookupAsync[float64, float64](ctx, o.rt, "gilt_overdue:yields")
	if err != nil {
		return err
	}
	var got []string
	for v, err := range f.Each(c, 7) {
		got = append(got, fmt.Sprint(v, errors.Is(err, context.DeadlineExceeded)))
	}
	if strings.Join(got, " ") != "7 false 0 true" {
		o.fail("a generator gave %v", got)
	}
	if o.loop() != loop || strings.Contains(o.log.String(), "event loop") {
		o.fail("the event loop was replaced: %s", o.log)
	}
	return o.err
}

// A coroutine that could not be interrupted: its caller is freed, that is told, and later calls work, on a new event loop if the
// coroutine keeps the old one.
func TestBlockedEventLoopIsReplaced(t *testing.T) { everyMode(t, "async blocked") }

func asyncBlocked() error {
	o, err := overdueRuntime(100 * time.Millisecond)
	if err != nil {
		return err
	}
	defer func() { _ = o.rt.Close() }()
	for _, c := range []struct {
		name     string
		x        float64
		line     string // in which it is last seen
		replaced bool
	}{
		{"naps", 1.5, "in naps", true}, {"stubborn", 1.5, "in until", true}, {"locks", 0, "in locks", true},
		{"refuses", 1.5, "in ", false},
	} {
		loop, before := o.loop(), o.log.String()
		later := make(chan error, 1)
		go func() {
			// Not before the event loop is known to be blocked: an order that it has taken waits for it. Stats().Lost may still have
			// the thread of the event loop before.
			pytest.Until(func() bool {
				return strings.Contains(strings.TrimPrefix(o.log.String(), before), "gilt_overdue:"+c.name)
			})
			v, err := o.call("double", 4, 0)
			if err == nil && v != 8 {
				err = fmt.Errorf("got %v", v)
			}
			later <- err
		}()
		_, err := o.within(c.name, c.x)
		var u *gil.UninterruptibleError
		if !errors.As(err, &u) || !errors.Is(err, gilt.ErrUninterruptible) || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errMine) ||
			u.What != "gilt_overdue:"+c.name || !strings.Contains(u.Where, c.line) {
			o.fail("%s: %w", c.name, err)
		}
		if v, err := o.call("double", 4, 20*time.Second); v != 8 || err != nil {
			o.fail("after %s: %v %w", c.name, v, err)
		}
		if err := <-later; err != nil {
			o.fail("a call during %s: %w", c.name, err)
		}
		if replaced := o.loop() != loop; replaced != c.replaced {
			o.fail("%s: the event loop was replaced: %v", c.name, replaced)
		}
		if told := strings.TrimPrefix(o.log.String(), before); strings.Count(told, "level=WARN") != 1 || !strings.Contains(told, c.line) || !strings.Contains(told, c.name) {
			o.fail("%s: the log says %q", c.name, told)
		}
		if c.name != "locks" && !pytest.Until(func() bool { return strings.Contains(strings.TrimPrefix(o.log.String(), before), "has ended") }) {
			o.fail("%s: its end is not told", c.name)
		}
	}
	if !pytest.Until(func() bool { return len(o.rt.Stats().Lost) == 1 }) { // locks
		o.fail("Lost %v", o.rt.Stats().Lost)
	}
	return o.err
}

// Python code takes the event loop's descriptors away: no call waits for ever, and later ones work.
func TestDeafEventLoopIsReplaced(t *testing.T) { everyMode(t, "async deaf") }

func asyncDeaf() error {
	o, err := overdueRuntime(100 * time.Millisecond)
	if err != nil {
		return err
	}
	defer func() { _ = o.rt.Close() }()
	for _, name := range []string{"deaf", "closes"} {
		loop := o.loop()
		_, _ = o.call(name, 0, 100*time.Millisecond) // it has done it when its caller is told
		if _, err := o.call("double", 1, 100*time.Millisecond); !errors.Is(err, gilt.ErrUninterruptible) || !errors.Is(err, context.DeadlineExceeded) {
			o.fail("a call after %s: %w", name, err)
		}
		if v, err := o.call("double", 4, 20*time.Second); v != 8 || err != nil {
			o.fail("a later call after %s: %v %w", name, v, err)
		}
		if o.loop() == loop {
			o.fail("the event loop was not replaced after %s", name)
		}
	}
	return o.err
}

// A coroutine whose caller has no deadline keeps the event loop busy. It is not interrupted for another's deadline; the other's
// caller is freed, and what was sent meanwhile does not wait for it.
func TestBusyEventLoop(t *testing.T) { everyMode(t, "async busy") }

func asyncBusy() error {
	o, err := overdueRuntime(100 * time.Millisecond)
	if err != nil {
		return err
	}
	defer func() { _ = o.rt.Close() }()
	busy := make(chan error, 1)
	began := time.Now()
	go func() {
		v, err := o.call("computes", 5, 0)
		if err == nil && v != 5 {
			err = fmt.Errorf("got %v", v)
		}
		busy <- err
	}()
	// Once the other computes, a call is not begun.
	for err == nil && time.Since(began) < 4*time.Second {
		_, err = o.call("double", 4, 100*time.Millisecond)
	}
	if !errors.Is(err, gilt.ErrUninterruptible) || !strings.Contains(err.Error(), "in computes") {
		o.fail("a call that is not begun: %w", err)
	}
	if v, err := o.call("double", 4, 0); v != 8 || err != nil {
		o.fail("a call without a deadline: %v %w", v, err)
	}
	if time.Since(began) > 5*time.Second {
		o.fail("it waited for the busy coroutine")
	}
	if err := <-busy; err != nil {
		o.fail("the busy coroutine: %w", err)
	}
	if !pytest.Until(func() bool { return len(o.rt.Stats().Lost) == 0 }) {
		o.fail("Lost %v", o.rt.Stats().Lost)
	}
	never := gilt.WithCancellation(ctx, scheduler.Never)
	c, cancel := context.WithTimeout(never, 50*time.Millisecond)
	defer cancel()
	f, err := gilt.LookupAsync[float64, float64](ctx, o.rt, "gilt_overdue:computes")
	if err != nil {
		return err
	}
	if v, err := f.Call(c, 0.4); v != 0.4 || err != nil {
		o.fail("a coroutine that is never interrupted: %v %w", v, err)
	}
	return o.err
}

// Coroutines that are interrupted again and again, beside others: none of these is, and each gives its own result.
func TestInterruptedCoroutinesBesideOthers(t *testing.T) { everyMode(t, "async storm") }

func asyncStorm() error {
	o, err := overdueRuntime(30 * time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = o.rt.Close() }()
	loop := o.loop()
	stop := make(chan struct{})
	var others sync.WaitGroup
	errs := make(chan error, 100)
	for _, name := range []string{"double", "double", "computes", "waits"} {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if _, err := o.call(name, 0.001, 0); err != nil {
						errs <- fmt.Errorf("%s: %w", name, err)
						return
					}
				}
			}
		})
	}
	for range 60 {
		_, err := o.call("spin", 1, 5*time.Millisecond)
		if !errors.Is(err, context.DeadlineExceeded) {
			o.fail("spin: %w", err)
		}
	}
	close(stop)
	others.Wait()
	close(errs)
	for err := range errs {
		o.fail("beside it: %w", err)
	}
	if o.loop() != loop {
		o.fail("the event loop was replaced: %s", o.log)
	}
	return o.err
}

// With all builtins gone asyncio is broken, and each call says so.
func TestCoroutinesWithoutBuiltins(t *testing.T) { everyMode(t, "async bare") }

func asyncBare() error {
	o, err := overdueRuntime(100 * time.Millisecond)
	if err != nil {
		return err
	}
	before := make(chan error, 1)
	go func() { _, err := o.call("waits", 3600, 0); before <- err }()
	_, _ = o.call("bare", 0, time.Second)
	for range 3 {
		if _, err := o.call("double", 1, time.Second); err == nil {
			o.fail("asyncio works without builtins")
		}
	}
	select {
	case <-before:
	case <-time.After(20 * time.Second):
		o.fail("a coroutine of before does not end")
	}
	return o.err
}

// What tells Go of results fails for want of memory, once: no result is forgotten, and the event loop goes on. An allocation
// that fails in asyncio itself may lose a coroutine's turn: then its caller is freed after its deadline.
func TestCoroutineResultsWithoutMemory(t *testing.T) { everyMode(t, "async memory") }

func asyncMemory() error {
	o, err := overdueRuntime(100 * time.Millisecond)
	if err != nil {
		return err
	}
	defer func() { _ = o.rt.Close() }()
	loop := o.loop()
	for range 3 {
		other := make(chan error, 1)
		go func() { _, err := o.call("waits", 0.01, 0); other <- err }()
		if v, err := o.call("forgets", 5, 0); v != 5 || err != nil {
			o.fail("when Go could not be told: %v %w", v, err)
		}
		if err := <-other; err != nil {
			o.fail("beside it: %w", err)
		}
	}
	if o.loop() != loop {
		o.fail("the event loop was replaced: %s", o.log)
	}
	if _, err := o.call("starves", -1, 0); errors.Is(err, py.ImportError) {
		fmt.Println("this Python, or interpreter, has no _testcapi to make allocations fail")
		return o.err
	}
	given := 0
	for n := range 50 {
		v, err := o.call("starves", float64(n), time.Second)
		switch {
		case err == nil && v == float64(n):
			given++
		case !errors.Is(err, py.MemoryError) && !errors.Is(err, gil.ErrNoMemory) && !errors.Is(err, gilt.ErrUninterruptible):
			o.fail("without memory for allocation %d: %v %w", n, v, err)
		}
		_, _ = o.call("fed", 0, time.Second) // it may be the one without memory
	}
	if given < 20 {
		o.fail("of 50 calls %d gave their results", given)
	}
	if v, err := o.call("double", 4, 10*time.Second); v != 8 || err != nil {
		o.fail("after it: %v %w", v, err)
	}
	return o.err
}
