package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const showArgs = "import os, sys\nprint(ascii([sys.argv, __name__, globals().get('__file__'), sys.path[0], os.getcwd(), os.environ['X'], sys.prefix, sys.executable]))\n"

// pythonItself runs an interpreter in UTF-8 mode, in which gilt always is.
func pythonItself(t *testing.T, s setting, python string, args ...string) child {
	t.Helper()
	cmd := command(t, s, args...)
	cmd.Path, cmd.Args[0] = python, python
	cmd.Env = append(cmd.Env, "PYTHONUTF8=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	return ended(t, cmd, cmd.Run(), &stdout, &stderr)
}

// Bytes that are not UTF-8, in all that crosses: as under python3 of the same installation.
func TestRunBytes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "d\xff\xc3")
	for name, text := range map[string]string{"s.py": showArgs, "caf\xe9.py": showArgs, "app/__main__.py": showArgs, "a\xffpp/__main__.py": showArgs, "mm.py": showArgs, "pack/__main__.py": showArgs, "pack/__init__.py": "", "é.py": showArgs} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	python := childPython(t).Executable
	for name, args := range map[string][]string{
		"a script's arguments": {"s.py", "a\xffb", "\xff", "\xed\xa0\x80", "é"}, "a script by its whole path": {dir + "/s.py", "x"}, "a script's name": {"caf\xe9.py"}, "a valid name": {"é.py"},
		"a directory": {"app", "\xff"}, "a directory's name": {"a\xffpp"}, "a directory by its whole path": {dir + "/app"},
		"a module": {"-m", "mm", "\xff"}, "a package": {"-m", "pack", "\xff"}, "a module's name": {"-m", "caf\xe9", "1"}, "a module that is missing": {"-m", "no\xff"},
		"code": {"-c", showArgs, "\xff", "b"}, "code that cannot be": {"-c", "print('\xff')"}, "an import beside code": {"-c", "import mm"}, "a missing script": {"none\xff.py"},
	} {
		for _, locale := range []string{"C", "C.UTF-8"} {
			t.Run(name+" "+locale, func(t *testing.T) {
				t.Parallel()
				s := setting{dir: dir, env: []string{"X=v\xff", "LC_ALL=" + locale, "GILT_PYTHON=" + testOr(python)}}
				got, want := run(t, s, append([]string{"run"}, args...)...), pythonItself(t, s, python, args...)
				if got.code != want.code || got.stdout != want.stdout {
					t.Errorf("exit code %d, stdout %s\nwant      %d, stdout %s\nstderr %s\nwant   %s", got.code, got.stdout, want.code, want.stdout, got.stderr, want.stderr)
				}
			})
		}
	}
}

// testOr is the choice that the tests make, or the interpreter itself: so that gilt's and python3's sys.executable are one.
func testOr(python string) string {
	if choice := testPython(); choice != "" {
		return choice
	}
	return python
}

