package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gilt"
)

func TestDoctor(t *testing.T) {
	t.Parallel()
	t.Run("of the bundled Python", func(t *testing.T) {
		t.Parallel()
		got := run(t, setting{}, "doctor", "--json", "--python", "bundled")
		var r report
		if err := json.Unmarshal([]byte(got.stdout), &r); err != nil || got.code != 0 {
			t.Fatalf("%v, exit code %d: %s%s", err, got.code, got.stdout, got.stderr)
		}
		p := r.Python
		if !r.OK || p == nil || p.Source != "--python" || p.Mode != gilt.GIL || !p.Modes["own-gil"] || p.Modes["free-threaded"] || !r.Bundled || p.Workers < 1 || p.Library == "" {
			t.Errorf("%s", got.stdout)
		}
	})
	t.Run("without a Python", func(t *testing.T) {
		t.Parallel()
		got := run(t, setting{env: []string{"GILT_PYTHON=/nonexistent"}}, "doctor", "--json")
		var r report
		if err := json.Unmarshal([]byte(got.stdout), &r); err != nil || got.code != 1 {
			t.Fatalf("%v, exit code %d: %s%s", err, got.code, got.stdout, got.stderr)
		}
		if r.OK || r.Python != nil || len(r.Problems) != 1 || r.Problems[0].Fix == "" || len(r.Alternatives) == 0 {
			t.Errorf("%s", got.stdout)
		}
	})
}

// A virtual environment in the working directory is not run: neither by the commands that open Python nor by doctor, which only
// says that it is there. The helps say so.
func TestDotVenvIsNotRunUnasked(t *testing.T) {
	t.Parallel()
	dir := files(t, "fn.py", "def f(x): return x", ".venv/pyvenv.cfg", "home = /usr/bin\n", ".venv/bin/python3", "#!/bin/sh\necho ran >> ran\nexit 1\n")
	if err := os.Chmod(filepath.Join(dir, ".venv/bin/python3"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := "PATH=:.venv/bin:" + os.Getenv("PATH")
	for _, args := range [][]string{{"doctor"}, {"doctor", "--json"}, {"run", "-c", "1"}, {"map", "-f", "fn.py:f"}} {
		got := run(t, setting{dir: dir, env: []string{path}}, args...)
		if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
			t.Fatalf("%q ran the working directory's .venv", args)
		}
		if got.code != 0 || args[0] == "doctor" && !strings.Contains(got.stdout, "--python .venv") {
			t.Errorf("%q: %d %s%s", args, got.code, got.stdout, got.stderr)
		}
	}
	if got := run(t, setting{dir: dir}, "run", "--python", ".venv", "-c", "1"); got.code == 0 {
		t.Errorf("asked for, it was not taken: %s", got.stderr)
	} else if _, err := os.Stat(filepath.Join(dir, "ran")); err != nil {
		t.Errorf("asked for, it was not run: %s", got.stderr)
	}
	for _, args := range [][]string{{"--help"}, {"run", "--help"}, {"map", "--help"}} {
		if got := run(t, setting{}, args...); !strings.Contains(got.stdout, "A .venv in the working directory is not taken unasked") {
			t.Errorf("%q does not say which Python is taken: %s", args, got.stdout)
		}
	}
}

// doctor --verify reads every file of the bundled Python; of another one there is nothing to compare with.
func TestDoctorVerifies(t *testing.T) {
	t.Parallel()
	got := run(t, setting{}, "doctor", "--verify", "--python", "bundled")
	if got.code != 0 || !strings.Contains(got.stdout, "verified") {
		t.Errorf("%d %s%s", got.code, got.stdout, got.stderr)
	}
	got = run(t, setting{}, "doctor", "--json", "--python", "bundled")
	if got.code != 0 || strings.Contains(got.stdout, `"verified": true`) {
		t.Errorf("without --verify: %d %s%s", got.code, got.stdout, got.stderr)
	}
}
