package examples

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The README's program runs in a module of its own, made with the README's command, and prints what its
// comment says.
func TestREADME(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	program := regexp.MustCompile("(?s)\n```go\n(.*?)\n```\n").FindSubmatch(readme)
	command := regexp.MustCompile("`(go mod edit [^`]*)`").FindSubmatch(readme)
	if program == nil || command == nil {
		t.Fatal("README.md has no program, or no command that adds gilt to a module")
	}
	comment := regexp.MustCompile(`// from any goroutine: (.*)`).FindSubmatch(program[1])
	if comment == nil {
		t.Fatal("the program does not say what it prints")
	}
	dir := t.TempDir()
	module := "module program\n\ngo 1.26.0\n"
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "main.go"), program[1], 0o600), os.WriteFile(filepath.Join(dir, "go.mod"), []byte(module), 0o600)); err != nil {
		t.Fatal(err)
	}
	shell := func(line string) string {
		t.Helper()
		cmd := exec.Command("sh", "-c", line)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GILT="+root, "GOWORK=off", "GOFLAGS=-mod=mod", "GOSUMDB=off") // the sums are in gilt's own go.sum
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s%s", line, err, out, stderr.String())
		}
		return string(out)
	}
	shell(strings.Replace(string(command[1]), "gilt=PATH", `gilt="$GILT"`, 1))
	if got, want := shell("go run ."), string(comment[1])+"\n"; got != want {
		t.Errorf("the program printed %q, its comment says %q", got, want)
	}
}
