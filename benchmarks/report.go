package benchmarks

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"

	"gilt"
)

// report prints results as they come.
type report struct {
	json bool
	info gilt.Info
	out  io.Writer
	rows int

	cells, worse int // of versus
}

func newReport(asJSON bool, info gilt.Info, out io.Writer) *report {
	return &report{json: asJSON, info: info, out: out}
}

func (p *report) add(name string, r result) error {
	if p.json {
		return p.line(name, r)
	}
	if r.table != nil {
		return p.versus(name, r.table)
	}
	return p.row(name, r)
}

// versus prints a workload's table.
func (p *report) versus(name string, t *table) error {
	if p.cells == 0 {
		_, err := fmt.Fprintf(p.out, "\nCPython %s, mode %s. The best of the rounds; times: how many times better gilt is than the best of the others.\n"+
			"  %-22s %10s %10s %10s %10s %7s\n", p.info.Version, p.info.Mode, "", "gilt", "semaphore", "raw GIL", "raw 100 µs", "times")
		if err != nil {
			return err
		}
	}
	cells, worse, err := t.print(p.out, name)
	p.cells, p.worse = p.cells+cells, p.worse+worse
	return err
}

// end prints what all workloads come to.
func (p *report) end() (err error) {
	if p.cells > 0 {
		_, err = fmt.Fprintf(p.out, "\ngilt is worse by more than 10%% in %d of %d cells.\n", p.worse, p.cells)
	}
	return err
}

// line prints one JSON object, its fields in a fixed order: name, ns_per_op, median_ns, the other
// sides' and how many times faster than they ours is, the workload's own, the Python.
func (p *report) line(name string, r result) error {
	fields := []field{{"name", name}}
	for _, s := range r.sides {
		if s.label == ours {
			fields = append(fields, field{"ns_per_op", round1(s.min)}, field{"median_ns", round1(s.median)})
			continue
		}
		fields = append(fields, field{s.label + "_ns_per_op", round1(s.min)}, field{s.label + "_median_ns", round1(s.median)},
			field{"times_" + s.label, round3(s.min / r.sides[0].min)})
	}
	if r.table != nil {
		fields = append(fields, r.table.fields()...)
	}
	fields = append(fields, r.extra...)
	fields = append(fields, field{"python", p.info.Version}, field{"mode", p.info.Mode})
	var b strings.Builder
	for i, f := range fields {
		v, err := json.Marshal(f.value)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", name, f.name, err)
		}
		fmt.Fprintf(&b, "%s%q:%s", map[bool]string{true: "{", false: ","}[i == 0], f.name, v)
	}
	_, err := fmt.Fprintln(p.out, b.String()+"}")
	return err
}

func (p *report) row(name string, r result) error {
	if p.rows++; p.rows == 1 {
		_, err := fmt.Fprintf(p.out, "CPython %s, mode %s. Time is that of one operation: the least round, and the median.\n"+
			"naive: the usual embedder, and how many times its time ours is shorter; kept: the same with its thread state kept, which is\n"+
			"the raw GIL.\n\n"+
			"%-24s %10s %10s %10s %7s %10s %7s  %s\n",
			p.info.Version, p.info.Mode, "name", "gilt", "median", "naive", "times", "kept", "times", "")
		if err != nil {
			return err
		}
	}
	cells := make(map[string]string)
	for _, s := range r.sides {
		if s.label == raw {
			s.label = warm
		}
		cells[s.label] = duration(s.min)
		cells[s.label+" times"] = fmt.Sprintf("%.2f", s.min/r.sides[0].min)
	}
	var notes []string
	for _, f := range r.extra {
		notes = append(notes, fmt.Sprintf("%s=%v", f.name, f.value))
	}
	_, err := fmt.Fprintln(p.out, strings.TrimRight(fmt.Sprintf("%-24s %10s %10s %10s %7s %10s %7s  %s", name, cells[ours],
		duration(r.sides[0].median), cells[baseline], cells[baseline+" times"], cells[warm], cells[warm+" times"],
		strings.Join(notes, " ")), " "))
	return err
}

// duration has three digits and a unit.
func duration(ns float64) string {
	for _, u := range []struct {
		unit string
		ns   float64
	}{{"s", 1e9}, {"ms", 1e6}, {"µs", 1e3}} {
		if ns >= u.ns {
			return digits(ns/u.ns) + " " + u.unit
		}
	}
	return digits(ns) + " ns"
}

func digits(x float64) string {
	decimals := 2 - int(math.Floor(math.Log10(math.Max(x, 1))))
	return fmt.Sprintf("%.*f", max(decimals, 0), x)
}
