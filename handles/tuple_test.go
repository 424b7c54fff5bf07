package handles_test

import (
	"fmt"
	"math"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

const aTuple = "(3, 1, 'a', 1.0, None)"

func TestTuple(t *testing.T) {
	castsOnly(t, py.Cast[py.Tuple], "tuple", []string{"()", "__import__('collections').namedtuple('P', 'x')(1)"}, []string{"[1]", "{}", "type('Liar', (), {'__class__': tuple})()"})
	againstPython(t, aTuple, hostileValues, py.Cast[py.Tuple],
		method[py.Tuple]{"tuple(x)", func(c py.Tuple, x py.Bound) (any, error) { return py.TupleFrom(c.Token(), x) }},
		method[py.Tuple]{"c.index(x)", func(c py.Tuple, x py.Bound) (any, error) { return c.Index(x) }},
		method[py.Tuple]{"c.count(x)", func(c py.Tuple, x py.Bound) (any, error) { return c.Count(x) }},
		method[py.Tuple]{"c[x]", func(c py.Tuple, x py.Bound) (any, error) { return c.Item(x) }},
		method[py.Tuple]{"c + x", func(c py.Tuple, x py.Bound) (any, error) { return c.Add(x) }},
		method[py.Tuple]{"x in c", func(c py.Tuple, x py.Bound) (any, error) { return c.Contains(x) }},
		method[py.Tuple]{"list(c)", func(c py.Tuple, x py.Bound) (any, error) { return c.List() }},
		method[py.Tuple]{"list(c)", func(c py.Tuple, x py.Bound) (any, error) { return collect(t, c.Iter()) }},
	)
	for _, i := range []int{0, 2, 5, -1, -6, math.MaxInt, math.MinInt} {
		againstPython(t, aTuple, []string{"0"}, py.Cast[py.Tuple],
			method[py.Tuple]{fmt.Sprintf("c[1:%d]", i), func(c py.Tuple, _ py.Bound) (any, error) { return c.Slice(1, i) }},
			method[py.Tuple]{fmt.Sprintf("c[%d:3]", i), func(c py.Tuple, _ py.Bound) (any, error) { return c.Slice(i, 3) }},
		)
	}
}

func TestTupleOfGo(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		c, err := py.NewTuple(tok, 1, "a", nil)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := c.Repr(); s != "(1, 'a', None)" || err != nil {
			t.Error(s, err)
		}
		empty, err := py.NewTuple(tok)
		if s, bad := empty.Repr(); s != "()" || err != nil || bad != nil {
			t.Error(s, err, bad)
		}
		_, err = py.NewTuple(tok, make(chan int))
		wantText(t, tok, err, "TypeError: item 0: cannot convert Go's chan int to a Python object")
		sub := eval(t, tok, py.Cast[py.Tuple], "type('Sub', (tuple,), {'__getitem__': lambda self, i: 'item', '__iter__': lambda self: iter('abc')})((1,))")
		_, err = sub.Slice(0, 1)
		wantText(t, tok, err, "TypeError: 'str' object is not an instance of 'tuple'")
		if items, err := collect(t, sub.Iter()); len(items) != 3 || err != nil {
			t.Error(items, err)
		}
		if l, err := sub.List(); err != nil {
			t.Error(err)
		} else if s, err := l.Repr(); s != "['a', 'b', 'c']" || err != nil {
			t.Error(s, err)
		}
	})
}
