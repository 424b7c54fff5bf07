package gilt_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"gilt"
	"gilt/gil"
	py "gilt/handles"
	"gilt/internal/cpython"
	"gilt/internal/pytest"
)

// onEndingThread runs f on an OS thread of its own, which ends with it.
func onEndingThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked
		done <- f()
	}()
	return <-done
}

// A thread that has begun to end can enter no Python: its thread states are on their way back.
func TestThreadEnd_EnteringIsAnError(t *testing.T) {
	rt := pytest.Runtime()
	f, err := gilt.Lookup[int, int](ctx, rt, "builtins:abs")
	if err != nil {
		t.Fatal(err)
	}
	for name, enter := range map[string]func() error{
		"Do":         func() error { return rt.Do(ctx, func(*gilt.Token) error { return errors.New("it ran") }) },
		"Func.Call":  func() error { _, err := f.Call(ctx, -1); return err },
		"Func.Batch": func() error { _, errs := f.Batch(ctx, []int{-1}); return errors.Join(errs...) },
	} {
		if err := onEndingThread(func() error {
			if err := enter(); name == "Do" && err == nil || name != "Do" && err != nil {
				return fmt.Errorf("before the thread ends: %w", err)
			}
			listed := cpython.ListedThreads()
			cpython.EndThread()
			for range 3 {
				if err := enter(); !errors.Is(err, gil.ErrThreadEnding) {
					return fmt.Errorf("on a thread that ends: %w", err)
				}
			}
			if n := cpython.ListedThreads(); n >= listed {
				return fmt.Errorf("%d threads are known, %d before the end of one", n, listed)
			}
			return nil
		}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// statesSoon says whether no more of Python's thread states than that are there, when those of ended threads were given back: a few
// more for the threads that Go keeps.
func statesSoon(h *gil.Host, it *cpython.Interp, states int) bool {
	return pytest.Until(func() bool { h.ReapThreads(); return it.States() <= states+runtime.GOMAXPROCS(0)+2 })
}

// threadStates are what the children below look at.
func threadStates(rt *gilt.Runtime) (h *gil.Host, it *cpython.Interp, states int, err error) {
	err = rt.Do(ctx, func(tok *gilt.Token) error {
		cpython.FailMemory(-1)
		h, it, states = tok.Host(), tok.Interp(), tok.Interp().States()
		return nil
	})
	return h, it, states, err
}

// An OS thread's number is another's by the time its thread state is looked at: the state is given back all the same.
func TestThreadEnd_NumberIsALivingThreads(t *testing.T) {
	if _, err := os.Stat("/proc/thread-self/stat"); err != nil {
		t.Skip("this system does not tell when a thread began: ", err)
	}
	pytest.Child(t, "thread number used again")
}

func threadNumberUsedAgain() error {
	rt, err := gilt.Open(ctx, gilt.Config{})
	if err != nil {
		return err
	}
	h, it, before, err := threadStates(rt)
	if err != nil {
		return err
	}
	for range 100 {
		if err := onEndingThread(func() error {
			if err := rt.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, "pass") }); err != nil {
				return err
			}
			cpython.EndThreadOfUsedNumber()
			return nil
		}); err != nil {
			return err
		}
	}
	if !statesSoon(h, it, before) {
		return fmt.Errorf("%d thread states, %d before", it.States(), before)
	}
	return rt.Close()
}

// There is no memory for the thread state that is needed to give others back: they are given back later.
func TestThreadEnd_NoMemoryToGiveStatesBack(t *testing.T) { pytest.Child(t, "no memory for states") }

