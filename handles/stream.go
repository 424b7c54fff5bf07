package handles

import (
	"context"
	_ "embed"
	"io"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"gilt/internal/cpython"
	"gilt/thread"
)

//go:embed stream.py
var streams string

// streamGlue gives what stream.py defines as attr.
func streamGlue(tok *Token, attr string) (Bound, error) {
	m, err := glue(tok, "gilt.streams", streams, nil)
	if err != nil {
		return Bound{}, err
	}
	return m.Attr(attr)
}

// FromReader gives a Python file object, binary and buffered, that reads from r: json.load(f) works. Reads run without the
// GIL; an error of r is raised. Closing it closes r, if r is an io.Closer.
func FromReader(tok *Token, r io.Reader) (Bound, error) {
	return file(tok, "reader", GoFunc{Name: "read", Native: true, Func: func(n int) ([]byte, error) {
		b := make([]byte, n)
		for {
			k, err := r.Read(b)
			switch {
			case k > 0: // an error comes again
				return b[:k], nil
			case err == io.EOF:
				return []byte{}, nil
			case err != nil:
				return nil, err
			}
		}
	}}, r)
}

// FromWriter gives a Python file object, binary and buffered, that writes to w without the GIL: flush or close it. Closing
// it closes w, if w is an io.Closer.
func FromWriter(tok *Token, w io.Writer) (Bound, error) {
	return file(tok, "writer", GoFunc{Name: "write", Native: true, Func: w.Write}, w)
}

func file(tok *Token, kind string, use GoFunc, of any) (Bound, error) {
	glue, err := streamGlue(tok, kind)
	if err != nil {
		return Bound{}, err
	}
	f, err := NewFunction(tok, use)
	if err != nil {
		return Bound{}, err
	}
	end, err := NewFunction(tok, GoFunc{Name: "close", Native: true, Func: func() error {
		if c, ok := of.(io.Closer); ok {
			return c.Close()
		}
		return nil
	}})
	if err != nil {
		return Bound{}, err
	}
	return glue.Call(f, end)
}

// Redirect has the token's interpreter write its sys.stdout or sys.stderr, as name says, to w, line by line as it is
// written: Config.Stdout does for all interpreters. C code that writes to the file descriptor is not met.
func Redirect(tok *Token, name string, w io.Writer) error {
	glue, err := streamGlue(tok, "standard")
	if err != nil {
		return err
	}
	f, err := NewFunction(tok, GoFunc{Name: "write", Native: true, Func: w.Write})
	if err == nil {
		_, err = glue.Call(name, f)
	}
	return err
}

// Report sends Python's logging, warnings, unraisable exceptions and those that end a thread, to l: Config.Logger
// does for all interpreters. Python's levels are slog's by name: 10 is Debug, 20 Info, 30 Warn, 40 and above Error;
// others lie between.
func Report(tok *Token, l *slog.Logger) error {
	glue, err := streamGlue(tok, "reports")
	if err != nil {
		return err
	}
	f, err := NewFunction(tok, GoFunc{Name: "log", Native: true, Func: func(level int, text string, fields map[string]any) {
		at := slog.Level((level - 20) * 4 / 10)
		if !l.Enabled(context.Background(), at) {
			return
		}
		args := make([]any, 0, 2*len(fields))
		for _, k := range slices.Sorted(maps.Keys(fields)) {
			args = append(args, k, fields[k])
		}
		l.Log(context.Background(), at, text, args...)
	}})
	if err == nil {
		_, err = glue.Call(f)
	}
	return err
}

// FromSeq gives a Python iterator over what seq yields; an error that it yields is raised, and ends it. seq runs on a
// goroutine of its own, up to some hundred items ahead, and is stopped when Python drops the iterator.
func FromSeq[T any](tok *Token, seq iter.Seq2[T, error]) (Bound, error) {
	p := &producer[T]{full: make(chan []T, 2), stop: make(chan struct{})}
	var start sync.Once
	source := func(tok *Token) ([]T, error) {
		start.Do(func() { go p.run(seq) })
		if items, ok := receive(tok, p.full); ok {
			return items, nil
		}
		if err := p.err; err != nil {
			p.err = nil
			return nil, err
		}
		return nil, errStop
	}
	return iterator(tok, source, func() { close(p.stop) })
}

