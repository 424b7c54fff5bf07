package gil

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gilt/internal/cpython"
)

// goWait is a task that waits in Go code, of which it is known which tasks keep it waiting.
type goWait struct {
	interp *cpython.Interp
	thread uintptr // the task's
	op     string
	keeps  func(thread, parent uintptr) bool // the task on that thread does, which is of that task's (Inside), 0 for nobody's
}

// goWaits are those of a host.
type goWaits struct {
	mu      sync.Mutex
	all     map[*goWait]struct{}
	natives atomic.Int64 // those for Native functions
}

// waits notes that tok's task is about to wait, until what it gives is called. Only waits are noted, which take
// microseconds anyway.
func (t *Token) waits(op string, keeps func(thread, parent uintptr) bool) (over func()) {
	w, all := &goWait{t.interp, t.entry.Thread(), op, keeps}, &t.host.waits
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.all == nil {
		all.all = make(map[*goWait]struct{})
	}
	all.all[w] = struct{}{}
	return func() {
		all.mu.Lock()
		defer all.mu.Unlock()
		delete(all.all, w)
	}
}

// waiting are those that wait now, by interpreter.
func (all *goWaits) waiting() map[*cpython.Interp][]*goWait {
	all.mu.Lock()
	defer all.mu.Unlock()
	m := make(map[*cpython.Interp][]*goWait)
	for w := range all.all {
		m[w.interp] = append(m[w.interp], w)
	}
	return m
}

// thread names tok's OS thread in keeps; 0 for no token.
func (t *Token) thread() uintptr {
	if t == nil {
		return 0
	}
	return t.entry.Thread()
}

type insideKey struct{}

// Inside gives a context for what tok's task waits for on another goroutine: the work of it gets a thread even when as
// many as may are inside Python. For gilt's own packages.
func (t *Token) Inside(ctx context.Context) context.Context {
	return context.WithValue(ctx, insideKey{}, t.entry.Thread())
}

func inside(ctx context.Context) bool { return ctx.Value(insideKey{}) != nil }

// AwaitNative is AllowThreads for a task that waits for a Native function, which may wait for work of its own in turn: that
// of a context of Inside. For gilt's own packages.
func (t *Token) AwaitNative(name string, f func()) {
	mine := t.entry.Thread()
	t.host.waits.natives.Add(1)
	defer t.host.waits.natives.Add(-1)
	defer t.waits("Native function "+name, func(_, parent uintptr) bool { return parent == mine })()
	t.AllowThreads(f)
}

// importWait is a thread that waits for CPython's lock of a module that another one imports.
type importWait struct {
	thread, owner cpython.Peek
	module        string
}

// importWaits asks Python for the threads that wait for the import of a module. They are in importlib's own list, by which it
// finds deadlocks of imports alone.
const importWaits = `(lambda on: "\n".join(f"{thread} {lock.owner} {lock.name}" for thread, locks in list(getattr(on, "data", on).items())
	for lock in ((locks() or ()) if callable(locks) else [locks]) if lock.owner))(__import__("sys").modules["_frozen_importlib"]._blocking_on)`

// lookAtImports runs on a thread of its own, outside the scheduler's order: the tasks may all be waiting.
func (h *Host) lookAtImports(it *cpython.Interp) (all []importWait) {
	t := &Token{host: h, interp: it}
	if t.begin() != nil {
		return nil
	}
	defer func() {
		t.die()
		t.entry.Leave()
		runtime.UnlockOSThread()
	}()
	r := t.entry.Exec(importWaits, "<gilt watchdog>", true, 0, 0, cpython.KindStr)
	if r.Status == cpython.Raised {
		it.Release(r.Obj)
	}
	if r.Status != cpython.OK {
		return nil
	}
	for line := range strings.Lines(string(r.Data)) {
		fields := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(fields) < 3 {
			continue
		}
		thread, err := strconv.ParseUint(fields[0], 10, 64)
		owner, err2 := strconv.ParseUint(fields[1], 10, 64)
		if err != nil || err2 != nil {
			continue
		}
		w := importWait{t.entry.Peek(thread), t.entry.Peek(owner), fields[2]}
		if w.thread.Thread != 0 && w.owner.Thread != 0 {
			all = append(all, w)
		}
	}
	return all
}

// cycle is a chain of waits that none can end: each one's for an import ends only with the next one's in Go code, and that
// with the import after it. It is told by the threads.
type cycle struct {
	imports []importWait
	waits   []*goWait // the owner's of each
}

// key is the same for a cycle wherever it was found to begin: one of its tasks.
func (c *cycle) key() (k [2]uint64) {
	for _, w := range c.imports {
		if k[0] == 0 || uint64(w.thread.Thread) < k[0] {
			k = [2]uint64{uint64(w.thread.Thread), w.thread.Tag}
		}
	}
	return k
}

// findCycle finds one that w leads to, after the waits of c; nil if there is none.
func (h *Host) findCycle(it *cpython.Interp, imports []importWait, waits []*goWait, c cycle, w importWait) *cycle {
	if i := slices.IndexFunc(c.imports, func(seen importWait) bool { return seen.thread.Thread == w.thread.Thread }); i >= 0 {
		return &cycle{c.imports[i:], c.waits[i:]}
	}
	for _, g := range waits {
		if g.thread != w.owner.Thread {
			continue
		}
		next := cycle{append(slices.Clone(c.imports), w), append(slices.Clone(c.waits), g)}
		for _, n := range imports {
			if g.keeps(n.thread.Thread, h.parentOf(it, n.thread.Tag)) {
				if found := h.findCycle(it, imports, waits, next, n); found != nil {
					return found
				}
			}
		}
	}
	return nil
}

// parentOf is the thread of the task of whose Native function the task of that tag is, 0 for none.
func (h *Host) parentOf(it *cpython.Interp, tag uint64) uintptr {
	if k := h.taskOf(it, tag); k != nil {
		return k.parent.Load()
	}
	return 0
}

// lookForCycles gives the cycles among waits in Go code and for imports, by their keys.
func (h *Host) lookForCycles() map[[2]uint64]*cycle {
	all := make(map[[2]uint64]*cycle)
	for it, waits := range h.waits.waiting() {
		imports := h.lookAtImports(it)
		for _, w := range imports {
			if c := h.findCycle(it, imports, waits, cycle{}, w); c != nil {
				all[c.key()] = c
			}
		}
	}
	return all
}

func (h *Host) tellCycle(c *cycle, after time.Duration) {
	var lines []string
	for i, w := range c.imports {
		lines = append(lines, fmt.Sprintf("%s waits for the import of %q, in %s", nameOf(w.thread.What), w.module, w.thread.Where),
			fmt.Sprintf("%s imports %q, and waits in Go code (%s), in %s", nameOf(w.owner.What), w.module, c.waits[i].op, w.owner.Where))
	}
	slog.Error("gilt: tasks wait for one another, in Go code and for CPython's lock of an import, and none of them can go on: "+
		"import before you lock, or lock in no module's body; give what a Native function asks of Python the context that the function takes, and do not import there what is being imported",
		"for", after, "waits", strings.Join(lines, "; "), "stacks", strings.Join(first(blockedTasks()), "\n\n"))
	h.jams.Add(1)
}
