package main

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"gilt"
	"gilt/internal/discover"
)

//go:embed map.py
var mapSource string

const mapHelp = `Send JSON Lines through a Python function: each line of INPUT (files, or stdin with - or none) is decoded
and given to the function, and what it returns becomes a line of the output, in the order of the input.

The function is NAME in FILE.py, or in a module found from the working directory or installed for this
Python. Ints and floats stay exact. Empty lines are left out. What the function prints goes to stderr. So does
what it and its child processes write to the descriptor of stdout, when the records go to stdout.
What an exception says is shown without control characters.
Keep in mind that with --workers above 1 it is called from several threads at once: that pays when it
waits (network, disk); when it computes, use --interpreters. os._exit in the function ends everything.

Bad records (not JSON, not UTF-8, too long, or the function raises, sys.exit included), by --on-error:
  stop    end with an error; what came before is written
  skip    leave them out, and name the first ten on stderr
  record  write {"line": N, "error": "…", "traceback": "…"} in their place (and "file" for a named input)

Each record has an outcome of its own. When the call for a batch of records fails as a whole (memory is
short, an exception comes from outside), they are given to the function again one by one.

-o FILE appears, by a rename, when all is done. When the work ends early (an error, Ctrl-C), FILE is not
touched, and the whole lines that were done are kept in FILE.partial. Ctrl-C lets the calls that run end
(for 3 s; a second Ctrl-C does not wait) and says how far it came.

` + whichPython + `

Exit codes:
  0    all records were mapped
  1    the work failed; stderr says at which line and why
  2    the command line is wrong
  3    all was done, but records were skipped or recorded as errors
  130  interrupted by Ctrl-C or SIGTERM; what was written is whole lines, in order
  141  the reader of stdout has gone (as in | head)`

// mapOptions are the flags of `gilt map`.
type mapOptions struct {
	function     string
	output       string
	onError      string
	maxRecord    string
	workers      int
	interpreters int
	unordered    bool
	quiet        bool

	recordBytes int
}

