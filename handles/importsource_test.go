package handles_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gilt/gil"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func TestImportSourceAndFile(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		m, err := py.ImportSource(tok, "gilt_src", "import gilt_src as me\nX = 'ü'\ndef f(): raise ValueError(X)\n", py.Replace)
		if err != nil {
			t.Fatal(err)
		}
		_, err = m.Method("f")
		var e *py.Error
		if !errors.As(err, &e) || !strings.Contains(e.FullText(tok), "def f(): raise ValueError(X)") {
			t.Errorf("%+v", err)
		}
		if err := py.Run(tok, "import gilt_src; assert gilt_src.me is gilt_src and gilt_src.__name__ == 'gilt_src'"); err != nil {
			t.Error(err)
		}
		file := filepath.Join(t.TempDir(), "some.py")
		if err := os.WriteFile(file, []byte("Y = __file__\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if m, err = py.ImportFile(tok, "gilt_file", file, py.Replace); err != nil {
			t.Fatal(err)
		}
		if v, err := py.AttrAs[string](m, "Y"); v != file || err != nil {
			t.Error(v, err)
		}
	})
}

func TestBehaviour24_NothingIsLeftOfAModuleThatRaises(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		for name, want := range map[string]error{"gilt_raises": py.KeyError, "gilt_syntax": py.SyntaxError, "gilt_nul": py.Exception} {
			src := map[string]string{"gilt_raises": "raise KeyError('k')", "gilt_syntax": "def (:", "gilt_nul": "x = 1\x00"}[name]
			if _, err := py.ImportSource(tok, name, src); !errors.Is(err, want) {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := py.Import(tok, name); !errors.Is(err, py.ModuleNotFoundError) {
				t.Errorf("%s is left: %v", name, err)
			}
		}
		if _, err := py.ImportFile(tok, "gilt_absent", "/nowhere/absent.py"); !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
		if _, err := py.ImportFile(tok, "gilt_text", "/nowhere/absent.txt"); !errors.Is(err, py.ImportError) {
			t.Error(err)
		}
		if m, err := py.Import(tok, "os.path"); err != nil {
			t.Error(err)
		} else if v, err := py.AttrAs[string](m, "__name__"); v != "posixpath" || err != nil {
			t.Error(v, err)
		}
	})
}

// A module that is loaded is not replaced unaware.
func TestImportSourceOfALoadedName(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		file := filepath.Join(t.TempDir(), "some.py")
		if err := os.WriteFile(file, []byte("Y = 2\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		ns := pytest.Module(t, tok, "import sys, types\nsys.modules['gilt_loaded'] = types.ModuleType('gilt_loaded')\nbefore = dict(sys.modules)")
		for _, name := range []string{"sys", "builtins", "os.path", "__main__", "gilt_loaded"} {
			_, source := py.ImportSource(tok, name, "X = 1\n")
			_, ofFile := py.ImportFile(tok, name, file)
			for _, err := range []error{source, ofFile} {
				if !errors.Is(err, py.ImportError) || !strings.Contains(err.Error(), "'"+name+"' is loaded") {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		if same, err := py.EvalAs[bool](tok, "all(sys.modules[n] is m for n, m in before.items())", ns); !same || err != nil {
			t.Error("a module was replaced", err)
		}
		if _, err := py.ImportSource(tok, "gilt_loaded", "X = 1\n", py.Replace); err != nil {
			t.Error(err)
		}
		if v, err := py.EvalAs[int](tok, "__import__('gilt_loaded').X"); v != 1 || err != nil {
			t.Error(v, err)
		}
	})
}
