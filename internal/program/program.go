// Package program runs a Python program as python3 would: in the real __main__ module, with its sys.argv and
// sys.path. It is what `gilt run` and Runtime.RunMain share.
package program

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	py "gilt/handles"
)

//go:embed program.py
var source string

// Kind is what a program is.
type Kind byte

// The kinds.
const (
	File   Kind = 'f' // a script, a .pyc, or a directory or archive with a __main__.py
	Code   Kind = 'c'
	Module Kind = 'm'
	Stdin  Kind = '-'
)

// Program is a program.
type Program struct {
	Kind Kind
	Text string   // the file's path, the code, or the module's name
	Argv []string // sys.argv, the first included

	Options []string // python3's options that came before it, for sys.orig_argv

	source []byte  // of a file or of stdin
	path0  *string // what it has put before sys.path, nil for nothing
}

// ReadError is a program that cannot be read.
type ReadError struct {
	What string
	Err  error
}

func (e *ReadError) Error() string {
	why := e.Err.Error()
	var p *os.PathError
	if errors.As(e.Err, &p) { // without Go's name of the system call
		why = p.Err.Error()
	}
	return e.What + " cannot be read: " + why
}

// Unwrap gives the cause.
func (e *ReadError) Unwrap() error { return e.Err }

// Read gets the program's text, before Python is needed. It returns a *ReadError.
func (p *Program) Read(stdin io.Reader) (err error) {
	switch p.Kind {
	case Stdin:
		if p.source, err = io.ReadAll(stdin); err != nil {
			return &ReadError{"stdin", err}
		}
	case File:
		if info, err := os.Stat(p.Text); err == nil && info.IsDir() {
			return nil
		}
		if p.source, err = os.ReadFile(p.Text); err != nil {
			return &ReadError{"script " + p.Text, err}
		}
	}
	return nil
}

type caller func(name string, args ...any) (py.Bound, error)

// functions gives program.py's functions.
func functions(tok *py.Token) (caller, error) {
	builtins, err := py.Import(tok, "builtins")
	if err != nil {
		return nil, err
	}
	ns, err := py.NewDict(tok, map[string]any{"__name__": "_gilt_program", "__builtins__": builtins})
	if err != nil {
		return nil, err
	}
	return func(name string, args ...any) (py.Bound, error) {
		f, err := ns.Item(name)
		if err != nil {
			return f, err
		}
		return f.Call(args...)
	}, py.RunFile(tok, source, "<gilt program>", ns)
}

// Exec runs the program, on Python's main thread, and gives the exception that ended it. It is called from Go directly,
// so that no frame of gilt's is on the program's stack. before is the program that ran before it, nil for none.
func (p *Program) Exec(tok *py.Token, before *Program) error {
	call, err := functions(tok)
	if err != nil {
		return err
	}
	if before != nil {
		var path0 any // None
		if before.path0 != nil {
			if path0, err = py.FSDecode(tok, *before.path0); err != nil {
				return err
			}
		}
		if _, err := call("after", path0); err != nil {
			return err
		}
	}
	path0, file := "", ""
	if p.Kind == File || p.Kind == Module {
		cwd, err := os.Getwd()
		if err != nil {
			return fmt.Errorf("gilt: the working directory cannot be read: %w", err)
		}
		path0, file = cwd, p.Text
		if p.Kind == File && !filepath.IsAbs(file) {
			file = cwd + "/" + file // as python3 does, without tidying it up
		}
	}
	if p.Kind == Module {
		return p.module(tok, call, p.Text, true, path0)
	}
	if p.Kind == File {
		name, err := py.FSDecode(tok, file)
		if err != nil {
			return err
		}
		archive, err := call("importable", name)
		if err != nil {
			return err
		}
		if is, err := archive.Truth(); err != nil {
			return err
		} else if is {
			return p.module(tok, call, "__main__", false, file)
		}
		if real, err := filepath.EvalSymlinks(file); err == nil {
			path0 = filepath.Dir(real)
		}
	}
	return p.script(tok, call, file, path0)
}

// prepare gives the program its sys.argv and sys.path[0]. What crosses may have bytes that are not UTF-8.
func (p *Program) prepare(tok *py.Token, call caller, path0 string) error {
	argv, err := py.FSDecodeList(tok, p.Argv)
	if err != nil {
		return err
	}
	original, err := py.FSDecodeList(tok, p.original())
	if err != nil {
		return err
	}
	first, err := py.FSDecode(tok, path0)
	if err != nil {
		return err
	}
	if _, err = call("prepare", argv, original, first); err == nil {
		p.path0 = &path0 // not before: the next program takes out what is there
	}
	return err
}

// original is sys.orig_argv after the interpreter, from which programs start themselves again.
func (p *Program) original() []string {
	all := append([]string{}, p.Options...)
	switch {
	case p.Kind == Code || p.Kind == Module:
		return append(append(all, "-"+string(p.Kind), p.Text), p.Argv[1:]...)
	case p.Kind == Stdin && p.Argv[0] == "":
		return all
	}
	return append(all, p.Argv...)
}

func (p *Program) module(tok *py.Token, call caller, name string, alterArgv bool, path0 string) error {
	if err := p.prepare(tok, call, path0); err != nil {
		return err
	}
	runpy, err := py.Import(tok, "runpy")
	if err != nil {
		return err
	}
	module, err := py.FSDecode(tok, name)
	if err != nil {
		return err
	}
	_, err = runpy.Method("_run_module_as_main", module, alterArgv)
	return err
}

func (p *Program) script(tok *py.Token, call caller, file, path0 string) error {
	if err := p.prepare(tok, call, path0); err != nil {
		return err
	}
	compiled := strings.HasSuffix(file, ".pyc")
	if p.Kind == Stdin {
		file = "<stdin>"
	}
	name, err := py.FSDecode(tok, file)
	if err != nil {
		return err
	}
	if p.Kind == Code {
		name = py.None(tok)
	}
	main, err := call("main", name, !compiled)
	if err != nil {
		return err
	}
	builtins, err := py.Import(tok, "builtins")
	if err != nil {
		return err
	}
	code, err := p.code(tok, builtins, main, call, name, compiled)
	if err != nil {
		return err
	}
	_, err = builtins.Method("exec", code, main)
	return err
}

// code compiles the program. Bytes, so that a byte order mark and a coding line count as in a file.
func (p *Program) code(tok *py.Token, builtins, main py.Bound, call caller, file py.Bound, compiled bool) (py.Bound, error) {
	const flags, dontInherit = 0, true
	switch {
	case compiled:
		loader, err := main.Item("__loader__")
		if err != nil {
			return loader, err
		}
		return loader.Method("get_code", "__main__")
	case p.Kind != Code:
		return builtins.Method("compile", p.source, file, "exec", flags, dontInherit)
	}
	raw, err := py.FSDecode(tok, p.Text)
	if err != nil {
		return raw, err
	}
	text, err := call("dedent", raw)
	if err != nil {
		return text, err
	}
	code, err := builtins.Method("compile", text, "<string>", "exec", flags, dontInherit)
	if err == nil {
		_, err = call("known_source", code, text)
	}
	return code, err
}
