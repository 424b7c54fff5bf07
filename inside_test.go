package gilt_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gilt"
	py "gilt/handles"
	"gilt/internal/cpython"
	"gilt/internal/discover"
	"gilt/internal/pytest"
)

// python3 loads a Go library that opens gilt: an error, and both go on.
func TestOpen_InsidePython(t *testing.T) {
	library := filepath.Join(t.TempDir(), "inside.so")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-o", library, "./testdata/insidepython")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const script = `
import ctypes, sys, threading
go = ctypes.CDLL(sys.argv[1])
results = [go.Try(), ctypes.PyDLL(sys.argv[1]).Try()]
t = threading.Thread(target=lambda: results.append(go.Try())); t.start(); t.join()
print(results, 'and Python goes on', sum(range(10)), flush=True)
`
	c, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	python := pytest.Runtime().Info().Executable
	cmd := exec.CommandContext(c, python, "-c", script, library)
	cmd.Env = append(os.Environ(), "GILT_PYTHON="+python) // the library has no bundled one
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "[0, 0, 0] and Python goes on 45") || strings.Count(string(out), gilt.ErrPythonRuns.Error()) != 3 {
		t.Errorf("%v\n%s", err, out)
	}
	if said := "(it is CPython " + pytest.Runtime().Info().Version; !strings.Contains(string(out), said) {
		t.Errorf("no %q in\n%s", said, out)
	}
}

// Another part of the program has loaded a libpython, whose symbols are for all to see or not.
func TestOpen_BesideAnotherPython(t *testing.T) {
	found, err := discover.Find(ctx, discover.Options{})
	if err != nil {
		t.Fatal(err)
	}
	home := found.Home
	if home == "" {
		if home, err = prefix(found.Executable); err != nil {
			t.Fatal(err)
		}
	}
	for _, symbols := range []string{"global", "local"} {
		t.Run(symbols+" and started", func(t *testing.T) {
			pytest.Child(t, "another Python", "PYTHONHOME="+home, "GILT_TEST_SYMBOLS="+symbols)
		})
		t.Run(symbols+" and not started", func(t *testing.T) {
			pytest.Child(t, "another libpython", "GILT_TEST_SYMBOLS="+symbols)
		})
	}
}

func prefix(executable string) (string, error) {
	out, err := exec.Command(executable, "-c", "import sys; print(sys.base_prefix)").Output()
	return strings.TrimSpace(string(out)), err
}

func loadStrange(start bool) error {
	found, err := discover.Find(ctx, discover.Options{})
	if err != nil {
		return err
	}
	return cpython.LoadStrange(found.Library, os.Getenv("GILT_TEST_SYMBOLS") == "global", start)
}

func anotherPython() error {
	if err := loadStrange(true); err != nil {
		return err
	}
	for range 2 {
		if rt, err := gilt.Open(ctx, gilt.Config{}); rt != nil || !errors.Is(err, gilt.ErrPythonRuns) {
			return fmt.Errorf("Open beside another Python: %v, %w", rt, err)
		}
	}
	return nil
}

func anotherLibpython() error {
	if err := loadStrange(false); err != nil {
		return err
	}
	rt, err := gilt.Open(ctx, gilt.Config{})
	if err != nil {
		return err
	}
	if err := rt.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, "import json, math") }); err != nil {
		return err
	}
	return rt.Shutdown(ctx)
}
