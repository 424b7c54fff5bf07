package handles_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
	_ "time/tzdata"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func in(name string) *time.Location {
	loc, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return loc
}

// datetimeCases are times and the arguments of their datetimes.
var datetimeCases = []struct {
	t    time.Time
	want string
}{
	{time.Date(2024, 2, 29, 12, 34, 56, 789123999, time.UTC), "(2024, 2, 29, 12, 34, 56, 789123, tzinfo=datetime.timezone.utc)"},
	{time.Date(1969, 12, 31, 23, 59, 59, 999999999, time.UTC), "(1969, 12, 31, 23, 59, 59, 999999, tzinfo=datetime.timezone.utc)"},
	{time.Time{}, "(1, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)"},
	{time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC), "(9999, 12, 31, 23, 59, 59, 999999, tzinfo=datetime.timezone.utc)"},
	{time.Date(2024, 1, 2, 3, 4, 5, 0, time.FixedZone("", 0)), "(2024, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)"},
	{time.Date(2024, 1, 2, 3, 4, 5, 0, time.FixedZone("GMT", 0)), "(2024, 1, 2, 3, 4, 5, tzinfo=datetime.timezone(datetime.timedelta(0), 'GMT'))"},
	{time.Date(2024, 1, 2, 3, 4, 5, 0, time.FixedZone("", -5400)), "(2024, 1, 2, 3, 4, 5, tzinfo=datetime.timezone(datetime.timedelta(days=-1, seconds=81000)))"},
	{time.Date(2024, 1, 2, 3, 4, 5, 0, time.FixedZone("CET", 3600)), "(2024, 1, 2, 3, 4, 5, tzinfo=datetime.timezone(datetime.timedelta(seconds=3600), 'CET'))"},
	{time.Date(2024, 1, 2, 3, 4, 5, 0, time.FixedZone("", 86399)), "(2024, 1, 2, 3, 4, 5, tzinfo=datetime.timezone(datetime.timedelta(seconds=86399)))"},
	{time.Date(2024, 7, 1, 12, 0, 0, 0, in("Europe/Berlin")), "(2024, 7, 1, 12, 0, tzinfo=ZoneInfo(key='Europe/Berlin'))"},
	{time.Date(2024, 10, 27, 0, 30, 0, 0, time.UTC).In(in("Europe/Berlin")), "(2024, 10, 27, 2, 30, tzinfo=ZoneInfo(key='Europe/Berlin'))"},
	{time.Date(2024, 10, 27, 1, 30, 0, 0, time.UTC).In(in("Europe/Berlin")), "(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo(key='Europe/Berlin'))"},
	{time.Date(1800, 1, 1, 0, 0, 0, 0, in("America/New_York")), "(1800, 1, 1, 0, 0, tzinfo=ZoneInfo(key='America/New_York'))"},
}

// datetimeRoundTrips checks NewDateTime and DateTime.Time. It runs in a child too.
func datetimeRoundTrips(tok *gilt.Token) error {
	for _, c := range datetimeCases {
		d, err := py.NewDateTime(tok, c.t)
		if err != nil {
			return fmt.Errorf("%v: %w", c.t, err)
		}
		repr, err := d.Repr()
		if err != nil {
			return err
		}
		want, err := py.EvalAs[string](tok, "(lambda datetime, ZoneInfo: repr(datetime.datetime"+c.want+"))(__import__('datetime'), __import__('zoneinfo').ZoneInfo)")
		if repr != want || err != nil {
			return fmt.Errorf("%v became %s, want %s, %w", c.t, repr, want, err)
		}
		back, err := d.Time()
		if want := c.t.Truncate(time.Microsecond); err != nil || !back.Equal(want) {
			return fmt.Errorf("%v came back as %v, %w", want, back, err)
		}
		clock := "2006-01-02 15:04:05.000000 -07:00:00"
		if name, _ := c.t.Zone(); name != "" {
			clock += " MST"
		}
		if got, want := back.Format(clock), c.t.Format(clock); got != want {
			return fmt.Errorf("%s came back as %s", want, got)
		}
		if got, want := back.Location().String(), c.t.Location().String(); got != want && c.t.Location().String() != "" {
			return fmt.Errorf("%v of %s came back in %s", c.t, want, got)
		}
		if c.t.Location() == time.UTC && back.Location() != time.UTC {
			return fmt.Errorf("%v came back in %v", c.t, back.Location())
		}
		if _, err := py.Cast[py.DateTime](d); err != nil {
			return err
		}
	}
	return nil
}

func TestDateTime_RoundTrips(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		if err := datetimeRoundTrips(tok); err != nil {
			t.Error(err)
		}
	})
}

