package gil

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gilt/internal/cpython"
	"gilt/scheduler"
	"gilt/thread"
)

// ErrUninterruptible is matched by every *UninterruptibleError.
var ErrUninterruptible = errors.New("gilt: the Python code could not be interrupted")

// UninterruptibleError is work that went on though its context had ended and it was interrupted: C code, a sleep, a
// lock or a socket that does not come back, or Python code that catches the exception. Its caller was freed, and
// its result, if ever there is one, is dropped. It matches ErrUninterruptible and the context's error.
type UninterruptibleError struct {
	What  string        // the function
	Where string        // the Python frame in which it was last seen: "file:line in function"; "in C code", "in Go code" for none; "" if nobody could look
	Grace time.Duration // for which it was interrupted: Config.Grace, or more of them if it had no chance to answer
	Why   string        // why it has not answered, if that is not its own doing: its thread was given no processor
	Err   error         // the context's
}

func (e *UninterruptibleError) Error() string {
	where := ""
	switch {
	case e.Where == inC || e.Where == inGo:
		where = ", which is " + e.Where
	case e.Where != "":
		where = ", which is in " + e.Where
	}
	why := ""
	if e.Why != "" {
		why = " (" + e.Why + ")"
	}
	return fmt.Sprintf("%v: %s%s, goes on in the background after %v of interruptions%s: %v", ErrUninterruptible, e.What, where, e.Grace, why, e.Err)
}

// Where work is that has no Python frame.
const inC, inGo = "in C code", "in Go code"

// Unwrap gives ErrUninterruptible and the context's error.
func (e *UninterruptibleError) Unwrap() []error { return []error{ErrUninterruptible, e.Err} }

// InterruptedError is work that was interrupted while it ran, because its context had ended, and failed. It matches
// the context's error, what the Python code raised, and the context's cause; not the cause that
// context.WithDeadlineCause gives if the context's timer was later than the interruption, which happens on a busy machine.
type InterruptedError struct {
	Err   error // what the work gave: mostly gilt.Cancelled, or what the code made of it
	Cause error // the context's error, or its cause
}

func (e *InterruptedError) Error() string {
	return fmt.Sprintf("gilt: interrupted while it ran: %v (%v)", e.Cause, e.Err)
}

// Unwrap gives the context's error and the work's.
func (e *InterruptedError) Unwrap() []error { return []error{e.Cause, e.Err} }

// Cancel is how a piece of work answers the end of its context: for gilt's own packages. The zero value does not.
type Cancel struct {
	deadline cpython.Deadline
	free     bool // the caller must not be inside Python: it is to be freed
	any      bool // any end counts, not only the deadline
}

// Deadline is when the Python code is cancelled by itself.
func (c Cancel) Deadline() cpython.Deadline { return c.deadline }

// policy is how the scheduler is to take the work's deadline: work that is not interrupted then may end after it.
func (c Cancel) policy() scheduler.Cancellation {
	if c.deadline == 0 {
		return scheduler.Never
	}
	return scheduler.OnDeadline
}

// Free says that the work must be run by Freed.
func (c Cancel) Free() bool { return c.free }

type cancelKey struct{}

// WithCancellation gives a context whose work is interrupted as the policy says, whatever its class says.
func WithCancellation(ctx context.Context, policy scheduler.Cancellation) context.Context {
	return context.WithValue(ctx, cancelKey{}, policy)
}

// policyOf is the policy of ctx's work: its own, or its class's.
func policyOf(ctx context.Context) scheduler.Cancellation {
	if p, ok := ctx.Value(cancelKey{}).(scheduler.Cancellation); ok {
		return p
	}
	if c := ClassOf(ctx); c != nil {
		return c.Cancellation()
	}
	return scheduler.OnDeadline
}

