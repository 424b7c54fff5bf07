package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
)

// input is one file of lines, or stdin.
type input struct {
	name string // "" for stdin
	file io.Reader
	size int64 // -1 when it is not known
}

func (in *input) String() string {
	if in.name == "" {
		return "stdin"
	}
	return in.name
}

// openInputs opens all before the first is read, so that a wrong name costs nothing.
func openInputs(names []string, stdin io.Reader) ([]*input, error) {
	if len(names) == 0 {
		names = []string{"-"}
	}
	var list []*input
	for _, name := range names {
		if name == "-" {
			list = append(list, &input{file: stdin, size: -1})
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("input %s cannot be read: %s", name, fileError(err))
		}
		in := &input{name: name, file: f, size: -1}
		if info, err := f.Stat(); err == nil && info.IsDir() {
			return nil, fmt.Errorf("input %s is a directory: name files, such as %s/*.jsonl", name, name)
		} else if err == nil && info.Mode().IsRegular() {
			in.size = info.Size()
		}
		list = append(list, in)
	}
	return list, nil
}

// batch is some lines of one input on their way through Python.
type batch struct {
	in    *input
	lines []int // their numbers
	data  []byte
	bytes int64 // of the input that it stands for

	weight int64 // of data, while it is under way

	tooLong bool // one line, which was longer than allowed and was not kept
	answer  []byte
	err     error
	done    chan struct{}
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// reader cuts inputs into batches.
type reader struct {
	limit  int           // longest line
	target *atomic.Int64 // lines a batch, as workers find good
	emit   func(*batch) bool
}

// maxBatch bounds a batch's bytes, but for a single longer line.
const maxBatch = 1 << 20

// read emits the lines of in, and stops early when emit says so.
func (r *reader) read(in *input) error {
	buf := bufio.NewReaderSize(in.file, 256<<10)
	b := &batch{in: in}
	for number := 1; ; number++ {
		start := len(b.data)
		n, tooLong, err := r.line(buf, b)
		b.bytes += n
		if errors.Is(err, io.EOF) && n == 0 {
			break
		}
		if err != nil && !errors.Is(err, io.EOF) {
			r.flush(&b)
			return fmt.Errorf("%s cannot be read after line %d: %s", in, number-1, fileError(err))
		}
		line := bytes.TrimRight(b.data[start:], "\r\n")
		if number == 1 && bytes.HasPrefix(line, byteOrderMark) {
			line = append(b.data[:start], line[len(byteOrderMark):]...)[start:]
		}
		switch {
		case tooLong:
			b.data = b.data[:start]
			if !r.flush(&b) || !r.emit(&batch{in: in, lines: []int{number}, tooLong: true, done: make(chan struct{})}) {
				return nil
			}
		case len(bytes.TrimSpace(line)) == 0:
			b.data = b.data[:start]
		default:
			b.data = append(b.data[:start+len(line)], '\n')
			b.lines = append(b.lines, number)
		}
		// With nothing more to read at once, do not let lines wait for others.
		if int64(len(b.lines)) >= r.target.Load() || len(b.data) >= maxBatch || buf.Buffered() == 0 {
			if !r.flush(&b) {
				return nil
			}
		}
	}
	r.flush(&b)
	return nil
}

func (r *reader) flush(b **batch) bool {
	full := *b
	if len(full.lines) == 0 {
		return true
	}
	full.data = full.data[:len(full.data)-1] // the last newline
	full.done = make(chan struct{})
	*b = &batch{in: full.in, data: make([]byte, 0, min(cap(full.data), maxBatch))}
	return r.emit(full)
}

// line appends the next line, with its newline, to b.data. Of one that is too long it keeps nothing
// more than limit.
func (r *reader) line(buf *bufio.Reader, b *batch) (n int64, tooLong bool, err error) {
	kept := 0
	for {
		part, err := buf.ReadSlice('\n')
		n += int64(len(part))
		kept += len(bytes.TrimRight(part, "\r\n"))
		if kept > r.limit {
			tooLong = true
		}
		if !tooLong {
			b.data = append(b.data, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return n, tooLong, err
		}
	}
}
