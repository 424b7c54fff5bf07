package gil

import (
	"slices"
	"testing"
)

// Each incident is told once, however long it goes on, and only when it was seen to stay the same often enough.
func TestIncident(t *testing.T) {
	const a, b = 1, 2
	for name, looks := range map[string]struct {
		seen []uint64 // 0 is nothing
		told []int    // after which looks
	}{
		"nothing":                {[]uint64{0, 0, 0, 0, 0, 0, 0}, nil},
		"one, for long":          {[]uint64{a, a, a, a, a, a, a, a, a, a, a, a}, []int{4}},
		"one that ends in time":  {[]uint64{a, a, a, a, 0, 0}, nil},
		"a break":                {[]uint64{a, a, a, 0, a, a, a, a, 0}, nil},
		"another in its place":   {[]uint64{a, a, a, a, b, b, b, b, b, b}, []int{8}},
		"one after the other":    {[]uint64{a, a, a, a, a, b, b, b, b, b}, []int{4, 9}},
		"the same after a break": {[]uint64{a, a, a, a, a, 0, a, a, a, a, a}, []int{4, 10}},
	} {
		var i incident
		var told []int
		for n, what := range looks.seen {
			if i.goesOn(what != 0, [2]uint64{what}) {
				told = append(told, n)
			}
		}
		if !slices.Equal(told, looks.told) {
			t.Errorf("%s: told after the looks %v, want %v", name, told, looks.told)
		}
	}
}
