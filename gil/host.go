package gil

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"gilt/internal/clock"
	"gilt/internal/cpython"
	"gilt/scheduler"
	"gilt/thread"
)

// ErrClosed is work for a runtime that is shutting down or has shut down.
var ErrClosed = errors.New("gilt: the runtime is closed: no Python runs any more")

// Config is what a Host needs; the root package fills it in.
type Config struct {
	Python    *thread.Python
	Lanes     []*cpython.Interp // one for each token that may be out at once
	Workers   int               // OS threads for submitted work
	Scheduler scheduler.Config  // without Lanes and Arm
	Watchdog  time.Duration     // after which it tells; negative for no watchdog
	Grace     time.Duration     // for which interrupted work may clean up before its caller is freed
	Trace     bool              // notes where handles are made
}

// Host runs tasks: it acquires a grant, enters the interpreter of the grant's lane on this OS thread and
// hands out a token. Its methods may be called from any goroutine.
type Host struct {
	python   *thread.Python
	lanes    []*cpython.Interp
	sched    *scheduler.Scheduler
	tasks    tasks
	toldKept []uint64 // by lane; the reaper's
	toldAt   time.Time
	pool     *thread.Pool
	closing  atomic.Bool

	grace      time.Duration
	clock      cpython.Deadline // the time of which deadlines are, at epoch or a moment later: see clock.Compare
	epoch      time.Time
	cancelling atomic.Bool // the cancellers run
	cancelMu   sync.Mutex
	stuck      []stuck
	lost       map[*Running]lost
	idle       chan func() // to goroutines that wait for work of Freed
	serving    atomic.Int32
	jams       atomic.Uint64
	waits      goWaits
	traces     *traces // nil unless handles are traced
	atCloseMu  sync.Mutex
	atClose    []func()

	orphans *os.File
	kick    chan struct{} // wakes the drainer
	kicked  atomic.Bool
	holding pythonMemory
	quit    chan struct{}
	helpers sync.WaitGroup // pacers, reaper, drainer
}

// NewHost starts the workers, the pacers and the janitors.
func NewHost(c Config) (*Host, error) {
	h := &Host{python: c.Python, lanes: c.Lanes, toldKept: make([]uint64, len(c.Lanes)), kick: make(chan struct{}, 1), quit: make(chan struct{}), idle: make(chan func()), lost: make(map[*Running]lost), grace: c.Grace}
	h.epoch, h.clock = clock.Compare(cpython.Clock)
	if c.Trace {
		h.traces = &traces{live: make(map[any]trace)}
	}
	c.Scheduler.Lanes = len(c.Lanes)
	c.Scheduler.Arm = func(lane int, p scheduler.Pace) { h.lanes[lane].PacerArm(int(p)) }
	c.Scheduler.Elsewhere = func(lane int, tag uint64) bool { return h.lanes[lane].Elsewhere(tag) }
	c.Scheduler.Tended = func(lane int) time.Duration { return h.lanes[lane].Tended() }
	s, err := scheduler.New(c.Scheduler)
	if err != nil {
		return nil, err
	}
	h.sched = s
	if h.orphans, err = cpython.Orphans(); err != nil {
		return nil, fmt.Errorf("gilt: cannot watch for ended threads: %w", err)
	}
	h.pool = thread.NewPool(c.Workers)
	h.sched.Idle(c.Workers)
	for it, lanes := range h.byInterp() {
		h.helpers.Go(func() { h.pace(it, lanes) })
	}
	h.helpers.Go(h.reap)
	h.helpers.Go(h.drain)
	h.holding.open()
	if c.Watchdog > 0 {
		h.helpers.Go(func() { h.watchdog(c.Watchdog) })
	}
	return h, nil
}

func (h *Host) byInterp() map[*cpython.Interp][]int {
	m := make(map[*cpython.Interp][]int)
	for lane, it := range h.lanes {
		m[it] = append(m[it], lane)
	}
	return m
}

// Scheduler is the host's scheduler.
func (h *Host) Scheduler() *scheduler.Scheduler { return h.sched }

// Python is the running CPython.
func (h *Host) Python() *thread.Python { return h.python }

// Lanes are the interpreters by lane. For gilt's own packages.
func (h *Host) Lanes() []*cpython.Interp { return h.lanes }

// Interpreter is the one of that number. For gilt's own packages.
func (h *Host) Interpreter(id int) *cpython.Interp {
	for _, it := range h.lanes {
		if it.ID == id {
			return it
		}
	}
	return h.python.Main()
}

// reap gives back the thread states of OS threads that have ended.
func (h *Host) reap() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var sink [64]byte
	for {
		if _, err := h.orphans.Read(sink[:]); err != nil {
			return
		}
		h.ReapThreads()
		h.tellKept()
	}
}

