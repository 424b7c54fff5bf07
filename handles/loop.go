package handles

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"gilt/gil"
	"gilt/internal/cpython"
)

// Loop runs coroutines, which any goroutine sends, on an event loop of asyncio's on a thread of its own: Runtime.Loop is the
// runtime's. The event loop starts with the first coroutine. One that has ended, as by sys.exit, or that is blocked by a
// coroutine which could not be interrupted, is replaced by a new one: what it had not begun goes there, and what it had begun goes on
// with it, should it come back.
type Loop struct {
	host    *gil.Host
	ctx     context.Context // with the values of the first caller's
	last    atomic.Int64    // order
	current atomic.Pointer[eventLoop]
	turn    chan struct{} // of one: whoever makes the next event loop
	stopped atomic.Bool   // written with turn
	mu      sync.Mutex    // of retired
	retired []*eventLoop
}

// NewLoop makes a Loop. For Runtime.Loop.
func NewLoop(ctx context.Context, h *gil.Host) *Loop {
	return &Loop{host: h, ctx: context.WithoutCancel(ctx), turn: make(chan struct{}, 1)}
}

// usable is the event loop that takes orders, a new one if there is none. ctx bounds the wait for a turn.
func (l *Loop) usable(ctx context.Context) (*eventLoop, error) {
	if e := l.current.Load(); e != nil && e.takes() {
		return e, nil
	}
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-l.turn }()
	if l.stopped.Load() {
		return nil, gil.ErrClosed
	}
	if e := l.current.Load(); e != nil && e.takes() { // somebody was faster
		return e, nil
	}
	e, err := startEventLoop(ctx, l)
	if err != nil {
		return nil, err
	}
	l.current.Store(e)
	return e, nil
}

// send sends an order that is waited for, to on, or if that is nil to the event loop that takes orders.
func (l *Loop) send(ctx context.Context, on *eventLoop, o *order, wire []byte) error {
	const tries = 3 // event loops that end at once, as when there is no asyncio
	o.id = l.last.Add(1)
	if on != nil {
		return on.send(o, wire)
	}
	for i := 0; ; i++ {
		e, err := l.usable(ctx)
		if err != nil {
			return err
		}
		if err = e.send(o, wire); !errors.Is(err, errLoopEnded) || i == tries-1 {
			return err
		}
	}
}

// tell sends an order to the event loop that takes orders, if there is one, of which nothing becomes.
func (l *Loop) tell(what, function string) {
	if e := l.current.Load(); e != nil {
		e.tell(what, function)
	}
}

// retire gives an event loop up that does not come back: what it has begun goes on with it, should it come back.
func (l *Loop) retire(e *eventLoop, what, where string) {
	if !e.retired.CompareAndSwap(false, true) {
		return
	}
	e.running.Lose("event loop, in "+what, where, true)
	slog.Warn("gilt: the event loop does not come back from a coroutine: its caller was freed, its thread is lost until then, and a new event loop takes its place",
		"function", what, "frame", where)
	l.mu.Lock()
	l.retired = append(l.retired, e)
	l.mu.Unlock()
	select {
	case <-e.ended: // at the same time
		e.running.Found()
	default:
	}
	e.tell("retire", "")
	e.nudge() // it is interrupted until it comes back
	go l.replace(e)
}

// replace sends what a retired event loop has not begun to another one.
func (l *Loop) replace(e *eventLoop) {
	next, err := l.usable(context.Background())
	e.hand(next, err)
}

