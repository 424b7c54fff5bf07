package handles_test

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"

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
		before := rt.Stats().Handles
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
