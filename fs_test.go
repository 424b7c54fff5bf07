package gilt_test

import (
	"cmp"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// packages are what testdata/fs_packages.py imports and reads.
var packages = map[string]string{
	"plug/__init__.py": "X = 1\n", "plug/a.py": "def go():\n    return 'a'\ndef fails():\n    raise ValueError('é')\n",
	"plug/sub/__init__.py": "", "plug/sub/b.py": "Y = 2\n", "plug/sub/deep/x.bin": "\x00\x01\xff",
	"plug/both.py": "WHAT = 'module'\n", "plug/both/__init__.py": "WHAT = 'package'\n", "plug/broken.py": "def (:\n",
	"plug/data.txt": "hello", "plug/lines.txt": "a\r\nb\rc\n", "plug/utf16.txt": "\xff\xfeh\x00i\x00", "plug/not-a-module.py": "", "plug/two.dots.py": "",
	"plug-1.0.dist-info/METADATA":         "Metadata-Version: 2.1\nName: plug\nVersion: 1.0\nSummary: s\nRequires-Dist: other>=1\n",
	"plug-1.0.dist-info/entry_points.txt": "[my.group]\none = plug.a:go\n",
	"plug-1.0.dist-info/top_level.txt":    "plug\n", "plug-1.0.dist-info/RECORD": "plug/__init__.py,sha256=abc,6\nplug/a.py,,\nplug/sub/deep/x.bin,,3\nplug/gone.py,,\n",
	"odd_name-2.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: Odd.Name\nVersion: 2.0\n", "odd_name-2.0.dist-info/RECORD": "odd/__init__.py,,\n",
	"odd/__init__.py": "", "egg.egg-info/PKG-INFO": "Metadata-Version: 2.1\nName: egg\nVersion: 3.0\n", "egg.egg-info/SOURCES.txt": "single.py\n",
	"old.egg-info/PKG-INFO": "Metadata-Version: 2.1\nName: old\nVersion: 5.0\n", "old.egg-info/installed-files.txt": "../single.py\nPKG-INFO\n",
	"egg_file-4.0.egg-info": "Metadata-Version: 2.1\nName: egg-file\nVersion: 4.0\n",
	"nsp/one/__init__.py":   "Z = 3\n", "nsp/mod.py": "W = 4\n", "nsp/note.txt": "note", "shared/tree.py": "WHERE = 'tree'\n", "shared/tree.txt": "tree",
	"extended/__init__.py": "import pkgutil\n__path__ = pkgutil.extend_path(__path__, __name__)\n",
	"runme/__init__.py":    "", "runme/__main__.py": "print('main of runme', __name__)\n", "single.py": "V = 5\n", "late.py": "T = 6\n",
	"extra.pth": "import sys; sys.pth_seen = 1\n",
}

// TestFSPackages: a package of a Go file system is a package like any other. One program asks for all that programs ask of packages, over a
// folder and over the same files in a Go file system.
func TestFSPackages(t *testing.T) {
	modes := []gilt.Mode{gilt.GIL}
	if pytest.Minor(t) >= 12 {
		modes = append(modes, gilt.OwnGIL)
	}
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			beside := programs(t, map[string]string{"shared/disk.py": "WHERE = 'disk'\n", "shared/disk.txt": "disk"})
			answers := func(root string) []string {
				out := pytest.Child(t, "FS packages", "GILT_TEST_MODE="+string(mode), "GILT_TEST_BESIDE="+beside, "GILT_TEST_ROOT="+root)
				out = strings.ReplaceAll(out, beside, "BESIDE")
				return strings.Split(strings.ReplaceAll(strings.ReplaceAll(out, "<go1>", "ROOT"), cmp.Or(root, "<go1>"), "ROOT"), "\n")
			}
			disk, tree := answers(t.TempDir()), answers("")
			if len(disk) < 70 {
				t.Fatalf("the program gives %d lines over a folder", len(disk))
			}
			for i, want := range disk {
				if i >= len(tree) || tree[i] != want {
					t.Errorf("over a folder: %s\nover a Go file system: %s", want, tree[min(i, len(tree)-1)])
				}
			}
		})
	}
}

