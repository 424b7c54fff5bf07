package nested

import (
	"context"

	"gilt"
	"gilt/gil"
	py "gilt/handles"
)

func outer(ctx context.Context, rt *gilt.Runtime, h *gil.Host, p *gil.Pinned, tok *gilt.Token, b py.Bound, all []py.Bound) {
	_ = rt.Do(ctx, func(in *gilt.Token) error {
		_, err := b.Len() // want `b, a Bound, belongs to an outer task, and this is another one: use the token that this function is given, .* \(gilt rule: nested\)`
		return err
	})
	_ = rt.OnMain(ctx, func(*gilt.Token) error { _, err := py.Eval(tok, "1"); return err }) // want `tok, a token, belongs to an outer task`
	_ = p.Do(ctx, func(*gilt.Token) error { _, err := py.Eval(tok, "1"); return err })      // want `tok, a token, belongs to an outer task`
	_ = h.Do(ctx, func(*gilt.Token) error { _, err := py.Eval(tok, "1"); return err })      // want `tok, a token, belongs to an outer task`

	owned := b.Unbind()
	defer owned.Release()
	_ = rt.Do(ctx, func(tok *gilt.Token) error {
		b := owned.Bind(tok)
		_, err := b.Call(len(all))
		return err
	})
	_, _ = b.Len()
}
