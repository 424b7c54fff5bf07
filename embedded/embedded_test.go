//go:build (linux || darwin) && (amd64 || arm64)

package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gilt/internal/discover"
)

// sharedCache is unpacked once for all tests that only read it or repair it.
var sharedCache string

// childBinary plays the child processes: this test binary, or under the race detector, which makes
// decompressing 13 times slower (27 s an unpacking), the same tests built without it. What runs in the
// test's own process is watched as usual.
var childBinary string

func findChildBinary(dir string) (string, error) {
	if !raceDetector {
		return os.Executable()
	}
	exe := filepath.Join(dir, "child.test")
	if out, err := exec.Command("go", "test", "-c", "-o", exe, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the child processes' binary without the race detector: %w: %s", err, out)
	}
	return exe, nil
}

// Child processes are this test binary again, with the part to play in GILT_TEST_ROLE.
func TestMain(m *testing.M) {
	switch os.Getenv("GILT_TEST_ROLE") {
	case "find":
		os.Exit(findRole(false))
	case "verify":
		os.Exit(findRole(true))
	case "find with a small disk":
		// Files may not grow past 1 MiB: what a full disk does, without one. Writing then fails with EFBIG.
		signal.Ignore(syscall.SIGXFSZ)
		limit := syscall.Rlimit{Cur: 1 << 20, Max: 1 << 20}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			fmt.Println("setrlimit:", err)
			os.Exit(3)
		}
		os.Exit(findRole(false))
	}
	dir, err := os.MkdirTemp("", "gilt-embedded-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	sharedCache = filepath.Join(dir, "cache")
	if childBinary, err = findChildBinary(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "goroutines are left after the tests:", err)
		code = 1
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// findRole starts as a program would and prints the library it found, or the error.
func findRole(verify bool) int {
	p, err := discover.Find(context.Background(), discover.Options{Python: discover.Bundled, Verify: verify})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(p.Library)
	return 0
}

// child is this test binary in a role, with nothing in its environment but what is given.
func child(t *testing.T, role string, env ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), childBinary)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = append(env, "GILT_TEST_ROLE="+role)
	return cmd, &out
}

