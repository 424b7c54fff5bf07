package gil

import (
	"context"
	"sync"
	"sync/atomic"

	"gilt/internal/cpython"
	"gilt/scheduler"
)

// contexts are those of the running tasks, for Go functions that take one. They are kept from the moment on in
// which there is such a function: others pay nothing.
type contexts struct {
	wanted atomic.Bool
	byTask sync.Map // task to context.Context
}

// task names a running task.
type task struct {
	interpreter int
	tag         uint64
}

func (h *Host) task(g scheduler.Grant) task { return task{h.lanes[g.Lane()].ID, g.Tag()} }

// WantContexts has the contexts of tasks kept that begin from now on. For gilt's own packages.
func (h *Host) WantContexts() { h.contexts.wanted.Store(true) }

// Remember keeps the context of a task that is about to begin with grant g; Forget forgets it. For gilt's own
// packages.
func (h *Host) Remember(ctx context.Context, g scheduler.Grant) {
	if h.contexts.wanted.Load() && ctx != context.Background() {
		h.contexts.byTask.Store(h.task(g), ctx)
	}
}

// Forget is called when the task has ended.
func (h *Host) Forget(g scheduler.Grant) {
	if h.contexts.wanted.Load() {
		h.contexts.byTask.Delete(h.task(g))
	}
}

// renamed notes that the task of grant from goes on with another.
func (h *Host) renamed(from, to scheduler.Grant) {
	if !h.contexts.wanted.Load() {
		return
	}
	if ctx, ok := h.contexts.byTask.LoadAndDelete(h.task(from)); ok {
		h.contexts.byTask.Store(h.task(to), ctx)
	}
}

// ContextOf is the context of the task of that tag, the background for none. For gilt's own packages.
func (h *Host) ContextOf(it *cpython.Interp, tag uint64) context.Context {
	if ctx, ok := h.contexts.byTask.Load(task{it.ID, tag}); ok {
		return ctx.(context.Context)
	}
	return context.Background()
}