// A virtual environment, whatever its path is made of, keeps its prefix.
func TestRunVenvBytes(t *testing.T) {
	t.Parallel()
	python := childPython(t).Executable
	for _, name := range []string{"v\xc3\xa9", "v\xff", "v\xe9 \xf0\x9f\x98\x80\xed\xa0\x80"} {
		for _, locale := range []string{"C", "C.UTF-8"} {
			t.Run(name+" "+locale, func(t *testing.T) {
				t.Parallel()
				venv := filepath.Join(t.TempDir(), name)
				bin := filepath.Join(venv, "bin")
				if err := os.MkdirAll(bin, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(python, filepath.Join(bin, "python3")); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(venv, "pyvenv.cfg"), []byte("home = "+filepath.Dir(python)+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				env := []string{"X=", "LC_ALL=" + locale}
				code := []string{"-c", "import sys; print(ascii([sys.prefix, sys.exec_prefix, sys.executable, sys.base_prefix, sys.path]))"}
				want := pythonItself(t, setting{env: env}, filepath.Join(bin, "python3"), code...)
				for _, choice := range []string{"GILT_PYTHON=" + venv, "GILT_PYTHON=" + filepath.Join(bin, "python3"), "VIRTUAL_ENV=" + venv} {
					s := setting{env: append(slices.Clone(env), choice)}
					if strings.HasPrefix(choice, "VIRTUAL_ENV") {
						s.env = append(s.env, "GILT_PYTHON=")
					}
					if got := run(t, s, append([]string{"run"}, code...)...); got.code != 0 || got.stdout != want.stdout {
						t.Errorf("%q: exit code %d, stdout %s\nwant %s\nstderr %s", choice, got.code, got.stdout, want.stdout, got.stderr)
					}
				}
			})
		}
	}
}

// An installation in a folder by any name. CPython 3.12 and 3.13 load no extension modules from there, in python3 neither: that is an error.
func TestRunInstallationBytes(t *testing.T) {
	t.Parallel()
	prefix := filepath.Dir(filepath.Dir(childPython(t).Executable))
	link := filepath.Join(t.TempDir(), "i\xff")
	if err := os.Symlink(prefix, link); err != nil {
		t.Fatal(err)
	}
	code := []string{"-c", "import json, sys; print(ascii([sys.prefix, sys.executable, sys.base_prefix]))"}
	want := pythonItself(t, setting{env: []string{"LC_ALL=C"}}, filepath.Join(link, "bin", "python3"), code...)
	for _, choice := range []string{link, filepath.Join(link, "bin", "python3")} {
		got := run(t, setting{env: []string{"LC_ALL=C", "GILT_PYTHON=" + choice}}, append([]string{"run"}, code...)...)
		if got.code != want.code || got.stdout != want.stdout || want.code != 0 && !strings.Contains(got.stderr, "surrogates not allowed") {
			t.Errorf("%q: exit code %d, stdout %s\nwant %d, %s\nstderr %s", choice, got.code, got.stdout, want.code, want.stdout, got.stderr)
		}
	}
}

// The bundled Python runs in a cache folder by any name.
func TestRunBundledBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("with -short: it unpacks the bundled Python")
	}
	t.Parallel()
	cache := filepath.Join(t.TempDir(), "c\xff")
	if err := os.Mkdir(cache, 0o700); err != nil {
		t.Fatal(err)
	}
	got := run(t, setting{env: []string{"GILT_PYTHON=bundled", "GILT_CACHE_DIR=" + cache, "LC_ALL=C"}}, "run", "-c", "import json, os, ssl, sys\nos.write(1, os.fsencode(sys.prefix))")
	if got.code != 0 || !strings.HasPrefix(got.stdout, cache) {
		t.Errorf("exit code %d, sys.prefix %q, stderr %s", got.code, got.stdout, got.stderr)
	}
}

// The function's file, its folder, the working directory and the temporary folder have any names.
func TestMapBytes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "d\xff")
	if err := os.MkdirAll(filepath.Join(dir, "tmp\xfe"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"fn.py", "caf\xe9.py"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("def f(x): return ascii(__file__)[-20:]\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"TMPDIR=" + filepath.Join(dir, "tmp\xfe")}
	for spec, want := range map[string]string{"fn.py:f": `d\\udcff/fn.py'`, dir + "/fn.py:f": `d\\udcff/fn.py'`, "fn:f": `d\\udcff/fn.py'`, "caf\xe9.py:f": `/caf\\udce9.py'`, "caf\xe9:f": `/caf\\udce9.py'`} {
		for _, locale := range []string{"C", "C.UTF-8"} {
			got := run(t, setting{dir: dir, stdin: "1\n", env: append(slices.Clone(env), "LC_ALL="+locale)}, "map", "-q", "-f", spec)
			if got.code != 0 || !strings.Contains(got.stdout, want) {
				t.Errorf("%q: exit code %d, stdout %s, stderr %s", spec, got.code, got.stdout, got.stderr)
			}
		}
	}
}
