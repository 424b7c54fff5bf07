package escape

import (
	"context"
	"iter"

	"gilt"
	"gilt/gil"
	py "gilt/handles"
)

func use(...any) {}

func tasks(ctx context.Context, rt *gilt.Runtime, h *gil.Host, p *gil.Pinned) (result py.Bound, err error) {
	var tok *gilt.Token
	var b py.Bound
	var anything any
	var all []py.Bound
	var byName = map[string]py.Bound{}
	var owned py.Py
	var seq iter.Seq2[py.Bound, error]
	var n int
	err = rt.Do(ctx, func(in *gilt.Token) error {
		tok = in // want `a token is assigned to tok, which is declared outside the task: it is valid only inside the function that was given the token; pass it as an argument .* \(gilt rule: escape\)`
		var err error
		b, err = py.Eval(in, "1") // want `a Bound is assigned to b, which is declared outside the task: .* keep the object with Unbind and Bind it where it is used`
		anything = b              // want `a Bound is assigned to anything`
		local, err := py.Eval(in, "1")
		all = append(all, local)   // want `a value that holds a token or a Bound \(\[\]py.Bound\) is assigned to all`
		byName["x"] = local        // want `a Bound is assigned to byName`
		seq = local.Iter()         // want `is assigned to seq`
		result = local             // want `a Bound is assigned to result`
		func() { anything = in }() // want `a token is assigned to anything`
		owned = local.Unbind()
		n, err = local.Len()
		inner := local
		inner, err = local.Attr("x")
		use(inner)
		b = py.Bound{}
		anything = nil
		return err
	})
	_ = p.Do(ctx, func(in *gilt.Token) error { tok = in; return nil })                  // want `a token is assigned to tok`
	_ = h.Do(ctx, func(in *gilt.Token) error { tok = in; return nil })                  // want `a token is assigned to tok`
	_ = rt.OnMain(ctx, func(in *gilt.Token) error { tok = in; return nil })             // want `a token is assigned to tok`
	_ = wrapped(ctx, rt, func(in *gilt.Token) error { tok = in; return nil })           // want `a token is assigned to tok`
	gilt.Submit(ctx, rt, func(in *gilt.Token) (int, error) { tok = in; return 0, nil }) // want `a token is assigned to tok`
	use(tok, b, anything, all, byName, owned, n, seq)
	return result, err
}

func wrapped(ctx context.Context, rt *gilt.Runtime, f func(*gilt.Token) error) error {
	return rt.Do(ctx, f)
}

type server struct {
	rt  *gilt.Runtime
	tok *gilt.Token
}

func (s *server) handle(ctx context.Context) error {
	return s.rt.Do(ctx, func(tok *gilt.Token) error {
		s.tok = tok // want `a token is assigned to s, which is declared outside the task`
		return nil
	})
}

type pair struct{ key, value py.Bound }

func results(ctx context.Context, rt *gilt.Runtime, h *gil.Host) {
	gilt.Submit(ctx, rt, func(tok *gilt.Token) (py.Bound, error) { return py.Eval(tok, "1") }) // want `the result of Submit is or holds a Bound: its task has ended when the result arrives; return a Go value or a handle of Unbind`
	gil.Submit(ctx, h, func(tok *gilt.Token) ([]pair, error) { return nil, nil })              // want `the result of Submit is or holds a value that holds a token or a Bound \(\[\]escape.pair\)`
	gilt.Submit(ctx, rt, func(tok *gilt.Token) (py.Py, error) {
		b, err := py.Eval(tok, "1")
		return b.Unbind(), err
	})
	gilt.Submit(ctx, rt, func(tok *gilt.Token) (int, error) { return 1, nil })
}

// The literal of a function that passes a token on is no task of its own.
func same(tok *gilt.Token) {
	var b py.Bound
	var cell py.OnceCell
	_, _ = cell.GetOrInit(tok, func(tok *gilt.Token) (v py.Bound, err error) {
		b, err = py.Eval(tok, "1")
		return b, err
	})
	use(b)
}

func scopes(tok *gilt.Token, list py.Bound, owned py.Py) (best py.Bound, err error) {
	var b, c, unused, again py.Bound
	var all []py.Bound
	var borrowed py.Borrowed
	outside, _ := list.Attr("x")
	_ = py.Scope(tok, func() error {
		var err error
		b, err = py.Eval(tok, "1") // want `a Bound of a scope is assigned to b, which is used after the scope: its reference ends with the scope; convert it to a Go value, or keep it with Unbind \(gilt rule: escape\)`
		local, err := list.Attr("y")
		c = local                // want `a Bound of a scope is assigned to c`
		all = append(all, local) // want `is assigned to all`
		best = local             // want `a Bound of a scope is assigned to best`
		unused = local
		again = local
		borrowed = owned.Borrow(tok)
		return err
	})
	again = outside
	_ = unused
	use(b, c, all, borrowed, again)
	_ = tok.InScope(func() error {
		for item := range list.Iter() {
			b = item // want `a Bound of a scope is assigned to b`
		}
		return nil
	})
	use(b)
	var kept py.Bound
	_ = py.Scope(tok, func() error {
		kept = outside
		alias := outside
		kept = alias
		kept = pick(kept, outside)
		return nil
	})
	use(kept, len(all))
	return best, err
}

func pick(a, b py.Bound) py.Bound { return a }

func loop(tok *gilt.Token, n int) {
	var previous py.Bound
	for range n {
		use(previous)
		_ = py.Scope(tok, func() error {
			item, err := py.Eval(tok, "1")
			previous = item // want `a Bound of a scope is assigned to previous`
			return err
		})
	}
	for range n {
		var item py.Bound
		_ = py.Scope(tok, func() (err error) {
			item, err = py.Eval(tok, "1")
			use(item)
			return err
		})
	}
}
