package gil

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"gilt/internal/cpython"
)

const (
	ruleUnlocked  = "it is not locked: there is one Unlock for each Lock, and one RUnlock for each RLock"
	ruleReentrant = "the cell is being initialized by this very goroutine: what an initializer runs must not ask for the initializer's own cell"
)

// may panics unless tok, where there is one, is live. That it is this goroutine's is not known without a crossing: see ours.
func may(tok *Token, op string) {
	if tok != nil {
		tok.Check(op)
	}
}

// ours panics unless tok, where there is one, is this goroutine's.
func ours(tok *Token, op string) {
	if tok != nil {
		if _, ok := tok.entry.ScopeBase(); !ok {
			Misuse(op, ruleThread)
		}
	}
}

// standBy runs wait, which waits, without what whoever is waited for may need: the GIL and the grant of tok, or, of a
// caller that shows no token, the GIL.
func standBy(tok *Token, op string, wait func()) {
	if tok == nil {
		cpython.Yield()
		wait()
		return
	}
	ours(tok, op)
	tok.AllowThreads(wait)
}

// waitError is what is said of a wait that ctx has ended.
func waitError(ctx context.Context, op string) error {
	err := ctx.Err()
	if cause := context.Cause(ctx); !errors.Is(cause, err) {
		return fmt.Errorf("gilt: %s: %w: %w", op, err, cause)
	}
	return fmt.Errorf("gilt: %s: %w", op, err)
}

// lock is one that many may have to read, or one to write. Who cannot have it stands in line, and may leave the line,
// which is why it is none of package sync's. As there, who comes when it is free goes before those in line: a task that
// is woken must still get its turn at Python, and if each unlocking had to wait for that, one crowd would never end. But
// when the first in line has waited for patience, the lock is given to those in line only.
type lock struct {
	state atomic.Int64   // writing, or reading times the readers; and the marks
	owner atomic.Uintptr // the thread of the task that has it to write, 0 for not known: for the watchdog
	mu    sync.Mutex     // of the line, held for no more than a few instructions
	line  list.List      // of *inLine
}

const (
	writing = 1 << iota
	queued  // a mark: the line is not empty
	strict  // a mark: the first in line has waited for patience
	reading
	marks = queued | strict
)

const patience = time.Millisecond

type inLine struct {
	hold  int64 // writing or reading
	since time.Time
	got   bool          // under mu
	wake  chan struct{} // of one: it has got it, or is first and may try
}

// grant gives the lock, if it may be had now by somebody from the line or not.
func (l *lock) grant(hold int64, fromLine bool) bool {
	for {
		s := l.state.Load()
		held := s &^ marks
		if held != 0 && (hold == writing || held == writing) {
			return false
		}
		if !fromLine && (s&strict != 0 || held != 0 && s&queued != 0) { // nor past a writer that waits for readers to go
			return false
		}
		if l.state.CompareAndSwap(s, s+hold) {
			return true
		}
	}
}

func (l *lock) try(hold int64) bool { return l.grant(hold, false) }

// get waits for the lock; false when ctx ended first.
func (l *lock) get(ctx context.Context, hold int64) bool {
	w := &inLine{hold: hold, since: time.Now(), wake: make(chan struct{}, 1)}
	l.mu.Lock()
	l.state.Or(queued) // first: from here on who gives it up comes by
	if l.try(hold) {
		l.unmark()
		l.mu.Unlock()
		return true
	}
	e := l.line.PushBack(w)
	if l.line.Front() == e {
		l.admit() // a reader that is alone in line may go to other readers
	}
	got := w.got
	l.mu.Unlock()
	for !got {
		select {
		case <-w.wake:
			l.mu.Lock()
			if l.line.Front() == e {
				l.admit()
			}
			got = w.got
			l.mu.Unlock()
		case <-ctx.Done():
			return l.leave(e)
		}
	}
	return true
}

// leave takes somebody whose context has ended out of the line; false for the caller to return.
func (l *lock) leave(e *list.Element) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := e.Value.(*inLine); w.got { // at the same time
		l.drop(w.hold)
	} else {
		l.line.Remove(e)
	}
	l.pass() // to whoever stood behind
	return false
}

