package handles

import (
	"time"

	"gilt/internal/cpython"
)

// TimeZone is a datetime.timezone: a zone of fixed offset. A zoneinfo.ZoneInfo is none.
type TimeZone struct{ Bound }

func (TimeZone) class() cpython.Class { return cpython.ClassTimeZone }

// NewTimeZone gives the datetime.timezone of a location whose offset never changes: timezone.utc of time.UTC, otherwise one of
// its offset, and its name if it has one. ValueError if the offset changes, or is a day or more.
func NewTimeZone(tok *Token, loc *time.Location) (TimeZone, error) {
	m, err := timing(tok)
	if err != nil {
		return TimeZone{}, err
	}
	t := time.Unix(0, 0).In(loc)
	if !isFixed(t) {
		return TimeZone{}, conversionError(ValueError, "the offset of %s changes: zoneinfo.ZoneInfo is for such zones", loc)
	}
	name, offset := t.Zone()
	return made[TimeZone](m.callBound("NewTimeZone", "fixed", []any{offset, zoneName(name, offset)}))
}

// Location gives the zone as a Go location: time.UTC of timezone.utc, otherwise a fixed one of its offset, and its name if it
// was given one. ValueError for an offset that is not of whole seconds.
func (z TimeZone) Location() (*time.Location, error) {
	m, err := timed[moment](z.Bound, "TimeZone.Location", "location")
	if err != nil {
		return nil, err
	}
	offset, err := m.seconds()
	if err != nil {
		return nil, err
	}
	return m.location(time.Unix(0, 0), offset), nil
}

// Offset is z.utcoffset(None), which is positive east of Greenwich.
func (z TimeZone) Offset() (time.Duration, error) {
	offset, _, err := utcoffset(z.callBound("TimeZone.Offset", "utcoffset", []any{nil}))
	return offset, err
}

// Name is z.tzname(None): the name that it was given, or one like "UTC+02:00".
func (z TimeZone) Name() (string, error) {
	return callAs[string](z.Bound, "TimeZone.Name", "tzname", []any{nil})
}
