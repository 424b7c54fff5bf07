package gilt_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// The Python code in docs/limits.md runs.
func TestDocs_Limits(t *testing.T) { runPython(t, "docs/limits.md") }

// The Python code in docs/security.md runs, and does what the page says; so does the Go program.
func TestDocs_Security(t *testing.T) {
	runPython(t, "docs/security.md")
	for _, s := range snippets(t, "docs/security.md", "go") {
		dir, err := os.MkdirTemp(".", "docs-snippet-") // in the module, which it imports
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		if err := os.WriteFile(filepath.Join(dir, "main.go"), s, 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), "go", "run", "./"+dir).CombinedOutput()
		if err != nil || string(out) != "1 1 1\n" {
			t.Errorf("%v: %s", err, out)
		}
	}
}

// snippets gives the code blocks of a language in a page.
func snippets(t *testing.T, file, language string) (list [][]byte) {
	t.Helper()
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllSubmatch(page, -1) {
		list = append(list, s[1])
	}
	if len(list) == 0 {
		t.Fatalf("%s has no code in %s", file, language)
	}
	return list
}

func runPython(t *testing.T, file string) {
	t.Helper()
	snippets := snippets(t, file, "python")
	for i, s := range snippets {
		pytest.Do(t, func(tok *gilt.Token) {
			ns, err := py.NewDict(tok, map[string]any{"__name__": "docs"})
			if err == nil {
				err = py.RunFile(tok, string(s), fmt.Sprintf("%s, snippet %d", file, i+1), ns)
			}
			if err != nil {
				t.Errorf("%+v", err)
			}
		})
	}
}
