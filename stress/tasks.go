package stress

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"gilt"
	py "gilt/handles"
	"gilt/thread"
)

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
