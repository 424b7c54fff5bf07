// Package thread owns the OS threads that carry Python thread states: the thread that initialized
// Python and serves as its main thread (the main lane), and goroutines that are kept on an OS thread of
// their own (workers and pinned sessions). A thread state never moves to another OS thread and lives as
// long as its thread; internal/cpython keeps it in thread-local storage.
package thread

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"gilt/internal/cpython"
)

// ErrAlreadyStarted is a second Start in one process: CPython cannot be started twice, nor again after
// it was stopped.
var ErrAlreadyStarted = errors.New("gilt: Python was already started in this process, and CPython starts only once: share the one Runtime")

// ErrPythonRuns is a Start in a process in which a Python runs that gilt has not started: python3 itself, into which the Go
// program was loaded as a library, or one that another library embeds. A process has one Python, and this one is not gilt's.
var ErrPythonRuns = errors.New("gilt: this process runs a Python already, which gilt has not started and cannot use: build the Go program as an executable, and have Python start it (subprocess) or talk to it")

// ErrOnMain is a Stop by work on Python's main thread, which cannot finalize Python under itself.
var ErrOnMain = errors.New("gilt: Python cannot be stopped by a function that runs on its main thread: call Shutdown outside OnMain; Python stays initialized and refuses entry")

// ErrStopped is work for a main lane that has ended.
var ErrStopped = errors.New("gilt: Python's main thread has ended")

// Options say which Python to start and how.
type Options struct {
	Library, Program, Home string        // absolute paths; Program and Home may be empty
	Isolated               bool          // takes nothing from the environment or the user's site, as python3 -I
	Interpreters           int           // with a GIL of their own, besides the main one; 0 for none
	SwitchInterval         time.Duration // of every interpreter
}

// Python is the running CPython.
type Python struct {
	main    *cpython.Interp
	own     []*cpython.Interp
	thread  cpython.OSThread // Python's main thread
	lane    chan func()
	closing chan struct{}
	done    chan struct{}
	ended   sync.Once // closes done
	status  int
}

var started atomic.Bool

// Start loads and initializes Python on a new OS thread that lives until Stop.
func Start(o Options) (*Python, error) {
	if !started.CompareAndSwap(false, true) {
		return nil, ErrAlreadyStarted
	}
	if is := cpython.Running(); is != nil {
		started.Store(false)
		return nil, fmt.Errorf("%w (it is %w)", ErrPythonRuns, is)
	}
	if err := cpython.Load(o.Library); err != nil {
		started.Store(false) // nothing is loaded: another library may be tried
		return nil, fmt.Errorf("gilt: %w", err)
	}
	p := &Python{lane: make(chan func()), closing: make(chan struct{}), done: make(chan struct{})}
	result := make(chan error)
	serve := func() { p.serve(o, result) }
	if first != nil {
		first <- serve
	} else {
		go serve()
	}
	if err := <-result; err != nil {
		return nil, fmt.Errorf("gilt: %w", err)
	}
	return p, nil
}

// first takes the main lane to the thread that is in AsMain. Set before any Start, nil without AsMain.
var first chan func()

// AsMain runs work on a new goroutine and returns when work has. A Start by work makes the caller's OS thread Python's main
// thread, where there is a new thread otherwise. For a process that stands in for python3: the main goroutine calls AsMain,
// once, on the process's first thread.
func AsMain(work func()) {
	first = make(chan func())
	done := make(chan struct{})
	go func() {
		defer close(done)
		work()
	}()
	for {
		select {
		case serve := <-first:
			serve()
		case <-done:
			return
		}
	}
}

// serve is the main lane. The goroutine never unlocks its OS thread, so the thread ends with it.
func (p *Python) serve(o Options, result chan<- error) {
	defer p.end()
	runtime.LockOSThread()
	p.thread = cpython.ThisThread()
	main, err := cpython.Start(o.Program, o.Home, o.Isolated, o.SwitchInterval)
	p.main = main
	for i := 0; err == nil && i < o.Interpreters; i++ {
		var it *cpython.Interp
		if it, err = cpython.NewInterp(o.SwitchInterval); err == nil {
			p.own = append(p.own, it)
		}
	}
	result <- err
	if err != nil {
		return
	}
	p.run()
}

func (p *Python) end() { p.ended.Do(func() { close(p.done) }) }

// run runs the lane's jobs. One that calls runtime.Goexit must not end Python's main thread, so the lane
// goes on in the deferred call, which Goexit waits for.
func (p *Python) run() {
	ended := false
	defer func() {
		if !ended {
			p.run()
		}
	}()
	for {
		select {
		case f := <-p.lane:
			f()
		case <-p.closing:
			ended = true
			return
		}
	}
}

// OnMainThread says whether the caller runs on Python's main thread: inside OnMain, that is.
func (p *Python) OnMainThread() bool { return cpython.ThisThread() == p.thread }

// Main is the main interpreter.
func (p *Python) Main() *cpython.Interp { return p.main }

// Own are the interpreters with their own GIL.
func (p *Python) Own() []*cpython.Interp { return p.own }

// OnMain runs f on Python's main thread (signal.signal, pending calls) and waits for it. f may be left
// behind when ctx ends first: it then runs later, or never. A panic of f is the caller's. Called by work that
// is on Python's main thread, it runs f at once, inside that.
func (p *Python) OnMain(ctx context.Context, f func()) error {
	if p.OnMainThread() {
		if err := inline(ctx, f); err != nil {
			return fmt.Errorf("gilt: waiting for Python's main thread: %w", err)
		}
		return nil
	}
	j := newJob(f)
	select {
	case p.lane <- j.run:
	case <-p.done:
		return ErrStopped
	case <-ctx.Done():
		return fmt.Errorf("gilt: waiting for Python's main thread: %w", ctx.Err())
	}
	select {
	case <-j.done:
	case <-ctx.Done():
		return fmt.Errorf("gilt: running on Python's main thread: %w", ctx.Err())
	}
	return j.outcome()
}

// Stop ends the interpreters and finalizes Python. The caller has made sure that no thread is inside.
// It gives Py_FinalizeEx's status, not 0 when buffered output was lost. Called by work on Python's main
// thread it gives ErrOnMain, and is Abandon: Python stays as it is under that work.
func (p *Python) Stop(ctx context.Context) (status int, err error) {
	if p.OnMainThread() {
		p.Abandon()
		p.end() // whoever waits for the lane's end must not wait for work that waits for Stop
		return 0, ErrOnMain
	}
	err = p.OnMain(ctx, func() { p.status = cpython.Stop() })
	if err == nil {
		p.Abandon()
	}
	return p.status, err
}

// Abandon ends the main lane and leaves Python initialized; entry is refused from now on.
func (p *Python) Abandon() {
	cpython.Refuse()
	select {
	case <-p.closing:
	default:
		close(p.closing)
	}
}

// Done is closed when the main lane takes no more work: it has ended, or ends with the work that called Stop.
func (p *Python) Done() <-chan struct{} { return p.done }