// admit gives the lock to the first in line, as far as may be. Under mu.
func (l *lock) admit() {
	for e := l.line.Front(); e != nil; e = l.line.Front() {
		w := e.Value.(*inLine)
		if !l.grant(w.hold, true) {
			return
		}
		l.line.Remove(e)
		w.got = true
		w.rouse()
	}
	l.unmark()
}

func (w *inLine) rouse() {
	select {
	case w.wake <- struct{}{}:
	default: // it is about to look anyway
	}
}

// unmark takes the marks away if the line is empty. Under mu.
func (l *lock) unmark() {
	if l.line.Len() == 0 {
		l.state.And(^marks)
	}
}

// pass lets the first in line try, or gives it the lock if it has waited for long. Under mu.
func (l *lock) pass() {
	e := l.line.Front()
	if e == nil {
		l.unmark()
		return
	}
	if w := e.Value.(*inLine); time.Since(w.since) < patience {
		l.state.And(^strict)
		w.rouse()
		return
	}
	l.state.Or(strict)
	l.admit()
}

// drop takes a hold away, and gives the state that is left; false when nobody has it.
func (l *lock) drop(hold int64) (left int64, ok bool) {
	for {
		s := l.state.Load()
		if hold == writing && s&writing == 0 || hold == reading && s < reading {
			return s, false
		}
		if l.state.CompareAndSwap(s, s-hold) {
			return s - hold, true
		}
	}
}

// put gives a hold back; false when nobody has it.
func (l *lock) put(hold int64) bool {
	left, ok := l.drop(hold)
	if ok && left&queued != 0 && left&^marks == 0 {
		l.mu.Lock()
		l.pass()
		l.mu.Unlock()
	}
	return ok
}

// wait is get for a caller with or without a token.
func (l *lock) wait(ctx context.Context, tok *Token, op string, hold int64) (ok bool) {
	standBy(tok, op, func() {
		if tok != nil {
			defer tok.waits(op, func(thread, _ uintptr) bool {
				return thread == l.owner.Load() && l.state.Load()&writing != 0
			})()
		}
		ok = l.get(ctx, hold)
	})
	if ok {
		l.ownedBy(tok, hold)
	}
	return ok
}

// ownedBy notes who has got the lock. Until then, and while many read, the owner is the one before, or nobody: the
// watchdog looks several times.
func (l *lock) ownedBy(tok *Token, hold int64) {
	if hold == writing {
		l.owner.Store(tok.thread())
	} else {
		l.owner.Store(0)
	}
}

// tryAs is try for a task.
func (l *lock) tryAs(tok *Token, hold int64) bool {
	if !l.try(hold) {
		return false
	}
	l.ownedBy(tok, hold)
	return true
}

func (l *lock) lockContext(ctx context.Context, tok *Token, op string, hold int64) error {
	may(tok, op)
	if ctx.Err() != nil || !l.tryAs(tok, hold) && !l.wait(ctx, tok, op, hold) {
		return waitError(ctx, op)
	}
	return nil
}

// Mutex is a lock for Go data that several tasks share. A task that must wait for it gives the GIL and its grant up
// meanwhile (Token.AllowThreads): it does not hold up Python, and whoever has the lock gets the GIL. The zero Mutex is
// unlocked, and is not to be copied. Its methods may be called from any goroutine. As sync.Mutex, it knows no owner:
// a second Lock by who has it waits for ever.
//
// Each waiting method takes the caller's token. A caller that has none gives nil, and waits as for any lock. A task that
// gives nil gives the GIL up too while it waits, but not its grant: others wait for the grace of 100 µs. When it need not
// wait, a Lock is one compare-and-swap. Those who wait are served first come first served. Somebody who comes when m is free
// may go before them, until the first of them has waited for a millisecond: nobody starves.
//
// A token that is dead or inside AllowThreads is a misuse, a panic with a *MisuseError; that a token is another
// goroutine's is seen only when it must wait.
//
// Tasks that wait keep their OS threads, so they count towards gilt.Config.MaxThreads, and their class's limit. When as many
// wait for a lock as may be out, and the goroutine that has it has no token and asks for one, that waits for ever, and the
// watchdog tells (gilt.Config.Watchdog): such a goroutine asks for the token before the lock, or gives Do a context.
type Mutex struct{ l lock }

