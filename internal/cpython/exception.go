package cpython

import "sync/atomic"

// Exception is what was captured of a Python exception when it was raised: plain data.
type Exception struct {
	Class    *ExceptionClass
	Message  string  // str(exception)
	Frames   []Frame // outermost first
	Notes    []string
	Extra    any    // SystemExit.code or OSError.errno: nil, int64 or string
	GoValue  uint64 // the number of the Go value that it carries (Entry.MakeValue), 0 for none
	Suppress bool
	Cause    *Exception
	Context  *Exception
	Group    []*Exception // the members of an exception group
}

// ExceptionClass is what is known of an exception's class. It is shared, and never changed.
type ExceptionClass struct {
	Module, Name string   // Name is the qualified name
	Shown        string   // as tracebacks show it: without the module "builtins"
	Bases        []string // the class and its bases in method resolution order, each "module.name"
}

// Frame is an entry of a traceback. One without File and Func stands for Line frames that were left out.
type Frame struct {
	File, Func string
	Line       int
}

// Read reads the wire form that error.c writes into the zero Exception; into the room that Frames has, if it has enough.
func (e *Exception) Read(data []byte) error {
	r := &Reader{Data: data}
	readException(r, e)
	return r.Err
}

// The bits of the byte that says what there is.
const (
	suppressed = 1 << iota
	hasNotes
	hasExtra
	hasGoValue
	hasCause
	hasContext
	isGroup
)

func readException(r *Reader, e *Exception) {
	e.Class = classes.read(r, readClass)
	e.Message = r.Text()
	e.Frames = readFrames(r, e.Frames)
	bits := r.Byte()
	e.Suppress = bits&suppressed != 0
	if bits&^suppressed == 0 {
		return
	}
	if bits&hasNotes != 0 {
		for n := r.Uint64(); n > 0 && r.Err == nil; n-- {
			e.Notes = append(e.Notes, r.Text())
		}
	}
	if bits&hasExtra != 0 {
		e.Extra = readExtra(r)
	}
	if bits&hasGoValue != 0 {
		e.GoValue = r.Uint64()
	}
	if bits&hasCause != 0 {
		e.Cause = new(Exception)
		readException(r, e.Cause)
	}
	if bits&hasContext != 0 {
		e.Context = new(Exception)
		readException(r, e.Context)
	}
	if bits&isGroup != 0 {
		for n := r.Uint64(); n > 0 && r.Err == nil; n-- {
			member := new(Exception)
			readException(r, member)
			e.Group = append(e.Group, member)
		}
	}
}

func readFrames(r *Reader, room []Frame) []Frame {
	n := r.Uint64()
	if n == 0 || n > uint64(len(r.Data))/24 {
		return nil
	}
	frames := room
	if n > uint64(cap(room)) {
		frames = make([]Frame, n)
	}
	frames = frames[:n:n]
	for i := range frames {
		f := &frames[i]
		f.Line = int(r.Uint64())
		code := codes.read(r, readCode)
		f.File, f.Func = code.file, code.name
	}
	return frames
}

func readExtra(r *Reader) any {
	switch r.Byte() {
	case 'i':
		return int64(r.Uint64())
	case 's':
		return r.Text()
	}
	return nil
}

// heads keeps what was read of classes or code objects by their ids, which error.c gives: an id always has the same
// head. It is a cache of fixed size: what falls out is read again.
type heads[T any] struct {
	cells [1024]atomic.Pointer[head[T]]
}

type head[T any] struct {
	id    uint64
	value T
}

var (
	classes heads[ExceptionClass]
	codes   heads[code]
)

// read reads a head with read, or passes over it when that was done before.
func (h *heads[T]) read(r *Reader, read func(*Reader, *T)) *T {
	id := r.Uint64()
	data := r.Bytes()
	cell := &h.cells[id%uint64(len(h.cells))]
	if known := cell.Load(); known != nil && known.id == id && id != 0 {
		return &known.value
	}
	fresh := &head[T]{id: id}
	of := &Reader{Data: data, Err: r.Err}
	if read(of, &fresh.value); of.Err != nil || len(of.Data) > 0 {
		r.Err, r.Data = ErrWire, nil
	} else if id != 0 {
		cell.Store(fresh)
	}
	return &fresh.value
}

func readClass(r *Reader, c *ExceptionClass) {
	c.Module, c.Name = r.Text(), r.Text()
	if c.Shown = c.Name; c.Module != "builtins" && c.Module != "?" {
		c.Shown = c.Module + "." + c.Name
	}
	for n := r.Uint64(); n > 0 && r.Err == nil; n-- {
		c.Bases = append(c.Bases, r.Text()+"."+r.Text())
	}
}

// code is what a traceback shows of a code object.
type code struct{ file, name string }

func readCode(r *Reader, c *code) { c.file, c.name = r.Text(), r.Text() }
