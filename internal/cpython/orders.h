// The queue of orders to an event loop, which orders.c and loop.c share.
#ifndef GILT_ORDERS_H
#define GILT_ORDERS_H

#include "objects.h"
#include <sys/stat.h>

struct gilt_orders {
	pthread_mutex_t mu; // guards all but whose; no Python runs under it
	int owners;         // how many hold it: Go one, each capsule of a function that takes or enters one, and the thread that runs the event loop
	int fds[2];         // the first has a byte to read as long as orders wait; -1 when closed
	struct stat pipe[2]; // what they were: Python code may close any descriptor, and another file then has its number
	uint8_t *buf;       // u64 id, u64 length, so many bytes: the wire form of ORDER_VALUES values
	size_t n, cap;
	uint64_t count;

	uint64_t *overdue; // the orders whose code is to be interrupted where it runs: see loop.c
	size_t noverdue, capoverdue;
	int entered;       // the event loop runs
	gilt_seen seen;    // the canceller's last look at the event loop's thread
	PyObject *whose;   // asked by that look; owned, with the GIL. It goes with the function that has set it, at the latest
};

gilt_orders *gilt_loop_of(unsigned long ident);
int gilt_loop_may(gilt_interp *it, gilt_orders *q, PyObject *frame);
int gilt_loop_turn(gilt_orders *q, PyObject *frame); // on the loop's own thread, with the GIL: frame's code is to be interrupted

enum { METH_NOARGS = 0x04, METH_O = 0x08 };

gilt_orders *gilt_orders_of(PyObject *self); // of a function below: borrowed, or NULL with an exception
void gilt_orders_own(gilt_orders *q);
PyObject *gilt_orders_capsule(gilt_orders *q, void (*destroy)(PyObject *capsule)); // what such a function has as its self: a new reference; destroy disowns q

#endif