// unpacked returns the bundled Python in the shared cache. A child does the unpacking or the repair.
func unpacked(t *testing.T) discover.Python {
	t.Helper()
	cmd, out := child(t, "find", "GILT_CACHE_DIR="+sharedCache)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Setenv("GILT_CACHE_DIR", sharedCache)
	p, err := discover.Find(t.Context(), discover.Options{Python: discover.Bundled})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestBundledPythonIsWhatItSays(t *testing.T) {
	p := unpacked(t)
	asked, err := discover.Find(t.Context(), discover.Options{Python: p.Executable})
	if err != nil {
		t.Fatal(err)
	}
	asked.Source, p.Source, p.Bundled = "", "", false
	if asked != p {
		t.Errorf("its interpreter says\n%+v, this package says\n%+v", asked, p)
	}
	byLibrary, err := discover.Find(t.Context(), discover.Options{Python: p.Library})
	if err != nil || byLibrary.Version != version {
		t.Errorf("its library says %+v, %v; want version %s", byLibrary, err, version)
	}
	info, err := os.Stat(p.Library)
	if err != nil || info.Mode().Perm()&0o500 != 0o500 {
		t.Errorf("%s has mode %v, %v", p.Library, info.Mode(), err)
	}
}

func TestImportMakesItTheDefault(t *testing.T) {
	t.Setenv("GILT_CACHE_DIR", sharedCache)
	none := func(string) string { return "" }
	p, err := discover.Find(t.Context(), discover.Options{Env: none})
	if err != nil || p.Source != discover.SourceBundled || p.Version != version {
		t.Errorf("got %+v, %v; want the bundled Python", p, err)
	}
}

// __pycache__ and whatever else Python writes later neither trips the check nor is removed by it.
func TestFilesThatPythonAddsAreLeftAlone(t *testing.T) {
	p := unpacked(t)
	cmd := exec.CommandContext(t.Context(), p.Executable, "-I", "-c", "import json, compileall; compileall.compile_dir("+fmt.Sprintf("%q", filepath.Join(p.Prefix, "lib", "python3.14", "json"))+", quiet=2)")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	caches, err := filepath.Glob(filepath.Join(p.Prefix, "lib", "python3.14", "json", "__pycache__", "*.pyc"))
	if err != nil || len(caches) == 0 {
		t.Fatalf("Python wrote no __pycache__: %v", err)
	}
	before := stat(t, p.Library)
	if again := unpacked(t); again != p {
		t.Errorf("got %+v, then %+v", p, again)
	}
	if after := stat(t, p.Library); !after.ModTime().Equal(before.ModTime()) || !os.SameFile(before, after) {
		t.Error("the library was written again")
	}
	if _, err := os.Stat(caches[0]); err != nil {
		t.Errorf("%s was removed: %v", caches[0], err)
	}
}

func stat(t *testing.T, path string) fs.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// sizes are the files of a directory tree, without those of __pycache__.
func sizes(t *testing.T, dir string) (map[string]int64, int64) {
	t.Helper()
	files, total := map[string]int64{}, int64(0)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".pyc") || d.Name() == stampName {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files[strings.TrimPrefix(path, dir)] = info.Size()
		total += info.Size()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files, total
}

func sameTree(t *testing.T, got, want string) {
	t.Helper()
	have, _ := sizes(t, got)
	need, _ := sizes(t, want)
	for name, size := range need {
		if have[name] != size {
			t.Errorf("%s has %d bytes, want %d", got+name, have[name], size)
		}
	}
	if len(have) != len(need) {
		t.Errorf("%s has %d files, want %d", got, len(have), len(need))
	}
}

func TestTheSizeWeTellUsers(t *testing.T) {
	_, total := sizes(t, unpacked(t).Prefix)
	if mb := total / 1e6; mb > neededMB || mb < neededMB-40 {
		t.Errorf("unpacked, the bundled Python takes %d MB; the errors and the documentation say %d", mb, neededMB)
	}
}

func TestDamageIsRepaired(t *testing.T) {
	for _, test := range []struct {
		name   string
		damage func(p discover.Python) error
	}{
		{"a file was deleted", func(p discover.Python) error { return os.Remove(p.Library) }},
		{"a file is half-written", func(p discover.Python) error { return os.Truncate(p.Library, 4096) }},
		{"a file is empty", func(p discover.Python) error {
			return os.Truncate(filepath.Join(p.Prefix, "lib", "python3.14", "encodings", "__init__.py"), 0)
		}},
		{"a directory was deleted", func(p discover.Python) error {
			return os.RemoveAll(filepath.Join(p.Prefix, "lib", "python3.14", "encodings"))
		}},
		{"a directory lies where a file was", func(p discover.Python) error {
			if err := os.Remove(p.Executable); err != nil {
				return err
			}
			return os.Mkdir(p.Executable, 0o755)
		}},
		{"a file lies where a directory was", func(p discover.Python) error {
			dir := filepath.Join(p.Prefix, "lib", "python3.14", "json")
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
			return os.WriteFile(dir, []byte("x"), 0o644)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := unpacked(t)
			want, _ := sizes(t, p.Prefix)
			if err := test.damage(p); err != nil {
				t.Fatal(err)
			}
			unpacked(t)
			got, _ := sizes(t, p.Prefix)
			for name, size := range want {
				if got[name] != size {
					t.Errorf("%s has %d bytes, want %d", name, got[name], size)
				}
			}
			if out, err := exec.CommandContext(t.Context(), p.Executable, "-I", "-c", "import json, encodings").CombinedOutput(); err != nil {
				t.Errorf("the repaired Python does not run: %v: %s", err, out)
			}
		})
	}
}

func TestFourProcessesStartAtOnce(t *testing.T) {
	want := unpacked(t)
	cache := t.TempDir()
	var cmds []*exec.Cmd
	var outs []*bytes.Buffer
	for range 4 {
		cmd, out := child(t, "find", "GILT_CACHE_DIR="+cache)
		cmd.Stderr = os.Stderr // where those who wait say so
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		cmds, outs = append(cmds, cmd), append(outs, out)
	}
	for i, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Errorf("process %d: %v: %s", i, err, outs[i])
		}
		if outs[i].String() != outs[0].String() {
			t.Errorf("process %d found %s, process 0 found %s", i, outs[i], outs[0])
		}
	}
	dir := filepath.Join(cache, filepath.Base(want.Prefix))
	sameTree(t, dir, want.Prefix)
	if compiled, _ := filepath.Glob(filepath.Join(dir, "lib", "python3.14", "__pycache__", "*")); len(compiled) > 0 {
		t.Errorf("unpacking alone left %v", compiled)
	}
	if left, _ := filepath.Glob(dir + ".new*"); len(left) > 0 {
		t.Errorf("unpacking left %v", left)
	}
}

