package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// terminal says whether a stream is one.
func terminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// progress shows how far a job is: a bar on a terminal, a line every few seconds elsewhere.
type progress struct {
	quit, done chan struct{}
	once       sync.Once
}

const (
	barEvery  = 100 * time.Millisecond
	lineEvery = 5 * time.Second
)

func (a *app) startProgress(o mapOptions, j *job) *progress {
	p := &progress{quit: make(chan struct{}), done: make(chan struct{})}
	if o.quiet {
		close(p.done)
		return p
	}
	every, show, clear := lineEvery, func() { fmt.Fprintf(a.stderr, "gilt map: %s\n", j.summary()) }, func() {}
	if terminal(a.stderr) {
		bar := newBar(a.stderr, j.in)
		every, clear = barEvery, func() { _ = bar.Clear() }
		show = func() {
			bar.Describe(j.summary())
			_ = bar.Set64(j.taken.Load())
		}
	}
	go func() {
		defer close(p.done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-p.quit:
				clear()
				return
			case <-tick.C:
				show()
			}
		}
	}()
	return p
}

// newBar measures by bytes when all inputs are files.
func newBar(w io.Writer, in []*input) *progressbar.ProgressBar {
	var total int64
	for _, i := range in {
		if i.size < 0 {
			total = -1
			break
		}
		total += i.size
	}
	if total == 0 {
		total = -1
	}
	return progressbar.NewOptions64(total, progressbar.OptionSetWriter(w), progressbar.OptionSetWidth(20),
		progressbar.OptionSetElapsedTime(false), progressbar.OptionSetPredictTime(total > 0), progressbar.OptionSpinnerType(14))
}

// stop takes the bar away. It may be called twice.
func (p *progress) stop() {
	p.once.Do(func() { close(p.quit) })
	<-p.done
}
