//go:build cgo

package cpython

// #include <stdint.h>
// void gilt_fail_growth(int64_t after);
// uint64_t gilt_buffer_size(void);
// uint64_t gilt_check_many(uintptr_t th, uint64_t serial, uint64_t n);
// int gilt_load_strange(const char *path, int global, int start);
// void gilt_end_thread(int reused);
// void gilt_fail_memory(int64_t after);
// uint64_t gilt_listed_threads(void);
import "C"

import "fmt"

// FailGrowth drops the calling thread's result buffer, and lets result buffers grow only so many times
// more, as if memory had run out; a negative number ends that. For tests: nothing else can make the shim
// run out of memory and leave the rest of the process alone.
func FailGrowth(after int) { C.gilt_fail_growth(C.int64_t(after)) }

// BufferSize is the size of the calling thread's result buffer. For tests.
func BufferSize() int { return int(C.gilt_buffer_size()) }

// EndThread leaves the calling OS thread as one that has begun to end: gilt's destructor has run on it. The goroutine is
// locked to it, and ends with it. For tests: a destructor that comes later, and calls Go, is C code.
func EndThread() { C.gilt_end_thread(0) }

// EndThreadOfUsedNumber is EndThread as if the thread had ended long ago, and its number were another's by now: that of the
// process's first thread.
func EndThreadOfUsedNumber() { C.gilt_end_thread(1) }

// FailMemory lets Python allocate only so many times more on the calling OS thread; a negative number ends that. The first call
// is made with a token. For tests.
func FailMemory(after int) { C.gilt_fail_memory(C.int64_t(after)) }

// ListedThreads is how many OS threads have entered Python and have not ended. For tests.
func ListedThreads() int { return int(C.gilt_listed_threads()) }

// CheckMany does C's half of the check for misuse n times, and gives how many were right. For a benchmark.
func (e Entry) CheckMany(n int) int {
	return int(C.gilt_check_many(e.th, e.serial, C.uint64_t(n)))
}

// LoadStrange loads a libpython as another part of the program would, its symbols for all to see or not, and starts its
// Python if start says so. For tests.
func LoadStrange(path string, global, start bool) error {
	number := map[bool]C.int{true: 1}
	if C.gilt_load_strange(C.CString(path), number[global], number[start]) != 0 { // Python may keep the path
		return fmt.Errorf("cannot load %s, or start its Python", path)
	}
	return nil
}
