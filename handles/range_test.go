package handles_test

import (
	"errors"
	"math"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func TestRange(t *testing.T) {
	castsOnly(t, py.Cast[py.Range], "range", []string{"range(3)"}, []string{"[1]", "slice(3)", "iter(range(3))"})
	for _, create := range []string{"range(1, 20, 4)", "range(0)", "range(5, -5, -3)"} {
		againstPython(t, create, hostileValues, py.Cast[py.Range],
			method[py.Range]{"c.index(x)", func(r py.Range, x py.Bound) (any, error) { return r.Index(x) }},
			method[py.Range]{"c.count(x)", func(r py.Range, x py.Bound) (any, error) { return r.Count(x) }},
			method[py.Range]{"c[x]", func(r py.Range, x py.Bound) (any, error) { return r.Item(x) }},
			method[py.Range]{"x in c", func(r py.Range, x py.Bound) (any, error) { return r.Contains(x) }},
		)
		againstPython(t, create, []string{"0"}, py.Cast[py.Range],
			method[py.Range]{"c.start", func(r py.Range, _ py.Bound) (any, error) { return r.Start() }},
			method[py.Range]{"c.stop", func(r py.Range, _ py.Bound) (any, error) { return r.Stop() }},
			method[py.Range]{"c.step", func(r py.Range, _ py.Bound) (any, error) { return r.Step() }},
			method[py.Range]{"len(c)", func(r py.Range, _ py.Bound) (any, error) { return r.Len() }},
			method[py.Range]{"c[1:-1]", func(r py.Range, _ py.Bound) (any, error) { return r.Slice(1, -1) }},
			method[py.Range]{"c[-9223372036854775808:9223372036854775807]", func(r py.Range, _ py.Bound) (any, error) { return r.Slice(math.MinInt, math.MaxInt) }},
			method[py.Range]{"list(c)", func(r py.Range, _ py.Bound) (any, error) { return collect(t, r.Iter()) }},
		)
	}
	pytest.Do(t, func(tok *gilt.Token) {
		r := must(py.NewRange(tok, math.MinInt, math.MaxInt, math.MaxInt))
		if s := must(r.Repr()); s != "range(-9223372036854775808, 9223372036854775807, 9223372036854775807)" {
			t.Error(s)
		}
		_, err := py.NewRange(tok, 1, 2, 0)
		wantText(t, tok, err, "ValueError: range() arg 3 must not be zero")
		huge := eval(t, tok, py.Cast[py.Range], "range(-10**30, 10**30, 10**20)")
		for what, err := range map[string]error{"start": second(huge.Start()), "stop": second(huge.Stop()), "step": second(huge.Step()), "len": second(eval(t, tok, py.Cast[py.Range], "range(10**30)").Len())} {
			if !errors.Is(err, py.OverflowError) {
				t.Error(what, err)
			}
			noneLeft(t, tok)
		}
		if n, err := huge.Index(0); n != 10_000_000_000 || err != nil {
			t.Error(n, err)
		}
	})
}
