package handles

import (
	"iter"
	"reflect"

	"gilt/internal/cpython"
)

// List is a list.
type List struct{ Bound }

func (List) class() cpython.Class { return cpython.ClassList }

// NewList gives a new list of items, each converted as From does.
func NewList(tok *Token, items ...any) (List, error) {
	return made[List](From(tok, listed(items)))
}

// ListFrom is list(items), of a Go slice or any Python iterable, such as a set or a view of a dict.
func ListFrom(tok *Token, items any) (List, error) {
	if isItems(items) {
		return made[List](From(tok, items))
	}
	return construct[List](tok, items)
}

// isItems says whether From makes a list of v: then a second copy would keep the GIL.
func isItems(v any) bool {
	t := reflect.TypeOf(v)
	return t != nil && t != argsType && (t.Kind() == reflect.Array || t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8 && !reflect.ValueOf(v).IsNil())
}

// Append appends a value.
func (l List) Append(value any) error {
	_, err := l.do("List.Append", cpython.OpAppend, cpython.KindNone, value)
	return err
}

// Extend appends all items of a Go slice, or of any Python iterable, in one crossing. Of more than 65,536 items other threads may see
// some at the end and others not yet, as when Python extends a list by what an iterator gives.
func (l List) Extend(items any) error {
	_, err := l.do("List.Extend", cpython.OpExtend, cpython.KindNone, items)
	return err
}

// Insert inserts a value before the index.
func (l List) Insert(i int, value any) error { return l.perform("List.Insert", "insert", i, value) }

// Remove removes the first item that is equal to value. ValueError if there is none.
func (l List) Remove(value any) error { return l.perform("List.Remove", "remove", value) }

// Pop removes the item at the index, -1 for the last, and gives it. IndexError if there is none.
func (l List) Pop(i int) (Bound, error) { return l.callBound("List.Pop", "pop", []any{i}) }

// Clear removes all items.
func (l List) Clear() error { return l.perform("List.Clear", "clear") }

// Index is the index of the first item that is equal to value. ValueError if there is none.
func (l List) Index(value any) (int, error) {
	return callAs[int](l.Bound, "List.Index", "index", []any{value})
}

// Count is how many items are equal to value.
func (l List) Count(value any) (int, error) {
	return callAs[int](l.Bound, "List.Count", "count", []any{value})
}

// Reverse reverses the items in place.
func (l List) Reverse() error { return l.perform("List.Reverse", "reverse") }

// Sort sorts the items in place: Named("key", function) and Named("reverse", true) are list.sort's.
func (l List) Sort(options ...Keyword) error {
	return l.perform("List.Sort", "sort", values(options)...)
}

// Copy gives a new list of the same items.
func (l List) Copy() (List, error) { return castOf[List](l.callBound("List.Copy", "copy", nil)) }

// Slice is l[from:to], a new list.
func (l List) Slice(from, to int) (List, error) {
	return castOf[List](sliced(l.Bound, "List.Slice", from, to))
}

// SetSlice is l[from:to] = items, of a Go slice or any Python iterable: they may be more or fewer than those that they replace.
func (l List) SetSlice(from, to int, items any) error {
	return setSlice(l.Bound, "List.SetSlice", from, to, items)
}

// DelSlice is del l[from:to].
func (l List) DelSlice(from, to int) error {
	return delSlice(l.Bound, "List.DelSlice", from, to)
}

// Tuple is tuple(l).
func (l List) Tuple() (Tuple, error) { return construct[Tuple](l.tok, l.Bound) }

// Iter iterates over the items as Bound.Iter does, and as a for loop of Python's does when the list is changed meanwhile.
// Items are brought several at a time as long as nothing else is done in between.
func (l List) Iter() iter.Seq2[Bound, error] { return items(l.Bound, "List.Iter") }
