// Package handles gives Go programs Python's objects: handles, conversions, calls, running code,
// exceptions and prepared functions. Programs import it as py:
//
//	import py "gilt/handles"
//
// There are three kinds of handle. A Bound is an object together with the token that may use it; its
// reference goes when the token's scope ends, so ordinary code frees nothing. A Py is an owned handle
// without a token: keep it, pass it between goroutines, Bind it where a token is. A Borrowed has no
// reference of its own and is valid while the Py it came from is. Every Python object is shared and
// mutable; nothing here pretends a lock.
//
// Everything that takes a token, or a handle that holds one, is called by the token's goroutine inside
// the function that was given the token; anything else panics with a *gil.MisuseError.
package handles

import (
	"runtime"
	"sync/atomic"

	"gilt/gil"
	"gilt/internal/cpython"
)

// Token is gil.Token, the proof that this goroutine may use Python now.
type Token = gil.Token

// Bound is an object tied to a token. It is a small value; copies share the one reference, which the
// token's scope owns. The zero Bound is no object, and using it is a misuse.
type Bound struct {
	tok   *Token
	obj   cpython.Object
	scope *gil.Scope
	owner *pin // of a Borrowed
}

// Token is the token that the object is tied to.
func (b Bound) Token() *Token { return b.tok }

// IsZero says whether b is the zero value: no object. None is an object.
func (b Bound) IsZero() bool { return b.obj == 0 }

// entry checks that b may be used now.
func (b Bound) entry(op string) cpython.Entry {
	if b.obj == 0 {
		gil.MisuseZero(op)
	}
	if b.owner != nil {
		b.owner.ref.check(op)
	}
	return b.tok.EntryIn(op, b.scope)
}

// entryFor checks that b may be used now in an operation of tok's.
func (b Bound) entryFor(tok *Token, op string) {
	b.entry(op)
	if b.tok != tok {
		tok.CheckInterp(op, b.tok.Interp())
		tok.Foreign(op)
	}
}

func bound(tok *Token, o cpython.Object) Bound {
	return Bound{tok: tok, obj: o, scope: tok.Scope()}
}

// keep keeps what an operation used reachable until it has run: C has the bare pointers, and the garbage
// collector would give an unreachable owner's reference back.
func keep(b Bound, values []any) {
	runtime.KeepAlive(b.owner)
	runtime.KeepAlive(values)
}

// result turns an operation's result into a handle of the innermost scope.
func result(tok *Token, op string, r cpython.Result) (Bound, error) {
	if err := failure(tok, op, r); err != nil {
		return Bound{}, err
	}
	return bound(tok, r.Obj), nil
}

// ref is an owned reference and what it takes to give it back.
type ref struct {
	obj      cpython.Object
	interp   *cpython.Interp
	host     *gil.Host
	released atomic.Bool
}

func (r *ref) check(op string) {
	if r == nil || r.released.Load() {
		gil.MisuseZero(op)
	}
}

func (r *ref) release() {
	if r.released.CompareAndSwap(false, true) {
		r.host.Release(r.interp, r.obj)
	}
}

// Py is an owned handle: one reference, which Release gives back, or the garbage collector when the last
// copy of the Py is gone. Release and passing it on are allowed from any goroutine, with or without a
// token; the object may be used only where a token is, by Bind. The zero Py is no object.
type Py struct{ *pin }

// pin is what the garbage collector watches; ref outlives it.
type pin struct{ ref *ref }

func own(tok *Token, o cpython.Object) Py {
	r := &ref{obj: o, interp: tok.Interp(), host: tok.Host()}
	p := &pin{r}
	runtime.AddCleanup(p, (*ref).release, r)
	return Py{p}
}

// Unbind gives an owned handle to b's object: the only way in which an object outlives its scope.
func (b Bound) Unbind() Py {
	const op = "Bound.Unbind"
	r := b.entry(op).NewRef(b.obj)
	keep(b, nil)
	if gil.Status(op, r) != nil {
		return Py{}
	}
	return own(b.tok, r.Obj)
}

// IsZero says whether p is the zero value.
func (p Py) IsZero() bool { return p.pin == nil }

func (p Py) usable(tok *Token, op string) *ref {
	if p.pin == nil {
		gil.MisuseZero(op)
	}
	p.ref.check(op)
	tok.Check(op)
	tok.CheckInterp(op, p.ref.interp)
	return p.ref
}

// Bind ties the object to tok. It panics with a *gil.MisuseError when p was released, or belongs to
// another interpreter than tok.
func (p Py) Bind(tok *Token) Bound {
	const op = "Py.Bind"
	r := tok.Entry(op).Bind(p.usable(tok, op).obj)
	runtime.KeepAlive(p.pin)
	if gil.Status(op, r) != nil {
		return Bound{}
	}
	return bound(tok, r.Obj)
}

// Borrow ties the object to tok without a reference of its own: cheaper than Bind, valid while p is not
// released.
func (p Py) Borrow(tok *Token) Borrowed {
	r := p.usable(tok, "Py.Borrow")
	return Borrowed{Bound{tok: tok, obj: r.obj, scope: tok.Whole(), owner: p.pin}}
}

// Clone gives a second owned handle to the same object.
func (p Py) Clone(tok *Token) Py { return p.Borrow(tok).Unbind() }

// Release gives the reference back, at once or at the next attach. More calls do nothing.
func (p Py) Release() {
	if p.pin != nil {
		p.ref.release()
	}
}

// Borrowed is a Bound without a reference of its own: see Py.Borrow.
type Borrowed struct {
	Bound
}

// Scope runs f in a scope of its own: handles made in it end with it, so that a loop over a million
// objects keeps memory level. What shall outlive it is unbound.
func Scope(tok *Token, f func() error) error { return tok.InScope(f) }
