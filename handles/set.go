package handles

import "gilt/internal/cpython"

// Set is a set. As in Python, iterating over one (Iter) while its size changes is a RuntimeError.
type Set struct{ Bound }

func (Set) class() cpython.Class { return cpython.ClassSet }

// NewSet gives a new set of items, each converted as From does.
func NewSet(tok *Token, items ...any) (Set, error) { return SetFrom(tok, listed(items)) }

// SetFrom is set(items), of a Go slice or any Python iterable.
func SetFrom(tok *Token, items any) (Set, error) { return construct[Set](tok, items) }

// Add adds a value.
func (s Set) Add(value any) error { return s.perform("Set.Add", "add", value) }

// Discard removes a value, if the set has it.
func (s Set) Discard(value any) error { return s.perform("Set.Discard", "discard", value) }

// Remove removes a value. KeyError if the set does not have it.
func (s Set) Remove(value any) error { return s.perform("Set.Remove", "remove", value) }

// Pop removes some value and gives it; ok is false when the set is empty.
func (s Set) Pop() (v Bound, ok bool, err error) {
	v, err = s.callBound("Set.Pop", "pop", nil)
	if _, empty := raisedAs(err, KeyError); empty {
		return Bound{}, false, nil
	}
	return v, err == nil, err
}

// Clear removes all values.
func (s Set) Clear() error { return s.perform("Set.Clear", "clear") }

// Copy gives a new set of the same values.
func (s Set) Copy() (Set, error) { return castOf[Set](s.callBound("Set.Copy", "copy", nil)) }

// Update adds the values of all others, Go slices or any iterables.
func (s Set) Update(others ...any) error { return s.perform("Set.Update", "update", others...) }

// IntersectionUpdate removes what one of the others, any iterables, does not have.
func (s Set) IntersectionUpdate(others ...any) error {
	return s.perform("Set.IntersectionUpdate", "intersection_update", others...)
}

// DifferenceUpdate removes what one of the others, any iterables, has.
func (s Set) DifferenceUpdate(others ...any) error {
	return s.perform("Set.DifferenceUpdate", "difference_update", others...)
}

// SymmetricDifferenceUpdate removes what the other, any iterable, has too, and adds what only that has.
func (s Set) SymmetricDifferenceUpdate(other any) error {
	return s.perform("Set.SymmetricDifferenceUpdate", "symmetric_difference_update", other)
}

// Union is a new set of what the set or one of the others, any iterables, has.
func (s Set) Union(others ...any) (Set, error) {
	return castOf[Set](s.callBound("Set.Union", "union", others))
}

// Intersection is a new set of what the set and all others, any iterables, have.
func (s Set) Intersection(others ...any) (Set, error) {
	return castOf[Set](s.callBound("Set.Intersection", "intersection", others))
}

// Difference is a new set of what the set has and none of the others, any iterables.
func (s Set) Difference(others ...any) (Set, error) {
	return castOf[Set](s.callBound("Set.Difference", "difference", others))
}

// SymmetricDifference is a new set of what either the set or the other, any iterable, has.
func (s Set) SymmetricDifference(other any) (Set, error) {
	return castOf[Set](s.callBound("Set.SymmetricDifference", "symmetric_difference", []any{other}))
}

// IsSubset says whether the other, any iterable, has all values.
func (s Set) IsSubset(other any) (bool, error) {
	return callAs[bool](s.Bound, "Set.IsSubset", "issubset", []any{other})
}

// IsSuperset says whether the set has all values of the other, any iterable.
func (s Set) IsSuperset(other any) (bool, error) {
	return callAs[bool](s.Bound, "Set.IsSuperset", "issuperset", []any{other})
}

// IsDisjoint says whether the set has no value of the other, any iterable.
func (s Set) IsDisjoint(other any) (bool, error) {
	return callAs[bool](s.Bound, "Set.IsDisjoint", "isdisjoint", []any{other})
}
