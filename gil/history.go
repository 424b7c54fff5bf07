package gil

import (
	"unsafe"

	"gilt/scheduler"
)

// History is the history of work of class c (nil: the default class) that is known by that number: of a prepared function, or the
// address of a Go function's code. For gilt's own packages.
func (h *Host) History(c *scheduler.Class, what uint64) *scheduler.History {
	if c == nil {
		c = h.sched.Default()
	}
	return c.History(uintptr(what))
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
