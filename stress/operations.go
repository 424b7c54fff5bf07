package stress

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"gilt"
	"gilt/gil"
	py "gilt/handles"
	"gilt/thread"
)

// actor is a goroutine that does one operation after the other.
type actor struct {
	*run
	random *rand.Rand
	ctx    context.Context // of the operation: with a class, or without
}

// operation gives an error when it did not end as it must. weight is how often it is chosen.
type operation struct {
	name   string
	weight int
	do     func(*actor) error
}

var operations = []operation{
	{"call each kind", 40, (*actor).callKinds},
	{"call for long", 4, (*actor).callLong},
	{"call that raises", 10, (*actor).callRaises},
	{"call without end", 1, (*actor).callDeep},
	{"sleep", 4, (*actor).sleep},
	{"hash", 4, (*actor).hash},
	{"context of its own", 10, (*actor).contextVar},
	{"Do and convert", 10, (*actor).convert},
	{"Do nested", 10, (*actor).nested},
	{"AllowThreads", 10, (*actor).allowThreads},
	{"iterate", 5, (*actor).iterate},
	{"Submit", 20, (*actor).submit},
	{"Submit many", 2, (*actor).submitMany},
	{"Submit and panic", 3, (*actor).submitPanics},
	{"Submit and Goexit", 1, (*actor).submitGoexit},
	{"panic in Do", 5, (*actor).panicInDo},
	{"panic in AllowThreads", 5, (*actor).panicInAllow},
	{"Goexit in Do", 3, (*actor).goexitInDo},
	{"Goexit in AllowThreads", 3, (*actor).goexitInAllow},
	{"context ends", 10, (*actor).contextEnds},
	{"context ends for Submit", 5, (*actor).contextEndsSubmit},
	{"interrupt a loop", 3, (*actor).interruptLoop},
	{"interrupt a sleep", 3, (*actor).interruptSleep},
	{"make a handle", 20, (*actor).makeHandle},
	{"use a handle", 20, (*actor).useHandle},
	{"cycle", 5, (*actor).cycle},
	{"misuse", 5, (*actor).misuse},
	{"Pin", 2, (*actor).pin},
	{"locked goroutine exits", 2, (*actor).lockedExit},
	{"Python threads", 1, (*actor).pythonThreads},
	{"Python thread joined in AllowThreads", 1, (*actor).pythonThread},
}

// choose picks an operation, and for whom it is.
func (a *actor) choose() int {
	total := 0
	for _, op := range operations {
		total += a.weight(op)
	}
	a.ctx = a.run.ctx
	if a.random.IntN(2) == 0 {
		a.ctx = gilt.WithClass(a.ctx, a.tenant[a.random.IntN(len(a.tenant))])
	}
	n := a.random.IntN(total)
	for i, op := range operations {
		if n -= a.weight(op); n < 0 {
			return i
		}
	}
	return 0
}

// weight is how often an operation is chosen in this run.
func (r *run) weight(op operation) int {
	if r.opt.Only != nil && !r.opt.Only.MatchString(op.name) {
		return 0
	}
	return op.weight
}

// try runs an operation; a panic that it did not expect is its error.
func (a *actor) try(op operation) (err error) {
	defer func() {
		if v := recover(); v != nil {
			stack := make([]byte, 1<<14)
			err = fmt.Errorf("panic: %v\n%s", v, stack[:runtime.Stack(stack, false)])
		}
	}()
	return op.do(a)
}

func (a *actor) do(f func(*gilt.Token) error) error { return a.rt.Do(a.ctx, f) }

// same is an error when a result is not what was sent.
func same[T any](got, want T, err error) error {
	if err == nil && !reflect.DeepEqual(got, want) {
		err = fmt.Errorf("got %v, want %v", got, want)
	}
	return err
}

func echo[T any](a *actor, f *gilt.Func[T, T], v T) error {
	got, err := f.Call(a.ctx, v)
	return same(got, v, err)
}

func (a *actor) text() string {
	alphabet := []rune("abcXYZ äöß 日本語 \x00🐍")
	s := make([]rune, a.random.IntN(40))
	for i := range s {
		s[i] = alphabet[a.random.IntN(len(alphabet))]
	}
	return string(s)
}

func (a *actor) ints() []int64 {
	v := make([]int64, a.random.IntN(50))
	for i := range v {
		v[i] = int64(a.random.Uint64())
	}
	return v
}

