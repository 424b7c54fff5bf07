package discover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// environ makes an Options.Env of pairs; what is not named is empty.
func environ(pairs ...string) func(string) string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(key string) string { return m[key] }
}

// realPythons returns the loadable installations this machine has: those whose interpreter is on
// PATH, their neighbours (a directory of versions, as pyenv, asdf and uv lay them out), and the
// directories listed in GILT_TEST_PYTHONS. It fails the test when there is none at all, since
// everything here is about real Pythons.
func realPythons(t *testing.T) []Python {
	t.Helper()
	pythons.Do(func() { pythons.found, pythons.notes = lookForPythons(t.Context()) })
	if len(pythons.found) == 0 {
		logRefused(t)
		t.Skip("not tested: no CPython 3.10 or newer with a shared libpython on PATH or in GILT_TEST_PYTHONS (above is what was refused); the bundled one is tested in gilt/embedded")
	}
	return pythons.found
}

// logRefused says which Pythons of this machine the tests do without, and why.
func logRefused(t *testing.T) {
	t.Helper()
	for _, note := range pythons.notes {
		t.Log(note)
	}
}

var pythons struct {
	sync.Once
	found []Python
	notes []string // what was refused, and why
}

func lookForPythons(ctx context.Context) (found []Python, notes []string) {
	var dirs []string
	add := func(dir string) {
		if isDir(dir) && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	for _, dir := range filepath.SplitList(os.Getenv("GILT_TEST_PYTHONS")) {
		add(dir)
	}
	for _, name := range []string{"python3", "python3.10", "python3.11", "python3.12", "python3.13", "python3.14"} {
		p, err := Find(ctx, Options{Python: name})
		if err != nil {
			notes = append(notes, fmt.Sprintf("%s: %v", name, err))
			continue
		}
		prefix := filepath.Dir(filepath.Dir(p.Executable))
		add(prefix)
		neighbours, _ := filepath.Glob(filepath.Join(filepath.Dir(prefix), "*", "bin", "python3"))
		for _, exe := range neighbours {
			add(filepath.Dir(filepath.Dir(exe)))
		}
	}
	found, problems := Candidates(ctx, dirs)
	for _, err := range problems {
		notes = append(notes, fmt.Sprintf("not usable: %v", err))
	}
	return found, notes
}

// onePython returns one real installation.
func onePython(t *testing.T) Python {
	t.Helper()
	return realPythons(t)[0]
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func TestEveryRealPythonIsDescribedAlikeFromEachSide(t *testing.T) {
	seen := map[int]bool{}
	for _, want := range realPythons(t) {
		seen[want.Minor] = true
		t.Run(want.Version, func(t *testing.T) {
			if !strings.HasPrefix(want.Version, fmt.Sprintf("%d.%d.", want.Major, want.Minor)) {
				t.Errorf("version %q is not %d.%d", want.Version, want.Major, want.Minor)
			}
			for _, choice := range []string{want.Executable, want.Library, filepath.Dir(filepath.Dir(want.Executable))} {
				got, err := Find(t.Context(), Options{Python: choice})
				if err != nil {
					t.Fatalf("Find(%s): %v", choice, err)
				}
				if got.Version != want.Version || !sameFile(got.Library, want.Library) || got.Executable == "" ||
					got.Prefix != want.Prefix || got.Home != "" || got.VirtualEnv != "" || got.Source != SourceConfig {
					t.Errorf("Find(%s) = %+v, want the same Python as %+v", choice, got, want)
				}
			}
		})
	}
	logRefused(t)
	for minor := 10; minor <= 14; minor++ {
		if !seen[minor] {
			t.Logf("not tested: no usable CPython 3.%d on this machine (add its directory to GILT_TEST_PYTHONS)", minor)
		}
	}
}

func TestOrder(t *testing.T) {
	real := onePython(t)
	venv := makeVenv(t, real, "envA")
	project := t.TempDir()
	makeVenvAt(t, real, filepath.Join(project, ".venv")) // in the working directory: nobody asks for it
	t.Chdir(project)
	path := filepath.Dir(real.Executable)
	bundledPython := Python{Library: real.Library, Executable: "/bundled/bin/python3", Version: real.Version, Major: real.Major, Minor: real.Minor}

	all := []string{"GILT_PYTHON", real.Executable, "VIRTUAL_ENV", venv, "PATH", path}
	for _, test := range []struct {
		name    string
		python  string
		env     []string
		bundled bool
		source  string
		venv    string
	}{
		{"config wins over all", venv, all, true, SourceConfig, venv},
		{"then GILT_PYTHON", "", all, true, SourceEnv, ""},
		{"then VIRTUAL_ENV", "", all[2:], true, SourceVirtualEnv, venv},
		{"then the bundled one", "", all[4:], true, SourceBundled, ""},
		{"then python3 on PATH", "", all[4:], false, SourcePath, ""},
		{"bundled by name in config", "bundled", all, true, SourceConfig, ""},
		{".venv by name in config", ".venv", all, true, SourceConfig, filepath.Join(project, ".venv")},
		{".venv by name in GILT_PYTHON", "", append([]string{"GILT_PYTHON", ".venv"}, all[2:]...), true, SourceEnv, filepath.Join(project, ".venv")},
		{"bundled by name in GILT_PYTHON", "", append([]string{"VIRTUAL_ENV", venv}, "GILT_PYTHON", "bundled"), true, SourceEnv, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.bundled {
				register(t, func(context.Context, bool) (Python, error) { return bundledPython, nil })
			}
			p, err := Find(t.Context(), Options{Python: test.python, Env: environ(test.env...)})
			if err != nil {
				t.Fatal(err)
			}
			if p.Source != test.source || !sameOrEmpty(p.VirtualEnv, test.venv) {
				t.Errorf("got source %q and virtual environment %q, want %q and %q", p.Source, p.VirtualEnv, test.source, test.venv)
			}
			if strings.HasPrefix(test.name, "bundled") && p.Executable != bundledPython.Executable {
				t.Errorf("got %s, want the bundled one", p.Executable)
			}
		})
	}
}

func sameOrEmpty(got, want string) bool {
	return got == want || got != "" && want != "" && sameFile(got, want)
}

// register makes f the bundled Python for one test.
func register(t *testing.T, f func(context.Context, bool) (Python, error)) {
	t.Helper()
	RegisterBundled(f)
	t.Cleanup(func() {
		bundle.Lock()
		defer bundle.Unlock()
		bundle.find = nil
	})
}

func TestRegisterBundledTwicePanics(t *testing.T) {
	if HaveBundled() {
		t.Fatal("something registered a bundled Python in this test binary")
	}
	f := func(context.Context, bool) (Python, error) { return Python{}, nil }
	register(t, f)
	if !HaveBundled() {
		t.Error("HaveBundled is false after RegisterBundled")
	}
	defer func() {
		if recover() == nil {
			t.Error("the second registration did not panic")
		}
	}()
	RegisterBundled(f)
}

func TestWrongChoiceNeverFallsThrough(t *testing.T) {
	real := onePython(t)
	env := func(pairs ...string) func(string) string {
		return environ(append(pairs, "PATH", filepath.Dir(real.Executable))...)
	}
	for _, test := range []struct {
		name string
		o    Options
		want string
	}{
		{"config", Options{Python: "/no/such/python", Env: env()}, "/no/such/python (config) does not exist"},
		{"command", Options{Python: "no-such-python", Env: env()}, "neither a command on PATH nor a file"},
		{"GILT_PYTHON", Options{Env: env("GILT_PYTHON", "/no/such/python")}, "/no/such/python (from GILT_PYTHON) does not exist"},
		{"VIRTUAL_ENV", Options{Env: env("VIRTUAL_ENV", "/no/such/env")}, "/no/such/env (from VIRTUAL_ENV) is not a virtual environment"},
		{"bundled, not linked in", Options{Python: "bundled", Env: env()}, "is not linked into this program"},
		{"nothing at all", Options{Env: environ()}, "no Python was found"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := Find(t.Context(), test.o)
			checkError(t, p, err, test.want)
		})
	}
}

