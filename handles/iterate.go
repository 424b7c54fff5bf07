package handles

import (
	"iter"

	"gilt/gil"
	"gilt/internal/cpython"
)

// Iteration over lists, tuples and dicts, many items in one crossing.

// some are words that were brought at once: of objects, and of positions. The objects are the container's as long as nothing
// is done in between that could change it: the thread has kept the GIL and made no other crossing.
type some struct {
	words   [63]cpython.Object
	n, used int
	want    int // how many at once
	at      uint64
	scope   *gil.Scope
}

func (s *some) valid(b Bound, op string) bool {
	return s.used < s.n && s.at != 0 && b.entry(op).Operation() == s.at && !s.scope.Ended()
}

// room is where the next ones go: more each time, unless some were brought in vain.
func (s *some) room(least int) []cpython.Object {
	if s.want == 0 || s.used < s.n {
		s.want = least
	} else {
		s.want = min(4*s.want, len(s.words))
	}
	return s.words[:s.want]
}

func (s *some) have(b Bound, n int, at uint64) { s.n, s.used, s.at, s.scope = n, 0, at, b.tok.Scope() }

func (s *some) word() cpython.Object {
	s.used++
	return s.words[s.used-1]
}

func (s *some) object(b Bound) Bound { return Bound{tok: b.tok, obj: s.word(), scope: s.scope} }

// items iterates over a list or a tuple.
func items(b Bound, op string) iter.Seq2[Bound, error] {
	return func(yield func(Bound, error) bool) {
		var some some
		for i := 0; ; i++ {
			if !some.valid(b, op) {
				n, at, r := b.entry(op).Items(b.obj, i, some.room(1))
				keep(b, nil)
				if r.Status == cpython.Done { // a subclass, which may have an __iter__ of its own
					b.Iter()(yield)
					return
				}
				if err := failure(b.tok, op, r); err != nil {
					yield(Bound{}, err)
					return
				}
				if n == 0 {
					return
				}
				some.have(b, n, at)
			}
			if !yield(some.object(b), nil) {
				return
			}
		}
	}
}

// Item is a key of a mapping and its value.
type Item struct{ Key, Value Bound }

// entries iterates over a dict.
func entries(b Bound, op string) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		var some some
		next, size, left := 0, -1, 0 // the position, how many there are, and how many are still to come
		for {
			if !some.valid(b, op) {
				n, at, r := b.entry(op).Entries(b.obj, next, size, some.room(3))
				keep(b, nil)
				if r.Status == cpython.Done { // a subclass, which may have an items of its own
					pairs(b, op)(yield)
					return
				}
				if err := failure(b.tok, op, r); err != nil {
					yield(Item{}, err)
					return
				}
				if n == 0 {
					return
				}
				if size < 0 {
					size, left = int(r.Int), int(r.Int)
				}
				some.have(b, n, at)
			}
			if left == 0 { // of others in the place of those that were deleted; as CPython says
				yield(Item{}, conversionError(RuntimeError, "dictionary keys changed during iteration"))
				return
			}
			left--
			item := Item{some.object(b), some.object(b)}
			next = int(some.word())
			if !yield(item, nil) {
				return
			}
		}
	}
}

// pairs iterates over what a mapping's items gives.
func pairs(b Bound, op string) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		all, err := b.callBound(op, "items", nil)
		if err != nil {
			yield(Item{}, err)
			return
		}
		unpacked(all, op)(yield)
	}
}

// unpacked iterates over pairs of a key and a value.
func unpacked(b Bound, op string) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for pair, err := range b.Iter() {
			var item Item
			if err == nil {
				item, err = itemOf(pair, op)
			}
			if !yield(item, err) || err != nil {
				return
			}
		}
	}
}

// itemOf unpacks a key and a value as Python does: of a tuple or a list, which most are, in one crossing.
func itemOf(pair Bound, op string) (Item, error) {
	var both [3]Bound
	var words [3]cpython.Object
	n, _, r := pair.entry(op).Items(pair.obj, 0, words[:])
	keep(pair, nil)
	if r.Status == cpython.Done { // an iterable of another type
		for v, err := range pair.Iter() {
			if err != nil {
				return Item{}, err
			}
			both[n] = v
			if n++; n == len(both) {
				break
			}
		}
	} else if err := failure(pair.tok, op, r); err != nil {
		return Item{}, err
	} else {
		for i, o := range words[:n] {
			both[i] = bound(pair.tok, o)
		}
	}
	switch {
	case n > 2:
		return Item{}, conversionError(ValueError, "too many values to unpack (expected 2)")
	case n < 2:
		return Item{}, conversionError(ValueError, "not enough values to unpack (expected 2, got %d)", n)
	}
	return Item{both[0], both[1]}, nil
}
