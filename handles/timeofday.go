package handles

import (
	"time"

	"gilt/internal/cpython"
)

// Time is a datetime.time, a time of day.
type Time struct{ Bound }

func (Time) class() cpython.Class { return cpython.ClassTime }

// NewTime gives the time of day that t has in its location, without a zone. The nanoseconds beyond microseconds are cut.
func NewTime(tok *Token, t time.Time) (Time, error) {
	hour, minute, second := t.Clock()
	return construct[Time](tok, hour, minute, second, t.Nanosecond()/1000)
}

// Duration gives the time since midnight, by the clock.
func (t Time) Duration() (time.Duration, error) {
	v, err := timed[[4]int64](t.Bound, "Time.Duration", "clock")
	return time.Duration(((v[0]*60+v[1])*60+v[2])*1e6+v[3]) * time.Microsecond, err
}

// Hour is t.hour.
func (t Time) Hour() (int, error) { return attrAs[int](t.Bound, "Time.Hour", "hour") }

// Minute is t.minute.
func (t Time) Minute() (int, error) { return attrAs[int](t.Bound, "Time.Minute", "minute") }

// Second is t.second.
func (t Time) Second() (int, error) { return attrAs[int](t.Bound, "Time.Second", "second") }

// Microsecond is t.microsecond.
func (t Time) Microsecond() (int, error) {
	return attrAs[int](t.Bound, "Time.Microsecond", "microsecond")
}

// Fold is t.fold: 1 for the second of two times with the same clock.
func (t Time) Fold() (int, error) { return attrAs[int](t.Bound, "Time.Fold", "fold") }

// TZInfo is t.tzinfo; ok is false if it is None.
func (t Time) TZInfo() (zone Bound, ok bool, err error) { return tzinfo(t.Bound, "Time.TZInfo") }

func tzinfo(b Bound, op string) (Bound, bool, error) {
	zone, err := attrAs[Bound](b, op, "tzinfo")
	if err != nil || zone.IsNone() {
		return Bound{}, false, err
	}
	return zone, true, nil
}

// UTCOffset is t.utcoffset(); ok is false if it is None, as of a zone whose offset depends on the date.
func (t Time) UTCOffset() (offset time.Duration, ok bool, err error) {
	return utcoffset(t.callBound("Time.UTCOffset", "utcoffset", nil))
}

func utcoffset(b Bound, err error) (time.Duration, bool, error) {
	delta, ok, err := optional[TimeDelta](b, err)
	if !ok {
		return 0, false, err
	}
	offset, err := delta.Duration()
	return offset, err == nil, err
}

// ISOFormat is t.isoformat().
func (t Time) ISOFormat() (string, error) {
	return callAs[string](t.Bound, "Time.ISOFormat", "isoformat", nil)
}

// Strftime is t.strftime(format).
func (t Time) Strftime(format string) (string, error) {
	return callAs[string](t.Bound, "Time.Strftime", "strftime", []any{format})
}