func (a *actor) bytes(most int) []byte {
	b := make([]byte, a.random.IntN(most))
	for i := range b {
		b[i] = byte(a.random.Uint32())
	}
	return b
}

func (a *actor) callKinds() error {
	switch a.random.IntN(9) {
	case 0:
		return echo(a, a.funcs.int64, int64(a.random.Uint64()))
	case 1:
		return echo(a, a.funcs.uint64, a.random.Uint64())
	case 2:
		return echo(a, a.funcs.float64, a.random.NormFloat64())
	case 3:
		return echo(a, a.funcs.bool, a.random.IntN(2) == 0)
	case 4:
		return echo(a, a.funcs.string, a.text())
	case 5:
		return echo(a, a.funcs.bytes, a.bytes(5000))
	case 6:
		return echo(a, a.funcs.list, a.ints())
	case 7:
		return echo(a, a.funcs.pair, pair{A: a.random.Int(), B: a.text()})
	}
	x, y := int64(a.random.Uint64()), a.text()
	got, err := a.funcs.both.Call(a.ctx, py.Args{x, y})
	if err := same(got, []any{y, x}, err); err != nil {
		return err
	}
	return echo(a, a.funcs.dict, map[string]float64{a.text(): a.random.Float64(), "x": 1})
}

func (a *actor) callLong() error {
	n := a.random.IntN(100_000)
	got, err := a.funcs.work.Call(a.ctx, n)
	return same(got, n*(n-1)/2, err)
}

func (a *actor) callRaises() error {
	n := a.random.IntN(1000)
	_, err := a.funcs.fail.Call(a.ctx, n)
	if !errors.Is(err, py.ValueError) || err.Error() != fmt.Sprintf("ValueError: boom %d", n) {
		return fmt.Errorf("want ValueError: %w", err)
	}
	if _, err = a.funcs.missing.Call(a.ctx, n); !errors.Is(err, py.KeyError) || !errors.Is(err, py.LookupError) {
		return fmt.Errorf("want KeyError: %w", err)
	}
	var exit *py.Error
	if _, err = a.funcs.out.Call(a.ctx, n); !errors.As(err, &exit) {
		return fmt.Errorf("want SystemExit: %w", err)
	}
	if code, ok := exit.ExitCode(); !ok || code != n {
		return fmt.Errorf("want exit code %d: %d %t", n, code, ok)
	}
	return nil
}

func (a *actor) callDeep() error {
	_, err := a.funcs.deep.Call(a.ctx, 0)
	if !errors.Is(err, py.RecursionError) {
		return fmt.Errorf("want RecursionError: %w", err)
	}
	return nil
}

func (a *actor) sleep() error {
	_, err := a.funcs.nap.Call(a.ctx, float64(a.random.IntN(5000))/1e6)
	return err
}

func (a *actor) hash() error {
	data := a.bytes(1 << 18)
	want := sha256.Sum256(data)
	got, err := a.funcs.sha.Call(a.ctx, data)
	return same(got, want[:], err)
}

// contextVar sees a context variable's default and sets it: no other task may see that.
func (a *actor) contextVar() error {
	was, err := a.funcs.swap.Call(a.ctx, 1+a.random.IntN(100))
	if err := same(was, 0, err); err != nil {
		return err
	}
	return a.do(func(tok *gilt.Token) error {
		m, err := py.Import(tok, moduleName)
		for i := range 3 {
			if err == nil {
				was, err = py.MethodAs[int](m, "swap", i+1)
				err = same(was, i, err)
			}
		}
		return err
	})
}

func (a *actor) convert() error {
	return a.do(func(tok *gilt.Token) error {
		want := map[string]any{"list": []any{int64(a.random.Uint64()), a.text(), nil, true}, "x": a.random.Float64(), "b": a.bytes(100)}
		b, err := py.From(tok, want)
		if err != nil {
			return err
		}
		got, err := py.As[any](b)
		return same[any](got, want, err)
	})
}

func (a *actor) nested() error {
	depth := 1 + a.random.IntN(3)
	var down func(n int) error
	down = func(n int) error {
		return a.do(func(tok *gilt.Token) error {
			one, err := py.From(tok, n)
			if err != nil {
				return err
			}
			if n > 0 {
				tok.AllowThreads(func() { err = down(n - 1) })
			}
			if err != nil {
				return err
			}
			v, err := one.Int64()
			return same(v, int64(n), err)
		})
	}
	return down(depth)
}

