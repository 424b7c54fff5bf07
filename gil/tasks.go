package gil

import (
	"context"
	"sync"
	"sync/atomic"

	"gilt/internal/cpython"
	"gilt/scheduler"
)

// tasks are those that run, for the Go functions that their Python code calls. They are kept as long as there are functions
// that may ask for them: others pay nothing.
type tasks struct {
	wanted atomic.Int64                  // by so many functions
	places [1 << 10]atomic.Pointer[Task] // by their tags, which count up
	others sync.Map                      // key to *Task: whose place was taken
	spare  sync.Pool
}

// Task is one of them. Only the goroutine that it is on uses it. For gilt's own packages.
type Task struct {
	key     atomic.Uint64 // others come by its place, and look
	ctx     context.Context
	grant   scheduler.Grant // changes whenever it was given back in between
	running *Running
	parent  atomic.Uintptr // see parentOf
}

// task names a running task.
type task struct {
	interpreter int
	tag         uint64
}

// key is the task in one word.
func (t task) key() uint64 { return t.tag ^ uint64(t.interpreter+1)<<56 }

func (all *tasks) place(key uint64) *atomic.Pointer[Task] {
	return &all.places[(key^key>>50)%uint64(len(all.places))]
}

func (h *Host) task(g scheduler.Grant) task { return task{h.lanes[g.Lane()].ID, g.Tag()} }

// WantTasks has tasks kept that begin from now on, and tok's, until UnwantTasks. For gilt's own packages.
func (h *Host) WantTasks(tok *Token) {
	h.tasks.wanted.Add(1)
	if tok.task == nil && !tok.callback && tok.grant.Class() != nil { // that of a call is its task's, which is kept or not
		tok.task = h.keep(tok.ctx, tok.grant, tok.running)
	}
}

// UnwantTasks is called when a function that wanted them has gone.
func (h *Host) UnwantTasks() { h.tasks.wanted.Add(-1) }

// Begin is called when a task is about to begin with a grant; it gives nil if nobody wants to know. For gilt's own
// packages.
func (h *Host) Begin(ctx context.Context, g scheduler.Grant, r *Running) *Task {
	if h.tasks.wanted.Load() == 0 {
		return nil
	}
	return h.keep(ctx, g, r)
}

// End is called when the task has ended, with the grant that it began with, and gives the one with which it has ended.
// For gilt's own packages.
func (h *Host) End(t *Task, began scheduler.Grant) scheduler.Grant {
	if t == nil {
		return began
	}
	h.remove(t)
	g := t.grant
	t.ctx, t.running = nil, nil
	h.tasks.spare.Put(t)
	return g
}

func (h *Host) keep(ctx context.Context, g scheduler.Grant, r *Running) *Task {
	t, _ := h.tasks.spare.Get().(*Task)
	if t == nil {
		t = new(Task)
	}
	t.ctx, t.running = ctx, r
	var parent uintptr
	if h.waits.natives.Load() > 0 && ctx != nil {
		parent, _ = ctx.Value(insideKey{}).(uintptr)
	}
	t.parent.Store(parent)
	h.put(t, g)
	return t
}

func (h *Host) put(t *Task, g scheduler.Grant) {
	key := h.task(g).key()
	t.grant = g
	t.key.Store(key)
	if !h.tasks.place(key).CompareAndSwap(nil, t) {
		h.tasks.others.Store(key, t)
	}
}

func (h *Host) remove(t *Task) {
	if key := t.key.Load(); !h.tasks.place(key).CompareAndSwap(t, nil) {
		h.tasks.others.Delete(key)
	}
}

// taskOf is the task of that tag, which is on this thread; nil for one that is not kept.
func (h *Host) taskOf(it *cpython.Interp, tag uint64) *Task {
	key := task{it.ID, tag}.key()
	if t := h.tasks.place(key).Load(); t != nil && t.key.Load() == key {
		return t
	}
	if t, ok := h.tasks.others.Load(key); ok {
		return t.(*Task)
	}
	return nil
}

// resumed notes that the task goes on with another grant.
func (h *Host) resumed(t *Task, g scheduler.Grant) {
	h.remove(t)
	h.put(t, g)
	t.running.Granted(g)
}

// Context is that of the task in which a Go function was called, the background for none. For gilt's own packages.
func (t *Token) Context() context.Context {
	if k := t.host.taskOf(t.interp, t.entry.Tag()); k != nil {
		return k.ctx
	}
	return context.Background()
}
