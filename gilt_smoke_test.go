package gilt_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"gilt"
	_ "gilt/embedded"
	py "gilt/handles"
)

func TestSmoke(t *testing.T) {
	ctx := context.Background()
	rt, err := gilt.Open(ctx, gilt.Config{})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%+v\n", rt.Info())
	err = rt.Do(ctx, func(tok *gilt.Token) error {
		m, err := py.Import(tok, "math")
		if err != nil {
			return err
		}
		v, err := py.MethodAs[float64](m, "sqrt", 2)
		fmt.Println(v, err)
		_, err = m.Method("sqrt", "x")
		fmt.Printf("%v\n%+v\n", err, err)
		err = py.Run(tok, "def f():\n  g()\ndef g():\n  raise ValueError('boom')\nf()\n")
		fmt.Printf("%+v\n", err)
		x, err := py.EvalAs[any](tok, "{'a':[1,2.5,None,True,(1,b'x')], 'b': 2**70}")
		fmt.Println(x, err)
		return py.Run(tok, "import sys,types; m=types.ModuleType('tm'); exec('def f(x): return x\\ndef s(x): import time; time.sleep(x)\\ndef up(x): return x.upper()\\ndef boom(): raise KeyError(1)', m.__dict__); sys.modules['tm']=m")
	})
	if err != nil {
		t.Fatal(err)
	}
	f, err := gilt.Lookup[int64, int64](ctx, rt, "tm:f")
	if err != nil {
		t.Fatal(err)
	}
	n := 1000000
	st := time.Now()
	for i := range n {
		if v, err := f.Call(ctx, int64(i)); err != nil || v != int64(i) {
			t.Fatal(v, err)
		}
	}
	fmt.Println("call ns", float64(time.Since(st))/float64(n))
	up, _ := gilt.Lookup[string, string](ctx, rt, "tm:up")
	st = time.Now()
	for range n {
		if v, err := up.Call(ctx, "abc"); err != nil || v != "ABC" {
			t.Fatal(v, err)
		}
	}
	fmt.Println("str call ns", float64(time.Since(st))/float64(n))
	for _, g := range []int{2, 4, 16, 64} {
		st = time.Now()
		var wg sync.WaitGroup
		for range g {
			wg.Go(func() {
				for i := range n / g {
					if v, err := f.Call(ctx, int64(i)); err != nil || v != int64(i) {
						t.Error(v, err)
						return
					}
				}
			})
		}
		wg.Wait()
		fmt.Println(g, "call ns", float64(time.Since(st))/float64(n))
	}
	st = time.Now()
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for i := range 200000 / 64 {
				v, err := gilt.Submit(ctx, rt, func(tok *gilt.Token) (int, error) { return i, nil }).Wait(ctx)
				if v != i || err != nil {
					t.Error(v, err)
				}
			}
		})
	}
	wg.Wait()
	fmt.Println("submit ns", float64(time.Since(st))/200000)
	st = time.Now()
	for range 100000 {
		rt.Do(ctx, func(tok *gilt.Token) error { return nil })
	}
	fmt.Println("do ns", float64(time.Since(st))/100000)
	sl, _ := gilt.Lookup[float64, any](ctx, rt, "tm:s")
	st = time.Now()
	for range 2000 {
		wg.Go(func() { sl.Call(ctx, 0.1) })
	}
	wg.Wait()
	fmt.Println("2000 sleeps of 0.1:", time.Since(st))
	boom, err := gilt.Lookup[struct{}, any](ctx, rt, "tm:boom")
	_, err = boom.Call(ctx, struct{}{})
	fmt.Println(err)
	st = time.Now()
	for range 100000 {
		boom.Call(ctx, struct{}{})
	}
	fmt.Println("boom ns", float64(time.Since(st))/100000)
	fmt.Printf("%+v\n", rt.Stats())
	fmt.Println(rt.Shutdown(ctx))
}