// Where interpreters have a GIL of their own, datetime has no C module on CPython 3.12. To ask for it twice in a process
// corrupted memory there, and on 3.13 to import it in another interpreter before the main one.
func TestDateTime_OwnGIL(t *testing.T) {
	if pytest.Minor(t) < 12 {
		t.Skip("interpreters with a GIL of their own came with CPython 3.12")
	}
	pytest.Child(t, "datetimes own GIL")
}

func datetimesOwnGIL() error {
	ctx := context.Background()
	rt, err := gilt.Open(ctx, gilt.Config{Mode: gilt.OwnGIL, Interpreters: 8})
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	errs := make(chan error, 100)
	for range cap(errs) { // which import it in several interpreters at a time
		all.Go(func() { errs <- rt.Do(ctx, datetimeOthers) })
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	err = rt.Do(ctx, func(tok *gilt.Token) error { return tok.Host().EachInterpreter(ctx, datetimeRoundTrips) })
	if err != nil {
		return err
	}
	return rt.Shutdown(ctx)
}

// datetimeOthers checks one case of each of datetime's other types.
func datetimeOthers(tok *gilt.Token) error {
	noon := time.Date(2024, 2, 29, 12, 34, 56, 789123999, time.FixedZone("X", 3600))
	date, err1 := py.NewDate(tok, noon)
	clock, err2 := py.NewTime(tok, noon)
	delta, err3 := py.NewTimeDelta(tok, -1500*time.Millisecond)
	zone, err4 := py.NewTimeZone(tok, noon.Location())
	for i, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			return fmt.Errorf("%d: %w", i, err)
		}
	}
	if d, err := date.Time(); err != nil || !d.Equal(time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)) {
		return fmt.Errorf("date: %v, %w", d, err)
	}
	if d, err := clock.Duration(); err != nil || d != 12*time.Hour+34*time.Minute+56*time.Second+789123*time.Microsecond {
		return fmt.Errorf("time: %v, %w", d, err)
	}
	if d, err := delta.Duration(); err != nil || d != -1500*time.Millisecond {
		return fmt.Errorf("timedelta: %v, %w", d, err)
	}
	if z, err := zone.Location(); err != nil || z.String() != "X" {
		return fmt.Errorf("timezone: %v, %w", z, err)
	}
	return nil
}

func TestDateTime_Bad(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		for what, at := range map[string]time.Time{
			"year 0": time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), "year 10000": time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
			"year -5": time.Date(-5, 1, 1, 0, 0, 0, 0, in("Europe/Berlin")), "year 10000 in Berlin": time.Date(10000, 1, 1, 0, 0, 0, 0, in("Europe/Berlin")),
			"a day's offset": time.Unix(0, 0).In(time.FixedZone("", 86400)), "and back": time.Unix(0, 0).In(time.FixedZone("", -86400)),
		} {
			_, err := py.NewDateTime(tok, at)
			raisedCleanly(t, tok, what, err, py.ValueError, "")
		}
		_, err := py.NewDateTime(tok, time.Unix(1<<62, 0))
		raisedCleanly(t, tok, "a year beyond int32", err, py.OverflowError, "")
		_, err = py.NewDateTime(tok, time.Unix(0, 0).In(time.FixedZone("\xff", 1)))
		raisedCleanly(t, tok, "a name that is no text", err, py.UnicodeDecodeError, "")
		for _, name := range []string{"../../../etc/passwd", "/etc/passwd", "No/Such", "America/", "Europe/Berlin", "a/\x00", strings.Repeat("a/", 5000), "Local/"} {
			d, err := py.NewDateTime(tok, time.Unix(0, 0).In(time.FixedZone(name, 7*3600)))
			if err != nil {
				t.Errorf("%q: %v", name, err)
				continue
			}
			zone, ok, err := d.TZInfo()
			if _, e := py.Cast[py.TimeZone](zone); !ok || err != nil || e != nil {
				t.Errorf("%q: %v, %v", name, err, e)
			}
			if tok.Entry("test").ErrorIndicator() {
				t.Errorf("%q: the error indicator is set", name)
			}
		}
	})
}

