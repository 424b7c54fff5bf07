package handles

import (
	_ "embed"
	"os"
	"strings"
	"sync"
	"time"

	"gilt/internal/cpython"
)

//go:embed datetime.py
var datetimeSource string

var datetimes OnceCell

// timing gives what datetime.py defines.
func timing(tok *Token) (Bound, error) {
	return datetimes.GetOrInit(tok, func(tok *Token) (Bound, error) { return glue(tok, "gilt.datetimes", datetimeSource, nil) })
}

// timed calls a function of datetime.py with b.
func timed[T any](b Bound, op, function string) (v T, err error) {
	b.entry(op)
	m, err := timing(b.tok)
	if err != nil {
		return v, err
	}
	return callAs[T](m, op, function, []any{b})
}

// DateTime is a datetime.datetime. Every DateTime is a Date too, for Cast.
type DateTime struct{ Bound }

func (DateTime) class() cpython.Class { return cpython.ClassDateTime }

// NewDateTime gives the datetime of t, with its zone. time.UTC becomes timezone.utc and a fixed offset a datetime.timezone,
// of the zone's name if it has one. Other locations, also time.Local, become the zoneinfo.ZoneInfo of their name; where
// Python has none, or one that says another offset for t, a datetime.timezone of the offset that t has. Of a time that comes
// twice, when clocks are put back, fold is 0 for the first and 1 for the second.
//
// Python counts microseconds: the nanoseconds beyond are cut, so that the datetime is t or before it. ValueError or
// OverflowError if the year is not between 1 and 9999, and ValueError if the offset is a day or more.
func NewDateTime(tok *Token, t time.Time) (DateTime, error) {
	m, err := timing(tok)
	if err != nil {
		return DateTime{}, err
	}
	name, offset := t.Zone()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	args := []any{year, int(month), day, hour, minute, second, t.Nanosecond() / 1000, offset, zoneName(name, offset), keyOf(t)}
	return made[DateTime](m.callBound("NewDateTime", "make", args))
}

// zoneName is a fixed zone's name for Python, none for UTC, which Python names itself.
func zoneName(name string, offset int) string {
	if name == "UTC" && offset == 0 {
		return ""
	}
	return name
}

// keyOf is the IANA name of t's location: none when the offset never changes.
func keyOf(t time.Time) string {
	name := t.Location().String()
	if isFixed(t) && !strings.Contains(name, "/") {
		return ""
	}
	if name == "Local" {
		return localKey()
	}
	return name
}

func isFixed(t time.Time) bool {
	from, to := t.ZoneBounds()
	return from.IsZero() && to.IsZero()
}

// localKey is the IANA name of the machine's zone. Where $TZ names it, it is the location's name.
var localKey = sync.OnceValue(func() string {
	target, _ := os.Readlink("/etc/localtime")
	_, key, _ := strings.Cut(target, "zoneinfo/")
	return key
})

// moment is what datetime.py tells of a datetime or a timezone.
type moment struct {
	Year        int    `py:"year"`
	Month       int    `py:"month"`
	Day         int    `py:"day"`
	Hour        int    `py:"hour"`
	Minute      int    `py:"minute"`
	Second      int    `py:"second"`
	Microsecond int    `py:"microsecond"`
	Fold        int    `py:"fold"`
	Offset      *int64 `py:"offset"` // in microseconds; nil for a naive one
	Name        string `py:"name"`
	Key         string `py:"key"`
}

// in is the moment's clock in a location.
func (m *moment) in(loc *time.Location) time.Time {
	return time.Date(m.Year, time.Month(m.Month), m.Day, m.Hour, m.Minute, m.Second, m.Microsecond*1000, loc)
}

// seconds is the offset in whole seconds, which is all that a Go zone can have.
func (m *moment) seconds() (int, error) {
	const day = int64(24 * time.Hour / time.Microsecond)
	switch us := *m.Offset; {
	case us <= -day || us >= day:
		return 0, conversionError(ValueError, "an offset from UTC of %d seconds is not less than a day", us/1e6)
	case us%1e6 != 0:
		return 0, conversionError(ValueError, "an offset from UTC of %d microseconds is not one of whole seconds", us)
	default:
		return int(us / 1e6), nil
	}
}

// Time gives the datetime as a Go time: the same instant, and the same clock. A timezone.utc becomes time.UTC and a
// zoneinfo.ZoneInfo the location of its name; other zones, and what Go does not know or knows another offset of, become a
// fixed one of the offset and name that the datetime has. A naive datetime, which says no zone, is taken to be in UTC, as
// time.Parse does; TimeIn takes it to be elsewhere. ValueError for an offset that is not of whole seconds.
func (d DateTime) Time() (time.Time, error) { return d.time("DateTime.Time", time.UTC, false) }

