package handles_test

import (
	"errors"
	"strings"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func asError(t *testing.T, err error) *py.Error {
	t.Helper()
	var e *py.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is no exception", err)
	}
	return e
}

const localsSource = `
import weakref, traceback
class Big: pass
alive = weakref.WeakSet()
def big():
    b = Big()
    alive.add(b)
    return b
def plain():
    b = big()
    raise ValueError('plain')
def deep(n=50):
    b = big()
    if n: deep(n - 1)
    raise ValueError('deep')
def chained():
    b = big()
    try: plain()
    except ValueError as e: raise KeyError('chained') from e
def handling():
    b = big()
    try: plain()
    except ValueError: raise KeyError('handling')
def generates():
    b = big()
    yield 1
    raise ValueError('generates')
def consumes():
    b = big()
    for _ in generates(): pass
def again():
    b = big()
    try: plain()
    except ValueError: raise
def misnames():
    local_name, b = 1, big()
    return local_nam
kept = []
def keeps():
    b = big()
    try: plain()
    except ValueError as e:
        kept.append(e)
        raise
def suspended():
    b = big()
    yield b
    yield 2
def passes(g):
    b = big()
    next(g)
    g.throw(ValueError('thrown'))
def text(f, *args):
    try: f(*args)
    except BaseException as e: return ''.join(traceback.format_exception(type(e), e, e.__traceback__.tb_next))
`

// What the frames of an error's exception have goes when it arrives, if Python code cannot see it; its full text is the same.
func TestErrorsDropTheLocalsOfTheirFrames(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, localsSource)
		alive := func() int {
			n, err := py.EvalAs[int](tok, "len(alive)", ns)
			return pytest.Must(t, n, err)
		}
		for _, name := range []string{"plain", "deep", "chained", "handling", "consumes", "again"} {
			f := pytest.Get(t, ns, name)
			want, err := py.CallAs[string](pytest.Get(t, ns, "text"), f)
			pytest.Must(t, want, err)
			if err := py.Run(tok, "import gc\ngc.collect()", ns); err != nil {
				t.Fatal(err)
			}
			_, err = f.Call()
			e := asError(t, err)
			if n := alive(); n != 0 {
				t.Errorf("%s: %d objects are alive while Go has the error", name, n)
			}
			if got := e.FullText(tok); got != want {
				t.Errorf("%s: FullText is %s, want %s", name, got, want)
			}
			if e.Bind(tok).IsZero() {
				t.Errorf("%s: the exception has gone", name)
			}
		}
		misnames := pytest.Get(t, ns, "misnames") // its text may depend on the names of the locals
		want, err := py.CallAs[string](pytest.Get(t, ns, "text"), misnames)
		pytest.Must(t, want, err)
		_, err = misnames.Call()
		e := asError(t, err)
		if got := e.FullText(tok); got != want {
			t.Errorf("FullText is %s, want %s", got, want)
		}
		e.Release()
		if _, err := pytest.Get(t, ns, "keeps").Call(); !errors.Is(err, py.ValueError) {
			t.Fatal(err)
		}
		if v, err := py.EvalAs[[]bool](tok, "['b' in t.tb_frame.f_locals for t in (kept[0].__traceback__, kept[0].__traceback__.tb_next)]", ns); err != nil || !v[0] || !v[1] {
			t.Error("what Python code keeps has lost its locals:", v, err)
		}
		// A generator that goes on is not touched, though its frame was in the traceback.
		if err := py.Run(tok, "g = suspended()", ns); err != nil {
			t.Fatal(err)
		}
		if _, err := pytest.Get(t, ns, "passes").Call(pytest.Get(t, ns, "g")); !errors.Is(err, py.ValueError) {
			t.Error(err)
		}
	})
}

// An error that is released says what it said, and has no exception any more.
func TestErrorRelease(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, "import weakref\ngone = []\nclass E(ValueError): pass\ndef make():\n    e = E('no')\n    weakref.finalize(e, gone.append, 1)\n    return e\ndef f(): raise make()")
		_, err := pytest.Get(t, ns, "f").Call()
		e := asError(t, err)
		if n, err := py.EvalAs[int](tok, "len(gone)", ns); n != 0 || err != nil {
			t.Error("it has gone while Go has the error:", n, err)
		}
		done := make(chan struct{})
		go func() { // from any goroutine, as often as one likes
			for range 3 {
				e.Release()
			}
			close(done)
		}()
		//gilt:vet-ignore the goroutine needs no Python
		<-done
		tok.AllowThreads(func() {})
		if n, err := py.EvalAs[int](tok, "len(gone)", ns); n != 1 || err != nil {
			t.Error("it has not gone:", n, err)
		}
		if !e.Bind(tok).IsZero() || e.FullText(tok) != e.Traceback() || len(e.Frames) == 0 || !errors.Is(err, py.ValueError) || !strings.HasSuffix(e.Error(), "E: no") {
			t.Errorf("%+v", err)
		}
		f := must(py.NewFunction(tok, gilt.GoFunc{Name: "f", Func: func() error { return py.Raise(py.KeyError, "k") }}))
		_, err = f.Call()
		asError(t, err).Release()
		raised := must(py.NewFunction(tok, gilt.GoFunc{Name: "f", Func: func() error { return err }}))
		if _, again := raised.Call(); !errors.Is(again, py.KeyError) {
			t.Error("raised again:", again)
		}
		py.Raise(py.ValueError).Release()
	})
}
