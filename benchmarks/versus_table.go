package benchmarks

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// figure is what a round of one side comes to in one respect.
type figure struct {
	name  string
	more  bool // is better
	part  bool // of a whole that is a figure of its own: it is not compared
	value float64
}

// cell is a figure of all sides: each the best of its rounds.
type cell struct {
	figure
	best map[string]float64 // by side
}

// table is a workload's cells.
type table struct {
	what   string
	cells  []*cell
	cannot map[string]string // the sides that are not there, and why
}

func (t *table) add(side string, round []figure) {
	for _, f := range round {
		i := slices.IndexFunc(t.cells, func(c *cell) bool { return c.name == f.name })
		if i < 0 {
			i = len(t.cells)
			t.cells = append(t.cells, &cell{f, make(map[string]float64)})
		}
		best, had := t.cells[i].best[side]
		switch {
		case !had:
			best = f.value
		case f.more:
			best = max(best, f.value)
		default:
			best = min(best, f.value)
		}
		t.cells[i].best[side] = best
	}
}

// times is how many times better gilt is than the best of the others.
func (c *cell) times() float64 {
	var others []float64
	for side, v := range c.best {
		if side != ours {
			others = append(others, v)
		}
	}
	our := c.best[ours]
	switch {
	case len(others) == 0:
		return 1
	case c.more && slices.Max(others) == 0, !c.more && our == 0:
		return 1
	case c.more:
		return our / slices.Max(others)
	}
	return slices.Min(others) / our
}

// worse says whether gilt is worse by more than 10%.
func (c *cell) worse() bool {
	t := c.times()
	return !c.part && (c.more && t < 0.9 || !c.more && t < 1/1.1)
}

// fields are the cells for a line of JSON.
func (t *table) fields() (all []field) {
	worse := []string{}
	for _, c := range t.cells {
		for _, side := range versusSides {
			if v, there := c.best[side]; there {
				all = append(all, field{prefixOf(side) + c.name, round3(v)})
			}
		}
		if !c.part {
			all = append(all, field{"times_" + c.name, round3(c.times())})
		}
		if c.worse() {
			worse = append(worse, c.name)
		}
	}
	for _, side := range slices.Sorted(maps.Keys(t.cannot)) {
		all = append(all, field{prefixOf(side) + "cannot", t.cannot[side]})
	}
	return append(all, field{"worse", worse})
}

func prefixOf(side string) string {
	if side == ours {
		return ""
	}
	return side + "_"
}

// print writes the cells that are compared, and gives how many there are and in how many gilt is worse.
func (t *table) print(out io.Writer, name string) (cells, worse int, err error) {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s: %s\n", name, t.what)
	for _, side := range slices.Sorted(maps.Keys(t.cannot)) {
		fmt.Fprintf(&b, "  no %s: %s\n", side, t.cannot[side])
	}
	for _, c := range t.cells {
		if c.part {
			continue
		}
		mark := ""
		if cells++; c.worse() {
			worse++
			mark = "  worse"
		}
		fmt.Fprintf(&b, "  %-22s", c.name)
		for _, side := range versusSides {
			text := "-"
			if v, there := c.best[side]; there {
				text = digits(v)
			}
			fmt.Fprintf(&b, " %10s", text)
		}
		fmt.Fprintf(&b, " %7.2f%s\n", c.times(), mark)
	}
	_, err = io.WriteString(out, b.String())
	return cells, worse, err
}
