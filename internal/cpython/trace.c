// How an interruption comes before 3.12: the canceller gives the thread a trace function. The function sees the loops' ends as lines
// that begin at or before the offset at which the last line of the same frame began. A loop that is one instruction, which jumps to itself, has no lines: the frame in which the
// canceller found the thread is traced by instructions.
#include "hook.h"

enum { TRACE_CALL = 0, TRACE_LINE = 2, TRACE_RETURN = 3, TRACE_OPCODE = 7 };
enum { SEEN = 256 }; // with few, a function that a loop calls would take the place of the loop's frame each turn

struct gilt_note {
	PyObject *frame, *code; // compared only
	uint64_t turn;   // th->arms then
	int what;        // the event
	long long at;    // where the frame went on
	long long left;  // where a generator was left
};
typedef struct gilt_note note;
enum { NOWHERE = -9 };

static void forget(note *n, gilt_thread *th, PyObject *frame, PyObject *code) { *n = (note){frame, code, th->arms, -1, 0, NOWHERE}; }

// The frame's note, or the place of one that another frame had; NULL without memory. They are the thread's and not thread-local: a shared
// library that is loaded late has little room for such variables.
static note *note_of(gilt_thread *th, PyObject *frame, PyObject *code) {
	if (!th->notes && !(th->notes = calloc(SEEN, sizeof(note)))) return NULL;
	note *n = &th->notes[((uintptr_t)frame >> 4 ^ (uintptr_t)frame >> 12) % SEEN];
	if (n->frame != frame || n->code != code || n->turn != th->arms) forget(n, th, frame, code);
	return n;
}

// Notes where the frame goes on; says whether the exception may come there: it is entered, or it has jumped back since the last note.
static int goes_on(note *n, int what, long long at) {
	if (n->what == TRACE_OPCODE && what == TRACE_LINE) return 0; // the instruction follows
	int yes = n->what == TRACE_CALL || (n->what == what && at <= n->at);
	n->what = what, n->at = at;
	return yes;
}

static int trace_opcodes(gilt_hook *h, PyObject *frame, PyObject *yes) {
	int bad = py.PyObject_SetAttr(frame, h->f_trace_opcodes, yes);
	if (bad) py.PyErr_Clear();
	return bad;
}

// What is known of the code, -1 without memory.
static int flags_of(gilt_hook *h, PyObject *code) {
	place *p = gilt_hook_place(h, code);
	if (!p) py.PyErr_Clear();
	return p ? p->flags : -1;
}

// Whether the exception may come at this event of a frame. A generator goes on by a call as well: it keeps its note if it goes on where it was
// left, which is an instruction later on 3.11. Nothing is raised at a call: profilers would see a return without one. The first
// line follows.
static int comes_at(gilt_thread *th, PyObject *frame, PyObject *code, int flags, int what, long long at) {
	note *n = note_of(th, frame, code);
	if (!n) return 0;
	switch (what) {
	case TRACE_CALL:
		if (!(flags & GENERATOR)) {
			forget(n, th, frame, code);
			n->what = TRACE_CALL;
		} else if (at != n->left && at != n->left + 2) forget(n, th, frame, code);
		return 0;
	case TRACE_RETURN:
		n->left = at;
		if (!(flags & GENERATOR)) n->frame = NULL;
		return 0;
	}
	return goes_on(n, what, at);
}

static int trace(PyObject *self, PyObject *frame, int what, PyObject *arg) {
	gilt_thread *th = gilt_tls;
	gilt_interp *it = th ? th->attached : NULL;
	if (!it || !is_armed(th, it) || (what != TRACE_CALL && what != TRACE_RETURN && what != TRACE_LINE && what != TRACE_OPCODE)) return 0;
	PyObject *code = py.PyFrame_GetCode(frame), *last = NULL;
	int flags = flags_of(it->hook, code), may = 0;
	if (flags >= 0 && !(flags & (HELD | ALL)) && (last = attr(frame, "f_lasti")))
		may = comes_at(th, frame, code, flags, what, py.PyLong_AsLongLong(last)) && gilt_hook_may(th, it, frame, last);
	drop(last);
	drop(code);
	py.PyErr_Clear();
	if (!may) return 0;
	if (what == TRACE_OPCODE) trace_opcodes(it->hook, frame, py._Py_FalseStruct);
	gilt_hook_raise(th, it);
	return -1;
}

// Where a thread state keeps its trace function: found at start, in our own, in which it is set to one that
// is known. No CPython has a call for it that works for another thread.
static int tracer_at;

static int find_tracer(PyObject *self) { // 0, or -1 with an exception
	enum { WORDS = 25 }; // of a structure of more than 32
	PyThreadState *ts = py.PyThreadState_Get();
	py.PyEval_SetTrace(trace, self);
	for (int i = 0; i < WORDS && !tracer_at; i++)
		if (((gilt_tracer *)ts)[i] == trace) tracer_at = i;
	py.PyEval_SetTrace(NULL, NULL);
	if (!tracer_at) py.PyErr_SetString(py.PyExc_RuntimeError, "this Python lays out its thread states in a way that gilt does not know");
	return tracer_at ? 0 : -1;
}

// Whether somebody else traces the thread: a debugger, or coverage. Their trace function would be lost.
static int is_traced(PyThreadState *ts) {
	gilt_tracer now = ((gilt_tracer *)ts)[tracer_at];
	return now && now != trace;
}

int gilt_trace_find(gilt_hook *h) {
	if ((h->get_trace = py.PySys_GetObject("gettrace"))) py.Py_IncRef(h->get_trace);
	h->f_trace_opcodes = py.PyUnicode_InternFromString("f_trace_opcodes");
	return h->get_trace && h->f_trace_opcodes && (tracer_at || !find_tracer(h->on_start)) ? 0 : -1;
}

// An audit hook may run Python code before CPython comes to use ts, which then must still be there.
static void trace_thread(gilt_interp *it, PyThreadState *ts) {
	if (pthread_mutex_trylock(&it->states_mu)) return; // who has it may be waiting for the GIL: next time
	py._PyEval_SetTrace(ts, trace, it->hook->on_start);
	pthread_mutex_unlock(&it->states_mu);
}

// Has the innermost frame traced by instructions in which the exception may come.
static void trace_instructions(gilt_hook *h, PyObject *frame) {
	int flags = 0;
	py.Py_IncRef(frame);
	while (frame) {
		PyObject *code = py.PyFrame_GetCode(frame);
		flags = flags_of(h, code);
		py.Py_DecRef(code);
		if (!(flags & (HELD | ALL))) break; // -1 has them
		PyObject *back = py.PyFrame_GetBack(frame);
		py.Py_DecRef(frame);
		frame = back;
	}
	if (frame) trace_opcodes(h, frame, py._Py_TrueStruct);
	drop(frame);
}

void gilt_trace_arm(gilt_interp *it, PyThreadState *ts, PyObject *frame) {
	if (is_traced(ts)) return;
	trace_thread(it, ts);
	if (frame) trace_instructions(it->hook, frame);
}

void gilt_trace_disarm(gilt_thread *th, gilt_interp *it) {
	PyObject *now = call(it->hook->get_trace, 0, NULL);
	if (now == it->hook->on_start) { // else Python code has set another one
		th->disarms++; // an audit hook may let the canceller run, whose own call would be an error in this thread
		py.PyEval_SetTrace(NULL, NULL);
		th->disarms--;
	}
	if (now) py.Py_DecRef(now);
	py.PyErr_Clear();
}
