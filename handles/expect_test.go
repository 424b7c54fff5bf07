package handles_test

import (
	"errors"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// expect compares what methods of Go give with what Python says in a namespace.
type expect struct {
	t   testing.TB
	tok *gilt.Token
	ns  py.Bound
}

// expecting gives the namespace in which source has run.
func expecting(t testing.TB, tok *gilt.Token, source string) expect {
	t.Helper()
	return expect{t, tok, pytest.Module(t, tok, "def same(a, b): return type(a) is type(b) and repr(a) == repr(b)\n"+source)}
}

func (x expect) eval(expr string) py.Bound {
	x.t.Helper()
	b, err := py.Eval(x.tok, expr, x.ns)
	if err != nil {
		x.t.Fatalf("%s: %+v", expr, err)
	}
	return b
}

// is takes what a method gave, which is to be what expr is: of the same type, with the same repr.
func (x expect) is(expr string) func(got any, err error) {
	return func(got any, err error) {
		x.t.Helper()
		if err != nil {
			x.t.Errorf("%s: %v", expr, err)
			x.clean(expr)
			return
		}
		if same, err := py.CallAs[bool](pytest.Get(x.t, x.ns, "same"), got, x.eval(expr)); !same || err != nil {
			b := pytest.Must(x.t, got, nil)
			if o, err := py.From(x.tok, got); err == nil {
				b, _ = o.Repr()
			}
			x.t.Errorf("%s: got %v, %v", expr, b, err)
		}
		x.clean(expr)
	}
}

// fails takes what a method gave, which is to be an exception of that class, and leaves none behind.
func (x expect) fails(what string, class py.ExceptionClass) func(got any, err error) {
	return func(_ any, err error) {
		x.t.Helper()
		x.failed(what, class, err)
	}
}

func (x expect) failed(what string, class py.ExceptionClass, err error) {
	x.t.Helper()
	if !errors.Is(err, class) {
		x.t.Errorf("%s: %v, want a %v", what, err, class)
	}
	x.clean(what)
}

// says takes what a method gave, which is to be an exception of that text.
func (x expect) says(text string) func(got any, err error) {
	return func(_ any, err error) {
		x.t.Helper()
		if err == nil || err.Error() != text {
			x.t.Errorf("%v, want %s", err, text)
		}
		x.clean(text)
	}
}

func (x expect) clean(what string) {
	x.t.Helper()
	if x.tok.Entry("test").ErrorIndicator() {
		x.t.Errorf("%s: the error indicator is set", what)
	}
}

// bare drops the type of a Cast's result, so that an expect takes it.
func bare[T any](v T, err error) (any, error) { return v, err }
