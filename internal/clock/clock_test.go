package clock

import (
	"testing"
	"time"
)

// A clock that is read late, or whose reading comes back late, at first: the comparison is made again. And never is a time
// of Go's early on the other clock, also when each reading is late.
func TestCompare(t *testing.T) {
	start := time.Now()
	for name, c := range map[string]struct {
		before, after time.Duration // a reading takes, on its way there and back
		slow          int           // so many readings are slow
		late          time.Duration // so late may a converted time be
	}{
		"at once":                  {late: 5 * time.Millisecond},
		"three are late there":     {before: 10 * time.Millisecond, slow: 3, late: 5 * time.Millisecond},
		"three are late on return": {after: 10 * time.Millisecond, slow: 3, late: 5 * time.Millisecond},
		"all are late there":       {before: 10 * time.Millisecond, slow: 1 << 30, late: time.Second},
		"all are late on return":   {after: 10 * time.Millisecond, slow: 1 << 30, late: time.Second},
	} {
		reads := 0
		here, there := Compare(func() int64 {
			reads++
			slow := reads <= c.slow
			if slow {
				time.Sleep(c.before)
			}
			n := int64(time.Since(start))
			if slow {
				time.Sleep(c.after)
			}
			return n
		})
		// What the other clock shows at the moment here is known: it is Go's own.
		if off := time.Duration(there) - here.Sub(start); off < 0 || off > c.late {
			t.Errorf("%s: a time is %v late after %d readings", name, off, reads)
		}
	}
}

// Ticks go on at the rate that Rate says.
func TestTicks(t *testing.T) {
	const enough = 20 * time.Millisecond
	began, ticks := time.Now(), Ticks()
	for time.Since(began) < enough {
		if n := Ticks(); n < ticks {
			t.Fatalf("%d after %d", n, ticks)
		}
	}
	ns := float64(Ticks()-ticks) * Rate()
	if took := time.Since(began); ns < 0.99*float64(enough) || ns > 1.01*float64(took) {
		t.Errorf("%.0f ns of %v", ns, took)
	}
}
