package handles

import (
	"iter"

	"gilt/internal/cpython"
)

// Iterator is any iterator: what has __next__, also without being a collections.abc.Iterator.
type Iterator struct{ Bound }

func (Iterator) class() cpython.Class { return cpython.ClassIterator }

// NewIterator is iter(iterable), of a Go slice or any Python iterable. FromSeq makes one of a Go iterator.
func NewIterator(tok *Token, iterable any) (Iterator, error) {
	b, ok := iterable.(Bound)
	if !ok {
		var err error
		if b, err = From(tok, iterable); err != nil {
			return Iterator{}, err
		}
	}
	const op = "NewIterator"
	b.entryFor(tok, op)
	return made[Iterator](b.object(op, cpython.OpIter))
}

// Next is next(it); ok is false at the end.
func (it Iterator) Next() (v Bound, ok bool, err error) { return it.next("Iterator.Next") }

// Seq iterates over the items that are still to come, in one loop or several: one that breaks off leaves the rest. An
// exception comes as the last pair.
func (it Iterator) Seq() iter.Seq2[Bound, error] {
	return func(yield func(Bound, error) bool) { it.rest("Iterator.Seq", yield) }
}

// rest gives an iterator's items.
func (b Bound) rest(op string, yield func(Bound, error) bool) {
	for {
		item, ok, err := b.next(op)
		if err == nil && !ok || !yield(item, err) || err != nil {
			return
		}
	}
}
