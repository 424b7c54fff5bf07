package handles

import (
	"iter"

	"gilt/internal/cpython"
)

// Sequence is any sequence: what is a collections.abc.Sequence, such as a list, a tuple, a str, bytes, or a range.
type Sequence struct{ Bound }

func (Sequence) class() cpython.Class { return cpython.ClassSequence }

// Index is s.index(value): the index of the first item that is equal to value. ValueError if there is none.
func (s Sequence) Index(value any) (int, error) {
	return callAs[int](s.Bound, "Sequence.Index", "index", []any{value})
}

// Count is s.count(value): how many items are equal to value.
func (s Sequence) Count(value any) (int, error) {
	return callAs[int](s.Bound, "Sequence.Count", "count", []any{value})
}

// Slice is s[from:to].
func (s Sequence) Slice(from, to int) (Bound, error) {
	return sliced(s.Bound, "Sequence.Slice", from, to)
}

// Concat is s + other. TypeError for sequences that cannot be added, such as ranges.
func (s Sequence) Concat(other any) (Bound, error) {
	return s.object("Sequence.Concat", cpython.OpAdd, other)
}

// Repeat is s * n. TypeError for sequences that cannot be repeated, such as ranges.
func (s Sequence) Repeat(n int) (Bound, error) {
	return s.object("Sequence.Repeat", cpython.OpMul, n)
}

// List is list(s).
func (s Sequence) List() (List, error) { return construct[List](s.tok, s.Bound) }

// Tuple is tuple(s).
func (s Sequence) Tuple() (Tuple, error) { return construct[Tuple](s.tok, s.Bound) }

// Iter iterates over the items as Bound.Iter does: those of a list or a tuple are brought several at a time, as by
// List.Iter.
func (s Sequence) Iter() iter.Seq2[Bound, error] { return items(s.Bound, "Sequence.Iter") }
