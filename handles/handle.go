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
	owner *use // of a Borrowed
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
		b.owner.p.check(op)
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

// Scope runs f in a scope of its own: handles made in it end with it, so that a loop over a million
// objects keeps memory level. What shall outlive it is unbound.
func Scope(tok *Token, f func() error) error { return tok.InScope(f) }