// A location that Go calls Local is of the machine's zone, unless that has another offset.
func TestDateTime_Local(t *testing.T) {
	data, err := os.ReadFile("/usr/share/zoneinfo/Asia/Kathmandu")
	if err != nil {
		t.Fatal(err)
	}
	local, err := time.LoadLocationFromTZData("Local", data)
	if err != nil {
		t.Fatal(err)
	}
	pytest.Do(t, func(tok *gilt.Token) {
		at := time.Date(2024, 1, 1, 12, 0, 0, 0, local)
		d, err := py.NewDateTime(tok, at)
		if err != nil {
			t.Fatal(err)
		}
		gives(t, "of another machine", "2024-01-01T12:00:00+05:45")(d.ISOFormat())
		for key, want := range map[string]string{"Asia/Kathmandu": "Asia/Kathmandu", "Europe/Berlin": "+0545", "No/Such": "+0545", "": "+0545"} {
			py.InZone(key, func() {
				d := must(py.NewDateTime(tok, time.Date(2024, 1, 1, 12, 0, 0, 0, local)))
				zone, _, err := d.TZInfo()
				if err != nil {
					t.Fatal(err)
				}
				gives(t, "the zone where it is "+key, want)(zone.Str())
			})
		}
		d, err = py.NewDateTime(tok, time.Unix(1700000000, 0))
		if err != nil {
			t.Fatal(err)
		}
		back, err := d.Time()
		if err != nil || !back.Equal(time.Unix(1700000000, 0)) {
			t.Error(back, err)
		}
		_, want := time.Unix(1700000000, 0).Zone()
		if _, got := back.Zone(); got != want {
			t.Errorf("an offset of %d, want %d", got, want)
		}
	})
}

// Instants around changes of the clocks are the same in Python and Go, both ways.
func TestDateTime_Changes(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, `
from datetime import *
epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
def micros(d): return (d - epoch) // timedelta(microseconds=1)
def micros_in(d, zone): return micros(d.replace(tzinfo=zone).astimezone(timezone.utc))
`)
		micros, microsIn := pytest.Get(t, ns, "micros"), pytest.Get(t, ns, "micros_in")
		for _, name := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", "Asia/Kathmandu"} {
			loc := in(name)
			zone := must(must(py.Import(tok, "zoneinfo")).Method("ZoneInfo", name))
			for _, year := range []int{1950, 1986, 2011, 2024} {
				at := time.Date(year, 1, 1, 0, 0, 0, 1000, time.UTC).In(loc)
				for changes := 0; changes < 3; changes++ {
					_, next := at.ZoneBounds()
					if next.IsZero() || next.Year() > year+40 {
						break
					}
					for _, off := range []time.Duration{-3 * time.Hour, -time.Hour, -time.Microsecond, 0, 29 * time.Minute, time.Hour, 25 * time.Hour} {
						at = next.Add(off)
						sameInstant(t, tok, at, micros)
						for fold := range 2 {
							sameClock(t, tok, at, fold, zone, microsIn)
							sameClock(t, tok, at.Add(-40*time.Minute), fold, zone, microsIn)
						}
					}
				}
			}
		}
	})
}

func sameInstant(t *testing.T, tok *gilt.Token, at time.Time, micros py.Bound) {
	t.Helper()
	d := must(py.NewDateTime(tok, at))
	if n, err := py.CallAs[int64](micros, d); err != nil || n != at.UnixMicro() {
		t.Errorf("%v became %s, %v", at, must(d.Repr()), err)
	}
	if back, err := d.Time(); err != nil || !back.Equal(at) || back.String() != at.String() || back.Location().String() != at.Location().String() {
		t.Errorf("%v came back as %v, %v", at, back, err)
	}
}

// sameClock checks that the clock of at, whether the location has it or not, is the instant that Python takes it to be.
func sameClock(t *testing.T, tok *gilt.Token, at time.Time, fold int, zone, microsIn py.Bound) {
	t.Helper()
	_, offset := at.Zone()
	clock := at.UTC().Add(time.Duration(offset) * time.Second)
	naive := must(py.Cast[py.DateTime](must(must(py.NewDateTime(tok, clock)).Method("replace", py.Named("tzinfo", nil), py.Named("fold", fold)))))
	want := must(py.CallAs[int64](microsIn, naive, zone))
	if got, err := naive.TimeIn(at.Location()); err != nil || got.UnixMicro() != want {
		t.Errorf("%v with fold %d in %v: %v, %v, want %v", clock, fold, at.Location(), got, err, time.UnixMicro(want).In(at.Location()))
	}
}

