//go:build cgo

// Package naive is the baseline of gilt's benchmarks: CPython embedded the way Go programs usually do
// it, with LockOSThread and PyGILState_Ensure around a task and one cgo crossing for each C-API call. It
// runs in the process and on the libpython that gilt has opened, so that the two are measured in turn.
//
// Its threads are its own: gilt keeps a thread state on each OS thread that it has used, which
// PyGILState_Ensure would find there. See Go.
package naive

/*
#cgo CFLAGS: -std=gnu11 -O2 -Wall -Wextra -Wno-unused-parameter
#cgo linux LDFLAGS: -ldl
#include <stdlib.h>
#include "naive.h"
*/
import "C"

import (
	"fmt"
	"runtime"
	"time"
	"unsafe"
)

type object = *C.naive_object

// module holds what the loops call; it is the Python module that Open was given.
var module struct{ f0, f, fkw, obj, boom, work, globals object }

// functions are those of the module that Call calls.
var functions = make(map[string]object)

// Open takes the functions of the libpython that gilt has loaded, and the objects that the loops use
// from the Python module of that name, with the functions for Call. Call it once, after gilt.Open.
func Open(name string, forCall ...string) error {
	if missing := C.naive_load(); missing != nil {
		return fmt.Errorf("naive: no %s in this process: is Python loaded, with its symbols visible?", C.GoString(missing))
	}
	OnThread(func() {
		With(func() {
			m := must(importModule(name))
			for _, g := range []struct {
				name string
				to   *object
			}{
				{"f0", &module.f0}, {"f", &module.f}, {"fkw", &module.fkw}, {"obj", &module.obj}, {"boom", &module.boom},
				{"work", &module.work}, {"__dict__", &module.globals},
			} {
				*g.to = must(getattr(m, g.name))
			}
			for _, f := range forCall {
				functions[f] = must(getattr(m, f))
			}
		})
	})
	return nil
}

// Go runs f in a goroutine that is locked to an OS thread on which no Python thread state is, and which
// ends with f.
func Go(f func()) { start(make(chan struct{}), f) }

func start(found chan<- struct{}, f func()) {
	go func() {
		runtime.LockOSThread()
		if !Known() {
			close(found)
			f()
			return // still locked: the thread ends
		}
		// gilt has used this thread. It is kept from the scheduler until another has been found.
		other := make(chan struct{})
		start(other, f)
		<-other
		close(found)
		runtime.UnlockOSThread()
	}()
}

// OnThread is Go that waits for f.
func OnThread(f func()) {
	done := make(chan struct{})
	Go(func() {
		defer close(done)
		f()
	})
	<-done
}

// With runs f with the GIL held: what the usual bindings' users write around each task.
func With(f func()) {
	runtime.LockOSThread()
	g := C.naive_PyGILState_Ensure()
	f()
	C.naive_PyGILState_Release(g)
	runtime.UnlockOSThread()
}

// Known says whether this thread has a thread state, which With would use. The caller is locked to the thread.
func Known() bool { return C.naive_PyGILState_GetThisThreadState() != nil }

// Warm runs f without the GIL, with a thread state kept on this thread, so that With in f finds it.
func Warm(f func()) {
	With(func() { Detached(f) })
}

// Detached releases the GIL around f. The caller holds it.
func Detached(f func()) {
	s := C.naive_PyEval_SaveThread()
	f()
	C.naive_PyEval_RestoreThread(s)
}

// Attach is With around nothing.
func Attach() {
	runtime.LockOSThread()
	C.naive_PyGILState_Release(C.naive_PyGILState_Ensure())
	runtime.UnlockOSThread()
}

// Task is a whole task: the GIL, f(x), the GIL back.
func Task(x int64) int64 {
	var y int64
	With(func() { y = callInt(module.f, x) })
	return y
}

// Work runs n steps of pure Python. The caller holds the GIL.
func Work(n int64) { decref(must(call(module.work, fromInt(n)))) }

// Call is a whole task by the function of that name, which takes an int and gives one. began is called
// when the GIL is had.
func Call(function string, n int64, began func()) (v int64) {
	With(func() {
		began()
		v = callInt(functions[function], n)
	})
	return v
}