func (a *app) mapCommand() *cobra.Command {
	var o mapOptions
	cmd := &cobra.Command{
		Use:   "map --func FILE.py:NAME|MODULE:NAME [INPUT…]",
		Short: "Send JSON Lines through a Python function",
		Long:  mapHelp,
		Example: `  gilt map --func clean.py:clean raw.jsonl -o clean.jsonl
  zcat logs.gz | gilt map --func geo:locate --workers 32 --on-error skip | head`,
		RunE: func(_ *cobra.Command, inputs []string) error {
			if err := o.check(); err != nil {
				return err
			}
			a.mapMain(o, inputs)
			return nil
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVarP(&o.function, "func", "f", "", "the function: FILE.py:NAME or MODULE:NAME (required)")
	f.StringVarP(&o.output, "output", "o", "", "write to this file instead of stdout")
	f.StringVar(&o.onError, "on-error", "stop", "what becomes of bad records: stop, skip or record")
	f.IntVar(&o.workers, "workers", 0, "calls under way at once (default one for each interpreter)")
	f.IntVar(&o.interpreters, "interpreters", 1, "interpreters with a GIL of their own (CPython 3.12 on; 3.13 recommended)")
	f.BoolVar(&o.unordered, "unordered", false, "write results as they come")
	f.StringVar(&o.maxRecord, "max-record", "64MiB", "longest line that is accepted")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no progress and no summary")
	return cmd
}

// check finds what is wrong with the flags.
func (o *mapOptions) check() error {
	switch {
	case o.function == "":
		return errors.New("--func is missing: name the function as FILE.py:NAME or MODULE:NAME")
	case o.onError != "stop" && o.onError != "skip" && o.onError != "record":
		return fmt.Errorf("--on-error %s: use stop, skip or record", o.onError)
	case o.workers < 0 || o.workers > 1024:
		return fmt.Errorf("--workers %d: use 1 to 1024", o.workers)
	case o.interpreters < 1 || o.interpreters > 63:
		return fmt.Errorf("--interpreters %d: use 1 to 63", o.interpreters)
	}
	var err error
	o.recordBytes, err = parseSize(o.maxRecord)
	return err
}

// parseSize reads 1000, 64KiB, 64MiB, 1GiB (K, M and G for short).
func parseSize(s string) (int, error) {
	digits := strings.TrimRight(s, "KMGiB")
	shift, known := map[string]int{"": 0, "B": 0, "K": 10, "KiB": 10, "M": 20, "MiB": 20, "G": 30, "GiB": 30}[s[len(digits):]]
	n, err := strconv.Atoi(digits)
	if err != nil || !known || n < 1 || n > (1<<31-1)>>shift {
		return 0, fmt.Errorf("--max-record %s: give bytes, or a number with KiB, MiB or GiB, below 2GiB", s)
	}
	return n << shift, nil
}

// target is where the function is.
type target struct{ module, name, file, dir string }

// parseTarget takes FILE.py:NAME or MODULE:NAME apart and looks at the file.
func parseTarget(spec string) (t target, err error) {
	i := strings.LastIndexByte(spec, ':')
	if i < 1 || i == len(spec)-1 {
		return t, fmt.Errorf("--func %s: write it as FILE.py:NAME or MODULE:NAME", spec)
	}
	t.module, t.name = spec[:i], spec[i+1:]
	for part := range strings.SplitSeq(t.name, ".") {
		if !identifier(part) {
			return t, fmt.Errorf("--func %s: %q is not the name of a Python function", spec, t.name)
		}
	}
	if !strings.HasSuffix(t.module, ".py") && !strings.ContainsRune(t.module, filepath.Separator) {
		for part := range strings.SplitSeq(t.module, ".") {
			if !identifier(part) {
				return t, fmt.Errorf("--func %s: %q is not the name of a Python module", spec, t.module)
			}
		}
		t.dir, err = os.Getwd()
		return t, err
	}
	if t.file, err = filepath.Abs(t.module); err != nil {
		return t, err
	}
	info, err := os.Stat(t.file)
	switch {
	case err != nil:
		return t, fmt.Errorf("--func %s: %s cannot be read: %s", spec, t.module, fileError(err))
	case info.IsDir():
		return t, fmt.Errorf("--func %s: %s is a directory: name a .py file in it", spec, t.module)
	}
	stem := strings.TrimSuffix(filepath.Base(t.file), ".py")
	if !strings.HasSuffix(t.file, ".py") || !identifier(stem) {
		return t, fmt.Errorf("--func %s: %s cannot be imported: its name must be a Python identifier and end in .py; rename or link it", spec, filepath.Base(t.file))
	}
	t.module, t.dir = stem, filepath.Dir(t.file)
	return t, nil
}

func identifier(s string) bool {
	for i, r := range s {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= 0x80
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

// mapMain does the work and reports how it went.
func (a *app) mapMain(o mapOptions, names []string) {
	t, err := parseTarget(o.function)
	if err != nil {
		a.fail("%s", message(err))
		a.code = exitUsage
		return
	}
	if (o.output == "" || o.output == "-") && !a.needsStdout() {
		return
	}
	in, err := openInputs(names, a.stdin)
	if err != nil {
		a.failed(err)
		return
	}
	out, err := openOutput(o.output, a.stdout)
	if err == nil && out.file == nil {
		err = a.takeStdout() // after the output was opened, which may be /dev/stdout
	}
	if err != nil {
		a.failed(err)
		return
	}
	interrupts := make(chan os.Signal, 2)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(interrupts)
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, syscall.SIGPIPE) // nobody receives it: it is caught so that writes give EPIPE, Python's too
	defer signal.Stop(pipes)
	rt, fn, tidy, err := a.openFunction(o, t, interrupts)
	defer tidy()
	switch {
	case errors.Is(err, errInterrupted):
		out.abandon()
		a.fail("interrupted: nothing was written")
		a.code = exitInterrupted
		return
	case err != nil:
		out.abandon()
		a.failed(err)
		return
	}
	j := newJob(o, in, out, fn, a.stderr)
	watching := j.watch(interrupts)
	p := a.startProgress(o, j)
	err = j.run(context.Background(), workersOf(o, rt.Info()))
	p.stop()
	close(watching)
	a.ended(o, j, out, err)
	signal.Stop(interrupts) // from here on Ctrl-C ends the process
	// A call that does not end must not keep the process: its results are counted out already.
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	if err == nil {
		cancel()
		ctx, cancel = context.WithCancel(context.Background())
	}
	defer cancel()
	if err := rt.Shutdown(ctx); err != nil && !errors.Is(err, gilt.ErrShutdownIncomplete) && a.code == exitOK {
		a.failed(err)
	}
}

func workersOf(o mapOptions, i gilt.Info) int {
	switch {
	case o.workers > 0:
		return o.workers
	case i.Mode == gilt.GIL:
		return 1
	}
	return i.Interpreters
}

// ended finishes the output and says how it went.
func (a *app) ended(o mapOptions, j *job, out *output, err error) {
	if err == nil {
		err = out.commit()
	} else if kept := out.keep(); kept != "" {
		defer a.fail("what was done is in %s: %s", kept, count(j.written.Load(), "line"))
	}
	failure, isRecord := errors.AsType[*recordError](err)
	switch {
	case err == nil:
		if j.bad.Load() > 0 {
			a.code = exitSome
		}
	case errors.Is(err, syscall.EPIPE):
		a.code = exitPipe
		return
	case errors.Is(err, errInterrupted):
		a.code = exitInterrupted
		a.fail("interrupted: %s", j.reached())
	case isRecord:
		a.code = exitFailed
		if failure.Traceback != "" {
			fmt.Fprint(a.stderr, shownLines(failure.Traceback))
		}
		a.fail("%s; use --on-error skip or record to go on", failure)
	default:
		a.failed(err)
	}
	if !o.quiet {
		fmt.Fprintf(a.stderr, "gilt map: %s\n", j.summary())
	}
}

// openFunction starts Python and finds the function in one interpreter. tidy is to be called at the end,
// whatever err is. An import that takes long is left behind when a signal comes.
func (a *app) openFunction(o mapOptions, t target, interrupts <-chan os.Signal) (rt *gilt.Runtime, fn *gilt.Func[[]byte, []byte], tidy func(), err error) {
	dir, err := os.MkdirTemp("", "gilt-map-")
	if err != nil {
		return nil, nil, func() {}, fmt.Errorf("no temporary directory: %s: %s; set TMPDIR to one that can be written", os.TempDir(), fileError(err))
	}
	tidy = func() { _ = os.RemoveAll(dir) }
	literal := func(s string) string { return fmt.Sprintf("os.fsdecode(bytes.fromhex('%x'))", s) } // it may have any bytes
	source := fmt.Sprintf("%s\n\nMODULE, NAME, FILE, DIR, STOP = %s, %s, %s, %s, %s\n", mapSource, literal(t.module), literal(t.name),
		literal(t.file), literal(t.dir), map[bool]string{true: "True", false: "False"}[o.onError == "stop"])
	if err := os.WriteFile(filepath.Join(dir, "_gilt_map.py"), []byte(source), 0o600); err != nil {
		return nil, nil, tidy, fmt.Errorf("the temporary directory %s cannot be written: %s; set TMPDIR to another one", dir, fileError(err))
	}
	opened := make(chan struct{})
	var open struct {
		rt  *gilt.Runtime
		fn  *gilt.Func[[]byte, []byte]
		err error
	}
	go func() {
		defer close(opened)
		open.rt, open.fn, open.err = a.openAndFind(context.Background(), o, dir)
	}()
	select {
	case <-opened:
		return open.rt, open.fn, tidy, open.err
	case <-interrupts:
		return nil, nil, tidy, errInterrupted
	}
}

func (a *app) openAndFind(ctx context.Context, o mapOptions, dir string) (*gilt.Runtime, *gilt.Func[[]byte, []byte], error) {
	c := gilt.Config{Path: []string{dir}, MaxThreads: max(256, o.workers)}
	if o.interpreters > 1 {
		c.Interpreters = o.interpreters
	}
	rt, err := a.open(ctx, c)
	if err != nil {
		if p, none := discover.Find(ctx, discover.Options{Python: a.python}); none == nil && c.Interpreters > 1 && p.Minor < 12 {
			err = fmt.Errorf("--interpreters %d needs CPython 3.12 or later, and %s is %s: leave --interpreters out, or name another Python with --python", o.interpreters, p.Library, cmp.Or(p.Version, "older"))
		}
		return nil, nil, err
	}
	fn, err := find(ctx, rt, o)
	if err != nil {
		return nil, nil, errors.Join(err, rt.Shutdown(ctx))
	}
	return rt, fn, nil
}

func find(ctx context.Context, rt *gilt.Runtime, o mapOptions) (*gilt.Func[[]byte, []byte], error) {
	load, err := gilt.Lookup[struct{}, []byte](ctx, rt, "_gilt_map:load")
	if err != nil {
		return nil, err
	}
	refused, err := load.Call(ctx, struct{}{})
	if err != nil {
		return nil, err
	}
	if len(refused) > 0 {
		return nil, refusal(o, refused)
	}
	return gilt.Lookup[[]byte, []byte](ctx, rt, "_gilt_map:run")
}

// refusal is why the function cannot be used.
func refusal(o mapOptions, answer []byte) error {
	var why recordError
	if err := json.Unmarshal(answer, &why); err != nil {
		return fmt.Errorf("--func %s: %w", o.function, err)
	}
	why.nameRefused(o)
	return &functionError{spec: o.function, why: why}
}

type functionError struct {
	spec string
	why  recordError
}

func (e *functionError) Error() string { return "--func " + e.spec + ": " + e.why.Message }