const zonesSource = `
from datetime import *
from zoneinfo import ZoneInfo
class Zone(tzinfo):
    def __init__(self, offset, *name): self.offset, self.name = offset, name
    def utcoffset(self, d): return self.offset if not callable(self.offset) else self.offset()
    def dst(self, d): return None
    def tzname(self, d):
        if not self.name: raise NotImplementedError
        return self.name[0] if not callable(self.name[0]) else self.name[0]()
def at(*zone): return datetime(2024, 7, 1, 12, 30, tzinfo=Zone(*zone))
h = timedelta(hours=1)
class Sub(datetime):
    pass
class NoYear(datetime):
    year = property(lambda d: 1/0)
class TextYear(datetime):
    year = 'x'
class NoOffset(datetime):
    def utcoffset(self): return 'x'
class FarOffset(datetime):
    def utcoffset(self): return timedelta(days=5)
class FartherOffset(datetime):
    def utcoffset(self): return timedelta.max
class NoName(datetime):
    def tzname(self): return 3
class NaiveZone(datetime):
    def utcoffset(self): return None
berlin = ZoneInfo('Europe/Berlin')
class MyZone(ZoneInfo):
    key = property(lambda s: 1/0)
`

func TestDateTime_FromPython(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, zonesSource)
		for expr, want := range map[string]string{
			"datetime(2024, 7, 1, 12, 30, 1, 5)":                         "2024-07-01 12:30:01.000005 +0000 UTC UTC",
			"datetime(2024, 7, 1, tzinfo=timezone.utc)":                  "2024-07-01 00:00:00 +0000 UTC UTC",
			"datetime(2024, 7, 1, tzinfo=timezone(timedelta(0), 'UTC'))": "2024-07-01 00:00:00 +0000 UTC UTC",
			"datetime(2024, 7, 1, tzinfo=ZoneInfo('UTC'))":               "2024-07-01 00:00:00 +0000 UTC UTC",
			"datetime(2024, 7, 1, tzinfo=timezone(2 * h))":               "2024-07-01 00:00:00 +0200 +0200 ",
			"datetime(2024, 7, 1, tzinfo=timezone(-2 * h, 'X'))":         "2024-07-01 00:00:00 -0200 X X",
			"datetime(2024, 7, 1, tzinfo=berlin)":                        "2024-07-01 00:00:00 +0200 CEST Europe/Berlin",
			"datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=berlin)":       "2024-10-27 02:30:00 +0100 CET Europe/Berlin",
			"datetime(2024, 3, 31, 2, 30, tzinfo=berlin)":                "2024-03-31 02:30:00 +0100 CET CET",   // a clock that Berlin
			"datetime(2024, 3, 31, 2, 30, fold=1, tzinfo=berlin)":        "2024-03-31 02:30:00 +0200 CEST CEST", // does not have
			"datetime(1, 1, 1, tzinfo=timezone(23 * h))":                 "0000-12-31 01:00:00 +0000 UTC",       // in UTC
			"datetime.max.replace(tzinfo=timezone(-23 * h))":             "10000-01-01 22:59:59.999999 +0000 UTC",
			"at(h)":                                "2024-07-01 12:30:00 +0100 +0100 ",
			"at(h, 'Mine')":                        "2024-07-01 12:30:00 +0100 Mine Mine",
			"at(h, None)":                          "2024-07-01 12:30:00 +0100 +0100 ",
			"at(h, 'UTC+01:00')":                   "2024-07-01 12:30:00 +0100 UTC+01:00 UTC+01:00",
			"at(None)":                             "2024-07-01 12:30:00 +0000 UTC UTC",
			"at(timedelta(seconds=-3601), 'Odd')":  "2024-07-01 12:30:00 -010001 Odd Odd",
			"Sub(2024, 7, 1)":                      "2024-07-01 00:00:00 +0000 UTC UTC",
			"NaiveZone(2024, 7, 1, tzinfo=berlin)": "2024-07-01 00:00:00 +0000 UTC UTC",
			"datetime(2024, 7, 1, tzinfo=ZoneInfo.from_file(open('/usr/share/zoneinfo/Europe/Berlin', 'rb')))":                            "2024-07-01 00:00:00 +0200 CEST CEST",
			"datetime(2024, 7, 1, tzinfo=ZoneInfo.from_file(open('/usr/share/zoneinfo/Europe/Berlin', 'rb'), key='America/New_York'))":    "2024-07-01 00:00:00 +0200 CEST CEST",
			"datetime(2024, 7, 1, tzinfo=ZoneInfo.from_file(open('/usr/share/zoneinfo/Europe/Berlin', 'rb'), key='../../../etc/passwd'))": "2024-07-01 00:00:00 +0200 CEST CEST",
		} {
			d := eval(t, tok, py.Cast[py.DateTime], expr, ns)
			got, err := d.Time()
			text := got.Format("2006-01-02 15:04:05.999999999 -0700 MST ") + got.Location().String()
			if strings.Contains(expr, "3601") {
				text = got.Format("2006-01-02 15:04:05 -070000 MST ") + got.Location().String()
			}
			if strings.Contains(want, "+0000 UTC") && !strings.HasSuffix(want, "UTC UTC") {
				text = got.UTC().Format("2006-01-02 15:04:05.999999999 -0700 MST")
			}
			if err != nil || text != want {
				t.Errorf("%s: %s, %v, want %s", expr, text, err, want)
			}
		}
		for expr, want := range map[string]py.ExceptionClass{
			"at(timedelta(microseconds=1))": py.ValueError, "at(24 * h)": py.ValueError, "at(lambda: 1/0)": py.ZeroDivisionError,
			"at(lambda: 'x')": py.TypeError, "at(h, 5)": py.TypeError, "at(h, lambda: {}['x'])": py.KeyError, "at(h, '\\ud800')": py.UnicodeEncodeError,
			"NoYear(2024, 1, 1)": py.ZeroDivisionError, "TextYear(2024, 1, 1)": py.TypeError, "NoOffset(2024, 1, 1)": py.TypeError,
			"FarOffset(2024, 1, 1)": py.ValueError, "FartherOffset(2024, 1, 1)": py.OverflowError, "NoName(2024, 1, 1, tzinfo=berlin)": py.TypeError,
			"datetime(2024, 1, 1, tzinfo=MyZone('Europe/Berlin'))": py.ZeroDivisionError,
		} {
			d := eval(t, tok, py.Cast[py.DateTime], expr, ns)
			raisedCleanly(t, tok, expr, second(d.Time()), want, "")
			raisedCleanly(t, tok, expr, second(d.TimeIn(time.UTC)), want, "")
		}
		castsIn(t, tok, py.Cast[py.DateTime], "datetime", []string{"__import__('datetime').datetime.min", "type('D', (__import__('datetime').datetime,), {})(1, 2, 3)"},
			[]string{"__import__('datetime').date.min", "0", "'2024-01-01'"})
	})
}

