package gil

import (
	"sync/atomic"
	"unsafe"

	"gilt/scheduler"
)

// memory keeps what is known of how long the work of each class and Go function uses the GIL, so that
// work that has been long is known for it before it runs. It is a cache of fixed size: what falls out is
// learnt again.
type memory struct {
	cells [512]atomic.Pointer[remembered]
}

type remembered struct {
	class *scheduler.Class
	code  uintptr
	past  scheduler.History
}

// of is the history of work of class c that runs the function at code.
func (m *memory) of(c *scheduler.Class, code uintptr) *scheduler.History {
	h := (uint64(code) ^ uint64(uintptr(unsafe.Pointer(c)))) * 0x9E3779B97F4A7C15
	cell := &m.cells[h>>55]
	r := cell.Load()
	if r == nil || r.class != c || r.code != code {
		r = &remembered{class: c, code: code}
		cell.Store(r)
	}
	return &r.past
}

// History is the history of work of class c that is known by that number (Prepared). For gilt's own packages.
func (h *Host) History(c *scheduler.Class, what uint64) *scheduler.History {
	return h.memory.of(c, uintptr(what))
}

// code is the address of f's code: the same for every closure that is made at one place of the program.
func code(f func(*Token) error) uintptr {
	if f == nil {
		return 0
	}
	// SAFETY: a func value is a pointer to a closure, which begins with the address of its code; it is only
	// compared with others.
	return **(**uintptr)(unsafe.Pointer(&f))
}
