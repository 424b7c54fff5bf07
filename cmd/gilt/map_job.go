package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"gilt"
	"gilt/internal/cpython"
)

var errInterrupted = errors.New("interrupted")

// interruptPatience is how long Ctrl-C waits for the calls that run.
const interruptPatience = 3 * time.Second

// recordError is one bad record.
type recordError struct {
	Line      int    `json:"line"`
	Message   string `json:"error"`
	Traceback string `json:"traceback"`
	File      string `json:"file,omitempty"` // "" for stdin

	where string
}

func (e *recordError) Error() string { return e.where + ": " + e.Message }

// job is one run of `gilt map`: a reader, workers that each keep an OS thread, and a writer, with a
// bounded number of batches between them.
type job struct {
	o      mapOptions
	in     []*input
	out    *output
	fn     *gilt.Func[[]byte, []byte]
	stderr io.Writer
	start  time.Time

	target  atomic.Int64 // lines a batch
	records atomic.Int64 // that went through
	bad     atomic.Int64 // of these, skipped or recorded
	written atomic.Int64 // lines
	taken   atomic.Int64 // bytes of input
	last    string       // the last record that was written

	stop    chan struct{} // closed: begin nothing more
	abandon chan struct{} // closed: wait for nothing
	stopped sync.Once
	dropped sync.Once
}

func newJob(o mapOptions, in []*input, out *output, fn *gilt.Func[[]byte, []byte], stderr io.Writer) *job {
	j := &job{o: o, in: in, out: out, fn: fn, stderr: stderr, start: time.Now(), stop: make(chan struct{}), abandon: make(chan struct{})}
	j.target.Store(1)
	return j
}

// watch turns the first signal into an orderly stop and the second into an abrupt one, until its result
// is closed.
func (j *job) watch(signals <-chan os.Signal) chan<- struct{} {
	ended := make(chan struct{})
	go func() {
		var patience <-chan time.Time
		for {
			select {
			case <-signals:
				if patience != nil {
					j.drop()
				}
				j.halt()
				patience = time.After(interruptPatience)
			case <-patience:
				j.drop()
			case <-ended:
				return
			}
		}
	}()
	return ended
}

func (j *job) halt() { j.stopped.Do(func() { close(j.stop) }) }
func (j *job) drop() { j.dropped.Do(func() { close(j.abandon) }) }

func (j *job) halted() bool {
	select {
	case <-j.stop:
		return true
	default:
		return false
	}
}

// maxUnderway bounds the bytes of input between the reader and the writer, but for a single longer line.
const maxUnderway = 64 << 20

// run maps everything. It returns when nothing more will be written; after an interruption, a call that
// does not end is left behind.
func (j *job) run(ctx context.Context, workers int) error {
	defer j.halt()
	// A batch holds a slot from the reader to the writer, so that no send below blocks.
	slots := make(chan struct{}, 8*workers)
	room := semaphore.NewWeighted(maxUnderway)
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { <-j.stop; cancel() }()
	work := make(chan *batch, cap(slots))
	results := make(chan *batch, cap(slots)) // in the order of the input, or unordered as they end
	idle := make(chan struct{})              // closed when no worker runs any more
	var running sync.WaitGroup
	for range workers {
		running.Go(func() { j.work(ctx, work, results) })
	}
	go func() { running.Wait(); close(idle) }()
	var readErr error
	go func() {
		readErr = j.read(func(b *batch) bool {
			select {
			case slots <- struct{}{}:
			case <-j.stop:
				return false
			}
			if b.weight = min(int64(len(b.data)), maxUnderway); room.Acquire(reading, b.weight) != nil {
				return false
			}
			if !j.o.unordered {
				results <- b
			}
			work <- b
			return true
		})
		close(work)
		<-idle
		close(results)
	}()
	for {
		select {
		case b, more := <-results:
			if !more {
				return readErr
			}
			if done, err := j.next(b, idle, results); done || err != nil {
				return err
			}
			<-slots
			room.Release(b.weight)
		case <-j.stop:
			return j.rest(idle, results)
		}
	}
}

