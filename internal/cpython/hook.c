// How an interruption comes: the thread that is to be interrupted raises gilt.Cancelled itself, at a function's entry or at
// the end of a loop, and never in clean-up (cleanup.py). An exception raised from outside (PyThreadState_SetAsyncExc) comes
// after any call too: between an acquire and the try clause after it, or inside __exit__, and then a lock stays locked.
//
// From 3.12 on the canceller asks for events (monitor.c), before it gives the thread a trace function (trace.c). Either is there
// only while a task is to be interrupted.
// Everything here is called with the GIL of the interpreter.
#include "hook.h"

static PyObject *offsets_in(PyObject *said, Py_ssize_t i) { // a new reference, or NULL for None
	PyObject *o = py.PyTuple_GetItem(said, i); // borrowed
	if (!o || o == py._Py_NoneStruct) return NULL;
	py.Py_IncRef(o);
	return o;
}

place *gilt_hook_place(gilt_hook *h, PyObject *code) { // NULL with an exception
	place *p = &h->places[((uintptr_t)code >> 4 ^ (uintptr_t)code >> 12) % PLACES];
	if (GILT_LIKELY(p->code == code)) return p;
	PyObject *said = call(h->inspect, 1, &code); // a tuple of three; it may let other threads run, which may come here
	if (!said) return NULL;
	place old = *p;
	py.Py_IncRef(code);
	*p = (place){code, (int)py.PyLong_AsLongLong(py.PyTuple_GetItem(said, 0)), offsets_in(said, 1), offsets_in(said, 2)};
	py.Py_DecRef(said);
	drop(old.code);
	drop(old.offsets);
	drop(old.drops);
	return GILT_LIKELY(p->code == code) ? p : NULL; // what went with old may have come here too
}

static int among(PyObject *offsets, PyObject *at) { // an error counts as yes
	if (!offsets) return 0;
	py.Py_IncRef(offsets); // the table may be written to meanwhile
	int yes = !at || py.PySequence_Contains(offsets, at) != 0;
	py.Py_DecRef(offsets);
	return yes;
}

// Whether a frame that was entered from the offset last was entered because something is dropped: it is a __del__ of any name, or a
// weak reference's callback. A signal's handler that begins at a loop's end looks the same: it is let run to its end, on Python's main
// thread, before the task is interrupted.
static int is_drop(PyObject *drops, PyObject *last) {
	char *at;
	Py_ssize_t n, i = last ? (Py_ssize_t)py.PyLong_AsLongLong(last) : -1;
	return drops && i >= 0 && !py.PyBytes_AsStringAndSize(drops, &at, &n) && i < n && at[i];
}

// Whether a frame that called another one stands in clean-up. An import is waited for: it would leave a package half made, for
// everybody. One that goes on for long is not: late.
static int calls_in_cleanup(place *p, PyObject *frame, int late) {
	if (p->flags & ALL || (p->flags & IMPORTS && !late)) return 1;
	PyObject *offsets = p->offsets, *drops = p->drops; // p may be written to when attributes are looked up
	if (offsets) py.Py_IncRef(offsets);
	if (drops) py.Py_IncRef(drops);
	PyObject *last = attr(frame, "f_lasti");
	int yes = among(offsets, last) || is_drop(drops, last);
	drop(last);
	drop(offsets);
	drop(drops);
	return yes;
}

// Whether frame stands in clean-up, or a frame that it was called from does: then nothing may be raised. at is the offset at which
// the frame itself goes on, NULL for a function's entry. An error counts as yes.
// What is around the frame in which th's task began is an outer task's, which goes on.
static int in_cleanup(gilt_hook *h, PyObject *frame, PyObject *at, gilt_thread *th) {
	const void *outer = th->tasks[th->ntasks - 1].outer;
	int yes = 0, innermost = 1;
	py.Py_IncRef(frame);
	while (frame && frame != outer && !yes) {
		PyObject *code = py.PyFrame_GetCode(frame), *back;
		place *p = gilt_hook_place(h, code);
		if (!p) yes = 1;
		else if (innermost) yes = p->flags & (HELD | ALL) || (at && among(p->offsets, at));
		else yes = calls_in_cleanup(p, frame, th->late);
		back = yes ? NULL : py.PyFrame_GetBack(frame);
		py.Py_DecRef(code);
		py.Py_DecRef(frame);
		frame = back, innermost = 0;
	}
	drop(frame);
	py.PyErr_Clear();
	return yes;
}

// Sets the exception, as the interruption of the task that runs on th.
void gilt_hook_raise(gilt_thread *th, gilt_interp *it) {
	gilt_disarm(th, it);
	atomic_store(&th->fired, gilt_task_key(it, atomic_load(&th->tag)));
	py.PyErr_SetNone(it->hook->cancelled);
}

// Whether the task that runs on th may be interrupted in frame, the innermost one, where at is as in_cleanup has it.
int gilt_hook_may(gilt_thread *th, gilt_interp *it, PyObject *frame, PyObject *at) {
	if (frame && (in_cleanup(it->hook, frame, at, th) || (th->loop && !gilt_loop_turn(th->loop, frame)))) {
		// Each look goes through the whole stack. A finally clause that loops would be slow with one for each turn.
		if (--th->checks <= 0) gilt_disarm(th, it);
		return 0;
	}
	return is_armed(th, it); // the look runs Python code, during which the GIL may have gone to and fro
}