// WorkHeld is a task of three crossings of n steps each; it gives how long the GIL was held, as the C
// side saw it.
func WorkHeld(n int64) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var since C.int64_t
	g := C.naive_ensure_stamped(&since)
	for range 3 {
		Work(n)
	}
	return time.Duration(C.naive_release_stamped(g, since))
}

func decref(o object) { C.naive_Py_DecRef(o) }

func must(o object) object {
	if o == nil {
		C.naive_PyErr_Print()
		panic("naive: a Python call failed")
	}
	return o
}

func fromInt(v int64) object { return C.naive_PyLong_FromLongLong(C.longlong(v)) }

func toInt(o object) int64 {
	v := int64(C.naive_PyLong_AsLongLong(o))
	if v == -1 && C.naive_PyErr_Occurred() != nil {
		must(nil)
	}
	return v
}

func fromFloat(v float64) object { return C.naive_PyFloat_FromDouble(C.double(v)) }

func toFloat(o object) float64 {
	v := float64(C.naive_PyFloat_AsDouble(o))
	if v == -1 && C.naive_PyErr_Occurred() != nil {
		must(nil)
	}
	return v
}

// text runs f with s as a C string.
func text(s string, f func(*C.char) object) object {
	cs := C.CString(s)
	defer C.free(unsafe.Pointer(cs))
	return f(cs)
}

func fromString(s string) object {
	return text(s, func(c *C.char) object { return C.naive_PyUnicode_FromString(c) })
}

func toString(o object) string { return C.GoString(C.naive_PyUnicode_AsUTF8(o)) }

func getattr(o object, name string) object {
	return text(name, func(c *C.char) object { return C.naive_PyObject_GetAttrString(o, c) })
}

func importModule(name string) object {
	return text(name, func(c *C.char) object { return C.naive_PyImport_ImportModule(c) })
}

func eval(src string) object {
	const evalInput = 258 // Py_eval_input
	return text(src, func(c *C.char) object {
		return C.naive_PyRun_StringFlags(c, evalInput, module.globals, module.globals, nil)
	})
}

func tuple(items ...object) object { // steals the items
	t := C.naive_PyTuple_New(C.ssize_t(len(items)))
	for i, it := range items {
		C.naive_PyTuple_SetItem(t, C.ssize_t(i), it)
	}
	return t
}

func call(f object, args ...object) object { // steals the arguments
	if len(args) == 0 {
		return C.naive_PyObject_CallObject(f, nil)
	}
	t := tuple(args...)
	r := C.naive_PyObject_CallObject(f, t)
	decref(t)
	return r
}

func callKw(f, args, kw object) object { return C.naive_PyObject_Call(f, args, kw) }

func callMethod0(o object, name string) object {
	n := fromString(name)
	r := C.naive_call_method0(o, n)
	decref(n)
	return r
}

func callInt(f object, v int64) int64 {
	r := must(call(f, fromInt(v)))
	x := toInt(r)
	decref(r)
	return x
}

func newDict() object { return C.naive_PyDict_New() }

func dictSet(d object, k string, v object) { // steals v
	text(k, func(c *C.char) object {
		C.naive_PyDict_SetItemString(d, c, v)
		return nil
	})
	decref(v)
}

func dictEach(d object, f func(k, v object)) {
	var pos C.ssize_t
	var k, v object
	for C.naive_PyDict_Next(d, &pos, &k, &v) != 0 {
		f(k, v)
	}
}

func newList(n int) object { return C.naive_PyList_New(C.ssize_t(n)) }

func listOf[T any](v []T, from func(T) object) object {
	l := newList(len(v))
	for i, x := range v {
		C.naive_PyList_SetItem(l, C.ssize_t(i), from(x))
	}
	return l
}

func sliceOf[T any](l object, to func(object) T) []T {
	v := make([]T, int(C.naive_PyList_Size(l)))
	for i := range v {
		v[i] = to(C.naive_PyList_GetItem(l, C.ssize_t(i)))
	}
	return v
}

func listAppend(l object, v int64) {
	o := fromInt(v)
	C.naive_PyList_Append(l, o)
	decref(o)
}

func errDrop() {
	var t, v, tb object
	C.naive_PyErr_Fetch(&t, &v, &tb)
	for _, o := range []object{t, v, tb} {
		if o != nil {
			decref(o)
		}
	}
}
