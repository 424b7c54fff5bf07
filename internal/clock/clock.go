// Package clock compares Go's clock with another one.
package clock

import (
	"math"
	"time"
)

// Compare reads Go's clock and another one, and gives the moment at which the other one showed there. It reads Go's
// clock before and after the other one, and does it again until both readings are close together, since a thread may
// lose its processor between any two; of several tries it keeps the closest.
//
// The moment that it gives is that of the reading before. So a time of Go's that is converted with it, as there plus what
// has gone by since here, is never early on the other clock, and late by no more than the two readings are apart.
func Compare[T ~int64](other func() T) (here time.Time, there T) {
	const (
		enough = 5 * time.Microsecond
		tries  = 100
	)
	apart := time.Duration(math.MaxInt64)
	for i := 0; i < tries && apart > enough; i++ {
		before := time.Now()
		n := other()
		if d := time.Since(before); d < apart {
			here, there, apart = before, n, d
		}
	}
	return here, there
}
