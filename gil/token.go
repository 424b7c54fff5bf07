// Package gil holds the token, the proof that the calling goroutine may use Python now, and the host
// that brings the scheduler (who is next) and the threads (where it runs) together. For programs it has locks that know
// the GIL: Mutex, RWMutex, Cond, WaitGroup and OnceCell. What else they need is in package gilt.
package gil

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"gilt/internal/cpython"
	"gilt/scheduler"
)

// Token proves that this goroutine, on this OS thread, may use Python until the function that was given
// the token returns. It is passed as the first argument of whatever needs that proof, and never stored.
// Its methods may be called by that goroutine only; anything else panics with a *MisuseError.
//
// A token is no mutex: other tasks run whenever Python gives the GIL up (each bytecode may), so Go data
// that several tasks share needs a lock of its own. The thread is attached at the first use of Python,
// and comes back detached from an operation that took longer than some 20 µs: the next one attaches
// again.
type Token struct {
	entry  cpython.Entry
	state  atomic.Uint32
	whole  Scope                 // the task
	scope  atomic.Pointer[Scope] // the innermost one; nil is whole. Another goroutine, which misuses the token, may look
	host   *Host
	interp *cpython.Interp
	grant  scheduler.Grant // with which it began, or came back
	what   uint64          // what the task runs: see names.go
	wire   []byte
	taken  atomic.Bool // wire is in use

	held     time.Duration // with the GIL, up to the last AllowThreads
	callback bool          // it is of a call of a Go function by Python
	deadline cpython.Deadline
	running  *Running // if its caller may be freed
	ctx      context.Context
	task     *Task // if it is kept: its grant is the one that counts
}

// Scope is what handles belong to. For gilt's own packages.
type Scope struct {
	ended atomic.Bool
	atEnd atomic.Pointer[ending]
}

// Ended says whether the scope's references are gone.
func (s *Scope) Ended() bool { return s.ended.Load() }

// ending is what ends with a scope.
type ending struct {
	what Ending
	next *ending
}

// Ending is what ends with a scope, unless it is still wanted: then with the outer one, at last with the task. For gilt's
// own packages.
type Ending interface {
	Wanted() bool
	End()
}

// AtEnd has e ended when the scope has. Another goroutine, which misuses the token, may call it at the same time.
func (s *Scope) AtEnd(e Ending) {
	n := &ending{what: e}
	for {
		n.next = s.atEnd.Load()
		if s.atEnd.CompareAndSwap(n.next, n) {
			return
		}
	}
}

// end ends the scope; outer is the one around it, nil for a task's.
func (s *Scope) end(outer *Scope) {
	s.ended.Store(true)
	if s.atEnd.Load() == nil {
		return
	}
	for n := s.atEnd.Swap(nil); n != nil; n = n.next {
		if outer != nil && n.what.Wanted() {
			outer.AtEnd(n.what)
		} else {
			n.what.End()
		}
	}
}

const (
	stateLive uint32 = iota + 1
	stateDetached
	stateDead
)

// ErrGreenlet is work begun by a Go function that a greenlet has called while another greenlet of the same thread is inside a
// Go function: that one must return first.
var ErrGreenlet = errors.New("gilt: another greenlet of this thread is inside a Go function that has called Python: until it has returned, Go functions that other greenlets call cannot use Python")

// ErrNoMemory is a task that could not get a thread state.
var ErrNoMemory = errors.New("gilt: no memory for a Python thread state")

// ErrThreadEnding is a task on an OS thread that has begun to end: a destructor of one of its thread-locals, in C, calls
// Go. Use Python before the thread ends.
var ErrThreadEnding = errors.New("gilt: this OS thread is ending: no Python can be entered on it any more; do it before, or on another thread")

// begin enters Python's books on this OS thread. The goroutine is locked to it until end.
func (t *Token) begin() error {
	runtime.LockOSThread()
	e, status := t.interp.Enter(t.grant.Tag(), t.what, t.deadline)
	if status == cpython.OK {
		t.entry = e
		t.state.Store(stateLive)
		return nil
	}
	runtime.UnlockOSThread()
	return Status("begin", cpython.Result{Status: status})
}

// adopt takes over a task that was begun on this OS thread (Entry.Turn). The goroutine is locked to it until
// end.
func (t *Token) adopt(e cpython.Entry) {
	runtime.LockOSThread()
	e.SetTag(t.grant.Tag())
	if t.deadline != 0 {
		e.SetDeadline(t.deadline)
	}
	t.interp.Took(t.grant.Tag())
	t.entry = e
	t.state.Store(stateLive)
}

// Callback runs f with a token for a call of a Go function by Python, on the thread that makes it, which is
// attached. The call's references go when it returns; the token is dead then. For gilt's own packages.
func (h *Host) Callback(it *cpython.Interp, e cpython.Entry, f func(*Token)) {
	t := &Token{host: h, interp: it, entry: e, callback: true}
	t.state.Store(stateLive)
	defer t.die()
	f(t)
}

// die is the end of the token's use.
func (t *Token) die() {
	t.state.Store(stateDead)
	t.whole.end(nil)
}

// EndTask ends the task t, which began with g, and gives its grant back. For gilt's own packages.
func (h *Host) EndTask(t *Task, g scheduler.Grant, r cpython.Result) {
	h.sched.Release(h.endOf(t, g, r), r.Held)
}

// endOf is End, whose grant's work was interrupted if r says so.
func (h *Host) endOf(t *Task, g scheduler.Grant, r cpython.Result) scheduler.Grant {
	g = h.End(t, g)
	if r.Fired {
		g.Interrupted()
	}
	return g
}

