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
		next := 0 // position
		size, err := b.Len()
		for err == nil {
			if !some.valid(b, op) {
				n, at, r := b.entry(op).Entries(b.obj, next, size, some.room(3))
				keep(b, nil)
				if r.Status == cpython.Done { // a subclass, which may have an items of its own
					pairs(b, op)(yield)
					return
				}
				if err = failure(b.tok, op, r); err != nil || n == 0 {
					break
				}
				some.have(b, n, at)
			}
			item := Item{some.object(b), some.object(b)}
			next = int(some.word())
			if !yield(item, nil) {
				return
			}
		}
		if err != nil {
			yield(Item{}, err)
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
		for pair, err := range all.Iter() {
			var item Item
			if err == nil {
				item, err = itemOf(pair)
			}
			if !yield(item, err) || err != nil {
				return
			}
		}
	}
}

func itemOf(pair Bound) (Item, error) {
	t, err := Cast[Tuple](pair)
	if err != nil {
		return Item{}, err
	}
	var both []Bound
	for b, err := range t.Iter() {
		if err != nil {
			return Item{}, err
		}
		both = append(both, b)
	}
	if len(both) != 2 {
		return Item{}, conversionError(ValueError, "an item of %d values, not of a key and a value", len(both))
	}
	return Item{both[0], both[1]}, nil
}
