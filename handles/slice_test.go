package handles_test

import (
	"math"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func TestSlice(t *testing.T) {
	castsOnly(t, py.Cast[py.Slice], "slice", []string{"slice(1)"}, []string{"range(3)", "1"})
	indices := func(n int) func(py.Slice, py.Bound) (any, error) {
		return func(s py.Slice, _ py.Bound) (any, error) {
			start, stop, step, err := s.Indices(n)
			return []int{start, stop, step}, err
		}
	}
	for _, create := range []string{"slice(3)", "slice(1, None, -2)", "slice(-3, -1)", "slice(1, 2, 0)", "slice('a', 2)", "slice(10**30)", "slice(None, SelfIndex())", "slice(None, None, DeepIndex())"} {
		againstPython(t, create, []string{"0"}, py.Cast[py.Slice],
			method[py.Slice]{"list(c.indices(5))", indices(5)},
			method[py.Slice]{"list(c.indices(0))", indices(0)},
			method[py.Slice]{"list(c.indices(-1))", indices(-1)},
			method[py.Slice]{"c.start", func(s py.Slice, _ py.Bound) (any, error) { return s.Start() }},
			method[py.Slice]{"c.stop", func(s py.Slice, _ py.Bound) (any, error) { return s.Stop() }},
			method[py.Slice]{"c.step", func(s py.Slice, _ py.Bound) (any, error) { return s.Step() }},
		)
	}
	pytest.Do(t, func(tok *gilt.Token) {
		for want, of := range map[string][3]any{
			"slice(1, 5, 2)": {1, 5, 2}, "slice(None, None, None)": {nil, nil, nil}, "slice('a', 1.5, -1)": {"a", 1.5, -1}, "slice(9223372036854775807, None, None)": {math.MaxInt, nil, nil},
		} {
			s, err := py.NewSlice(tok, of[0], of[1], of[2])
			if err != nil {
				t.Fatal(err)
			}
			if got, err := s.Repr(); got != want || err != nil {
				t.Errorf("%s, want %s, %v", got, want, err)
			}
		}
		l := list(t, tok)
		s, err := py.NewSlice(tok, nil, nil, -1)
		if err != nil {
			t.Fatal(err)
		}
		back, err := l.Item(s)
		if v, bad := py.As[[]int](back); err != nil || bad != nil || len(v) != 3 || v[0] != 3 {
			t.Error(v, err, bad)
		}
		_, err = py.NewSlice(tok, make(chan int), nil, nil)
		wantText(t, tok, err, "TypeError: argument 1: cannot convert Go's chan int to a Python object")
	})
}
