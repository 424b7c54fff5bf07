package handles

import (
	"math"
	"time"

	"gilt/internal/cpython"
)

// TimeDelta is a datetime.timedelta.
type TimeDelta struct{ Bound }

func (TimeDelta) class() cpython.Class { return cpython.ClassTimeDelta }

// NewTimeDelta gives the timedelta of a duration. The nanoseconds beyond microseconds are cut, towards zero, as
// d.Truncate(time.Microsecond) does.
func NewTimeDelta(tok *Token, d time.Duration) (TimeDelta, error) {
	return construct[TimeDelta](tok, 0, int64(d/time.Second), int64(d%time.Second/time.Microsecond))
}

// Duration gives the timedelta as a Go duration. OverflowError if it is longer than one can be, some 292 years.
func (d TimeDelta) Duration() (time.Duration, error) {
	v, err := timed[[3]int64](d.Bound, "TimeDelta.Duration", "delta")
	if err != nil {
		return 0, err
	}
	const most = math.MaxInt64 / 1000         // microseconds, of either sign
	days := max(-200_000, min(v[0], 200_000)) // which is more than fits, and can be multiplied
	us := (days*24*60*60+v[1])*1_000_000 + v[2]
	if us < -most || us > most {
		return 0, conversionError(OverflowError, "a timedelta of %d days does not fit in Go's time.Duration", v[0])
	}
	return time.Duration(us) * time.Microsecond, nil
}

// Days is d.days, which is negative for a negative timedelta; Seconds and Microseconds come on top of it.
func (d TimeDelta) Days() (int, error) { return attrAs[int](d.Bound, "TimeDelta.Days", "days") }

// Seconds is d.seconds, from 0 to 86399.
func (d TimeDelta) Seconds() (int, error) {
	return attrAs[int](d.Bound, "TimeDelta.Seconds", "seconds")
}

// Microseconds is d.microseconds, from 0 to 999999.
func (d TimeDelta) Microseconds() (int, error) {
	return attrAs[int](d.Bound, "TimeDelta.Microseconds", "microseconds")
}

// TotalSeconds is d.total_seconds().
func (d TimeDelta) TotalSeconds() (float64, error) {
	return callAs[float64](d.Bound, "TimeDelta.TotalSeconds", "total_seconds", nil)
}
