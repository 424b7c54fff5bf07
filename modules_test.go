package gilt_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func TestAddModule(t *testing.T) {
	rt := pytest.Runtime()
	m := gilt.GoModule{
		Name: "hostapp", Doc: "The host.",
		Values:  map[string]any{"VERSION": "1.2", "LIMITS": []int{1, 2}},
		Funcs:   []gilt.GoFunc{{Name: "add", Signature: "(a, b=1)", Func: func(a, b int) int { return a + b }}},
		Modules: []gilt.GoModule{{Name: "text", Funcs: []gilt.GoFunc{{Name: "up", Func: strings.ToUpper}}}},
	}
	pytest.AddModule(t, m)
	pytest.Do(t, func(tok *gilt.Token) {
		src := "import hostapp, hostapp.text\nfrom hostapp.text import up\nassert hostapp.add(2) == 3 and hostapp.add(b=2, a=3) == 5\n" +
			"assert up('x') == hostapp.text.up('x') == 'X'\nassert hostapp.VERSION == '1.2' and hostapp.LIMITS == [1, 2]\n" +
			"assert hostapp.__doc__ == 'The host.' and hostapp.add.__module__ == 'hostapp'"
		if err := py.Run(tok, src); err != nil {
			t.Errorf("%+v", err)
		}
	})
	if err := rt.AddModule(ctx, m); !errors.Is(err, py.ImportError) {
		t.Error("a second module of that name:", err)
	}
	for _, bad := range []gilt.GoModule{
		{Name: ""}, {Name: "a.b"}, {Name: "bad1", Funcs: []gilt.GoFunc{{Name: "f", Func: 3}}},
		{Name: "bad2", Values: map[string]any{"c": make(chan int)}},
		{Name: "bad3", Modules: []gilt.GoModule{{Name: "sub", Funcs: []gilt.GoFunc{{Name: "f"}}}}},
	} {
		if err := rt.AddModule(ctx, bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	pytest.Do(t, func(tok *gilt.Token) {
		for _, name := range []string{"bad1", "bad2", "bad3", "bad3.sub"} {
			if _, err := py.Import(tok, name); !errors.Is(err, py.ModuleNotFoundError) {
				t.Errorf("%s is there: %v", name, err)
			}
		}
	})
}

func TestAddFS(t *testing.T) {
	rt := pytest.Runtime()
	fsys := fstest.MapFS{
		"infs/__init__.py":    {Data: []byte("from . import part\nNAME = __name__\n")},
		"infs/part.py":        {Data: []byte("def fails():\n    raise ValueError('in fs')\n")},
		"infs/data/hello.txt": {Data: []byte("hello\n")},
		"infs/deep/leaf.py":   {Data: []byte("X = 1\n")},
		"infs_single.py":      {Data: []byte("# ü\nY = 'ü'\n")},
		"infs_bad.py":         {Data: []byte("def (:\n")},
		"infs_raises.py":      {Data: []byte("raise KeyError('k')\n")},
		"infs_ring_a.py":      {Data: []byte("import infs_ring_b\nA = 1\n")},
		"infs_ring_b.py":      {Data: []byte("import infs_ring_a\nB = infs_ring_a\n")},
		"json.py":             {Data: []byte("raise RuntimeError('it shadows the standard library')\n")},
	}
	if err := rt.AddFS(ctx, fsys); err != nil {
		t.Fatal(err)
	}
	pytest.Do(t, func(tok *gilt.Token) {
		src := `
import infs, infs.part, infs.deep.leaf, infs_single, infs_ring_a, json, importlib.resources, inspect
assert infs.NAME == 'infs' and infs.deep.leaf.X == 1 and infs_single.Y == 'ü', infs_single.Y
assert infs_ring_a.infs_ring_b.B is infs_ring_a
files = importlib.resources.files('infs')
assert (files / 'data' / 'hello.txt').read_text() == 'hello\n'
assert sorted(f.name for f in files.iterdir()) == ['__init__.py', 'data', 'deep', 'part.py']
assert inspect.getsource(infs.part.fails) == "def fails():\n    raise ValueError('in fs')\n"
import traceback
try: infs.part.fails()
except ValueError: text = traceback.format_exc()
assert "raise ValueError('in fs')" in text and 'infs/part.py", line 2' in text, text
`
		if err := py.Run(tok, src); err != nil {
			t.Errorf("%+v", err)
		}
		for name, want := range map[string]py.ExceptionClass{
			"infs_bad": py.SyntaxError, "infs_raises": py.KeyError, "infs.nothing": py.ModuleNotFoundError, "nowhere_infs": py.ModuleNotFoundError,
		} {
			if _, err := py.Import(tok, name); !errors.Is(err, want) {
				t.Errorf("import %s: %v", name, err)
			}
		}
		if v, err := py.EvalAs[bool](tok, "'infs_raises' in __import__('sys').modules"); v || err != nil {
			t.Error("a module that raises is left in sys.modules", err)
		}
	})
	if err := rt.AddFS(ctx, nil); err == nil {
		t.Error("no file system is taken")
	}
}

// ownModules: what Go gives is in every interpreter, and a function is that interpreter's own.
func ownModules() error {
	m := gilt.GoModule{Name: "hostapp", Funcs: []gilt.GoFunc{{Name: "twice", Func: func(x int) int { return 2 * x }}}}
	rt, err := gilt.Open(ctx, gilt.Config{
		Mode: gilt.OwnGIL, Interpreters: 2, Modules: []gilt.GoModule{m}, FS: []fs.FS{fstest.MapFS{"infs.py": {Data: []byte("import hostapp\ndef f(x): return hostapp.twice(x) + 1\n")}}},
	})
	if err != nil {
		return err
	}
	f, err := gilt.Lookup[int, int](ctx, rt, "infs:f")
	if err != nil {
		return err
	}
	for i := range 100 {
		if v, err := f.Call(ctx, i); err != nil || v != 2*i+1 {
			return fmt.Errorf("%d: %w", v, err)
		}
	}
	return rt.Shutdown(ctx)
}

func TestModulesInEveryInterpreter(t *testing.T) {
	pytest.NeedOwnGIL(t)
	pytest.Child(t, "own modules")
}
