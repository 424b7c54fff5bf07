package thread

import (
	"context"
	"errors"
	"runtime"
	"sync"

	"gilt/internal/cpython"
)

// ErrSessionClosed is work for a session that was closed.
var ErrSessionClosed = errors.New("gilt: the pinned session is closed: nothing runs on its thread any more")

// Session is one OS thread, kept for work that must always come back to the same thread (a library with
// thread affinity, threading.local). Its methods may be called from any goroutine.
type Session struct {
	thread cpython.OSThread
	jobs   chan func()
	quit   chan struct{}
	done   chan struct{}
	once   sync.Once
}

// NewSession starts the thread. It ends with Close.
func NewSession() *Session {
	s := &Session{jobs: make(chan func()), quit: make(chan struct{}), done: make(chan struct{})}
	started := make(chan struct{})
	go s.serve(started)
	<-started
	return s
}

func (s *Session) serve(started chan<- struct{}) {
	defer close(s.done)
	runtime.LockOSThread() // never unlocked: the thread, and its thread states, end with the goroutine
	s.thread = cpython.ThisThread()
	close(started)
	s.work()
}

// work runs the jobs. One that calls runtime.Goexit must not end the session, so it goes on in the deferred
// call, which Goexit waits for.
func (s *Session) work() {
	ended := false
	defer func() {
		if !ended {
			s.work()
		}
	}()
	for {
		select {
		case f := <-s.jobs:
			f()
		case <-s.quit:
			ended = true
			return
		}
	}
}

// own says whether the caller is the session's own work: only that goroutine runs on its thread.
func (s *Session) own() bool { return cpython.ThisThread() == s.thread }

// Run runs f on the session's thread and waits for it. A panic of f is the caller's. Called by the
// session's own work, it runs f at once, inside that.
func (s *Session) Run(ctx context.Context, f func()) error {
	if s.own() {
		return inline(ctx, f)
	}
	j := newJob(f)
	select {
	case s.jobs <- j.run:
	case <-s.done:
		return ErrSessionClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	<-j.done
	return j.outcome()
}

// inline runs f for work that is on f's thread already, and would wait for itself. A panic and
// runtime.Goexit go through to that work.
func inline(ctx context.Context, f func()) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f()
	return nil
}

// Close ends the thread when its work is done, and waits for that, but for the session's own work, which
// cannot wait for its own end. It may be called twice.
func (s *Session) Close() {
	s.once.Do(func() { close(s.quit) })
	if !s.own() {
		<-s.done
	}
}