func TestBundledErrorsAreReported(t *testing.T) {
	cause := errors.New("no room")
	register(t, func(context.Context, bool) (Python, error) { return Python{}, cause })
	p, err := Find(t.Context(), Options{Env: environ()})
	checkError(t, p, err, "no room")
	if !errors.Is(err, cause) {
		t.Errorf("%v does not unwrap to its cause", err)
	}
}

func TestBundledLibraryIsChecked(t *testing.T) {
	lib := writeFile(t, "libpython3.14.so.1.0", strings.Repeat("x", 1000), 0o755)
	register(t, func(context.Context, bool) (Python, error) { return Python{Library: lib}, nil })
	p, err := Find(t.Context(), Options{Env: environ()})
	checkError(t, p, err, "libpython3.14.so.1.0 (bundled) is not")
}

// checkError wants an *Error whose sentence has these words and says what to do.
func checkError(t *testing.T, p Python, err error, want string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %+v and error %v, want an *Error with %q", p, err, want)
	}
	t.Log(err)
	if p != (Python{}) {
		t.Errorf("an error came with a Python: %+v", p)
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("got error %q, want it to say %q", err, want)
	}
	if e.Fix == "" && e.Err == nil {
		t.Errorf("error %q does not say what to do", err)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q has more than one line", err)
	}
}

