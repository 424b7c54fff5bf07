package thread

import (
	"context"
	"errors"
	"runtime"
	"sync"
)

// ErrSessionClosed is work for a session that was closed.
var ErrSessionClosed = errors.New("gilt: the pinned session is closed: nothing runs on its thread any more")

// ErrGoexit is a function that called runtime.Goexit on a thread that gilt keeps: it ended the thread.
var ErrGoexit = errors.New("gilt: the function called runtime.Goexit (t.FailNow does) and so ended its thread")

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
	var caught any
	returned := false
	done := make(chan struct{})
	job := func() {
		defer close(done)
		defer func() {
			if !returned {
				caught = recover()
			}
		}()
		f()
		returned = true
	}
	select {
	case s.jobs <- job:
	case <-s.done:
		return ErrSessionClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	<-done
	if !returned {
		if caught == nil {
			return ErrGoexit
		}
		panic(caught)
	}
	return nil
}

// Close ends the thread when its work is done; it may be called twice.
func (s *Session) Close() {
	s.once.Do(func() { close(s.quit) })
	<-s.done
}
