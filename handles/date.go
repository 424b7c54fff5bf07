package handles

import (
	"time"

	"gilt/internal/cpython"
)

// Date is a datetime.date.
type Date struct{ Bound }

func (Date) class() cpython.Class { return cpython.ClassDate }

// NewDate gives the date that t has in its location. ValueError or OverflowError if the year is not between 1 and 9999.
func NewDate(tok *Token, t time.Time) (Date, error) {
	year, month, day := t.Date()
	return construct[Date](tok, year, int(month), day)
}

// Time gives the date as a Go time: its midnight in UTC.
func (d Date) Time() (time.Time, error) {
	v, err := timed[[3]int](d.Bound, "Date.Time", "date")
	if err != nil {
		return time.Time{}, err
	}
	return time.Date(v[0], time.Month(v[1]), v[2], 0, 0, 0, 0, time.UTC), nil
}

// Year is d.year.
func (d Date) Year() (int, error) { return attrAs[int](d.Bound, "Date.Year", "year") }

// Month is d.month.
func (d Date) Month() (time.Month, error) {
	return attrAs[time.Month](d.Bound, "Date.Month", "month")
}

// Day is d.day.
func (d Date) Day() (int, error) { return attrAs[int](d.Bound, "Date.Day", "day") }

// Weekday is the day of the week, of d.isoweekday().
func (d Date) Weekday() (time.Weekday, error) { return weekday(d.Bound, "Date.Weekday") }

func weekday(b Bound, op string) (time.Weekday, error) {
	n, err := callAs[int](b, op, "isoweekday", nil)
	return time.Weekday(n % 7), err
}

// ISOFormat is d.isoformat().
func (d Date) ISOFormat() (string, error) {
	return callAs[string](d.Bound, "Date.ISOFormat", "isoformat", nil)
}

// Strftime is d.strftime(format).
func (d Date) Strftime(format string) (string, error) {
	return callAs[string](d.Bound, "Date.Strftime", "strftime", []any{format})
}
