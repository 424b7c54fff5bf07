package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// oneGILCommand, as the first argument, makes this program the child that does the job on one GIL: a
// process can start only one Python.
const oneGILCommand = "one-gil"

const rounds = 3

var chunkSizes = []int{4, 16}

// compare times the same job here, on one GIL and on multiprocessing.Pool, in turns. All three are warm:
// interpreters and processes are started, each has done the job or part of it before.
func (j *job) compare(ctx context.Context, o options, modules string, stdout io.Writer) error {
	one, pool, err := j.startOthers(ctx, o, modules)
	if err != nil {
		return err
	}
	defer one.end()
	defer pool.end()
	here, oneGIL, best := math.Inf(1), math.Inf(1), math.Inf(1)
	chunk := 0
	for range rounds {
		r, err := j.writeLines(ctx, io.Discard, io.Discard)
		if err != nil {
			return err
		}
		here = min(here, r.took.Seconds())
		t, err := one.run("go", len(j.files))
		if err != nil {
			return err
		}
		oneGIL = min(oneGIL, t)
		for _, size := range chunkSizes {
			t, err := pool.run(strconv.Itoa(size), len(j.files))
			if err != nil {
				return err
			}
			if t < best {
				best, chunk = t, size
			}
		}
	}
	cold, coldPool, err := j.whole(ctx, o, modules, chunk)
	if err != nil {
		return err
	}
	info := j.rt.Info()
	name, poolName := fmt.Sprintf("here: mode %s, %d", info.Mode, info.Interpreters), fmt.Sprintf("multiprocessing.Pool(%d)", o.interpreters)
	_, err = fmt.Fprintf(stdout, `
the same job, warm (start-up not counted), best of %d rounds in turns:
  %-28s %6.2f s
  %-28s %6.2f s  %.2fx
  %-28s %6.2f s  %.2fx  (chunksize %d; better of %v)
the whole of it, a new process each time, best of %d in turns:
  %-28s %6.2f s
  %-28s %6.2f s  %.2fx
`, rounds, name, here, "one GIL", oneGIL, oneGIL/here, poolName, best, best/here, chunk, chunkSizes,
		rounds, name, cold, poolName, coldPool, coldPool/cold)
	return err
}

// whole times whole processes that do the job once: this program, and the one with multiprocessing.Pool.
func (j *job) whole(ctx context.Context, o options, modules string, chunk int) (here, pool float64, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, 0, err
	}
	here, pool = math.Inf(1), math.Inf(1)
	for range rounds {
		began := time.Now()
		mine := exec.CommandContext(ctx, self, "-no-compare", "-interpreters", strconv.Itoa(o.interpreters), "-dir", j.root, "-o", filepath.Join(modules, "lines"))
		if out, err := mine.CombinedOutput(); err != nil {
			return 0, 0, fmt.Errorf("the job in a new process: %w: %s", err, out)
		}
		here = min(here, time.Since(began).Seconds())
		began = time.Now()
		theirs, err := start(ctx, j.rt.Info().Executable, filepath.Join(modules, "pool.py"), strconv.Itoa(o.interpreters), filepath.Join(modules, "files"))
		if err != nil {
			return 0, 0, fmt.Errorf("multiprocessing.Pool: %w", err)
		}
		if _, err := theirs.run(strconv.Itoa(chunk), len(j.files)); err != nil {
			return 0, 0, err
		}
		if err := theirs.end(); err != nil {
			return 0, 0, err
		}
		pool = min(pool, time.Since(began).Seconds())
	}
	return here, pool, nil
}

func (j *job) startOthers(ctx context.Context, o options, modules string) (one, pool *runner, err error) {
	list := filepath.Join(modules, "files")
	if err := os.WriteFile(list, []byte(strings.Join(j.files, "\x00")), 0o600); err != nil {
		return nil, nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	if one, err = start(ctx, self, oneGILCommand, "-dir", j.root); err != nil {
		return nil, nil, fmt.Errorf("one GIL: %w", err)
	}
	pool, err = start(ctx, j.rt.Info().Executable, filepath.Join(modules, "pool.py"), strconv.Itoa(o.interpreters), list)
	if err != nil {
		one.end()
		return nil, nil, fmt.Errorf("multiprocessing.Pool: %w", err)
	}
	return one, pool, nil
}

// serve is the one-GIL child: each line of stdin runs the job once and is answered with the seconds it
// took and the number of files, as pool.py does.
func (j *job) serve(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	fmt.Fprintln(stdout, "ready")
	for in := bufio.NewScanner(stdin); in.Scan(); {
		start := time.Now()
		r, err := j.writeLines(ctx, io.Discard, io.Discard)
		if err != nil {
			return err
		}
		fmt.Fprintln(stdout, time.Since(start).Seconds(), r.files)
	}
	return nil
}

// runner is a child process that does the job when told.
type runner struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Scanner
	stderr bytes.Buffer
}

// impossibleError is why a process cannot do its job on this system.
type impossibleError string

func (e impossibleError) Error() string { return "impossible on this system: " + string(e) }

func start(ctx context.Context, name string, args ...string) (*runner, error) {
	r := &runner{cmd: exec.CommandContext(ctx, name, args...)}
	r.cmd.Cancel = func() error { return r.cmd.Process.Signal(os.Interrupt) }
	r.cmd.WaitDelay = 5 * time.Second
	r.cmd.Stderr = &r.stderr
	var err error
	if r.in, err = r.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	r.out = bufio.NewScanner(out)
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	if !r.out.Scan() {
		return nil, r.failed()
	}
	if why, ok := strings.CutPrefix(r.out.Text(), "impossible: "); ok {
		_ = r.end() // it has said why
		return nil, impossibleError(why)
	}
	if r.out.Text() != "ready" {
		return nil, r.failed()
	}
	return r, nil
}

// run does the job once and gives the seconds that it took.
func (r *runner) run(command string, files int) (float64, error) {
	if _, err := fmt.Fprintln(r.in, command); err != nil {
		return 0, r.failed()
	}
	if !r.out.Scan() {
		return 0, r.failed()
	}
	var seconds float64
	var n int
	if _, err := fmt.Sscan(r.out.Text(), &seconds, &n); err != nil || n != files {
		return 0, fmt.Errorf("%s answered %q for %d files", r.cmd.Path, r.out.Text(), files)
	}
	return seconds, nil
}

// failed ends the child and gives its last words.
func (r *runner) failed() error {
	err := r.end()
	words := strings.TrimSpace(r.stderr.String())
	return fmt.Errorf("%s ended (%w): %s", r.cmd.Path, err, words[strings.LastIndexByte(words, '\n')+1:])
}

// end lets the child end by itself, which it does at the end of its input.
func (r *runner) end() error {
	_ = r.in.Close()
	return r.cmd.Wait()
}
