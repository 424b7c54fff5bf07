package gil

import (
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"gilt/scheduler"
)

// What a task runs is named only when somebody asks, so it travels as a number: of the code of the Go
// function that was given to Do, or of a prepared function.
func fromCode(pc uintptr) uint64 { return uint64(pc) << 1 }

var prepared struct {
	names sync.Map // number to name
	last  atomic.Uint64
}

// Prepared gives a number for a prepared function of that name, and forget. For gilt's own packages.
func Prepared(name string) (what uint64, forget func()) {
	what = prepared.last.Add(1)<<1 | 1
	prepared.names.Store(what, name)
	return what, func() { prepared.names.Delete(what) }
}

// nameOf names what a task runs.
func nameOf(what uint64) string {
	if name, ok := prepared.names.Load(what); ok {
		return name.(string)
	}
	if f := runtime.FuncForPC(uintptr(what >> 1)); what&1 == 0 && f != nil {
		return f.Name()
	}
	return "submitted work, or work outside the scheduler's order"
}

// stuck reports a holder that does not give the GIL up.
func (h *Host) stuck(r scheduler.Stuck) {
	who := fmt.Sprintf("%s (class %q)", nameOf(r.What), r.Class)
	if r.Class == "" {
		who = "a thread that Python code started, or work outside the scheduler's order"
	}
	slog.Warn("gilt: the GIL is not given up: C code that never releases it?", "holder", who, "interpreter", h.lanes[r.Lane].ID,
		"waiting", r.Heir, "for", r.Waited.Round(time.Millisecond))
}
