package gilt_test

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

//go:embed testdata/environment.py
var environmentFacts string

func init() {
	children["environment facts"] = func() error { return printFacts(gilt.Config{}) }
	children["isolated facts"] = func() error { return printFacts(gilt.Config{Isolated: true}) }
	children["isolated facts, own GIL"] = func() error {
		return printFacts(gilt.Config{Isolated: true, Mode: gilt.OwnGIL, Interpreters: 1})
	}
}

func printFacts(c gilt.Config) error {
	rt, err := gilt.Open(context.Background(), c)
	if err != nil {
		fmt.Println("refused:", err)
		return nil
	}
	err = rt.Do(context.Background(), func(tok *gilt.Token) error {
		ns, err := py.NewDict(tok, map[string]any{"__name__": "facts"})
		if err == nil {
			err = py.Run(tok, environmentFacts, ns)
		}
		if err != nil {
			return err
		}
		text, err := ns.Item("text")
		if err != nil {
			return err
		}
		s, err := text.Text()
		fmt.Println(s)
		return err
	})
	if err != nil {
		return err
	}
	return rt.Shutdown(context.Background())
}

// withoutPython is the environment without variables of Python's and what tests must choose.
func withoutPython(more ...string) []string {
	var env []string
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); !strings.HasPrefix(name, "PYTHON") && !strings.HasPrefix(name, "LC_") && name != "LANG" {
			env = append(env, v)
		}
	}
	return append(env, more...)
}

