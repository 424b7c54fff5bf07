//go:build cgo

package cpython

// #include <stdint.h>
// uint64_t gilt_this_thread(void);
import "C"

// OSThread is an OS thread of this process; no other one ever gets the same number. The zero OSThread is none.
type OSThread uint64

// ThisThread is the OS thread of the caller. A goroutine that is not locked to it may go on on another one.
func ThisThread() OSThread { return OSThread(C.gilt_this_thread()) }
