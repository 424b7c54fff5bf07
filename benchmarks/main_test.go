package benchmarks

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gilt"
	_ "gilt/embedded"
)

// A process opens Python once: a Main that measures runs in a child, which is this binary with the
// arguments in this variable.
const childArgs = "GILT_BENCH_ARGS"

func TestMain(m *testing.M) {
	if args, child := os.LookupEnv(childArgs); child {
		os.Exit(Main(strings.Fields(args), os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// bench runs Main in a child. Its stderr is without the runtime's reports of a GIL that is not given up and of callers
// that were freed: c_holds_gil and cancel_sleep are made for them. A test that fails shows all of it.
func bench(t *testing.T, args string) (stdout, stderr string, status int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childArgs+"="+args)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s: status %d, all of its stderr:\n%s", args, cmd.ProcessState.ExitCode(), errs.String())
		}
	})
	for line := range strings.Lines(errs.String()) {
		reported := false
		for _, what := range []string{"a task waited long for the GIL", "Python code could not be interrupted", "a caller was freed before", "work whose caller was freed has ended"} {
			reported = reported || strings.Contains(line, what)
		}
		if !reported {
			stderr += line
		}
	}
	return out.String(), stderr, cmd.ProcessState.ExitCode()
}

func TestArguments(t *testing.T) {
	for _, c := range []struct {
		args   string
		status int
		want   string
	}{
		{"--help", 0, "-round-ms"},
		{"--nonsense", 2, "not defined"},
		{"extra", 2, `unexpected argument "extra"`},
		{"--rounds 0", 2, "give 1 to 1000"},
		{"--round-ms 0", 2, "give 1 to 60000"},
		{"--run [", 2, "missing closing ]"},
		{"--run nosuchworkload", 2, "no workload matches"},
		{"--python /nonexistent/python", 1, "/nonexistent/python"},
		{"--picture waits.gif", 2, "give a file name that ends in .svg or .png"},
		{"--picture /nonexistent/waits.svg", 2, "there is no directory /nonexistent"},
		{"--picture waits.svg --run tiny_64", 2, "drawn of attach_under_hog, which --run leaves out"},
	} {
		t.Run(c.args, func(t *testing.T) {
			var out, errs bytes.Buffer
			status := Main(strings.Fields(c.args), &out, &errs)
			if status != c.status || !strings.Contains(errs.String(), c.want) {
				t.Errorf("status %d, stderr %q; want %d and %q", status, errs.String(), c.status, c.want)
			}
			if out.Len() > 0 {
				t.Errorf("stdout %q", out.String())
			}
		})
	}
}

func TestList(t *testing.T) {
	var out, errs bytes.Buffer
	if status := Main([]string{"--list"}, &out, &errs); status != 0 || errs.Len() > 0 {
		t.Fatal(status, errs.String())
	}
	for _, name := range []string{"attach_detach", "call1_int", "e2e_task_n64", "submit_n64", "fairness_mixed8", "busy_go_held", "sleepers_20k"} {
		if !strings.Contains(out.String(), "\n"+name+" ") && !strings.HasPrefix(out.String(), name+" ") {
			t.Errorf("no %s in the list", name)
		}
	}
}

// fieldsOf are the fields that tools read, of the workloads that have some of their own.
var fieldsOf = map[string]string{
	"attach_under_hog":        "p50_us p99_us max_us raw_p50_us raw_p99_us raw_max_us hog_speed raw_hog_speed",
	"hogs_8ms":                "p50_us p99_us max_us raw_p50_us raw_p99_us raw_max_us long_ops_per_s raw_long_ops_per_s long_vs_raw",
	"hogs_300ms":              "p50_us p99_us max_us raw_p50_us raw_p99_us raw_max_us long_ops_per_s raw_long_ops_per_s long_vs_raw",
	"fairness_mixed8":         "jain_time p50_us p99_us max_us raw_jain_time raw_p50_us raw_p99_us raw_max_us",
	"weights_124":             "share_1 share_2 share_4 share_error return_share_1 return_share_2 return_share_4 return_share_error raw_share_1 raw_share_error",
	"sleepers_64":             "ops_per_s raw_ops_per_s vs_raw",
	"sleepers_256":            "ops_per_s raw_ops_per_s vs_raw",
	"sleepers_512":            "ops_per_s raw_ops_per_s vs_raw",
	"allow_threads_contended": "cost_us raw_cost_us",
	"hashlib_2":               "ops_per_s raw_ops_per_s vs_raw speedup raw_speedup",
	"tiny_64":                 "ops_per_s raw_ops_per_s vs_raw max_us raw_max_us jain_time raw_jain_time",
	"busy_go":                 "p50_us p99_us max_us go_wait_p99_us beyond_p99_us raw_p50_us raw_p99_us raw_max_us raw_go_wait_p99_us raw_beyond_p99_us",
	"busy_go_held":            "held_p99_us baseline_held_p99_us",
	"foreign_8":               "p50_us p99_us max_us raw_p50_us raw_p99_us raw_max_us foreign_ops_per_s raw_foreign_ops_per_s vs_raw",
	"overload_2x":             "p50_us p99_us max_us goodput sheds sent_per_s unshed_p50_us unshed_p99_us unshed_max_us unshed_goodput unshed_sheds capacity_per_s",
	"c_holds_gil":             "p50_us p99_us max_us raw_p50_us raw_p99_us raw_max_us kept_max_us raw_kept_max_us",
	"sched_acquire_release":   "mutex_ns channel_ns semaphore_ns",
	"stats_cost":              "with_wait_ns whole_ns",
}

