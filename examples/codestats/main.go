// Codestats is a data-parallel job over real input: every .py file of the running Python's own standard
// library. Go reads the files, hashes and compresses them without the GIL; Python parses them and counts
// functions, classes, lines and nesting, in as many interpreters with a GIL of their own as there are
// processors. It writes one JSON line a file, in the order of the paths, and compares its time with one
// GIL's and with multiprocessing.Pool's.
//
//	go run ./examples/codestats [-o FILE] [-dir DIR] [-interpreters N] [-no-compare]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

type options struct {
	output       string
	dir          string
	interpreters int
	noCompare    bool
	oneGIL       bool // be the child process that does the job on one GIL: see serve
}

func main() {
	// A closed stdout is then an error of its write, not the end of the process.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := doMain(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func doMain(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil {
		err = run(ctx, o, stdin, stdout, stderr)
	}
	if err == nil {
		return 0
	}
	if ctx.Err() != nil {
		err = errors.New("stopped by a signal")
	}
	fmt.Fprintln(stderr, "codestats:", err)
	return 1
}

func parse(args []string, stderr io.Writer) (options, error) {
	o := options{oneGIL: len(args) > 0 && args[0] == oneGILCommand}
	if o.oneGIL {
		args = args[1:]
	}
	fs := flag.NewFlagSet("codestats", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.output, "o", "codestats.jsonl", "write the JSON lines to this `file`")
	fs.StringVar(&o.dir, "dir", "", "take the .py files below this `directory` (default: Python's standard library)")
	fs.IntVar(&o.interpreters, "interpreters", min(runtime.NumCPU(), 63), "run Python in this many interpreters")
	fs.BoolVar(&o.noCompare, "no-compare", false, "leave the comparison with one GIL and with multiprocessing out")
	err := fs.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(stderr, "usage: codestats [-o FILE] [-dir DIR] [-interpreters N] [-no-compare]")
		fs.SetOutput(stderr)
		fs.PrintDefaults()
	case err != nil:
		return o, fmt.Errorf("%w: -help lists the flags", err)
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q: -help lists the flags", fs.Arg(0))
	case o.interpreters < 1 || o.interpreters > 63:
		return o, fmt.Errorf("-interpreters %d: give 1 to 63", o.interpreters)
	}
	return o, err
}

func run(ctx context.Context, o options, stdin io.Reader, stdout, stderr io.Writer) error {
	modules, err := unpackModules()
	if err != nil {
		return err
	}
	defer os.RemoveAll(modules)
	j, err := open(ctx, o, modules, stderr)
	if err != nil {
		return err
	}
	defer func() { _ = j.rt.Close() }() // the results are out by then
	if o.oneGIL {
		return j.serve(ctx, stdin, stdout)
	}
	report, err := j.write(ctx, o.output, stderr)
	if err != nil {
		return err
	}
	if err := report.print(stdout); err != nil {
		return fmt.Errorf("%s is written, but not the summary: %w", o.output, err)
	}
	if o.noCompare {
		return nil
	}
	fmt.Fprintln(stderr, "codestats: comparing with one GIL and with multiprocessing, half a minute or so; -no-compare leaves it out")
	err = j.compare(ctx, o, modules, stdout)
	if errors.As(err, new(impossibleError)) {
		_, err = fmt.Fprintf(stdout, "\nnot compared with multiprocessing.Pool(%d): %v\n", o.interpreters, err)
	}
	if err != nil {
		return fmt.Errorf("%s is written, but the comparison failed: %w", o.output, err)
	}
	return nil
}
