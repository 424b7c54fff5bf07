package handles_test

import (
	"errors"
	"strings"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// What stands for arguments is no value: it never becomes a dict or a list in silence.
func TestKeywordsThatAreMisplaced(t *testing.T) {
	type options struct{ A int }
	kw, named, args, spread := py.Kw{"a": 1}, py.Named("a", 1), py.Args{1}, py.Spread[options]{}
	pytest.Install(t, "gilt_misplaced", "def f(*args, **kw): return repr((args, kw))")
	rt := pytest.Runtime()
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, py.TypeError) {
			t.Errorf("%s: %v, want a TypeError", what, err)
		}
	}
	pytest.Do(t, func(tok *gilt.Token) {
		f := must(must(py.Import(tok, "gilt_misplaced")).Attr("f"))
		l, d := must(py.NewList(tok)), must(py.NewDict(tok, nil))
		for name, v := range map[string]any{"Kw": kw, "no Kw": py.Kw(nil), "Keyword": named, "Args": args, "no Args": py.Args(nil), "Spread": spread} {
			refused(name+" as a value", second(py.From(tok, v)))
			refused(name+" by a pointer", second(py.From(tok, &v)))
			refused(name+" as an element", second(py.From(tok, []any{1, v})))
			refused(name+" as an item of an array", second(py.From(tok, [1]any{v})))
			refused(name+" in a dict", second(py.From(tok, map[string]any{"x": v})))
			refused(name+" in a struct", second(py.From(tok, struct{ X any }{v})))
			refused(name+" before another argument", second(f.Call(v, 2)))
			refused(name+" in an argument", second(f.Call([]any{v})))
			refused(name+" as a keyword argument", second(f.Call(py.Named("x", v))))
			refused(name+" in a Kw", second(f.Call(py.Kw{"x": v})))
			refused(name+" in Add", second(l.Add(v)))
			refused(name+" in SetItem", d.SetItem("x", v))
			refused(name+" in SetAttr", f.SetAttr("x", v))
			refused(name+" in Append", l.Append(v))
			refused(name+" in NewList", second(py.NewList(tok, v)))
			if n, err := l.Len(); n != 0 || err != nil {
				t.Errorf("%s got into a list: %d, %v", name, n, err)
			}
		}
		refused("typed elements", second(py.From(tok, []py.Kw{kw})))
		refused("typed elements", second(py.From(tok, []py.Args{args})))
		refused("typed elements", second(py.From(tok, []py.Keyword{named})))
		refused("a typed field", second(py.From(tok, struct{ X py.Spread[options] }{spread})))
		refused("Args of a call", second(f.Call(args)))
		refused("a Spread of a call", second(f.Call(spread)))
		refused("two Kw", second(f.Call(kw, kw)))

		refused("two Named of one name", second(f.Call(named, named)))
		refused("two Named of one name, apart", second(f.Call(1, named, py.Named("b", 1), named)))
		refused("a Named and a Kw of one name", second(f.Call(named, py.Kw{"a": 1, "b": 1})))
		for want, args := range map[string][]any{
			"((), {'a': 1})":                {named},
			"((2,), {'a': 1, 'b': [2]})":    {2, named, py.Named("b", []int{2})},
			"(('x',), {'b': None, 'a': 1})": {"x", py.Named("b", nil), kw},
		} {
			if s, err := py.CallAs[string](f, args...); s != want || err != nil {
				t.Errorf("%v: %s, %v, want %s", args, s, err, want)
			}
		}
	})
	a := must(gilt.Lookup[py.Args, string](ctx, rt, "gilt_misplaced:f"))
	refused("Args in Args", second(a.Call(ctx, py.Args{args})))
	refused("a Kw in Args", second(a.Call(ctx, py.Args{kw})))
	refused("a Named in Args", second(a.Call(ctx, py.Args{named})))
	refused("a Spread in Args", second(a.Call(ctx, py.Args{spread})))
	k := must(gilt.Lookup[py.Kw, string](ctx, rt, "gilt_misplaced:f"))
	refused("a Kw of a prepared function", second(k.Call(ctx, kw)))
	p := must(gilt.Lookup[*py.Spread[options], string](ctx, rt, "gilt_misplaced:f"))
	refused("a pointer to a Spread", second(p.Call(ctx, &spread)))
	refused("no pointer to a Spread", second(p.Call(ctx, nil)))
	two := must(gilt.Lookup2[py.Kw, py.Spread[options], string](ctx, rt, "gilt_misplaced:f"))
	refused("a Kw and a Spread", second(two.Call(ctx, nil, spread)))
	type same struct {
		A int `py:"x"`
		B int `py:"x"`
	}
	s := must(gilt.Lookup[py.Spread[same], string](ctx, rt, "gilt_misplaced:f"))
	_, err := s.Call(ctx, py.Spread[same]{})
	if refused("two fields of one name", err); err != nil && !strings.Contains(err.Error(), `"x" is given twice`) {
		t.Error(err)
	}
}
