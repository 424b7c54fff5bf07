package stress

import (
	"context"
	_ "embed" // interrupted.py

	"gilt"
	py "gilt/handles"
)

const (
	moduleName      = "gilt_stress"
	interruptedName = "gilt_stress_interrupted"
)

//go:embed interrupted.py
var interruptedSource string

const moduleSource = `
import contextvars, gc, hashlib, sys, threading, time

def echo(x): return x
def both(a, b): return [b, a]
def upper(s): return s.upper()
def work(n):
    s = 0
    for i in range(n): s += i
    return s
def nap(seconds): time.sleep(seconds)
def sha(data): return hashlib.sha256(data).digest()
def fail(x): raise ValueError('boom %d' % x)
def missing(x): raise KeyError(x)
def leave(x): sys.exit(x)
def deep(n): return deep(n + 1)
def some(n):
    for i in range(n): yield i
    raise ValueError('end')

class Tracked:
    def __init__(self, n): self.n = n
class Loud(Tracked):
    def __del__(self): work(10)
def cycle(n):
    a, b = Tracked(n), Loud(n)
    a.other, b.other = b, a
    return a

var = contextvars.ContextVar('var', default=0)
def swap(n):
    was = var.get()
    var.set(n)
    return was

local = threading.local()
def mark(n):
    was = getattr(local, 'n', -1)
    local.n = n
    return was

def threads(n):
    sums = []
    all = [threading.Thread(target=lambda: sums.append(work(500)), daemon=False) for _ in range(n)]
    for t in all: t.start()
    for t in all: t.join()
    return sum(sums)
def thread():
    t = threading.Thread(target=work, args=(2000,), daemon=False)
    t.start()
    return t

def aliases():
    v = 'x'
    for _ in range(12): v = [v] * 10
    return v

def fork():
    import os, warnings
    warnings.simplefilter('ignore')
    try:
        pid = os.fork()
    except RuntimeError:
        return 'refused' # mode own-gil
    if pid == 0:
        try:
            import gilt_stress_host
            gilt_stress_host.add(1, 2)
        except RuntimeError:
            os._exit(7)
        os._exit(1)
    return str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

def greenlets(n):
    try:
        from greenlet import getcurrent, greenlet
    except ImportError:
        return -1
    import gilt_stress_host
    got = []
    def work(i):
        for _ in range(3):
            got.append(gilt_stress_host.add(i, 1) - 1)
            getcurrent().parent.switch()
    all = [greenlet(work) for _ in range(n)]
    for _ in range(4):
        for i, g in enumerate(all): g.switch(i) if not g.dead else None
    return sum(got)

def census():
    gc.collect()
    all = gc.get_objects()
    return [sum(isinstance(o, Tracked) for o in all if type(o) in (Tracked, Loud)), len(all)]
`

type pair struct {
	A int    `py:"a"`
	B string `py:"b"`
}

// funcs are prepared functions with each kind of argument and result.
type funcs struct {
	int64              *gilt.Func[int64, int64]
	uint64             *gilt.Func[uint64, uint64]
	float64            *gilt.Func[float64, float64]
	bool               *gilt.Func[bool, bool]
	string, upper      *gilt.Func[string, string]
	bytes, sha         *gilt.Func[[]byte, []byte]
	list               *gilt.Func[[]int64, []int64]
	pair               *gilt.Func[pair, pair]
	dict               *gilt.Func[map[string]float64, map[string]float64]
	both               *gilt.Func[py.Args, []any]
	work, threads      *gilt.Func[int, int]
	fail, missing, out *gilt.Func[int, any]
	deep               *gilt.Func[int, any]
	nap                *gilt.Func[float64, struct{}]
	swap               *gilt.Func[int, int]
	run                *gilt.Func[string, struct{}]
	broken             *gilt.Func[string, string]
	forms              []string
	greenlets          *gilt.Func[int, int]
}

func lookup(ctx context.Context, rt *gilt.Runtime) (f funcs, err error) {
	l := &lookups{ctx: ctx, rt: rt}
	into(l, "echo", &f.int64)
	into(l, "echo", &f.uint64)
	into(l, "echo", &f.float64)
	into(l, "echo", &f.bool)
	into(l, "echo", &f.string)
	into(l, "upper", &f.upper)
	into(l, "echo", &f.bytes)
	into(l, "sha", &f.sha)
	into(l, "echo", &f.list)
	into(l, "echo", &f.pair)
	into(l, "echo", &f.dict)
	into(l, "both", &f.both)
	into(l, "work", &f.work)
	into(l, "threads", &f.threads)
	into(l, "fail", &f.fail)
	into(l, "missing", &f.missing)
	into(l, "leave", &f.out)
	into(l, "deep", &f.deep)
	into(l, "nap", &f.nap)
	into(l, "swap", &f.swap)
	into(l, "greenlets", &f.greenlets)
	intoIn(l, interruptedName, "run", &f.run)
	intoIn(l, interruptedName, "broken", &f.broken)
	var names *gilt.Func[struct{}, []string]
	intoIn(l, interruptedName, "names", &names)
	if l.err == nil {
		f.forms, l.err = names.Call(ctx, struct{}{})
	}
	return f, l.err
}

type lookups struct {
	ctx context.Context
	rt  *gilt.Runtime
	err error
}

func into[A, R any](l *lookups, name string, to **gilt.Func[A, R]) { intoIn(l, moduleName, name, to) }

func intoIn[A, R any](l *lookups, module, name string, to **gilt.Func[A, R]) {
	if l.err == nil {
		*to, l.err = gilt.Lookup[A, R](l.ctx, l.rt, module+":"+name)
	}
}
