package stress

import (
	"errors"
	"fmt"

	"gilt"
	"gilt/gil"
	py "gilt/handles"
)

// kept is an owned handle on its way.
type kept struct {
	py     py.Py
	interp int
	n      int
}

func (a *actor) makeHandle() error {
	return a.do(func(tok *gilt.Token) error {
		m, err := py.Import(tok, moduleName)
		if err != nil {
			return err
		}
		class := "Tracked"
		if a.random.IntN(2) == 0 {
			class = "Loud"
		}
		n := a.random.Int()
		o, err := m.Method(class, n)
		if err != nil {
			return err
		}
		k := kept{o.Unbind(), tok.Interpreter(), n}
		switch a.random.IntN(4) {
		case 0: // dropped to the garbage collector
		case 1:
			k.py.Release()
		default:
			select {
			case a.bag <- k:
			default:
				k.py.Release()
			}
		}
		return nil
	})
}

func (a *actor) useHandle() error {
	var k kept
	select {
	case k = <-a.bag:
	default:
		return nil
	}
	err := a.do(func(tok *gilt.Token) error {
		if tok.Interpreter() != k.interp {
			return misused(func() { k.py.Bind(tok) })
		}
		n, err := py.AttrAs[int](k.py.Borrow(tok).Bound, "n")
		if err := same(n, k.n, err); err != nil {
			return err
		}
		c := k.py.Clone(tok)
		k.py.Release()
		k.py = c
		n, err = py.AttrAs[int](c.Bind(tok), "n")
		return same(n, k.n, err)
	})
	switch a.random.IntN(3) {
	case 0:
		k.py.Release()
		k.py.Release()
	case 1:
		apart(k.py.Release)
	}
	return err
}

func (a *actor) cycle() error {
	return a.do(func(tok *gilt.Token) error {
		m, err := py.Import(tok, moduleName)
		if err == nil {
			_, err = m.Method("cycle", 1)
		}
		return err
	})
}

// misuse breaks the rules of tokens and handles; each must be answered by a panic, and the next
// operation works.
func (a *actor) misuse() error {
	var late *gilt.Token
	var old py.Bound
	err := a.do(func(tok *gilt.Token) (err error) {
		//gilt:vet-ignore misuse that must be refused
		late = tok
		//gilt:vet-ignore misuse that must be refused
		if old, err = py.From(tok, 1); err != nil {
			return err
		}
		var inner py.Bound
		//gilt:vet-ignore misuse that must be refused
		if err = py.Scope(tok, func() (err error) { inner, err = py.From(tok, 2); return err }); err != nil {
			return err
		}
		//gilt:vet-ignore misuse that must be refused
		tok.AllowThreads(func() { err = misused(func() { _, _ = old.Int64() }) })
		return errors.Join(err,
			misused(func() { _, _ = inner.Int64() }),
			misused(func() { _, _ = py.Bound{}.Int64() }),
			func() (err error) { apart(func() { err = misused(func() { _, _ = old.Int64() }) }); return err }())
	})
	if err != nil {
		return err
	}
	return errors.Join(misused(func() { late.AllowThreads(func() {}) }), misused(func() { _, _ = old.Int64() }))
}

// misused runs f, which must panic with a MisuseError.
func misused(f func()) error {
	got, _ := panics(func() error { f(); return nil })
	if _, ok := got.(*gil.MisuseError); !ok {
		return fmt.Errorf("want a MisuseError, got %v", got)
	}
	return nil
}
