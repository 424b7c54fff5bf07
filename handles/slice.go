package handles

import "gilt/internal/cpython"

// Slice is a slice object, as of seq[start:stop:step].
type Slice struct{ Bound }

func (Slice) class() cpython.Class { return cpython.ClassSlice }

// NewSlice is slice(start, stop, step), of ints or nil.
func NewSlice(tok *Token, start, stop, step any) (Slice, error) {
	return construct[Slice](tok, start, stop, step)
}

// sliced is b[from:to].
func sliced(b Bound, op string, from, to int) (Bound, error) {
	b.entry(op)
	s, err := NewSlice(b.tok, from, to, nil)
	if err != nil {
		return Bound{}, err
	}
	return b.object(op, cpython.OpGetItem, s)
}
