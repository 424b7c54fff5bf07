package gil

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"
)

// Cond is a condition that goroutines wait for, with L locked around it, as sync.Cond. A task that waits gives the GIL and
// its grant up: see Mutex. A Cond is made with its L set, and is not to be copied.
type Cond struct {
	L *Mutex

	mu   sync.Mutex
	line list.List // of chan struct{}
}

// NewCond is a Cond for what l protects.
func NewCond(l *Mutex) *Cond { return &Cond{L: l} }

// Wait unlocks c.L, waits for Signal or Broadcast, and locks c.L again. As others may have been faster, call it in a
// loop that looks at the condition. A misuse, such as a c.L that is not locked, is a panic
// with a *MisuseError, which leaves c.L as it was.
func (c *Cond) Wait(tok *Token) { _ = c.wait(context.Background(), tok, "Cond.Wait") }

// WaitContext is Wait for as long as ctx lasts: then it returns an error that matches ctx's. c.L is locked again in any
// case, which ctx does not bound.
func (c *Cond) WaitContext(ctx context.Context, tok *Token) error {
	return c.wait(ctx, tok, "Cond.WaitContext")
}

func (c *Cond) wait(ctx context.Context, tok *Token, op string) (err error) {
	may(tok, op)
	if ctx.Err() != nil {
		return waitError(ctx, op)
	}
	standBy(tok, op, func() { // with the token's goroutine known: until here c.L must stay locked
		woken := make(chan struct{})
		c.mu.Lock()
		e := c.line.PushBack(woken)
		c.mu.Unlock()
		if !c.L.l.put(writing) {
			c.leave(e, woken)
			Misuse(op, ruleUnlocked)
		}
		select {
		case <-woken:
		case <-ctx.Done():
			if !c.leave(e, woken) {
				err = waitError(ctx, op)
			}
		}
		c.L.Lock(nil)
	})
	return err
}

// leave takes who does not wait any more out of the line; true when it was woken first, and nobody else for it.
func (c *Cond) leave(e *list.Element, woken chan struct{}) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-woken:
		return true
	default:
		c.line.Remove(e)
		return false
	}
}

// Signal wakes the one that has waited longest, if any. It never waits; c.L may be locked or not.
func (c *Cond) Signal() { c.wake(1) }

// Broadcast wakes all that wait. It never waits; c.L may be locked or not.
func (c *Cond) Broadcast() { c.wake(-1) }

func (c *Cond) wake(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := c.line.Front(); e != nil && n != 0; e = c.line.Front() {
		close(c.line.Remove(e).(chan struct{}))
		n--
	}
}

// WaitGroup waits for work to end, as sync.WaitGroup: most of the time goroutines that want the GIL themselves. A task that waits
// gives the GIL and its grant up: see Mutex. The zero WaitGroup waits for nothing; it is not to be copied. What is used
// again, is used again after all calls of Wait have returned.
type WaitGroup struct {
	n    atomic.Int64
	mu   sync.Mutex
	zero chan struct{} // nil while nobody waits
}

// Go runs f on a goroutine of its own, for which Wait waits. As in any goroutine, a panic of f ends the process.
func (g *WaitGroup) Go(f func()) {
	g.Add(1)
	go func() {
		defer g.Done()
		f()
	}()
}

// Add adds work, or with n below 0 takes some away. Add for work that Wait is to wait for comes before Wait. If it takes
// away more than there is, it panics with a *MisuseError.
func (g *WaitGroup) Add(n int) {
	left := g.n.Add(int64(n))
	if left < 0 {
		Misuse("WaitGroup.Add", "there are more calls of Done than work was added")
	}
	if left > 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.zero != nil && g.n.Load() == 0 {
		close(g.zero)
		g.zero = nil
	}
}

// Done says that a piece of work has ended.
func (g *WaitGroup) Done() { g.Add(-1) }

// Wait waits until no work is left. If there is none, that takes no crossing.
func (g *WaitGroup) Wait(tok *Token) { _ = g.wait(context.Background(), tok, "WaitGroup.Wait") }

// WaitContext is Wait for as long as ctx lasts: then it returns an error that matches ctx's, unless no work is left. The
// way back to Python, of a task that had to wait, is not bounded by ctx.
func (g *WaitGroup) WaitContext(ctx context.Context, tok *Token) error {
	return g.wait(ctx, tok, "WaitGroup.WaitContext")
}

func (g *WaitGroup) wait(ctx context.Context, tok *Token, op string) (err error) {
	may(tok, op)
	if g.n.Load() == 0 {
		return nil
	}
	standBy(tok, op, func() {
		g.mu.Lock()
		if g.n.Load() == 0 {
			g.mu.Unlock()
			return
		}
		if g.zero == nil {
			g.zero = make(chan struct{})
		}
		zero := g.zero
		g.mu.Unlock()
		select {
		case <-zero:
		case <-ctx.Done():
			if g.n.Load() != 0 {
				err = waitError(ctx, op)
			}
		}
	})
	return err
}