// producer runs a Go iterator ahead of the Python code that reads it.
type producer[T any] struct {
	full chan []T
	stop chan struct{}
	err  error // after full is closed
}

func (p *producer[T]) run(seq iter.Seq2[T, error]) {
	returned := false
	defer func() {
		if v := recover(); v != nil {
			p.err = &panicked{thread.Caught(v)}
		} else if !returned {
			p.err = conversionError(RuntimeError, "the Go iterator called runtime.Goexit")
		}
		close(p.full)
	}()
	var items []T
	send := func() bool {
		select {
		case p.full <- items:
			items = nil
			return true
		case <-p.stop:
			return false
		}
	}
	for v, err := range seq {
		if err != nil {
			p.err = err
			break
		}
		if items = append(items, v); len(items) < 64 {
			select {
			case p.full <- items: // Python may wait for it
				items = nil
			default:
			}
		} else if !send() {
			returned = true
			return
		}
	}
	if len(items) > 0 {
		send()
	}
	returned = true
}

// FromChan gives a Python iterator over what comes through ch, until it is closed. It waits without the GIL.
func FromChan[T any](tok *Token, ch <-chan T) (Bound, error) {
	return iterator(tok, func(tok *Token) ([]T, error) {
		v, ok := receive(tok, ch)
		if !ok {
			return nil, errStop
		}
		return []T{v}, nil
	}, nil)
}

// receive waits without the GIL when it has to.
func receive[T any](tok *Token, ch <-chan T) (v T, ok bool) {
	select {
	case v, ok = <-ch:
	default:
		tok.AllowThreads(func() { v, ok = <-ch })
	}
	return v, ok
}

// errStop is StopIteration.
var errStop = &Error{Class: "StopIteration", bases: []string{string(StopIteration)}}

// iterator gives a Python iterator over what source gives, some items at a time. Python may ask from several
// threads.
func iterator[T any](tok *Token, source func(*Token) ([]T, error), dropped func()) (Bound, error) {
	var mu, asking sync.Mutex
	var items []T
	next := func() (v T, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		if len(items) == 0 {
			return v, false
		}
		v = items[0]
		items = items[1:]
		return v, true
	}
	give, add := giver[T](), appender[T]()
	fast := func(c cpython.CallFrame) bool {
		if give == nil {
			return false
		}
		v, ok := next()
		if ok {
			give(c, v)
		}
		return ok
	}
	typed := func(tok *Token, c cpython.CallFrame) error {
		v, ok := next()
		for !ok { // one thread at a time asks for more, and waits for its turn without the GIL
			var err error
			if !asking.TryLock() {
				tok.AllowThreads(asking.Lock)
			}
			if v, ok = next(); !ok {
				var more []T
				if more, err = source(tok); err == nil {
					mu.Lock()
					v, ok = more[0], true
					items = append(items, more[1:]...)
					mu.Unlock()
				}
			}
			asking.Unlock()
			if err != nil {
				return err
			}
		}
		if give != nil {
			give(c, v)
			return nil
		}
		w, err := add(nil, v)
		if err == nil {
			c.ReturnWire(w)
		}
		return err
	}
	f, err := functionWith(tok, GoFunc{Name: "next", Func: func() {}}, shortcuts{fast, typed, dropped})
	if err != nil {
		return Bound{}, err
	}
	class, err := streamGlue(tok, "Iterator")
	if err != nil {
		return Bound{}, err
	}
	return class.Call(f)
}

// giver gives a number as a call's result; nil for what is no number.
func giver[T any]() func(cpython.CallFrame, T) {
	var f any
	switch any((*T)(nil)).(type) {
	case *int:
		f = func(c cpython.CallFrame, v int) { c.Return(cpython.KindInt64, int64(v)) }
	case *int64:
		f = func(c cpython.CallFrame, v int64) { c.Return(cpython.KindInt64, v) }
	case *float64:
		f = returnFloat
	default:
		return nil
	}
	return f.(func(cpython.CallFrame, T))
}