// Every workload, in the shortest rounds there are: it runs, its results are right, its line has the
// fields that tools read. The large ones are left out in short mode.
func TestJSON(t *testing.T) {
	args := "--json --rounds 1 --round-ms 2"
	if testing.Short() {
		args += " --run ^[^s].*[^mk]$" // not submit_10k, sleepers_20k, tasks_1m
	}
	out, errs, status := bench(t, args)
	if status != 0 || errs != "" {
		t.Fatalf("status %d, stderr %s", status, errs)
	}
	seen := make(map[string]bool)
	for line := range strings.Lines(out) {
		var r struct {
			Name    string
			NS      float64 `json:"ns_per_op"`
			Median  float64 `json:"median_ns"`
			Python  string
			Within  *bool
			Threads int `json:"worker_threads_seen"`
			Workers int
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if r.Name == "" || seen[r.Name] || r.NS <= 0 || r.Median < r.NS || r.Python == "" {
			t.Errorf("line %s", line)
		}
		if r.Within != nil && !*r.Within {
			t.Errorf("%s: more OS threads than the limit: %s", r.Name, line)
		}
		if r.Threads > r.Workers {
			t.Errorf("%s: submitted work ran on more threads than there are workers: %s", r.Name, line)
		}
		var all map[string]any
		if err := json.Unmarshal([]byte(line), &all); err != nil {
			t.Fatal(err)
		}
		for _, name := range strings.Fields(fieldsOf[r.Name]) {
			if _, ok := all[name].(float64); !ok {
				t.Errorf("%s: no %s: %s", r.Name, name, line)
			}
		}
		seen[r.Name] = true
	}
	for _, w := range workloads() {
		if large := strings.HasPrefix(w.name, "s") || strings.HasSuffix(w.name, "m") || strings.HasSuffix(w.name, "k"); !seen[w.name] && (!testing.Short() || !large) {
			t.Errorf("no line for %s", w.name)
		}
	}
}

func TestTable(t *testing.T) {
	out, errs, status := bench(t, "--rounds 1 --round-ms 1 --run ^call1_int$")
	if status != 0 || !strings.Contains(out, "CPython 3.") || !strings.Contains(out, "\ncall1_int ") {
		t.Errorf("status %d, stdout %s, stderr %s", status, out, errs)
	}
}

func TestPicture(t *testing.T) {
	dir := t.TempDir()
	draw := func(name string) (file []byte) {
		t.Helper()
		name = filepath.Join(dir, name)
		if _, errs, status := bench(t, "--rounds 1 --round-ms 2 --run ^attach_under_hog$ --picture "+name); status != 0 {
			t.Fatalf("status %d, stderr %s", status, errs)
		}
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	svg := draw("waits.svg")
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{"A short Python call", "raw GIL", ">gilt<", "p50 ", "p99 ", "CPython 3.", "processors"} {
		if !bytes.Contains(svg, []byte(text)) {
			t.Errorf("no %q in the picture", text)
		}
	}
	if _, err := png.Decode(bytes.NewReader(draw("waits.png"))); err != nil {
		t.Error(err)
	}
}

// A picture that cannot be written is found out at the end.
func TestPictureNotWritten(t *testing.T) {
	name := filepath.Join(t.TempDir(), "directory.svg")
	if err := os.Mkdir(name, 0o700); err != nil {
		t.Fatal(err)
	}
	_, errs, status := bench(t, "--rounds 1 --round-ms 1 --run ^attach_under_hog$ --picture "+name)
	if status != 1 || !strings.Contains(errs, "is a directory") || strings.Count(errs, "\n") != 1 {
		t.Errorf("status %d, stderr %s", status, errs)
	}
}

// testEnv opens Python for the benchmarks of this process.
func testEnv(b *testing.B) *env {
	b.Helper()
	if opened == nil {
		ctx := context.Background()
		rt, err := gilt.Open(ctx, gilt.Config{})
		if err != nil {
			b.Fatal(err)
		}
		if opened, err = newEnv(ctx, rt, options{rounds: 7, round: 50e6}); err != nil {
			b.Fatal(err)
		}
	}
	return opened
}

var opened *env