func TestDateTime_Methods(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, zonesSource+`
aware = datetime(2024, 10, 27, 2, 30, 59, 7, fold=1, tzinfo=berlin)
naive = datetime(2024, 10, 27, 2, 30)
class Odd(datetime):
    year = month = day = hour = minute = second = microsecond = fold = property(lambda d: 1/0)
    def isoweekday(self): return None
    def date(self): return 3
    def time(self): raise KeyError('time')
    def isoformat(self): return b'x'
    def strftime(self, f): return '\ud800'
    def utcoffset(self): return 3
    tzinfo = property(lambda d: 1/0)
odd = Odd(2024, 1, 2)
`)
		d := eval(t, tok, py.Cast[py.DateTime], "aware", ns)
		gives(t, "Year", 2024)(d.Year())
		gives(t, "Month", time.October)(d.Month())
		gives(t, "Day", 27)(d.Day())
		gives(t, "Hour", 2)(d.Hour())
		gives(t, "Minute", 30)(d.Minute())
		gives(t, "Second", 59)(d.Second())
		gives(t, "Microsecond", 7)(d.Microsecond())
		gives(t, "Fold", 1)(d.Fold())
		gives(t, "Weekday", time.Sunday)(d.Weekday())
		givesSome(t, "UTCOffset", time.Hour, true)(d.UTCOffset())
		gives(t, "ISOFormat", "2024-10-27T02:30:59.000007+01:00")(d.ISOFormat())
		gives(t, "Strftime", "é27/10\u20ac")(d.Strftime("é%d/%m\u20ac"))
		gives(t, "Date", "2024-10-27")(must(d.Date()).ISOFormat())
		gives(t, "Clock", "02:30:59.000007")(must(d.Clock()).ISOFormat())
		if z, ok, err := d.TZInfo(); !ok || err != nil || !z.Is(pytest.Get(t, ns, "berlin")) {
			t.Error("TZInfo:", ok, err)
		}
		gives(t, "TimeIn", "2024-10-26 21:30:59.000007 -0400 EDT")(timeText(d.TimeIn(in("America/New_York"))))
		delta := must(py.NewTimeDelta(tok, 36*time.Hour))
		sum := must(py.Cast[py.DateTime](must(d.Add(delta))))
		gives(t, "a sum", "2024-10-28T14:30:59.000007+01:00")(sum.ISOFormat())
		gives(t, "a difference", 36*time.Hour)(must(py.Cast[py.TimeDelta](must(sum.Sub(d)))).Duration())
		gives(t, "less", true)(d.Less(sum))

		naive := eval(t, tok, py.Cast[py.DateTime], "naive", ns)
		givesSome(t, "TZInfo", py.Bound{}, false)(naive.TZInfo())
		givesSome(t, "UTCOffset", time.Duration(0), false)(naive.UTCOffset())
		gives(t, "TimeIn", "2024-10-27 02:30:00 +0200 CEST")(timeText(naive.TimeIn(in("Europe/Berlin"))))

		odd := eval(t, tok, py.Cast[py.DateTime], "odd", ns)
		for what, err := range map[string]error{
			"Year": second(odd.Year()), "Month": second(odd.Month()), "Day": second(odd.Day()), "Hour": second(odd.Hour()), "Minute": second(odd.Minute()),
			"Second": second(odd.Second()), "Microsecond": second(odd.Microsecond()), "Fold": second(odd.Fold()), "TZInfo": third(odd.TZInfo()),
			"Time": second(odd.Time()),
		} {
			raisedCleanly(t, tok, what, err, py.ZeroDivisionError, "")
		}
		raisedCleanly(t, tok, "Weekday", second(odd.Weekday()), py.TypeError, "")
		raisedCleanly(t, tok, "Date", second(odd.Date()), py.TypeError, "'int' object is not an instance of 'date'")
		raisedCleanly(t, tok, "Clock", second(odd.Clock()), py.KeyError, "time")
		raisedCleanly(t, tok, "ISOFormat", second(odd.ISOFormat()), py.TypeError, "")
		raisedCleanly(t, tok, "Strftime", second(odd.Strftime("%d")), py.UnicodeEncodeError, "")
		raisedCleanly(t, tok, "Strftime of no text", second(d.Strftime("\xff")), py.UnicodeDecodeError, "")
		raisedCleanly(t, tok, "UTCOffset", third(odd.UTCOffset()), py.TypeError, "'int' object is not an instance of 'timedelta'")
	})
}

