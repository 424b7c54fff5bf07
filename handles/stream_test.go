package handles_test

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"gilt/gil"
	py "gilt/handles"
	"gilt/internal/pytest"
)

type closer struct {
	io.Reader
	io.Writer
	closed int
}

func (c *closer) Close() error { c.closed++; return nil }

func TestReaderAndWriterAsFiles(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		in := &closer{Reader: iotest.OneByteReader(strings.NewReader(`{"a": [1, 2]}`))}
		f, err := py.FromReader(tok, in)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		to := &closer{Writer: &out}
		g, err := py.FromWriter(tok, to)
		if err != nil {
			t.Fatal(err)
		}
		ns, err := py.NewDict(tok, map[string]any{"f": f, "g": g})
		if err != nil {
			t.Fatal(err)
		}
		if err := py.Run(tok, "import json\nwith f: v = json.load(f)\nassert v == {'a': [1, 2]}\nwith g: g.write(b'x' * 100_000 + b'end')", ns); err != nil {
			t.Errorf("%+v", err)
		}
		if in.closed != 1 || to.closed != 1 || out.Len() != 100_003 || !strings.HasSuffix(out.String(), "xend") {
			t.Error(in.closed, to.closed, out.Len())
		}
		bad, err := py.FromReader(tok, iotest.ErrReader(errOwn))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bad.Method("read"); !errors.Is(err, errOwn) {
			t.Error(err)
		}
		full, err := py.FromWriter(tok, iotest.TruncateWriter(&out, 0))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := full.Method("write", []byte("x")); err != nil {
			t.Error(err)
		}
	})
}

func numbers(n int, end error) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range n {
			if !yield(i, nil) {
				return
			}
		}
		if end != nil {
			yield(0, end)
		}
	}
}

func TestGoIterators(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		it, err := py.FromSeq(tok, numbers(1000, nil))
		if err != nil {
			t.Fatal(err)
		}
		ns, err := py.NewDict(tok, map[string]any{"it": it})
		if err != nil {
			t.Fatal(err)
		}
		if v, err := py.EvalAs[int](tok, "sum(it)", ns); v != 499500 || err != nil {
			t.Error(v, err)
		}
		if v, err := py.EvalAs[[]int](tok, "list(it)", ns); len(v) != 0 || err != nil {
			t.Error(v, err)
		}
		if it, err = py.FromSeq(tok, numbers(3, errOwn)); err != nil {
			t.Fatal(err)
		}
		if err := ns.SetItem("it", it); err != nil {
			t.Fatal(err)
		}
		err = py.Run(tok, "got = []\nfor x in it: got.append(x)", ns)
		if v, e := py.EvalAs[string](tok, "str(got)", ns); v != "[0, 1, 2]" || e != nil || !errors.Is(err, errOwn) {
			t.Error(v, e, err)
		}
		ch := make(chan string, 1)
		go func() {
			for _, s := range []string{"a", "b", "c"} {
				ch <- s
			}
			close(ch)
		}()
		if it, err = py.FromChan(tok, ch); err != nil {
			t.Fatal(err)
		}
		if err := ns.SetItem("it", it); err != nil {
			t.Fatal(err)
		}
		if v, err := py.EvalAs[string](tok, "''.join(it)", ns); v != "abc" || err != nil {
			t.Error(v, err)
		}
	})
}

// An iterator that Python drops half way stops the Go side.
func TestDroppedIteratorStops(t *testing.T) {
	stopped := make(chan struct{})
	pytest.Do(t, func(tok *gil.Token) {
		err := py.Scope(tok, func() error {
			it, err := py.FromSeq(tok, func(yield func(int, error) bool) {
				defer close(stopped)
				for yield(1, nil) {
				}
			})
			if err != nil {
				return err
			}
			ns, err := py.NewDict(tok, map[string]any{"it": it})
			if err != nil {
				return err
			}
			return py.Run(tok, "assert next(it) == 1", ns)
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	<-stopped
}

// lines collects what is written; Python writes from several threads.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestOutputAndReportsToGo(t *testing.T) {
	pytest.Do(t, func(tok *gil.Token) {
		var out, log lines
		if err := py.Redirect(tok, "stdout", &out); err != nil {
			t.Fatal(err)
		}
		if err := py.Run(tok, "import sys\nprint('ü', 1)\nprint('\\ud800', end='')\nsys.stdout = sys.__stdout__"); err != nil {
			t.Errorf("%+v", err)
		}
		if out.text() != "ü 1\n\\ud800" {
			t.Errorf("%q", out.text())
		}
		if err := py.Run(tok, "import logging, sys, threading, warnings\nsaved = sys.unraisablehook, threading.excepthook, warnings.showwarning\nsys._gilt_saved = saved"); err != nil {
			t.Fatal(err)
		}
		if err := py.Report(tok, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo}))); err != nil {
			t.Fatal(err)
		}
		src := `
import logging, sys, threading, warnings
logging.getLogger('app').info('hello %s', 'you', extra={'user': 7})
logging.getLogger('app').debug('not shown')
try: 1 / 0
except ZeroDivisionError: logging.exception('failed')
with warnings.catch_warnings():
    warnings.simplefilter('always')
    warnings.warn('old', DeprecationWarning)
class C:
    def __del__(self): raise ValueError('in del')
C()
t = threading.Thread(target=lambda: {}['k'], name='worker'); t.start(); t.join()
sys.unraisablehook, threading.excepthook, warnings.showwarning = sys._gilt_saved
logging.getLogger().handlers.clear()
`
		if err := py.Run(tok, src); err != nil {
			t.Errorf("%+v", err)
		}
		for _, want := range []string{
			`level=INFO msg="hello you" logger=app user=7`, `level=ERROR msg=failed exception=`, "ZeroDivisionError",
			"level=WARN msg=old category=DeprecationWarning", "in del", `msg="Exception in thread worker"`, "KeyError",
		} {
			if !strings.Contains(log.text(), want) {
				t.Errorf("no %s in\n%s", want, log.text())
			}
		}
		if strings.Contains(log.text(), "not shown") {
			t.Error("a level that is off is logged")
		}
	})
}
