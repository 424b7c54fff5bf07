package clock

import "time"

var began, beganTicks = time.Now(), Ticks()

// Rate is how many nanoseconds one of Ticks has, as measured since the process began: the longer ago that is, the more exact. Any
// goroutine may call it.
func Rate() float64 {
	for {
		ns, ticks := time.Since(began), Ticks()-beganTicks
		if ns > 100*time.Microsecond && ticks > 0 {
			return float64(ns) / float64(ticks)
		}
	}
}
