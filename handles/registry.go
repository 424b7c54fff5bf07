package handles

import (
	"sync"
	"sync/atomic"

	"gilt/internal/cpython"
)

// registry is what Python knows by a number: the Go functions that it may call, and the Go values (errors, panics)
// that exceptions carry. A number is free again when nothing of Python's refers to it.
var registry struct {
	functions atomic.Pointer[[]*callee] // by number; copied when it grows
	mu        sync.Mutex
	free      []uint64
	values    map[uint64]any
	last      uint64 // value
}

// valueBit tells the numbers of values from those of functions.
const valueBit = 1 << 62

func init() {
	registry.functions.Store(&[]*callee{nil})
	registry.values = make(map[uint64]any)
	cpython.OnCall = called
	cpython.OnDrop = dropped
}

func addFunction(c *callee) uint64 {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	old := *registry.functions.Load()
	if n := len(registry.free); n > 0 {
		id := registry.free[n-1]
		registry.free = registry.free[:n-1]
		list := append([]*callee(nil), old...)
		list[id] = c
		registry.functions.Store(&list)
		return id
	}
	list := append(old[:len(old):len(old)], c)
	registry.functions.Store(&list)
	return uint64(len(list) - 1)
}

func addValue(v any) uint64 {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	registry.last++
	id := registry.last | valueBit
	registry.values[id] = v
	return id
}

func goValue(id uint64) any {
	if id == 0 {
		return nil
	}
	registry.mu.Lock()
	defer registry.mu.Unlock()
	return registry.values[id]
}

func dropped(id uint64) {
	if c := drop(id); c != nil && c.dropped != nil {
		c.dropped()
	}
}

func drop(id uint64) *callee {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	if id&valueBit != 0 {
		delete(registry.values, id)
		return nil
	}
	list := append([]*callee(nil), *registry.functions.Load()...)
	c := list[id]
	list[id] = nil
	registry.functions.Store(&list)
	registry.free = append(registry.free, id)
	return c
}
