package discover

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The oldest CPython gilt runs on.
const (
	minMajor = 3
	minMinor = 10
)

const fixVersion = "install Python 3.10 or newer and name it in GILT_PYTHON, or use the bundled one (GILT_PYTHON=bundled, with gilt/embedded linked in)"

// probeTimeout bounds the one run of an interpreter; a healthy one answers in 20 to 40 ms.
// A variable for the tests only.
var probeTimeout = 10 * time.Second

// answerMark begins the line that carries the answer, so that a wrapper script may print before it.
const answerMark = "gilt-python:"

// probe is run by the interpreter under -I -S: no user site, no PYTHON* variables, no .pth files.
// It must parse on any Python 3. Paths may have any bytes: they are sent as the characters of their numbers.
const probe = `
import sys, json, os, sysconfig
v = sysconfig.get_config_var
def s(x): return os.fsencode(x).decode("latin-1") if isinstance(x, str) else ""
print("` + answerMark + `" + json.dumps({
    "implementation": sys.implementation.name,
    "version": sys.version.split()[0],
    "info": list(sys.version_info[:3]),
    "executable": s(sys.executable),
    "base_prefix": s(sys.base_prefix),
    "base_exec_prefix": s(sys.base_exec_prefix),
    "abiflags": s(getattr(sys, "abiflags", "")),
    "libdir": s(v("LIBDIR")),
    "multiarch": s(v("MULTIARCH")),
    "ldlibrary": s(v("LDLIBRARY")),
    "instsoname": s(v("INSTSONAME")),
    "framework_prefix": s(v("PYTHONFRAMEWORKPREFIX")),
    "shared": bool(v("Py_ENABLE_SHARED")),
    "free_threaded": bool(v("Py_GIL_DISABLED")),
}))
`

// answer is what an interpreter says about itself.
type answer struct {
	Implementation  string `json:"implementation"`
	Version         string `json:"version"`
	Info            [3]int `json:"info"`
	Executable      string `json:"executable"`
	BasePrefix      string `json:"base_prefix"`
	BaseExecPrefix  string `json:"base_exec_prefix"`
	ABIFlags        string `json:"abiflags"`
	LibDir          string `json:"libdir"`
	MultiArch       string `json:"multiarch"`
	LDLibrary       string `json:"ldlibrary"`
	InstSoname      string `json:"instsoname"`
	FrameworkPrefix string `json:"framework_prefix"`
	Shared          bool   `json:"shared"`
	FreeThreaded    bool   `json:"free_threaded"`
}

// fromInterpreter runs the interpreter at path and finds the library it belongs to.
func fromInterpreter(ctx context.Context, path string) (Python, error) {
	a, err := ask(ctx, path)
	if err != nil {
		return Python{}, err
	}
	library, err := libraryOf(path, a)
	if err != nil {
		return Python{}, err
	}
	p := Python{
		Library:      library,
		Executable:   a.Executable,
		Prefix:       a.BasePrefix,
		Version:      a.Version,
		Major:        a.Info[0],
		Minor:        a.Info[1],
		VirtualEnv:   venvOf(a.Executable),
		FreeThreaded: a.FreeThreaded,
	}
	if p.VirtualEnv != "" {
		p.Prefix = p.VirtualEnv
	}
	if p.Executable == "" {
		p.Home = a.BasePrefix
	}
	return p, nil
}

// ask checks the interpreter's file, runs it once, and refuses what is not a CPython of 3.10 or later.
func ask(ctx context.Context, path string) (answer, error) {
	if err := checkExecutable(path); err != nil {
		return answer{}, err
	}
	a, err := run(ctx, path)
	if err != nil {
		return answer{}, err
	}
	if a.Implementation != "cpython" {
		return answer{}, &Error{What: fmt.Sprintf("is %s, not CPython", a.Implementation), Path: path, Fix: "name a CPython: other implementations cannot be loaded into a Go process"}
	}
	if tooOld(a.Info[0], a.Info[1]) {
		return answer{}, errTooOld(path, a.Version)
	}
	return a, nil
}

func tooOld(major, minor int) bool {
	return major < minMajor || major == minMajor && minor < minMinor
}

func errTooOld(path, version string) *Error {
	return &Error{What: fmt.Sprintf("is Python %s, but gilt needs %d.%d or newer", version, minMajor, minMinor), Path: path, Fix: fixVersion}
}

