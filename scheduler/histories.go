package scheduler

import (
	"sync"
	"sync/atomic"
)

// histories are those of one class, by the function that its work runs. Readers take no lock: a table is written to only where it
// was empty, and a larger one replaces it.
type histories struct {
	table atomic.Pointer[[]atomic.Pointer[remembered]] // a power of two of places, half of them empty at the least

	mu sync.Mutex // held by who adds one; guards n
	n  int
}

type remembered struct {
	what uintptr
	past History
}

// mostKnown is how many functions a class knows. With one more it begins anew: what is forgotten is learnt again.
const mostKnown = 1 << 12

// History is what is known of the class's work that runs the function of that number, which the caller chooses. It is the same
// each time, unless the class has begun anew in between (mostKnown): a caller that keeps the one of before learns for itself only.
// Any goroutine may call it.
func (c *Class) History(what uintptr) *History {
	if t := c.histories.table.Load(); t != nil {
		if k := find(*t, what).Load(); k != nil {
			return &k.past
		}
	}
	return c.histories.add(what)
}

// find is the place of what: where it is, or the empty one where it belongs.
func find(table []atomic.Pointer[remembered], what uintptr) *atomic.Pointer[remembered] {
	const spread = 0x9E3779B97F4A7C15 // 2^64 divided by the golden ratio: Knuth, The Art of Computer Programming 6.4
	mask := uint64(len(table) - 1)
	for i := uint64(what) * spread >> 32; ; i++ {
		place := &table[i&mask]
		if k := place.Load(); k == nil || k.what == what {
			return place
		}
	}
}

func (h *histories) add(what uintptr) *History {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.table.Load()
	if t != nil {
		if k := find(*t, what).Load(); k != nil { // somebody was faster
			return &k.past
		}
	}
	if t == nil || h.n >= mostKnown {
		t, h.n = new(make([]atomic.Pointer[remembered], 8)), 0
	} else if 2*(h.n+1) > len(*t) {
		t = grown(*t)
	}
	k := &remembered{what: what}
	find(*t, what).Store(k)
	h.n++
	h.table.Store(t)
	return &k.past
}

func grown(from []atomic.Pointer[remembered]) *[]atomic.Pointer[remembered] {
	to := make([]atomic.Pointer[remembered], 2*len(from))
	for i := range from {
		if k := from[i].Load(); k != nil {
			find(to, k.what).Store(k)
		}
	}
	return &to
}