func (a *actor) allowThreads() error {
	return a.do(func(tok *gilt.Token) error {
		for i := range 1 + a.random.IntN(4) {
			b, err := py.From(tok, a.text())
			if err != nil {
				return err
			}
			n, err := b.Len()
			if err != nil {
				return err
			}
			tok.AllowThreads(func() {
				if i%2 == 0 {
					runtime.Gosched()
				} else {
					time.Sleep(time.Duration(a.random.IntN(200)) * time.Microsecond)
				}
			})
			m, err := b.Len()
			if err := same(m, n, err); err != nil {
				return err
			}
		}
		return nil
	})
}

func (a *actor) iterate() error {
	want := a.random.IntN(20)
	return a.do(func(tok *gilt.Token) error {
		m, err := py.Import(tok, moduleName)
		if err != nil {
			return err
		}
		g, err := m.Method("some", want)
		if err != nil {
			return err
		}
		n := 0
		for item, err := range g.Iter() {
			if err != nil {
				if n != want || !errors.Is(err, py.ValueError) {
					return fmt.Errorf("after %d of %d: %w", n, want, err)
				}
				return nil
			}
			if v, err := item.Int64(); err != nil || v != int64(n) {
				return fmt.Errorf("item %d is %d: %w", n, v, err)
			}
			n++
		}
		return errors.New("the error did not come")
	})
}

func (a *actor) submit() error {
	want := a.random.Int64()
	fail := a.random.IntN(4) == 0
	mine := errors.New("mine")
	got, err := gilt.Submit(a.ctx, a.rt, func(tok *gilt.Token) (int64, error) {
		if fail {
			return 0, mine
		}
		b, err := py.From(tok, want)
		if err != nil {
			return 0, err
		}
		return b.Int64()
	}).Wait(a.ctx)
	if fail && errors.Is(err, mine) {
		return nil
	}
	return same(got, want, err)
}

func (a *actor) submitMany() error {
	futures := make([]*gilt.Future[int], 100)
	for i := range futures {
		futures[i] = gilt.Submit(a.ctx, a.rt, func(*gilt.Token) (int, error) { return i, nil })
	}
	for i, f := range slices.Backward(futures) {
		got, err := f.Wait(a.ctx)
		if err := same(got, i, err); err != nil {
			return err
		}
	}
	return nil
}

func (a *actor) submitPanics() error {
	payload := &struct{ n int }{a.random.Int()}
	_, err := gilt.Submit(a.ctx, a.rt, func(tok *gilt.Token) (int, error) {
		if _, err := py.Eval(tok, "1"); err != nil {
			return 0, err
		}
		panic(payload)
	}).Wait(a.ctx)
	var p *gil.PanicError
	if errors.As(err, &p) && p.Value == any(payload) {
		return nil
	}
	return fmt.Errorf("want a PanicError: %w", err)
}

func (a *actor) submitGoexit() error {
	_, err := gilt.Submit(a.ctx, a.rt, func(*gilt.Token) (int, error) {
		runtime.Goexit()
		return 0, nil
	}).Wait(a.ctx)
	if errors.Is(err, gil.ErrGoexit) {
		return nil
	}
	return fmt.Errorf("want ErrGoexit: %w", err)
}

// panics gives what f panics with.
func panics(f func() error) (value any, err error) {
	defer func() { value = recover() }()
	return nil, f()
}

func expectPanic(want any, f func() error) error {
	got, err := panics(f)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("panic with %v, want %v", got, want)
	}
	return nil
}

func (a *actor) panicInDo() error {
	payload := a.random.Int()
	return expectPanic(payload, func() error {
		return a.do(func(tok *gilt.Token) error {
			if _, err := py.Eval(tok, "1"); err != nil {
				return err
			}
			panic(payload)
		})
	})
}

func (a *actor) panicInAllow() error {
	payload := a.random.Int()
	inside := a.random.IntN(2) == 0
	if !inside {
		return expectPanic(payload, func() error {
			return a.do(func(tok *gilt.Token) error {
				tok.AllowThreads(func() { panic(payload) })
				return nil
			})
		})
	}
	return a.do(func(tok *gilt.Token) error {
		err := expectPanic(payload, func() error {
			tok.AllowThreads(func() { panic(payload) })
			return nil
		})
		if err != nil {
			return err
		}
		v, err := py.EvalAs[int64](tok, "40 + 2") // attached again
		return same(v, 42, err)
	})
}

