package gilt_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// switches are programs that switch greenlets. host has f(callback), which calls back; scope(callback), which has handles of its
// own meanwhile; do(), which runs a task inside the call; plain(n) and native(n), which use no Python.
var switches = []struct{ name, needs, source, want string }{ // want is what the last line prints; or a part of the error
	{"without a crossing", "greenlet", `
import greenlet, host
main = greenlet.getcurrent()
def work():
    a = host.plain(1) + host.native(1) + host.f(lambda: 1) + host.do()
    b = main.switch(a)
    return b + host.plain(1) + host.f(lambda: host.f(lambda: 1))
gs = [greenlet.greenlet(work) for _ in range(5)]
print([g.switch() for g in gs], [g.switch(10) for g in gs])
`, "[6, 6, 6, 6, 6] [13, 13, 13, 13, 13]"},
	{"resumed in order", "greenlet", `
import greenlet, host
main = greenlet.getcurrent()
g = greenlet.greenlet(lambda: ('resumed', host.f(lambda: main.switch('left'))))
print(g.switch(), host.plain(1), host.native(1), g.switch(42), host.plain(1))
`, "left 2 2 ('resumed', 42) 2"},
	{"started below a Go function", "greenlet", `
import greenlet, host
def inner():
    g = greenlet.greenlet(lambda: host.f(lambda: host.f(lambda: host.plain(5))))
    return g.switch()
print(host.f(inner), greenlet.greenlet(lambda: host.f(inner)).switch())
`, "6 6"},
	{"plain functions beside one that is inside", "greenlet", `
import greenlet, host
main = greenlet.getcurrent()
g = greenlet.greenlet(lambda: host.f(lambda: main.switch()))
g.switch()
other = greenlet.greenlet(lambda: (host.plain(1), host.native(1)))
print(other.switch(), host.plain(2), g.switch(3))
`, "(2, 2) 3 3"},
	{"another one calls", "greenlet", `
import greenlet, host
main = greenlet.getcurrent()
g = greenlet.greenlet(lambda: host.f(lambda: main.switch()))
g.switch()
said = []
for call in lambda: host.f(lambda: 1), lambda: host.scope(lambda: 1), host.do:
    try: said.append(greenlet.greenlet(call).switch())
    except RuntimeError as e: said.append('inside a Go function' in str(e))
print(said, g.switch(3), host.f(lambda: 4), host.do())
`, "[True, True, True] 3 4 1"},
	{"crossed", "greenlet", `
import greenlet, host
def A(): return host.f(lambda: gB.switch())
def B(): return host.f(lambda: gA.switch("from B"))
gA, gB = greenlet.greenlet(A), greenlet.greenlet(B)
gA.switch()
`, "greenlet is inside a Go function"},
	{"crossed, with handles", "greenlet", `
import greenlet, host
def A(): return host.scope(lambda: gB.switch())
def B(): return host.scope(lambda: gA.switch())
gA, gB = greenlet.greenlet(A), greenlet.greenlet(B)
try: gA.switch()
except RuntimeError as e: assert 'inside a Go function' in str(e)
host.f(lambda: 1)
`, "inside a Go function"},
	{"left for ever", "greenlet", `
import greenlet, host
main = greenlet.getcurrent()
g = greenlet.greenlet(lambda: host.f(lambda: main.switch("left")))
assert (g.switch(), host.plain(1)) == ("left", 2)
`, "greenlet was still inside a Go function"},
	{"many left for ever", "greenlet", `
import greenlet, host
main = greenlet.getcurrent()
gs = [greenlet.greenlet(lambda: host.f(lambda: main.switch())) for _ in range(3)]
gs[0].switch()
kept = []
def inner(): # the others are inside, too, one below the other
    gs[1].parent = gs[2].parent = greenlet.getcurrent()
    gs[1].switch()
try: gs[1].switch()
except RuntimeError: pass
`, "greenlet was still inside a Go function"},
	{"its own exception stays", "greenlet", `
import greenlet, host
main = greenlet.getcurrent()
g = greenlet.greenlet(lambda: host.f(lambda: main.switch()))
g.switch()
raise KeyError('the own one')
`, "KeyError: 'the own one'"},
	{"dropped while inside", "greenlet", `
import greenlet, host
main = greenlet.getcurrent()
g = greenlet.greenlet(lambda: host.f(lambda: main.switch()))
g.switch()
del g # which throws GreenletExit
print(host.f(lambda: 1), greenlet.greenlet(lambda: host.f(lambda: 2)).switch())
`, "1 2"},
	{"while arguments are converted", "greenlet", `
import greenlet, host
main = greenlet.getcurrent()
class Index:
    def __index__(self): return main.switch('converting')
g = greenlet.greenlet(lambda: host.wire([Index(), 2]))
said = [g.switch()]
for call in lambda: host.wire([1]), lambda: host.plain(1), lambda: host.f(lambda: 1):
    try: said.append(call())
    except RuntimeError as e: said.append('inside' in str(e))
print(said, g.switch(5), host.wire([1, 2]))
`, "['converting', True, True, True] 7 3"},
	{"in a Python thread", "greenlet", `
import greenlet, host, threading
said = []
def thread():
    main = greenlet.getcurrent()
    g = greenlet.greenlet(lambda: host.f(lambda: main.switch('left')))
    said.append(g.switch())
    try: host.f(lambda: 1)
    except RuntimeError: said.append('refused')
    said.extend([g.switch(1), host.f(lambda: 2)])
    h = greenlet.greenlet(lambda: host.f(lambda: main.switch()))
    try: host.f(h.switch)
    except RuntimeError as e: said.append('inside' in str(e))
t = threading.Thread(target=thread); t.start(); t.join()
print(said)
`, "['left', 'refused', 1, 2, True]"},
	{"imported while sys.modules keeps its size", "greenlet", `
import host, sys
for name in [name for name in sys.modules if name.startswith("greenlet")]: del sys.modules[name]
for i in range(100): sys.modules[f"gilt_test_{i}"] = None
host.plain(1)
size = len(sys.modules)
import greenlet
for i in range(len(sys.modules) - size): del sys.modules[f"gilt_test_{i}"]
assert len(sys.modules) == size
def A(): return host.f(lambda: gB.switch())
def B(): return host.f(lambda: gA.switch("from B"))
gA, gB = greenlet.greenlet(A), greenlet.greenlet(B)
gA.switch()
`, "greenlet is inside a Go function"},
	{"gevent", "gevent", `
import gevent, gevent.queue, host
q = gevent.queue.Queue()
def work(i):
    gevent.sleep(0.001 * (i % 3))
    q.put(host.plain(i)); q.put(host.f(lambda: i)); q.put(host.do() + host.native(i))
gevent.joinall([gevent.spawn(work, i) for i in range(50)], raise_error=True)
print(sum(q.get() for _ in range(150)))
`, "3825"},
	{"gevent below a Go function", "gevent", `
import gevent, host
def run():
    jobs = [gevent.spawn(host.f, lambda i=i: i) for i in range(5)]
    gevent.joinall(jobs, raise_error=True)
    return sum(j.value for j in jobs)
print(host.f(run))
`, "10"},
	{"gevent sleeps inside", "gevent", `
import gevent, gevent.hub, host
gevent.hub.Hub.NOT_ERROR += (RuntimeError,)
def work(i):
    host.f(lambda: gevent.sleep(0.01 * (i + 1)))
    return i
js = [gevent.spawn(work, i) for i in range(3)]
gevent.joinall(js, timeout=30)
print([j.value for j in js], [type(j.exception).__name__ for j in js])
`, "[0, None, None] ['NoneType', 'RuntimeError', 'RuntimeError']"},
	{"gevent is left inside", "gevent", `
import gevent, gevent.hub, host
gevent.hub.Hub.NOT_ERROR += (RuntimeError,)
js = [gevent.spawn(host.f, lambda: gevent.sleep(30))]
gevent.joinall(js, timeout=0.01)
`, "left or not"},
}

