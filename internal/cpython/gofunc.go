//go:build cgo

package cpython

/*
#include <stdlib.h>
#include "gilt.h"
*/
import "C"

import "unsafe"

// CallFrame is a call of a Go function by Python. It is valid, and its thread attached, until OnCall returns.
type CallFrame struct{ c *C.gilt_goframe }

// OnCall and OnDrop are called when Python calls the Go function of that number, and when nothing of Python's
// refers to a function or value of that number any more. Set once, before Python starts. OnCall neither panics
// nor calls runtime.Goexit.
var (
	OnCall func(CallFrame)
	OnDrop func(id uint64)
)

//export gilt_go_call
func gilt_go_call(f *C.gilt_goframe) { OnCall(CallFrame{f}) }

//export gilt_go_drop
func gilt_go_drop(id C.uint64_t) { OnDrop(uint64(id)) }

// ID is the number of the function that is called.
func (f CallFrame) ID() uint64 { return uint64(f.c.id) }

// Interpreter is the number of the interpreter.
func (f CallFrame) Interpreter() int { return int(f.c.interpreter) }

// Entry is the call as a task: its references go when the call ends.
func (f CallFrame) Entry() Entry {
	return Entry{C.uintptr_t(uintptr(unsafe.Pointer(f.c.th))), f.c.serial, f.c.words}
}

// Int is the i-th argument of a plan's letter i, b or O, the bits of a d, or where a w begins in Wire.
func (f CallFrame) Int(i int) int64 {
	// SAFETY: args has as many elements as the function's plan has letters, on C's stack for the time of the call.
	return int64(*(*C.int64_t)(unsafe.Add(unsafe.Pointer(f.c.args), i*8)))
}

// Wire is the arguments in wire form, one after the other. It is C's memory: copy what you keep.
func (f CallFrame) Wire() []byte { return unsafe.Slice((*byte)(unsafe.Pointer(f.c.w)), int(f.c.wn)) }

// Return gives a result that is none, an int, a bool or the bits of a float.
func (f CallFrame) Return(k Kind, v int64) { f.c.rkind, f.c.i = C.int32_t(k), C.int64_t(v) }

// ReturnWire gives a result in wire form.
func (f CallFrame) ReturnWire(w []byte) {
	f.c.rkind = C.int32_t(KindWire)
	f.c.out, f.c.outn = (*C.uint8_t)(C.CBytes(w)), C.uint64_t(len(w))
}

// ReturnObject gives an object of the call's scope, or one that outlives it.
func (f CallFrame) ReturnObject(o Object) { f.c.rkind, f.c.obj = C.int32_t(KindObject), C.uintptr_t(o) }

// RaiseText has a RuntimeError raised, though nothing of Python can be used any more.
func (f CallFrame) RaiseText(s string) {
	f.c.out, f.c.raises = (*C.uint8_t)(unsafe.Pointer(C.CString(s))), C.GILT_RAISE_TEXT
}

// Raise has the exception o, of the call's scope, raised.
func (f CallFrame) Raise(o Object) {
	f.ReturnObject(o)
	f.c.raises = 1
}