func timeText(t time.Time, err error) (string, error) {
	return t.Format("2006-01-02 15:04:05.999999999 -0700 MST"), err
}

func TestDate(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		d, err := py.NewDate(tok, time.Date(2024, 2, 29, 23, 59, 0, 0, time.FixedZone("", -8*3600)))
		if err != nil {
			t.Fatal(err)
		}
		gives(t, "Year", 2024)(d.Year())
		gives(t, "Month", time.February)(d.Month())
		gives(t, "Day", 29)(d.Day())
		gives(t, "Weekday", time.Thursday)(d.Weekday())
		gives(t, "ISOFormat", "2024-02-29")(d.ISOFormat())
		gives(t, "Strftime", "29.02.24")(d.Strftime("%d.%m.%y"))
		gives(t, "Time", time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC))(d.Time())
		for day := time.Date(2024, 3, 2, 0, 0, 0, 0, time.UTC); day.Day() < 9; day = day.AddDate(0, 0, 1) {
			gives(t, "Weekday", day.Weekday())(must(py.NewDate(tok, day)).Weekday())
		}
		for _, day := range []time.Time{time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)} {
			gives(t, "Time", day)(must(py.NewDate(tok, day)).Time())
			for _, beyond := range []int{-366, 366} {
				if y := day.AddDate(0, 0, beyond); y.Year() < 1 || y.Year() > 9999 {
					raisedCleanly(t, tok, y.String(), second(py.NewDate(tok, y)), py.ValueError, "")
				}
			}
		}
		raisedCleanly(t, tok, "a year beyond int32", second(py.NewDate(tok, time.Unix(1<<62, 0))), py.OverflowError, "")
		gives(t, "Time of a datetime", time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC))(eval(t, tok, py.Cast[py.Date], "__import__('datetime').datetime(2024, 1, 2, 3)").Time())
		ns := pytest.Module(t, tok, "from datetime import *\nclass Odd(date):\n    year = 2**70\n    month = property(lambda d: 1/0)\n    def isoweekday(self): return 2**64\n    def isoformat(self): return self\n    def strftime(self, f): raise LookupError(f)\nclass Huge(date):\n    year = 2**70\nodd, huge = Odd(1, 1, 1), Huge(1, 1, 1)\n")
		odd := eval(t, tok, py.Cast[py.Date], "odd", ns)
		raisedCleanly(t, tok, "Year", second(odd.Year()), py.OverflowError, "")
		raisedCleanly(t, tok, "Month", second(odd.Month()), py.ZeroDivisionError, "")
		raisedCleanly(t, tok, "Weekday", second(odd.Weekday()), py.OverflowError, "")
		raisedCleanly(t, tok, "ISOFormat", second(odd.ISOFormat()), py.TypeError, "")
		raisedCleanly(t, tok, "Strftime", second(odd.Strftime("%d")), py.LookupError, "%d")
		raisedCleanly(t, tok, "Time", second(odd.Time()), py.ZeroDivisionError, "")
		raisedCleanly(t, tok, "Time", second(eval(t, tok, py.Cast[py.Date], "huge", ns).Time()), py.OverflowError, "")
		castsIn(t, tok, py.Cast[py.Date], "date", []string{"__import__('datetime').date.min", "__import__('datetime').datetime.min"}, []string{"__import__('datetime').time()", "1"})
	})
}

