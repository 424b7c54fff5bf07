package handles_test

import (
	"math"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func TestSequence(t *testing.T) {
	castsOnly(t, py.Cast[py.Sequence], "Sequence", []string{
		"[]", "()", "'a'", "b'a'", "range(3)", "bytearray()", "memoryview(b'')", "__import__('collections').deque()", "__import__('collections').UserList()",
		"type('Liar', (), {'__class__': list})()", // a protocol has no memory of its own
	}, []string{"{}", "set()", "{}.keys()", "iter([])", "NegLen()"})
	for _, create := range []string{aList, aTuple, "'ab1a'", "b'ab1a'", "range(1, 9, 2)", "__import__('collections').deque([1, 5, 'a'])", "__import__('collections').UserList([1, 5, 'a'])"} {
		againstPython(t, create, hostileValues, py.Cast[py.Sequence],
			method[py.Sequence]{"c.index(x)", func(s py.Sequence, x py.Bound) (any, error) { return s.Index(x) }},
			method[py.Sequence]{"c.count(x)", func(s py.Sequence, x py.Bound) (any, error) { return s.Count(x) }},
			method[py.Sequence]{"c + x", func(s py.Sequence, x py.Bound) (any, error) { return s.Concat(x) }},
			method[py.Sequence]{"c[x]", func(s py.Sequence, x py.Bound) (any, error) { return s.Item(x) }},
			method[py.Sequence]{"x in c", func(s py.Sequence, x py.Bound) (any, error) { return s.Contains(x) }},
		)
		againstPython(t, create, []string{"0"}, py.Cast[py.Sequence],
			method[py.Sequence]{"c * 2", func(s py.Sequence, _ py.Bound) (any, error) { return s.Repeat(2) }},
			method[py.Sequence]{"c * -1", func(s py.Sequence, _ py.Bound) (any, error) { return s.Repeat(-1) }},
			method[py.Sequence]{"c[1:-1]", func(s py.Sequence, _ py.Bound) (any, error) { return s.Slice(1, -1) }},
			method[py.Sequence]{"c[-9223372036854775808:9223372036854775807]", func(s py.Sequence, _ py.Bound) (any, error) { return s.Slice(math.MinInt, math.MaxInt) }},
			method[py.Sequence]{"list(c)", func(s py.Sequence, _ py.Bound) (any, error) { return s.List() }},
			method[py.Sequence]{"tuple(c)", func(s py.Sequence, _ py.Bound) (any, error) { return s.Tuple() }},
			method[py.Sequence]{"list(c)", func(s py.Sequence, _ py.Bound) (any, error) { return collect(t, s.Iter()) }},
		)
	}
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, `
import collections.abc
class Mine(collections.abc.Sequence):
    def __len__(self): return 3
    def __getitem__(self, i):
        if i == 2: raise ValueError('third')
        return i
class Bad(Mine):
    def index(self, v): return 'x'
    def count(self, v): return -1
    def __iter__(self): return 3
`)
		mine := eval(t, tok, py.Cast[py.Sequence], "Mine()", ns)
		if n, err := mine.Index(1); n != 1 || err != nil {
			t.Error(n, err)
		}
		wantText(t, tok, second(mine.Index(7)), "ValueError: third")
		wantText(t, tok, second(mine.Count(7)), "ValueError: third")
		wantText(t, tok, second(mine.List()), "ValueError: third")
		wantText(t, tok, second(mine.Concat(mine)), "TypeError: unsupported operand type(s) for +: 'Mine' and 'Mine'")
		bad := eval(t, tok, py.Cast[py.Sequence], "Bad()", ns)
		wantText(t, tok, second(bad.Index(1)), "TypeError: 'str' object cannot be interpreted as an integer")
		if n, err := bad.Count(1); n != -1 || err != nil {
			t.Error(n, err)
		}
		wantText(t, tok, second(collect(t, bad.Iter())), "TypeError: iter() returned non-iterator of type 'int'")
		_, err := eval(t, tok, py.Cast[py.Sequence], "[1]").Repeat(math.MaxInt)
		wantText(t, tok, err, "MemoryError")
	})
}
