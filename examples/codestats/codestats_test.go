package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// A process can start only one Python, so each test runs the program in a process of its own: this test
// binary, which is then main.
func TestMain(m *testing.M) {
	if os.Getenv("CODESTATS_TEST_MAIN") != "" {
		main()
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) // ants has two goroutines for its default pool, from its import on
}

// program is the command line of the program with these arguments, in an empty directory.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), "CODESTATS_TEST_MAIN=1")
	cmd.Dir = t.TempDir()
	return cmd
}

// output runs cmd and gives what it wrote, and its exit code.
func output(t *testing.T, cmd *exec.Cmd) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	cmd.Stderr = &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

var tree = map[string]string{
	"a.py":                   "def f():\n  if 1:\n    return 2\n\nclass C:\n  async def g(self): pass",
	"a/z.py":                 "",
	"b.txt":                  "not Python",
	"broken.py":              "def f(:\n",
	"nul.py":                 "x = '\x00'\n",
	"pkg/__init__.py":        "x = '\\d'\n", // a SyntaxWarning, not an error
	"pkg/__pycache__/x.py":   "x = 1\n",
	"pkg/site-packages/y.py": "x = 1\n",
	"pkg/latin1.py":          "# caf\xe9\n",
	"pkg/m.py":               strings.Repeat("x = 1\n", 1000),
}

func writeTree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, source := range tree {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func readLines(t *testing.T, path string) []line {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var lines []line
	for d := json.NewDecoder(f); d.More(); {
		var l line
		if err := d.Decode(&l); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	return lines
}

func TestSmallDirectory(t *testing.T) {
	for _, args := range [][]string{{"-no-compare"}, {"-interpreters", "1", "-no-compare"}, {"-interpreters", "2"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			cmd := program(t, append(args, "-dir", writeTree(t), "-o", "out.jsonl")...)
			stdout, stderr, code := output(t, cmd)
			if code != 0 {
				t.Fatalf("exit code %d: %s", code, stderr)
			}
			lines := readLines(t, filepath.Join(cmd.Dir, "out.jsonl"))
			var paths []string
			for _, l := range lines {
				paths = append(paths, l.Path)
			}
			if want := []string{"a/z.py", "a.py", "broken.py", "nul.py", "pkg/__init__.py", "pkg/latin1.py", "pkg/m.py"}; !slices.Equal(paths, want) {
				t.Fatalf("paths %q, want %q", paths, want)
			}
			if got, want := lines[1].counts, (counts{Functions: 2, Classes: 1, Lines: 6, Depth: 3}); got != want {
				t.Errorf("a.py: %+v, want %+v", got, want)
			}
			if l := lines[0]; l.SHA256 != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" || l.Bytes != 0 || l.counts != (counts{}) {
				t.Errorf("the empty file: %+v", l)
			}
			if l := lines[6]; l.Bytes != 6000 || l.Gzip < 20 || l.Gzip > 200 || l.Lines != 1000 {
				t.Errorf("pkg/m.py: %+v", l)
			}
			for i, failed := range []bool{false, false, true, true, false, true, false} {
				if (lines[i].Error != "") != failed {
					t.Errorf("%s: error %q", lines[i].Path, lines[i].Error)
				}
			}
			if !strings.Contains(stdout, "7 files") || !strings.Contains(stdout, "3 could not be parsed") {
				t.Errorf("summary %s", stdout)
			}
			compared := strings.Contains(stdout, "warm (start-up not counted)") ||
				strings.Contains(stdout, "not compared with multiprocessing.Pool(2): multiprocessing.Pool: impossible on this system: ") // no writable /dev/shm
			if compared != !slices.Contains(args, "-no-compare") {
				t.Errorf("summary %s", stdout)
			}
		})
	}
}

// unwritable stands in a table for readOnly, which only a test can give.
const unwritable = "READ-ONLY"

// readOnly is a directory in which this user cannot make a file. Modes do not stop root, but /sys does where it is
// mounted. The test is skipped where neither is there.
func readOnly(t *testing.T) string {
	t.Helper()
	own := t.TempDir()
	if err := os.Chmod(own, 0o500); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{own, "/sys"} {
		f, err := os.CreateTemp(dir, "")
		if err == nil {
			f.Close()
			os.Remove(f.Name())
		} else if _, err := os.Stat(dir); err == nil {
			return dir
		}
	}
	t.Skip("this user may write everywhere: modes do not stop root, and /sys is not mounted")
	return ""
}

