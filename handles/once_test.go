package handles_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func TestOnceCell_OneObjectForAllTasks(t *testing.T) {
	pytest.Soon(t, func() {
		var c py.OnceCell
		var ran atomic.Int32
		var all sync.WaitGroup
		var first atomic.Pointer[py.Py]
		for range 64 {
			all.Go(func() {
				pytest.Do(t, func(tok *gilt.Token) {
					b, err := c.GetOrInit(tok, func(tok *gilt.Token) (py.Bound, error) {
						ran.Add(1)
						if err := py.Run(tok, "import time; time.sleep(0.005); sum(range(100000))"); err != nil {
							return py.Bound{}, err
						}
						return py.Eval(tok, "[1, 2, 3]")
					})
					if err != nil {
						t.Error(err)
						return
					}
					p := b.Unbind()
					if !first.CompareAndSwap(nil, &p) {
						if !first.Load().Borrow(tok).Is(b) {
							t.Error("another object")
						}
						p.Release()
					}
					if got, ok := c.Get(tok); !ok || !got.Is(b) {
						t.Error("Get gives another:", ok)
					}
				})
			})
		}
		all.Wait()
		first.Load().Release()
		if ran.Load() != 1 {
			t.Errorf("%d initializers ran", ran.Load())
		}
		c.Clear()
	})
}

//gilt:vet-ignore it is a test of misuse
func TestOnceCell_Failures(t *testing.T) {
	var c py.OnceCell
	pytest.Do(t, func(tok *gilt.Token) {
		if _, err := c.GetOrInit(tok, func(tok *gilt.Token) (py.Bound, error) { return py.Eval(tok, "1/0") }); !errors.Is(err, py.ZeroDivisionError) {
			t.Error(err)
		}
		func() {
			defer func() {
				if recover() != "boom" {
					t.Error("no panic")
				}
			}()
			_, _ = c.GetOrInit(tok, func(*gilt.Token) (py.Bound, error) { panic("boom") })
		}()
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := c.GetOrInitContext(ended, tok, nil); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if b, ok := c.Get(tok); ok || !b.IsZero() {
			t.Error("failures left a value")
		}
		pytest.WantMisuse(t, "zero value", func() {
			_, _ = c.GetOrInit(tok, func(*gilt.Token) (py.Bound, error) { return py.Bound{}, nil })
		})
		pytest.WantMisuse(t, "very goroutine", func() {
			_, _ = c.GetOrInit(tok, func(tok *gilt.Token) (py.Bound, error) { return c.GetOrInit(tok, nil) })
		})
		outer := list(t, tok)
		pytest.Do(t, func(inner *gilt.Token) {
			pytest.WantMisuse(t, "another goroutine", func() {
				_, _ = c.GetOrInit(inner, func(*gilt.Token) (py.Bound, error) { return outer, nil })
			})
			pytest.WantMisuse(t, "another goroutine", func() { c.Set(inner, outer) })
		})
		if !c.Set(tok, list(t, tok)) || c.Set(tok, list(t, tok)) {
			t.Error("Set")
		}
		b, err := c.GetOrInit(tok, nil)
		if n, lenErr := b.Len(); n != 3 || err != nil || lenErr != nil {
			t.Error(n, err, lenErr)
		}
		tok.AllowThreads(func() {
			pytest.WantMisuse(t, "inside AllowThreads", func() { c.Get(tok) })
			pytest.WantMisuse(t, "inside AllowThreads", func() { _, _ = c.GetOrInit(tok, nil) })
		})
	})
	pytest.WantMisuse(t, "refers to no object", func() { c.Get(nil) })
	var dead *gilt.Token
	pytest.Do(t, func(tok *gilt.Token) { dead = tok })
	pytest.WantMisuse(t, "task has ended", func() { c.Get(dead) })
	pytest.WantMisuse(t, "task has ended", func() { _, _ = c.GetOrInit(dead, nil) })
}

// The object goes when the cell is emptied and what was taken from it is not used any more, and not before.
func TestOnceCell_Clear(t *testing.T) {
	var c py.OnceCell
	var ref py.Py
	alive := func(tok *gilt.Token) bool {
		b, err := ref.Borrow(tok).Call()
		if err != nil {
			t.Fatal(err)
		}
		truth, err := b.Truth()
		if err != nil {
			t.Fatal(err)
		}
		return truth
	}
	pytest.Do(t, func(tok *gilt.Token) {
		_ = py.Scope(tok, func() error {
			ns := pytest.Module(t, tok, "import weakref\nclass C:\n  def __bool__(self): return True\nc = C()\nr = weakref.ref(c)")
			ref = pytest.Get(t, ns, "r").Unbind()
			if !c.Set(tok, pytest.Get(t, ns, "c")) {
				t.Error("Set")
			}
			return py.Run(tok, "del c, C", ns)
		})
		b, ok := c.Get(tok)
		c.Clear()
		if err := pytest.Collect(); err != nil || !ok || !alive(tok) {
			t.Fatal("the object went while it was in use", err)
		}
		if truth, err := b.Truth(); !truth || err != nil {
			t.Error(truth, err)
		}
	})
	pytest.Eventually(t, "the object goes", func() (gone bool) {
		runtime.GC()
		pytest.Do(t, func(tok *gilt.Token) { gone = !alive(tok) })
		return gone
	})
	ref.Release()
}

// Clear beside tasks that use what they took.
func TestOnceCell_ClearMeanwhile(t *testing.T) {
	pytest.Soon(t, func() {
		var c py.OnceCell
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 200 {
					pytest.Do(t, func(tok *gilt.Token) {
						b, err := c.GetOrInit(tok, func(tok *gilt.Token) (py.Bound, error) { return py.From(tok, []int{1, 2, 3}) })
						if err != nil {
							t.Error(err)
							return
						}
						c.Clear()
						if n, err := b.Len(); n != 3 || err != nil {
							t.Error(n, err)
						}
					})
				}
			})
		}
		for range 20 {
			runtime.GC()
		}
		all.Wait()
	})
}

func BenchmarkOnceCell(b *testing.B) {
	var c py.OnceCell
	f := func(tok *gilt.Token) (py.Bound, error) { return py.Import(tok, "math") }
	b.Run("OnceCell", func(b *testing.B) {
		pytest.Do(b, func(tok *gilt.Token) {
			for b.Loop() {
				_, _ = c.GetOrInit(tok, f)
			}
		})
	})
	b.Run("Import", func(b *testing.B) {
		pytest.Do(b, func(tok *gilt.Token) {
			for b.Loop() {
				_ = py.Scope(tok, func() error { _, err := f(tok); return err })
			}
		})
	})
}
