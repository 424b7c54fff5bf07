//go:build !cgo

package cpython

// OSThread is an OS thread of this process.
type OSThread uint64

// ThisThread is never one that gilt keeps: without cgo there is no Python to keep one for.
func ThisThread() OSThread { return 0 }