func TestKilledWhileUnpacking(t *testing.T) {
	want := unpacked(t)
	cache := t.TempDir()
	dir := filepath.Join(cache, filepath.Base(want.Prefix))
	first := filepath.Join(dir+".new", "tree", "bin", "python3.14") // the third of 29 MB each
	cmd, out := child(t, "find", "GILT_CACHE_DIR="+cache)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	waitFor(t, first, ended)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
	if _, err := os.Stat(dir); err == nil {
		t.Error("a tree that is half unpacked lies where whole ones do")
	}
	have, _ := sizes(t, dir+".new")
	need, _ := sizes(t, want.Prefix)
	if len(have) >= len(need) {
		t.Fatalf("the process was killed too late to leave anything half-done (%s)", out)
	}
	t.Logf("killed after %d of %d files", len(have), len(need))

	cmd, out = child(t, "find", "GILT_CACHE_DIR="+cache)
	if err := cmd.Run(); err != nil {
		t.Fatalf("the next start: %v: %s", err, out)
	}
	sameTree(t, dir, want.Prefix)
}

// waitFor polls until path exists: another process makes it, so there is nothing to wait on.
func waitFor(t *testing.T, path string, ended <-chan error) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	timeout := time.After(30 * time.Second)
	for {
		if _, err := os.Lstat(path); err == nil {
			return
		}
		select {
		case err := <-ended:
			t.Fatalf("the process ended before it made %s: %v", path, err)
		case <-timeout:
			t.Fatalf("%s was not made within 30 s", path)
		case <-tick.C:
		}
	}
}

func TestFullDisk(t *testing.T) {
	want := unpacked(t)
	cache := t.TempDir()
	cmd, out := child(t, "find with a small disk", "GILT_CACHE_DIR="+cache)
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("got %v, want exit status 1: %s", err, out)
	}
	t.Log(out)
	for _, words := range []string{cache, "GILT_CACHE_DIR", "has no room for the bundled Python", "150 MB"} {
		if !strings.Contains(out.String(), words) {
			t.Errorf("the error does not say %q: %s", words, out)
		}
	}
	cmd, out = child(t, "find", "GILT_CACHE_DIR="+cache)
	if err := cmd.Run(); err != nil {
		t.Fatalf("the next start, with room: %v: %s", err, out)
	}
	sameTree(t, filepath.Join(cache, filepath.Base(want.Prefix)), want.Prefix)
}

func BenchmarkFindUnpacked(b *testing.B) {
	b.Setenv("GILT_CACHE_DIR", sharedCache)
	if _, err := discover.Find(b.Context(), discover.Options{Python: discover.Bundled}); err != nil {
		b.Fatal(err) // this one unpacks
	}
	for b.Loop() {
		if _, err := discover.Find(b.Context(), discover.Options{Python: discover.Bundled}); err != nil {
			b.Fatal(err)
		}
	}
}
