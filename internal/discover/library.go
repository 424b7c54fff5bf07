package discover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// libraryName matches the file name or SONAME of a libpython: libpython3.12.so.1.0,
// libpython3.13t.so, libpython3.12.dylib, and libpython3.so, the stub of the stable ABI.
var libraryName = regexp.MustCompile(`^libpython(\d+)(?:\.(\d+))?([a-z]*)\.(?:so(?:\.\d+)*|dylib)$`)

const fixLibrary = "name a whole shared libpython (libpython3.X.so.1.0), or the interpreter it belongs to"

// libraryOf finds the shared library that belongs to an interpreter. The installation's own
// directories come before LIBDIR, which is stale when a Python was moved after it was built.
func libraryOf(exe string, a answer) (string, error) {
	var firstProblem error
	candidates := libraryCandidates(a)
	for _, path := range candidates {
		if !isFile(path) {
			continue
		}
		bin, err := inspectLibrary(path)
		if err == nil {
			err = bin.matches(a, exe)
		}
		if err == nil {
			return path, nil
		}
		if firstProblem == nil {
			firstProblem = err
		}
	}
	if firstProblem != nil {
		return "", firstProblem
	}
	return "", errNoLibrary(exe, a, candidates)
}

// libraryCandidates lists where the library may be, best first.
func libraryCandidates(a answer) []string {
	version := fmt.Sprintf("%d.%d%s", a.Info[0], a.Info[1], a.ABIFlags)
	names := []string{a.InstSoname, a.LDLibrary,
		"libpython" + version + ".so.1.0", "libpython" + version + ".so", "libpython" + version + ".dylib"}
	var dirs []string
	for _, prefix := range []string{a.BasePrefix, a.BaseExecPrefix} {
		dirs = append(dirs, filepath.Join(prefix, "lib"), filepath.Join(prefix, "lib64"))
		if a.MultiArch != "" {
			dirs = append(dirs, filepath.Join(prefix, "lib", a.MultiArch))
		}
	}
	dirs = append(dirs, a.LibDir)

	var paths []string
	add := func(path string) {
		if filepath.IsAbs(path) && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	for _, dir := range dirs {
		for _, name := range names {
			if libraryName.MatchString(name) {
				add(filepath.Join(dir, name))
			}
		}
	}
	if a.FrameworkPrefix != "" { // macOS: Python.framework/Versions/3.12/Python
		add(filepath.Join(a.BasePrefix, filepath.Base(a.LDLibrary)))
		add(filepath.Join(a.FrameworkPrefix, a.LDLibrary))
	}
	return paths
}

// matches refuses a library of another version than the interpreter's: its standard library would
// be the wrong one.
func (b binaryFile) matches(a answer, exe string) error {
	same := b.major == a.Info[0] && b.minor == a.Info[1]
	if b.micro >= 0 {
		same = same && b.micro == a.Info[2]
	}
	if same && b.freeThreaded == a.FreeThreaded {
		return nil
	}
	return &Error{
		What: fmt.Sprintf("is the library of Python %s, but the interpreter %s is %s", b.versionString(), exe, a.Version),
		Path: b.path,
		Fix:  "install both from the same place, or name another Python",
	}
}

func errNoLibrary(exe string, a answer, looked []string) *Error {
	var dirs []string
	for _, path := range looked {
		if dir := filepath.Dir(path); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	version := fmt.Sprintf("%d.%d", a.Info[0], a.Info[1])
	what := "is statically linked and has no shared libpython" + version
	if a.Shared {
		what = "has no shared libpython" + version + " on this machine"
	}
	fix := fmt.Sprintf("on Debian and Ubuntu run apt-get install libpython%s, with pyenv run PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install %s, or use the bundled Python ", version, a.Version)
	if HaveBundled() {
		fix += "(GILT_PYTHON=bundled)"
	} else {
		fix += "(import _ \"gilt/embedded\" and unset GILT_PYTHON)"
	}
	return &Error{What: what + " (looked in " + strings.Join(dirs, ", ") + ")", Path: exe, Fix: fix, Err: fs.ErrNotExist}
}

// looksLikeLibrary tells a library from an interpreter: by name, else by what the file is.
func looksLikeLibrary(path string) bool {
	base := filepath.Base(path)
	if strings.HasPrefix(base, "lib") && (strings.Contains(base, ".so") || strings.HasSuffix(base, ".dylib") || strings.HasSuffix(base, ".a")) {
		return true
	}
	return sharedObject(path)
}

// fromLibrary describes a libpython given directly: its home is looked for next to it, and so is
// the interpreter that belongs to it.
func fromLibrary(ctx context.Context, path string) (Python, error) {
	bin, err := inspectLibrary(path)
	if err != nil {
		var stub *stubError
		if !errors.As(err, &stub) {
			return Python{}, err
		}
		if bin, err = inspectLibrary(stub.target); err != nil {
			return Python{}, err
		}
	}
	home := homeOf(bin)
	if home == "" {
		return Python{}, &Error{
			What: fmt.Sprintf("has no standard library: lib/python%d.%d/encodings was not found next to it, and Python cannot start without", bin.major, bin.minor),
			Path: bin.path,
			Fix:  "name the libpython inside its installation (PREFIX/lib/libpython3.X.so.1.0), or install that Python again",
			Err:  fs.ErrNotExist,
		}
	}
	p := Python{
		Library: bin.path, Home: home, Prefix: home,
		Major: bin.major, Minor: bin.minor,
		FreeThreaded: bin.freeThreaded,
	}
	if bin.micro >= 0 {
		p.Version = bin.versionString()
	}
	if a, ok := interpreterOf(ctx, bin, home); ok {
		p.Executable, p.Version, p.Home = a.Executable, a.Version, ""
	}
	return p, ctxError(ctx, path)
}

// interpreterOf finds an interpreter in home that is of the same build as the library. One that is
// missing, does not run or belongs elsewhere is no error here: the library alone is enough.
func interpreterOf(ctx context.Context, bin binaryFile, home string) (answer, bool) {
	for _, name := range []string{fmt.Sprintf("python%d.%d", bin.major, bin.minor), "python3"} {
		exe := filepath.Join(home, "bin", name)
		if !isFile(exe) {
			continue
		}
		a, err := ask(ctx, exe)
		if err == nil && bin.matches(a, exe) == nil && sameFile(a.BasePrefix, home) && a.Executable != "" {
			return a, true
		}
	}
	return answer{}, false
}

// homeOf returns the prefix whose lib/pythonX.Y/encodings belongs to the library, or "".
func homeOf(bin binaryFile) string {
	places := []string{bin.path}
	if real, err := filepath.EvalSymlinks(bin.path); err == nil && real != bin.path {
		places = append(places, real)
	}
	for _, place := range places {
		dir := filepath.Dir(place)
		// PREFIX/lib/libpython, /usr/lib/<triplet>/libpython, and a macOS framework's PREFIX/Python.
		for _, prefix := range []string{filepath.Dir(dir), filepath.Dir(filepath.Dir(dir)), dir} {
			if hasStandardLibrary(prefix, bin) {
				return prefix
			}
		}
	}
	return ""
}

func hasStandardLibrary(prefix string, bin binaryFile) bool {
	version := fmt.Sprintf("python%d.%d", bin.major, bin.minor)
	if bin.freeThreaded {
		version += "t"
	}
	for _, lib := range []string{"lib", "lib64"} {
		if isFile(filepath.Join(prefix, lib, version, "encodings", "__init__.py")) ||
			isFile(filepath.Join(prefix, lib, fmt.Sprintf("python%d%d.zip", bin.major, bin.minor))) {
			return true
		}
	}
	return false
}

func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

func ctxError(ctx context.Context, path string) error {
	if ctx.Err() == nil {
		return nil
	}
	return &Error{What: "was being looked at when the caller gave up", Path: path, Fix: "give the context more time", Err: ctx.Err()}
}
