package benchmarks

import (
	"context"
	"fmt"
	"time"

	"gilt"
	"gilt/benchmarks/naive"
	py "gilt/handles"
)

const moduleName = "gilt_bench"

const moduleSource = `
import sys, types
m = types.ModuleType(name)
exec('''
import gc, hashlib, re, sys, threading, time, types, _thread
def f0(): return None
def f(x): return x
def fkw(a, b=0): return a + b
class Obj: pass
obj = Obj()
obj.x = 12345678
def boom(): raise ValueError('boom')
def thread_id(x): return _thread.get_native_id()
def switch_us(n):
    before = round(sys.getswitchinterval() * 1_000_000)
    sys.setswitchinterval(n / 1_000_000)
    return before

def work(n):
    s = 0
    for i in range(n): s ^= i  # not +=: a step takes the same time however many there are
    return s
work_long = types.FunctionType(work.__code__, globals(), "work_long")

def nap_us(n):
    time.sleep(n / 1_000_000)
    return n

blob = b""
def digest(n):
    global blob
    if len(blob) != n: blob = bytes(n)
    return len(hashlib.sha256(blob).digest())

def keep_gil(n): return sum(range(n)) & 1

pattern = re.compile("[ab]*c")
def backtrack(n):
    pattern.match("a" * n)  # counts the letters, and goes back over them in vain, in C
    return n

heap = None
def make_heap(n):
    global heap
    heap = [[i] for i in range(n)]
    return n
def collect(n): return gc.collect()

stop = False
def hog(n):
    x = 0
    while not stop: x += 1
    return x
def set_stop(v):
    global stop
    stop = bool(v)
    return v

threads, counts = [], []
def compute(i):
    x = 0
    while not stop: x += 1
    counts[i] = x
def start_threads(n):
    set_stop(0)
    counts[:] = [0] * n
    threads[:] = [threading.Thread(target=compute, args=(i,), daemon=True) for i in range(n)]
    for t in threads: t.start()
    return n
def end_threads(n):
    set_stop(1)
    for t in threads: t.join()
    return sum(counts)
''', m.__dict__)
sys.modules[name] = m
`

// taskFunctions are the module's functions of one int that gives an int: those that a system can run.
var taskFunctions = []string{"f", "work", "work_long", "nap_us", "digest", "keep_gil", "backtrack", "make_heap", "collect", "hog", "set_stop", "start_threads", "end_threads", "switch_us"}

// env is what the workloads run on.
type env struct {
	ctx    context.Context
	rt     *gilt.Runtime
	rounds int
	round  time.Duration

	f       *gilt.Func[int64, int64]            // the module's f, prepared
	tasks   map[string]*gilt.Func[int64, int64] // taskFunctions, likewise
	objects map[string]py.Py                    // owned handles to the module's objects
}

// atMost is e with no more rounds than that, for workloads whose rounds are long.
func (e *env) atMost(rounds int) *env {
	few := *e
	few.rounds = min(e.rounds, rounds)
	return &few
}

// window is a round of several goroutines.
func (e *env) window() time.Duration { return 4 * e.round }

func (e *env) prepare() error {
	e.objects = make(map[string]py.Py)
	err := e.rt.Do(e.ctx, func(tok *gilt.Token) error {
		ns, err := py.NewDict(tok, map[string]any{"name": moduleName})
		if err != nil {
			return err
		}
		if err := py.Run(tok, moduleSource, ns); err != nil {
			return err
		}
		m, err := py.Import(tok, moduleName)
		if err != nil {
			return err
		}
		for _, name := range append(taskFunctions, "f0", "fkw", "obj", "boom", "thread_id", "__dict__") {
			o, err := m.Attr(name)
			if err != nil {
				return err
			}
			e.objects[name] = o.Unbind()
		}
		return nil
	})
	if err != nil {
		return err
	}
	e.tasks = make(map[string]*gilt.Func[int64, int64])
	for _, name := range taskFunctions {
		if e.tasks[name], err = gilt.Lookup[int64, int64](e.ctx, e.rt, moduleName+":"+name); err != nil {
			return err
		}
	}
	return prepared(e, "f", &e.f)
}

func prepared[A, R any](e *env, name string, to **gilt.Func[A, R]) (err error) {
	*to, err = gilt.Lookup[A, R](e.ctx, e.rt, moduleName+":"+name)
	return err
}

func (e *env) close() {
	for _, o := range e.objects {
		o.Release()
	}
}

// bound is one of the module's objects in a task.
func (e *env) bound(tok *gilt.Token, name string) py.Bound { return e.objects[name].Borrow(tok).Bound }

// usualInterval is CPython's own switch interval, in microseconds.
const usualInterval = 5000

// usual runs a naive side under the switch interval that its users have.
func (e *env) usual(run func() error) error { return e.switching(usualInterval, run) }

// switching runs a naive side under that switch interval, and fails when the runtime changed it meanwhile.
// gilt has no part in setting it.
func (e *env) switching(micros int64, run func() error) error {
	// A task takes with it what others have left to be released: else gilt would come for that in the round.
	if err := e.call(0); err != nil {
		return err
	}
	before := switchInterval(micros)
	err := run()
	if after := switchInterval(before); err == nil && after != micros {
		err = fmt.Errorf("the switch interval was %d µs at the end of a round that is to be measured at %d", after, micros)
	}
	return err
}

func switchInterval(micros int64) (before int64) {
	naive.OnThread(func() { before = naive.Call("switch_us", micros, func() {}) })
	return before
}