// checkExecutable looks at the file before it is run.
func checkExecutable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return &Error{What: "cannot be read", Path: path, Fix: fixChoice, Err: err}
	}
	if info.Mode()&0o111 == 0 {
		return &Error{What: "is not executable", Path: path, Fix: "make it so with chmod +x if it is an interpreter, or " + fixChoice, Err: fs.ErrPermission}
	}
	if scriptOrUnknown(path) {
		return nil // a wrapper such as pyenv's; if it is not even that, running it says so
	}
	_, err = inspect(path)
	return err
}

// run runs the interpreter once and reads its answer.
func run(ctx context.Context, path string) (answer, error) {
	limited, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	cmd := exec.CommandContext(limited, path, "-I", "-S", "-c", probe)
	cmd.WaitDelay = time.Second // a child that outlives the interpreter keeps the pipes open
	var stdout, stderr capped
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()

	if ctx.Err() != nil {
		return answer{}, &Error{What: "was being asked for its version when the caller gave up", Path: path, Fix: "give the context more time", Err: ctx.Err()}
	}
	if limited.Err() != nil {
		return answer{}, &Error{What: fmt.Sprintf("did not answer within %v when run with -I -S -c", probeTimeout), Path: path, Fix: "run it by hand to see what it waits for, or name another Python", Err: limited.Err()}
	}
	if a, ok := readAnswer(stdout.Bytes()); ok {
		return a, nil
	}
	if err != nil {
		return answer{}, runError(path, err, stderr.Bytes())
	}
	return answer{}, &Error{What: fmt.Sprintf("does not answer as a Python does: it printed %s", excerpt(stdout.Bytes())), Path: path, Fix: fixChoice}
}

func readAnswer(out []byte) (a answer, ok bool) {
	_, line, ok := bytes.Cut(out, []byte(answerMark))
	if !ok {
		return a, false
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	err := json.Unmarshal(line, &a)
	for _, s := range []*string{&a.Executable, &a.BasePrefix, &a.BaseExecPrefix, &a.ABIFlags, &a.LibDir, &a.MultiArch, &a.LDLibrary, &a.InstSoname, &a.FrameworkPrefix} {
		*s = latin1(*s)
	}
	return a, err == nil && a.Info[0] > 0 && a.BasePrefix != ""
}

// latin1 gives the bytes whose numbers are the characters of s.
func latin1(s string) string {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}

// runError explains an interpreter that ended without an answer.
func runError(path string, err error, stderr []byte) *Error {
	e := &Error{Path: path, Err: err}
	var exit *exec.ExitError
	switch {
	case bytes.Contains(stderr, []byte("Unknown option: -I")):
		return errTooOld(path, "2 (or older than 3.4)")
	case bytes.Contains(stderr, []byte("encodings")):
		e.What = "does not start: its standard library (encodings) is missing or broken, " + excerpt(stderr)
		e.Fix = "install this Python again, or name another one"
	case errors.As(err, &exit):
		e.What = "fails when run with -I -S -c"
		if len(bytes.TrimSpace(stderr)) > 0 {
			e.What += ": " + excerpt(lastOfTraceback(stderr))
		}
		e.Fix = "run it by hand to see why, or name another Python"
	default:
		e.What = "cannot be run"
		e.Fix = fixChoice
	}
	return e
}

// lastOfTraceback gives the last line of a traceback, which says what is wrong, and other texts as they are.
func lastOfTraceback(text []byte) []byte {
	text = bytes.TrimSpace(text)
	if bytes.HasPrefix(text, []byte("Traceback")) {
		return text[bytes.LastIndexByte(text, '\n')+1:]
	}
	return text
}

// excerpt quotes the first line of what a program printed.
func excerpt(out []byte) string {
	out = bytes.TrimSpace(out)
	if len(out) == 0 {
		return "nothing"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	if len(line) > 120 {
		line = line[:120] + "…"
	}
	return fmt.Sprintf("%q", line)
}

// capped keeps the first 64 KiB written to it and swallows the rest.
type capped struct{ bytes.Buffer }

func (c *capped) Write(p []byte) (int, error) {
	if room := 64<<10 - c.Len(); room > 0 {
		c.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// venvOf returns the virtual environment an interpreter belongs to, or "". It looks for pyvenv.cfg
// as site.py does, since sys.prefix under -S names it from 3.14 on only.
func venvOf(exe string) string {
	if exe == "" {
		return ""
	}
	bin := filepath.Dir(exe)
	for _, dir := range []string{bin, filepath.Dir(bin)} {
		if isFile(filepath.Join(dir, "pyvenv.cfg")) {
			return dir
		}
	}
	return ""
}
