package thread

import "errors"

// ErrGoexit is a function that called runtime.Goexit on a thread that gilt keeps.
var ErrGoexit = errors.New("gilt: the function called runtime.Goexit (t.FailNow does) on a thread that is not its own")

// job takes a function to another goroutine's thread and brings back how it ended.
type job struct {
	f        func()
	done     chan struct{} // closed when f has ended, however it did
	returned bool
	caught   *PanicError // what f panicked with
}

func newJob(f func()) *job { return &job{f: f, done: make(chan struct{})} }

func (j *job) run() {
	defer close(j.done)
	defer func() {
		if v := recover(); v != nil {
			j.caught = Caught(v)
		}
	}()
	j.f()
	j.returned = true
}

// outcome, once done is closed, is nil or ErrGoexit; it panics with a *PanicError when f has panicked.
func (j *job) outcome() error {
	switch {
	case j.returned:
		return nil
	case j.caught == nil:
		return ErrGoexit
	}
	panic(j.caught)
}
