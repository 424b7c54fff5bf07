//go:build cgo

package cpython

/*
#include "gilt.h"

static uintptr_t go_orders_new(int *fd) { return (uintptr_t)gilt_orders_new(fd); }
static void go_orders_free(uintptr_t q) { gilt_orders_free((gilt_orders *)q); }
static void go_orders_close(uintptr_t q) { gilt_orders_close((gilt_orders *)q); }
static int go_orders_put(uintptr_t q, uint64_t id, const uint8_t *w, uint64_t n) { return gilt_orders_put((gilt_orders *)q, id, w, n); }
static gilt_res go_orders_take(uintptr_t th, uint64_t serial, uintptr_t q) { return gilt_orders_take((gilt_thread *)th, serial, (gilt_orders *)q); }
*/
import "C"

import (
	"errors"
	"runtime"
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

// TakeOrders makes the function that takes what waits in the queue: a list of id, value, value, value of one after the
// other; or of id, None, exception, None for one whose values cannot be read.
func (e Entry) TakeOrders(o *Orders) Result {
	r := result(C.go_orders_take(e.th, e.serial, o.c))
	runtime.KeepAlive(o)
	return r
}