// apart runs f in a goroutine of its own and waits for its end, which may be a Goexit.
func apart(f func()) (returned bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
		returned = true
	}()
	<-done
	return returned
}

func (a *actor) goexit(in func(tok *gilt.Token)) error {
	var err error
	entered := false
	if apart(func() {
		err = a.do(func(tok *gilt.Token) error {
			entered = true
			if _, err := py.Eval(tok, "[]"); err != nil {
				return err
			}
			in(tok)
			return nil
		})
	}) || !entered {
		return fmt.Errorf("want Goexit: %w", err)
	}
	return nil
}

func (a *actor) goexitInDo() error { return a.goexit(func(*gilt.Token) { runtime.Goexit() }) }

func (a *actor) goexitInAllow() error {
	return a.goexit(func(tok *gilt.Token) { tok.AllowThreads(runtime.Goexit) })
}

// endsSoon is a context that ends after at most 2 ms.
func (a *actor) endsSoon() (context.Context, context.CancelFunc) {
	after := time.Duration(a.random.IntN(2000)) * time.Microsecond
	if a.random.IntN(2) == 0 {
		return context.WithTimeout(a.ctx, after)
	}
	ctx, cancel := context.WithCancel(a.ctx)
	time.AfterFunc(after, cancel)
	return ctx, cancel
}

// ended says whether an error is that of a context that ended. The scheduler looks at deadlines by
// itself, so it may be ahead of the context's own timer.
func ended(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

func (a *actor) contextEnds() error {
	ctx, cancel := a.endsSoon()
	defer cancel()
	var ran atomic.Bool // it may still run when its caller is freed
	err := a.rt.Do(ctx, func(tok *gilt.Token) error {
		ran.Store(true)
		_, err := py.Eval(tok, "1")
		return err
	})
	if err == nil && !ran.Load() || err != nil && !ended(err) {
		return fmt.Errorf("ran is %t: %w", ran.Load(), err)
	}
	n := int64(a.random.Int())
	if v, err := a.funcs.int64.Call(ctx, n); !ended(err) {
		return same(v, n, err)
	}
	return nil
}

// interruptLoop interrupts what would never end by itself.
func (a *actor) interruptLoop() error {
	ctx, cancel := a.endsSoon()
	defer cancel()
	ctx = gilt.WithCancellation(ctx, gilt.OnCancel)
	err := a.rt.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, "n = 0\nwhile True: n += 1") })
	if !ended(err) {
		return fmt.Errorf("an endless loop whose context ended: %w", err)
	}
	return nil
}

// interruptSleep interrupts what sees it only later: its caller may be freed.
func (a *actor) interruptSleep() error {
	ctx, cancel := a.endsSoon()
	defer cancel()
	if _, err := a.funcs.nap.Call(ctx, float64(a.random.IntN(5000))/1e6); err != nil && !ended(err) {
		return fmt.Errorf("a sleep whose context ended: %w", err)
	}
	return nil
}

func (a *actor) contextEndsSubmit() error {
	ctx, cancel := a.endsSoon()
	defer cancel()
	want := a.random.Int()
	future := gilt.Submit(a.ctx, a.rt, func(tok *gilt.Token) (int, error) {
		_, err := py.Eval(tok, "sum(range(1000))")
		return want, err
	})
	got, err := future.Wait(ctx)
	if ended(err) {
		// Given up while it was queued: it ends with that error. Running: its result comes.
		if got, err = future.Wait(a.ctx); ended(err) {
			return nil
		}
	}
	return same(got, want, err)
}

// kept is an owned handle on its way.
type kept struct {
	py     py.Py
	interp int
	n      int
}

func (a *actor) makeHandle() error {
	return a.do(func(tok *gilt.Token) error {
		m, err := py.Import(tok, moduleName)
		if err != nil {
			return err
		}
		class := "Tracked"
		if a.random.IntN(2) == 0 {
			class = "Loud"
		}
		n := a.random.Int()
		o, err := m.Method(class, n)
		if err != nil {
			return err
		}
		k := kept{o.Unbind(), tok.Interpreter(), n}
		switch a.random.IntN(4) {
		case 0: // dropped to the garbage collector
		case 1:
			k.py.Release()
		default:
			select {
			case a.bag <- k:
			default:
				k.py.Release()
			}
		}
		return nil
	})
}

