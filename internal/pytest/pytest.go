// Package pytest helps gilt's own tests: it opens the one Runtime that a test process may have, and runs
// in child processes what needs a Python of its own. Which Python is GILT_PYTHON's choice, as for any
// program; without it the bundled one runs.
package pytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gilt"
	_ "gilt/embedded" // the Python of tests that name no other
	"gilt/gil"
	py "gilt/handles"
)

// Children are what Child runs, by name: functions that run in a process of their own.
type Children map[string]func() error

// Token is gilt.Token.
type Token = gilt.Token

const childVar = "GILT_TEST_CHILD"

var shared *gilt.Runtime

// Main is the body of TestMain: it opens the Runtime, runs the tests, shuts down, and fails the process
// when a goroutine of gilt's is left. In a child process it runs the child's function instead.
func Main(m *testing.M, children Children) {
	Only(children)
	rt, err := gilt.Open(context.Background(), gilt.Config{Grace: 5 * time.Second}) // on a busy machine nothing is quick
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot open Python for the tests:", err)
		os.Exit(1)
	}
	shared = rt
	code := m.Run()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := rt.Shutdown(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "Shutdown after the tests:", err)
		code = max(code, 1)
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "goroutines are left after Shutdown:", err)
		code = 1
	}
	os.Exit(code)
}

