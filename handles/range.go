package handles

import "gilt/internal/cpython"

// Range is a range. Its ints may be larger than Go's: what does not fit is an OverflowError, and Attr gives it.
type Range struct{ Bound }

func (Range) class() cpython.Class { return cpython.ClassRange }

// NewRange is range(start, stop, step). ValueError if step is 0.
func NewRange(tok *Token, start, stop, step int) (Range, error) {
	return construct[Range](tok, start, stop, step)
}

// Start is r.start.
func (r Range) Start() (int, error) { return AttrAs[int](r, "start") }

// Stop is r.stop.
func (r Range) Stop() (int, error) { return AttrAs[int](r, "stop") }

// Step is r.step.
func (r Range) Step() (int, error) { return AttrAs[int](r, "step") }

// Index is the index of a value. ValueError if the range does not have it.
func (r Range) Index(value any) (int, error) {
	return callAs[int](r.Bound, "Range.Index", "index", []any{value})
}

// Count is how many items are equal to value.
func (r Range) Count(value any) (int, error) {
	return callAs[int](r.Bound, "Range.Count", "count", []any{value})
}

// Slice is r[from:to], a range.
func (r Range) Slice(from, to int) (Range, error) {
	return castOf[Range](sliced(r.Bound, "Range.Slice", from, to))
}
