//go:build !cgo

package cpython

// FailGrowth is for tests, which need cgo.
func FailGrowth(int) {}

// BufferSize is for tests, which need cgo.
func BufferSize() int { return 0 }

// EndThread is for tests, which need cgo.
func EndThread() {}

// EndThreadOfUsedNumber is for tests, which need cgo.
func EndThreadOfUsedNumber() {}

// FailMemory is for tests, which need cgo.
func FailMemory(int) {}

// ListedThreads is for tests, which need cgo.
func ListedThreads() int { return 0 }

// CheckMany is of builds with cgo.
func (Entry) CheckMany(int) int { return 0 }

// LoadStrange is for tests, which need cgo.
func LoadStrange(string, bool, bool) error { return ErrNoCgo }
