package handles

import (
	"iter"

	"gilt/internal/cpython"
)

// The views of a dict: they show what it has, also when it changes.

// DictKeys is what d.keys() gives: a set of the keys.
type DictKeys struct{ Bound }

// DictValues is what d.values() gives. Two views of values are never equal, not even of the same dict.
type DictValues struct{ Bound }

// DictItems is what d.items() gives: a set of tuples of a key and its value, as long as all values have a hash.
type DictItems struct{ Bound }

func (DictKeys) class() cpython.Class   { return cpython.ClassDictKeys }
func (DictValues) class() cpython.Class { return cpython.ClassDictValues }
func (DictItems) class() cpython.Class  { return cpython.ClassDictItems }

// Mapping is k.mapping, a read-only view of the dict.
func (k DictKeys) Mapping() (MappingProxy, error) {
	return castOf[MappingProxy](k.Attr("mapping"))
}

// Union is k | other, a new set; other is any iterable.
func (k DictKeys) Union(other any) (Set, error) {
	return castOf[Set](k.object("DictKeys.Union", cpython.OpOr, other))
}

// Intersection is k & other, a new set; other is any iterable.
func (k DictKeys) Intersection(other any) (Set, error) {
	return castOf[Set](k.object("DictKeys.Intersection", cpython.OpAnd, other))
}

// Difference is k - other, a new set; other is any iterable.
func (k DictKeys) Difference(other any) (Set, error) {
	return castOf[Set](k.object("DictKeys.Difference", cpython.OpSub, other))
}

// SymmetricDifference is k ^ other, a new set; other is any iterable.
func (k DictKeys) SymmetricDifference(other any) (Set, error) {
	return castOf[Set](k.object("DictKeys.SymmetricDifference", cpython.OpXor, other))
}

// IsSubset is k <= other; other is a set, or a view that is one.
func (k DictKeys) IsSubset(other any) (bool, error) {
	return k.truth("DictKeys.IsSubset", cpython.OpLessEqual, other)
}

// IsSuperset is k >= other; other is a set, or a view that is one.
func (k DictKeys) IsSuperset(other any) (bool, error) {
	return k.truth("DictKeys.IsSuperset", cpython.OpGreaterEqual, other)
}

// IsDisjoint is k.isdisjoint(other); other is any iterable.
func (k DictKeys) IsDisjoint(other any) (bool, error) {
	return callAs[bool](k.Bound, "DictKeys.IsDisjoint", "isdisjoint", []any{other})
}

// Mapping is v.mapping, a read-only view of the dict.
func (v DictValues) Mapping() (MappingProxy, error) {
	return castOf[MappingProxy](v.Attr("mapping"))
}

// Mapping is i.mapping, a read-only view of the dict.
func (i DictItems) Mapping() (MappingProxy, error) {
	return castOf[MappingProxy](i.Attr("mapping"))
}

// Items iterates over the keys and their values.
func (i DictItems) Items() iter.Seq2[Item, error] { return unpacked(i.Bound, "DictItems.Items") }

// Union is i | other, a new set; other is any iterable.
func (i DictItems) Union(other any) (Set, error) {
	return castOf[Set](i.object("DictItems.Union", cpython.OpOr, other))
}

// Intersection is i & other, a new set; other is any iterable.
func (i DictItems) Intersection(other any) (Set, error) {
	return castOf[Set](i.object("DictItems.Intersection", cpython.OpAnd, other))
}

// Difference is i - other, a new set; other is any iterable.
func (i DictItems) Difference(other any) (Set, error) {
	return castOf[Set](i.object("DictItems.Difference", cpython.OpSub, other))
}

// SymmetricDifference is i ^ other, a new set; other is any iterable.
func (i DictItems) SymmetricDifference(other any) (Set, error) {
	return castOf[Set](i.object("DictItems.SymmetricDifference", cpython.OpXor, other))
}

// IsSubset is i <= other; other is a set, or a view that is one.
func (i DictItems) IsSubset(other any) (bool, error) {
	return i.truth("DictItems.IsSubset", cpython.OpLessEqual, other)
}

// IsSuperset is i >= other; other is a set, or a view that is one.
func (i DictItems) IsSuperset(other any) (bool, error) {
	return i.truth("DictItems.IsSuperset", cpython.OpGreaterEqual, other)
}

// IsDisjoint is i.isdisjoint(other); other is any iterable.
func (i DictItems) IsDisjoint(other any) (bool, error) {
	return callAs[bool](i.Bound, "DictItems.IsDisjoint", "isdisjoint", []any{other})
}
