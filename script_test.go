package gilt_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// seen evaluates an expression in the __main__ that RunMain left.
func seen[T any](t *testing.T, expr string) (v T) {
	t.Helper()
	err := pytest.Runtime().OnMain(ctx, func(tok *gilt.Token) (err error) {
		main, err := py.Import(tok, "__main__")
		if err == nil {
			var ns py.Bound
			if ns, err = main.Attr("__dict__"); err == nil {
				v, err = py.EvalAs[T](tok, expr, ns)
			}
		}
		return err
	})
	if err != nil {
		t.Fatalf("%s: %+v", expr, err)
	}
	return v
}

func programs(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestRunMain(t *testing.T) {
	rt := pytest.Runtime()
	dir := programs(t, map[string]string{
		"script.py":            "import sys, threading\nfrom gilt_beside import x\nassert __name__ == '__main__'\ngot = [*sys.argv[1:], x, threading.current_thread() is threading.main_thread()]\nclass C: pass\n",
		"gilt_beside.py":       "x = 'beside'\n",
		"gilt_pkg/__init__.py": "", "gilt_pkg/__main__.py": "import sys\ngot = [__package__, *sys.argv]\n",
		"folder/__main__.py": "import sys\ngot = sys.argv[1:]\n",
	})
	script := filepath.Join(dir, "script.py")
	if err := rt.RunMain(ctx, gilt.Script{Path: script, Args: []string{"a", "--b"}}); err != nil {
		t.Fatalf("%+v", err)
	}
	if v := seen[string](t, "str(got)"); v != "['a', '--b', 'beside', True]" {
		t.Error(v)
	}
	if v := seen[[]string](t, "[__file__, sys.argv[0], sys.path[0], __import__('pickle').loads(__import__('pickle').dumps(C)).__module__]"); v[0] != script || v[1] != script || v[2] != dir || v[3] != "__main__" {
		t.Error(v)
	}
	// A __main__ of its own each time, and nothing of the program before on sys.path.
	if err := rt.RunMain(ctx, gilt.Script{Code: "import sys\nassert 'got' not in globals() and '__file__' not in globals()\ngot = sys.argv", Args: []string{"c"}}); err != nil {
		t.Fatalf("%+v", err)
	}
	if v := seen[string](t, "str(got + [sys.path[0]])"); v != "['-c', 'c', '']" {
		t.Error(v)
	}
	if v := seen[bool](t, "__import__('os').path.dirname(__import__('gilt_beside').__file__) in sys.path"); v {
		t.Error("the folder of the program before is still on sys.path")
	}
	withDir := func(source string) {
		if err := rt.OnMain(ctx, func(tok *gilt.Token) error {
			ns, err := py.NewDict(tok, map[string]any{"dir": dir})
			if err != nil {
				return err
			}
			return py.Run(tok, source, ns)
		}); err != nil {
			t.Error(err)
		}
	}
	withDir("import sys; sys.path.append(dir)")
	defer withDir("import sys; sys.path.remove(dir); del sys.modules['gilt_beside'], sys.modules['gilt_pkg']")
	if err := rt.RunMain(ctx, gilt.Script{Module: "gilt_pkg", Args: []string{"m"}}); err != nil {
		t.Fatalf("%+v", err)
	}
	if v := seen[[]string](t, "got"); len(v) != 3 || v[0] != "gilt_pkg" || v[1] != filepath.Join(dir, "gilt_pkg", "__main__.py") || v[2] != "m" {
		t.Error(v)
	}
	if err := rt.RunMain(ctx, gilt.Script{Path: filepath.Join(dir, "folder"), Args: []string{"d"}}); err != nil {
		t.Fatalf("%+v", err)
	}
	if v := seen[[]string](t, "got"); len(v) != 1 || v[0] != "d" {
		t.Error(v)
	}
}

func TestRunMainEnds(t *testing.T) {
	rt := pytest.Runtime()
	var e *py.Error
	for code, want := range map[string]int{"import sys; sys.exit(3)": 3, "raise SystemExit('text')": 1} {
		err := rt.RunMain(ctx, gilt.Script{Code: code})
		if !errors.Is(err, py.SystemExit) || !errors.As(err, &e) {
			t.Fatal(code, err)
		}
		if status, ok := e.ExitCode(); status != want || !ok {
			t.Error(code, status, ok)
		}
	}
	for _, code := range []string{"import sys; sys.exit()", "raise SystemExit(0)", "pass"} {
		if err := rt.RunMain(ctx, gilt.Script{Code: code}); err != nil {
			t.Error(code, err)
		}
	}
	dir := programs(t, map[string]string{"bad.py": "def f(): raise KeyError('k')\nf()\n", "syntax.py": "x = (1\n"})
	err := rt.RunMain(ctx, gilt.Script{Path: filepath.Join(dir, "bad.py")})
	if !errors.Is(err, py.KeyError) || !errors.As(err, &e) || len(e.Frames) != 2 || e.Frames[0].File != filepath.Join(dir, "bad.py") {
		t.Errorf("%+v", err)
	}
	if err := rt.RunMain(ctx, gilt.Script{Path: filepath.Join(dir, "syntax.py")}); !errors.Is(err, py.SyntaxError) {
		t.Error(err)
	}
	if err := rt.RunMain(ctx, gilt.Script{Path: filepath.Join(dir, "absent.py")}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "absent.py cannot be read: no such file") {
		t.Error(err)
	}
	if err := rt.RunMain(ctx, gilt.Script{Module: "gilt_absent"}); err == nil {
		t.Error("a module that is absent runs")
	}
	for _, s := range []gilt.Script{{}, {Path: "a", Code: "b"}} {
		if err := rt.RunMain(ctx, s); err == nil {
			t.Error(s, "runs")
		}
	}
	if v := seen[int](t, "1 + 1"); v != 2 {
		t.Error(v)
	}
}
