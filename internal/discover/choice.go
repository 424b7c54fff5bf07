package discover

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

const fixChoice = "name an interpreter, a libpython, or the directory of an installation or of a virtual environment"

// explicit follows a choice made by name: "bundled", a command on PATH, or a path.
func explicit(ctx context.Context, choice string, o Options) (Python, error) {
	if choice == Bundled {
		return bundled(ctx, o.Verify)
	}
	if !strings.ContainsRune(choice, filepath.Separator) {
		if path := lookPath(choice, o.Env("PATH")); path != "" {
			return fromInterpreter(ctx, path)
		}
		if _, err := os.Stat(choice); errors.Is(err, fs.ErrNotExist) {
			return Python{}, &Error{What: "is neither a command on PATH nor a file in the working directory", Path: choice, Fix: fixChoice, Err: fs.ErrNotExist}
		}
	}
	return fromPath(ctx, choice)
}

// fromPath describes the Python at a path, whatever kind of path it is.
func fromPath(ctx context.Context, path string) (Python, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Python{}, &Error{What: "cannot be made absolute", Path: path, Fix: "give an absolute path", Err: err}
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if target, linkErr := os.Readlink(path); linkErr == nil {
			return Python{}, &Error{What: "is a symbolic link to " + target + ", which does not exist", Path: path, Fix: "the Python behind it was removed: install it again, or " + fixChoice, Err: fs.ErrNotExist}
		}
		return Python{}, &Error{What: "does not exist", Path: path, Fix: fixChoice, Err: fs.ErrNotExist}
	case err != nil:
		return Python{}, &Error{What: "cannot be read", Path: path, Fix: fixChoice, Err: err}
	case info.IsDir():
		return fromDirectory(ctx, path)
	case !info.Mode().IsRegular():
		return Python{}, &Error{What: "is not a regular file", Path: path, Fix: fixChoice}
	case looksLikeLibrary(path):
		return fromLibrary(ctx, path)
	}
	return fromInterpreter(ctx, path)
}

// fromDirectory describes the installation or virtual environment in dir.
func fromDirectory(ctx context.Context, dir string) (Python, error) {
	if exe := interpreterIn(dir); exe != "" {
		return fromInterpreter(ctx, exe)
	}
	if isFile(filepath.Join(dir, "pyvenv.cfg")) {
		return brokenVenv(dir)
	}
	libs, _ := filepath.Glob(filepath.Join(dir, "lib", "libpython3.*"))
	for _, lib := range libs {
		if libraryName.MatchString(filepath.Base(lib)) {
			return fromLibrary(ctx, lib)
		}
	}
	return Python{}, &Error{What: "is a directory that holds neither bin/python3 nor lib/libpython3.*", Path: dir, Fix: fixChoice}
}

// activeVenv describes the virtual environment in dir, which the user has activated.
func activeVenv(ctx context.Context, dir string) (Python, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Python{}, &Error{What: "cannot be made absolute", Path: dir, Fix: "give an absolute path", Err: err}
	}
	exe := interpreterIn(dir)
	if exe == "" {
		if !isFile(filepath.Join(dir, "pyvenv.cfg")) {
			return Python{}, &Error{What: "is not a virtual environment: it has neither bin/python3 nor pyvenv.cfg", Path: dir, Fix: "run deactivate (or unset VIRTUAL_ENV), or make it with python3 -m venv " + dir, Err: fs.ErrNotExist}
		}
		return brokenVenv(dir)
	}
	return fromInterpreter(ctx, exe)
}

// brokenVenv is the error for a virtual environment without a working bin/python3: most often the
// Python it was made from is gone, and its bin/python3 is a link to nowhere.
func brokenVenv(dir string) (Python, error) {
	what := "is a virtual environment without bin/python3"
	if home := venvHome(filepath.Join(dir, "pyvenv.cfg")); home != "" {
		what += ": the Python it was made from, in " + home + ", may be gone"
	}
	return Python{}, &Error{What: what, Path: dir, Fix: "make it again with python3 -m venv --clear " + dir + ", or name another Python", Err: fs.ErrNotExist}
}

// interpreterIn returns the interpreter of an installation or virtual environment, or "".
func interpreterIn(dir string) string {
	for _, name := range []string{"python3", "python"} {
		if exe := filepath.Join(dir, "bin", name); isFile(exe) {
			return exe
		}
	}
	versioned, _ := filepath.Glob(filepath.Join(dir, "bin", "python3.*"))
	for _, exe := range versioned {
		if versionedName.MatchString(filepath.Base(exe)) && isFile(exe) {
			return exe
		}
	}
	return ""
}

var versionedName = regexp.MustCompile(`^python3\.\d+t?$`)

// venvHome reads the home key of a pyvenv.cfg: the directory of the interpreter it was made from.
func venvHome(cfg string) string {
	text, err := os.ReadFile(cfg)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		key, value, ok := strings.Cut(line, "=")
		if ok && strings.TrimSpace(key) == "home" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// lookPath finds an executable command in a PATH list, as a shell does, or returns "".
func lookPath(name, list string) string {
	for _, dir := range filepath.SplitList(list) {
		if !filepath.IsAbs(dir) {
			continue // the working directory, or below: never run what lies there unasked (see os/exec.ErrDot)
		}
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path
		}
	}
	return ""
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