func TestTime(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		c, err := py.NewTime(tok, time.Date(2024, 2, 29, 23, 59, 58, 987654999, in("Europe/Berlin")))
		if err != nil {
			t.Fatal(err)
		}
		gives(t, "Hour", 23)(c.Hour())
		gives(t, "Minute", 59)(c.Minute())
		gives(t, "Second", 58)(c.Second())
		gives(t, "Microsecond", 987654)(c.Microsecond())
		gives(t, "Fold", 0)(c.Fold())
		gives(t, "ISOFormat", "23:59:58.987654")(c.ISOFormat())
		gives(t, "Strftime", "23h")(c.Strftime("%Hh"))
		gives(t, "Duration", 24*time.Hour-time.Second-12346*time.Microsecond)(c.Duration())
		givesSome(t, "TZInfo", py.Bound{}, false)(c.TZInfo())
		givesSome(t, "UTCOffset", time.Duration(0), false)(c.UTCOffset())
		ns := pytest.Module(t, tok, zonesSource+`
class Odd(time):
    hour = property(lambda d: 1/0)
    second = 'x'
    def isoformat(self): return None
    def utcoffset(self): return timedelta.max
    def strftime(self, f): return f
odd = Odd()
class OddMinute(time):
    minute = None
minute = OddMinute()
zoned = time(1, fold=1, tzinfo=timezone(-h))
summer = time(1, tzinfo=berlin)
`)
		zoned := eval(t, tok, py.Cast[py.Time], "zoned", ns)
		gives(t, "Fold", 1)(zoned.Fold())
		givesSome(t, "UTCOffset", -time.Hour, true)(zoned.UTCOffset())
		if z, ok, err := zoned.TZInfo(); !ok || err != nil || must(z.Str()) != "UTC-01:00" {
			t.Error("TZInfo:", ok, err)
		}
		givesSome(t, "UTCOffset", time.Duration(0), false)(eval(t, tok, py.Cast[py.Time], "summer", ns).UTCOffset())
		odd := eval(t, tok, py.Cast[py.Time], "odd", ns)
		raisedCleanly(t, tok, "Hour", second(odd.Hour()), py.ZeroDivisionError, "")
		raisedCleanly(t, tok, "Second", second(odd.Second()), py.TypeError, "")
		raisedCleanly(t, tok, "ISOFormat", second(odd.ISOFormat()), py.TypeError, "")
		raisedCleanly(t, tok, "Strftime", second(odd.Strftime("\xff")), py.UnicodeDecodeError, "")
		raisedCleanly(t, tok, "UTCOffset", third(odd.UTCOffset()), py.OverflowError, "does not fit")
		raisedCleanly(t, tok, "Duration", second(odd.Duration()), py.ZeroDivisionError, "")
		raisedCleanly(t, tok, "Duration", second(eval(t, tok, py.Cast[py.Time], "minute", ns).Duration()), py.TypeError, "")
		castsIn(t, tok, py.Cast[py.Time], "time", []string{"__import__('datetime').time()"}, []string{"__import__('datetime').datetime.min", "1.5"})
	})
}

