package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"gilt"
	py "gilt/handles"
	"gilt/internal/cpython/python3"
	"gilt/internal/program"
	"gilt/thread"
)

//go:embed run.py
var runSource string

const runHelp = `Run existing Python code as python3 would: in the real __main__ module, on Python's main thread, with
sys.argv, sys.path, signals, tracebacks and exit codes as they are there.

FILE is a script, a directory or zip archive with a __main__.py, a .pyc, or - for stdin (also without
FILE). All that follows FILE, -c CODE or -m MODULE belongs to the program. python3's options -W -X -O -u -I -E -B -V -v -q -s -S -b
and the PYTHON* environment variables work; text is UTF-8 whatever the locale.

` + whichPython + `

What differs from python3: there is no prompt when stdin is a terminal; a handler of SIGURG is Go's; SIGRTMAX-3
is gilt's.

Exit codes: the program's own (sys.exit(3) gives 3), and
  0    it ended
  1    it raised an exception; or Python could not be opened
  2    the command line is wrong, or FILE cannot be read
  120  buffered output could not be written at the end
An uncaught KeyboardInterrupt (Ctrl-C) ends the process by SIGINT: a shell says 130.`

// exitSIGINT is run.py's: the program did not catch Ctrl-C, and the process ends by SIGINT, as python3 does.
const exitSIGINT = -int(syscall.SIGINT)

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

func (a *app) parseRun(args []string) (p program.Program, help bool, err error) {
	var options []string
	defer func() { p.Options = options }()
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
			p.Kind, p.Text = program.Kind(arg[1]), arg[2:]
			if p.Text == "" {
				if len(rest) == 0 {
					return p, false, fmt.Errorf("%s needs a value: %s", arg, map[program.Kind]string{program.Code: "the code to run", program.Module: "the module to run"}[p.Kind])
				}
				p.Text, rest = rest[0], rest[1:]
			}
			p.Argv = append([]string{arg[:2]}, rest...)
			return p, false, nil
		case arg == "-":
			return program.Program{Kind: program.Stdin, Argv: args}, false, nil
		case arg == "--":
			if args = rest; len(rest) == 0 {
				continue
			}
			return program.Program{Kind: program.File, Text: rest[0], Argv: rest}, false, nil
		case strings.HasPrefix(arg, "-"):
			used, err := a.options(arg, rest)
			if err != nil {
				return p, false, err
			}
			options, args = append(options, args[:1+used]...), rest[used:]
			if a.version > 0 {
				text := map[bool]string{false: "sys.version.split()[0]", true: "sys.version"}[a.version > 1]
				return program.Program{Kind: program.Code, Text: `import sys; print("Python", ` + text + ")", Argv: []string{"-c"}}, false, nil
			}
			continue
		default:
			return program.Program{Kind: program.File, Text: arg, Argv: args}, false, nil
		}
	}
	if terminal(a.stdin) {
		return p, false, errors.New("nothing to run: give FILE, -c CODE or -m MODULE, or a program on stdin")
	}
	return program.Program{Kind: program.Stdin, Argv: []string{""}}, false, nil
}

// run is called by the main goroutine, whose thread becomes Python's main thread.
func (a *app) run(p program.Program) (code int) {
	python3.Begin()
	thread.AsMain(func() { code = a.runBeside(p) })
	if code == exitSIGINT {
		python3.Die(syscall.SIGINT) // so that a shell's loop ends too
	}
	return code
}

func (a *app) runBeside(p program.Program) int {
	if err := p.Read(a.stdin); err != nil {
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
		code = exitSIGINT
	case err != nil:
		a.fail("%s", message(err))
		code = exitFailed
	}
	// Exit functions run now, and buffered output is written.
	switch err := rt.Shutdown(ctx); {
	case code == exitSIGINT:
	case errors.Is(err, gilt.ErrOutputLost):
		code = exitOutputLost // Python has printed why
	case err != nil:
		a.fail("%s", message(err))
		code = max(code, exitFailed)
	}
	return code
}

func (a *app) runOn(ctx context.Context, rt *gilt.Runtime, p program.Program) (code int, err error) {
	err = rt.OnMain(ctx, func(tok *gilt.Token) error {
		builtins, err := py.Import(tok, "builtins")
		if err != nil {
			return err
		}
		around, err := py.NewDict(tok, map[string]any{"__name__": "_gilt_run", "__builtins__": builtins})
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
		if _, err := call("signals"); err != nil {
			return err
		}
		raised := p.Exec(tok, nil)
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