// fsPackages runs testdata/fs_packages.py over packages: in the folder GILT_TEST_ROOT, or else in a Go file system. GILT_TEST_BESIDE is a folder
// with a portion of the namespace package shared.
func fsPackages() error {
	root := os.Getenv("GILT_TEST_ROOT")
	c := gilt.Config{Path: []string{os.Getenv("GILT_TEST_BESIDE")}, Mode: gilt.Mode(os.Getenv("GILT_TEST_MODE")), Interpreters: 1}
	if root != "" {
		c.Path = append(c.Path, root)
	}
	rt, err := gilt.Open(ctx, c)
	if err != nil {
		return err
	}
	tree := fstest.MapFS{}
	for name, text := range packages {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	program, err := os.ReadFile("testdata/fs_packages.py")
	if err != nil {
		return err
	}
	err = rt.Do(ctx, func(tok *gilt.Token) error {
		compiled, err := py.EvalAs[[]byte](tok, "__import__('importlib')._bootstrap_external._code_to_timestamp_pyc(compile('', 'compiled.py', 'exec'))")
		tree["plug/compiled.pyc"] = &fstest.MapFile{Data: compiled}
		return err
	})
	if err == nil && root != "" {
		err = os.CopyFS(root, tree)
	} else if err == nil {
		err = rt.AddFS(ctx, tree)
	}
	if err == nil {
		err = rt.Do(ctx, func(tok *gilt.Token) error { return py.RunFile(tok, string(program), "fs_packages.py") })
	}
	return errors.Join(err, rt.Shutdown(ctx))
}

// What a Go file system has not in common with a folder: it cannot be written, its files change without invalidate_caches, and what stands
// in the way of a name in it is found first.
func TestFS(t *testing.T) {
	tree := fstest.MapFS{"gilt_fs_a/__init__.py": {}, "gilt_fs_a/data.txt": {Data: []byte("data")}}
	if err := pytest.Runtime().AddFS(ctx, tree); err != nil {
		t.Fatal(err)
	}
	pytest.Do(t, func(tok *gilt.Token) {
		if err := py.Run(tok, `
import importlib, importlib.resources, pkgutil, sys, gilt_fs_a
root = gilt_fs_a.__path__[0].partition("/")[0]
assert root in sys.path, sys.path
for mode in ("w", "r+", "a", "x", "wb"):
    try: importlib.resources.files("gilt_fs_a").joinpath("data.txt").open(mode)
    except OSError as e: assert "Read-only" in str(e), e
    else: assert False, mode
assert ("gilt_fs_a", True) in [m[1:] for m in pkgutil.iter_modules([root])]
`); err != nil {
			t.Fatalf("%+v", err)
		}
		tree["gilt_fs_late.py"] = &fstest.MapFile{Data: []byte("L = 1\n")}
		if m, err := py.Import(tok, "gilt_fs_late"); err != nil {
			t.Error(err)
		} else if v, err := py.AttrAs[int](m, "L"); v != 1 || err != nil {
			t.Error(v, err)
		}
	})
}

// A namespace package that was imported before a Go file system with a portion of it: the portion joins.
func TestFS_PortionJoins(t *testing.T) {
	dir := programs(t, map[string]string{"gilt_fs_ns/disk.py": "X = 1\n", "gilt_fs_ns/disk.txt": "disk"})
	onPath := func(source string) {
		pytest.Do(t, func(tok *gilt.Token) {
			ns, err := py.NewDict(tok, map[string]any{"dir": dir})
			if err == nil {
				err = py.Run(tok, "import sys\n"+source, ns)
			}
			if err != nil {
				t.Fatalf("%+v", err)
			}
		})
	}
	onPath("sys.path.insert(0, dir)\nimport gilt_fs_ns.disk")
	defer onPath("sys.path.remove(dir)\nfor n in [n for n in sys.modules if n.startswith('gilt_fs_ns')]: del sys.modules[n]")
	if err := pytest.Runtime().AddFS(ctx, fstest.MapFS{"gilt_fs_ns/tree.py": {Data: []byte("Y = 2\n")}, "gilt_fs_ns/tree.txt": {Data: []byte("tree")}}); err != nil {
		t.Fatal(err)
	}
	onPath("import gilt_fs_ns.tree, importlib.resources\nfiles = importlib.resources.files('gilt_fs_ns')\n" +
		"assert ((files / 'disk.txt').read_text(), (files / 'tree.txt').read_text()) == ('disk', 'tree')")
}
