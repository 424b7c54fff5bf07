package goroutine

import (
	"context"
	"iter"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"gilt"
	"gilt/gil"
	py "gilt/handles"
)

type row struct {
	name string
	tok  *gilt.Token
}

func (r *row) work()         { r.step(3) }
func (r *row) step(n int)    { r.tok.Check(r.title()) }
func (r *row) title() string { return r.name }

func use(...any) {}

func statements(ctx context.Context, rt *gilt.Runtime, tok *gilt.Token, b py.Bound, r *row, rows []py.Bound, seq iter.Seq2[py.Bound, error]) {
	go use(tok)                        // want `tok, a token, is given to another goroutine by a go statement: .* \(gilt rule: goroutine\)`
	go use([]any{b})                   // want `a value that holds a token or a Bound \(\[\]any\) is given to another goroutine`
	go use(b.Len)                      // want `is given to another goroutine`
	go b.Len()                         // want `a method of a Bound is called on another goroutine by a go statement`
	go r.work()                        // want `a method of a value that holds a token or a Bound \(\*goroutine.row\) is called on another goroutine`
	go use(seq)                        // want `seq, a value that holds a token or a Bound \(iter.Seq2\[py.Bound, error\]\), is given`
	go func() { b.Call(tok) }()        // want `b, a Bound, is used on another goroutine, which a go statement starts` `tok, a token, is used on another goroutine`
	go func(b py.Bound) { b.Len() }(b) // want `b, a Bound, is given`
	later := func() { b.Len() }        // want `b, a Bound, is used on another goroutine`
	go later()

	go use(b.Unbind())
	go r.title()
	go func() { use(r.title()) }()
	go func() { r.work() }() // want `r, a value that holds a token or a Bound`
	go use(len(rows), r.name, tok.Interpreter())
	n, _ := b.Len()
	go func() {
		use(n, len(rows), r.name, b.IsZero(), tok == nil)
		_ = rt.Do(ctx, func(tok *gilt.Token) error {
			b, err := py.Eval(tok, "1")
			use(b)
			return err
		})
	}()
	now := func() { b.Len() }
	now()
}

func functions(ctx context.Context, rt *gilt.Runtime, h *gil.Host, tok *gilt.Token, b py.Bound, t *testing.T) {
	var g errgroup.Group
	g.Go(func() error { _, err := b.Len(); return err }) // want `b, a Bound, is used on another goroutine, which errgroup.Group.Go starts`
	var wg sync.WaitGroup
	wg.Go(func() { tok.Check("") }) // want `tok, a token, is used on another goroutine, which sync.WaitGroup.Go starts`
	var ours gil.WaitGroup
	ours.Go(func() { tok.Check("") }) // want `which gil.WaitGroup.Go starts`
	ours.Wait(tok)
	gil.Go(func() (int, error) { return b.Len() })        // want `which gil.Go starts`
	time.AfterFunc(time.Second, func() { tok.Check("") }) // want `which time.AfterFunc starts`
	context.AfterFunc(ctx, func() { tok.Check("") })      // want `which context.AfterFunc starts`
	x := new(int)
	runtime.AddCleanup(x, func(b py.Bound) {}, b)                              // want `b, a Bound, is given to another goroutine by runtime.AddCleanup`
	runtime.SetFinalizer(x, func(*int) { tok.Check("") })                      // want `which runtime.SetFinalizer starts`
	gilt.Submit(ctx, rt, func(in *gilt.Token) (int, error) { return b.Len() }) // want `which gilt.Submit starts`
	gil.Submit(ctx, h, func(in *gilt.Token) (int, error) { return b.Len() })   // want `which gil.Submit starts`
	for _, c := range []struct {
		name string
		b    py.Bound
	}{{"one", b}} {
		t.Run(c.name, func(t *testing.T) {
			t.Log(c.name)
			c.b.Len() // want `is used on another goroutine, which testing.T.Run starts`
		})
	}
	gilt.Submit(ctx, rt, func(tok *gilt.Token) (int, error) {
		b, err := py.Eval(tok, "1")
		if err != nil {
			return 0, err
		}
		return b.Len()
	})
	wg.Go(func() { use(ctx) })
}

func channels(tok *gilt.Token, b py.Bound, list py.List, out chan any, bounds chan py.Bound, work chan func(), owned chan py.Py) {
	out <- tok                    // want `tok, a token, is sent on a channel`
	out <- map[string]any{"b": b} // want `is sent on a channel`
	bounds <- b                   // want `b, a Bound, is sent on a channel`
	out <- list                   // want `list, a py.List, is sent on a channel`
	select {
	case bounds <- b: // want `b, a Bound, is sent on a channel`
	default:
	}
	work <- func() { b.Len() } // want `a function that uses a token or a Bound is sent on a channel`
	work <- func() {}
	owned <- b.Unbind()
	out <- 1
}