// unsetPython takes Python's variables out of this process's environment, which children inherit.
func unsetPython(t *testing.T) {
	t.Helper()
	for _, v := range os.Environ() {
		if name, value, _ := strings.Cut(v, "="); strings.HasPrefix(name, "PYTHON") || strings.HasPrefix(name, "LC_") || name == "LANG" {
			t.Setenv(name, value) // puts it back at the end
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// python3 runs the interpreter of the Python that the tests run on.
func python3(t *testing.T, env []string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), pytest.Runtime().Info().Executable, args...)
	cmd.Env = env
	out, err := cmd.Output()
	return string(out), err
}

func facts(t *testing.T, text string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return m
}

func sameFacts(t *testing.T, got, want map[string]any) {
	t.Helper()
	for name := range want {
		g, _ := json.Marshal(got[name])
		w, _ := json.Marshal(want[name])
		if string(g) != string(w) {
			t.Errorf("%s\nis     %s\nwant   %s", name, g, w)
		}
	}
}

// Each variable does what it does for python3 of the same installation. Text is UTF-8 unless PYTHONUTF8 says otherwise, so that
// PYTHONUTF8=1 stands where nothing else does.
func TestPythonVariablesWorkAsInPython3(t *testing.T) {
	dir := t.TempDir()
	unsetPython(t)
	for _, setting := range []string{
		"", "PYTHONASYNCIODEBUG=1", "PYTHONBREAKPOINT=os.getpid", "PYTHONBREAKPOINT=0", "PYTHONCASEOK=1", "PYTHONCOERCECLOCALE=0", "PYTHONCOERCECLOCALE=1", "PYTHONDEBUG=1",
		"PYTHONDEVMODE=1", "PYTHONDONTWRITEBYTECODE=1", "PYTHONEXECUTABLE=/x/python", "PYTHONFAULTHANDLER=1", "PYTHONHASHSEED=0", "PYTHONHASHSEED=4294967295",
		"PYTHONHASHSEED=random", "PYTHONINSPECT=1", "PYTHONINTMAXSTRDIGITS=640", "PYTHONINTMAXSTRDIGITS=0", "PYTHONIOENCODING=latin-1:replace",
		"PYTHONIOENCODING=:backslashreplace", "PYTHONLEGACYWINDOWSSTDIO=1", "PYTHONMALLOC=malloc", "PYTHONMALLOC=debug", "PYTHONMALLOCSTATS=1",
		"PYTHONNODEBUGRANGES=1", "PYTHONNOUSERSITE=1", "PYTHONOPTIMIZE=2", "PYTHONPATH=" + dir + ":/nonexistent", "PYTHONPERFSUPPORT=1",
		"PYTHONPLATLIBDIR=lib", "PYTHONPROFILEIMPORTTIME=1", "PYTHONPYCACHEPREFIX=" + dir, "PYTHONSAFEPATH=1", "PYTHONSTARTUP=/nonexistent",
		"PYTHONTRACEMALLOC=1", "PYTHONTRACEMALLOC=7", "PYTHONUNBUFFERED=1", "PYTHONUSERBASE=" + dir, "PYTHONUTF8=0", "PYTHONUTF8=1",
		"PYTHONVERBOSE=1", "PYTHONWARNDEFAULTENCODING=1", "PYTHONWARNINGS=error,ignore::DeprecationWarning", "PYTHONWARNINGS=nonsense", "PYTHON_COLORS=1",
		"PYTHON_CONTEXT_AWARE_WARNINGS=1", "PYTHON_CPU_COUNT=3", "PYTHON_CPU_COUNT=default", "PYTHON_DISABLE_REMOTE_DEBUG=1", "PYTHON_FROZEN_MODULES=off",
		"PYTHON_FROZEN_MODULES=on", "PYTHON_THREAD_INHERIT_CONTEXT=1", "PYTHON_BASIC_REPL=1", "PYTHON_HISTORY=/x", "PYTHON_GIL=1",
	} {
		t.Run(setting, func(t *testing.T) {
			env := []string{"LANG=C.UTF-8"}
			if !strings.HasPrefix(setting, "PYTHONUTF8=") {
				env = append(env, "PYTHONUTF8=1")
			}
			if setting != "" {
				env = append(env, setting)
			}
			want, err := python3(t, withoutPython(env...), "-c", environmentFacts+"\nprint(text)")
			if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && !exit.Exited() {
				t.Skip("python3 itself crashes: ", err) // 3.12.1 with PYTHONMALLOCSTATS
			}
			if err != nil {
				t.Fatal(err)
			}
			sameFacts(t, facts(t, pytest.Child(t, "environment facts", env...)), facts(t, want))
		})
	}
}

// In a locale that is not UTF-8, PYTHONUTF8=0 takes the locale's encoding, as python3 does, and without it text is UTF-8.
func TestPythonUTF8InOtherLocales(t *testing.T) {
	unsetPython(t)
	for _, locale := range []string{"LANG=C", "LC_ALL=C", "LC_ALL=POSIX", "LC_CTYPE=C"} {
		for _, utf8 := range []string{"PYTHONUTF8=0", "PYTHONUTF8=1", "PYTHONUTF8=0 PYTHONCOERCECLOCALE=0", "PYTHONCOERCECLOCALE=0", "PYTHONCOERCECLOCALE=warn"} {
			env := append(strings.Fields(utf8), locale)
			want, err := python3(t, withoutPython(env...), "-c", environmentFacts+"\nprint(text)")
			if err != nil {
				t.Fatal(err)
			}
			t.Run(locale+" "+utf8, func(t *testing.T) {
				sameFacts(t, facts(t, pytest.Child(t, "environment facts", env...)), facts(t, want))
			})
		}
		t.Run(locale, func(t *testing.T) {
			got := facts(t, pytest.Child(t, "environment facts", locale))
			if s := fmt.Sprint(got["files"], got["stdout"]); !strings.HasPrefix(s, "[utf-8 ") || strings.Contains(s, "ascii") {
				t.Error(s)
			}
		})
	}
}

// What Python does not understand is an error that names the variable: where python3 ends, Open does not start Python.
func TestNonsenseInPythonVariablesIsNamed(t *testing.T) {
	unsetPython(t)
	for _, setting := range []string{
		"PYTHONHASHSEED=abc", "PYTHONHASHSEED=-1", "PYTHONHASHSEED=4294967296", "PYTHONTRACEMALLOC=x", "PYTHONTRACEMALLOC=-1", "PYTHONINTMAXSTRDIGITS=5",
		"PYTHONINTMAXSTRDIGITS=x", "PYTHONUTF8=2", "PYTHONUTF8=yes", "PYTHONMALLOC=none", "PYTHONIOENCODING=nonsense", "PYTHONHOME=/nonexistent",
		"PYTHON_CPU_COUNT=-3", "PYTHON_CPU_COUNT=x", "PYTHON_GIL=2", "PYTHON_GIL=0", "PYTHON_FROZEN_MODULES=x", "PYTHONPERFSUPPORT=x",
		"PYTHON_CONTEXT_AWARE_WARNINGS=x", "PYTHON_THREAD_INHERIT_CONTEXT=x", "PYTHONDEVMODE=x", "PYTHONOPTIMIZE=x", "PYTHONPROFILEIMPORTTIME=x",
	} {
		t.Run(setting, func(t *testing.T) {
			_, err := python3(t, withoutPython("LANG=C.UTF-8", setting), "-c", "")
			got := pytest.Child(t, "environment facts", "LANG=C.UTF-8", setting)
			name, _, _ := strings.Cut(setting, "=")
			switch refused := strings.HasPrefix(got, "refused:"); {
			case refused != (err != nil):
				t.Errorf("python3 ends with %v, gilt says %s", err, got)
			case refused && (!strings.Contains(got, name) || !strings.HasPrefix(got, "refused: gilt: ") || strings.Count(got, "\n") != 1):
				t.Errorf("the error does not name %s: %s", name, got)
			}
		})
	}
}

// An isolated Python takes nothing from the environment, the working directory or the user, in every mode.
func TestIsolatedTakesNothingOfTheUser(t *testing.T) {
	dir := t.TempDir()
	mark := filepath.Join(dir, "ran")
	evil := "import os; open(" + fmt.Sprintf("%q", mark) + ", 'a').close()\n"
	minor := pytest.Minor(t)
	user := filepath.Join(dir, "home", ".local", "lib", fmt.Sprintf("python3.%d", minor), "site-packages")
	for _, file := range []string{"path/sitecustomize.py", "cwd/json.py", "cwd/asyncio.py", "start.py"} {
		writeText(t, filepath.Join(dir, file), evil)
	}
	writeText(t, filepath.Join(user, "evil.pth"), evil)
	writeText(t, filepath.Join(user, "usercustomize.py"), evil)
	if err := os.Mkdir(filepath.Join(dir, "tmp"), 0o755); err != nil {
		t.Fatal(err)
	}
	unsetPython(t)
	want, err := python3(t, withoutPython("LANG=C.UTF-8"), "-I", "-X", "utf8", "-c", environmentFacts+"\nprint(text)")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(dir, "cwd"))
	env := []string{
		"LANG=C", "HOME=" + filepath.Join(dir, "home"), "PYTHONPATH=" + filepath.Join(dir, "path"), "PYTHONSTARTUP=" + filepath.Join(dir, "start.py"),
		"PYTHONHASHSEED=nonsense", "PYTHONDEVMODE=1", "PYTHONTRACEMALLOC=9", "PYTHONMALLOC=debug", "PYTHONOPTIMIZE=2", "PYTHONIOENCODING=latin-1", "PYTHONWARNINGS=error",
		"PYTHONUTF8=0", "PYTHONFAULTHANDLER=1", "PYTHONINTMAXSTRDIGITS=0", "PYTHONDONTWRITEBYTECODE=1", "PYTHONPYCACHEPREFIX=" + dir, "PYTHONCOERCECLOCALE=1",
		"PYTHON_CPU_COUNT=3", "PYTHONNODEBUGRANGES=1", "PYTHONPERFSUPPORT=1", "PYTHONUNBUFFERED=1", "PYTHONASYNCIODEBUG=1",
		"GILT_PYTHON=" + pytest.Runtime().Info().Executable, // HOME is another's: its cache would be filled
	}
	if !strings.Contains(pytest.Child(t, "environment facts", env[1], env[2], env[len(env)-1]), `"flags"`) {
		t.Fatal("not isolated, Python did not start")
	}
	if err := os.Remove(mark); err != nil {
		t.Fatal("not isolated, nothing of the user's ran: this test tests nothing: ", err)
	}
	modes := []string{"isolated facts"}
	if minor >= 12 {
		modes = append(modes, "isolated facts, own GIL")
	}
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			got, python := facts(t, pytest.Child(t, mode, env...)), facts(t, want)
			for _, ofTheProcess := range []string{"locale", "startup", "site", "sysconfig", "hash", "xoptions"} { // LANG, HOME and -X utf8 are others here
				delete(python, ofTheProcess)
			}
			if strings.Contains(mode, "own") { // what the main interpreter has alone
				for _, ofTheMain := range []string{"allocator", "import_time", "malloc_stats", "frozen", "faulthandler", "tracemalloc"} {
					delete(python, ofTheMain)
				}
			}
			sameFacts(t, got, python)
			if _, err := os.Stat(mark); err == nil {
				t.Error("code of the user's ran")
			}
		})
	}
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
