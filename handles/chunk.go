package handles

import (
	"errors"
	"runtime"
	"sync/atomic"

	"gilt/gil"
	"gilt/internal/cpython"
)

// sharing is how many errors share an allocation, and what the garbage collector needs to tell that their exceptions may go:
// 600 to 1,300 ns for each that it watches.
const sharing = 8

// chunk is errors of one interpreter. The garbage collector watches it, and keeps it as long as it keeps any of them.
type chunk struct {
	*references
	n, framed uint8 // how many errors and frames are used; of whoever took the chunk out of the pool
	errors    [sharing]Error
	frames    [15]Frame // of errors that have few
}

// references are the exceptions of a chunk, which outlive it.
type references struct {
	objects [sharing]atomic.Uint64 // 0 when it is not there yet, or was given back
	interp  *cpython.Interp
	host    *gil.Host
}

// raised gives the exception in r, whose reference it takes over, as an error.
func raised(h *gil.Host, it *cpython.Interp, r cpython.Result) (*Error, error) {
	c, _ := it.Pool.Get().(*chunk) // the pool forgets it when the garbage collector has run twice
	h.Watched()
	if c == nil {
		c = &chunk{references: &references{interp: it, host: h}}
		runtime.AddCleanup(c, (*references).release, c.references)
	}
	x := cpython.Exception{Frames: c.frames[c.framed:c.framed]}
	if err := x.Read(r.Data); err != nil {
		h.Release(it, r.Obj)
		return nil, errors.Join(errNoException, err)
	}
	if n := len(x.Frames); n <= len(c.frames)-int(c.framed) {
		c.framed += uint8(n)
	}
	e := &c.errors[c.n]
	e.fill(&x)
	e.chunk, e.at = c, c.n
	c.objects[c.n].Store(uint64(r.Obj))
	if c.n++; c.n < sharing && !h.Heavy() {
		it.Pool.Put(c)
	}
	return e, nil
}

// release gives back what is left, when nothing refers to the chunk.
func (r *references) release() {
	var left [sharing]cpython.Object
	for i := range r.objects {
		left[i] = cpython.Object(r.objects[i].Swap(0))
	}
	r.host.ReleaseAll(r.interp, left[:])
}

// exception is the exception object, borrowed from e; 0 when there is none.
func (e *Error) exception() cpython.Object {
	if e.chunk == nil {
		return 0
	}
	return cpython.Object(e.chunk.objects[e.at].Load())
}
