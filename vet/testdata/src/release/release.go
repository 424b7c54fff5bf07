package release

import (
	"context"

	"gilt"
	py "gilt/handles"
)

type row struct{ obj py.Py }

func keep(py.Py) {}

func loops(ctx context.Context, rt *gilt.Runtime, tok *gilt.Token, items []py.Bound, list py.List, owned py.Py) (all []py.Py, last py.Py) {
	for _, b := range items {
		b.Unbind()                 // want `a handle is made in a loop and never released: .* call Release when it is no longer needed \(gilt rule: release\)`
		_ = b.Unbind()             // want `never released`
		b.Unbind().Bind(tok).Len() // want `never released`
		list.Unbind()              // want `never released`
		owned.Clone(tok)           // want `never released`
		p := b.Unbind()            // want `never released`
		p.Bind(tok).Len()
		_ = p
		var q = b.Unbind() // want `never released`
		q.Borrow(tok).Len()
	}
	for range 10 {
		_ = rt.Do(ctx, func(tok *gilt.Token) error {
			b, err := py.Eval(tok, "1")
			p := b.Unbind() // want `never released`
			p.Bind(tok)
			return err
		})
	}

	var rows []row
	var r row
	for i, b := range items {
		p := b.Unbind()
		p.Bind(tok).Len()
		p.Release()
		q := b.Unbind()
		defer q.Release()
		all = append(all, b.Unbind())
		s := b.Unbind()
		all = append(all, s)
		rows = append(rows, row{b.Unbind()})
		r.obj = b.Unbind()
		keep(b.Unbind())
		last = b.Unbind()
		u := b.Unbind()
		go func() { u.Release() }()
		b.Unbind().Release()
		if i > 3 {
			return all, b.Unbind()
		}
	}
	p := owned.Clone(tok) // not in a loop
	p.Bind(tok).Len()
	return all, last
}