// ---- virtual environments

func makeVenv(t *testing.T, p Python, name string) string {
	t.Helper()
	return makeVenvAt(t, p, filepath.Join(t.TempDir(), name))
}

func makeVenvAt(t *testing.T, p Python, dir string) string {
	t.Helper()
	out, err := exec.Command(p.Executable, "-I", "-m", "venv", "--without-pip", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%s -m venv: %v: %s", p.Executable, err, out)
	}
	return dir
}

func TestVirtualEnvironment(t *testing.T) {
	for _, real := range realPythons(t) {
		t.Run(real.Version, func(t *testing.T) {
			dir := makeVenv(t, real, "an env with spaces and ünïcode")
			for _, choice := range []string{dir, filepath.Join(dir, "bin", "python3")} {
				p, err := Find(t.Context(), Options{Python: choice})
				if err != nil {
					t.Fatal(err)
				}
				if p.VirtualEnv != dir || p.Prefix != dir || p.Executable != filepath.Join(dir, "bin", "python3") {
					t.Errorf("Find(%s) = %+v, want virtual environment %s", choice, p, dir)
				}
				if !sameFile(p.Library, real.Library) {
					t.Errorf("library is %s, want the base's %s", p.Library, real.Library)
				}
			}
		})
	}
}

func TestVirtualEnvironmentWhoseBaseIsGone(t *testing.T) {
	dir := makeVenv(t, onePython(t), "env")
	for _, name := range []string{"python3", "python"} {
		link := filepath.Join(dir, "bin", name)
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/gone/bin/"+name, link); err != nil {
			t.Fatal(err)
		}
	}
	versioned, _ := filepath.Glob(filepath.Join(dir, "bin", "python3.*"))
	for _, link := range versioned {
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
	}
	p, err := Find(t.Context(), Options{Env: environ("VIRTUAL_ENV", dir)})
	checkError(t, p, err, "is a virtual environment without bin/python3: the Python it was made from, in ")
	p, err = Find(t.Context(), Options{Python: dir})
	checkError(t, p, err, "is a virtual environment without bin/python3")
	p, err = Find(t.Context(), Options{Python: filepath.Join(dir, "bin", "python3")})
	checkError(t, p, err, "is a symbolic link to /gone/bin/python3, which does not exist")
}