func noMemoryForStates() error {
	const threads = 100
	held, leave := make(chan struct{}), make(chan struct{})
	rt, err := gilt.Open(ctx, gilt.Config{Modules: []gilt.GoModule{{Name: "host", Funcs: []gilt.GoFunc{
		{Name: "hold", Native: true, Func: func(int) { close(held); <-leave }},
	}}}})
	if err != nil {
		return err
	}
	h, it, before, err := threadStates(rt)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var entered sync.WaitGroup
	end, errs := make(chan struct{}), make(chan error, threads+1)
	entered.Add(threads)
	listed := cpython.ListedThreads()
	for range threads {
		go func() {
			runtime.LockOSThread() // and never unlocked
			errs <- rt.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, "pass") })
			entered.Done()
			<-end
		}()
	}
	entered.Wait()
	go func() { // the janitor waits for the GIL meanwhile
		errs <- rt.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, "import host; host.hold(1)") })
	}()
	<-held
	close(end)
	cpython.FailMemory(0)
	ended := pytest.Until(func() bool {
		it.Reap()
		return cpython.ListedThreads() <= listed+runtime.GOMAXPROCS(0)+2
	})
	it.Reap()
	cpython.FailMemory(-1)
	close(leave)
	for range threads + 1 {
		if err := <-errs; err != nil {
			return err
		}
	}
	if !ended || !statesSoon(h, it, before) {
		return fmt.Errorf("%d thread states, %d before; the threads have ended: %v", it.States(), before, ended)
	}
	return rt.Close()
}

// destructors has C thread-locals whose destructors run Python code that calls Go, in each round that the C library makes.
const destructors = `
import ctypes, host, threading, _thread
libc = ctypes.CDLL(None)
outcomes, missed, local = [], [], threading.local()
def note(what):
    outcomes.append(what) # at once: destructors of two threads may run in turns
def destructor(rounds):
    key = ctypes.c_uint()
    def ends(p):
        held.pop(_thread.get_ident(), None) # the last reference to a Go function
        try:
            note('called' if host.add(1) == 2 else 'wrong')
        except RuntimeError as e:
            note(str(e))
        if p > 1: libc.pthread_setspecific(key, ctypes.c_void_p(p - 1))
    callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(ends)
    assert libc.pthread_key_create(ctypes.byref(key), callback) == 0
    def use(): assert libc.pthread_setspecific(key, ctypes.c_void_p(rounds)) == 0
    use.keep = callback
    return use
held = {}
libc.pthread_setspecific.argtypes = ctypes.c_uint, ctypes.c_void_p
uses = [destructor(rounds) for rounds in (1, 2, 3, 4)]
def use(f):
    if f is not None:
        held[_thread.get_ident()] = f
    for u in uses: u()
def in_python(f):
    assert host.add(1) == 2
    use(f)
def only_at_end(f): # the first call of Go on the thread is a destructor's
    use(f)
`

func TestThreadEnd_DestructorsThatCallGo(t *testing.T) {
	for _, kind := range []string{"python", "at end", "go"} {
		t.Run(kind, func(t *testing.T) { pytest.Child(t, "thread destructors", "KIND="+kind) })
	}
}

func threadDestructors() error {
	kind := os.Getenv("KIND")
	rt, err := gilt.Open(ctx, gilt.Config{Modules: []gilt.GoModule{{Name: "host", Funcs: []gilt.GoFunc{{Name: "add", Func: func(tok *gilt.Token, x int) (int, error) {
		y, err := py.EvalAs[int](tok, "len([1])")
		return x + y, err
	}}}}}})
	if err != nil {
		return err
	}
	if err := rt.Do(ctx, func(tok *gilt.Token) error { _, err := py.ImportSource(tok, "ends", destructors); return err }); err != nil {
		return err
	}
	const threads = 100
	var stopped, made atomic.Int64
	do := func(source string) error {
		return rt.Do(ctx, func(tok *gilt.Token) error {
			made.Add(1)
			f, err := py.FromSeq(tok, func(yield func(int, error) bool) {
				for yield(1, nil) {
				}
				stopped.Add(1) // nothing of Python's refers to it any more
			})
			if err != nil {
				return err
			}
			if _, err := f.Method("__next__"); err != nil {
				return err
			}
			ns, err := py.NewDict(tok, map[string]any{"f": f})
			if err != nil {
				return err
			}
			return py.Run(tok, "import ends, threading\n"+source, ns)
		})
	}
	before := cpython.ListedThreads()
	for range threads {
		switch kind {
		case "python":
			err = do("t = threading.Thread(target=ends.in_python, args=(f,)); del f; t.start(); t.join()")
		case "at end":
			err = do("t = threading.Thread(target=ends.only_at_end, args=(f,)); del f; t.start(); t.join()")
		case "go":
			err = onEndingThread(func() error { return do("ends.use(f); del f") })
		}
		if err != nil {
			return err
		}
	}
	var all []string
	if !pytest.Until(func() bool { // the last destructors may still run
		err = rt.Do(ctx, func(tok *gilt.Token) error {
			m, err := py.Import(tok, "ends")
			if err == nil {
				all, err = py.AttrAs[[]string](m, "outcomes")
			}
			return err
		})
		return err != nil || len(all) >= 10*threads-10 // Go does not end the process's first thread
	}) {
		return fmt.Errorf("%d destructors should have run: %d", 10*threads, len(all))
	}
	outcomes := map[string]int{}
	for _, what := range all {
		outcomes[what]++
	}
	const ending = "add(): this thread is ending, and calls Go no more"
	for what := range outcomes {
		if what != ending && (what != "called" || kind != "at end") {
			return fmt.Errorf("%d times: %s", outcomes[what], what)
		}
	}
	if outcomes[ending] == 0 {
		return fmt.Errorf("no call was refused: %v", outcomes)
	}
	if !pytest.Until(func() bool { return stopped.Load() >= made.Load()-1 }) {
		return fmt.Errorf("%d of %d Go iterators were dropped", stopped.Load(), made.Load())
	}
	if n := cpython.ListedThreads(); n > before+10+runtime.GOMAXPROCS(0) {
		return fmt.Errorf("%d threads are known, %d before", n, before)
	}
	return rt.Shutdown(ctx)
}

