package handles_test

import (
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func TestSet(t *testing.T) {
	castsOnly(t, py.Cast[py.Set], "set", []string{"set()", "type('Sub', (set,), {})()"}, []string{"frozenset()", "[]", "{}", "{}.keys()", "type('Liar', (), {'__class__': set})()"})
	againstPython(t, "{1, 5, 'a', (1, 5)}", hostileValues, py.Cast[py.Set],
		method[py.Set]{"c.add(x)", func(s py.Set, x py.Bound) (any, error) { return done(s.Add(x)) }},
		method[py.Set]{"c.discard(x)", func(s py.Set, x py.Bound) (any, error) { return done(s.Discard(x)) }},
		method[py.Set]{"c.remove(x)", func(s py.Set, x py.Bound) (any, error) { return done(s.Remove(x)) }},
		method[py.Set]{"c.update(x)", func(s py.Set, x py.Bound) (any, error) { return done(s.Update(x)) }},
		method[py.Set]{"c.intersection_update(x)", func(s py.Set, x py.Bound) (any, error) { return done(s.IntersectionUpdate(x)) }},
		method[py.Set]{"c.difference_update(x)", func(s py.Set, x py.Bound) (any, error) { return done(s.DifferenceUpdate(x)) }},
		method[py.Set]{"c.symmetric_difference_update(x)", func(s py.Set, x py.Bound) (any, error) { return done(s.SymmetricDifferenceUpdate(x)) }},
		method[py.Set]{"c.union(x)", func(s py.Set, x py.Bound) (any, error) { return s.Union(x) }},
		method[py.Set]{"c.intersection(x)", func(s py.Set, x py.Bound) (any, error) { return s.Intersection(x) }},
		method[py.Set]{"c.difference(x)", func(s py.Set, x py.Bound) (any, error) { return s.Difference(x) }},
		method[py.Set]{"c.symmetric_difference(x)", func(s py.Set, x py.Bound) (any, error) { return s.SymmetricDifference(x) }},
		method[py.Set]{"c.issubset(x)", func(s py.Set, x py.Bound) (any, error) { return s.IsSubset(x) }},
		method[py.Set]{"c.issuperset(x)", func(s py.Set, x py.Bound) (any, error) { return s.IsSuperset(x) }},
		method[py.Set]{"c.isdisjoint(x)", func(s py.Set, x py.Bound) (any, error) { return s.IsDisjoint(x) }},
		method[py.Set]{"set(x)", func(s py.Set, x py.Bound) (any, error) { return py.SetFrom(s.Token(), x) }},
		method[py.Set]{"{x}", func(s py.Set, x py.Bound) (any, error) { return py.NewSet(s.Token(), x) }},
		method[py.Set]{"x in c", func(s py.Set, x py.Bound) (any, error) { return s.Contains(x) }},
		method[py.Set]{"bool(c <= x)", func(s py.Set, x py.Bound) (any, error) { return s.LessEqual(x) }},
		method[py.Set]{"c.union([7], x, 'z')", func(s py.Set, x py.Bound) (any, error) { return s.Union([]int{7}, x, "z") }},
		method[py.Set]{"c.intersection([1, 5], x)", func(s py.Set, x py.Bound) (any, error) { return s.Intersection([]int{1, 5}, x) }},
	)
	againstPython(t, "{1, 'a', None}", []string{"0"}, py.Cast[py.Set],
		method[py.Set]{"c.copy()", func(s py.Set, _ py.Bound) (any, error) { return s.Copy() }},
		method[py.Set]{"c.clear()", func(s py.Set, _ py.Bound) (any, error) { return done(s.Clear()) }},
		method[py.Set]{"c.union()", func(s py.Set, _ py.Bound) (any, error) { return s.Union() }},
		method[py.Set]{"c.difference()", func(s py.Set, _ py.Bound) (any, error) { return s.Difference() }},
		method[py.Set]{"c.update()", func(s py.Set, _ py.Bound) (any, error) { return done(s.Update()) }},
		method[py.Set]{"list(c)", func(s py.Set, _ py.Bound) (any, error) { return collect(t, s.Iter()) }},
		method[py.Set]{"c.pop()", func(s py.Set, _ py.Bound) (any, error) { return ok(s.Pop()) }},
	)
}

func TestFrozenSet(t *testing.T) {
	castsOnly(t, py.Cast[py.FrozenSet], "frozenset", []string{"frozenset()", "type('Sub', (frozenset,), {})()"}, []string{"set()", "()", "{}.keys()"})
	againstPython(t, "frozenset({1, 5, 'a', (1, 5)})", hostileValues, py.Cast[py.FrozenSet],
		method[py.FrozenSet]{"c.union(x)", func(s py.FrozenSet, x py.Bound) (any, error) { return s.Union(x) }},
		method[py.FrozenSet]{"c.intersection(x)", func(s py.FrozenSet, x py.Bound) (any, error) { return s.Intersection(x) }},
		method[py.FrozenSet]{"c.difference(x)", func(s py.FrozenSet, x py.Bound) (any, error) { return s.Difference(x) }},
		method[py.FrozenSet]{"c.symmetric_difference(x)", func(s py.FrozenSet, x py.Bound) (any, error) { return s.SymmetricDifference(x) }},
		method[py.FrozenSet]{"c.issubset(x)", func(s py.FrozenSet, x py.Bound) (any, error) { return s.IsSubset(x) }},
		method[py.FrozenSet]{"c.issuperset(x)", func(s py.FrozenSet, x py.Bound) (any, error) { return s.IsSuperset(x) }},
		method[py.FrozenSet]{"c.isdisjoint(x)", func(s py.FrozenSet, x py.Bound) (any, error) { return s.IsDisjoint(x) }},
		method[py.FrozenSet]{"frozenset(x)", func(s py.FrozenSet, x py.Bound) (any, error) { return py.FrozenSetFrom(s.Token(), x) }},
		method[py.FrozenSet]{"frozenset([x, 1])", func(s py.FrozenSet, x py.Bound) (any, error) { return py.NewFrozenSet(s.Token(), x, 1) }},
		method[py.FrozenSet]{"c.copy()", func(s py.FrozenSet, _ py.Bound) (any, error) { return s.Copy() }},
		method[py.FrozenSet]{"list(c)", func(s py.FrozenSet, _ py.Bound) (any, error) { return collect(t, s.Iter()) }},
	)
}

func TestSetOfGo(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		s := must(py.NewSet(tok, 1, "a", nil, 1))
		if n := must(s.Len()); n != 3 {
			t.Error(n)
		}
		if n := must(must(py.NewSet(tok)).Len()) + must(must(py.NewFrozenSet(tok)).Len()); n != 0 {
			t.Error(n)
		}
		if yes := must(must(py.SetFrom(tok, []string{"x", "y"})).Equal(must(py.FrozenSetFrom(tok, "xy")))); !yes {
			t.Error("sets of a Go slice and of a string")
		}
		if err := s.Update([]int{2, 3}, map[string]int{"k": 1}, "yz"); err != nil {
			t.Error(err)
		}
		if n := must(s.Len()); n != 8 {
			t.Error(n)
		}
		for range 8 {
			if _, found, err := s.Pop(); !found || err != nil {
				t.Error(found, err)
			}
		}
		if _, found, err := s.Pop(); found || err != nil {
			t.Error(found, err)
		}
		if yes := must(s.IsSubset([]int{1})); !yes {
			t.Error("the empty set")
		}
		bad := make(chan int)
		for what, err := range map[string]error{
			"NewSet": second(py.NewSet(tok, bad)), "SetFrom": second(py.SetFrom(tok, bad)), "nil": second(py.SetFrom(tok, nil)), "number": second(py.FrozenSetFrom(tok, 3)), "Add": s.Add(bad),
			"no hash": s.Add([]int{1}), "Update": s.Update([]int{1}, bad), "Union": second(s.Union(bad)), "keyword": second(s.Union(py.Named("a", 1))), "Remove": s.Remove("\xff"), "IsSubset": second(s.IsSubset(bad)),
		} {
			if err == nil {
				t.Error(what, "is no error")
			}
			noneLeft(t, tok)
		}
		wantText(t, tok, s.Remove("gone"), "KeyError: 'gone'")
		var last error
		big := must(py.SetFrom(tok, make100()))
		for v, err := range big.Iter() {
			if last = err; err == nil {
				if err := big.Remove(v); err != nil {
					t.Fatal(err)
				}
			}
		}
		wantText(t, tok, last, "RuntimeError: Set changed size during iteration")
		sub := eval(t, tok, py.Cast[py.Set], "type('Sub', (set,), {'copy': lambda s: 1, 'union': lambda s, *a: a, 'isdisjoint': lambda s, o: 1, 'pop': lambda s: s.nope, 'issubset': lambda s, o: None})()")
		wantText(t, tok, second(sub.Copy()), "TypeError: 'int' object is not an instance of 'set'")
		wantText(t, tok, second(sub.Union()), "TypeError: 'tuple' object is not an instance of 'set'")
		wantText(t, tok, second(sub.IsDisjoint(1)), "TypeError: 'int' object is not an instance of 'bool'")
		wantText(t, tok, second(sub.IsSubset(1)), "TypeError: 'NoneType' object is not an instance of 'bool'")
		wantText(t, tok, third(sub.Pop()), "AttributeError: 'Sub' object has no attribute 'nope'")
	})
}

func make100() (v []int) {
	for i := range 100 {
		v = append(v, i)
	}
	return v
}
