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
	computing atomic.Int32  // grants that lapsed and compute
	other     atomic.Bool   // one has ended that was not long
	slow      atomic.Int32  // so many more must end that are not slow
	asleep    atomic.Uint32 // as score, of those that took long without the GIL
	took      atomic.Uint64 // how long it takes: a times
	cut       atomic.Bool   // what ends next was interrupted
	turnAt    atomic.Int64  // when work that had to wait last had its turn, or was first refused: see Scheduler.late
}

const (
	historyOne  = 1 << 16
	historyLong = historyOne * 4 / 5 // three long ones in a row
	// historyAsleep takes five: on a busy machine a short call may look like one that sleeps.
	historyAsleep = historyOne * 15 / 16
)

// Long says whether work with this history is expected to use the GIL for 1 ms or longer.
func (h *History) Long() bool {
	return h.known() || h.cold()
}

// known says that the last few calls were long.
func (h *History) known() bool { return h != nil && h.score.Load() > historyLong }

// enoughLong is how many long calls at once make a function known to be long of which none has ended that was not.
const enoughLong = 2

// cold says that calls compute, and none has ended that was not long. They may be the first calls of a function that imports, or fills a
// cache, and is short from then on; or it is a long one.
func (h *History) cold() bool {
	return h != nil && !h.known() && h.computing.Load() > 0 && !h.other.Load()
}

// short says that it is known not to be, nor to sleep: such work needs no lock.
func (h *History) short() bool {
	return h == nil || h.other.Load() && h.score.Load() <= historyLong && !h.sleeps()
}

// learn notes a finished grant: seen is what the pacer saw it use, held what it was charged. A long hold
// that no look saw says nothing, for it may have been asleep. Racing notes may lose one another.
func (h *History) learn(seen, held int64) {
	if h == nil {
		return
	}
	score := h.score.Load()
	if seen >= int64(longHold) {
		if h.computing.Load() >= enoughLong && !h.other.Load() {
			score = historyOne
		}
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

// times is what is known of how long a function's work takes: [from its grant to its end, µs: 28][with the GIL, µs: 28][known from so
// many, up to enoughTimes: 8].
//
// Of the first the shortest counts: the first call of a function imports, compiles and fills caches. Then it is what one half of the
// work stays below, if all are alike: each moves it by 1/16, however far away it is, so that outliers do not. But one
// of less than half moves it half of the way: a function of which one call in ten is that quick is taken for
// quick.
type times uint64

const (
	enoughTimes = 8
	timeBits    = 28
	timeMask    = 1<<timeBits - 1
	// leastTime is below what a wake-up takes: such work is never refused, and costs no more than a look at it.
	leastTime = int64(20 * time.Microsecond)
	// quick is a function whose work takes less than leastTime.
	quick = times(enoughTimes)
)

func (t times) whole() int64   { return int64(t>>(8+timeBits)) * 1000 }
func (t times) holding() int64 { return int64(t>>8&timeMask) * 1000 }

func (h *History) times() times {
	if t := times(h.took.Load()); t&0xff >= enoughTimes {
		return t
	}
	return 0
}

// takes is how long the work is expected to take from its grant to its end, when others wait; holds is for how long of that it is expected
// to have the GIL. 0: less than leastTime, or not known.
func (h *History) takes() int64 { return h.times().whole() }
func (h *History) holds() int64 { return h.times().holding() }

// ended notes work that has ended after it held the GIL for so long, and took so long.
func (h *History) ended(held, took int64) {
	if h != nil && (took >= leastTime || times(h.took.Load()) != quick) {
		h.note(took, held)
	}
}

// note is the rest of ended. Racing notes may lose one another, and their being cut.
func (h *History) note(took, held int64) {
	cut := h.cut.Load() && h.cut.CompareAndSwap(true, false)
	h.took.Store(uint64(times(h.took.Load()).after(held, took, cut)))
}

func (t times) after(held, took int64, cut bool) times {
	n := t & 0xff
	whole, holding := moved(n, t.whole(), took, cut), moved(n, t.holding(), held, cut)
	return times(whole/1000)<<(8+timeBits) | times(holding/1000)<<8 | min(n+1, enoughTimes)
}

// moved is the estimate ns after another of took, the one after so many.
func moved(n times, ns, took int64, cut bool) int64 {
	if took < leastTime {
		took = 0
	}
	switch {
	case n == 0 || n < enoughTimes && took < ns:
		ns = took
	case n < enoughTimes:
	case took > ns:
		ns = min(ns+max(ns/16, leastTime), took)
	case cut: // that says nothing
	case took < ns/2:
		ns = (ns + took) / 2
	default:
		ns = max(ns-ns/16, took)
	}
	if ns < leastTime {
		return 0
	}
	return min(ns, timeMask*1000)
}

// Took notes whether work with this history took long, whatever it did, whether others had the GIL meanwhile, and for how long the work had it. It may
// have been asleep. If nobody else had the GIL, it may as well have waited for a processor.
func (h *History) Took(long, shared bool, held time.Duration) {
	const memory = 64
	if h == nil {
		return
	}
	if long {
		h.slow.Store(memory)
	} else if h.slow.Load() > 0 {
		h.slow.Add(-1)
	}
	if score := h.asleep.Load(); long && shared && held < briefHold {
		h.asleep.Store((score + historyOne) / 2)
	} else if score != 0 {
		h.asleep.Store(score / 2)
	}
}

// briefHold is for how long work may have the GIL that spends its time elsewhere.
const briefHold = 200 * time.Microsecond

// sleeps says that the last few calls took long and hardly used the GIL: they slept, or waited for something. So others may have the lane
// as soon as such work has been granted. What it uses is charged as ever.
func (h *History) sleeps() bool { return h != nil && h.asleep.Load() > historyAsleep }

// Quick says that work with this history is known, and neither computes nor sleeps for long.
func (h *History) Quick() bool { return h != nil && h.short() && h.slow.Load() <= 0 }

// compute counts the grants that compute now.
func (h *History) compute(n int32) {
	if h != nil {
		h.computing.Add(n)
	}
}
