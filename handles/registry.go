package handles

import (
	"sync"
	"sync/atomic"

	"gilt/internal/cpython"
)

// registry is what Python knows by a number: the Go functions that it may call, and the Go values (errors, panics)
// that exceptions carry. A number is free again when nothing of Python's refers to it.
var registry struct {
	functions atomic.Pointer[[]*registryChunk] // by number; copied when it grows
	mu        sync.Mutex
	used      uint64   // numbers below it have been given
	free      []uint64 // of these, which may be given again
	values    map[uint64]any
	last      uint64 // value
}

// registryChunk is some functions: a call finds its own without a lock, and a function that comes or goes copies no list.
type registryChunk [256]atomic.Pointer[callee]

// function is the one of that number, nil for none.
func function(id uint64) *callee { return (*registry.functions.Load())[id/256][id%256].Load() }

// valueBit tells the numbers of values from those of functions.
const valueBit = 1 << 62

func init() {
	registry.functions.Store(&[]*registryChunk{})
	registry.values = make(map[uint64]any)
	cpython.OnCall = called
	cpython.OnDrop = dropped
}

func addFunction(c *callee) uint64 {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	chunks := *registry.functions.Load()
	id := registry.used
	if n := len(registry.free); n > 0 {
		id = registry.free[n-1]
		registry.free = registry.free[:n-1]
	} else if registry.used++; id/256 == uint64(len(chunks)) {
		chunks = append(chunks[:len(chunks):len(chunks)], new(registryChunk))
		registry.functions.Store(&chunks)
	}
	chunks[id/256][id%256].Store(c)
	return id
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

// dropper is a value that does something when nothing of Python's refers to it any more.
type dropper interface{ drop() }

func dropped(id uint64) {
	if id&valueBit == 0 {
		if c := dropFunction(id); c != nil {
			c.end()
		}
		return
	}
	if d, ok := dropValue(id).(dropper); ok {
		d.drop()
	}
}

// end is called when nothing of Python's refers to the function any more.
func (c *callee) end() {
	if c.asks {
		c.host.UnwantTasks()
	}
	if c.dropped != nil {
		c.dropped()
	}
}

func dropValue(id uint64) any {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	v := registry.values[id]
	delete(registry.values, id)
	return v
}

func dropFunction(id uint64) *callee {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	c := (*registry.functions.Load())[id/256][id%256].Swap(nil)
	registry.free = append(registry.free, id)
	return c
}
