//go:build !cgo

// Package python3 needs cgo: without it there is no Python to stand in for.
package python3

import "syscall"

// Begin does nothing.
func Begin() {}

// Die does nothing.
func Die(syscall.Signal) {}
