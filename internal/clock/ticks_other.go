//go:build !amd64 && !arm64

package clock

import "time"

var ticking = time.Now()

// Ticks reads a counter of time, see Rate. Any goroutine may call it.
func Ticks() int64 { return int64(time.Since(ticking)) }

// Pause does nothing here: see the other file.
func Pause() {}
