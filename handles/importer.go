package handles

import (
	_ "embed"
	"errors"
	"io/fs"
)

//go:embed importer.py
var importer string

//go:embed importer_resources.py
var importerResources string

// InstallFS has the token's interpreter import modules and packages from the root of a Go file system, such as an
// embed.FS: Runtime.AddFS does for all. The file system is the last entry of sys.path, by the name root, which begins with "<go"
// and is no other file system's.
func InstallFS(tok *Token, fsys fs.FS, root string) error {
	if fsys == nil {
		return errors.New("gilt: AddFS: no file system")
	}
	m, err := glue(tok, "_gilt_importer", importer, func(ns Bound) error { return ns.SetItem("RESOURCES", importerResources) })
	if err != nil {
		return err
	}
	functions, err := NewDict(tok, nil)
	if err != nil {
		return err
	}
	// Paths are bytes: a folder of the disk may list names that are not UTF-8.
	if err := addFunctions(tok, functions.Bound, []GoFunc{
		{Name: "read", Func: func(path []byte) ([]byte, error) { return fs.ReadFile(fsys, string(path)) }},
		{Name: "kind", Func: func(path []byte) int { return kindIn(fsys, string(path)) }},
		{Name: "names", Func: func(path []byte) ([][]byte, error) { return namesIn(fsys, string(path)) }},
	}); err != nil {
		return err
	}
	_, err = m.Method("add", root, functions)
	return err
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

func namesIn(fsys fs.FS, path string) ([][]byte, error) {
	entries, err := fs.ReadDir(fsys, path)
	names := make([][]byte, len(entries))
	for i, e := range entries {
		names[i] = []byte(e.Name())
	}
	return names, err
}
