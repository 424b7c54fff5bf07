package gil

import (
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// traces are the owned handles that were not released, and where they were made.
type traces struct {
	mu   sync.Mutex
	live map[any]trace
}

type trace struct {
	class string
	stack [16]uintptr // from the function on that called gilt's
}

// Traced says whether handles are noted. For gilt's own packages, as Made and Gone.
func (h *Host) Traced() bool { return h.traces != nil }

// Made notes a handle of an object of that class; key is the handle's until Gone.
func (h *Host) Made(key any, class string) {
	t := trace{class: class}
	runtime.Callers(3, t.stack[:])
	h.traces.mu.Lock()
	defer h.traces.mu.Unlock()
	h.traces.live[key] = t
}

// Gone notes that the handle was released, by hand or by the garbage collector.
func (h *Host) Gone(key any) {
	h.traces.mu.Lock()
	defer h.traces.mu.Unlock()
	delete(h.traces.live, key)
}

// tellTraces reports the handles that are left, those that were made in one place together.
func (h *Host) tellTraces() {
	if h.traces == nil {
		return
	}
	h.traces.mu.Lock()
	defer h.traces.mu.Unlock()
	type place struct {
		n       int
		classes []string
		stack   string
	}
	places := make(map[string]*place)
	for _, t := range h.traces.live {
		at, stack := t.site()
		p := places[at]
		if p == nil {
			p = &place{stack: stack}
			places[at] = p
		}
		if p.n++; !slices.Contains(p.classes, t.class) {
			p.classes = append(p.classes, t.class)
		}
	}
	for at, p := range places {
		slices.Sort(p.classes)
		slog.Warn("gilt: handles were not released before Shutdown: call Release when you are done with one",
			"handles", p.n, "made", at, "of", strings.Join(p.classes, ", "), "stack", p.stack)
	}
}

// site is the first place outside gilt's packages of objects and tokens, and the whole stack.
func (t *trace) site() (at, stack string) {
	var b strings.Builder
	frames := runtime.CallersFrames(t.stack[:])
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		if f.PC == 0 {
			continue
		}
		line := fmt.Sprintf("%s:%d in %s", f.File, f.Line, f.Function)
		inside := strings.HasPrefix(f.Function, "gilt/handles.") || strings.HasPrefix(f.Function, "gilt/gil.")
		if at == "" && !inside {
			at = line
		}
		b.WriteString(line + "\n")
	}
	return at, b.String()
}
