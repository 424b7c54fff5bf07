package handles_test

import (
	"fmt"
	"math"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

const aList = "[3, 1, 'a', 1.0, None]"

func TestList(t *testing.T) {
	castsOnly(t, py.Cast[py.List], "list", []string{"[]", "type('Sub', (list,), {})()"}, []string{"(1,)", "{}", "{}.keys()", "type('Liar', (), {'__class__': list})()"})
	againstPython(t, aList, hostileValues, py.Cast[py.List],
		method[py.List]{"list(x)", func(l py.List, x py.Bound) (any, error) { return py.ListFrom(l.Token(), x) }},
		method[py.List]{"c.append(x)", func(l py.List, x py.Bound) (any, error) { return done(l.Append(x)) }},
		method[py.List]{"c.extend(x)", func(l py.List, x py.Bound) (any, error) { return done(l.Extend(x)) }},
		method[py.List]{"c.insert(1, x)", func(l py.List, x py.Bound) (any, error) { return done(l.Insert(1, x)) }},
		method[py.List]{"c.remove(x)", func(l py.List, x py.Bound) (any, error) { return done(l.Remove(x)) }},
		method[py.List]{"c.index(x)", func(l py.List, x py.Bound) (any, error) { return l.Index(x) }},
		method[py.List]{"c.count(x)", func(l py.List, x py.Bound) (any, error) { return l.Count(x) }},
		method[py.List]{"c.__setitem__(slice(1, 3), x)", func(l py.List, x py.Bound) (any, error) { return done(l.SetSlice(1, 3, x)) }},
		method[py.List]{"c.sort(key=x)", func(l py.List, x py.Bound) (any, error) { return done(l.Sort(py.Named("key", x))) }},
		method[py.List]{"c.sort(key=str, reverse=x)", func(l py.List, x py.Bound) (any, error) {
			str, err := py.Eval(x.Token(), "str")
			if err != nil {
				return nil, err
			}
			return done(l.Sort(py.Named("key", str), py.Named("reverse", x)))
		}},
		method[py.List]{"c[x]", func(l py.List, x py.Bound) (any, error) { return l.Item(x) }},
		method[py.List]{"c.__setitem__(x, 5)", func(l py.List, x py.Bound) (any, error) { return done(l.SetItem(x, 5)) }},
		method[py.List]{"c.__delitem__(x)", func(l py.List, x py.Bound) (any, error) { return done(l.DelItem(x)) }},
		method[py.List]{"c + x", func(l py.List, x py.Bound) (any, error) { return l.Add(x) }},
		method[py.List]{"x in c", func(l py.List, x py.Bound) (any, error) { return l.Contains(x) }},
	)
	againstPython(t, aList, []string{"0"}, py.Cast[py.List],
		method[py.List]{"c.sort()", func(l py.List, _ py.Bound) (any, error) { return done(l.Sort()) }},
		method[py.List]{"c.reverse()", func(l py.List, _ py.Bound) (any, error) { return done(l.Reverse()) }},
		method[py.List]{"c.clear()", func(l py.List, _ py.Bound) (any, error) { return done(l.Clear()) }},
		method[py.List]{"c.copy()", func(l py.List, _ py.Bound) (any, error) { return l.Copy() }},
		method[py.List]{"tuple(c)", func(l py.List, _ py.Bound) (any, error) { return l.Tuple() }},
		method[py.List]{"list(c)", func(l py.List, _ py.Bound) (any, error) { return collect(t, l.Iter()) }},
	)
	for _, i := range []int{0, 1, 4, 5, -1, -5, -6, math.MaxInt, math.MinInt} {
		at := func(format string) string { return fmt.Sprintf(format, i) }
		againstPython(t, aList, []string{"0"}, py.Cast[py.List],
			method[py.List]{at("c.insert(%d, 9)"), func(l py.List, _ py.Bound) (any, error) { return done(l.Insert(i, 9)) }},
			method[py.List]{at("c.pop(%d)"), func(l py.List, _ py.Bound) (any, error) { return l.Pop(i) }},
			method[py.List]{at("c[1:%d]"), func(l py.List, _ py.Bound) (any, error) { return l.Slice(1, i) }},
			method[py.List]{at("c[%d:3]"), func(l py.List, _ py.Bound) (any, error) { return l.Slice(i, 3) }},
			method[py.List]{at("c.__delitem__(slice(%d, 3))"), func(l py.List, _ py.Bound) (any, error) { return done(l.DelSlice(i, 3)) }},
			method[py.List]{at("c.__setitem__(slice(%d, 3), [7, 8])"), func(l py.List, _ py.Bound) (any, error) { return done(l.SetSlice(i, 3, []int{7, 8})) }},
		)
	}
}

func TestListOfGo(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		l, err := py.NewList(tok, 1, "a", nil, []byte("b"), []int{2})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Extend([]string{"x", "y"}); err != nil {
			t.Error(err)
		}
		if s, err := l.Repr(); s != "[1, 'a', None, b'b', [2], 'x', 'y']" || err != nil {
			t.Error(s, err)
		}
		if e, err := py.NewList(tok); err != nil {
			t.Error(err)
		} else if n, err := e.Len(); n != 0 || err != nil {
			t.Error(n, err)
		}
		for _, bad := range []any{make(chan int), "\xff", func() {}} {
			if _, err := py.NewList(tok, 1, bad); err == nil {
				t.Errorf("%T is no error", bad)
			}
			if err := l.Append(bad); err == nil {
				t.Errorf("%T is no error", bad)
			}
			noneLeft(t, tok)
		}
	})
}

// A subclass's methods count, and what they give is no list because a list's would be.
func TestListSubclass(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, `
class Sub(list):
    def append(self, v): list.append(self, ('append', v))
    def extend(self, v): list.append(self, ('extend', v))
    def copy(self): return 3
    def __getitem__(self, i): return 'item'
    def index(self, v): return 'no int'
    def count(self, v): return 1 << 70
    def pop(self, i): raise StopIteration(i)
    def __iter__(self): return iter('ab')
sub = Sub([1])
`)
		l, err := py.Cast[py.List](pytest.Get(t, ns, "sub"))
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Append(2); err != nil {
			t.Error(err)
		}
		if err := l.Extend([]int{3}); err != nil {
			t.Error(err)
		}
		if s, err := l.Repr(); s != "[1, ('append', 2), ('extend', [3])]" || err != nil {
			t.Error(s, err)
		}
		for want, err := range map[string]error{
			"TypeError: 'int' object is not an instance of 'list'":        second(l.Copy()),
			"TypeError: 'str' object is not an instance of 'list'":        second(l.Slice(0, 1)),
			"TypeError: 'str' object cannot be interpreted as an integer": second(l.Index(1)),
			"OverflowError: Python int too large to convert to C long":    overflow(second(l.Count(1))),
			"StopIteration: 5": second(l.Pop(5)),
		} {
			wantText(t, tok, err, want)
		}
		if items, err := collect(t, l.Iter()); err != nil || len(items) != 2 {
			t.Error(items, err)
		}
		if items, err := collect(t, py.Sequence(l).Iter()); err != nil || len(items) != 2 {
			t.Error(items, err)
		}
	})
}

// overflow is the error with the text that it has on every version.
func overflow(err error) error {
	if err != nil && err.Error() == "OverflowError: int too big to convert" {
		return fmt.Errorf("OverflowError: Python int too large to convert to C long")
	}
	return err
}
