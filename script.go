package gilt

import (
	"context"
	"errors"
	"fmt"

	py "gilt/handles"
	"gilt/internal/program"
)

// Script is a Python program for Runtime.RunMain: one of Path, Module and Code.
type Script struct {
	Path   string   // a script, a .pyc, or a directory or archive with a __main__.py
	Module string   // as python3 -m
	Code   string   // as python3 -c
	Args   []string // sys.argv after its first element
}

func (s Script) program() (*program.Program, error) {
	var found []*program.Program
	for kind, text := range map[program.Kind]string{program.File: s.Path, program.Module: s.Module, program.Code: s.Code} {
		if text != "" {
			found = append(found, &program.Program{Kind: kind, Text: text})
		}
	}
	if len(found) != 1 {
		return nil, errors.New("gilt: RunMain: a Script has one of Path, Module and Code")
	}
	p := found[0]
	first := p.Text
	if p.Kind != program.File {
		first = "-" + string(p.Kind) // python3's own; a module's becomes its file
	}
	p.Argv = append([]string{first}, s.Args...)
	if err := p.Read(nil); err != nil {
		return nil, fmt.Errorf("gilt: RunMain: %w", err)
	}
	return p, nil
}

// RunMain runs a program as python3 would and waits for its end: in the module __main__, on Python's main thread and in
// the main interpreter, with its sys.argv and sys.path[0]. Signals stay Go's, buffered output is written and exit functions
// run when the runtime shuts down. Each call has a __main__ of its own, which stays until the next one.
//
// It may be called from any goroutine; other work on the main thread (OnMain) waits for the program's end, all other work
// goes on beside it. ctx bounds the wait for the thread: a program that runs is not interrupted.
//
// A program that ends, or exits with status 0, is no error. Any other exit is an error that matches
// handles.SystemExit, whose ExitCode is the status; an exception is a *handles.Error; a file that
// cannot be read matches what os.ReadFile returns.
func (rt *Runtime) RunMain(ctx context.Context, s Script) error {
	p, err := s.program()
	if err != nil {
		return err
	}
	err = rt.host.OnMain(ctx, func(tok *Token) error {
		before := rt.main
		rt.main = p
		return p.Exec(tok, before)
	})
	if e, ok := errors.AsType[*py.Error](err); ok {
		if status, exits := e.ExitCode(); exits && status == 0 {
			return nil
		}
	}
	return err
}
