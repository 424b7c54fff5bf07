package handles

import "gilt/internal/cpython"

// FrozenSet is a frozenset: a set that does not change, and so may be a key.
type FrozenSet struct{ Bound }

func (FrozenSet) class() cpython.Class { return cpython.ClassFrozenSet }

// NewFrozenSet gives a frozenset of items, each converted as From does.
func NewFrozenSet(tok *Token, items ...any) (FrozenSet, error) {
	return FrozenSetFrom(tok, listed(items))
}

// FrozenSetFrom is frozenset(items), of a Go slice or any Python iterable.
func FrozenSetFrom(tok *Token, items any) (FrozenSet, error) {
	return construct[FrozenSet](tok, items)
}

// Copy is s.copy(), of a frozenset itself.
func (s FrozenSet) Copy() (FrozenSet, error) {
	return castOf[FrozenSet](s.callBound("FrozenSet.Copy", "copy", nil))
}

// Union is a frozenset of what the set or one of the others, any iterables, has.
func (s FrozenSet) Union(others ...any) (FrozenSet, error) {
	return castOf[FrozenSet](s.callBound("FrozenSet.Union", "union", others))
}

// Intersection is a frozenset of what the set and all others, any iterables, have.
func (s FrozenSet) Intersection(others ...any) (FrozenSet, error) {
	return castOf[FrozenSet](s.callBound("FrozenSet.Intersection", "intersection", others))
}

// Difference is a frozenset of what the set has and none of the others, any iterables.
func (s FrozenSet) Difference(others ...any) (FrozenSet, error) {
	return castOf[FrozenSet](s.callBound("FrozenSet.Difference", "difference", others))
}

// SymmetricDifference is a frozenset of what either the set or the other, any iterable, has.
func (s FrozenSet) SymmetricDifference(other any) (FrozenSet, error) {
	return castOf[FrozenSet](s.callBound("FrozenSet.SymmetricDifference", "symmetric_difference", []any{other}))
}

// IsSubset says whether the other, any iterable, has all values.
func (s FrozenSet) IsSubset(other any) (bool, error) {
	return callAs[bool](s.Bound, "FrozenSet.IsSubset", "issubset", []any{other})
}

// IsSuperset says whether the set has all values of the other, any iterable.
func (s FrozenSet) IsSuperset(other any) (bool, error) {
	return callAs[bool](s.Bound, "FrozenSet.IsSuperset", "issuperset", []any{other})
}

// IsDisjoint says whether the set has no value of the other, any iterable.
func (s FrozenSet) IsDisjoint(other any) (bool, error) {
	return callAs[bool](s.Bound, "FrozenSet.IsDisjoint", "isdisjoint", []any{other})
}
