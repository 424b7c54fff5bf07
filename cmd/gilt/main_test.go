package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gilt/internal/discover"
)

// binary is the built command; each child process may start Python once.
var binary string

// testPython is what the children of the tests have as GILT_PYTHON, unless a test says otherwise. It is not
// GILT_PYTHON itself, which a user of gilt may have set: the tests are of the bundled Python by default.
// It is no variable: go test caches results by what is looked up while tests run.
func testPython() string { return os.Getenv("GILT_TEST_PYTHON") }

// minor is the minor version of the children's Python.
func minor(t *testing.T) int {
	t.Helper()
	return childPython(t).Minor
}

func childPython(t *testing.T) discover.Python {
	t.Helper()
	p, err := discover.Find(t.Context(), discover.Options{Python: cmp.Or(testPython(), discover.Bundled)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestMain(m *testing.M) {
	before := goleak.IgnoreCurrent() // ants has two goroutines for its default pool, from its import on
	dir, err := os.MkdirTemp("", "gilt-cmd-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "gilt")
	out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
	if err != nil {
		println("cannot build gilt:", string(out))
		os.Exit(1)
	}
	code := m.Run()
	if err := goleak.Find(before); err != nil && code == 0 {
		println("goroutines are left after the tests:", err.Error())
		code = 1
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// child is a finished run of the binary.
type child struct {
	stdout, stderr string
	code           int
}

type setting struct {
	dir    string
	stdin  string
	env    []string
	signal os.Signal // sent when the child has printed a line
}

func command(t *testing.T, s setting, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir = s.dir
	cmd.Stdin = strings.NewReader(s.stdin)
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if name != "GILT_PYTHON" && name != "VIRTUAL_ENV" && name != "PYTHONUNBUFFERED" {
			cmd.Env = append(cmd.Env, v)
		}
	}
	if python := testPython(); python != "" {
		cmd.Env = append(cmd.Env, "GILT_PYTHON="+python)
	}
	cmd.Env = append(cmd.Env, s.env...)
	return cmd
}

func run(t *testing.T, s setting, args ...string) child {
	t.Helper()
	cmd := command(t, s, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	return ended(t, cmd, cmd.Run(), &stdout, &stderr)
}

func ended(t *testing.T, cmd *exec.Cmd, err error, stdout, stderr *bytes.Buffer) child {
	t.Helper()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	c := child{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
	if strings.Contains(c.stderr, "goroutine ") {
		t.Errorf("a Go stack on stderr:\n%s", c.stderr)
	}
	return c
}

// files writes name, content pairs into a new directory.
func files(t *testing.T, pairs ...string) string {
	t.Helper()
	dir := t.TempDir()
	for pair := range slices.Chunk(pairs, 2) {
		path := filepath.Join(dir, pair[0])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(pair[1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// want checks a child: code, the whole of stdout, and words on stderr ("" for an empty stderr).
func (c child) want(t *testing.T, code int, stdout string, words ...string) {
	t.Helper()
	if c.code != code || c.stdout != stdout {
		t.Errorf("exit code %d, want %d; stdout %q, want %q; stderr:\n%s", c.code, code, c.stdout, stdout, c.stderr)
	}
	if len(words) == 0 && c.stderr != "" {
		t.Errorf("stderr %q, want nothing", c.stderr)
	}
	for _, w := range words {
		if !strings.Contains(c.stderr, w) {
			t.Errorf("stderr does not say %q:\n%s", w, c.stderr)
		}
	}
}

// interrupted runs until the child has printed its first line, then sends a signal.
func interrupted(t *testing.T, s setting, args ...string) child {
	t.Helper()
	cmd := command(t, s, args...)
	cmd.Stdin = nil
	stdin, _ := cmd.StdinPipe() // open and silent
	defer stdin.Close()
	var stdout, stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 64<<10)
	n, err := out.Read(first)
	if err != nil {
		t.Fatalf("the child printed nothing: %v; %s", err, stderr.String())
	}
	stdout.Write(first[:n])
	if err := cmd.Process.Signal(s.signal); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(&stdout, out)
	return ended(t, cmd, cmd.Wait(), &stdout, &stderr)
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		code int
		out  string
		err  string
	}{
		"no command prints help":         {nil, 0, "Available Commands", ""},
		"help of map has its exit codes": {[]string{"map", "--help"}, 0, "141", ""},
		"help of run":                    {[]string{"run", "--help"}, 0, "KeyboardInterrupt", ""},
		"bench passes its flags on":      {[]string{"bench", "--help"}, 0, "", ""},
		"help of vet names the rules":    {[]string{"vet", "--help"}, 0, "goroutine", ""},
		"version":                        {[]string{"version"}, 0, "gilt ", ""},
		"version in JSON":                {[]string{"version", "--json"}, 0, `"platform"`, ""},
		"unknown command":                {[]string{"nosuch"}, 2, "", `unknown command "nosuch"`},
		"unknown flag":                   {[]string{"doctor", "--nosuch"}, 2, "", "unknown flag: --nosuch; see 'gilt doctor --help'"},
		"an argument too many":           {[]string{"version", "x"}, 2, "", `version takes no arguments, and was given "x"; see 'gilt version --help'`},
		"and for doctor":                 {[]string{"doctor", "extra"}, 2, "", `doctor takes no arguments, and was given "extra"; see 'gilt doctor --help'`},
		"map without --func":             {[]string{"map"}, 2, "", "--func is missing"},
		"map with a bad policy":          {[]string{"map", "-f", "a:b", "--on-error", "x"}, 2, "", "--on-error x: use stop"},
		"map with a bad size":            {[]string{"map", "-f", "a:b", "--max-record", "1X"}, 2, "", "--max-record 1X"},
		"map with a size too large":      {[]string{"map", "-f", "a:b", "--max-record", "9GiB"}, 2, "", "below 2GiB"},
		"map with no workers":            {[]string{"map", "-f", "a:b", "--workers", "-1"}, 2, "", "--workers -1"},
		"map of half a function":         {[]string{"map", "-f", "a"}, 2, "", "FILE.py:NAME or MODULE:NAME"},
		"map of a file that is missing":  {[]string{"map", "-f", "nosuch.py:f"}, 2, "", "nosuch.py cannot be read: no such file"},
		"map of a file without the form": {[]string{"map", "-f", "./a-b.py:f"}, 2, "", "a-b.py"},
		"run with an unknown option":     {[]string{"run", "-z"}, 2, "", "unknown option -z"},
		"run -c without code":            {[]string{"run", "-c"}, 2, "", "-c needs a value"},
		"run of a file that is missing":  {[]string{"run", "nosuch.py"}, 2, "", "script nosuch.py cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := doMain(c.args, strings.NewReader(""), &stdout, &stderr)
			if code != c.code || !strings.Contains(stdout.String(), c.out) || !strings.Contains(stderr.String(), c.err) {
				t.Errorf("exit code %d, want %d; stdout %q, want %q; stderr %q, want %q", code, c.code, stdout.String(), c.out, stderr.String(), c.err)
			}
			if c.err != "" && (!strings.HasPrefix(stderr.String(), "gilt: ") || strings.Count(stderr.String(), "\n") != 1) {
				t.Errorf("stderr %q, want one line that begins with gilt:", stderr.String())
			}
		})
	}
}

// What cannot be printed is an error, not lost.
func TestStdoutThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir := files(t, "in.jsonl", "4\n")
	script := func(t *testing.T, redirection, args string) child {
		t.Helper()
		cmd := command(t, setting{dir: dir}, "-c", `"$0" `+args+" "+redirection, binary)
		cmd.Path, cmd.Args[0] = "/bin/sh", "sh"
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		return ended(t, cmd, cmd.Run(), new(bytes.Buffer), &stderr)
	}
	for name, args := range map[string]string{
		"doctor": "doctor", "doctor in JSON": "doctor --json", "version": "version", "version in JSON": "version --json", "help": "--help",
		"help of map": "map --help", "list of benchmarks": "bench -list", "completion": "completion bash", "map": "map -q -f math:sqrt in.jsonl",
		"map to -": "map -q -f math:sqrt in.jsonl -o -",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script(t, ">&-", args).want(t, 1, "", "gilt: stdout is closed: send it to a file, a pipe or /dev/null\n")
			if _, err := os.Stat("/dev/full"); err != nil {
				t.Skip("this system has no /dev/full")
			}
			if got := script(t, ">/dev/full", args); got.code != 1 || strings.Count(got.stderr, "\n") != 1 || !strings.Contains(got.stderr, "no space left on device") {
				t.Errorf("exit code %d, stderr %q", got.code, got.stderr)
			}
		})
	}
	t.Run("map to a file needs none", func(t *testing.T) {
		t.Parallel()
		script(t, ">&-", "map -q -f math:sqrt in.jsonl -o out").want(t, 0, "")
		if out, err := os.ReadFile(filepath.Join(dir, "out")); err != nil || string(out) != "2.0\n" {
			t.Errorf("%q, %v", out, err)
		}
	})
	t.Run("/dev/null is a stdout", func(t *testing.T) {
		t.Parallel()
		script(t, ">/dev/null", "map -q -f math:sqrt in.jsonl").want(t, 0, "")
		script(t, ">/dev/null", "version").want(t, 0, "")
	})
}

func TestParseSize(t *testing.T) {
	for s, want := range map[string]int{
		"1": 1, "10B": 10, "3K": 3 << 10, "3KiB": 3 << 10, "64MiB": 64 << 20, "1G": 1 << 30,
		"": 0, "0": 0, "-1": 0, "2GiB": 0, "1KB": 0, "KiB": 0, "1i": 0, "9223372036854775807K": 0,
	} {
		if n, err := parseSize(s); n != want || (err == nil) != (want > 0) {
			t.Errorf("parseSize(%q) = %d, %v; want %d", s, n, err, want)
		}
	}
}
