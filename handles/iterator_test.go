package handles_test

import (
	"iter"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

const iterators = `
class NoIter: # has __next__ alone
    n = 0
    def __next__(self):
        self.n += 1
        if self.n > 3: raise StopIteration
        return self.n
class Again: # goes on after its end
    n = 0
    def __iter__(self): return self
    def __next__(self):
        self.n += 1
        if self.n == 2: raise StopIteration('value')
        if self.n == 4: raise ValueError('four')
        return self.n
class Old: # by indexes
    def __getitem__(self, i):
        if i == 3: raise IndexError
        return i
class NextIsNone:
    __next__ = None
`

func TestIterator(t *testing.T) {
	castsOnly(t, py.Cast[py.Iterator], "Iterator", []string{"iter([])", "iter({})", "(x for x in [])", "map(int, [])", "zip()", "__import__('itertools').count()", "type('N', (), {'__next__': 3})()"},
		[]string{"[]", "range(3)", "{}.keys()", "'a'", "Midway()", "type('N', (), {'__class__': type(iter([]))})()"})
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, iterators)
		next := func(it py.Iterator) (string, error) {
			v, found, err := it.Next()
			noneLeft(t, tok)
			if err != nil || !found {
				return "end", err
			}
			return must(v.Repr()), nil
		}
		it := must(py.NewIterator(tok, []string{"a", "b"}))
		for _, want := range []string{"'a'", "'b'", "end", "end"} {
			if got, err := next(it); got != want || err != nil {
				t.Error(got, want, err)
			}
		}
		again := eval(t, tok, py.Cast[py.Iterator], "Again()", ns)
		for _, want := range []string{"1", "end", "3"} {
			if got, err := next(again); got != want || err != nil {
				t.Error(got, want, err)
			}
		}
		wantText(t, tok, second(next(again)), "ValueError: four")
		if got, err := next(again); got != "5" || err != nil {
			t.Error(got, err)
		}
		_, err := next(eval(t, tok, py.Cast[py.Iterator], "NextIsNone()", ns))
		wantText(t, tok, err, "TypeError: 'NoneType' object is not callable")
		for expr, want := range map[string]string{"Old()": "[0, 1, 2]", "{1: 2}": "[1]", "'ab'": "['a', 'b']", "iter([5])": "[5]"} {
			it := must(py.NewIterator(tok, must(py.Eval(tok, expr, ns))))
			all, err := collect(t, it.Seq())
			if got := must(must(py.From(tok, all)).Repr()); got != want || err != nil {
				t.Error(got, want, err)
			}
		}
		hostileNS := pytest.Module(t, tok, hostile)
		for expr, want := range map[string]string{
			"3": "TypeError: 'int' object is not iterable", "None": "TypeError: 'NoneType' object is not iterable", "IterInt()": "TypeError: iter() returned non-iterator of type 'int'", "IterRaises()": "KeyError: 'iter'",
		} {
			_, err := py.NewIterator(tok, must(py.Eval(tok, expr, hostileNS)))
			wantText(t, tok, err, want)
		}
		wantText(t, tok, second(py.NewIterator(tok, 3)), "TypeError: 'int' object is not iterable")
		wantText(t, tok, second(py.NewIterator(tok, make(chan int))), "TypeError: cannot convert Go's chan int to a Python object")
		midway := must(py.NewIterator(tok, must(py.Eval(tok, "Midway()", hostileNS))))
		wantText(t, tok, second(collect(t, midway.Seq())), "StopAsyncIteration: midway")
		forged := py.Iterator{Bound: must(py.From(tok, 3))}
		wantText(t, tok, third(forged.Next()), "TypeError: 'int' object is not an iterator")
	})
}

// A loop that breaks off leaves the rest to the next one, also where there is no __iter__.
func TestIteratorSeq(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, iterators)
		for _, expr := range []string{"NoIter()", "iter([1, 2, 3])"} {
			it := eval(t, tok, py.Cast[py.Iterator], expr, ns)
			var seen []int64
			for range 2 {
				for v, err := range it.Seq() {
					n, bad := v.Int64()
					if err != nil || bad != nil {
						t.Fatal(err, bad)
					}
					if seen = append(seen, n); n == 2 {
						break
					}
				}
			}
			if len(seen) != 3 || seen[2] != 3 {
				t.Error(expr, seen)
			}
		}
		it := must(py.NewIterator(tok, []int{1, 2, 3}))
		var next func() (py.Bound, error, bool)
		var stop func()
		_ = py.Scope(tok, func() error {
			next, stop = iter.Pull2(it.Seq())
			_, _, _ = next()
			return nil
		})
		defer stop()
		if v, err, found := next(); err != nil || !found || !must(v.Equal(2)) { // it is of the outer scope
			t.Error(err, found)
		}
	})
}
