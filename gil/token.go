// Package gil holds the token, the proof that the calling goroutine may use Python now, and the host
// that brings the scheduler (who is next) and the threads (where it runs) together.
package gil

import (
	"errors"
	"runtime"
	"sync/atomic"

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
	scope  uint32 // serial of the innermost scope
	last   uint32 // the last serial given out
	host   *Host
	interp *cpython.Interp
	grant  scheduler.Grant
	outer  []scopeMark
	wire   []byte
}

type scopeMark struct{ serial uint32 }

const (
	stateLive uint32 = iota + 1
	stateDetached
	stateDead
)

// ErrNoMemory is a task that could not get a thread state.
var ErrNoMemory = errors.New("gilt: no memory for a Python thread state")

// begin enters Python's books on this OS thread. The goroutine is locked to it until end.
func (t *Token) begin() error {
	runtime.LockOSThread()
	e, status := t.interp.Enter()
	if status == cpython.OK {
		t.entry, t.scope, t.last = e, 1, 1
		t.state.Store(stateLive)
		return nil
	}
	runtime.UnlockOSThread()
	if status == cpython.Stopped {
		return ErrClosed
	}
	return ErrNoMemory
}

// end releases the task's references and detaches; it runs deferred, so also when the function panics
// or calls runtime.Goexit.
func (t *Token) end() {
	t.state.Store(stateDead)
	r := t.entry.Leave()
	runtime.UnlockOSThread()
	t.host.sched.Release(t.grant, r.Held)
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

// Interp is the interpreter that the token is of. For gilt's own packages.
func (t *Token) Interp() *cpython.Interp { return t.interp }

// Host is the host that the token is of. For gilt's own packages.
func (t *Token) Host() *Host { return t.host }

// Wire is a buffer to encode arguments in, which the token keeps for the next ones. For gilt's own packages.
func (t *Token) Wire() *[]byte { return &t.wire }

// Interpreter is the number of the interpreter that the task runs in: 0 for the main one.
func (t *Token) Interpreter() int { return t.interp.ID }

// AllowThreads gives the GIL and the grant back, runs f, and comes back when the scheduler says so,
// ahead of new work. Inside f the token and its handles may not be used; f runs on this goroutine and
// may block, compute, or call Runtime.Do. When f panics or calls runtime.Goexit, the token is live again
// before it unwinds.
func (t *Token) AllowThreads(f func()) {
	const op = "Token.AllowThreads"
	t.Check(op)
	r := t.entry.Detach()
	if r.Status != cpython.OK {
		Misuse(op, ruleThread)
	}
	t.state.Store(stateDetached)
	if t.grant.Class() == nil { // on the main lane, outside the scheduler's order
		defer t.state.Store(stateLive)
		f()
		return
	}
	away := t.host.sched.Suspend(t.grant, r.Held)
	defer func() {
		t.grant = t.host.sched.Resume(away)
		t.state.Store(stateLive)
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
	case cpython.Failed:
		if len(r.Data) > 0 {
			return errors.New("gilt: " + string(r.Data))
		}
		return ErrNoMemory
	}
	return nil
}

// Scope is the serial of the innermost scope, which new handles belong to. For gilt's own packages.
func (t *Token) Scope() uint32 { return t.scope }

// CheckScope panics unless the scope of that serial is still open. For gilt's own packages.
func (t *Token) CheckScope(op string, serial uint32) {
	t.Check(op)
	if serial == t.scope {
		return
	}
	for _, m := range t.outer {
		if m.serial == serial {
			return
		}
	}
	Misuse(op, ruleScope)
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
	base := t.entry.ScopeBase()
	t.outer = append(t.outer, scopeMark{t.scope})
	t.last++
	t.scope = t.last
	defer func() {
		t.scope = t.outer[len(t.outer)-1].serial
		t.outer = t.outer[:len(t.outer)-1]
		t.entry.ScopeEnd(base)
	}()
	return f()
}
