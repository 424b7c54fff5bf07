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
		m, err := py.ImportSource(tok, "gilt_src", "import gilt_src as me\nX = 'ü'\ndef f(): raise ValueError(X)\n")
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
		if m, err = py.ImportFile(tok, "gilt_file", file); err != nil {
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
