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

func callbacks(tok *gilt.Token, b py.Bound, l py.List) {
	owned := b.Unbind()
	local := func(tok *gilt.Token) (int, error) { return owned.Bind(tok).Len() }
	_ = []py.GoFunc{
		{Name: "a", Func: func() (int, error) { return l.Len() }},                // want `l, a py.List, belongs to the task around, and Python calls this function with a token of its own`
		{Name: "b", Func: func() (py.Bound, error) { return py.Eval(tok, "1") }}, // want `tok, a token, belongs to the task around`
		{Name: "c", Func: func(tok *gilt.Token, l py.List) (int, error) { return l.Len() }},
		{Name: "d", Func: local},
	}
	var kept py.Bound
	_ = py.GoFunc{Name: "e", Func: func(b py.Bound) { kept = b }} // want `a Bound is assigned to kept, which is declared outside the task`
	_, _ = kept.Len()
}