// Lock locks m. A panic with a *MisuseError leaves m as it was.
func (m *Mutex) Lock(tok *Token) {
	const op = "Mutex.Lock"
	may(tok, op)
	if m.l.state.CompareAndSwap(0, writing) {
		m.l.ownedBy(tok, writing)
	} else if !m.l.tryAs(tok, writing) {
		m.l.wait(context.Background(), tok, op, writing)
	}
}

// LockContext locks m, or returns an error that matches ctx's when ctx has ended: then m is not locked. The way back to
// Python, of a task that had to wait, is not bounded by ctx.
func (m *Mutex) LockContext(ctx context.Context, tok *Token) error {
	return m.l.lockContext(ctx, tok, "Mutex.LockContext", writing)
}

// TryLock locks m if that needs no waiting.
func (m *Mutex) TryLock() bool { return m.l.tryAs(nil, writing) }

// Unlock unlocks m, which need not be done by who locked it. If m is not locked, it panics with a *MisuseError.
func (m *Mutex) Unlock() {
	if !m.l.state.CompareAndSwap(writing, 0) && !m.l.put(writing) {
		Misuse("Mutex.Unlock", ruleUnlocked)
	}
}

// With runs f with m locked. m is unlocked also when f panics or calls runtime.Goexit.
func (m *Mutex) With(tok *Token, f func()) {
	m.Lock(tok)
	defer m.Unlock()
	f()
}

// RWMutex is a Mutex that many may have to read at once. All that is said there holds here. Who comes while others
// read stands behind those who wait to write, and those who write leave the lock to those who wait to read: neither starves. So
// somebody who has the lock to read must not ask for it again.
type RWMutex struct{ l lock }

// Lock locks m to write. A panic with a *MisuseError leaves m as it was.
func (m *RWMutex) Lock(tok *Token) {
	const op = "RWMutex.Lock"
	may(tok, op)
	if !m.l.tryAs(tok, writing) {
		m.l.wait(context.Background(), tok, op, writing)
	}
}

// LockContext locks m to write, or returns an error that matches ctx's when ctx has ended: see Mutex.LockContext.
func (m *RWMutex) LockContext(ctx context.Context, tok *Token) error {
	return m.l.lockContext(ctx, tok, "RWMutex.LockContext", writing)
}

// TryLock locks m to write if that needs no waiting.
func (m *RWMutex) TryLock() bool { return m.l.tryAs(nil, writing) }

// Unlock ends Lock. If m is not locked to write, it panics with a *MisuseError.
func (m *RWMutex) Unlock() {
	if !m.l.put(writing) {
		Misuse("RWMutex.Unlock", ruleUnlocked)
	}
}

// RLock locks m to read.
func (m *RWMutex) RLock(tok *Token) {
	const op = "RWMutex.RLock"
	may(tok, op)
	if !m.l.tryAs(tok, reading) {
		m.l.wait(context.Background(), tok, op, reading)
	}
}

// RLockContext locks m to read, or returns an error that matches ctx's when ctx has ended: see Mutex.LockContext.
func (m *RWMutex) RLockContext(ctx context.Context, tok *Token) error {
	return m.l.lockContext(ctx, tok, "RWMutex.RLockContext", reading)
}

// TryRLock locks m to read if that needs no waiting.
func (m *RWMutex) TryRLock() bool { return m.l.tryAs(nil, reading) }

// RUnlock ends RLock. If m is not locked to read, it panics with a *MisuseError.
func (m *RWMutex) RUnlock() {
	if !m.l.put(reading) {
		Misuse("RWMutex.RUnlock", ruleUnlocked)
	}
}

// With runs f with m locked to write. m is unlocked also when f panics or calls runtime.Goexit.
func (m *RWMutex) With(tok *Token, f func()) {
	m.Lock(tok)
	defer m.Unlock()
	f()
}

// RWith runs f with m locked to read. m is unlocked also when f panics or calls runtime.Goexit.
func (m *RWMutex) RWith(tok *Token, f func()) {
	m.RLock(tok)
	defer m.RUnlock()
	f()
}
