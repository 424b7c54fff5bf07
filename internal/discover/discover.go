// Package discover decides which CPython a program loads, and describes it.
//
// It looks at files and may run a candidate interpreter once, to ask it where it lives. It never
// loads libpython: that is internal/cpython's part, and by then every check here has passed,
// because a wrong file given to dlopen, or a broken home given to Py_InitializeEx, can end the
// process (RULES.md 18 and 19).
//
// The order is:
//
//  1. [Options.Python], an explicit choice
//  2. the environment variable GILT_PYTHON
//  3. an active virtual environment: VIRTUAL_ENV
//  4. the bundled CPython, when gilt/embedded is linked in
//  5. python3 on PATH
//
// The first that is present decides. One that is present and wrong is an error; the search never
// goes on behind the user's back to another Python. Nothing is taken from the working directory, unless the first two
// name it: whoever can put files there would have their code run.
package discover

import (
	"context"
	"os"
	"sync"
)

// Bundled is the name of the bundled CPython: as the value of [Options.Python] or of GILT_PYTHON, it selects it
// also where a virtual environment is active.
const Bundled = "bundled"

// The values of [Python.Source].
const (
	SourceConfig     = "config"
	SourceEnv        = "GILT_PYTHON"
	SourceVirtualEnv = "VIRTUAL_ENV"
	SourceBundled    = "bundled"
	SourcePath       = "python3 on PATH"
)

// Python describes one CPython that has passed every check and may be loaded.
type Python struct {
	Library      string // absolute path of the libpython shared library
	Executable   string // program name, becomes sys.executable; the virtual environment's python when there is one; "" when only a library is known
	Home         string // sys.base_prefix, to be set as PYTHONHOME would be; "" when Executable tells it
	Prefix       string // sys.prefix: the virtual environment, else the installation
	Version      string // such as "3.12.1"; "" when only the library is known and it does not say (3.10)
	Major, Minor int
	VirtualEnv   string // path of the virtual environment, or ""
	Source       string // which rule found it: one of the Source constants
	FreeThreaded bool   // a build without the GIL (3.13t and later)
	Bundled      bool   // the one of package embedded, whichever rule found it
}

// Options steers [Find]. The zero value works.
type Options struct {
	// Python is an explicit choice: an interpreter (a path, or a command on PATH), a libpython, the
	// directory of an installation or of a virtual environment, or "bundled".
	// Defaults to GILT_PYTHON.
	Python string
	// Env reads the environment. Defaults to os.Getenv.
	Env func(string) string
	// Verify has every file of the bundled CPython read and compared with the hash that was taken when gilt was built. Of another
	// Python there are no hashes: then it is an error.
	Verify bool
}

// Find decides which Python to load. It may be called from any goroutine, takes some 30 ms when an
// interpreter must be run, and at most 10 s when that interpreter hangs. Every error is an [*Error].
func Find(ctx context.Context, o Options) (Python, error) {
	if o.Env == nil {
		o.Env = os.Getenv
	}
	p, source, err := find(ctx, o)
	if err != nil {
		return Python{}, withSource(err, source)
	}
	p.Source = source
	if o.Verify && !p.Bundled {
		return Python{}, &Error{What: "has no hashes to be verified with: they are the bundled Python's", Path: p.Library, Fix: "ask for no verification, or use the bundled Python", Source: source}
	}
	return p, nil
}

func find(ctx context.Context, o Options) (p Python, source string, err error) {
	if o.Python != "" {
		p, err = explicit(ctx, o.Python, o)
		return p, SourceConfig, err
	}
	if choice := o.Env("GILT_PYTHON"); choice != "" {
		p, err = explicit(ctx, choice, o)
		return p, SourceEnv, err
	}
	if dir := o.Env("VIRTUAL_ENV"); dir != "" {
		p, err = activeVenv(ctx, dir)
		return p, SourceVirtualEnv, err
	}
	if HaveBundled() {
		p, err = bundled(ctx, o.Verify)
		return p, SourceBundled, err
	}
	path := lookPath("python3", o.Env("PATH"))
	if path == "" {
		return Python{}, "", &Error{
			What: "no Python was found: there is no python3 on PATH, no virtual environment is active, and no bundled Python is linked in",
			Fix:  "install Python 3.10 or newer, set GILT_PYTHON to an interpreter or a libpython, or add import _ \"gilt/embedded\" to the program",
		}
	}
	p, err = fromInterpreter(ctx, path)
	return p, SourcePath, err
}

// Candidates describes the installations in dirs, each a directory that holds bin/python3 or
// lib/libpython3.*, for test matrices and for `gilt doctor`. Installations that cannot be loaded
// are reported in problems, as [*Error] values, not dropped.
func Candidates(ctx context.Context, dirs []string) (found []Python, problems []error) {
	for _, dir := range dirs {
		p, err := fromPath(ctx, dir)
		if err != nil {
			problems = append(problems, withSource(err, SourceConfig))
			continue
		}
		p.Source = SourceConfig
		found = append(found, p)
	}
	return found, problems
}

var bundle struct {
	sync.Mutex
	find func(ctx context.Context, verify bool) (Python, error)
}

// RegisterBundled makes a bundled CPython known. gilt/embedded calls it from init, as database
// drivers register themselves; f unpacks what must be unpacked, verifies all files if it is told to, and describes the result. A
// second registration panics.
func RegisterBundled(f func(ctx context.Context, verify bool) (Python, error)) {
	bundle.Lock()
	defer bundle.Unlock()
	if f == nil {
		panic("discover: RegisterBundled was given nil")
	}
	if bundle.find != nil {
		panic("discover: RegisterBundled was called twice; one program carries one bundled Python")
	}
	bundle.find = f
}

// HaveBundled reports whether a bundled CPython is linked into this program.
func HaveBundled() bool {
	bundle.Lock()
	defer bundle.Unlock()
	return bundle.find != nil
}

// bundled asks the registered function, then checks the library as any other: it may be of another architecture.
func bundled(ctx context.Context, verify bool) (Python, error) {
	bundle.Lock()
	f := bundle.find
	bundle.Unlock()
	if f == nil {
		return Python{}, &Error{
			What: "the bundled Python was asked for, but it is not linked into this program",
			Fix:  "add import _ \"gilt/embedded\" to the program (linux and darwin on amd64 and arm64), or name another Python",
		}
	}
	p, err := f(ctx, verify)
	if err != nil {
		return Python{}, err
	}
	if _, err := inspectLibrary(p.Library); err != nil {
		return Python{}, err
	}
	p.Bundled = true
	return p, nil
}
