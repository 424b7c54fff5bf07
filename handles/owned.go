package handles

import (
	"runtime"
	"sync/atomic"

	"gilt/gil"
	"gilt/internal/cpython"
)

// Py is an owned handle: one reference, which Release gives back, or the garbage collector when the last
// copy of the Py is gone. Release and passing it on are allowed from any goroutine, with or without a
// token; the object may be used only where a token is, by Bind. The zero Py is no object.
type Py struct {
	*pin
	turn uint64
}

// pin is what the garbage collector watches, which takes a microsecond to begin; so the pins of handles that were
// released are used again, each time in another turn. ref outlives it.
type pin struct{ ref *ref }

// ref is an owned reference and what it takes to give it back.
type ref struct {
	interp *cpython.Interp
	host   *gil.Host
	obj    atomic.Uintptr
	turn   atomic.Uint64          // odd while it is somebody's
	uses   atomic.Int64           // by its handle, and by each task that has borrowed it: the reference goes with the last
	last   [4]atomic.Pointer[use] // by tasks that have borrowed it
}

func own(tok *Token, o cpython.Object) Py {
	it := tok.Interp()
	p, _ := it.Pins.Get().(*pin)
	if p == nil {
		tok.Host().Watched()
		p = &pin{&ref{interp: it, host: tok.Host()}}
		runtime.AddCleanup(p, (*ref).dropped, p.ref)
	}
	p.ref.obj.Store(uintptr(o))
	p.ref.uses.Store(1)
	if tok.Host().Traced() {
		tok.Host().Made(p.ref, classOf(Bound{tok: tok, obj: o, scope: tok.Whole()}))
	}
	return Py{p, p.ref.turn.Add(1)}
}

// kept has Config.TraceHandles not report p: it is kept for good.
func (p Py) kept() Py {
	if p.ref.host.Traced() {
		p.ref.host.Gone(p.ref)
	}
	return p
}

func (r *ref) object() cpython.Object { return cpython.Object(r.obj.Load()) }

// classOf is the name of b's class, for people.
func classOf(b Bound) string {
	class, err := b.Type()
	if err != nil {
		return "?"
	}
	name, err := class.QualName()
	if err != nil {
		return "?"
	}
	return name
}

func (p Py) check(op string) {
	if p.ref.turn.Load() != p.turn {
		gil.MisuseZero(op)
	}
}

// IsZero says whether p is the zero value.
func (p Py) IsZero() bool { return p.pin == nil }

// Release gives the reference back, at once or at the next attach. More calls do nothing.
func (p Py) Release() {
	if p.pin != nil && p.ref.turn.CompareAndSwap(p.turn, p.turn+1) {
		p.unused()
	}
}

// dropped is called when no copy of the handle is left, nor a pin in the pool.
func (r *ref) dropped() {
	if turn := r.turn.Load(); turn%2 == 1 && r.turn.CompareAndSwap(turn, turn+1) {
		r.unused()
	}
}

// unused ends a use; true when it was the last.
func (r *ref) unused() bool {
	if r.uses.Add(-1) > 0 {
		return false
	}
	if r.host.Traced() {
		r.host.Gone(r)
	}
	r.host.Release(r.interp, r.object())
	return true
}

func (p Py) unused() {
	if p.ref.unused() {
		p.ref.interp.Pins.Put(p.pin)
	}
}

// use is a task's use of a handle: the object stays as long as it goes on, whoever releases the handle. It ends with the
// first scope at whose end the handle was released, at last with the task.
type use struct {
	tok *Token
	p   Py
}

// Wanted says whether the handle was not released.
func (u *use) Wanted() bool { return u.p.ref.turn.Load() == u.p.turn }

// End ends it.
func (u *use) End() {
	for i := range u.p.ref.last {
		u.p.ref.last[i].CompareAndSwap(u, nil) // else the handle would keep itself from the garbage collector
	}
	u.p.unused()
}

// used begins a use by tok's task, unless it has one.
func (p Py) used(tok *Token, op string) *use {
	r := p.ref
	for i := range r.last {
		if u := r.last[i].Load(); u != nil && u.tok == tok && u.p == p {
			p.check(op)
			return u
		}
	}
	for {
		n := r.uses.Load()
		if n == 0 || r.turn.Load() != p.turn {
			gil.MisuseZero(op)
		}
		if r.uses.CompareAndSwap(n, n+1) {
			break
		}
	}
	if r.turn.Load() != p.turn { // released meanwhile, or already another's
		p.unused()
		gil.MisuseZero(op)
	}
	u := &use{tok, p}
	r.note(u)
	tok.Scope().AtEnd(u)
	return u
}

// note keeps a use to be found again; with more tasks at once than there are places, each turn of one begins another.
func (r *ref) note(u *use) {
	for i := range r.last {
		if r.last[i].CompareAndSwap(nil, u) {
			return
		}
	}
	r.last[r.uses.Load()%int64(len(r.last))].Store(u)
}

// usable checks that p may be used with tok.
func (p Py) usable(tok *Token, op string) *ref {
	if p.pin == nil {
		gil.MisuseZero(op)
	}
	p.check(op)
	tok.Check(op)
	tok.CheckInterp(op, p.ref.interp)
	return p.ref
}

// Bind ties the object to tok. It panics with a *gil.MisuseError when p was released, or belongs to
// another interpreter than tok.
func (p Py) Bind(tok *Token) Bound {
	const op = "Py.Bind"
	ref := p.usable(tok, op)
	r := tok.Entry(op).BindIn(ref.object(), &ref.turn, p.turn)
	runtime.KeepAlive(p.pin)
	if r.Status == cpython.Done { // released while the task waited for the GIL
		gil.MisuseZero(op)
	}
	if gil.Status(op, r) != nil {
		return Bound{}
	}
	return bound(tok, r.Obj)
}

// Borrow ties the object to tok without a reference of its own and without a crossing: cheaper than Bind, and valid for the
// task, but a misuse after p was released. The object itself then stays until the scope has ended that is open.
func (p Py) Borrow(tok *Token) Borrowed {
	const op = "Py.Borrow"
	r := p.usable(tok, op)
	return Borrowed{Bound{tok: tok, obj: r.object(), scope: tok.Whole(), owner: p.used(tok, op)}}
}

// Clone gives a second owned handle to the same object.
func (p Py) Clone(tok *Token) Py {
	const op = "Py.Clone"
	ref := p.usable(tok, op)
	r := tok.Entry(op).NewRefIn(ref.object(), &ref.turn, p.turn)
	runtime.KeepAlive(p.pin)
	if r.Status == cpython.Done { // released while the task waited for the GIL
		gil.MisuseZero(op)
	}
	if gil.Status(op, r) != nil {
		return Py{}
	}
	return own(tok, r.Obj)
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

// Borrowed is a Bound without a reference of its own: see Py.Borrow.
type Borrowed struct {
	Bound
}

// kept is b with a reference of its own, if b is borrowed in a call of a Go function: it may be the result, which Python takes
// when the call's borrowing has ended. Until then the object stays, whoever releases the handle.
func (b Bound) kept() (Bound, error) {
	const op = "Borrowed"
	if b.owner == nil || !b.tok.Called() {
		return b, nil
	}
	return result(b.tok, op, b.tok.Entry(op).Bind(b.obj))
}
