package gil

import (
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"gilt/internal/cpython"
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

// GoFunction is the number of a Go function that Python calls, by its code. For gilt's own packages.
func GoFunction(pc uintptr) uint64 { return fromCode(pc) }

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

// tellKept logs what a task waited long for the GIL for, once a second at most.
func (h *Host) tellKept() {
	if time.Since(h.toldAt) < time.Second {
		return
	}
	for lane, it := range h.lanes {
		k := it.Kept()
		if k.Reports == h.toldKept[lane] {
			continue
		}
		h.toldKept[lane], h.toldAt = k.Reports, time.Now()
		why, who := keptWords(k)
		slog.Warn("gilt: a task waited long for the GIL: "+why, "holder", who,
			"interpreter", it.ID, "waited", k.Reported.Round(time.Millisecond), "times", k.Reports)
	}
}

// keptWords says by what the GIL was kept, and whose that is.
func keptWords(k cpython.Kept) (why, who string) {
	switch k.By {
	case cpython.KeptByGo:
		return "Go code kept it: " + advice, nameOf(k.What)
	case cpython.KeptByStranger:
		return "one thread had it all the time", "a thread that Python code started"
	default:
		return "C code that does not release it", nameOf(k.What)
	}
}

// Stats is the scheduler's snapshot, with what the interpreters know.
func (h *Host) Stats() scheduler.Stats {
	st := h.sched.Stats()
	st.Jams, st.Lost = h.jams.Load(), h.lostTasks()
	for _, it := range h.interpreters() {
		st.Handles += it.Owned()
		st.Backlog += int64(it.Backlog())
	}
	for lane, it := range h.lanes {
		k := it.Kept()
		st.Lanes[lane].Kept, st.Lanes[lane].KeptLast = k.Count, k.Last
	}
	return st
}
