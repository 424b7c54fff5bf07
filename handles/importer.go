package handles

import (
	_ "embed"
	"errors"
	"io/fs"
)

//go:embed importer.py
var importer string

// InstallFS has the token's interpreter import modules and packages from the root of a Go file system, such as an
// embed.FS: Runtime.AddFS does for all. It is asked after everything that Python finds by itself.
// importlib.resources reads its files, and tracebacks show its source lines.
func InstallFS(tok *Token, fsys fs.FS, label string) error {
	if fsys == nil {
		return errors.New("gilt: AddFS: no file system")
	}
	ns, err := NewDict(tok, map[string]any{"__name__": "gilt.importer", "label": label})
	if err != nil {
		return err
	}
	if err := addFunctions(tok, ns.Bound, []GoFunc{
		{Name: "read", Func: func(path string) ([]byte, error) { return fs.ReadFile(fsys, slash(path)) }},
		{Name: "kind", Func: func(path string) int { return kindIn(fsys, slash(path)) }},
		{Name: "listdir", Func: func(path string) ([]string, error) { return namesIn(fsys, slash(path)) }},
	}); err != nil {
		return err
	}
	return RunFile(tok, importer, "<gilt importer>", ns)
}

// slash is a path as fs.FS wants it.
func slash(path string) string {
	if path == "" {
		return "."
	}
	return path
}

// kindIn is 1 for a file, 2 for a folder, 0 for nothing.
func kindIn(fsys fs.FS, path string) int {
	info, err := fs.Stat(fsys, path)
	switch {
	case err != nil:
		return 0
	case info.IsDir():
		return 2
	}
	return 1
}

func namesIn(fsys fs.FS, path string) ([]string, error) {
	entries, err := fs.ReadDir(fsys, path)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}