// Nothing in the working directory is run unasked: no .venv, and no python3 by an entry of PATH that is relative or empty.
func TestNothingOfTheWorkingDirectoryIsRun(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	mark := filepath.Join(dir, "ran")
	for _, name := range []string{".venv/bin/python3", "python3", "bin/python3"} {
		mustMkdir(t, filepath.Dir(name))
		if err := os.WriteFile(name, []byte("#!/bin/sh\ntouch "+mark+"\nexit 1\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(".venv/pyvenv.cfg", []byte("home = /usr/bin\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", ":", ".", "bin", ":bin:.", "./bin"} {
		p, err := Find(t.Context(), Options{Env: environ("PATH", path)})
		checkError(t, p, err, "no Python was found")
		if _, err := os.Stat(mark); err == nil {
			t.Fatalf("with PATH=%q a file of the working directory was run", path)
		}
	}
}

// Of a Python that is not the bundled one there are no hashes: asking for a verification is an error, never a silent yes.
func TestVerifyNeedsTheBundledPython(t *testing.T) {
	real := onePython(t)
	p, err := Find(t.Context(), Options{Python: real.Executable, Verify: true})
	checkError(t, p, err, "has no hashes to be verified with")
	asked := false
	register(t, func(_ context.Context, verify bool) (Python, error) {
		asked = verify
		return Python{Library: real.Library}, nil
	})
	if p, err := Find(t.Context(), Options{Python: Bundled, Verify: true}); err != nil || !p.Bundled || !asked {
		t.Errorf("got %+v, %v, verified %v", p, err, asked)
	}
}

// ---- interpreters that are none, or no good

func writeFile(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// answering is a script that answers the probe as a.
func answering(t *testing.T, a answer) string {
	t.Helper()
	line, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, "python3", "#!/bin/sh\ncat <<'EOF'\n"+answerMark+string(line)+"\nEOF\n", 0o755)
}

func TestBadInterpreters(t *testing.T) {
	empty := t.TempDir()
	static := answer{Implementation: "cpython", Version: "3.12.1", Info: [3]int{3, 12, 1}, Executable: "/opt/x/bin/python3", BasePrefix: empty, BaseExecPrefix: empty, LDLibrary: "libpython3.12.a", InstSoname: "libpython3.12.a", LibDir: empty + "/lib"}
	shared, pypy, old := static, static, static
	shared.Shared, shared.LDLibrary = true, "libpython3.12.so"
	pypy.Implementation = "pypy"
	old.Version, old.Info = "3.9.18", [3]int{3, 9, 18}

	script := func(text string) string { return writeFile(t, "python3", "#!/bin/sh\n"+text+"\n", 0o755) }
	for _, test := range []struct{ name, path, want string }{
		{"missing", "/no/such/python3", "does not exist"},
		{"a directory without Python", t.TempDir(), "is a directory that holds neither bin/python3 nor lib/libpython3.*"},
		{"a device", os.DevNull, "is not a regular file"},
		{"not executable", writeFile(t, "python3", "#!/bin/sh\n", 0o644), "is not executable; make it so with chmod +x"},
		{"empty", writeFile(t, "python3", "", 0o755), "python3 (config) "},
		{"no such shebang", writeFile(t, "python3", "#!/no/such/shell\n", 0o755), "cannot be run"},
		{"prints rubbish", script("echo hello; echo world"), `it printed "hello"`},
		{"prints nothing", script("true"), "it printed nothing"},
		{"prints half an answer", script("printf 'gilt-python:{\"version\": \"3.1'"), "does not answer as a Python does"},
		{"fails", script("echo 'cannot frobnicate' >&2; exit 3"), `fails when run with -I -S -c: "cannot frobnicate" (exit status 3)`},
		{"is killed", script("kill -9 $$"), "signal: killed"},
		{"Python 2", script("echo 'Unknown option: -I' >&2; exit 2"), "is Python 2 (or older than 3.4), but gilt needs 3.10"},
		{"Python 3.9", answering(t, old), "is Python 3.9.18, but gilt needs 3.10 or newer"},
		{"PyPy", answering(t, pypy), "is pypy, not CPython"},
		{"broken home", script("echo \"ModuleNotFoundError: No module named 'encodings'\" >&2; exit 1"), "its standard library (encodings) is missing or broken"},
		{"static", answering(t, static), "is statically linked and has no shared libpython3.12"},
		{"static says what to install", answering(t, static), "apt-get install libpython3.12, with pyenv run PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install 3.12.1, or use the bundled Python"},
		{"shared, library gone", answering(t, shared), "has no shared libpython3.12 on this machine (looked in "},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := Find(t.Context(), Options{Python: test.path})
			checkError(t, p, err, test.want)
		})
	}
}