func (a *actor) useHandle() error {
	var k kept
	select {
	case k = <-a.bag:
	default:
		return nil
	}
	err := a.do(func(tok *gilt.Token) error {
		if tok.Interpreter() != k.interp {
			return misused(func() { k.py.Bind(tok) })
		}
		n, err := py.AttrAs[int](k.py.Borrow(tok).Bound, "n")
		if err := same(n, k.n, err); err != nil {
			return err
		}
		c := k.py.Clone(tok)
		k.py.Release()
		k.py = c
		n, err = py.AttrAs[int](c.Bind(tok), "n")
		return same(n, k.n, err)
	})
	switch a.random.IntN(3) {
	case 0:
		k.py.Release()
		k.py.Release()
	case 1:
		apart(k.py.Release)
	}
	return err
}

func (a *actor) cycle() error {
	return a.do(func(tok *gilt.Token) error {
		m, err := py.Import(tok, moduleName)
		if err == nil {
			_, err = m.Method("cycle", 1)
		}
		return err
	})
}

// misused runs f, which must panic with a MisuseError.
func misused(f func()) error {
	got, _ := panics(func() error { f(); return nil })
	if _, ok := got.(*gil.MisuseError); !ok {
		return fmt.Errorf("want a MisuseError, got %v", got)
	}
	return nil
}

// misuse breaks the rules of tokens and handles; each must be answered by a panic, and the next
// operation works.
func (a *actor) misuse() error {
	var late *gilt.Token
	var old py.Bound
	err := a.do(func(tok *gilt.Token) (err error) {
		late = tok
		if old, err = py.From(tok, 1); err != nil {
			return err
		}
		var inner py.Bound
		if err = py.Scope(tok, func() (err error) { inner, err = py.From(tok, 2); return err }); err != nil {
			return err
		}
		tok.AllowThreads(func() { err = misused(func() { _, _ = old.Int64() }) })
		return errors.Join(err,
			misused(func() { _, _ = inner.Int64() }),
			misused(func() { _, _ = py.Bound{}.Int64() }),
			func() (err error) { apart(func() { err = misused(func() { _, _ = old.Int64() }) }); return err }())
	})
	if err != nil {
		return err
	}
	return errors.Join(misused(func() { late.AllowThreads(func() {}) }), misused(func() { _, _ = old.Int64() }))
}

func (a *actor) pin() error {
	s, err := a.rt.Pin(a.ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	want := -1
	for n := range 3 {
		err := s.Do(a.ctx, func(tok *gilt.Token) error {
			m, err := py.Import(tok, moduleName)
			if err != nil {
				return err
			}
			was, err := py.MethodAs[int](m, "mark", n)
			return same(was, want, err)
		})
		if err != nil {
			return err
		}
		want = n
	}
	payload := a.random.Int()
	if err := expectPanic(payload, func() error { return s.Do(a.ctx, func(*gilt.Token) error { panic(payload) }) }); err != nil {
		return err
	}
	s.Close()
	if err := s.Do(a.ctx, func(*gilt.Token) error { return nil }); !errors.Is(err, thread.ErrSessionClosed) && !errors.Is(err, gilt.ErrClosed) {
		return fmt.Errorf("want ErrSessionClosed: %w", err)
	}
	return nil
}

// lockedExit ends an OS thread that has a thread state.
func (a *actor) lockedExit() (err error) {
	apart(func() {
		runtime.LockOSThread()
		err = a.callKinds()
	})
	return err
}

func (a *actor) pythonThreads() error {
	n := 1 + a.random.IntN(3)
	got, err := a.funcs.threads.Call(a.ctx, n)
	return same(got, n*500*499/2, err)
}

func (a *actor) pythonThread() error {
	return a.do(func(tok *gilt.Token) error {
		m, err := py.Import(tok, moduleName)
		if err != nil {
			return err
		}
		t, err := m.Method("thread")
		if err != nil {
			return err
		}
		k := kept{py: t.Unbind(), interp: tok.Interpreter()}
		defer k.py.Release()
		tok.AllowThreads(func() {
			err = a.do(func(inner *gilt.Token) error {
				if inner.Interpreter() != k.interp {
					return nil
				}
				_, err := k.py.Bind(inner).Method("join")
				return err
			})
		})
		if err != nil {
			return err
		}
		_, err = t.Method("join")
		return err
	})
}