// Cancels says how work with that history answers the end of ctx; own is a function's policy, if it has one.
//
// A goroutine inside Python cannot be freed. So work that may be long, or asleep, runs on a goroutine of its own; the
// rest runs where it is called, and is freed when Python lets it.
func (h *Host) Cancels(ctx context.Context, past *scheduler.History, own *scheduler.Cancellation) (c Cancel) {
	if ctx.Done() == nil {
		return Cancel{}
	}
	var policy scheduler.Cancellation
	if own != nil {
		policy = *own
	} else {
		policy = policyOf(ctx)
	}
	deadline, ok := ctx.Deadline()
	if policy == scheduler.Never || policy == scheduler.OnDeadline && !ok {
		return Cancel{}
	}
	if ok {
		left := cpython.Deadline(deadline.Sub(h.epoch))
		c.deadline = max(1, h.clock+min(left, math.MaxInt64-h.clock)) // it may be as far away as a Duration can say
	}
	c.any = policy == scheduler.OnCancel
	c.free = (c.any || !past.Quick()) && !cpython.Nested() // a nested task is its thread's, and its goroutine's
	if !h.cancelling.Load() {
		h.startCancellers()
	}
	return c
}

// startCancellers starts a thread for each interpreter, once somebody needs them.
func (h *Host) startCancellers() {
	h.cancelMu.Lock()
	defer h.cancelMu.Unlock()
	if h.cancelling.Load() || h.closing.Load() {
		return
	}
	for it := range h.byInterp() {
		h.helpers.Go(func() { h.cancel(it) })
	}
	h.cancelling.Store(true)
}

func (h *Host) cancel(it *cpython.Interp) {
	const kept = 64
	runtime.LockOSThread() // for good: the thread has a thread state
	for {
		tag, where, ok := it.CancelLoop()
		if !ok {
			return
		}
		h.cancelMu.Lock()
		if h.stuck = append(h.stuck, stuck{task{it.ID, tag}, where}); len(h.stuck) > kept {
			h.stuck = h.stuck[1:]
		}
		h.cancelMu.Unlock()
	}
}

func (h *Host) stopCancellers() {
	h.cancelMu.Lock()
	defer h.cancelMu.Unlock()
	for it := range h.byInterp() {
		it.CancelStop()
	}
}

// stuck is a task that went on though it was interrupted several times, and the Python frame that it was in.
type stuck struct {
	task  task
	where string
}

// Interrupted is the error of work that ended with err: an *InterruptedError if fired, which says that it was interrupted.
// For gilt's own packages.
func Interrupted(ctx context.Context, fired bool, err error) error {
	if !fired || err == nil {
		return err
	}
	return &InterruptedError{Err: err, Cause: EndOf(ctx)}
}

// EndOf is why work was interrupted whose context that is: the context's error, and its cause. For gilt's own packages.
func EndOf(ctx context.Context) error {
	cause := context.Cause(ctx)
	if cause == nil {
		return context.DeadlineExceeded // its timer is late
	}
	if !errors.Is(cause, ctx.Err()) {
		return fmt.Errorf("%w: %w", ctx.Err(), cause)
	}
	return cause
}

// Interrupts says whether ctx's end may interrupt work at all, as its policy or its class says. For gilt's own packages.
func Interrupts(ctx context.Context) bool {
	return ctx.Done() != nil && policyOf(ctx) != scheduler.Never
}

// NewRunning is work that its owner interrupts himself, with Interrupt, and loses. For gilt's own packages.
func (h *Host) NewRunning() *Running { return &Running{host: h} }

// Interrupt has the work's Python code cancelled now, and again until it has ended; of an event loop only what is overdue.
// For gilt's own packages.
func (r *Running) Interrupt() {
	if !r.host.cancelling.Load() {
		r.host.startCancellers()
	}
	r.interrupt()
}

// Lose says that the work goes on though whoever waited for it was freed, until Found. thread says that it keeps a thread
// from others. For gilt's own packages.
func (r *Running) Lose(what, where string, thread bool) {
	r.host.lose(r, lost{what: what, where: where, thread: thread})
}

