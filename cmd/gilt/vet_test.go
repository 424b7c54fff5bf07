package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const misuse = `package main

import (
	"context"

	"gilt"
	py "gilt/handles"
)

func main() { _, _ = kept(context.Background(), nil) }

func kept(ctx context.Context, rt *gilt.Runtime) (b py.Bound, err error) {
	err = rt.Do(ctx, func(tok *gilt.Token) error {
		b, err = py.Eval(tok, "1")
		return err
	})
	return b, err
}
`

const finding = "main.go:14:3: a Bound is assigned to b, which is declared outside the task: it is valid only inside the function " +
	"that was given the token; convert it to a Go value, or keep the object with Unbind and Bind it where it is used (gilt rule: escape)"

// moduleOf is a module with a program that uses gilt.
func moduleOf(t *testing.T, source string) setting {
	t.Helper()
	root, dir := repository(t), t.TempDir()
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	module := "module program\n\ngo 1.26.0\n\nrequire gilt v0.0.0\n\nreplace gilt => " + root + "\n"
	write := func(name, text string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600) }
	if err := errors.Join(write("go.mod", module), write("go.sum", string(sums)), write("main.go", source)); err != nil {
		t.Fatal(err)
	}
	return setting{dir: dir, env: []string{"GOWORK=off", "GOFLAGS=-mod=mod"}}
}

func repository(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// goes runs a command, which may have all of gilt to compile.
func goes(t *testing.T, s setting, name string, args ...string) child {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), s.env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return child{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

func TestVet(t *testing.T) {
	t.Parallel()
	s := moduleOf(t, misuse)
	for name, args := range map[string][]string{
		"gilt vet":         {binary, "vet", "./..."},
		"of the directory": {binary, "vet"},
		"go vet -vettool":  {"go", "vet", "-vettool=" + binary, "./..."},
	} {
		if c := goes(t, s, args[0], args[1:]...); c.code != 1 || c.stdout != "" || !strings.Contains(c.stderr, finding) {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if c := goes(t, s, binary, "vet", "-json"); c.code != 0 || !strings.Contains(c.stdout+c.stderr, `"message": "a Bound is assigned`) {
		t.Errorf("in JSON: %+v", c) // code 0 is go vet's
	}
	if c := goes(t, s, binary, "vet", "./none"); c.code != 1 || !strings.Contains(c.stderr, "none") {
		t.Errorf("of a package that does not exist: %+v", c)
	}
	if c := goes(t, s, binary, "vet", "-nosuch"); c.code != 2 || !strings.Contains(c.stderr, "nosuch") {
		t.Errorf("with a flag that does not exist: %+v", c)
	}
}

func TestVet_NothingFound(t *testing.T) {
	t.Parallel()
	for _, source := range []string{
		strings.Replace(misuse, "b, err = py.Eval", "_, err = py.Eval", 1),
		strings.Replace(misuse, "\t\tb, err = py.Eval", "\t\t//gilt:vet-ignore for the test\n\t\tb, err = py.Eval", 1),
	} {
		if c := goes(t, moduleOf(t, source), binary, "vet", "./..."); c.code != 0 || strings.Contains(c.stdout+c.stderr, "main.go") {
			t.Errorf("%+v of\n%s", c, source)
		}
	}
}

func TestVet_ThisRepository(t *testing.T) {
	t.Parallel()
	if c := goes(t, setting{dir: repository(t)}, binary, "vet", "./..."); c.code != 0 {
		t.Errorf("exit code %d\n%s", c.code, c.stderr)
	}
}

func TestVet_WithoutGo(t *testing.T) {
	t.Parallel()
	run(t, setting{env: []string{"PATH="}}, "vet").want(t, 1, "", "gilt: the go command, which loads the packages: ")
}

func TestIsVetUnit(t *testing.T) {
	for line, want := range map[string]bool{
		"-V=full": true, "-flags": true, "/tmp/vet.cfg": true, "-json -c=2 /tmp/vet.cfg": true,
		"": false, "vet ./...": false, "run a.cfg": false, "--python a.cfg": false, "-h": false, "run -flags": false,
	} {
		if got := isVetUnit(strings.Fields(line)); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}
