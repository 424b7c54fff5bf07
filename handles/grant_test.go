package handles_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"gilt"
	"gilt/gil"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// While a Go function that Python called is in AllowThreads, or is Native, its task's grant is not held, however the task
// was started; and the task goes on with the grant that it then gets.
func TestGoFunctionGivesTheGrantBack(t *testing.T) {
	rt := pytest.Runtime()
	class, err := rt.Class("grant given back")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan int, 10)
	look := func() {
		for _, c := range rt.Stats().Classes {
			if c.Name == "grant given back" {
				seen <- c.Suspended
			}
		}
	}
	nested := func(tok *gil.Token, x int) (int, error) {
		err := rt.Do(gilt.WithClass(context.Background(), class), func(tok *gil.Token) error { return py.Run(tok, "import gilt_grant; gilt_grant.away(1)") })
		tok.AllowThreads(look)
		return x, err
	}
	pytest.AddModule(t, gilt.GoModule{Name: "gilt_grant", Funcs: []gilt.GoFunc{
		{Name: "away", Func: func(tok *gil.Token, x int) int { tok.AllowThreads(look); return x }},
		{Name: "native", Native: true, Func: func(x int) int { look(); return x }},
		{Name: "nested", Func: nested},
	}})
	pytest.Install(t, "gilt_grant_use", "import gilt_grant\ndef use(x):\n"+
		"    for f in gilt_grant.away, gilt_grant.native, gilt_grant.nested:\n        assert f(f(x)) == x\n    return x")
	use, err := gilt.Lookup[int, int](context.Background(), rt, "gilt_grant_use:use")
	if err != nil {
		t.Fatal(err)
	}
	do := func(tok *gil.Token) error { return py.Run(tok, "import gilt_grant_use; gilt_grant_use.use(1)") }
	plain := gilt.WithClass(context.Background(), class)
	limited, cancel := context.WithTimeout(plain, time.Hour)
	defer cancel()
	any, cancel := context.WithCancel(gilt.WithCancellation(plain, gilt.OnCancel))
	defer cancel()
	pinned, err := rt.Pin(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer pinned.Close()
	for with, ctx := range map[string]context.Context{"plain": plain, "deadline": limited, "cancel": any} {
		for name, run := range map[string]func() error{
			"prepared": func() error { _, err := use.Call(ctx, 1); return err },
			"batch": func() error {
				_, errs := use.Batch(ctx, []int{1})
				return errors.Join(errs...)
			},
			"Do":     func() error { return rt.Do(ctx, do) },
			"pinned": func() error { return pinned.Do(ctx, do) },
			"AllowThreads": func() error {
				return rt.Do(ctx, func(tok *gil.Token) error {
					tok.AllowThreads(func() {})
					defer tok.AllowThreads(func() {})
					return do(tok)
				})
			},
			"Submit": func() error {
				_, err := gilt.Submit(ctx, rt, func(tok *gil.Token) (int, error) { return 0, do(tok) }).Wait(ctx)
				return err
			},
			"made inside": func() error {
				return rt.Do(ctx, func(tok *gil.Token) error {
					f, err := py.NewFunction(tok, gilt.GoFunc{Name: "f", Func: func(tok *gil.Token) { tok.AllowThreads(look) }})
					for range 8 {
						if err == nil {
							_, err = f.Call()
						}
					}
					return err
				})
			},
		} {
			if err := run(); err != nil {
				t.Errorf("%s, %s: %v", with, name, err)
				continue
			}
			for i := range 8 {
				if s := <-seen; s != 1 {
					t.Errorf("%s, %s: %d tasks are suspended at look %d", with, name, s, i)
				}
			}
		}
	}
	for _, c := range rt.Stats().Classes {
		if c.Name == "grant given back" && c.InFlight+c.Suspended > 0 {
			t.Fatalf("grants are left over: %+v", c)
		}
	}
}
