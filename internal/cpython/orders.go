//go:build cgo

package cpython

/*
#include <stdlib.h>
#include "gilt.h"

static uintptr_t go_orders_new(int *fd) { return (uintptr_t)gilt_orders_new(fd); }
static void go_orders_free(uintptr_t q) { gilt_orders_free((gilt_orders *)q); }
static void go_orders_close(uintptr_t q) { gilt_orders_close((gilt_orders *)q); }
static int go_orders_put(uintptr_t q, uint64_t id, const uint8_t *w, uint64_t n) { return gilt_orders_put((gilt_orders *)q, id, w, n); }
static gilt_res go_orders_take(uintptr_t th, uint64_t serial, uintptr_t q) { return gilt_orders_take((gilt_thread *)th, serial, (gilt_orders *)q); }
static gilt_res go_orders_enter(uintptr_t th, uint64_t serial, uintptr_t q) { return gilt_orders_enter((gilt_thread *)th, serial, (gilt_orders *)q); }
static gilt_res go_orders_raise(uintptr_t th, uint64_t serial, uintptr_t box) { return gilt_orders_raise((gilt_thread *)th, serial, box); }
static uint8_t *go_orders_steal(uintptr_t q, uint64_t *n) { return gilt_orders_steal((gilt_orders *)q, n); }
static void go_orders_overdue(uintptr_t q, uint64_t id, int on) { gilt_orders_overdue((gilt_orders *)q, id, on); }
static gilt_seen go_orders_seen(uintptr_t q) { return gilt_orders_seen((gilt_orders *)q); }
*/
import "C"

import (
	"encoding/binary"
	"errors"
	"runtime"
	"slices"
	"unsafe"
)

// Orders is a queue to Python code: see orders.c.
type Orders struct {
	c  C.uintptr_t
	fd int
}

// NewOrders makes a queue. It lives as long as it can be reached, or a function of Python's takes from it.
func NewOrders() (*Orders, error) {
	var fd C.int
	c := C.go_orders_new(&fd)
	if c == 0 {
		return nil, errors.New("gilt: no pipe for an event loop: too many open files")
	}
	o := &Orders{c, int(fd)}
	runtime.AddCleanup(o, func(c C.uintptr_t) { C.go_orders_free(c) }, c)
	return o, nil
}

// FD is readable as long as orders wait.
func (o *Orders) FD() int { return o.fd }

// Close gives the file descriptors back now, which else go when nothing refers to the queue: nobody waits on FD any more.
func (o *Orders) Close() {
	C.go_orders_close(o.c)
	runtime.KeepAlive(o)
}

// Put puts an order of three values in wire form into the queue, from any goroutine; false when there is no memory, or
// the queue is closed.
func (o *Orders) Put(id int64, wire []byte) bool {
	bad := C.go_orders_put(o.c, C.uint64_t(id), (*C.uint8_t)(unsafe.SliceData(wire)), C.uint64_t(len(wire)))
	runtime.KeepAlive(o)
	return bad == 0
}

// Steal takes out what Python has not taken, for another queue.
func (o *Orders) Steal() (all []Order) {
	var n C.uint64_t
	b := C.go_orders_steal(o.c, &n)
	runtime.KeepAlive(o)
	if b == nil {
		return nil
	}
	defer C.free(unsafe.Pointer(b))
	// SAFETY: b has n bytes, and is freed after they were copied.
	for rest := unsafe.Slice((*byte)(unsafe.Pointer(b)), int(n)); len(rest) > 0; {
		id, size := binary.NativeEndian.Uint64(rest), binary.NativeEndian.Uint64(rest[8:])
		all = append(all, Order{int64(id), slices.Clone(rest[16 : 16+size])})
		rest = rest[16+size:]
	}
	return all
}

// Overdue says whether the code of the order, on the event loop that takes from the queue, is to be interrupted when
// the task of that loop is cancelled (Interp.Cancel): nothing else on the loop is.
func (o *Orders) Overdue(id int64, yes bool) {
	on := C.int(0)
	if yes {
		on = 1
	}
	C.go_orders_overdue(o.c, C.uint64_t(id), on)
	runtime.KeepAlive(o)
}

// Seen is what the canceller has last seen of the event loop's thread.
func (o *Orders) Seen() Seen {
	s := C.go_orders_seen(o.c)
	runtime.KeepAlive(o)
	return Seen{What: SeenWhat(s.what), Entered: s.entered != 0, Where: C.GoString(&s.where[0])}
}

// EnterLoop says that this thread will run the event loop, and makes the function that says when it does: see loop.c.
func (e Entry) EnterLoop(o *Orders) Result {
	r := result(C.go_orders_enter(e.th, e.serial, o.c))
	runtime.KeepAlive(o)
	return r
}

// TakeOrders makes the function that takes what waits in the queue: a list of id, value, value, value of one after the
// other; or of id, None, exception, None for one whose values cannot be read.
func (e Entry) TakeOrders(o *Orders) Result {
	r := result(C.go_orders_take(e.th, e.serial, o.c))
	runtime.KeepAlive(o)
	return r
}

// RaiseFrom gives the exception that is the one item of the list box as if it was raised, and takes it out of the list.
func (e Entry) RaiseFrom(box Object) Result {
	return result(C.go_orders_raise(e.th, e.serial, C.uintptr_t(box)))
}