// Whether the task that runs on th is to be interrupted, though the canceller may have had no GIL to arm it. What was
// interrupted before is not again until it does: its clean-up may need C code.
static int is_due(gilt_thread *th, gilt_interp *it) {
	uint64_t key = gilt_task_key(it, atomic_load_explicit(&th->tag, memory_order_relaxed));
	int64_t deadline = atomic_load_explicit(&th->deadline, memory_order_relaxed);
	if (is_armed(th, it)) return 1;
	if (atomic_load(&th->fired) == key || atomic_load(&th->ending)) return 0;
	return atomic_load_explicit(&th->wanted, memory_order_relaxed) == key || (deadline && (int64_t)gilt_clock_ns() >= deadline);
}

int gilt_due(gilt_thread *th) { return th->attached->hook && is_due(th, th->attached); }

int gilt_interrupted(gilt_thread *th) {
	gilt_interp *it = th->attached;
	if (GILT_LIKELY(!it->hook || !is_due(th, it))) return 0;
	uint64_t tag = atomic_load(&th->tag);
	if (!is_armed(th, it)) th->arms++, th->checks = GILT_CHECKS, th->late = 0, atomic_store(&th->states[it->id].armed, tag);
	return gilt_interrupt_here(th, it);
}

int gilt_interrupt_here(gilt_thread *th, gilt_interp *it) {
	if (!it->hook || !is_armed(th, it)) return 0;
	PyObject *frame = py.PyThreadState_GetFrame(th->states[it->id].ts), *at = frame ? attr(frame, "f_lasti") : NULL; // in a call of C
	int may = (!frame || at) && gilt_hook_may(th, it, frame, at);
	py.PyErr_Clear();
	drop(at);
	drop(frame);
	if (may) gilt_hook_raise(th, it);
	return may ? -1 : 0;
}

static char *source; // cleanup.py
static size_t nsource;

int gilt_hook_source(const char *s, uint64_t n) {
	if (!source && (source = malloc(n))) memcpy(source, s, nsource = n);
	return source ? 0 : -1;
}

static PyObject *make_inspect(gilt_interp *it) {
	PyObject *args[3] = {py.PyUnicode_FromStringAndSize(source, (Py_ssize_t)nsource), py.PyUnicode_InternFromString("<gilt cleanup>"), it->names.s_exec};
	PyObject *code = args[0] && args[1] ? call(it->names.compile, 3, args) : NULL, *ns = code ? py.PyDict_New() : NULL;
	PyObject *done = ns && !py.PyDict_SetItemString(ns, "__builtins__", it->names.builtins) ? py.PyEval_EvalCode(code, ns, ns) : NULL;
	PyObject *name = done ? py.PyUnicode_InternFromString("inspect") : NULL, *f = name ? py.PyObject_GetItem(ns, name) : NULL;
	PyObject *owned[] = {args[0], args[1], code, ns, done, name};
	for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
		drop(owned[i]);
	return f;
}

int gilt_hook_init(gilt_interp *it) {
	gilt_hook *h = it->hook = calloc(1, sizeof *h);
	if (!h) return py.PyErr_NoMemory(), -1;
	h->cancelled = gilt_make_cancelled();
	h->inspect = make_inspect(it);
	if (gilt_monitor_callbacks(it) || !h->cancelled || !h->inspect) return -1;
	return gilt_minor() >= 12 ? gilt_monitor_find(h) : gilt_trace_find(h);
}

void gilt_hook_arm(gilt_interp *it, PyThreadState *ts, PyObject *frame, int tries) {
	if (gilt_minor() >= 12) gilt_monitor_arm(it, frame, tries);
	else gilt_trace_arm(it, ts, frame);
	py.PyErr_Clear();
}

void gilt_disarm(gilt_thread *th, gilt_interp *it) {
	atomic_store(&th->states[it->id].armed, 0);
	th->next = 0;
	if (gilt_minor() < 12 && it->hook) gilt_trace_disarm(th, it);
}

void gilt_hook_clear(gilt_interp *it) {
	gilt_hook *h = it->hook;
	if (!h) return;
	if (h->tool) gilt_hook_rest(it);
	it->hook = NULL;
	PyObject *owned[] = {h->cancelled, h->inspect, h->on_jump, h->on_start, h->on_resume, h->on_instruction, h->get_trace, h->f_trace_opcodes, h->use_tool, h->free_tool, h->set_callback, h->set_events, h->set_global, h->restart, h->jump, h->start, h->resume, h->instruction, h->both, h->all, h->entries, h->none, h->disable, h->tool};
	for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
		drop(owned[i]);
	for (size_t i = 0; i < h->nmarked; i++) py.Py_DecRef(h->marked[i]);
	free(h->marked);
	for (size_t i = 0; i < PLACES; i++) {
		drop(h->places[i].code);
		drop(h->places[i].offsets);
		drop(h->places[i].drops);
	}
	free(h);
}
