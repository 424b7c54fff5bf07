package benchmarks

import (
	"context"
	"time"

	"gilt"
	py "gilt/handles"
)

const moduleName = "gilt_bench"

const moduleSource = `
import sys, time, types
m = types.ModuleType(name)
exec('''
import sys, time, _thread
def f0(): return None
def f(x): return x
def fkw(a, b=0): return a + b
class Obj: pass
obj = Obj()
obj.x = 12345678
def boom(): raise ValueError('boom')
stop = False
def hog():
    global stop
    x = 0
    while not stop: x += 1
def set_stop(v):
    global stop
    stop = bool(v)
def work(n):
    s = 0
    for i in range(n): s += i
    return s
def nap(seconds): time.sleep(seconds)
def thread_id(x): return _thread.get_native_id()
def interval(seconds): sys.setswitchinterval(seconds)
''', m.__dict__)
sys.modules[name] = m
`

// env is what the workloads run on.
type env struct {
	ctx    context.Context
	rt     *gilt.Runtime
	rounds int
	round  time.Duration

	// Prepared functions of the module, and owned handles to its objects.
	f        *gilt.Func[int64, int64]
	setStop  *gilt.Func[int64, struct{}]
	hog      *gilt.Func[struct{}, struct{}]
	interval *gilt.Func[float64, struct{}]
	objects  map[string]py.Py
}

// window is a round of several goroutines.
func (e *env) window() time.Duration { return 4 * e.round }

func (e *env) prepare() error {
	e.objects = make(map[string]py.Py)
	err := e.rt.Do(e.ctx, func(tok *gilt.Token) error {
		ns, err := py.Dict(tok, map[string]any{"name": moduleName})
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
		for _, name := range []string{"f0", "f", "fkw", "obj", "boom", "work", "nap", "thread_id", "__dict__"} {
			o, err := m.Attr(name)
			if err != nil {
				return err
			}
			e.objects[name] = o.Unbind()
		}
		return nil
	})
	for _, lookup := range []func() error{
		func() error { return prepared(e, "f", &e.f) },
		func() error { return prepared(e, "set_stop", &e.setStop) },
		func() error { return prepared(e, "hog", &e.hog) },
		func() error { return prepared(e, "interval", &e.interval) },
	} {
		if err == nil {
			err = lookup()
		}
	}
	return err
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

// usual runs a naive side under the switch interval that its users have, CPython's own.
func (e *env) usual(run func() error) error {
	return e.atInterval(5*time.Millisecond, run)
}

func (e *env) atInterval(d time.Duration, run func() error) error {
	ours, err := time.ParseDuration(e.rt.Info().SwitchInterval)
	if err != nil {
		return err
	}
	if _, err := e.interval.Call(e.ctx, d.Seconds()); err != nil {
		return err
	}
	err = run()
	if _, back := e.interval.Call(e.ctx, ours.Seconds()); err == nil {
		err = back
	}
	return err
}
