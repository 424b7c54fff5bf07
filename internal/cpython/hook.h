// What the files share by which an interruption comes: hook.c, and monitor.c or trace.c, as the version of Python is.
#ifndef GILT_HOOK_H
#define GILT_HOOK_H

#include "orders.h"

enum { HELD = 1, ALL = 2, GENERATOR = 4, IMPORTS = 16 }; // as cleanup.py has them

// What cleanup.py says of a code object.
typedef struct {
	PyObject *code;    // owned; NULL: nothing is known
	int flags;
	PyObject *offsets; // owned; a frozenset, or NULL
	PyObject *drops;   // owned; bytes: at each offset, whether a frame that was entered from there drops something
} place;
enum { PLACES = 1024 };

struct gilt_hook {
	PyObject *cancelled;  // the exception class, as all these owned
	PyObject *inspect;    // cleanup.py's function
	PyObject *on_jump, *on_start, *on_resume, *on_instruction; // the callbacks: sys.monitoring's, before 3.12 on_start is what sys.gettrace() gives
	PyObject *get_trace, *f_trace_opcodes; // sys.gettrace, before 3.12, and a name
	PyObject *use_tool, *free_tool, *set_callback, *set_events, *set_global, *restart; // sys.monitoring's functions, from 3.12 on
	PyObject *jump, *start, *resume, *instruction, *both, *all, *entries, *none;        // its numbers of events: all are both and instruction
	PyObject *disable;    // what a callback gives that is not to be called there again
	int global;           // events are asked for in all code: see find_code
	PyObject *_Atomic tool; // the tool id that is in use, NULL for none
	PyObject **marked;    // code objects that have events, owned
	size_t nmarked, capmarked;
	place places[PLACES]; // direct-mapped by address
};

// hook.c
place *gilt_hook_place(gilt_hook *h, PyObject *code); // NULL with an exception
// Whether the task that runs on th may be interrupted in frame, the innermost one. at is the offset at which the frame goes on,
// NULL for a function's entry.
int gilt_hook_may(gilt_thread *th, gilt_interp *it, PyObject *frame, PyObject *at);
void gilt_hook_raise(gilt_thread *th, gilt_interp *it); // sets the exception, as the interruption of the task that runs on th
// monitor.c
int gilt_monitor_callbacks(gilt_interp *it); // 0, or -1 with an exception, as this
int gilt_monitor_find(gilt_hook *h);         // from 3.12 on
void gilt_monitor_arm(gilt_interp *it, PyObject *frame, int tries);
// trace.c
int gilt_trace_find(gilt_hook *h); // before 3.12: 0, or -1 with an exception
void gilt_trace_arm(gilt_interp *it, PyThreadState *ts, PyObject *frame);
void gilt_trace_disarm(gilt_thread *th, gilt_interp *it);

static inline void drop(PyObject *o) {
	if (o) py.Py_DecRef(o);
}

static inline PyObject *attr(PyObject *o, const char *name) { // a new reference
	PyObject *key = o ? py.PyUnicode_InternFromString(name) : NULL, *v = key ? py.PyObject_GetAttr(o, key) : NULL;
	if (key) py.Py_DecRef(key);
	return v;
}

static inline PyObject *call(PyObject *f, size_t n, PyObject *const *args) { return f ? py.PyObject_VectorcallDict(f, args, n, NULL) : NULL; }

static inline int call_drop(PyObject *f, size_t n, PyObject *const *args) { // 0, or -1 with an exception
	PyObject *o = call(f, n, args);
	if (o) py.Py_DecRef(o);
	return o ? 0 : -1;
}

static inline int is_armed(gilt_thread *th, gilt_interp *it) { // for the task that runs here
	uint64_t tag = atomic_load_explicit(&th->states[it->id].armed, memory_order_relaxed);
	return tag && tag == atomic_load_explicit(&th->tag, memory_order_relaxed) && !atomic_load_explicit(&th->ending, memory_order_relaxed) && !gilt_forked;
}

#endif
