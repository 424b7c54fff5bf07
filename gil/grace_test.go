package gil

import (
	"strings"
	"testing"
	"time"

	"gilt/internal/cpython"
)

// What had a chance to answer its interruption is told from what was kept from it.
func TestJudge(t *testing.T) {
	const ms, grace = time.Millisecond, 50 * time.Millisecond
	at := func(at cpython.At, ran time.Duration, change ...func(*cpython.Standing)) cpython.Standing {
		s := cpython.Standing{Found: true, Begun: true, At: at, Ran: ran, Raised: true, Switches: 7, HolderRan: -1}
		for _, f := range change {
			f(&s)
		}
		return s
	}
	unraised := func(s *cpython.Standing) { s.Raised, s.Holds = false, true }
	inGo := func(s *cpython.Standing) { s.InGo = true }
	holder := func(ran time.Duration) func(*cpython.Standing) {
		return func(s *cpython.Standing) { s.HolderRan = ran }
	}
	switches := func(s *cpython.Standing) { s.Switches++ }
	gone, waits := cpython.Standing{Begun: true, Ran: -1}, cpython.Standing{Ran: -1}
	const runs, gil, elsewhere, unknown = cpython.AtRuns, cpython.AtGIL, cpython.AtWaits, cpython.AtUnknown
	for name, c := range map[string]struct {
		base, middle, now cpython.Standing
		chance            bool
		why               string
	}{
		"it computes and catches it":          {at(runs, 100*ms), at(runs, 100*ms), at(runs, 120*ms), true, ""},
		"a little is enough":                  {at(runs, 100*ms), at(runs, 100*ms), at(runs, 105*ms), true, ""},
		"no processor":                        {at(runs, 100*ms), at(runs, 100*ms), at(runs, 101*ms), false, "has had 1ms of a processor since"},
		"C code keeps the GIL":                {at(runs, 100*ms, unraised), at(runs, 120*ms, unraised), at(runs, 150*ms, unraised), true, ""},
		"the canceller has no processor":      {at(runs, 100*ms, unraised), at(runs, 105*ms, unraised), at(runs, 110*ms, unraised), false, "of a processor"},
		"it sleeps":                           {at(elsewhere, 100*ms), at(elsewhere, 100*ms), at(elsewhere, 100*ms), true, ""},
		"it sleeps since a moment":            {at(runs, 100*ms), at(runs, 100*ms), at(elsewhere, 101*ms), false, "of a processor"},
		"it waits in Go":                      {at(elsewhere, 100*ms), at(elsewhere, 100*ms, inGo), at(elsewhere, 100*ms, inGo), true, "in Go code"},
		"it waits for the GIL":                {at(gil, 100*ms), at(gil, 100*ms, holder(10*ms)), at(gil, 100*ms, holder(20*ms), switches), false, "waits for the GIL"},
		"so does who has it, for a processor": {at(gil, 100*ms), at(gil, 100*ms, holder(10*ms)), at(gil, 100*ms, holder(11*ms)), false, "waits for the GIL"},
		"others' C code keeps the GIL":        {at(gil, 100*ms), at(gil, 100*ms, holder(10*ms)), at(gil, 100*ms, holder(30*ms)), true, "keeps"},
		"a stranger has the GIL":              {at(gil, 100*ms), at(gil, 100*ms), at(gil, 100*ms), false, "waits for the GIL"},
		"it has no turn yet":                  {waits, waits, waits, false, "has not begun"},
		"it has ended, and its goroutine not": {at(runs, 100*ms), at(runs, 100*ms), gone, false, "left Python"},
		"it is another task's outer one":      {gone, gone, gone, true, ""},
		"a system that does not tell":         {at(unknown, -1), at(unknown, -1), at(unknown, -1), true, ""},
	} {
		a := judge(c.base, c.middle, c.now, grace)
		if a.chance != c.chance || (a.why == "") != (c.why == "") || !strings.Contains(a.why, c.why) {
			t.Errorf("%s: chance %v, %q, want %v, %q", name, a.chance, a.why, c.chance, c.why)
		}
	}
}
