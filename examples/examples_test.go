// Package examples holds one idea a folder; this test runs each and compares what it prints with the
// "// Output:" comment at its end.
package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestExamplesPrintWhatTheySay(t *testing.T) {
	files, err := filepath.Glob("*/main.go")
	if err != nil || len(files) == 0 {
		t.Fatal("no examples found: ", err)
	}
	ran := 0
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, want, found := strings.Cut(string(source), "\n// Output:\n")
		if !found {
			continue // a program with a test of its own
		}
		ran++
		t.Run(filepath.Dir(file), func(t *testing.T) {
			want = strings.ReplaceAll(strings.ReplaceAll("\n"+want, "\n// ", "\n"), "\n//\n", "\n\n")
			cmd := exec.Command("go", "run", "./"+filepath.Dir(file))
			cmd.Stderr = os.Stderr
			cmd.Env = append(os.Environ(), "GILT_PYTHON=bundled") // messages differ between versions
			got, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, got)
			}
			if strings.TrimSpace(string(got)) != strings.TrimSpace(want) {
				t.Errorf("it printed\n%s\nand says\n%s", got, want)
			}
		})
	}
	if ran == 0 {
		t.Fatal("no example has an Output comment")
	}
}
