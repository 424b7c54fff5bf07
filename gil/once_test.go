package gil_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gilt"
	"gilt/gil"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func TestOnceCell_SetAndGet(t *testing.T) {
	var c gil.OnceCell[string]
	if v, ok := c.Get(); ok {
		t.Error("an empty cell has", v)
	}
	if !c.Set("a") || c.Set("b") {
		t.Error("Set")
	}
	v, err := c.GetOrInit(nil, func() (string, error) { t.Error("it ran"); return "c", nil })
	if got, ok := c.Get(); v != "a" || err != nil || got != "a" || !ok {
		t.Error(v, err, got, ok)
	}
	var meanwhile gil.OnceCell[string]
	v, err = meanwhile.GetOrInit(nil, func() (string, error) { meanwhile.Set("set"); return "made", nil })
	if v != "set" || err != nil {
		t.Error(v, err)
	}
}

// PyO3's problem: the initializer has the cell's lock and Python code gives the GIL up; another has the GIL and
// wants the cell.
func TestOnceCell_InitializerGivesTheGILUp(t *testing.T) {
	for _, reinit := range []bool{false, true} {
		pytest.Soon(t, func() {
			var c gil.OnceCell[int]
			var ran atomic.Int32
			callers(t, 4, func(tok *gilt.Token, _ int) {
				v, err := c.GetOrInit(tok, func() (int, error) {
					n := ran.Add(1)
					if tok != nil {
						evaluated(tok, "__import__('time').sleep(0.002)")
						evaluated(tok, "sum(range(100000))")
					} else {
						pytest.Do(t, func(tok *gilt.Token) { evaluated(tok, "__import__('time').sleep(0.002)") })
					}
					if reinit && n < 8 {
						return -1, errors.New("not yet")
					}
					return 42, nil
				})
				if reinit && err != nil && v == 0 {
					return
				}
				if v != 42 || err != nil {
					t.Error(v, err)
				}
			})
			if n := ran.Load(); !reinit && n != 1 || reinit && n != 8 {
				t.Error("initializers that ran:", n)
			}
		})
	}
	works(t)
}

func TestOnceCell_FailuresLeaveItEmpty(t *testing.T) {
	pytest.Soon(t, func() {
		boom := errors.New("boom")
		for name, fail := range map[string]func() (int, error){
			"error":  func() (int, error) { return 7, boom },
			"panic":  func() (int, error) { panic(boom) },
			"Goexit": func() (int, error) { runtime.Goexit(); return 7, nil },
		} {
			for _, inTask := range []bool{false, true} {
				var c gil.OnceCell[int]
				var all sync.WaitGroup
				entered, fails := make(chan struct{}), make(chan struct{})
				run := func(f func(*gilt.Token)) {
					all.Go(func() {
						defer func() {
							if v := recover(); v != nil && v != boom {
								t.Error("recovered", v)
							}
						}()
						if !inTask {
							f(nil)
							return
						}
						_ = pytest.Runtime().Do(ctx, func(tok *gilt.Token) error { evaluated(tok, "1"); f(tok); evaluated(tok, "1"); return nil })
					})
				}
				run(func(tok *gilt.Token) {
					v, err := c.GetOrInit(tok, func() (int, error) {
						close(entered)
						if tok != nil {
							tok.AllowThreads(func() { <-fails })
						} else {
							<-fails
						}
						return fail()
					})
					if v != 0 || err != boom {
						t.Error(name, v, err)
					}
				})
				<-entered
				var come, ran atomic.Int32
				for range 8 {
					run(func(tok *gilt.Token) {
						come.Add(1)
						if v, err := c.GetOrInit(tok, func() (int, error) { ran.Add(1); return 1, nil }); v != 1 || err != nil {
							t.Error(name, v, err)
						}
					})
				}
				pytest.Eventually(t, "others come", func() bool { return come.Load() == 8 })
				if _, ok := c.Get(); ok {
					t.Error("it has a value already")
				}
				close(fails)
				all.Wait()
				if ran.Load() != 1 {
					t.Errorf("%s: %d others ran", name, ran.Load())
				}
			}
		}
	})
	works(t)
}

func TestOnceCell_Reentrant(t *testing.T) {
	rt := pytest.Runtime()
	var c gil.OnceCell[int]
	again := func(tok *gilt.Token) { _, _ = c.GetOrInit(tok, func() (int, error) { return 2, nil }) }
	pytest.AddModule(t, gilt.GoModule{Name: "gilt_reentrant", Funcs: []gilt.GoFunc{{Name: "again", Func: again}}})
	const rule = "being initialized by this very goroutine"
	pytest.Soon(t, func() {
		for name, inner := range map[string]func(tok *gilt.Token){
			"same token":       again,
			"no token":         func(*gilt.Token) { again(nil) },
			"in AllowThreads":  func(tok *gilt.Token) { tok.AllowThreads(func() { again(nil) }) },
			"in a nested task": func(*gilt.Token) { pytest.Do(t, again) },
			"in a limited context": func(tok *gilt.Token) {
				c2, cancel := context.WithTimeout(ctx, time.Hour)
				defer cancel()
				_ = rt.Do(c2, func(tok *gilt.Token) error { again(tok); return nil })
			},
			"through Python": func(tok *gilt.Token) { _ = py.Run(tok, "import gilt_reentrant; gilt_reentrant.again()") },
		} {
			e, err := pytest.Misused(func() {
				pytest.Do(t, func(tok *gilt.Token) {
					evaluated(tok, "1")
					_, err := c.GetOrInit(tok, func() (int, error) { inner(tok); return 1, nil })
					t.Error(name, "went through:", err)
				})
			})
			if err != nil || e == nil || !strings.Contains(e.Rule, rule) {
				t.Errorf("%s: %v, %v", name, e, err)
			}
			if _, ok := c.Get(); ok {
				t.Fatal(name, "left a value")
			}
		}
		pytest.Do(t, func(tok *gilt.Token) { // nothing is left behind
			if v, err := c.GetOrInit(tok, func() (int, error) { return 3, nil }); v != 3 || err != nil {
				t.Error(v, err)
			}
		})
	})
	works(t)
}

// One goroutine's initializer must not pass for another's that once ran on its OS thread.
func TestOnceCell_ThreadsAreNotMistaken(t *testing.T) {
	pytest.Soon(t, func() {
		for i := range 200 {
			var c gil.OnceCell[int]
			callers(t, 1, func(tok *gilt.Token, _ int) {
				v, err := c.GetOrInit(tok, func() (int, error) { runtime.Gosched(); return i + 1, nil })
				if v != i+1 || err != nil {
					t.Error(v, err)
				}
			})
		}
	})
}
