// Command gilt runs Python inside a Go process: existing programs (gilt run), a Python function over
// JSON Lines (gilt map), a check of the installation (gilt doctor), the benchmarks (gilt bench), a check of
// Go code that uses gilt (gilt vet).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"gilt"
	_ "gilt/embedded"
	"gilt/internal/cpython"
	"gilt/internal/discover"
)

// The exit codes. exitHelp documents those of every command; `gilt map` and `gilt run` have more, which their
// own helps document, and `gilt run` those of the Python program.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitSome        = 3   // gilt map: done, but records were left out or recorded as errors
	exitOutputLost  = 120 // as python3: buffered output could not be written at the end
	exitInterrupted = 130
	exitPipe        = 141 // stdout's reader has gone
)

const exitHelp = `Exit codes:
  0    all went well
  1    the work failed; stderr says why
  2    the command line is wrong
  130  interrupted by Ctrl-C or SIGTERM`

// whichPython stands in the helps.
const whichPython = `It uses the Python that --python or GILT_PYTHON names (an interpreter, a libpython, the directory of an
installation or of a virtual environment, or "bundled"), else the active virtual environment that VIRTUAL_ENV names, else
the bundled CPython. A .venv in the working directory is not taken unasked, since whoever put it there would have their
code run: give --python .venv. 'gilt doctor' says which Python is taken, and why.`

func main() {
	if isVetUnit(os.Args[1:]) {
		vetUnit()
	}
	os.Exit(doMain(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// app is one run of the command line.
type app struct {
	stdin  io.Reader
	stdout *stream
	stderr io.Writer
	python string // --python
	code   int

	version int            // how often gilt run was given -V
	counts  map[string]int // python3's options that may be given again, such as -OO
}

// doMain runs the command line and gives the exit code. Python's own output goes to the process's
// file descriptors, whatever stdout and stderr are.
func doMain(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if stdout == os.Stdout && cpython.StdoutWasClosed() {
		stdout = closed{}
	}
	a := &app{stdin: stdin, stdout: &stream{w: stdout}, stderr: stderr}
	root := a.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteC()
	switch lost := a.stdout.err; {
	case errors.Is(lost, errStdoutClosed):
		a.failed(lost)
	case lost != nil && a.code == exitOK: // else it is reported
		a.failed(fmt.Errorf("stdout cannot be written: %s", fileError(lost)))
	case err != nil: // commands report their own failures: this is cobra's
		a.fail("%s; see '%s --help'", strings.TrimSpace(firstLine(err.Error())), cmd.CommandPath())
		return exitUsage
	}
	return a.code
}

// stream is stdout. It keeps its first error, so that nobody who prints has to look.
type stream struct {
	w   io.Writer
	err error
}

func (s *stream) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if s.err == nil {
		s.err = err
	}
	return n, err
}

// closed is the stdout of a process that was started without one (>&-), where os.Stdout is /dev/null.
type closed struct{}

var errStdoutClosed = errors.New("stdout is closed: send it to a file, a pipe or /dev/null")

func (closed) Write([]byte) (int, error) { return 0, errStdoutClosed }

// needsStdout is for commands whose work is for nothing without a stdout: they end when it says no.
func (a *app) needsStdout() bool {
	if _, gone := a.stdout.w.(closed); gone {
		a.stdout.err = errStdoutClosed
	}
	return a.stdout.err == nil
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "gilt",
		Short: "Run Python inside a Go process, scheduled fairly",
		Long: `gilt runs CPython inside a Go process.

` + whichPython + `

` + exitHelp,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		Run:           func(cmd *cobra.Command, _ []string) { _ = cmd.Help() },
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.PersistentFlags().StringVar(&a.python, "python", "", "the Python to use (defaults to GILT_PYTHON)")
	root.AddCommand(a.runCommand(), a.mapCommand(), a.doctorCommand(), a.benchCommand(), a.vetCommand(), a.licensesCommand(), a.versionCommand())
	return root
}

// open opens the runtime with c, and with the Python of the command line.
func (a *app) open(ctx context.Context, c gilt.Config) (*gilt.Runtime, error) {
	c.Python = a.python
	rt, err := gilt.Open(ctx, c)
	if e, ok := errors.AsType[*discover.Error](err); ok && e.Source == discover.SourceConfig {
		named := *e
		named.Source = "--python" // where the configuration comes from here
		return nil, &named
	}
	return rt, err
}

// noArgs is cobra.NoArgs, which takes arguments for commands.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s takes no arguments, and was given %q", cmd.Name(), args[0])
	}
	return nil
}

// count gives a number with its noun: 1 line, 2 lines.
func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// fail prints one sentence on stderr.
func (a *app) fail(format string, args ...any) {
	fmt.Fprintf(a.stderr, "gilt: %s\n", shown(fmt.Sprintf(format, args...)))
}

// failed reports an error and remembers that the work failed.
func (a *app) failed(err error) {
	if f, ok := errors.AsType[*functionError](err); ok {
		fmt.Fprint(a.stderr, shownLines(f.why.Traceback))
	}
	a.fail("%s", message(err))
	a.code = exitFailed
}

// message is an error's text without the names of packages, and on one line.
func message(err error) string {
	s := strings.TrimPrefix(err.Error(), "gilt: ")
	return strings.ReplaceAll(s, "\n", "; ")
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// fileError says which file, without Go's name of the system call.
func fileError(err error) string {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