// Found says that work which was lost has ended, or does nothing. For gilt's own packages.
func (r *Running) Found() {
	if r.state.Load() == abandoned {
		r.host.found(r)
	}
}

// Grace is for how long interrupted work may go on before its caller is freed. For gilt's own packages.
func (h *Host) Grace() time.Duration { return h.grace }

// Running is work that Freed runs. For gilt's own packages.
type Running struct {
	host   *Host
	interp atomic.Pointer[cpython.Interp]
	tag    atomic.Uint64 // of its grant, 0 while it has none
	state  atomic.Int32
	reads  sync.Mutex // held while what is the caller's is read
}

const (
	running int32 = iota
	ended
	abandoned
)

// Granted says with which grant the work goes on. A nil Running is work that nobody is to be freed from.
func (r *Running) Granted(g scheduler.Grant) {
	if r != nil {
		r.interp.Store(r.host.lanes[g.Lane()])
		r.tag.Store(g.Tag())
	}
}

// Reads runs f, which reads what the caller may change when he is freed; false when he was, and f did not run.
func (r *Running) Reads(f func()) bool {
	if r == nil {
		f()
		return true
	}
	r.reads.Lock()
	defer r.reads.Unlock()
	if r.state.Load() == abandoned {
		return false
	}
	f()
	return true
}

func (r *Running) interrupt() {
	if tag := r.tag.Load(); tag != 0 {
		r.interp.Load().Cancel(tag)
	}
}

// watch interrupts work for which nobody may wait, from the end of ctx on, until what it gives is called.
func (r *Running) watch(ctx context.Context) (stop func()) {
	const longest = 100 * time.Millisecond
	unwatch := context.AfterFunc(ctx, func() {
		for pause := time.Millisecond; r.state.Load() == running; pause = min(2*pause, longest) {
			r.interrupt()
			time.Sleep(pause)
		}
	})
	return func() {
		unwatch()
		r.state.Store(ended)
	}
}

// where is the Python frame in which the work was last seen, or what hides it; "" for work that waits for its turn.
func (r *Running) where() string {
	h, tag := r.host, r.tag.Load()
	if tag == 0 {
		return ""
	}
	it := r.interp.Load()
	h.cancelMu.Lock()
	defer h.cancelMu.Unlock()
	for _, s := range h.stuck {
		if s.task == (task{it.ID, tag}) && s.where != "" {
			return s.where
		}
	}
	if it.InGo(tag) {
		return inGo
	}
	return inC
}

// freed is work on a goroutine of its own, and what it gives.
type freed[T any] struct {
	Running
	name func() string
	f    func(*Running) (T, error)
	done chan struct{}

	value    T
	err      error
	panicked *PanicError
	exited   bool // by runtime.Goexit
}

func (w *freed[T]) run() {
	w.exited = true
	defer func() {
		if v := recover(); v != nil {
			w.panicked = thread.Caught(v)
		}
		if !w.state.CompareAndSwap(running, ended) {
			w.host.found(&w.Running)
			tellDropped(w.name(), w.panicked)
		}
		w.done <- struct{}{}
	}()
	w.value, w.err = w.f(&w.Running)
	w.exited = false
}

// give does on this goroutine what the function did on the other.
func (w *freed[T]) give() (T, error) {
	switch {
	case w.panicked != nil:
		panic(w.panicked)
	case w.exited:
		runtime.Goexit()
	}
	return w.value, w.err
}

// apart runs f on another goroutine: one that has done this before, and has a stack that is large enough, if one is
// idle.
func (h *Host) apart(f func()) {
	select {
	case h.idle <- f:
	default:
		go h.serve(f)
	}
}

// serve runs f, and whatever comes then, as long as the host runs and there are not too many.
func (h *Host) serve(f func()) {
	const most = 256
	for {
		f()
		if h.serving.Add(1) > most {
			h.serving.Add(-1)
			return
		}
		select {
		case f = <-h.idle:
			h.serving.Add(-1)
		case <-h.quit:
			return
		}
	}
}

