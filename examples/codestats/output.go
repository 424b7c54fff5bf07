package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"gilt"
	"gilt/scheduler"
)

// write does the job and writes its lines to the file of that name, which appears only when it is complete.
func (j *job) write(ctx context.Context, name string, progress io.Writer) (report, error) {
	f, err := createBeside(name)
	if err != nil {
		return report{}, err
	}
	defer os.Remove(f.Name()) // gone by then, when all went well
	defer f.Close()
	r, err := j.writeLines(ctx, f, progress)
	if err != nil {
		return r, err
	}
	r.output = name
	if err := errors.Join(f.Chmod(0o644), f.Close()); err != nil {
		return r, fmt.Errorf("cannot write %s: %w", name, err)
	}
	return r, os.Rename(f.Name(), name)
}

// createBeside makes a temporary file that can be renamed to name.
func createBeside(name string) (*os.File, error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("-o %s: it exists and is not a file", name)
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".codestats-*")
	if err != nil {
		return nil, fmt.Errorf("-o %s: its directory cannot be written: %w", name, err)
	}
	return f, nil
}

func (j *job) writeLines(ctx context.Context, w io.Writer, progress io.Writer) (report, error) {
	r := report{info: j.rt.Info(), before: j.rt.Stats().All}
	start := time.Now()
	bar := newProgress(progress, len(j.files))
	defer bar.end()
	buf := bufio.NewWriter(w)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	for l, err := range j.lines(ctx) {
		if err == nil {
			err = enc.Encode(l)
		}
		if err != nil {
			return r, err
		}
		r.files++
		r.bytes += int64(l.Bytes)
		if l.Error != "" {
			r.errors++
		}
		bar.add()
	}
	r.took, r.after = time.Since(start), j.rt.Stats().All
	return r, buf.Flush()
}

// report is what became of one run.
type report struct {
	info          gilt.Info
	output        string
	files, errors int
	bytes         int64
	took          time.Duration
	before, after scheduler.ClassStats
}

func (r report) print(w io.Writer) error {
	seconds, mb := r.took.Seconds(), float64(r.bytes)/1e6
	held := (r.after.Held - r.before.Held).Seconds() / seconds / float64(r.info.Interpreters)
	waits := r.after.Waits
	_, err := fmt.Fprintf(w, `CPython %s (%s), mode %s, %s
%s, %.1f MB in %.2f s: %.0f files/s, %.1f MB/s; %d could not be parsed
tokens held %.0f%% of the time; %d of %d grants had to wait, p50 %v, p99 %v
written to %s
`, r.info.Version, r.info.Source, r.info.Mode, number(r.info.Interpreters, "interpreter"),
		number(r.files, "file"), mb, seconds, float64(r.files)/seconds, mb/seconds, r.errors,
		100*held, waits.Count(), r.after.Granted, waits.Quantile(0.5), waits.Quantile(0.99), r.output)
	return err
}

// number gives a number with its noun: 1 file, 2 files.
func number(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
