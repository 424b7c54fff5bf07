// Package benchmarks is the harness behind `gilt bench`: named workloads, each measured against a naive
// embedder of CPython (package naive) in the same process, on the same Python, in turn with it.
//
// Where callers are in each other's way the other side is CPython's raw GIL: see system.
//
// A figure is the least of some rounds; the median stands beside it. The rounds of the two sides
// interleave, so that a slow moment of the machine meets both, and the ratio is what to quote. The names
// are those that other embedders' benchmarks use; `gilt bench --list` says what one operation is.
package benchmarks

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"gilt"
	"gilt/benchmarks/naive"
)

// options are the command line's.
type options struct {
	json, list bool
	run        *regexp.Regexp
	rounds     int
	round      time.Duration
	python     string
	picture    string
}

// Main runs the harness with the arguments that follow `gilt bench` and gives the exit status: 0, 1 when
// a workload failed or Python did not start, 2 for arguments that make no sense. It opens Python, which a
// process can do only once.
func Main(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return 2
	}
	chosen := choose(o.run)
	if len(chosen) == 0 {
		fmt.Fprintf(stderr, "gilt bench: no workload matches --run %q: see gilt bench --list\n", o.run)
		return 2
	}
	if o.list {
		list(stdout, chosen)
		return 0
	}
	if o.picture != "" {
		if err := checkPicture(o.picture, chosen); err != nil {
			fmt.Fprintln(stderr, "gilt bench:", err)
			return 2
		}
	}
	if err := measure(o, chosen, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "gilt bench:", err)
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("gilt bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.BoolVar(&o.json, "json", false, "print one JSON object a line")
	flags.BoolVar(&o.list, "list", false, "list the workloads and what one operation of each is")
	flags.IntVar(&o.rounds, "rounds", 7, "rounds of each side; the least counts")
	ms := flags.Int("round-ms", 50, "milliseconds a round takes; rounds of several goroutines take four times that")
	run := flags.String("run", "", "only workloads whose name matches this regular `expression`")
	flags.StringVar(&o.python, "python", "", "the Python to measure, as Config.Python")
	flags.StringVar(&o.picture, "picture", "", "draw the latencies of attach_under_hog to this `file`, .svg or .png")
	if err = flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.rounds < 1 || o.rounds > 1000:
		err = fmt.Errorf("--rounds %d: give 1 to 1000", o.rounds)
	case *ms < 1 || *ms > 60_000:
		err = fmt.Errorf("--round-ms %d: give 1 to 60000", *ms)
	default:
		if o.run, err = regexp.Compile(*run); err != nil {
			err = fmt.Errorf("--run: %w", err)
		}
	}
	if err != nil {
		fmt.Fprintln(stderr, "gilt bench:", err)
	}
	o.round = time.Duration(*ms) * time.Millisecond
	return o, err
}

func choose(run *regexp.Regexp) (chosen []workload) {
	for _, w := range append(workloads(), versusChoices(run.String())...) {
		if run.MatchString(w.name) {
			chosen = append(chosen, w)
		}
	}
	return chosen
}

// maxThreads is MaxThreads while workloads run: enough for sleepers_512. Only the workloads that block
// that many callers get near it or the default of 256, and they print it.
const maxThreads = 640

// measure opens Python, runs the workloads and shuts Python down. A workload that fails is reported, and
// the others run.
func measure(o options, chosen []workload, stdout, stderr io.Writer) (err error) {
	ctx := context.Background()
	rt, err := gilt.Open(ctx, gilt.Config{Python: o.python, MaxThreads: maxThreads})
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		err = errors.Join(err, rt.Shutdown(ctx))
	}()
	e, err := newEnv(ctx, rt, o)
	if err != nil {
		return err
	}
	defer e.close()
	report := newReport(o.json, rt.Info(), stdout)
	failed := 0
	for _, w := range chosen {
		r, err := w.run(e)
		if err != nil {
			failed++
			fmt.Fprintf(stderr, "gilt bench: %s: %v\n", w.name, err)
			continue
		}
		if err := report.add(w.name, r); err != nil {
			return err
		}
		if w.name == pictured && o.picture != "" {
			if err := drawPicture(o.picture, r, rt.Info()); err != nil {
				return err
			}
		}
	}
	if err := report.end(); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d workloads failed", failed, len(chosen))
	}
	return nil
}

// workload is one named measurement.
type workload struct {
	name, what string
	run        func(*env) (result, error)
}

// workloads are all of them, in the order they run: those that count OS threads come first, while the
// process has few, and the one that makes many comes last.
func workloads() []workload {
	var all []workload
	for _, group := range [][]workload{threadCounts(), tokenHeld(), bothWays(), cancellations(), wholeTasks(), contended(), sleepers()} {
		all = append(all, group...)
	}
	all = append(all, services()...)
	return all
}

func list(w io.Writer, chosen []workload) {
	for _, c := range chosen {
		fmt.Fprintf(w, "%-27s %s\n", c.name, c.what)
	}
	if !strings.HasPrefix(chosen[len(chosen)-1].name, versusWord) {
		fmt.Fprintf(w, "%-27s is gilt ever worse than a semaphore or the raw GIL? %d workloads, some 3 minutes: see --list --run %[1]s\n", versusWord, len(versusWorkloads()))
	}
}

// newEnv prepares the Python module on which the workloads run, for gilt and for the naive embedder.
func newEnv(ctx context.Context, rt *gilt.Runtime, o options) (*env, error) {
	e := &env{ctx: ctx, rt: rt, rounds: o.rounds, round: o.round}
	if err := e.prepare(); err != nil {
		return nil, err
	}
	return e, naive.Open(moduleName, taskFunctions...)
}