// ReapThreads gives back the thread states of OS threads that have ended. It happens by itself; tests
// call it to know when it is done.
func (h *Host) ReapThreads() {
	cpython.SinkOrphans()
	for _, it := range h.interpreters() {
		if it.Reap(); it.Backlog() > 0 { // what only those threads had
			h.wakeDrainer()
		}
	}
}

// interpreters are all of them: the main one too, in which no work of mode own-gil runs.
func (h *Host) interpreters() []*cpython.Interp {
	return append([]*cpython.Interp{h.python.Main()}, h.python.Own()...)
}

// Release gives an owned reference back, from any goroutine. Whoever attaches next decrefs it; when
// nobody does for a while, the drainer does.
func (h *Host) Release(it *cpython.Interp, o cpython.Object) {
	it.Release(o)
	h.wakeDrainer()
}

// ReleaseAll is Release for many at once; zeros among them are passed over.
func (h *Host) ReleaseAll(it *cpython.Interp, o []cpython.Object) {
	it.ReleaseAll(o)
	h.wakeDrainer()
}

func (h *Host) wakeDrainer() {
	if h.kicked.CompareAndSwap(false, true) {
		select {
		case h.kick <- struct{}{}:
		default:
		}
	}
}

func (h *Host) drain() {
	const patience = 20 * time.Millisecond
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case <-h.quit:
			return
		case <-h.kick:
		}
		timer.Reset(patience)
		select {
		case <-h.quit:
			return
		case <-timer.C:
		}
		h.kicked.Store(false)
		h.drainAll(context.Background())
	}
}

func (h *Host) drainAll(ctx context.Context) {
	main := h.python.Main()
	for lane, it := range h.lanes {
		for it.Backlog() > 0 && h.doOn(ctx, nil, lane, Cancel{}, nil, attachOnce) == nil {
		}
		if it == main {
			main = nil
		}
	}
	for main != nil && main.Backlog() > 0 && h.onMain(ctx, main, attachOnce) == nil { // in mode own-gil
	}
}

// attachOnce attaches, which drains the decref queue.
func attachOnce(t *Token) error {
	base, _ := t.entry.ScopeBase()
	return Status("drain", t.entry.ScopeEnd(base))
}

type classKey struct{}

// WithClass gives a context whose work is charged to c.
func WithClass(ctx context.Context, c *scheduler.Class) context.Context {
	return context.WithValue(ctx, classKey{}, c)
}

// ClassOf is the class that ctx carries, nil for none.
func ClassOf(ctx context.Context) *scheduler.Class {
	c, _ := ctx.Value(classKey{}).(*scheduler.Class)
	return c
}

// Acquire waits for a grant for work of ctx's class. Whoever gets one ends it with Scheduler().Release.
// The work's history may be nil; how says how it is interrupted. For gilt's own packages.
func (h *Host) Acquire(ctx context.Context, how Cancel, past *scheduler.History) (scheduler.Grant, error) {
	if h.closing.Load() {
		return scheduler.Grant{}, ErrClosed
	}
	c := ClassOf(ctx)
	if g, ok := h.sched.TryAcquire(ctx, c, past); ok {
		return g, nil
	}
	// Whoever waits must not keep the GIL meanwhile: those before it in line may need it.
	if nested := cpython.Yield() || inside(ctx); nested && h.sched.NearLimit(c) {
		g, err := h.sched.AcquireNested(ctx, c)
		return g, closedError(err)
	}
	g, err := h.sched.AcquireFor(ctx, c, past, how.policy())
	return g, closedError(err)
}

func closedError(err error) error {
	if err != nil && errors.Is(err, scheduler.ErrClosed) {
		return ErrClosed
	}
	return err
}

// Do runs f with a token when the scheduler says so: on this goroutine and the OS thread it is on, or, if it may have
// to be abandoned, on another (see Cancels).
func (h *Host) Do(ctx context.Context, f func(*Token) error) error {
	past := h.History(ClassOf(ctx), uint64(code(f)))
	c := h.Cancels(ctx, past, nil)
	if !c.free {
		return h.do(ctx, c, past, nil, f)
	}
	_, err := Freed(ctx, h, c, func() string { return nameOf(fromCode(code(f))) }, func(r *Running) (struct{}, error) {
		return struct{}{}, h.do(ctx, c, past, r, f)
	})
	return err
}

func (h *Host) do(ctx context.Context, c Cancel, past *scheduler.History, r *Running, f func(*Token) error) error {
	g, err := h.Acquire(ctx, c, past)
	if err != nil {
		return err
	}
	r.Granted(g)
	return h.run(ctx, g, c, past, r, f)
}

