package scheduler

// ranked is what a heap holds: it knows its rank and remembers its place, so that it can be moved or
// removed from the middle.
type ranked[T any] interface {
	comparable
	before(T) bool
	setPlace(int) // -1 when removed
}

// heap is a binary heap, least first. (container/heap would cost an interface conversion per element.)
type heap[T ranked[T]] struct{ items []T }

func (h *heap[T]) len() int { return len(h.items) }
func (h *heap[T]) top() T   { return h.items[0] }

func (h *heap[T]) push(x T) {
	h.items = append(h.items, x)
	h.up(len(h.items) - 1)
}

func (h *heap[T]) remove(i int) {
	last := len(h.items) - 1
	gone, moved := h.items[i], h.items[last]
	var zero T
	h.items[last] = zero
	h.items = h.items[:last]
	if i != last {
		h.items[i] = moved
		h.fix(i)
	}
	gone.setPlace(-1)
}

// fix restores the order after the element at i changed its rank.
func (h *heap[T]) fix(i int) {
	if !h.down(i) {
		h.up(i)
	}
}

func (h *heap[T]) up(i int) {
	x := h.items[i]
	for i > 0 {
		parent := (i - 1) / 2
		if !x.before(h.items[parent]) {
			break
		}
		h.put(i, h.items[parent])
		i = parent
	}
	h.put(i, x)
}

func (h *heap[T]) down(i int) (moved bool) {
	x, start := h.items[i], i
	for {
		child := 2*i + 1
		if child >= len(h.items) {
			break
		}
		if r := child + 1; r < len(h.items) && h.items[r].before(h.items[child]) {
			child = r
		}
		if !h.items[child].before(x) {
			break
		}
		h.put(i, h.items[child])
		i = child
	}
	h.put(i, x)
	return i > start
}

func (h *heap[T]) put(i int, x T) {
	h.items[i] = x
	x.setPlace(i)
}
