package gil

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gilt/internal/cpython"
	"gilt/thread"
)

// ErrGoexit is work that called runtime.Goexit.
var ErrGoexit = thread.ErrGoexit

// ErrShutdownIncomplete is a shutdown that could not finalize Python, because something was still inside
// when its context ended. Python stays initialized, and entry is refused.
var ErrShutdownIncomplete = errors.New("gilt: shutdown is incomplete")

// Shutdown refuses new work, lets what is queued and running end until ctx ends, runs Python's own
// exit functions, gives back every thread state and finalizes Python. flushed is false when Python
// could not write its buffered output.
func (h *Host) Shutdown(ctx context.Context) (flushed bool, err error) {
	if !h.closing.CompareAndSwap(false, true) {
		return true, ErrClosed
	}
	h.tellClosing()
	return h.shutdown(ctx)
}

// Close is Shutdown for the impatient: work that waits is sent away with ErrClosed, and running work gets
// a second to end.
func (h *Host) Close() (flushed bool, err error) {
	if !h.closing.CompareAndSwap(false, true) {
		return true, ErrClosed
	}
	h.tellClosing()
	h.sched.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return h.shutdown(ctx)
}

// AtClose has f called as soon as new work is refused, which Closing says from then on. For gilt's own packages.
func (h *Host) AtClose(f func()) {
	h.atCloseMu.Lock()
	defer h.atCloseMu.Unlock()
	h.atClose = append(h.atClose, f)
}

// Closing says whether new work is refused. For gilt's own packages.
func (h *Host) Closing() bool { return h.closing.Load() }

func (h *Host) tellClosing() {
	h.atCloseMu.Lock()
	defer h.atCloseMu.Unlock()
	for _, f := range h.atClose {
		f()
	}
}

func (h *Host) shutdown(ctx context.Context) (flushed bool, err error) {
	if h.python.OnMainThread() {
		err = fmt.Errorf("%w: it was called by work on Python's main thread, which it would end", ErrShutdownIncomplete)
	} else if err = h.drained(ctx); err == nil {
		if ctx.Err() != nil { // nothing runs, so Python can be finalized: its exit functions get a moment
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
		}
		h.tellTraces()
		err = h.exitFunctions(ctx)
	}
	h.stopHelpers()
	if err != nil { // the janitors may wait for the GIL as long as it is held: they are not waited for
		h.python.Abandon()
		return false, err
	}
	h.helpers.Wait()
	h.holding.close()
	if err := h.quiesce(ctx); err != nil {
		h.python.Abandon()
		return false, err
	}
	status, err := h.python.Stop(context.WithoutCancel(ctx))
	<-h.python.Done()
	return status == 0, err
}

// drained waits for the work; when ctx ends first, waiters are sent away and what runs is named.
func (h *Host) drained(ctx context.Context) error {
	err := h.sched.Drain(ctx)
	h.sched.Close()
	if err == nil {
		err = h.sched.Drain(ctx) // who got a grant between the two, having looked at closing before
	}
	h.pool.Close()
	if err != nil && h.sched.Stats().All.InFlight > 0 {
		return h.incomplete(ctx)
	}
	h.pool.Wait() // nothing runs and nothing more is granted
	return nil
}

func (h *Host) incomplete(ctx context.Context) error {
	var names []string
	for _, c := range h.sched.Stats().Classes {
		if c.InFlight > 0 {
			names = append(names, fmt.Sprintf("%d of class %q", c.InFlight, c.Name))
		}
	}
	return fmt.Errorf("%w: tasks are still inside Python (%s): %w", ErrShutdownIncomplete, strings.Join(names, ", "), ctx.Err())
}

// exitFunctions does in every interpreter what Py_FinalizeEx would do without a bound: wait for
// threading's threads and run atexit's functions.
func (h *Host) exitFunctions(ctx context.Context) error {
	// Python calls threading._shutdown again when it ends an interpreter, which 3.12 asserts never happens.
	const source = "import atexit, sys, threading\nthreading._shutdown()\nthreading._shutdown = lambda: None\natexit._run_exitfuncs()\nstreams = sys.modules.get('gilt.streams')\nif streams: streams.end()\nsys.stdout and sys.stdout.flush()\nsys.stderr and sys.stderr.flush()\n"
	for _, it := range append(h.python.Own(), h.python.Main()) {
		err := h.onMain(ctx, it, func(t *Token) error {
			r := t.entry.Exec(source, "<gilt shutdown>", false, 0, 0, cpython.KindNone)
			if r.Status == cpython.Raised { // as python3 does, an exit function's exception does not stop the exit
				it.Release(r.Obj)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%w: Python's exit functions or threads of its own did not end: %w", ErrShutdownIncomplete, err)
		}
	}
	return nil
}

// quiesce waits until no thread that Python made is inside Python below a Go function: CPython would end the thread there, with
// Go's frames on its stack. Threads that are inside a Go function and not inside Python are kept from coming back.
func (h *Host) quiesce(ctx context.Context) error {
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for {
		inside := cpython.Quiesce(true)
		if inside == nil {
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			cpython.Quiesce(false)
			return fmt.Errorf("%w: threads that Python made are still inside Python, called by Go functions (%s): %w", ErrShutdownIncomplete, counted(inside), ctx.Err())
		}
	}
}

// counted is names with how often each is there.
func counted(names []string) string {
	slices.Sort(names)
	var parts []string
	for i := 0; i < len(names); {
		n := 1
		for i+n < len(names) && names[i+n] == names[i] {
			n++
		}
		parts = append(parts, fmt.Sprintf("%d in %s", n, names[i]))
		i += n
	}
	return strings.Join(parts, ", ")
}

func (h *Host) stopHelpers() {
	for it := range h.byInterp() {
		it.PacerStop()
	}
	h.stopCancellers()
	close(h.quit)
	_ = h.orphans.Close() // it ends the reaper's Read; there is nothing to lose
}