// A thread's number is used again for the next thread at once. What Python knows by the number of a thread that Go made
// (threading.current_thread() and its attributes) goes with the thread.
func TestThreadEnd_NumberIsUsedAgain(t *testing.T) {
	for _, mode := range []gilt.Mode{gilt.GIL, gilt.OwnGIL} {
		t.Run(string(mode), func(t *testing.T) {
			if mode == gilt.OwnGIL {
				pytest.NeedOwnGIL(t)
			}
			pytest.Child(t, "thread numbers", "MODE="+string(mode))
		})
	}
}

func threadNumbers() error {
	c := gilt.Config{Mode: gilt.Mode(os.Getenv("MODE"))}
	if c.Mode == gilt.OwnGIL {
		c.Interpreters = 1
	}
	rt, err := gilt.Open(ctx, c)
	if err != nil {
		return err
	}
	if err := rt.Do(ctx, func(tok *gilt.Token) error {
		_, err := py.ImportSource(tok, "tenants", `
import threading
seen, again = set(), 0
def touch(i):
    global again
    t, number = threading.current_thread(), (threading.get_ident(), threading.get_native_id())
    assert threading.current_thread() is t and threading._active[t.ident] is t
    if number not in seen: # a new thread
        again += any(ident == number[0] for ident, _ in seen)
        seen.add(number)
        if hasattr(t, 'tenant'): return f'thread {i} has what belongs to tenant {t.tenant}'
    t.tenant = i
    return ''
def state(): return [len(threading._active), again]
stop = threading.Event()
def wait(): stop.wait()
own = threading.Thread(target=wait, name='own')
own.start()
def end():
    assert own in threading.enumerate() and own.is_alive(), threading.enumerate()
    stop.set()
    own.join()
`)
		return err
	}); err != nil {
		return err
	}
	touch, err := gilt.Lookup[int, string](ctx, rt, "tenants:touch")
	if err != nil {
		return err
	}
	state, err := gilt.Lookup[struct{}, []int](ctx, rt, "tenants:state")
	if err != nil {
		return err
	}
	const threads = 300
	for i := range threads {
		if err := onEndingThread(func() error {
			for range 3 {
				if wrong, err := touch.Call(ctx, i); err != nil || wrong != "" {
					return fmt.Errorf("%s %w", wrong, err)
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	now, err := state.Call(ctx, struct{}{})
	if err != nil {
		return err
	}
	if now[1] == 0 {
		return errors.New("no number was used again: this test shows nothing here")
	}
	if !pytest.Until(func() bool { // the janitor
		now, err = state.Call(ctx, struct{}{})
		return err != nil || now[0] <= 3+runtime.GOMAXPROCS(0)
	}) || err != nil {
		return fmt.Errorf("threading knows %d threads of %d that have ended: %w", now[0], threads, err)
	}
	if err := rt.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, "import tenants; tenants.end()") }); err != nil {
		return err
	}
	return rt.Shutdown(ctx)
}
