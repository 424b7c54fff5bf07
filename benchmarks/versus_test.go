package benchmarks

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// fewVersus has each kind of workload once, for short mode.
const fewVersus = " --run ^versus/(attach_under_hog|hogs_8ms|fairness_mixed8|cpu_parallel_t2|service_flood|crowd|submit_flood|threads_16|allow_threads|nested|hopeless_beside|gc_collect|spinning_tiny_16)$"

// The commands in docs/versus.md run, with the shortest rounds. The first runs every workload.
func TestDocs_Versus(t *testing.T) {
	page, err := os.ReadFile("../docs/versus.md")
	if err != nil {
		t.Fatal(err)
	}
	snippet := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindSubmatch(page)
	if snippet == nil {
		t.Fatal("docs/versus.md has no commands")
	}
	for i, command := range strings.Split(strings.TrimSpace(string(snippet[1])), "\n") {
		t.Run(command, func(t *testing.T) {
			args, found := strings.CutPrefix(command, "gilt bench ")
			if !found {
				t.Fatal("it is not gilt bench")
			}
			args += " --rounds 1 --round-ms 1"
			if i == 0 {
				args += " --json"
				if testing.Short() {
					args += fewVersus
				}
			}
			out, errs, status := bench(t, args)
			if status != 0 || strings.Contains(errs, "gilt bench:") || out == "" {
				t.Fatalf("status %d, stdout %q, stderr %q", status, out, errs)
			}
			if i == 0 {
				checkVersus(t, out)
			}
		})
	}
}

// checkVersus wants a line for each workload that was chosen, and each of its cells.
func checkVersus(t *testing.T, out string) {
	t.Helper()
	lines := make(map[string]map[string]any)
	for line := range strings.Lines(out) {
		var all map[string]any
		if err := json.Unmarshal([]byte(line), &all); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		name, _ := all["name"].(string)
		if lines[name] != nil || all["python"] == nil {
			t.Errorf("line %s", line)
		}
		lines[name] = all
	}
	want := regexp.MustCompile(versusWord)
	if testing.Short() {
		want = regexp.MustCompile(strings.TrimPrefix(fewVersus, " --run "))
	}
	for _, v := range versusWorkloads() {
		name := versusWord + "/" + v.name
		if line := lines[name]; line != nil {
			v.check(t, line)
		} else if want.MatchString(name) {
			t.Errorf("no line for %s", name)
		}
	}
}

func (v versus) check(t *testing.T, line map[string]any) {
	t.Helper()
	for _, side := range versusSides {
		if why := v.cannot[side]; why != "" {
			if line[prefixOf(side)+"cannot"] != why {
				t.Errorf("%s: it does not say why %s cannot run it: %v", v.name, side, line)
			}
			continue
		}
		for name, positive := range v.cells(side) {
			if x, there := line[prefixOf(side)+name].(float64); !there || x < 0 || positive && x == 0 {
				t.Errorf("%s: %s%s is %v", v.name, prefixOf(side), name, line[prefixOf(side)+name])
			}
		}
	}
	if _, there := line["worse"].([]any); !there {
		t.Errorf("%s: it does not say in which cells gilt is worse: %v", v.name, line)
	}
}

// cells are those of a side, and whether they are more than nothing even in a short round.
func (v versus) cells(side string) map[string]bool {
	all := make(map[string]bool)
	if len(v.groups) != 1 {
		all["busy"] = false
	}
	if slices.Contains([]string{"attach_under_hog", "busy_go", "foreign_8", "threads_16"}, v.name) {
		all["beside_per_s"] = false
	}
	groups := v.groups
	if v.name == "service_flood" {
		groups = []group{{name: "steady"}, {}}
	}
	for _, g := range groups {
		prefix := ""
		if len(groups) > 1 {
			prefix = g.name + "_"
		}
		if g.callers > 0 {
			all[prefix+"ops_per_s"] = g.deadline == 0
		}
		if (side == raw || side == rawQuick) && g.callers > mostThreads || prefix == "_" {
			continue
		}
		for _, q := range []string{"p50_us", "p99_us", "max_us"} {
			all[prefix+q] = true
		}
	}
	return all
}

// Each cell is the best of its rounds; gilt is compared with the best of the others.
func TestVersusTable(t *testing.T) {
	var table table
	for range 2 {
		table.add(ours, []figure{{name: "more", more: true, value: 89}, {name: "less", value: 112}, {name: "part", part: true, more: true, value: 1}})
		table.add(raw, []figure{{name: "more", more: true, value: 100}, {name: "less", value: 100}, {name: "part", part: true, more: true, value: 100}})
		table.add(rawQuick, []figure{{name: "more", more: true, value: 50}, {name: "less", value: 200}})
	}
	worse := func() (names []string) {
		for _, c := range table.cells {
			if c.worse() {
				names = append(names, c.name)
			}
		}
		return names
	}
	if got := worse(); !slices.Equal(got, []string{"more", "less"}) {
		t.Errorf("gilt is worse in %v", got)
	}
	table.add(ours, []figure{{name: "more", more: true, value: 91}, {name: "less", value: 109}})
	table.add(rawQuick, []figure{{name: "more", more: true, value: 1}, {name: "less", value: 1000}})
	if got := worse(); got != nil {
		t.Errorf("after a better round gilt is worse in %v", got)
	}
	var out strings.Builder
	if cells, n, err := table.print(&out, "name"); cells != 2 || n != 0 || err != nil {
		t.Errorf("%d cells, %d worse, %v", cells, n, err)
	}
	if text := out.String(); !strings.Contains(text, "more") || strings.Contains(text, "part") || strings.Contains(text, "worse") {
		t.Errorf("the table is %s", text)
	}
}

// Nobody gets these workloads, which take minutes, without asking for them; names are used once.
func TestVersusChoices(t *testing.T) {
	for _, expression := range []string{"", ".", "hogs_8ms", "^[^s].*[^mk]$"} {
		for _, w := range choose(regexp.MustCompile(expression)) {
			if strings.HasPrefix(w.name, versusWord) {
				t.Errorf("--run %q has %s", expression, w.name)
			}
		}
	}
	seen := make(map[string]bool)
	for _, w := range choose(regexp.MustCompile(versusWord)) {
		if seen[w.name] || !strings.HasPrefix(w.name, versusWord+"/") {
			t.Errorf("the name %q", w.name)
		}
		seen[w.name] = true
	}
	if len(seen) != len(versusWorkloads()) {
		t.Errorf("%d of %d workloads", len(seen), len(versusWorkloads()))
	}
}
