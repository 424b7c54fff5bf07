package handles_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"gilt"
	"gilt/gil"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// misused says whether f is a misuse.
func misused(f func()) (is bool) {
	defer func() {
		if v := recover(); v != nil {
			var e *gil.MisuseError
			if err, ok := v.(error); !ok || !errors.As(err, &e) {
				panic(v)
			}
			is = true
		}
	}()
	f()
	return false
}

// Handles that are used by some goroutines and released by others at any moment: each use is good or a misuse, and
// what was used is the object that the handle was made of.
func TestReleaseRacesWithUse(t *testing.T) {
	rt := pytest.Runtime()
	n := 3000
	if raceDetector {
		n = 500
	}
	var handles [16]atomic.Pointer[py.Py] // of lists [i]
	var good, bad, used atomic.Int64
	var all errgroup.Group
	const makers = 2
	for range makers {
		all.Go(func() error { // makes them
			for used.Load() < int64(4*makers*n) {
				i := rand.IntN(len(handles))
				err := rt.Do(ctx, func(tok *gilt.Token) error {
					l, err := py.NewList(tok, i)
					if err != nil {
						return err
					}
					p := l.Unbind()
					if old := handles[i].Swap(&p); old != nil {
						old.Release()
					}
					return nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		all.Go(func() error { // releases them
			for used.Load() < int64(4*makers*n) {
				if p := handles[rand.IntN(len(handles))].Load(); p != nil {
					p.Release()
				}
				runtime.Gosched()
			}
			return nil
		})
		for _, use := range []func(*gilt.Token, py.Py) (py.Bound, error){
			func(tok *gilt.Token, p py.Py) (py.Bound, error) { return p.Bind(tok), nil },
			func(tok *gilt.Token, p py.Py) (py.Bound, error) { return p.Borrow(tok).Bound, nil },
			func(tok *gilt.Token, p py.Py) (py.Bound, error) {
				c := p.Clone(tok)
				defer c.Release()
				return c.Bind(tok), nil
			},
			func(tok *gilt.Token, p py.Py) (py.Bound, error) {
				l, err := py.NewList(tok, p)
				if err != nil {
					return py.Bound{}, err
				}
				return l.Item(0)
			},
		} {
			all.Go(func() error {
				for done := 0; done < n; {
					i := rand.IntN(len(handles))
					p := handles[i].Load()
					if p == nil {
						runtime.Gosched()
						continue
					}
					done++
					used.Add(1)
					err := rt.Do(ctx, func(tok *gilt.Token) (err error) {
						if misused(func() {
							var b, item py.Bound
							if b, err = use(tok, *p); err != nil {
								return
							}
							if item, err = b.Item(0); err != nil {
								return
							}
							if v, e := item.Int64(); e != nil || v != int64(i) {
								err = errors.Join(e, errors.New("another object"))
							}
						}) {
							bad.Add(1)
						} else {
							good.Add(1)
						}
						return err
					})
					if err != nil {
						used.Add(1 << 40) // the others end too
						return err
					}
				}
				return nil
			})
		}
	}
	if err := all.Wait(); err != nil {
		t.Error(err)
	}
	if good.Load() == 0 || bad.Load() == 0 {
		t.Errorf("%d uses were good, %d misuses: nothing raced", good.Load(), bad.Load())
	}
}

// A handle that was released stays one when the memory of its kind is used again.
func TestReleasedHandlesStayReleased(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		old := py.None(tok).Unbind()
		old.Release()
		var others []py.Py
		for range 100 {
			others = append(others, list(t, tok).Unbind())
		}
		pytest.WantMisuse(t, "zero value", func() { old.Bind(tok) })
		old.Release() // does nothing to the others
		for _, p := range others {
			if n, err := p.Bind(tok).Len(); n != 3 || err != nil {
				t.Fatal(n, err)
			}
			p.Release()
		}
	})
}

// Handles that a long task makes, borrows and releases in scopes go meanwhile; what is borrowed and not released stays good
// when the scope has ended.
func TestBorrowedInScopes(t *testing.T) {
	rt := pytest.Runtime()
	pytest.Do(t, func(tok *gilt.Token) {
		before := handlesLeft(t, rt)
		kept := list(t, tok).Unbind()
		defer kept.Release()
		var borrowed py.Borrowed
		for range 1000 {
			err := py.Scope(tok, func() error {
				p := list(t, tok).Unbind()
				//gilt:vet-ignore a Borrowed outlives the scope
				borrowed = kept.Borrow(tok)
				for range 3 {
					if n, err := p.Borrow(tok).Len(); n != 3 || err != nil {
						t.Error(n, err)
					}
				}
				p.Release()
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if n := rt.Stats().Handles; n > before+1 { // others' may go meanwhile
			t.Errorf("%d handles more", n-before)
		}
		if n, err := borrowed.Len(); n != 3 || err != nil {
			t.Error(n, err)
		}
	})
}

// What a Go function gives Python is good though its handle is released before Python, which waits for the GIL, has taken it.
func TestBorrowedResult(t *testing.T) {
	rt := pytest.Runtime()
	pytest.Install(t, "gilt_borrowed_result", "gone = []\nclass C(list):\n    def __del__(self): gone.append(1)\n")
	lent := func(tok *gilt.Token) (b py.Borrowed, err error) {
		var p py.Py
		err = py.Scope(tok, func() error {
			v, err := py.Eval(tok, "__import__('gilt_borrowed_result').C()")
			if err == nil {
				p = v.Unbind()
			}
			return err
		})
		if err != nil {
			return b, err
		}
		b = p.Borrow(tok)
		busy := make(chan struct{})
		tok.AllowThreads(func() {
			go func() {
				_ = rt.Do(context.Background(), func(tok *gilt.Token) error {
					close(busy)
					return py.Run(tok, "pow(7, 1_000_000)") // does not give the GIL up
				})
			}()
			<-busy
		})
		time.AfterFunc(50*time.Millisecond, p.Release)
		return b, nil
	}
	for name, f := range map[string]any{
		"itself": lent,
		"as a list": func(tok *gilt.Token) (l py.List, err error) {
			b, err := lent(tok)
			return py.List(b), err
		},
		"in a value": func(tok *gilt.Token) ([]any, error) {
			b, err := lent(tok)
			return []any{b}, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			pytest.Do(t, func(tok *gilt.Token) {
				m, err := py.NewFunction(tok, py.GoFunc{Name: "f", Func: f})
				if err != nil {
					t.Fatal(err)
				}
				if _, err = m.Call(); err != nil {
					t.Fatal(err)
				}
				gone := "__import__('gilt_borrowed_result').gone"
				use, err := py.Eval(tok, "lambda f: [(x := f()), list("+gone+")][1]")
				if err != nil {
					t.Fatal(err)
				}
				before, err := py.EvalAs[int](tok, "len("+gone+")")
				if err != nil {
					t.Fatal(err)
				}
				b, err := use.Call(m)
				if err != nil {
					t.Fatal(err)
				}
				if n, err := b.Len(); n != before || err != nil {
					t.Errorf("%d are gone, and %d were: %v", n, before, err)
				}
			})
		})
	}
}

// handlesLeft is how many handles there are, when those that other tests have left to the garbage collector have gone.
func handlesLeft(t *testing.T, rt *gilt.Runtime) int64 {
	t.Helper()
	before := rt.Stats().Handles
	for same := 0; same < 3; same++ {
		gathered(t)
		if now := rt.Stats().Handles; now != before {
			before, same = now, 0
		}
	}
	return before
}

func gathered(t *testing.T) {
	t.Helper()
	if err := pytest.Collect(); err != nil {
		t.Fatal(err)
	}
}

// The functions of prepared calls that the garbage collector has taken are no handles that were released.
func TestPreparedFunctionsAreNoHandles(t *testing.T) {
	rt := pytest.Runtime()
	before := handlesLeft(t, rt)
	const n = 20
	var dropped atomic.Int32
	for range n {
		f, err := gilt.Lookup[float64, float64](context.Background(), rt, "math:sqrt")
		if err != nil {
			t.Fatal(err)
		}
		runtime.AddCleanup(f, func(int) { dropped.Add(1) }, 0)
	}
	pytest.Eventually(t, "the functions have gone", func() bool {
		gathered(t)
		return dropped.Load() == n
	})
	gathered(t) // their own cleanups come with that
	if after := rt.Stats().Handles; after < before {
		t.Errorf("%d handles, and %d before", after, before)
	}
}
