package main

import (
	"encoding/json"
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
