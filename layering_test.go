package gilt_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

type listed struct {
	ImportPath string
	Standard   bool
	CgoFiles   []string
	Imports    []string
}

func golist(t *testing.T, args ...string) (all []listed) {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Standard,CgoFiles,Imports"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// Each package imports only what this table allows; what is not named may import all.
func TestLayering(t *testing.T) {
	may := map[string][]string{
		"gilt/internal/cpython":  {},
		"gilt/internal/clock":    {},
		"gilt/internal/discover": {},
		"gilt/scheduler":         {"gilt/internal/clock"},
		"gilt/thread":            {"gilt/internal/cpython"},
		"gilt/gil":               {"gilt/internal/clock", "gilt/internal/cpython", "gilt/scheduler", "gilt/thread"},
		"gilt/handles":           {"gilt/internal/cpython", "gilt/scheduler", "gilt/thread", "gilt/gil"},
		"gilt":                   {"gilt/internal/cpython", "gilt/internal/discover", "gilt/scheduler", "gilt/thread", "gilt/gil", "gilt/handles", "gilt/internal/program"},
		"gilt/internal/program":  {"gilt/handles"},
		"gilt/embedded":          {"gilt/internal/discover"},
	}
	for _, p := range golist(t, "./...") {
		if len(p.CgoFiles) > 0 && !strings.HasPrefix(p.ImportPath, "gilt/internal/cpython") && !strings.HasPrefix(p.ImportPath, "gilt/benchmarks") {
			t.Errorf(`%s imports "C": only internal/cpython may`, p.ImportPath)
		}
		allowed, named := may[p.ImportPath]
		for _, i := range p.Imports {
			ours := i == "gilt" || strings.HasPrefix(i, "gilt/")
			if named && ours && !slices.Contains(allowed, i) {
				t.Errorf("%s imports %s: the table above does not allow it", p.ImportPath, i)
			}
			if i == "gilt/internal/pytest" || i == "testing" && !strings.Contains(p.ImportPath, "test") {
				t.Errorf("%s imports %s outside its tests", p.ImportPath, i)
			}
		}
	}
}

func TestDependencies(t *testing.T) {
	for _, p := range golist(t, "-deps", ".") {
		known := p.Standard || p.ImportPath == "gilt"
		for _, prefix := range []string{"gilt/", "golang.org/x/sync/"} {
			known = known || strings.HasPrefix(p.ImportPath, prefix)
		}
		if !known {
			t.Errorf("gilt depends on %s", p.ImportPath)
		}
	}
}

// Rule 7: an operation that may run Python code may run a __del__ that calls Go.
func TestRule07_NoNocallback(t *testing.T) {
	directive := regexp.MustCompile(`(?m)^\s*(//)?\s*#cgo\s+(nocallback|noescape)`)
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		b, err := os.ReadFile(path)
		if err == nil && directive.Match(b) {
			t.Errorf("%s has #cgo nocallback or noescape", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
