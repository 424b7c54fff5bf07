package handles

import (
	"iter"

	"gilt/internal/cpython"
)

// Tuple is a tuple.
type Tuple struct{ Bound }

func (Tuple) class() cpython.Class { return cpython.ClassTuple }

// NewTuple gives a tuple of items, each converted as From does.
func NewTuple(tok *Token, items ...any) (Tuple, error) {
	l, err := NewList(tok, items...)
	if err != nil {
		return Tuple{}, err
	}
	return l.Tuple()
}

// TupleFrom is tuple(items), of a Go slice or any Python iterable.
func TupleFrom(tok *Token, items any) (Tuple, error) { return construct[Tuple](tok, items) }

// Index is the index of the first item that is equal to value. ValueError if there is none.
func (t Tuple) Index(value any) (int, error) {
	return callAs[int](t.Bound, "Tuple.Index", "index", []any{value})
}

// Count is how many items are equal to value.
func (t Tuple) Count(value any) (int, error) {
	return callAs[int](t.Bound, "Tuple.Count", "count", []any{value})
}

// Slice is t[from:to], a tuple.
func (t Tuple) Slice(from, to int) (Tuple, error) {
	return castOf[Tuple](sliced(t.Bound, "Tuple.Slice", from, to))
}

// List is list(t).
func (t Tuple) List() (List, error) { return construct[List](t.tok, t.Bound) }

// Iter iterates over the items as Bound.Iter does. They are brought several at a time as long as nothing else is done in
// between.
func (t Tuple) Iter() iter.Seq2[Bound, error] { return items(t.Bound, "Tuple.Iter") }