// TestRealOldPythonsAreRefused uses the 2.7 and 3.x below 3.10 that lie next to a good one, if any.
func TestRealOldPythonsAreRefused(t *testing.T) {
	old := 0
	for _, p := range realPythons(t) {
		exes, _ := filepath.Glob(filepath.Join(filepath.Dir(p.Prefix), "*", "bin", "python"))
		for _, exe := range exes {
			version := filepath.Base(filepath.Dir(filepath.Dir(exe)))
			if !strings.HasPrefix(version, "2.") && !strings.HasPrefix(version, "3.8") {
				continue
			}
			old++
			p, err := Find(t.Context(), Options{Python: exe})
			checkError(t, p, err, "but gilt needs 3.10 or newer")
		}
		break
	}
	if old == 0 {
		t.Skip("no Python 2.7 or 3.8 lies next to the good ones; the scripts in TestBadInterpreters stand for them")
	}
}

func TestInterpreterThatHangs(t *testing.T) {
	defer func(d time.Duration) { probeTimeout = d }(probeTimeout)
	probeTimeout = 200 * time.Millisecond
	path := writeFile(t, "python3", "#!/bin/sh\nexec sleep 60\n", 0o755)
	start := time.Now()
	p, err := Find(t.Context(), Options{Python: path})
	checkError(t, p, err, "did not answer within 200ms")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v is not context.DeadlineExceeded", err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("giving up took %v", took)
	}
}

func TestCallerGivesUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := writeFile(t, "python3", "#!/bin/sh\nexec sleep 60\n", 0o755)
	p, err := Find(ctx, Options{Python: path})
	checkError(t, p, err, "when the caller gave up")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v is not context.Canceled", err)
	}
}

func TestWrapperScripts(t *testing.T) {
	real := onePython(t)
	path := writeFile(t, "python3", "#!/bin/sh\necho activating\nexec "+real.Executable+" \"$@\"\n", 0o755)
	p, err := Find(t.Context(), Options{Env: environ("PATH", filepath.Dir(path))})
	if err != nil {
		t.Fatal(err)
	}
	if !sameFile(p.Executable, real.Executable) || p.Library != real.Library || p.Source != SourcePath {
		t.Errorf("got %+v, want the Python behind the wrapper: %+v", p, real)
	}
}

func TestCandidatesReportsProblems(t *testing.T) {
	real := onePython(t)
	empty := t.TempDir()
	found, problems := Candidates(t.Context(), []string{empty, filepath.Dir(filepath.Dir(real.Executable))})
	if len(found) != 1 || found[0].Version != real.Version {
		t.Errorf("found %+v, want %s alone", found, real.Version)
	}
	if len(problems) != 1 || !strings.Contains(problems[0].Error(), empty) {
		t.Errorf("problems %v, want one about %s", problems, empty)
	}
}

func BenchmarkFindInterpreter(b *testing.B) {
	for b.Loop() {
		if _, err := Find(b.Context(), Options{Python: "python3"}); err != nil {
			b.Skip("python3 on PATH cannot be used: ", err)
		}
	}
}