// end releases the task's references and detaches; it runs deferred, so also when the function panics
// or calls runtime.Goexit.
func (t *Token) end() cpython.Result {
	t.die()
	r := t.entry.Leave()
	runtime.UnlockOSThread()
	t.host.EndTask(t.task, t.grant, r)
	if r.Int > 0 {
		t.host.wakeDrainer()
	}
	return t.total(r)
}

// total is r, the answer of the crossing that ended the task, with the whole time for which the task had the GIL.
func (t *Token) total(r cpython.Result) cpython.Result {
	r.Held += t.held
	return r
}

// Check panics unless the token is live. op names the operation for the message.
func (t *Token) Check(op string) {
	if t == nil {
		Misuse(op, ruleZero)
	}
	switch t.state.Load() {
	case stateLive:
	case stateDetached:
		Misuse(op, ruleDetached)
	default:
		Misuse(op, ruleDead)
	}
}

// Entry is the live token's proof for the C side. For gilt's own packages.
func (t *Token) Entry(op string) cpython.Entry {
	t.Check(op)
	return t.entry
}

// Called says whether the token is of a call of a Go function by Python. For gilt's own packages.
func (t *Token) Called() bool { return t.callback }

// Interp is the interpreter that the token is of. For gilt's own packages.
func (t *Token) Interp() *cpython.Interp { return t.interp }

// Host is the host that the token is of. For gilt's own packages.
func (t *Token) Host() *Host { return t.host }

// TakeWire gives a buffer to encode arguments in, and PutWire takes it back when the operation has run.
// Only then is the operation known to be on the token's own goroutine: another one, which misuses the
// token meanwhile, must not write into the same buffer. For gilt's own packages.
func (t *Token) TakeWire() *[]byte {
	if t.taken.CompareAndSwap(false, true) {
		return &t.wire
	}
	return new([]byte)
}

// PutWire takes back what TakeWire gave. For gilt's own packages.
func (t *Token) PutWire(b *[]byte) {
	if b == &t.wire {
		t.taken.Store(false)
	}
}

// Interpreter is the number of the interpreter that the task runs in: 0 for the main one.
func (t *Token) Interpreter() int { return t.interp.ID }

// AllowThreads gives the GIL and the grant back, runs f, and comes back when the scheduler says so,
// a millisecond ahead of new work of its class. Inside f the token and its handles may not be used; f runs on this goroutine and
// may block, compute, or call Runtime.Do. When f panics or calls runtime.Goexit, the token is live again
// before it unwinds.
func (t *Token) AllowThreads(f func()) {
	const op = "Token.AllowThreads"
	t.Check(op)
	r := t.entry.Detach()
	if r.Status != cpython.OK {
		Misuse(op, ruleThread)
	}
	t.held += r.Held
	t.state.Store(stateDetached)
	defer t.state.Store(stateLive)
	k, grant := t.task, t.grant
	if t.callback {
		k = t.host.taskOf(t.interp, t.entry.Tag())
	}
	if k != nil {
		grant = k.grant
	}
	if grant.Class() == nil { // on the main lane, or a thread of Python's: outside the scheduler's order
		f()
		return
	}
	away := t.host.sched.Suspend(grant, r.Held)
	defer func() {
		t.grant = t.host.sched.Resume(away)
		if k != nil {
			t.host.resumed(k, t.grant)
		} else {
			t.running.Granted(t.grant)
		}
		t.entry.SetTag(t.grant.Tag())
	}()
	f()
}

// Status turns what became of an operation into an error; a Raised one is the caller's to read.
// For gilt's own packages.
func Status(op string, r cpython.Result) error {
	switch r.Status {
	case cpython.Misuse:
		Misuse(op, ruleThread)
	case cpython.Stopped:
		return ErrClosed
	case cpython.Greenlet:
		return ErrGreenlet
	case cpython.Ending:
		return ErrThreadEnding
	case cpython.Failed:
		if len(r.Data) > 0 {
			return errors.New("gilt: " + string(r.Data))
		}
		return ErrNoMemory
	}
	return nil
}

// Scope is the innermost scope, which new handles belong to. For gilt's own packages.
func (t *Token) Scope() *Scope {
	if s := t.scope.Load(); s != nil {
		return s
	}
	return &t.whole
}

// Whole is the task as a scope. For gilt's own packages.
func (t *Token) Whole() *Scope { return &t.whole }

// CheckScope panics unless the token is live and its scope s is still open. For gilt's own packages.
func (t *Token) CheckScope(op string, s *Scope) {
	t.Check(op)
	if s.ended.Load() {
		Misuse(op, ruleScope)
	}
}

// EntryIn is Entry for an object of a scope, which must still be open. For gilt's own packages.
func (t *Token) EntryIn(op string, s *Scope) cpython.Entry {
	if t == nil || t.state.Load() != stateLive || s.ended.Load() {
		t.CheckScope(op, s)
	}
	return t.entry
}

// CheckInterp panics unless the object of that interpreter may be used with this token. For gilt's own packages.
func (t *Token) CheckInterp(op string, it *cpython.Interp) {
	if it != t.interp {
		Misuse(op, ruleInterp)
	}
}

// Foreign panics for an object that another token gave. For gilt's own packages.
func (t *Token) Foreign(op string) { Misuse(op, ruleThread) }

// InScope runs f in a scope of its own: the references made in it go when it returns or panics, so that
// a loop over a million objects keeps memory level.
func (t *Token) InScope(f func() error) error {
	const op = "Scope"
	t.Check(op)
	base, ok := t.entry.ScopeBase()
	if !ok {
		Misuse(op, ruleThread)
	}
	outer, inner := t.Scope(), new(Scope)
	t.scope.Store(inner)
	defer func() {
		inner.end(outer)
		t.scope.Store(outer)
		t.entry.ScopeEnd(base)
	}()
	return f()
}