// TimeIn gives the datetime as a Go time in a location: the same instant, or, if it is naive, the same clock. Of a clock
// that the location has twice, or not at all, fold says which is meant, as in Python.
func (d DateTime) TimeIn(loc *time.Location) (time.Time, error) {
	return d.time("DateTime.TimeIn", loc, true)
}

func (d DateTime) time(op string, loc *time.Location, move bool) (time.Time, error) {
	m, err := timed[moment](d.Bound, op, "moment")
	if err != nil {
		return time.Time{}, err
	}
	if m.Offset == nil {
		return m.naive(loc), nil
	}
	offset, err := m.seconds()
	if err != nil {
		return time.Time{}, err
	}
	t := m.in(time.UTC).Add(-time.Duration(offset) * time.Second)
	if move {
		return t.In(loc), nil
	}
	return t.In(m.location(t, offset)), nil
}

// naive is the time in loc whose clock the moment is, as PEP 495 says: where clocks are changed, the offset is that of before
// if fold is 0, and that of after otherwise.
func (m *moment) naive(loc *time.Location) time.Time {
	const day = 24 * time.Hour
	t := m.in(loc)
	_, before := t.Add(-day).Zone()
	_, after := t.Add(day).Zone()
	if before == after {
		return t
	}
	clock := m.in(time.UTC)
	first, second := clock.Add(-time.Duration(before)*time.Second).In(loc), clock.Add(-time.Duration(after)*time.Second).In(loc)
	_, o1 := first.Zone()
	_, o2 := second.Zone()
	isFirst, isSecond := o1 == before, o2 == after
	if isFirst && !isSecond || isFirst == isSecond && m.Fold == 0 {
		return first
	}
	return second
}

// location is the location of the moment's zone, if it has that offset at t.
func (m *moment) location(t time.Time, offset int) *time.Location {
	if loc := namedLocation(m.Key); loc != nil {
		if _, o := t.In(loc).Zone(); o == offset {
			return loc
		}
	}
	return time.FixedZone(m.Name, offset)
}

var locations sync.Map // by name: time.LoadLocation reads files

func namedLocation(key string) *time.Location {
	if key == "" {
		return nil
	}
	if loc, ok := locations.Load(key); ok {
		return loc.(*time.Location)
	}
	loc, err := time.LoadLocation(key)
	if err != nil {
		return nil
	}
	locations.Store(key, loc)
	return loc
}

// Year is d.year.
func (d DateTime) Year() (int, error) { return attrAs[int](d.Bound, "DateTime.Year", "year") }

// Month is d.month.
func (d DateTime) Month() (time.Month, error) {
	return attrAs[time.Month](d.Bound, "DateTime.Month", "month")
}

// Day is d.day.
func (d DateTime) Day() (int, error) { return attrAs[int](d.Bound, "DateTime.Day", "day") }

// Hour is d.hour.
func (d DateTime) Hour() (int, error) { return attrAs[int](d.Bound, "DateTime.Hour", "hour") }

// Minute is d.minute.
func (d DateTime) Minute() (int, error) { return attrAs[int](d.Bound, "DateTime.Minute", "minute") }

// Second is d.second.
func (d DateTime) Second() (int, error) { return attrAs[int](d.Bound, "DateTime.Second", "second") }

// Microsecond is d.microsecond.
func (d DateTime) Microsecond() (int, error) {
	return attrAs[int](d.Bound, "DateTime.Microsecond", "microsecond")
}

// Fold is d.fold: 1 for the second of two times with the same clock.
func (d DateTime) Fold() (int, error) { return attrAs[int](d.Bound, "DateTime.Fold", "fold") }

// Weekday is the day of the week, of d.isoweekday().
func (d DateTime) Weekday() (time.Weekday, error) { return weekday(d.Bound, "DateTime.Weekday") }

// TZInfo is d.tzinfo; ok is false if it is None.
func (d DateTime) TZInfo() (zone Bound, ok bool, err error) {
	return tzinfo(d.Bound, "DateTime.TZInfo")
}

// UTCOffset is d.utcoffset(); ok is false if the datetime is naive.
func (d DateTime) UTCOffset() (offset time.Duration, ok bool, err error) {
	return utcoffset(d.callBound("DateTime.UTCOffset", "utcoffset", nil))
}

// Date is d.date().
func (d DateTime) Date() (Date, error) { return callAs[Date](d.Bound, "DateTime.Date", "date", nil) }

// Clock is d.time(), the time of day without the zone.
func (d DateTime) Clock() (Time, error) { return callAs[Time](d.Bound, "DateTime.Clock", "time", nil) }

// ISOFormat is d.isoformat().
func (d DateTime) ISOFormat() (string, error) {
	return callAs[string](d.Bound, "DateTime.ISOFormat", "isoformat", nil)
}

// Strftime is d.strftime(format).
func (d DateTime) Strftime(format string) (string, error) {
	return callAs[string](d.Bound, "DateTime.Strftime", "strftime", []any{format})
}