func TestTimeDelta(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		for _, d := range []time.Duration{0, time.Microsecond, -time.Microsecond, 36*time.Hour + 5, -36*time.Hour - 5, math.MaxInt64, math.MinInt64, 999, -999} {
			delta, err := py.NewTimeDelta(tok, d)
			if err != nil {
				t.Fatal(err)
			}
			gives(t, d.String(), d.Truncate(time.Microsecond))(delta.Duration())
			gives(t, d.String(), d.Truncate(time.Microsecond).Seconds())(delta.TotalSeconds())
		}
		d := must(py.NewTimeDelta(tok, -time.Microsecond))
		gives(t, "Days", -1)(d.Days())
		gives(t, "Seconds", 86399)(d.Seconds())
		gives(t, "Microseconds", 999999)(d.Microseconds())
		ns := pytest.Module(t, tok, `
from datetime import *
most = timedelta(microseconds=2**63 // 1000)
class Odd(timedelta):
    days = 2**70
    seconds = property(lambda d: 1/0)
    microseconds = 'x'
    def total_seconds(self): return 'x'
odd = Odd()
class Huge(timedelta):
    days = 2**63 - 1
huge = Huge()
`)
		get := func(expr string) py.TimeDelta { t.Helper(); return eval(t, tok, py.Cast[py.TimeDelta], expr, ns) }
		gives(t, "the longest", time.Duration(math.MaxInt64/1000*1000))(get("most").Duration())
		gives(t, "the longest back", -time.Duration(math.MaxInt64/1000*1000))(get("-most").Duration())
		for _, expr := range []string{"most + timedelta.resolution", "-most - timedelta.resolution", "timedelta.max", "timedelta.min", "timedelta(200_000)", "timedelta(-200_001)", "huge"} {
			raisedCleanly(t, tok, expr, second(get(expr).Duration()), py.OverflowError, "does not fit in Go's time.Duration")
		}
		odd := get("odd")
		raisedCleanly(t, tok, "Days", second(odd.Days()), py.OverflowError, "")
		raisedCleanly(t, tok, "Seconds", second(odd.Seconds()), py.ZeroDivisionError, "")
		raisedCleanly(t, tok, "Microseconds", second(odd.Microseconds()), py.TypeError, "")
		raisedCleanly(t, tok, "TotalSeconds", second(odd.TotalSeconds()), py.TypeError, "")
		raisedCleanly(t, tok, "Duration", second(odd.Duration()), py.ZeroDivisionError, "")
		castsIn(t, tok, py.Cast[py.TimeDelta], "timedelta", []string{"__import__('datetime').timedelta()"}, []string{"1"})
	})
}

func TestTimeZone(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		for _, c := range []struct {
			loc  *time.Location
			want string
			back string
		}{
			{time.UTC, "datetime.timezone.utc", "UTC"},
			{time.FixedZone("", 0), "datetime.timezone.utc", "UTC"},
			{time.FixedZone("X", -3600), "datetime.timezone(datetime.timedelta(days=-1, seconds=82800), 'X')", "X"},
			{time.FixedZone("", 19800), "datetime.timezone(datetime.timedelta(seconds=19800))", ""},
			{in("Etc/GMT+5"), "datetime.timezone(datetime.timedelta(days=-1, seconds=68400), '-05')", "-05"},
		} {
			z, err := py.NewTimeZone(tok, c.loc)
			if err != nil {
				t.Fatal(err)
			}
			gives(t, "repr", c.want)(z.Repr())
			loc, err := z.Location()
			if err != nil || loc.String() != c.back {
				t.Errorf("%s: %v, %v", c.want, loc, err)
			}
			_, want := time.Unix(0, 0).In(c.loc).Zone()
			gives(t, "Offset", time.Duration(want)*time.Second)(z.Offset())
			if _, got := time.Unix(0, 0).In(loc).Zone(); got != want {
				t.Errorf("%s: an offset of %d", c.want, got)
			}
		}
		gives(t, "Name", "UTC+05:30")(must(py.NewTimeZone(tok, time.FixedZone("", 19800))).Name())
		gives(t, "Name", "X")(must(py.NewTimeZone(tok, time.FixedZone("X", 60))).Name())
		raisedCleanly(t, tok, "Berlin", second(py.NewTimeZone(tok, in("Europe/Berlin"))), py.ValueError, "the offset of Europe/Berlin changes")
		raisedCleanly(t, tok, "a day", second(py.NewTimeZone(tok, time.FixedZone("", 86400))), py.ValueError, "")
		raisedCleanly(t, tok, "a name", second(py.NewTimeZone(tok, time.FixedZone("\xff", 60))), py.UnicodeDecodeError, "")
		z := eval(t, tok, py.Cast[py.TimeZone], "(lambda d: d.timezone(d.timedelta(microseconds=5), '\\ud800'))(__import__('datetime'))")
		gives(t, "Offset", 5*time.Microsecond)(z.Offset())
		raisedCleanly(t, tok, "Name", second(z.Name()), py.UnicodeEncodeError, "")
		raisedCleanly(t, tok, "Location", second(z.Location()), py.UnicodeEncodeError, "")
		z = eval(t, tok, py.Cast[py.TimeZone], "(lambda d: d.timezone(d.timedelta(microseconds=5)))(__import__('datetime'))")
		raisedCleanly(t, tok, "Location", second(z.Location()), py.ValueError, "5 microseconds is not one of whole seconds")
		castsIn(t, tok, py.Cast[py.TimeZone], "timezone", []string{"__import__('datetime').timezone.utc"}, []string{"1", "__import__('zoneinfo').ZoneInfo('UTC')"})
	})
}
