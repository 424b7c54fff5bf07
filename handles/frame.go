package handles

import "gilt/internal/cpython"

// FrameObject is a frame: a call that runs, or ran. (Frame is an entry of an Error's traceback.) A frame keeps the call's
// variables alive for as long as it is kept.
type FrameObject struct{ Bound }

func (FrameObject) class() cpython.Class { return cpython.ClassFrame }

// Code is f.f_code.
func (f FrameObject) Code() (Code, error) { return attrAs[Code](f.Bound, "FrameObject.Code", "f_code") }

// Line is f.f_lineno, the number of the line that runs; 0 if Python knows none.
func (f FrameObject) Line() (int, error) { return line(f.Bound, "FrameObject.Line", "f_lineno") }

// line reads an attribute that is a line number or None.
func line(b Bound, op, name string) (int, error) {
	n, err := attrAs[*int](b, op, name)
	if n == nil || err != nil {
		return 0, err
	}
	return *n, nil
}

// Locals is f.f_locals. For a function's frame it is a dict, a copy, before Python 3.13, and a mapping that writes through
// from then on; for a module's it is the namespace, and for a class body's whatever mapping the metaclass prepared.
func (f FrameObject) Locals() (Bound, error) {
	return attrAs[Bound](f.Bound, "FrameObject.Locals", "f_locals")
}

// Globals is f.f_globals.
func (f FrameObject) Globals() (Dict, error) {
	return attrAs[Dict](f.Bound, "FrameObject.Globals", "f_globals")
}

// Back is f.f_back, the frame of the caller; ok is false for the outermost one, which Go called.
func (f FrameObject) Back() (caller FrameObject, ok bool, err error) {
	return optional[FrameObject](attrAs[Bound](f.Bound, "FrameObject.Back", "f_back"))
}
