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
	b, err := sliced(t.Bound, "Tuple.Slice", from, to)
	return Tuple{b}, err
}

// List is list(t).
func (t Tuple) List() (List, error) { return construct[List](t.tok, t.Bound) }

// Iter iterates over the items as Bound.Iter does, several of them in one crossing.
func (t Tuple) Iter() iter.Seq2[Bound, error] { return items(t.Bound, "Tuple.Iter") }
