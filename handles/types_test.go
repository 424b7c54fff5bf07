package handles_test

import (
	"errors"
	"fmt"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func eval[T py.Object](t testing.TB, tok *gilt.Token, cast func(py.Object) (T, error), expr string, ns ...py.Object) T {
	t.Helper()
	b, err := py.Eval(tok, expr, ns...)
	if err != nil {
		t.Fatalf("%s: %+v", expr, err)
	}
	v, err := cast(b)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	return v
}

func TestCast(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		_, err := py.Cast[py.List](eval(t, tok, py.Cast[py.Tuple], "(1,)"))
		if !errors.Is(err, py.TypeError) || err.Error() != "TypeError: 'tuple' object is not an instance of 'list'" {
			t.Error(err)
		}
		if _, err := py.Cast[py.List](py.None(tok)); err == nil || err.Error() != "TypeError: 'NoneType' object is not an instance of 'list'" {
			t.Error(err)
		}
		eval(t, tok, py.Cast[py.List], "type('Sub', (list,), {})()")
		if _, err := py.Cast[py.List](eval(t, tok, cast, "type('Liar', (), {'__class__': list})()")); !errors.Is(err, py.TypeError) {
			t.Error("one that says it is a list:", err)
		}
	})
}

func cast(o py.Object) (py.Bound, error) { return o.(py.Bound), nil }

func TestIterationSeesChanges(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		l := eval(t, tok, py.Cast[py.List], "list(range(200))")
		var seen []int64
		for item, err := range l.Iter() {
			if err != nil {
				t.Fatal(err)
			}
			v, _ := item.Int64()
			if v%50 == 49 {
				if _, err := l.Pop(0); err != nil { // moves what comes
					t.Fatal(err)
				}
			}
			seen = append(seen, v)
		}
		want := eval(t, tok, cast, `(lambda l, out: ([(out.append(v), v % 50 == 49 and l.pop(0)) for v in l], out)[1])(list(range(200)), [])`)
		if w, err := py.As[[]int64](want); err != nil || fmt.Sprint(w) != fmt.Sprint(seen) {
			t.Errorf("%v\nwant %v, %v", seen, w, err)
		}
		d := eval(t, tok, py.Cast[py.Dict], "dict.fromkeys(range(100))")
		n := 0
		var last error
		for item, err := range d.Items() {
			if last = err; err != nil {
				break
			}
			if n++; n == 30 {
				if err := d.DelItem(item.Key); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !errors.Is(last, py.RuntimeError) || n != 30 {
			t.Error(n, last)
		}
	})
}