// next waits for b and writes it. done means that an interruption came first and all is over.
func (j *job) next(b *batch, idle <-chan struct{}, results <-chan *batch) (done bool, err error) {
	select {
	case <-b.done:
		return false, j.write(b)
	default:
	}
	select {
	case <-b.done:
		return false, j.write(b)
	case <-j.stop:
	}
	select {
	case <-b.done:
	case <-idle:
	case <-j.abandon:
	}
	if !b.ended() {
		return true, errInterrupted
	}
	if err := j.write(b); err != nil {
		return true, err
	}
	return true, j.rest(idle, results)
}

// rest writes what the calls that run when the work is interrupted still give.
func (j *job) rest(idle <-chan struct{}, results <-chan *batch) error {
	select {
	case <-idle:
	case <-j.abandon:
	}
	for {
		select {
		case b, more := <-results:
			if !more || !b.ended() {
				return errInterrupted
			}
			if err := j.write(b); err != nil {
				return err
			}
		default:
			return errInterrupted
		}
	}
}

func (b *batch) ended() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

func (j *job) read(emit func(*batch) bool) error {
	r := reader{limit: j.o.recordBytes, target: &j.target, emit: emit}
	for _, in := range j.in {
		if err := r.read(in); err != nil || j.halted() {
			return err
		}
	}
	return nil
}

// work is one worker. It keeps its OS thread, so that a threading.local of the function's is one for
// each worker.
func (j *job) work(ctx context.Context, work <-chan *batch, results chan<- *batch) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for !j.halted() {
		select {
		case b, more := <-work:
			if !more {
				return
			}
			if !b.tooLong {
				j.call(ctx, b)
			}
			close(b.done)
			if j.o.unordered {
				results <- b
			}
		case <-j.stop:
			return
		}
	}
}

// A call should take about callTime: crossings and hand-overs then cost nothing, and slow functions get
// a record at a time, so that all workers have some.
const (
	callTime = 2 * time.Millisecond
	maxLines = 4096
)

func (j *job) call(ctx context.Context, b *batch) {
	start := time.Now()
	if b.answer, b.err = j.fn.Call(ctx, b.data); !b.answered(j.o.onError == "stop") {
		j.oneByOne(ctx, b)
	}
	each := max(time.Since(start)/time.Duration(len(b.lines)), 1)
	b.data = nil
	now := j.target.Load()
	j.target.Store(min(max(int64(callTime/each), 1), 4*now, maxLines))
}

// answered says whether Python's answer has the outcome of each record. One that has not is that of a call which failed as a whole: memory
// was short, or an exception came between two records.
func (b *batch) answered(stop bool) bool {
	if b.err != nil || len(b.answer) == 0 {
		return false
	}
	newlines := bytes.Count(b.answer, []byte{'\n'})
	switch b.answer[0] {
	case '+':
		return newlines == len(b.lines)
	case '*':
		return newlines == len(b.lines)-1 || stop
	}
	return true
}

// oneByOne takes the records of a batch that failed as a whole again, each by itself: what is wrong with one is not the others' outcome.
func (j *job) oneByOne(ctx context.Context, b *batch) {
	stop, answer := j.o.onError == "stop", []byte{'*'}
	for i, line := range bytes.Split(b.data, []byte{'\n'}) {
		one := &batch{lines: b.lines[i : i+1]}
		one.answer, one.err = j.fn.Call(ctx, line)
		if i > 0 {
			answer = append(answer, '\n')
		}
		switch {
		case !one.answered(stop):
			answer = append(append(answer, '-'), one.lost()...)
		case one.answer[0] == '!':
			b.answer, b.err = one.answer, nil
			return
		case one.answer[0] == '+':
			answer = append(answer, bytes.TrimSuffix(one.answer, []byte{'\n'})...)
			continue
		default:
			answer = append(answer, one.answer[1:]...)
			if one.answer[1] == '+' {
				continue
			}
		}
		if stop {
			break
		}
	}
	b.answer, b.err = answer, nil
}

// lost is the JSON of what is wrong with a record whose call failed as a whole.
func (b *batch) lost() []byte {
	e := recordError{Message: "its outcome was lost"}
	if b.err != nil {
		e.Message = message(b.err)
	}
	text, _ := json.Marshal(e) // of strings and numbers
	return text
}