func (h *Host) doOn(ctx context.Context, c *scheduler.Class, lane int, cancel Cancel, r *Running, f func(*Token) error) error {
	acquire := func() (scheduler.Grant, error) { return h.sched.AcquireLane(ctx, c, lane) }
	if (cpython.Yield() || inside(ctx)) && h.sched.NearLimit(c) && len(h.lanes) == 1 {
		acquire = func() (scheduler.Grant, error) { return h.sched.AcquireNested(ctx, c) }
	}
	g, err := acquire()
	if err != nil {
		return closedError(err)
	}
	r.Granted(g)
	return h.run(ctx, g, cancel, nil, r, f)
}

func (h *Host) token(g scheduler.Grant, what uint64) *Token {
	return &Token{host: h, interp: h.lanes[g.Lane()], grant: g, what: what}
}

func (h *Host) run(ctx context.Context, g scheduler.Grant, c Cancel, past *scheduler.History, r *Running, f func(*Token) error) (err error) {
	t := h.token(g, fromCode(code(f)))
	t.deadline, t.running, t.ctx = c.deadline, r, ctx
	if err := t.begin(); err != nil {
		h.sched.Release(g, 0)
		return err
	}
	t.task = h.Begin(ctx, g, r)
	defer func() {
		r := t.end()
		past.Took(r.Slow, r.Shared, r.Held)
		err = Interrupted(ctx, r.Fired, err)
	}()
	return f(t)
}

// OnMain runs f with a token on Python's main thread, in the main interpreter, outside the scheduler's
// order: for what CPython allows only there (signal.signal) and for starting and ending.
func (h *Host) OnMain(ctx context.Context, f func(*Token) error) error {
	if h.closing.Load() {
		return ErrClosed
	}
	return h.onMain(ctx, h.python.Main(), f)
}

// EachInterpreter runs f in every interpreter that work may run in, on Python's main thread.
func (h *Host) EachInterpreter(ctx context.Context, f func(*Token) error) error {
	for it := range h.byInterp() {
		if err := h.onMain(ctx, it, f); err != nil {
			return err
		}
	}
	return nil
}

func (h *Host) onMain(ctx context.Context, it *cpython.Interp, f func(*Token) error) error {
	cpython.Yield()
	var err error
	waited := h.python.OnMain(ctx, func() {
		t := &Token{host: h, interp: it}
		if err = t.begin(); err != nil {
			return
		}
		defer func() {
			t.die()
			r := t.entry.Leave()
			runtime.UnlockOSThread()
			if r.Int > 0 {
				h.wakeDrainer()
			}
		}()
		err = f(t)
	})
	if waited != nil {
		return waited
	}
	return err
}

// Pin gives a session: one OS thread, in one interpreter, to which all its work goes.
func (h *Host) Pin(ctx context.Context) (*Pinned, error) {
	g, err := h.Acquire(ctx, Cancel{}, nil) // picks the lane, and refuses when closed
	if err != nil {
		return nil, err
	}
	lane := g.Lane()
	h.sched.Release(g, 0)
	return &Pinned{host: h, lane: lane, session: thread.NewSession()}, nil
}

// Pinned is a session on one OS thread. Its methods may be called from any goroutine.
type Pinned struct {
	host    *Host
	lane    int
	session *thread.Session
}

// Do runs f with a token on the session's thread and waits for it; work of one session runs one after the other. Called by
// the session's own work, it runs f inside that. Errors are those of gilt's Runtime.Do, and thread.ErrSessionClosed
// after Close. When its caller was freed (ErrUninterruptible), the session is busy until f has ended.
func (p *Pinned) Do(ctx context.Context, f func(*Token) error) error {
	if p.host.closing.Load() {
		return ErrClosed
	}
	cpython.Yield()
	c := p.host.Cancels(ctx, nil, nil)
	if !c.free {
		return p.do(ctx, c, nil, f)
	}
	_, err := Freed(ctx, p.host, c, func() string { return nameOf(fromCode(code(f))) }, func(r *Running) (struct{}, error) {
		return struct{}{}, p.do(ctx, c, r, f)
	})
	return err
}

// Run is Do for work that its owner interrupts himself: see NewRunning. For gilt's own packages.
func (p *Pinned) Run(ctx context.Context, r *Running, f func(*Token) error) error {
	if p.host.closing.Load() {
		return ErrClosed
	}
	return p.do(ctx, Cancel{}, r, f)
}

func (p *Pinned) do(ctx context.Context, c Cancel, r *Running, f func(*Token) error) error {
	var err error
	if waited := p.session.Run(ctx, func() { err = p.host.doOn(ctx, ClassOf(ctx), p.lane, c, r, f) }); waited != nil {
		return waited
	}
	return err
}

// Close waits for the work that runs and ends the session's thread; its thread state is given back. Called by the session's
// own work, it does not wait. More calls do nothing.
func (p *Pinned) Close() { p.session.Close() }
