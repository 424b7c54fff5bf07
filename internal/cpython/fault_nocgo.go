//go:build !cgo

package cpython

// FailGrowth is for tests, which need cgo.
func FailGrowth(int) {}

// BufferSize is for tests, which need cgo.
func BufferSize() int { return 0 }