// Greenlets may switch wherever that does not turn Go's order of calls around; else there is a RuntimeError, and the process
// and the runtime go on.
func TestGreenlets(t *testing.T) {
	for _, c := range switches {
		t.Run(c.name, func(t *testing.T) {
			path := pytest.NeedPackages(t, c.needs)
			out := pytest.Child(t, "greenlets", "GILT_TEST_PATH="+path, "GILT_TEST_SOURCE="+c.source)
			if c.want != "left or not" && strings.Count(out, c.want) != 2 { // twice in the process
				t.Errorf("want twice %q in\n%s", c.want, out)
			}
		})
	}
}

func greenletHost(path string) (rt *gilt.Runtime, err error) {
	c := gilt.Config{Modules: []gilt.GoModule{{Name: "host", Funcs: []gilt.GoFunc{
		{Name: "f", Func: func(tok *gilt.Token, cb py.Bound) (py.Bound, error) { return cb.Call() }},
		{Name: "scope", Func: func(tok *gilt.Token, cb py.Bound) (n int, err error) {
			err = py.Scope(tok, func() error {
				l, err := py.NewList(tok, 1, 2, 3)
				if err == nil {
					_, err = cb.Call()
				}
				if err == nil {
					n, err = l.Len()
				}
				return err
			})
			return n, err
		}},
		{Name: "do", Func: func() (n int, err error) {
			err = rt.Do(ctx, func(tok *gilt.Token) (err error) { n, err = py.EvalAs[int](tok, "1"); return err })
			return n, err
		}},
		{Name: "plain", Func: func(n int) int { return n + 1 }},
		{Name: "native", Native: true, Func: func(n int) int { return n + 1 }},
		{Name: "wire", Func: func(l []int) (n int) {
			for _, i := range l {
				n += i
			}
			return n
		}},
	}}}}
	if path != "" {
		c.Path = []string{path}
	}
	rt, err = gilt.Open(ctx, c)
	return rt, err
}

