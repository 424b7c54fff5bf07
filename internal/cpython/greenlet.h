// What the files that cross between Go and Python share of greenlets: see greenlet.c. Nothing here costs more than a load
// where greenlet is not imported.
#ifndef GILT_GREENLET_H
#define GILT_GREENLET_H

#include "shim.h"

// Lies in the C frame of a call of a Go function.
struct gilt_mark {
	uint64_t serial, check;
};
typedef volatile struct gilt_mark gilt_mark;

// Where a call of a Go function comes from.
typedef struct {
	PyObject *greenlet; // borrowed: it lives as long as the call is open
	int across;         // another greenlet is inside a Go function: the call must not run Python code
} gilt_from;

void gilt_greenlets_find(gilt_interp *it);
int gilt_greenlet_call(gilt_thread *th, gilt_interp *it, int uses_python, gilt_mark *here, gilt_from *from);
void gilt_greenlet_opened(gilt_thread *th, gilt_mark *mark, gilt_from *from); // the call is the innermost task now

// With the GIL, before a call of a Go function is opened: 0, or -1 with an exception when it is refused.
static inline int gilt_called_from(gilt_thread *th, gilt_interp *it, int uses_python, gilt_mark *here, gilt_from *from) {
	if (GILT_UNLIKELY(*it->modules_version != it->modules_seen)) gilt_greenlets_find(it);
	return GILT_LIKELY(!it->greenlets) ? 0 : gilt_greenlet_call(th, it, uses_python, here, from);
}

// With the GIL, before the thread goes on in Go: 1 when other greenlets had to leave Go functions first; an exception is set
// then, which is the crossing's own if it had one.
static inline int gilt_others_left(gilt_thread *th, gilt_interp *it) {
	return GILT_LIKELY(!it->greenlets) ? 0 : gilt_greenlets_leave(th, it);
}

#endif
