package detached

import (
	"context"

	"gilt"
	py "gilt/handles"
)

func compute(...any) {}

func inside(ctx context.Context, rt *gilt.Runtime, tok *gilt.Token, b py.Bound, borrowed py.Borrowed, rows []py.Bound) {
	tok.AllowThreads(func() {
		py.Eval(tok, "1") // want `tok, a token, is used inside AllowThreads, where Python may not be used: .* \(gilt rule: detached\)`
		b.Len()           // want `b, a Bound, is used inside AllowThreads`
		b.Attr("x")       // the first use is enough
		func() {
			borrowed.Len() // want `borrowed, a Borrowed, is used inside AllowThreads`
		}()
		defer func() {
			_, _ = rows[0].Len() // want `rows, a value that holds a token or a Bound \(\[\]py.Bound\), is used inside AllowThreads`
		}()
	})
	b.Token().AllowThreads(func() { compute(b) }) // want `b, a Bound, is used inside AllowThreads`
	wait := func() { tok.Check("") }              // want `tok, a token, is used inside AllowThreads`
	tok.AllowThreads(wait)

	n, _ := b.Len()
	var err error
	tok.AllowThreads(func() {
		compute(n, len(rows), b.IsZero(), tok.Interpreter(), tok != nil)
		for i := range rows {
			compute(i)
		}
		err = rt.Do(ctx, func(tok *gilt.Token) error {
			b, err := py.Eval(tok, "1")
			tok.AllowThreads(func() {})
			compute(b)
			return err
		})
	})
	compute(b, err)
}
