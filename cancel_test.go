package gilt_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
	"gilt/scheduler"
)

// What CPython 3.11 to 3.13 raise at the end of a loop, the handlers of a try clause do not see when the loop is its first
// statement or its last, nor do they see a KeyboardInterrupt. So none is.
const cancelSource = `
import time, threading
def spin(n=0):
    while True: n += 1
def spin_for(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end: pass
    return 1
def spin_until(end):
    while time.monotonic() < end: pass
def short(x): return x
def nap(seconds):
    time.sleep(seconds)
    return 1
cleaned, kept = [], []
def careful(_):
    try:
        n = 0
        while True: n += 1
    finally:
        cleaned.append(1)
def stubborn(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try: spin_until(end)
        except BaseException: pass
    return 1
def converts(_):
    try:
        n = 0
        while True: n += 1
    except BaseException as e:
        raise KeyError('mine') from e
def keeps(_):
    try:
        n = 0
        while True: n += 1
    except BaseException:
        return 7
`

func cancelModule(t testing.TB) (context.Context, *gilt.Runtime) {
	t.Helper()
	pytest.Install(t, "gilt_cancel", cancelSource)
	return context.Background(), pytest.Runtime()
}

func lookupFloat(t testing.TB, name string) *gilt.Func[float64, int64] {
	t.Helper()
	f, err := gilt.Lookup[float64, int64](context.Background(), pytest.Runtime(), "gilt_cancel:"+name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func within(t testing.TB, ctx context.Context, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, d)
	t.Cleanup(cancel)
	return ctx
}

// begun runs work again as long as its context ends before its turn comes, as on a busy machine.
func begun(run func() error) error {
	for {
		if err := run(); !errors.As(err, new(*scheduler.WaitError)) && !errors.Is(err, gilt.ErrLate) {
			return err
		}
	}
}

// doWithin is Runtime.Do of work that begins, and then has a deadline after d at most.
func doWithin(t testing.TB, rt *gilt.Runtime, d time.Duration, f func(tok *gilt.Token) error) error {
	t.Helper()
	return begun(func() error { return rt.Do(within(t, ctx, d), f) })
}

// callWithin is the same of a call.
func callWithin(t testing.TB, f *gilt.Func[float64, int64], d time.Duration, a float64) (v int64, err error) {
	t.Helper()
	err = begun(func() error { v, err = f.Call(within(t, ctx, d), a); return err })
	return v, err
}

// interrupted checks an error of work whose deadline passed while it ran.
func interrupted(t testing.TB, what string, err error) {
	t.Helper()
	var e *gilt.InterruptedError
	if !errors.As(err, &e) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%s: %v (%T), want an interruption by the deadline", what, err, err)
	}
}

// clean checks that no exception is left for other tasks.
func clean(t testing.TB, n int) {
	t.Helper()
	short := lookupFloat(t, "short")
	for i := range n {
		if v, err := short.Call(context.Background(), float64(i)); err == nil && v == int64(i) {
			continue
		} else if !errors.Is(err, py.TypeError) { // a float is no int64
			t.Fatalf("task %d after it: %v", i, err)
		}
	}
}

func TestDeadlineInterruptsPython(t *testing.T) {
	ctx, rt := cancelModule(t)
	spin := lookupFloat(t, "spin")
	for range 3 {
		_, err := callWithin(t, spin, 50*time.Millisecond, 0)
		interrupted(t, "a call", err)
		if !errors.Is(err, py.Cancelled) {
			t.Error(err)
		}
	}
	err := doWithin(t, rt, 20*time.Millisecond, func(tok *gilt.Token) error {
		return py.Run(tok, "while True: pass")
	})
	interrupted(t, "Do", err)
	err = begun(func() error {
		return wrong(gilt.Submit(within(t, ctx, 20*time.Millisecond), rt, func(tok *gilt.Token) (int, error) {
			return 0, py.Run(tok, "while True: pass")
		}).Wait(ctx))
	})
	interrupted(t, "Submit", err)
	clean(t, 1000)
}

