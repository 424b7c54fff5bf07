package handles

import "gilt/internal/cpython"

// Slice is a slice object, as of seq[start:stop:step].
type Slice struct{ Bound }

func (Slice) class() cpython.Class { return cpython.ClassSlice }

// NewSlice is slice(start, stop, step), of ints or nil.
func NewSlice(tok *Token, start, stop, step any) (Slice, error) {
	return construct[Slice](tok, start, stop, step)
}

// Start is s.start, which may be None.
func (s Slice) Start() (Bound, error) { return s.Attr("start") }

// Stop is s.stop, which may be None.
func (s Slice) Stop() (Bound, error) { return s.Attr("stop") }

// Step is s.step, which may be None.
func (s Slice) Step() (Bound, error) { return s.Attr("step") }

// Indices is s.indices(length): where a slice of a sequence of that length starts, stops, and by which steps it goes.
func (s Slice) Indices(length int) (start, stop, step int, err error) {
	at, err := callAs[[3]int](s.Bound, "Slice.Indices", "indices", []any{length})
	return at[0], at[1], at[2], err
}

// sliceIn gives the slice from:to for an operation on b.
func sliceIn(b Bound, op string, from, to int) (Slice, error) {
	b.entry(op)
	return NewSlice(b.tok, from, to, nil)
}

// sliced is b[from:to].
func sliced(b Bound, op string, from, to int) (Bound, error) {
	s, err := sliceIn(b, op, from, to)
	if err != nil {
		return Bound{}, err
	}
	return b.object(op, cpython.OpGetItem, s)
}

// setSlice is b[from:to] = items.
func setSlice(b Bound, op string, from, to int, items any) error {
	s, err := sliceIn(b, op, from, to)
	if err == nil {
		_, err = b.do(op, cpython.OpSetItem, cpython.KindNone, s, items)
	}
	return err
}

// delSlice is del b[from:to].
func delSlice(b Bound, op string, from, to int) error {
	s, err := sliceIn(b, op, from, to)
	if err == nil {
		_, err = b.do(op, cpython.OpDelItem, cpython.KindNone, s)
	}
	return err
}
