package handles

import (
	"context"
	"sync"

	"gilt/gil"
	"gilt/internal/cpython"
)

// OnceCell is a Python object that is made once in each interpreter, by the first task there that asks for it: a
// module, a class, a compiled pattern. It keeps owned references; what it gives is valid for the whole task, stays until that
// has ended, costs no crossing, and outlives it with Unbind. A task that waits for another to make the object gives the GIL and its grant up
// meanwhile: see gil.OnceCell, whose rules for initializers hold here too.
//
// The zero OnceCell is empty, and is not to be copied; most are package-level variables. Its objects go when it is
// emptied by Clear, or is garbage, and nothing that it gave is in use any more. Config.TraceHandles does not report them.
type OnceCell struct {
	cells sync.Map // *cpython.Interp to *gil.OnceCell[Py]
}

func (c *OnceCell) in(it *cpython.Interp) *gil.OnceCell[Py] {
	cell, ok := c.cells.Load(it)
	if !ok {
		cell, _ = c.cells.LoadOrStore(it, new(gil.OnceCell[Py]))
	}
	return cell.(*gil.OnceCell[Py])
}

// Get gives the object of tok's interpreter, if there is one.
func (c *OnceCell) Get(tok *Token) (b Bound, ok bool) {
	tok.Check("OnceCell.Get")
	if p, ok := c.in(tok.Interp()).Get(); ok {
		return p.Borrow(tok).Bound, true
	}
	return Bound{}, false
}

// Set makes b the object of tok's interpreter; false when there is one, or the runtime is closed. It never waits.
func (c *OnceCell) Set(tok *Token, b Bound) bool {
	b.entryFor(tok, "OnceCell.Set")
	p := b.Unbind()
	if p.IsZero() {
		return false // the runtime is closed
	}
	set := c.in(tok.Interp()).Set(p.kept())
	if !set {
		p.Release()
	}
	return set
}

// GetOrInit gives the object of tok's interpreter, which f makes if there is none. One f runs in an interpreter at a
// time, and others wait for it. When it fails, the caller gets its error; when it panics or calls runtime.Goexit, that goes
// on. Then the cell is as empty as before, and one of those who wait runs its own. A zero Bound without an error is a
// misuse.
func (c *OnceCell) GetOrInit(tok *Token, f func(*Token) (Bound, error)) (Bound, error) {
	return c.GetOrInitContext(context.Background(), tok, f)
}

// GetOrInitContext is GetOrInit for as long as ctx lasts: when it ends before there is an object or f runs, the error
// matches ctx's. The way back to Python, of a task that had to wait, is not bounded by ctx, nor is f.
func (c *OnceCell) GetOrInitContext(ctx context.Context, tok *Token, f func(*Token) (Bound, error)) (Bound, error) {
	const op = "OnceCell.GetOrInit"
	tok.Check(op)
	p, err := c.in(tok.Interp()).GetOrInitContext(ctx, tok, func() (Py, error) {
		b, err := f(tok)
		if err != nil {
			return Py{}, err
		}
		b.entryFor(tok, op)
		if p := b.Unbind(); !p.IsZero() {
			return p.kept(), nil
		}
		return Py{}, gil.ErrClosed
	})
	if err != nil {
		return Bound{}, err
	}
	return p.Borrow(tok).Bound, nil
}

// Clear empties the cell in every interpreter, from any goroutine, with or without a token, also after Shutdown. What was
// taken from it stays valid as if it had not been emptied.
func (c *OnceCell) Clear() { c.cells.Clear() }