// Freed runs f, which acquires a grant and runs a task, on a goroutine of its own, and waits for it: until ctx ends, and
// then for a grace in which it is interrupted. name names it. For gilt's own packages.
func Freed[T any](ctx context.Context, h *Host, c Cancel, name func() string, f func(*Running) (T, error)) (T, error) {
	w := &freed[T]{Running: Running{host: h}, name: name, f: f, done: make(chan struct{}, 1)}
	h.apart(w.run)
	if await(ctx, c, w.done) {
		return w.give()
	}
	a, ended := w.interrupted(w.done)
	if ended {
		return w.give()
	}
	what, where := name(), w.where()
	if where == inC && a.why != "" { // nobody has seen it there: it had no processor, or waits for the GIL
		where = ""
	}
	if !h.lose(&w.Running, lost{what: what, where: where, thread: true}) {
		<-w.done
		return w.give()
	}
	a.tell(what, where)
	var zero T
	return zero, &UninterruptibleError{What: what, Where: where, Grace: a.over, Why: a.why, Err: EndOf(ctx)}
}

// tell logs that the caller of such work was freed.
func (a *answer) tell(what, where string) {
	if a.why == "" {
		slog.Warn("gilt: Python code could not be interrupted: its caller was freed, and its thread is lost until it comes back",
			"function", what, "frame", where, "interrupted", a.over)
		return
	}
	slog.Warn("gilt: a caller was freed before his work has answered the interruption: its thread is lost until it comes back",
		"function", what, "frame", where, "interrupted", a.over, "why", a.why)
}

// lost is a task whose caller was freed, at a time; thread says that it keeps a thread, as a coroutine does not.
type lost struct {
	what, where string
	at          time.Time
	thread      bool
}

// lose leaves the work to itself, unless it has ended.
func (h *Host) lose(r *Running, l lost) bool {
	r.reads.Lock()
	defer r.reads.Unlock()
	h.cancelMu.Lock()
	defer h.cancelMu.Unlock()
	if !r.state.CompareAndSwap(running, abandoned) {
		return false
	}
	l.at = time.Now()
	h.lost[r] = l
	if l.thread {
		h.sched.Lost(1)
	}
	return true
}

// found is called when lost work has ended.
func (h *Host) found(r *Running) {
	h.cancelMu.Lock()
	defer h.cancelMu.Unlock()
	l, ok := h.lost[r]
	delete(h.lost, r)
	if ok && l.thread {
		h.sched.Lost(-1)
	}
}

// lostTasks are those that are lost now, the longest first.
func (h *Host) lostTasks() (all []scheduler.LostTask) {
	h.cancelMu.Lock()
	defer h.cancelMu.Unlock()
	for _, l := range h.lost {
		all = append(all, scheduler.LostTask{What: l.what, Where: l.where, For: time.Since(l.at)})
	}
	slices.SortFunc(all, func(a, b scheduler.LostTask) int { return cmp.Compare(b.For, a.For) })
	return all
}

// await waits for the end of the work; false when ctx has ended in a way that counts.
func await(ctx context.Context, c Cancel, done chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-ctx.Done():
	}
	deadline, _ := ctx.Deadline()
	left := time.Until(deadline)
	if c.any || left <= 0 {
		return false
	}
	timer := time.NewTimer(left) // it was cancelled before, which does not count
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// tellDropped says what became of work whose caller did not wait for it.
func tellDropped(name string, panicked *PanicError) {
	if panicked != nil {
		slog.Error("gilt: work whose caller was freed has panicked", "function", name, "panic", panicked.Value, "python", panicked.Python, "stack", string(panicked.Stack))
		return
	}
	slog.Info("gilt: work whose caller was freed has ended", "function", name)
}
