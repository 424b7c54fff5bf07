//go:build unix

package main

import (
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// takeStdout makes a.stdout the only way to the process's stdout: what Python code, C code and child processes write to its descriptor
// goes to stderr from then on.
func (a *app) takeStdout() error {
	if a.stdout.w != io.Writer(os.Stdout) {
		return nil
	}
	kept, err := unix.FcntlInt(uintptr(syscall.Stdout), unix.F_DUPFD_CLOEXEC, syscall.Stderr+1)
	if err == nil {
		err = unix.Dup2(syscall.Stderr, syscall.Stdout)
	}
	if err != nil {
		return fmt.Errorf("stdout cannot be kept apart from what the function writes: %w", err)
	}
	a.stdout.w = os.NewFile(uintptr(kept), os.Stdout.Name())
	return nil
}
