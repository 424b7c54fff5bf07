package thread

import (
	"context"
	"errors"
	"runtime"
	"sync"
)

// ErrSessionClosed is work for a session that was closed.
var ErrSessionClosed = errors.New("gilt: the pinned session is closed: nothing runs on its thread any more")

// Session is one OS thread, kept for work that must always come back to the same thread (a library with
// thread affinity, threading.local). Its methods may be called from any goroutine.
type Session struct {
	jobs chan func()
	quit chan struct{}
	done chan struct{}
	once sync.Once
}

// NewSession starts the thread. It ends with Close.
func NewSession() *Session {
	s := &Session{jobs: make(chan func()), quit: make(chan struct{}), done: make(chan struct{})}
	go s.serve()
	return s
}

func (s *Session) serve() {
	defer close(s.done)
	runtime.LockOSThread() // never unlocked: the thread, and its thread states, end with the goroutine
	for {
		select {
		case f := <-s.jobs:
			f()
		case <-s.quit:
			return
		}
	}
}

// Run runs f on the session's thread and waits for it. A panic of f is the caller's.
func (s *Session) Run(ctx context.Context, f func()) error {
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

// Close ends the thread when its work is done, and waits for that: not to be called by the work itself.
// It may be called twice.
func (s *Session) Close() {
	s.once.Do(func() { close(s.quit) })
	<-s.done
}
