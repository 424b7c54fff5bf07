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
// tasks do not meet in CPython's own queue. One short task is enough to be taken for short again: a
// function that is now long and now short is never held up.
type History struct{ long, blocks atomic.Uint32 }

const (
	historyOne  = 1 << 16
	historyLong = historyOne * 4 / 5 // three long ones in a row
)

// Long says whether work with this history is expected to use the GIL for longer than 1 ms.
func (h *History) Long() bool { return h != nil && h.long.Load() > historyLong }

// Blocks says whether work with this history is expected to give the GIL up by itself (sleep, I/O, a C
// extension that computes without it): then it keeps nobody waiting.
func (h *History) Blocks() bool { return h != nil && h.blocks.Load() > historyLong }

// special says that work does not go the fast way.
func (h *History) special() bool { return h.Long() || h.Blocks() }

// note records in score how one task went. Racing notes may lose one another.
func note(score *atomic.Uint32, so bool) {
	s := score.Load()
	switch {
	case so:
		score.Store((s + historyOne) / 2)
	case s != 0:
		score.Store(s / 2)
	}
}

// outside notes whether a task that was past its grace had given the GIL up.
func (h *History) outside(so bool) {
	if h != nil {
		note(&h.blocks, so)
	}
}

// learn notes a finished grant: seen is what the pacer saw it use, held what it was charged. A long hold
// that no look saw says nothing, for it may have been asleep.
func (h *History) learn(seen, held int64) {
	switch {
	case h == nil:
	case seen >= int64(longHold):
		note(&h.long, true)
	case held < int64(longHold)/2:
		note(&h.long, false)
	}
}

// quick is learn for a grant that was its lane's primary to the end.
func (h *History) quick(seen, held int64) {
	if h.learn(seen, held); h != nil && held < int64(longHold)/2 {
		note(&h.blocks, false)
	}
}
