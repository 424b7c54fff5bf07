package gilt_test

import (
	"syscall"
	"unsafe"
)

// pin has the calling goroutine's OS thread run on that processor only.
func pin(cpu int) error {
	var set [1024 / 64]uint64
	set[cpu/64] = 1 << (cpu % 64)
	// SAFETY: the kernel reads so many bytes of set during the call.
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(set), uintptr(unsafe.Pointer(&set)))
	if errno != 0 {
		return errno
	}
	return nil
}
