package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gilt"
	py "gilt/handles"
)

//go:embed run.py
var runSource string

const runHelp = `Run existing Python code as python3 would: in the real __main__ module, on Python's main thread, with
sys.argv, sys.path, signals, tracebacks and exit codes as they are there.

FILE is a script, a directory or zip archive with a __main__.py, a .pyc, or - for stdin (also without
FILE). All that follows FILE, -c CODE or -m MODULE belongs to the program. The PYTHON* environment
variables work (PYTHONUNBUFFERED=1 for python3 -u); text is UTF-8 whatever the locale.

What differs from python3: os._exit ends the process at once without flushing, as there; a crash in a C
extension prints Go's report instead of the shell's; after an asyncio loop that used add_signal_handler,
Ctrl-C ends a blocking call only when the call returns; there is no prompt when stdin is a terminal.

Exit codes: the program's own (sys.exit(3) gives 3), and
  0    it ended
  1    it raised an exception; or Python could not be opened
  2    the command line is wrong, or FILE cannot be read
  120  buffered output could not be written at the end
  130  KeyboardInterrupt (Ctrl-C)`

func (a *app) runCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run [--python PYTHON] [FILE | -c CODE | -m MODULE] [ARG…]",
		Short: "Run Python code as python3 would",
		Long:  runHelp,
		Example: `  gilt run report.py --month 5
  gilt run -m http.server 8000
  gilt run -c 'import sys; print(sys.version)'`,
		DisableFlagParsing: true, // what follows FILE is the program's
		RunE: func(cmd *cobra.Command, args []string) error {
			p, help, err := a.parseRun(args)
			switch {
			case err != nil:
				return err
			case help:
				return cmd.Help()
			}
			a.code = a.run(p)
			return nil
		},
	}
}

// program is what `gilt run` runs.
type program struct {
	kind   byte   // 'f' file, 'c' code, 'm' module, '-' stdin
	text   string // the file's path, the code, or the module's name
	argv   []string
	source []byte // of a file or of stdin
	pkg    bool   // the file is a directory
}

func (a *app) parseRun(args []string) (p program, help bool, err error) {
	for len(args) > 0 {
		arg, rest := args[0], args[1:]
		name, value, attached := strings.Cut(arg, "=")
		switch {
		case arg == "-h" || arg == "--help":
			return p, true, nil
		case name == "--python":
			if !attached {
				if len(rest) == 0 {
					return p, false, errors.New("--python needs a value")
				}
				value, rest = rest[0], rest[1:]
			}
			a.python, args = value, rest
			continue
		case strings.HasPrefix(arg, "-c"), strings.HasPrefix(arg, "-m"):
			p.kind, p.text = arg[1], arg[2:]
			if p.text == "" {
				if len(rest) == 0 {
					return p, false, fmt.Errorf("%s needs a value: %s", arg, map[byte]string{'c': "the code to run", 'm': "the module to run"}[p.kind])
				}
				p.text, rest = rest[0], rest[1:]
			}
			p.argv = append([]string{arg[:2]}, rest...)
			return p, false, nil
		case arg == "-":
			return program{kind: '-', argv: args}, false, nil
		case arg == "--":
			if args = rest; len(rest) == 0 {
				continue
			}
			return program{kind: 'f', text: rest[0], argv: rest}, false, nil
		case strings.HasPrefix(arg, "-"):
			return p, false, fmt.Errorf("unknown option %s: options of the program go behind FILE; python3's own are set by PYTHON* variables", arg)
		default:
			return program{kind: 'f', text: arg, argv: args}, false, nil
		}
	}
	if terminal(a.stdin) {
		return p, false, errors.New("nothing to run: give FILE, -c CODE or -m MODULE, or a program on stdin")
	}
	return program{kind: '-', argv: []string{""}}, false, nil
}

// read gets the program's text before Python starts, so that a missing file costs nothing.
func (p *program) read(stdin io.Reader) (err error) {
	switch p.kind {
	case '-':
		if p.source, err = io.ReadAll(stdin); err != nil {
			return fmt.Errorf("stdin cannot be read: %s", fileError(err))
		}
	case 'f':
		if info, err := os.Stat(p.text); err == nil && info.IsDir() {
			p.pkg = true
			return nil
		}
		if p.source, err = os.ReadFile(p.text); err != nil {
			return fmt.Errorf("script %s cannot be read: %s", p.text, fileError(err))
		}
	}
	return nil
}

func (a *app) run(p program) int {
	if err := p.read(a.stdin); err != nil {
		a.fail("%s", message(err))
		return exitUsage
	}
	ctx := context.Background()
	// CPython's own switch interval: the program's threads have only each other.
	rt, err := a.open(ctx, gilt.Config{SwitchInterval: 5 * time.Millisecond})
	if err != nil {
		a.fail("%s", message(err))
		return exitFailed
	}
	code, err := a.runOn(ctx, rt, p)
	switch {
	case errors.Is(err, py.KeyboardInterrupt): // between the program and its report
		code = exitInterrupted
	case err != nil:
		a.fail("%s", message(err))
		code = exitFailed
	}
	// Exit functions run now, and buffered output is written.
	switch err := rt.Shutdown(ctx); {
	case errors.Is(err, gilt.ErrOutputLost):
		code = exitOutputLost // Python has printed why
	case err != nil:
		a.fail("%s", message(err))
		code = max(code, exitFailed)
	}
	return code
}

