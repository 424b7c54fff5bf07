package cpython

// Exception is what was captured of a Python exception when it was raised: plain data.
type Exception struct {
	Module, Name string   // of its class; Name is the qualified name
	Bases        []string // the class and its bases in method resolution order, each "module.name"
	Message      string   // str(exception)
	Frames       []Frame  // outermost first
	Notes        []string
	Extra        any    // SystemExit.code or OSError.errno: nil, int64 or string
	GoValue      uint64 // the number of the Go value that it carries (Entry.MakeValue), 0 for none
	Suppress     bool
	Cause        *Exception
	Context      *Exception
	Group        []*Exception // the members of an exception group
}

// Frame is an entry of a traceback. One without File and Func stands for Line frames that were left out.
type Frame struct {
	File, Func string
	Line       int
}

// ReadException reads the wire form that error.c writes.
func ReadException(data []byte) (*Exception, error) {
	r := &Reader{Data: data}
	e := readException(r)
	return e, r.Err
}

func readException(r *Reader) *Exception {
	e := &Exception{Module: r.Text(), Name: r.Text()}
	for n := r.Uint64(); n > 0 && r.Err == nil; n-- {
		e.Bases = append(e.Bases, r.Text()+"."+r.Text())
	}
	e.Message = r.Text()
	for n := r.Uint64(); n > 0 && r.Err == nil; n-- {
		e.Frames = append(e.Frames, Frame{r.Text(), r.Text(), int(r.Uint64())})
	}
	for n := r.Uint64(); n > 0 && r.Err == nil; n-- {
		e.Notes = append(e.Notes, r.Text())
	}
	e.Extra = readExtra(r)
	e.GoValue = r.Uint64()
	e.Suppress = r.Byte() == 1
	bits := r.Byte()
	if bits&1 != 0 {
		e.Cause = readException(r)
	}
	if bits&2 != 0 {
		e.Context = readException(r)
	}
	for n := r.Uint64(); n > 0 && r.Err == nil; n-- {
		e.Group = append(e.Group, readException(r))
	}
	return e
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