// write writes what became of b.
func (j *job) write(b *batch) error {
	var lines [][]byte
	switch {
	case b.tooLong:
		e := recordError{Message: fmt.Sprintf("the line is longer than %s; raise --max-record", j.o.maxRecord)}
		return j.settle(b, nil, []*recordError{&e})
	case b.answer[0] == '!':
		return refusal(j.o, b.answer[1:])
	case b.answer[0] == '+':
		if err := j.out.write(b.answer[1:]); err != nil {
			return err
		}
		j.count(b, len(b.lines), len(b.lines), 0)
		return nil
	}
	lines = bytes.Split(b.answer[1:], []byte{'\n'})
	bad := make([]*recordError, len(lines))
	for i, l := range lines {
		if l[0] == '-' {
			bad[i] = new(recordError)
			if err := json.Unmarshal(l[1:], bad[i]); err != nil {
				bad[i].Message = "its error cannot be read: " + err.Error()
			}
			bad[i].nameRefused(j.o)
		}
	}
	return j.settle(b, lines, bad)
}

// nameRefused names the module that did not load in an interpreter with its own GIL, and what to do, when that is the reason.
func (e *recordError) nameRefused(o mapOptions) {
	if o.interpreters == 1 || !strings.Contains(e.Traceback, "ImportError") {
		return
	}
	if module, refused := cpython.RefusedModule(e.Traceback); refused {
		name := "a module"
		if module != "" {
			name = "module " + module
		}
		e.Message = fmt.Sprintf("%s does not load in an interpreter with its own GIL: leave --interpreters out, and use --workers (%s)", name, e.Message)
	}
}

// settle writes a batch with bad records: bad[i] is what is wrong with the line that lines[i] would be.
func (j *job) settle(b *batch, lines [][]byte, bad []*recordError) error {
	var text bytes.Buffer
	var wrong, wrote int
	var failure error
	for i, e := range bad {
		switch {
		case e == nil:
			text.Write(lines[i][1:])
			text.WriteByte('\n')
			wrote++
			continue
		case j.o.onError == "stop":
			e.where = fmt.Sprintf("%s line %d", b.in, b.lines[i])
			failure = e
			bad = bad[:i]
		case j.o.onError == "record":
			e.Line, e.File = b.lines[i], b.in.name
			enc := json.NewEncoder(&text)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(e); err != nil {
				return err
			}
			wrote++
		default:
			j.skipped(b, i, e, int(j.bad.Load())+wrong)
		}
		if failure != nil {
			break
		}
		wrong++
	}
	if text.Len() > 0 {
		if err := j.out.write(text.Bytes()); err != nil {
			return err
		}
	}
	if failure != nil {
		j.count(b, len(bad)+1, wrote, wrong+1)
		return failure
	}
	j.count(b, len(bad), wrote, wrong)
	return nil
}

// skipped names the first bad records.
func (j *job) skipped(b *batch, i int, e *recordError, before int) {
	const most = 10
	switch {
	case before < most:
		fmt.Fprintf(j.stderr, "gilt: %s\n", shown(fmt.Sprintf("%s line %d skipped: %s", b.in, b.lines[i], e.Message)))
	case before == most:
		fmt.Fprintf(j.stderr, "gilt: more records are skipped; use --on-error record to see them all\n")
	}
}

// count notes that the first records of b have gone through.
func (j *job) count(b *batch, records, written, bad int) {
	j.records.Add(int64(records))
	j.written.Add(int64(written))
	j.bad.Add(int64(bad))
	j.taken.Add(b.bytes)
	if records > 0 {
		j.last = fmt.Sprintf("%s line %d", b.in, b.lines[records-1])
	}
}

// reached says how far an interrupted job came.
func (j *job) reached() string {
	n := count(j.written.Load(), "line")
	switch {
	case j.last == "":
		return "nothing was written"
	case j.o.unordered:
		return n + " written, not in the order of the input"
	}
	return fmt.Sprintf("%s written, up to %s", n, j.last)
}

func (j *job) summary() string {
	took := time.Since(j.start)
	n := j.records.Load()
	return fmt.Sprintf("%s, %s, %.0f records/s, %s", count(n, "record"), count(j.bad.Load(), "error"), float64(n)/took.Seconds(), took.Round(time.Millisecond))
}