func TestBadUse(t *testing.T) {
	root := writeTree(t)
	for _, c := range []struct {
		name string
		args []string
		says string
	}{
		{"unknown flag", []string{"-x"}, "-x"},
		{"an argument", []string{"x.py"}, `unexpected argument "x.py"`},
		{"no interpreter", []string{"-interpreters", "0"}, "give 1 to 63"},
		{"no such directory", []string{"-dir", "nowhere"}, "nowhere"},
		{"nothing to do", []string{"-dir", "."}, "no .py files"},
		{"output in no directory", []string{"-dir", root, "-o", "nowhere/out"}, "-o nowhere/out: its directory cannot be written"},
		{"output in a read-only directory", []string{"-dir", root, "-o", unwritable + "/out"}, "/out: its directory cannot be written"},
		{"output over a directory", []string{"-dir", root, "-o", "."}, "it exists and is not a file"},
		{"output over a device", []string{"-dir", root, "-o", os.DevNull}, "it exists and is not a file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if last := &c.args[len(c.args)-1]; strings.HasPrefix(*last, unwritable) {
				*last = strings.Replace(*last, unwritable, readOnly(t), 1)
			}
			cmd := program(t, append(c.args, "-no-compare")...)
			_, stderr, code := output(t, cmd)
			if code != 1 || !strings.Contains(stderr, c.says) || strings.Count(stderr, "\n") != 1 {
				t.Fatalf("exit code %d: %s", code, stderr)
			}
			if left, _ := os.ReadDir(cmd.Dir); len(left) != 0 {
				t.Fatalf("it left %v", left)
			}
		})
	}
}

func TestClosedStdout(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	cmd := program(t, "-dir", writeTree(t), "-no-compare")
	cmd.Stdout = w
	_, stderr, code := output(t, cmd)
	if code != 1 || !strings.Contains(stderr, "codestats.jsonl is written, but not the summary") {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	if n := len(readLines(t, filepath.Join(cmd.Dir, "codestats.jsonl"))); n != 7 {
		t.Fatalf("%d lines", n)
	}
}

func TestInterrupt(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signals to send on Windows")
	}
	root := t.TempDir()
	source := []byte(strings.Repeat("def f(x): return [x + 1, {x: (x, x)}]\n", 5000))
	for i := range 200 {
		if err := os.WriteFile(filepath.Join(root, string(rune('a'+i/26))+string(rune('a'+i%26))+".py"), source, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := program(t, "-dir", root, "-no-compare")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	buf := make([]byte, 4096)
	for sent := false; ; {
		n, err := stderr.Read(buf) // the first line says that the job is on its way
		said.Write(buf[:n])
		if err != nil {
			break
		}
		if !sent {
			sent = true
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.HasSuffix(said.String(), "codestats: stopped by a signal\n") {
		t.Fatalf("exit code %d: %s", code, &said)
	}
	if left, _ := os.ReadDir(cmd.Dir); len(left) != 0 {
		t.Fatalf("it left %v", left)
	}
}

// A Python that cannot have several GILs does the job on one, and the program says so.
func TestPythonWithoutOwnGIL(t *testing.T) {
	old := ""
	for _, name := range []string{"python3.11", "python3.10"} {
		if found, err := exec.LookPath(name); err == nil && exec.Command(found, "-c", "").Run() == nil {
			old = found
			break
		}
	}
	if named := os.Getenv("CODESTATS_OLD_PYTHON"); named != "" {
		old = named
	}
	if old == "" {
		t.Skip("needs a CPython 3.10 or 3.11: put python3.11 on PATH, or name one in CODESTATS_OLD_PYTHON")
	}
	cmd := program(t, "-dir", writeTree(t), "-no-compare")
	cmd.Env = append(cmd.Env, "GILT_PYTHON="+old)
	stdout, stderr, code := output(t, cmd)
	if code != 0 || !strings.Contains(stderr, "running in mode gil: ") || !strings.Contains(stderr, "3.12 or later") || !strings.Contains(stdout, "mode gil, 1 interpreter\n") {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
}