func TestCleanUpAfterInterruption(t *testing.T) {
	ctx, rt := cancelModule(t)
	_, err := callWithin(t, lookupFloat(t, "careful"), 200*time.Millisecond, 0)
	interrupted(t, "finally", err)
	err = rt.Do(ctx, func(tok *gilt.Token) error {
		m, err := py.Import(tok, "gilt_cancel")
		if err != nil {
			return err
		}
		cleaned, err := py.AttrAs[[]int](m, "cleaned")
		if err == nil && len(cleaned) != 1 {
			t.Error("the finally clause ran", len(cleaned), "times")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	_, err = callWithin(t, lookupFloat(t, "converts"), 200*time.Millisecond, 0)
	interrupted(t, "converted", err)
	if !errors.Is(err, py.KeyError) {
		t.Error(err)
	}
	if v, err := callWithin(t, lookupFloat(t, "keeps"), 200*time.Millisecond, 0); v != 7 || err != nil {
		t.Error("a result in spite of it:", v, err)
	}
	clean(t, 1000)
}

// Whoever gave the context a cause finds it in the error, unless the context's timer is later than the interruption.
func TestCauseOfInterruption(t *testing.T) {
	ctx, _ := cancelModule(t)
	spin, why := lookupFloat(t, "spin"), errors.New("why")
	pytest.Eventually(t, "the deadline's cause is in the error", func() bool {
		err := begun(func() error {
			limited, cancel := context.WithTimeoutCause(ctx, 20*time.Millisecond, why)
			defer cancel()
			return wrong(spin.Call(limited, 0))
		})
		interrupted(t, "a deadline", err)
		return errors.Is(err, why)
	})
	err := begun(func() error {
		cancelled, cancelFor := context.WithCancelCause(ctx)
		time.AfterFunc(20*time.Millisecond, func() { cancelFor(why) })
		return wrong(spin.Call(gilt.WithCancellation(cancelled, gilt.OnCancel), 0))
	})
	if !errors.Is(err, why) || !errors.Is(err, context.Canceled) || !errors.Is(err, py.Cancelled) {
		t.Error("the cancellation's cause:", err)
	}
}

func TestUninterruptible(t *testing.T) { pytest.Child(t, "uninterruptible") }

// uninterruptible frees the callers of what cannot be interrupted.
func uninterruptible() error {
	rt, err := gilt.Open(ctx, gilt.Config{Grace: 300 * time.Millisecond, FS: []fs.FS{fstest.MapFS{"gilt_cancel.py": {Data: []byte(cancelSource)}}}})
	if err != nil {
		return err
	}
	defer func() { _ = rt.Close() }()
	for name, frame := range map[string]string{"nap": "in nap", "stubborn": "in spin_until"} {
		f, err := gilt.Lookup[float64, int64](ctx, rt, "gilt_cancel:"+name)
		if err != nil {
			return err
		}
		if err := freed(rt, "gilt_cancel:"+name, frame, func(ctx context.Context) error { return wrong(f.Call(ctx, 1.5)) }); err != nil {
			return err
		}
	}
	if err := freedBeforeItBegan(rt); err != nil {
		return err
	}
	block := make(chan struct{}) // a Go function that Python calls, and that does not look at its context
	time.AfterFunc(1500*time.Millisecond, func() { close(block) })
	err = freed(rt, "gilt_test.uninterruptible", "in Go code", func(ctx context.Context) error {
		return rt.Do(ctx, func(tok *gilt.Token) error {
			f, err := py.NewFunction(tok, gilt.GoFunc{Name: "block", Func: func() { <-block }, Native: true})
			if err != nil {
				return err
			}
			return wrong(f.Call())
		})
	})
	if err != nil {
		return err
	}
	return hiddenFrames(rt)
}

// hiddenFrames: what has no Python frame is told apart.
func hiddenFrames(rt *gilt.Runtime) error {
	sleeps, err := gilt.Lookup[float64, struct{}](ctx, rt, "time:sleep")
	if err != nil {
		return err
	}
	inC := func() error {
		return freed(rt, "time:sleep", "in C code", func(ctx context.Context) error { return wrong(sleeps.Call(ctx, 0.7)) })
	}
	if err := inC(); err != nil {
		return err
	}
	for _, f := range []func(*gilt.Token) error{
		//gilt:vet-ignore Go code that does not come back is what is tested
		func(*gilt.Token) error { time.Sleep(700 * time.Millisecond); return nil },
		func(tok *gilt.Token) error {
			tok.AllowThreads(func() { time.Sleep(700 * time.Millisecond) })
			return nil
		},
		func(tok *gilt.Token) error {
			err := wrong(py.Eval(tok, "1"))
			//gilt:vet-ignore as this
			time.Sleep(700 * time.Millisecond)
			return err
		},
	} {
		if err := freed(rt, "gilt_test.", "in Go code", func(ctx context.Context) error { return rt.Do(ctx, f) }); err != nil {
			return err
		}
	}
	return inC() // on a thread that may have been in Go code before
}

// freedBeforeItBegan frees a caller whose turn has come while C code keeps the GIL. What he then writes into the argument
// is his own.
func freedBeforeItBegan(rt *gilt.Runtime) error {
	entered := make(chan struct{})
	if err := rt.AddModule(ctx, gilt.GoModule{Name: "gilt_told", Funcs: []gilt.GoFunc{{Name: "entered", Func: func() { close(entered) }}}}); err != nil {
		return err
	}
	keep, err := gilt.Lookup[[]byte, struct{}](ctx, rt, "gilt_cancel:kept.append")
	if err != nil {
		return err
	}
	hog := gilt.Submit(ctx, rt, func(tok *gilt.Token) (int, error) {
		return 0, py.Run(tok, "import gilt_told\ngilt_told.entered()\nsum(range(1 << 28))")
	})
	<-entered
	data := []byte("as it was")
	err = begun(func() error {
		soon, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		return wrong(keep.Call(soon, data))
	})
	if !errors.Is(err, gilt.ErrUninterruptible) {
		return fmt.Errorf("a call that waits for the GIL: %w", err)
	}
	clear(data)
	if _, err := hog.Wait(ctx); err != nil {
		return err
	}
	if !pytest.Until(func() bool { return len(rt.Stats().Lost) == 0 }) {
		return errors.New("the call that waited for the GIL did not come back")
	}
	return rt.Do(ctx, func(tok *gilt.Token) error {
		return py.Run(tok, "import gilt_cancel\nassert gilt_cancel.kept == [b'as it was'], gilt_cancel.kept")
	})
}

// freed runs what goes on after its deadline, and waits for its end.
func freed(rt *gilt.Runtime, what, frame string, run func(context.Context) error) error {
	err := begun(func() error {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		return run(ctx)
	})
	var e *gilt.UninterruptibleError
	if !errors.As(err, &e) || !errors.Is(err, gilt.ErrUninterruptible) || !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", what, err)
	}
	if !strings.Contains(e.Where, frame) || !strings.HasPrefix(e.What, what) || !strings.Contains(err.Error(), what) {
		return fmt.Errorf("it is %q, in %q, want %q in %q: %w", e.What, e.Where, what, frame, err)
	}
	if l := rt.Stats().Lost; len(l) != 1 || l[0].What != e.What || l[0].Where != e.Where {
		return fmt.Errorf("lost are %v, want %v", l, e)
	}
	if !pytest.Until(func() bool { return len(rt.Stats().Lost) == 0 }) {
		return fmt.Errorf("%s did not come back", what)
	}
	for range 200 {
		if err := rt.Do(context.Background(), func(tok *gilt.Token) error { return py.Run(tok, "for i in (1, 2, 3): pass") }); err != nil {
			return fmt.Errorf("a task after it: %w", err)
		}
	}
	return nil
}

func wrong[T any](_ T, err error) error { return err }

func TestPolicies(t *testing.T) {
	ctx, _ := cancelModule(t)
	f := lookupFloat(t, "spin_for")
	cancelled, cancel := context.WithCancel(ctx)
	soon := func() context.Context {
		c, cancel := context.WithCancel(ctx)
		time.AfterFunc(50*time.Millisecond, cancel)
		return c
	}
	cancel()
	var wait *scheduler.WaitError
	if _, err := f.Call(cancelled, 1); !errors.As(err, &wait) || !errors.Is(err, context.Canceled) {
		t.Error("a context that has ended:", err)
	}
	if v, err := f.Call(soon(), 0.1); v != 1 || err != nil {
		t.Error("OnDeadline, cancelled:", v, err)
	}
	later, cancelLater := context.WithTimeout(ctx, time.Minute)
	time.AfterFunc(50*time.Millisecond, cancelLater)
	if v, err := f.Call(later, 0.1); v != 1 || err != nil {
		t.Error("OnDeadline, cancelled before the deadline:", v, err)
	}
	var v int64
	err := begun(func() (err error) {
		v, err = f.Call(gilt.WithCancellation(within(t, ctx, 10*time.Millisecond), gilt.Never), 0.03)
		return err
	})
	if v != 1 || err != nil {
		t.Error("Never:", v, err)
	}
	err = begun(func() error { return wrong(f.Call(gilt.WithCancellation(soon(), gilt.OnCancel), 10)) })
	if !errors.Is(err, context.Canceled) || !errors.Is(err, py.Cancelled) {
		t.Error("OnCancel:", err)
	}
	err = begun(func() error {
		return wrong(gilt.Submit(gilt.WithCancellation(soon(), gilt.OnCancel), pytest.Runtime(), func(tok *gilt.Token) (int, error) {
			return 0, py.Run(tok, "while True: pass")
		}).Wait(ctx))
	})
	if !errors.Is(err, context.Canceled) || !errors.Is(err, py.Cancelled) {
		t.Error("OnCancel, submitted:", err)
	}
	never := lookupFloat(t, "spin_for").Cancellation(gilt.Never)
	if v, err := callWithin(t, never, 10*time.Millisecond, 0.03); v != 1 || err != nil {
		t.Error("a function that is never interrupted:", v, err)
	}
	c, err := pytest.Runtime().ClassWith("cancels", gilt.ClassConfig{Cancellation: gilt.OnCancel})
	if err != nil {
		t.Fatal(err)
	}
	if err = begun(func() error { return wrong(f.Call(gilt.WithClass(soon(), c), 10)) }); !errors.Is(err, context.Canceled) {
		t.Error("a class:", err)
	}
	if _, err := pytest.Runtime().ClassWith("bad", gilt.ClassConfig{Cancellation: 9}); err == nil || !strings.Contains(err.Error(), "OnDeadline, OnCancel or Never") {
		t.Error(err)
	}
	clean(t, 1000)
}

// A deadline that is farther away than a number of nanoseconds can say is none that has passed.
func TestFarDeadline(t *testing.T) {
	ctx, rt := cancelModule(t)
	for what, far := range map[string]context.Context{
		"the longest timeout": within(t, ctx, math.MaxInt64),
		"in a thousand years": until(t, ctx, time.Now().AddDate(1000, 0, 0)),
		"a century":           until(t, ctx, time.Now().AddDate(100, 0, 0)),
	} {
		err := rt.Do(far, func(tok *gilt.Token) error {
			return py.Run(tok, "import gilt_cancel\ngilt_cancel.spin_for(0.05)")
		})
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func until(t testing.TB, ctx context.Context, deadline time.Time) context.Context {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	t.Cleanup(cancel)
	return ctx
}

// manyStuck: each of several that are stuck at the same time is told where it is.
func manyStuck() error {
	rt, err := gilt.Open(ctx, gilt.Config{Grace: 300 * time.Millisecond, FS: []fs.FS{fstest.MapFS{"gilt_cancel.py": {Data: []byte(cancelSource)}}}})
	if err != nil {
		return err
	}
	defer func() { _ = rt.Close() }()
	f, err := gilt.Lookup[float64, int64](ctx, rt, "gilt_cancel:nap")
	if err != nil {
		return err
	}
	errs := make([]error, 6)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			for begun := false; !begun; begun = !errors.As(errs[i], new(*scheduler.WaitError)) && !errors.Is(errs[i], gilt.ErrLate) { // its deadline may pass before its turn
				soon, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
				_, errs[i] = f.Call(soon, 2)
				cancel()
			}
		})
	}
	all.Wait()
	for i, err := range errs {
		var e *gilt.UninterruptibleError
		if !errors.As(err, &e) || !strings.HasSuffix(e.Where, "in nap") {
			return fmt.Errorf("call %d of %d: %w", i, len(errs), errors.Join(errs...))
		}
	}
	for end := time.Now().Add(30 * time.Second); len(rt.Stats().Lost) > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	return nil
}

func TestManyStuck(t *testing.T) { pytest.Child(t, "many stuck") }

// freedBatch: the arguments of a batch are the caller's own again when he is freed.
func freedBatch() error {
	const source = cancelSource + `
def keeps_on(d):
    if 'stubborn' in d: stubborn(0.5)
    return len(d)
`
	rt, err := gilt.Open(ctx, gilt.Config{Grace: 50 * time.Millisecond, FS: []fs.FS{fstest.MapFS{"gilt_cancel.py": {Data: []byte(source)}}}})
	if err != nil {
		return err
	}
	defer func() { _ = rt.Close() }()
	f, err := gilt.Lookup[map[string]int, int64](ctx, rt, "gilt_cancel:keeps_on")
	if err != nil {
		return err
	}
	args := make([]map[string]int, 1025) // more than share a grant
	large := make(map[string]int)
	for i := range 200_000 {
		large[fmt.Sprint(i)] = i
	}
	args[1023], args[1024] = map[string]int{"stubborn": 1}, large
	soon, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if _, errs := f.Batch(soon, args); errs == nil || !errors.Is(errs[1024], gilt.ErrUninterruptible) {
		return fmt.Errorf("it was not freed: %w", errors.Join(errs...))
	}
	for end := time.Now().Add(30 * time.Second); len(rt.Stats().Lost) > 0 && time.Now().Before(end); {
		large["mine"]++ // fatal if it is read at the same time
	}
	return nil
}

func TestFreedBatch(t *testing.T) { pytest.Child(t, "freed batch") }

// slowBatch: a batch that sleeps is freed from, also when quick ones of the same function came before.
func slowBatch() error {
	rt, err := gilt.Open(ctx, gilt.Config{Grace: 50 * time.Millisecond, FS: []fs.FS{fstest.MapFS{"gilt_cancel.py": {Data: []byte(cancelSource)}}}})
	if err != nil {
		return err
	}
	defer func() { _ = rt.Close() }()
	tenant, err := rt.Class("tenant")
	if err != nil {
		return err
	}
	for _, c := range []context.Context{ctx, gilt.WithClass(ctx, tenant)} {
		f, err := gilt.Lookup[float64, int64](ctx, rt, "gilt_cancel:nap")
		if err != nil {
			return err
		}
		for _, seconds := range []float64{0, 0, 0, 0.02} { // the last one says that the next may sleep too
			if _, errs := f.Batch(c, []float64{seconds}); errs != nil {
				return errors.Join(errs...)
			}
		}
		soon, cancel := context.WithTimeout(c, 50*time.Millisecond)
		defer cancel()
		began := time.Now()
		if _, errs := f.Batch(soon, []float64{2}); errs == nil || !errors.Is(errs[0], gilt.ErrUninterruptible) {
			return fmt.Errorf("its caller waited for %v: %w", time.Since(began), errors.Join(errs...))
		}
	}
	return nil
}

func TestSlowBatchIsFreedFrom(t *testing.T) { pytest.Child(t, "slow batch") }

// What is raised in interrupted code is of a class that this code cannot change.
func TestCancelledCannotBeChanged(t *testing.T) {
	ctx, rt := cancelModule(t)
	pytest.Install(t, "gilt_tampers", `
def spin():
    while True: pass
caught = []
def catch(_):
    try: spin()
    except BaseException as e:
        caught.append(e)
        raise
def tricks():
    e, = caught
    c = type(e)
    class Other(BaseException): pass
    def attempt(what, f):
        try: f()
        except TypeError: return
        raise AssertionError(what)
    for name in ('__init__', '__new__', '__eq__', '__hash__', '__str__', '__repr__', '__reduce__', '__setattr__', '__instancecheck__', '__class__', '__bases__',
                 '__name__', '__qualname__', '__module__', '__doc__', '__del__', 'mine'):
        attempt(name, lambda: setattr(c, name, Other))
        attempt(name, lambda: type.__setattr__(c, name, Other))
        attempt('del ' + name, lambda: delattr(c, name))
    attempt('__class__ of an instance', lambda: setattr(e, '__class__', Other))
    attempt('__class__ to it', lambda: setattr(Other(), '__class__', c))
    attempt('a subclass', lambda: type('Sub', (c,), {}))
    attempt('two bases', lambda: type('Sub', (Other, c), {}))
    assert (c.__module__, c.__qualname__, c.__bases__, c.__mro__[1]) == ('gilt', 'Cancelled', (BaseException,), BaseException)
    assert c.__doc__ and not issubclass(c, Exception) and repr(c('x')) == "Cancelled('x')", repr(c('x'))
    import gc, copy
    gc.collect()
    assert type(copy.copy(e)) is c
def raises(_):
    raise type(caught[0])("by myself")
`)
	catch, err := gilt.Lookup[int, int](ctx, rt, "gilt_tampers:catch")
	if err != nil {
		t.Fatal(err)
	}
	interrupt := func() {
		t.Helper()
		_, err := catch.Call(within(t, ctx, 20*time.Millisecond), 1)
		var e *gilt.InterruptedError
		if !errors.As(err, &e) || !errors.Is(err, py.Cancelled) || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	}
	interrupt()
	pytest.Do(t, func(tok *gilt.Token) {
		m, err := py.Import(tok, "gilt_tampers")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Method("tricks"); err != nil {
			t.Errorf("%+v", err)
		}
	})
	interrupt()
	raises, err := gilt.Lookup[int, int](ctx, rt, "gilt_tampers:raises")
	if err != nil {
		t.Fatal(err)
	}
	_, err = raises.Call(within(t, ctx, time.Minute), 1)
	var e *gilt.InterruptedError
	if errors.As(err, &e) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || !errors.Is(err, py.Cancelled) {
		t.Error("one that the code raised by itself:", err)
	}
}
