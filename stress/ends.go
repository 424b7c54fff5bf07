package stress

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"gilt"
	"gilt/gil"
	py "gilt/handles"
)

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

func (a *actor) goexitInDo() error { return a.goexit(func(*gilt.Token) { runtime.Goexit() }) }

func (a *actor) goexitInAllow() error {
	return a.goexit(func(tok *gilt.Token) { tok.AllowThreads(runtime.Goexit) })
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

// interruptLocks interrupts one of the forms of interrupted.py, which must leave every lock free. It is pinned, so that the look
// afterwards is in the same interpreter.
func (a *actor) interruptLocks() error {
	forms := a.funcs.forms
	key := fmt.Sprintf("%s/%d", forms[a.random.IntN(len(forms))], a.random.Uint64())
	s, err := a.rt.Pin(a.ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(a.ctx, time.Duration(1000+a.random.IntN(4000))*time.Microsecond)
	defer cancel()
	err = s.Do(ctx, func(tok *gilt.Token) error { _, err := a.funcs.run.CallIn(tok, key); return err })
	if !ended(err) {
		return fmt.Errorf("%s, whose context ended: %w", key, err)
	}
	return s.Do(a.ctx, func(tok *gilt.Token) error { // after the form has ended, even if its caller was freed before
		left, err := a.funcs.broken.CallIn(tok, key)
		return same(key+" has left: "+left, key+" has left: ", err)
	})
}

// interruptConversion converts what stands for more values than there is memory, until its deadline.
func (a *actor) interruptConversion() error {
	ctx, cancel := context.WithTimeout(a.ctx, time.Duration(1000+a.random.IntN(4000))*time.Microsecond)
	defer cancel()
	err := a.rt.Do(ctx, func(tok *gilt.Token) error {
		m, err := py.Import(tok, moduleName)
		if err != nil {
			return err
		}
		v, err := m.Method("aliases")
		if err != nil {
			return err
		}
		_, err = py.As[any](v)
		return err
	})
	if !ended(err) {
		return fmt.Errorf("a conversion whose context ended: %w", err)
	}
	return nil
}

// fork makes a child, which must not hang, and whose call of Go must be refused. Mode own-gil refuses it as a whole.
func (a *actor) fork() error {
	return a.do(func(tok *gilt.Token) error {
		m, err := py.Import(tok, moduleName)
		if err != nil {
			return err
		}
		got, err := py.MethodAs[string](m, "fork")
		if own := a.rt.Info().Mode == gilt.OwnGIL; err == nil && got != "7" && (!own || got != "refused") {
			err = fmt.Errorf("the child ended with %s", got)
		}
		return err
	})
}

// greenlets switches greenlets that call Go, where the package greenlet is installed.
func (a *actor) greenlets() error {
	n := 1 + a.random.IntN(10)
	got, err := a.funcs.greenlets.Call(a.ctx, n)
	if got == -1 && err == nil {
		return nil // r.prepare has said so
	}
	return same(got, 3*n*(n-1)/2, err)
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