func (a *app) runOn(ctx context.Context, rt *gilt.Runtime, p program) (code int, err error) {
	wake, number, err := os.Pipe() // open until the process ends: signals come until then
	if err != nil {
		return 0, fmt.Errorf("no pipe for signals: %w", err)
	}
	err = rt.OnMain(ctx, func(tok *gilt.Token) error {
		builtins, err := py.Import(tok, "builtins")
		if err != nil {
			return err
		}
		around, err := py.Dict(tok, map[string]any{"__name__": "_gilt_run", "__builtins__": builtins})
		if err != nil {
			return err
		}
		if err := py.RunFile(tok, runSource, "<gilt run>", around); err != nil {
			return err
		}
		call := func(name string, args ...any) (py.Bound, error) {
			f, err := around.Item(name)
			if err != nil {
				return f, err
			}
			return f.Call(args...)
		}
		if err := interruptible(rt, around, call, wake, number); err != nil {
			return err
		}
		raised := p.exec(tok, call)
		ended := py.None(tok)
		if e, ok := errors.AsType[*py.Error](raised); ok && !e.Bind(tok).IsZero() {
			ended = e.Bind(tok)
		} else if raised != nil {
			return raised
		}
		status, err := call("finish", ended)
		if err != nil {
			return err
		}
		n, err := status.Int64()
		code = int(n)
		return err
	})
	return code, err
}

type caller func(name string, args ...any) (py.Bound, error)

// interruptible makes signals reach the program as under python3: see run.py.
func interruptible(rt *gilt.Runtime, around py.Bound, call caller, wake, number *os.File) error {
	raw, err := number.SyscallConn()
	if err != nil {
		return err
	}
	var fd uintptr
	if err := raw.Control(func(n uintptr) { fd = n }); err != nil {
		return err
	}
	got, err := call("signals", int(fd))
	if err != nil {
		return err
	}
	nudge, err := got.Int64()
	if err != nil {
		return err
	}
	ident, err := call("thread")
	if err != nil {
		return err
	}
	main, err := ident.Int64()
	if err != nil {
		return err
	}
	f, err := around.Item("nudge")
	if err != nil {
		return err
	}
	send := f.Unbind()
	go func() {
		var caught [16]byte
		for {
			n, err := wake.Read(caught[:])
			if err != nil {
				return
			}
			if !slices.ContainsFunc(caught[:n], func(b byte) bool { return int64(b) != nudge }) {
				continue // the nudge itself
			}
			_ = rt.Do(context.Background(), func(tok *gilt.Token) error {
				_, err := send.Bind(tok).Call(main, nudge)
				return err
			})
		}
	}()
	return nil
}

// exec runs the program and gives the exception that ended it. It is called from Go directly, so that
// no frame of gilt's is on the program's stack.
func (p *program) exec(tok *gilt.Token, call caller) error {
	path0, file := "", ""
	if p.kind == 'f' || p.kind == 'm' {
		cwd, err := os.Getwd()
		if err != nil {
			return fmt.Errorf("the working directory cannot be read: %w", err)
		}
		path0, file = cwd, p.text
		if p.kind == 'f' && !filepath.IsAbs(file) {
			file = cwd + "/" + file // as python3 does, without tidying it up
		}
	}
	if p.kind == 'm' {
		return p.module(tok, call, p.text, true, path0)
	}
	if p.kind == 'f' {
		archive, err := call("importable", file)
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

func (p *program) module(tok *gilt.Token, call caller, name string, alterArgv bool, path0 string) error {
	if _, err := call("prepare", p.argv, path0); err != nil {
		return err
	}
	runpy, err := py.Import(tok, "runpy")
	if err != nil {
		return err
	}
	_, err = runpy.Method("_run_module_as_main", name, alterArgv)
	return err
}

func (p *program) script(tok *gilt.Token, call caller, file, path0 string) error {
	if _, err := call("prepare", p.argv, path0); err != nil {
		return err
	}
	compiled := strings.HasSuffix(file, ".pyc")
	var name any // None for -c
	switch p.kind {
	case '-':
		file, name = "<stdin>", "<stdin>"
	case 'f':
		name = file
	}
	main, err := call("main", name, !compiled)
	if err != nil {
		return err
	}
	builtins, err := py.Import(tok, "builtins")
	if err != nil {
		return err
	}
	code, err := p.code(builtins, main, call, file, compiled)
	if err != nil {
		return err
	}
	_, err = builtins.Method("exec", code, main)
	return err
}

// code compiles the program. Bytes, so that a byte order mark and a coding line count as in a file.
func (p *program) code(builtins, main py.Bound, call caller, file string, compiled bool) (py.Bound, error) {
	const flags, dontInherit = 0, true
	switch {
	case compiled:
		loader, err := main.Item("__loader__")
		if err != nil {
			return loader, err
		}
		return loader.Method("get_code", "__main__")
	case p.kind != 'c':
		return builtins.Method("compile", p.source, file, "exec", flags, dontInherit)
	}
	code, err := builtins.Method("compile", p.text, "<string>", "exec", flags, dontInherit)
	if err == nil {
		_, err = call("known_source", code, p.text)
	}
	return code, err
}
