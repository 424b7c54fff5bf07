//go:build !cgo

package cpython

// FailGrowth is for tests, which need cgo.
func FailGrowth(int) {}