// Stop cancels what runs, lets it end, and ends the event loop. No task is left pending. An event loop that does not come
// back is not waited for.
func (l *Loop) Stop(ctx context.Context) error {
	cpython.Yield()
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	l.stopped.Store(true)
	<-l.turn
	l.mu.Lock()
	for _, e := range l.retired {
		e.tell("stop", "")
	}
	l.mu.Unlock()
	e := l.current.Load()
	if e == nil {
		return nil
	}
	e.tell("stop", "")
	if e.retired.Load() {
		return nil
	}
	select {
	case <-e.ended:
		return e.failed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Done is closed when the event loop has ended that runs now; it is nil before the first one has begun.
func (l *Loop) Done() <-chan struct{} {
	if e := l.current.Load(); e != nil {
		return e.ended
	}
	return nil
}

// interrupt interrupts the code of overdue orders, on a goroutine of its own, as often as the canceller does a task's: 1 ms
// after the first is overdue, then 2, 4 and so on up to 128.
func (e *eventLoop) interrupt() {
	const first, longest = time.Millisecond, 128 * time.Millisecond
	pause := first
	for {
		if e.overdue.Load() == 0 && !e.retired.Load() {
			select {
			case <-e.kick:
			case <-e.ended:
				return
			}
			pause = first
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-e.kick:
			timer.Stop()
			pause = first
			time.Sleep(pause)
		case <-e.ended:
			timer.Stop()
			return
		}
		e.running.Interrupt()
		pause = min(2*pause, longest)
	}
}

// nudge has the interruptions begin again with the shortest pause.
func (e *eventLoop) nudge() {
	e.interrupts.Do(func() { go e.interrupt() })
	select {
	case e.kick <- struct{}{}:
	default:
	}
}

// pursue has the order's code interrupted wherever the event loop's thread is found in it, until spare.
func (e *eventLoop) pursue(o *order) {
	e.orders.Overdue(o.id, true)
	o.pursued.Store(e)
	e.overdue.Add(1)
	e.nudge()
}

// pursue pursues an order on whichever event loop it is.
func (l *Loop) pursue(o *order) {
	for {
		e := o.on.Load()
		e.mu.Lock() // of hand
		there := e == o.on.Load()
		if there {
			e.pursue(o)
		}
		e.mu.Unlock()
		if there {
			return
		}
	}
}

// follow has an order, which moves to next before it has begun, pursued there and no longer here. With mu.
func (e *eventLoop) follow(o *order, next *eventLoop) {
	if o.pursued.Load() != e {
		return
	}
	e.orders.Overdue(o.id, false)
	o.rest()
	next.pursue(o)
}

// rest leaves an order that is overdue to itself: its code is interrupted only when another order's is to be.
func (o *order) rest() {
	if e := o.pursued.Swap(nil); e != nil {
		e.overdue.Add(-1)
	}
}

// spare is called when the order's coroutine has ended.
func (o *order) spare() {
	o.on.Load().orders.Overdue(o.id, false)
	o.rest()
}

// cancellation is the answer of the event loop to a cancellation, which it gives at once unless it is blocked.
type cancellation struct {
	order
	answer chan struct{}
}

func (c *cancellation) settle(bool, Bound) { close(c.answer) }
func (c *cancellation) lose(error)         {}
func (c *cancellation) wake()              {}

// cancel cancels an order's coroutine, on whichever event loop it is.
func (l *Loop) cancel(o *order) *cancellation {
	c := &cancellation{answer: make(chan struct{})}
	c.waiter, c.of = c, o.id
	wire, err := wireOf("cancel", "", o.id)
	for err == nil {
		e := o.on.Load()
		e.mu.Lock()
		if e != o.on.Load() { // it was handed on
			e.mu.Unlock()
			continue
		}
		c.id = l.last.Add(1)
		_ = e.put(&c.order, wire) // the order tells
		e.mu.Unlock()
		break
	}
	return c
}

// place is where a coroutine waits, as the event loop tells it.
type place struct {
	order
	where chan string // of one
}

func (p *place) settle(ok bool, value Bound) {
	s := ""
	if ok {
		s, _ = As[string](value)
	}
	p.where <- s
}
func (p *place) lose(error) { p.where <- "" }
func (p *place) wake()      {}

// whereIs is the frame in which the order's coroutine waits, "" if the event loop does not say it soon.
func (e *eventLoop) whereIs(o *order) string {
	const soon = 100 * time.Millisecond
	p := &place{where: make(chan string, 1)}
	p.waiter = p
	p.id = e.loop.last.Add(1)
	wire, err := wireOf("where", "", o.id)
	if err != nil || e.send(&p.order, wire) != nil {
		return ""
	}
	select {
	case where := <-p.where:
		return where
	case <-time.After(soon):
		return ""
	}
}

// free says of an order, whose caller is freed, in which frame it is; and sees to an event loop that is blocked.
func (e *eventLoop) free(o *order, what string, c *cancellation) (where string) {
	select {
	case <-c.answer: // the coroutine is what does not end
		o.rest()
		where = e.whereIs(o)
		o.lost.Lose(what, where, false)
		if o.gone.Load() { // meanwhile
			o.lost.Found()
		}
		slog.Warn("gilt: a coroutine goes on though it was cancelled: its caller was freed", "function", what, "frame", where)
		return where
	default:
	}
	seen := e.orders.Seen()
	switch {
	case !seen.Entered: // it still starts: asyncio may have to be imported
		slog.Warn("gilt: the event loop still starts: the caller of a coroutine was freed", "function", what)
	case seen.What == cpython.SeenOverdue: // it was interrupted for all the grace
		e.loop.retire(e, what, seen.Where)
	default:
		go e.suspect(what, seen, c)
	}
	return seen.Where
}

// suspect retires an event loop that does not answer for a while. It may be waiting for a processor, or run a coroutine
// whose caller is content to wait.
func (e *eventLoop) suspect(what string, seen cpython.Seen, c *cancellation) {
	if !e.suspected.CompareAndSwap(false, true) {
		return
	}
	defer e.suspected.Store(false)
	patience := 250 * time.Millisecond
	if seen.What == cpython.SeenOther {
		patience = time.Second
	}
	slog.Warn("gilt: the event loop is blocked: the caller of a coroutine was freed", "function", what, "frame", seen.Where)
	select {
	case <-c.answer:
	case <-e.ended:
	case <-time.After(patience):
		e.loop.retire(e, what, seen.Where)
	}
}

// hand sends what this retired event loop has not begun to another one; err is why there is none.
func (e *eventLoop) hand(next *eventLoop, err error) {
	var lost []waiter
	e.mu.Lock()
	if e.calls == nil { // it has ended
		e.mu.Unlock()
		return
	}
	e.note(nil)
	moved := make(map[int64]bool)
	for _, s := range e.orders.Steal() {
		o := e.calls[s.ID]
		switch {
		case o == nil, !o.moves && !moved[o.of]: // told, or about what this event loop has
			e.orders.Put(s.ID, s.Wire)
			continue
		case err == nil:
			e.follow(o, next) // first: the order may end as soon as it is there
			err = next.put(o, s.Wire)
		}
		moved[s.ID] = true
		delete(e.calls, s.ID)
		if err != nil {
			lost = append(lost, o.waiter)
		}
	}
	e.mu.Unlock()
	for _, w := range lost {
		w.lose(fmt.Errorf("gilt: the event loop is blocked, and there is no other: %w", err))
		w.wake()
	}
}