// Only is the first half of Main, for packages whose tests need no shared Runtime: in a child process it
// runs the child's function and exits.
func Only(children Children) {
	name := os.Getenv(childVar)
	if name == "" {
		return
	}
	f := children[name]
	if f == nil {
		fmt.Fprintf(os.Stderr, "no child %q\n", name)
		os.Exit(1)
	}
	if err := f(); err != nil {
		fmt.Fprintf(os.Stderr, "child %s: %+v\n", name, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Runtime is the test process's Runtime.
func Runtime() *gilt.Runtime {
	_ = os.Getenv("GILT_PYTHON") // go test caches results by the variables that tests look up like this
	return shared
}

// Child runs the child of that name in a new process, with env added, and gives what it wrote to stdout.
// The test fails when the child fails or does not end within three minutes, which are some seconds on a busy machine.
func Child(t testing.TB, name string, env ...string) string {
	t.Helper()
	stdout, stderr, err := child(name, env)
	if err != nil {
		t.Fatalf("child %s: %v\nstdout: %s\nstderr: %s", name, err, stdout, tail(stderr, 6000))
	}
	return stdout
}

// Dies is Child for one that must fail, and gives what it wrote to stderr.
func Dies(t testing.TB, name string, env ...string) string {
	t.Helper()
	stdout, stderr, err := child(name, env)
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() < 0 {
		t.Fatalf("child %s: %v, want it to fail\nstdout: %s\nstderr: %s", name, err, stdout, tail(stderr, 6000))
	}
	return stderr
}

func child(name string, env []string) (stdout, stderr string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), append(env, childVar+"="+name)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // Go's report says where the child hangs
	cmd.WaitDelay = 10 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

// Do runs f with a token of the shared Runtime; f may end the test with t.Fatal.
func Do(t testing.TB, f func(*gilt.Token)) {
	t.Helper()
	if err := Runtime().Do(context.Background(), func(tok *gilt.Token) error { f(tok); return nil }); err != nil {
		t.Fatal("Do:", err)
	}
}

// Minor is the minor version of the Python that runs.
func Minor(t testing.TB) int {
	t.Helper()
	var major, minor int
	if _, err := fmt.Sscanf(shared.Info().Version, "%d.%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	return minor
}

// NeedOwnGIL skips the test where Python cannot make interpreters with a GIL of their own.
func NeedOwnGIL(t testing.TB) {
	t.Helper()
	if Minor(t) < 12 {
		t.Skip("interpreters with a GIL of their own came with CPython 3.12")
	}
}

// NeedPackages gives a directory from which this Python imports the packages of those names, "" if it does so by itself. It
// looks in the directories of the environment variable GILT_TEST_PACKAGES, separated as those of PATH, and skips the test when
// none has them: python3 -m pip install --target DIR --only-binary=:all: --python-version 3.12 NAME makes one.
func NeedPackages(t testing.TB, names ...string) string {
	t.Helper()
	for _, dir := range append([]string{""}, filepath.SplitList(os.Getenv("GILT_TEST_PACKAGES"))...) {
		cmd := exec.Command(shared.Info().Executable, "-c", "import sys\nif sys.argv[1]: sys.path.insert(0, sys.argv[1])\nimport "+strings.Join(names, ", "), dir)
		if cmd.Run() == nil {
			return dir
		}
	}
	t.Skipf("%s: not installed for CPython %s, nor in a directory of GILT_TEST_PACKAGES", strings.Join(names, ", "), shared.Info().Version)
	return ""
}

// Must gives v, and ends the test when err is not nil.
func Must[T any](t testing.TB, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatalf("%+v", err)
	}
	return v
}

// Module gives a namespace in which source was run.
func Module(t testing.TB, tok *gilt.Token, source string) py.Bound {
	t.Helper()
	ns, err := py.NewDict(tok, map[string]any{"__name__": t.Name()})
	if err == nil {
		err = py.Run(tok, source, ns)
	}
	if err != nil {
		t.Fatalf("%+v", err)
	}
	return ns.Bound
}

// Get gives a name of a namespace.
func Get(t testing.TB, ns py.Bound, name string) py.Bound {
	t.Helper()
	b, err := ns.Item(name)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	return b
}

// Install makes source the module of that name, for Lookup.
func Install(t testing.TB, name, source string) {
	t.Helper()
	Do(t, func(tok *gilt.Token) {
		ns, err := py.NewDict(tok, map[string]any{"name": name, "source": source})
		if err != nil {
			t.Fatal(err)
		}
		err = py.Run(tok, "import sys, types\nm = types.ModuleType(name)\nsys.modules[name] = m\nexec(compile(source, name + '.py', 'exec'), m.__dict__)", ns)
		if err != nil {
			t.Fatalf("%+v", err)
		}
	})
}

// AddModule makes a Python module of Go functions, until the test ends: tests may run more than once in a process.
func AddModule(t testing.TB, m gilt.GoModule) {
	t.Helper()
	if err := Runtime().AddModule(context.Background(), m); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		Do(t, func(tok *gilt.Token) {
			ns, err := py.NewDict(tok, map[string]any{"name": m.Name})
			if err == nil {
				err = py.Run(tok, "import sys\nfor n in list(sys.modules):\n    if n == name or n.startswith(name + '.'): del sys.modules[n]", ns)
			}
			if err != nil {
				t.Errorf("%+v", err)
			}
		})
	})
}

// Misused runs f, which must panic with a *gil.MisuseError, and gives that; nil when it did not.
func Misused(f func()) (e *gil.MisuseError, err error) {
	defer func() {
		v := recover()
		if err, ok := v.(error); ok && errors.As(err, &e) {
			return
		}
		err = fmt.Errorf("recovered %v (%T), not a *gil.MisuseError", v, v)
	}()
	f()
	return nil, nil
}

// WantMisuse fails the test unless f panics with a *gil.MisuseError whose rule holds want and whose site
// is in the file that calls WantMisuse.
func WantMisuse(t testing.TB, want string, f func()) {
	t.Helper()
	_, file, _, _ := runtime.Caller(1)
	e, err := Misused(f)
	switch {
	case err != nil:
		t.Error(err)
	case !strings.Contains(e.Rule, want):
		t.Errorf("%v: want a rule with %q", e, want)
	case !strings.HasPrefix(e.Site, file+":"):
		t.Errorf("%v: want a site in %s", e, file)
	}
}

// Until waits until f holds, for a minute at most; false when it never did. Tests that may fail from this goroutine
// have Eventually.
func Until(f func() bool) bool {
	for end := time.Now().Add(time.Minute); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// Eventually ends the test unless f comes to hold.
func Eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	if !Until(f) {
		t.Fatalf("it did not come to hold: %s", what)
	}
}

// Collect runs the garbage collector until it has run the cleanups of what was garbage before.
func Collect() error {
	for range 2 { // cleanups run in any order
		var ran atomic.Bool
		runtime.AddCleanup(new([64]byte), func(ran *atomic.Bool) { ran.Store(true) }, &ran)
		if !Until(func() bool { runtime.GC(); return ran.Load() }) {
			return errors.New("the garbage collector runs no cleanups")
		}
	}
	return nil
}

// Soon runs f, and ends the process, with all stacks, when that takes three minutes: a deadlock takes everything after it
// along.
func Soon(t testing.TB, f func()) {
	t.Helper()
	hangs := time.AfterFunc(3*time.Minute, func() {
		buf := make([]byte, 1<<20)
		panic(t.Name() + " hangs\n" + string(buf[:runtime.Stack(buf, true)]))
	})
	defer hangs.Stop()
	f()
}