func greenlets() error {
	rt, err := greenletHost(os.Getenv("GILT_TEST_PATH"))
	if err != nil {
		return err
	}
	for range 2 {
		if err := rt.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, os.Getenv("GILT_TEST_SOURCE")) }); err != nil {
			fmt.Println(err)
		}
		if err := rt.Do(ctx, func(tok *gilt.Token) error {
			return py.Run(tok, "import host\nassert (host.f(lambda: 1), host.do(), host.plain(1)) == (1, 1, 2)")
		}); err != nil {
			return err
		}
	}
	c, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return rt.Shutdown(c)
}

// A greenlet that cannot be had out of a Go function ends the process, with a message that names greenlets.
func TestGreenlets_OneThatStays(t *testing.T) {
	path := pytest.NeedPackages(t, "greenlet")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "GILT_TEST_CHILD=greenlets", "GILT_TEST_PATH="+path, "GILT_TEST_SOURCE="+`
import greenlet, host
main = greenlet.getcurrent()
def stays():
    while True:
        try: main.switch()
        except RuntimeError: pass
g = greenlet.greenlet(lambda: host.f(stays))
g.switch()
`)
	out, err := cmd.CombinedOutput()
	if _, exited := errors.AsType[*exec.ExitError](err); !exited || !strings.HasPrefix(string(out), "gilt: fatal: greenlets: ") || strings.Count(string(out), "\n") != 1 {
		t.Errorf("%v\n%.2000s", err, out)
	}
}

// Greenlets switch at random, in tasks of several threads and in Python's: nothing but RuntimeErrors comes of it.
func TestGreenlets_Random(t *testing.T) {
	path := pytest.NeedPackages(t, "greenlet")
	pytest.Child(t, "random greenlets", "GILT_TEST_PATH="+path)
}

func randomGreenlets() error {
	rt, err := greenletHost(os.Getenv("GILT_TEST_PATH"))
	if err != nil {
		return err
	}
	const source = `
import greenlet, host, random, threading
def play(seed):
    rnd, gs, steps = random.Random(seed), [], [300]
    main = greenlet.getcurrent()
    def step(depth=0):
        steps[0] -= 1
        if steps[0] < 0 or depth > 4: return
        for _ in range(rnd.randrange(3)):
            what = rnd.randrange(9)
            try:
                if what == 0: host.plain(1)
                elif what == 1: host.native(1)
                elif what == 2: host.f(lambda: step(depth + 1))
                elif what == 3: host.scope(lambda: step(depth + 1))
                elif what == 4: host.do()
                elif what == 5: gs.append(greenlet.greenlet(lambda: step(depth + 1))); gs[-1].switch()
                elif what == 6: main.switch()
                elif gs:
                    g = rnd.choice(gs)
                    if not g.dead: g.switch()
            except RuntimeError as e:
                assert 'Go function' in str(e), e
    for _ in range(30): step()
for i in range(10):
    try: play(seed * 1000 + i)
    except RuntimeError as e: assert 'Go function' in str(e), e
`
	results := make(chan error)
	for i := range 4 {
		go func() {
			for j := range 10 {
				err := rt.Do(ctx, func(tok *gilt.Token) error {
					ns, err := py.NewDict(tok, map[string]any{"seed": i*100 + j})
					if err != nil {
						return err
					}
					return py.Run(tok, source, ns)
				})
				if err != nil && (!errors.Is(err, py.RuntimeError) || !strings.Contains(err.Error(), "inside a Go function")) {
					results <- err
					return
				}
			}
			results <- nil
		}()
	}
	for range 4 {
		err = errors.Join(err, <-results)
	}
	return errors.Join(err, rt.Shutdown(ctx))
}
