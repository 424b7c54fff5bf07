package gil

import (
	"context"
	"sync"
	"sync/atomic"

	"gilt/internal/cpython"
)

// OnceCell is a value that is made once, by the first who asks for it. A task that waits for another to make it gives the
// GIL and its grant up meanwhile (see Mutex), so that an initializer may run Python code, which gives the GIL up when
// it likes. The zero OnceCell is empty, and is not to be copied. Its methods may be called from any goroutine. For
// Python objects there is handles.OnceCell.
//
// An initializer that asks for its own cell, also by Python code that calls a Go function, or in a nested task, is a
// misuse: a panic with a *MisuseError. It cannot be told, and waits for ever, outside of any task or on another goroutine,
// as a Native function's is. Two cells whose initializers want each other wait for each other.
type OnceCell[T any] struct {
	value   atomic.Pointer[T]
	mu      sync.Mutex
	running *attempt // at the value
}

// attempt is an initialization that goes on.
type attempt struct {
	done   chan struct{}
	thread cpython.OSThread // that its goroutine is locked to, none for one without a task
	owner  uintptr          // the same for the watchdog, 0 for one without a token
}

// Get gives the value, if there is one.
func (c *OnceCell[T]) Get() (v T, ok bool) {
	if p := c.value.Load(); p != nil {
		return *p, true
	}
	return v, false
}

// Set gives an empty cell its value; false when it has one. It never waits: an initializer that runs meanwhile has its
// value dropped, and gives this one.
func (c *OnceCell[T]) Set(v T) bool { return c.value.CompareAndSwap(nil, &v) }

// GetOrInit gives the value, which f makes if there is none. One f runs at a time, and others wait for it. When it fails,
// the caller gets its error; when it panics or calls runtime.Goexit, that goes on. Then the cell is as empty as
// before, and one of those who wait runs its own. When there is a value, GetOrInit is an atomic load.
func (c *OnceCell[T]) GetOrInit(tok *Token, f func() (T, error)) (T, error) {
	return c.getOrInit(context.Background(), tok, "OnceCell.GetOrInit", f)
}

// GetOrInitContext is GetOrInit for as long as ctx lasts: when it ends before there is a value or f runs, the
// error matches ctx's. The way back to Python, of a task that had to wait, is not bounded by ctx, nor is f.
func (c *OnceCell[T]) GetOrInitContext(ctx context.Context, tok *Token, f func() (T, error)) (T, error) {
	return c.getOrInit(ctx, tok, "OnceCell.GetOrInitContext", f)
}

func (c *OnceCell[T]) getOrInit(ctx context.Context, tok *Token, op string, f func() (T, error)) (v T, err error) {
	may(tok, op)
	if p := c.value.Load(); p != nil {
		return *p, nil
	}
	if ctx.Err() != nil {
		return v, waitError(ctx, op)
	}
	ours(tok, op)
	mine := &attempt{done: make(chan struct{}), owner: tok.thread()}
	if tok != nil || cpython.Nested() {
		mine.thread = cpython.ThisThread()
	}
	p, other := c.start(mine)
	if other != nil {
		if other.thread != 0 && other.thread == cpython.ThisThread() {
			Misuse(op, ruleReentrant)
		}
		standBy(tok, op, func() {
			if tok != nil {
				defer tok.waits(op, func(thread, _ uintptr) bool { return thread == c.initializer() })()
			}
			for ; other != nil; p, other = c.start(mine) {
				select {
				case <-other.done:
				case <-ctx.Done():
					err = waitError(ctx, op)
					return
				}
			}
		})
	}
	switch {
	case err != nil:
		return v, err
	case p != nil:
		return *p, nil
	}
	return c.run(mine, f)
}

// initializer is the thread of the task whose initializer runs, 0 for not known.
func (c *OnceCell[T]) initializer() uintptr {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running == nil {
		return 0
	}
	return c.running.owner
}

// start makes a the attempt that runs, unless there is a value, or another attempt runs.
func (c *OnceCell[T]) start(a *attempt) (value *T, other *attempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.value.Load(); p != nil {
		return p, nil
	}
	if c.running == nil {
		c.running = a
		return nil, nil
	}
	return nil, c.running
}

func (c *OnceCell[T]) run(a *attempt, f func() (T, error)) (v T, err error) {
	defer func() {
		c.mu.Lock()
		c.running = nil
		c.mu.Unlock()
		close(a.done)
	}()
	made, err := f()
	if err != nil {
		return v, err
	}
	c.value.CompareAndSwap(nil, &made)
	return *c.value.Load(), nil
}
