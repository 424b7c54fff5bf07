package gil

import (
	"bytes"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"gilt/internal/cpython"
)

// pythonMemory has Go's garbage collector run when Python's memory has grown: dropped handles and errors keep Python objects, whose
// size Go does not see. Whoever makes a handle or an error that the garbage collector has to watch looks, at most each 2 ms. Released
// handles are used again, so programs that release look hardly ever.
type pythonMemory struct {
	looked     atomic.Int64 // when, in nanoseconds since the host's epoch
	grew       atomic.Int64 // when a look last found that the memory had grown by much; 0 for never
	mu         sync.Mutex   // guards what follows
	collecting bool         // in the background
	statm      *os.File     // nil where memory cannot be told: Go's own heap alone decides then
	low        int64        // bytes of Python's: the least since the last garbage collection, 0 for not known
	next       time.Duration
}

const (
	memoryLook  = 2 * time.Millisecond
	memoryRoom  = 16 << 20
	memoryQuick = 8 << 20 // of Go's objects: the garbage collector has gone through them in a millisecond or two
)

func (m *pythonMemory) open() {
	if f, err := os.Open("/proc/self/statm"); err == nil {
		m.statm = f
	}
}

func (m *pythonMemory) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.statm != nil {
		_ = m.statm.Close()
		m.statm = nil
	}
}

// Watched notes that the garbage collector has got something to watch, which has references to Python objects. For gilt's own
// packages.
func (h *Host) Watched() {
	m, now := &h.holding, time.Since(h.epoch)
	last := m.looked.Load()
	if int64(now)-last >= int64(memoryLook) && m.looked.CompareAndSwap(last, int64(now)) {
		m.look(now)
	}
}

// Heavy says whether Python's memory has grown by much within the last second: what Go drops then should not wait for others to go
// with it. For gilt's own packages.
func (h *Host) Heavy() bool {
	grew := h.holding.grew.Load()
	return grew != 0 && h.holding.looked.Load()-grew < int64(time.Second)
}

// look runs the garbage collector if Python's memory is half as large again as after the last run, and 16 MiB larger: at once when Go
// has so little that a run takes a millisecond or two, else in the background, unless that is so late that the memory has grown by three
// times as much.
func (m *pythonMemory) look(now time.Duration) {
	if !m.mu.TryLock() { // somebody collects
		return
	}
	defer m.mu.Unlock()
	python, heap, took := m.sizes()
	if python == 0 {
		return
	}
	if took > memoryLook/20 { // the next looks are fewer, so that they take a twentieth of a processor at most
		m.looked.Store(int64(now + 20*took))
	}
	if m.low == 0 || python < m.low {
		m.low = python
	}
	room := max(memoryRoom, m.low/2)
	grown := python - m.low
	if grown < room {
		return
	}
	m.grew.Store(int64(now))
	if now < m.next {
		return
	}
	// A run takes some 0.2 ns of a processor for each byte of Go's, so that such runs take a fifth of one at most.
	next := now + time.Duration(heap)
	switch {
	case heap < memoryQuick || grown >= 3*room:
		m.next = next
		collectAndClean(grown >= 3*room)
		m.collected()
	case !m.collecting:
		m.next, m.collecting = next, true
		go m.collect()
	}
}

// collectAndClean runs the garbage collector and waits until cleanups have run too, some 2 ms at most, or 10 if that is urgent, since the caller
// may have the GIL: the objects then go at the next attach.
func collectAndClean(urgent bool) {
	most := 2 * time.Millisecond
	if urgent {
		most = 10 * time.Millisecond
	}
	ran := make(chan struct{})
	runtime.AddCleanup(new([64]byte), func(ran chan struct{}) { close(ran) }, ran)
	runtime.GC()
	late := time.NewTimer(most)
	defer late.Stop()
	select {
	case <-ran:
	case <-late.C:
	}
}

func (m *pythonMemory) collect() {
	runtime.GC()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.collected()
	m.collecting = false
}

// collected is called when the garbage collector has run. Its cleanups give the objects back a little later, so how much is left is not
// known yet. m.mu held.
func (m *pythonMemory) collected() {
	if python, _, _ := m.sizes(); python > m.low {
		m.low += (python - m.low) / 2
	}
}

// sizes gives about what the process has in memory beside Go's and what C's allocator has free, 0 if that is not known, what Go's
// objects have, in bytes, and the processor time that C's allocator took for its answer. m.mu held.
func (m *pythonMemory) sizes() (python, heap int64, took time.Duration) {
	if m.statm == nil {
		return 0, 0, 0
	}
	var text [128]byte
	n, _ := m.statm.ReadAt(text[:], 0)
	fields := bytes.Fields(text[:n])
	if len(fields) < 2 {
		return 0, 0, 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0, 0, 0
	}
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	mapped := int64(sample[0].Value.Uint64() - sample[1].Value.Uint64())
	free, took := cpython.MallocFree()
	return max(1, pages*int64(os.Getpagesize())-mapped-free), int64(sample[2].Value.Uint64()), took
}
