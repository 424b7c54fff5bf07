package scheduler

import (
	"sync/atomic"
	"time"
)

// longHold is a hold from which work counts as long.
const longHold = time.Millisecond

// History is what is known of how long one function's work uses the GIL: give the same one to every
// AcquireFor of that function. The zero value knows nothing. Any goroutine may use it.
//
// Work that has been long the last few times waits in a lane of its own (Config.MaxLong), so that long
// tasks do not meet in CPython's own queue, and so does work of which nothing is known but that it computes
// at this moment. One short task is enough to be taken for short again: a function that is now long and now
// short is never held up.
type History struct {
	score     atomic.Uint32
	computing atomic.Int32 // grants that lapsed and compute
	other     atomic.Bool  // one has ended that was not long
	slow      atomic.Int32 // so many more must end that are not slow
}

const (
	historyOne  = 1 << 16
	historyLong = historyOne * 4 / 5 // three long ones in a row
)

// Long says whether work with this history is expected to use the GIL for 1 ms or longer.
func (h *History) Long() bool {
	return h != nil && (h.score.Load() > historyLong || h.computing.Load() > 0 && !h.other.Load())
}

// short says that it is known not to be: such work needs no lock.
func (h *History) short() bool { return h == nil || h.other.Load() && h.score.Load() <= historyLong }

// learn notes a finished grant: seen is what the pacer saw it use, held what it was charged. A long hold
// that no look saw says nothing, for it may have been asleep. Racing notes may lose one another.
func (h *History) learn(seen, held int64) {
	if h == nil {
		return
	}
	score := h.score.Load()
	if seen >= int64(longHold) {
		h.score.Store((score + historyOne) / 2)
		return
	}
	if score != 0 && held < int64(longHold)/2 {
		h.score.Store(score / 2)
	}
	if !h.other.Load() {
		h.other.Store(true)
	}
}

// Took notes whether work with this history took long, whatever it did: it may have been asleep.
func (h *History) Took(long bool) {
	const memory = 64
	switch {
	case h == nil:
	case long:
		h.slow.Store(memory)
	case h.slow.Load() > 0:
		h.slow.Add(-1)
	}
}

// Quick says that work with this history is known, and neither computes nor sleeps for long.
func (h *History) Quick() bool { return h != nil && h.short() && h.slow.Load() <= 0 }

// compute counts the grants that compute now.
func (h *History) compute(n int32) {
	if h != nil {
		h.computing.Add(n)
	}
}
