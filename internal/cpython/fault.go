//go:build cgo

package cpython

// #include <stdint.h>
// void gilt_fail_growth(int64_t after);
import "C"

// FailGrowth drops the calling thread's result buffer, and lets result buffers grow only so many times
// more, as if memory had run out; a negative number ends that. For tests: nothing else can make the shim
// run out of memory and leave the rest of the process alone.
func FailGrowth(after int) { C.gilt_fail_growth(C.int64_t(after)) }
