// How an interruption comes: the thread that is to be interrupted raises gilt.Cancelled itself, at a function's entry or at
// the end of a loop, and never in clean-up (cleanup.py). An exception raised from outside (PyThreadState_SetAsyncExc) comes
// after any call too: between an acquire and the try clause after it, or inside __exit__, and then a lock stays locked.
//
// From 3.12 on the canceller asks for the events JUMP and PY_START of the code that it finds on the thread's stack
// (sys.monitoring). What a JUMP's callback raises is not seen by the try clauses around the loop: CPython (3.12 to 3.14) looks for
// them at an address that its macro INSTRUMENTED_JUMP takes from a pointer that is NULL by then. So that callback asks for the event
// INSTRUCTION, which comes next, at the first instruction of the loop's next turn, and that one's callback raises.
// So does PY_START's: other tools would see a function end of which they have not seen the beginning.
// Before 3.12 the canceller gives the thread a trace function. Either is there only while a task is to be interrupted.
// Everything here is called with the GIL of the interpreter.
#include "orders.h"

enum { HELD = 1, ALL = 2, GENERATOR = 4, IMPORTS = 16 }; // as cleanup.py has them
enum { MARKED = 512 };  // code objects; more are given up, and found again
enum { DEEPEST = 128 }; // frames of a stack whose code is marked, from the innermost on

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

static void drop(PyObject *o) {
	if (o) py.Py_DecRef(o);
}

static PyObject *attr(PyObject *o, const char *name) { // a new reference
	PyObject *key = o ? py.PyUnicode_InternFromString(name) : NULL, *v = key ? py.PyObject_GetAttr(o, key) : NULL;
	if (key) py.Py_DecRef(key);
	return v;
}

static PyObject *call(PyObject *f, size_t n, PyObject *const *args) { return f ? py.PyObject_VectorcallDict(f, args, n, NULL) : NULL; }

static int call_drop(PyObject *f, size_t n, PyObject *const *args) { // 0, or -1 with an exception
	PyObject *o = call(f, n, args);
	if (o) py.Py_DecRef(o);
	return o ? 0 : -1;
}

static PyObject *offsets_in(PyObject *said, Py_ssize_t i) { // a new reference, or NULL for None
	PyObject *o = py.PyTuple_GetItem(said, i); // borrowed
	if (!o || o == py._Py_NoneStruct) return NULL;
	py.Py_IncRef(o);
	return o;
}

static place *place_of(gilt_hook *h, PyObject *code) { // NULL with an exception
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
// weak reference's callback.
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
		place *p = place_of(h, code);
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

static int is_armed(gilt_thread *th, gilt_interp *it) { // for the task that runs here
	uint64_t tag = atomic_load_explicit(&th->states[it->id].armed, memory_order_relaxed);
	return tag && tag == atomic_load_explicit(&th->tag, memory_order_relaxed) && !atomic_load_explicit(&th->ending, memory_order_relaxed) && !gilt_forked;
}

// Sets the exception, as the interruption of the task that runs on th.
static void raise_in(gilt_thread *th, gilt_interp *it) {
	gilt_disarm(th, it);
	atomic_store(&th->fired, gilt_task_key(it, atomic_load(&th->tag)));
	py.PyErr_SetNone(it->hook->cancelled);
}

// Whether the task that runs on th may be interrupted in frame, the innermost one, where at is as in_cleanup has it.
static int may_interrupt(gilt_thread *th, gilt_interp *it, PyObject *frame, PyObject *at) {
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
	int may = (!frame || at) && may_interrupt(th, it, frame, at);
	py.PyErr_Clear();
	drop(at);
	drop(frame);
	if (may) raise_in(th, it);
	return may ? -1 : 0;
}

static int mark(gilt_hook *h, PyObject *code);

// The callbacks of sys.monitoring, from 3.12 on. self is a capsule of the interpreter.
static const char HOOK[] = "gilt.hook";

static PyObject *none(void) {
	py.Py_IncRef(py._Py_NoneStruct);
	return py._Py_NoneStruct;
}

// The interpreter of the callback, if the task that runs on th is to be interrupted.
static gilt_interp *armed_of(PyObject *self, gilt_thread *th) {
	gilt_interp *it = py.PyCapsule_GetPointer(self, HOOK);
	return it && it->hook && th && th->attached == it && GILT_UNLIKELY(is_armed(th, it)) ? it : NULL;
}

static int may_at(gilt_thread *th, gilt_interp *it, PyObject *at) {
	PyObject *frame = py.PyThreadState_GetFrame(th->states[it->id].ts);
	int may = frame && may_interrupt(th, it, frame, at);
	drop(frame);
	return may;
}

static int is_marked(gilt_hook *h, PyObject *code) {
	for (size_t i = h->nmarked; i-- > 0;)
		if (h->marked[i] == code) return 1;
	return 0;
}

static int set_events(gilt_hook *h, PyObject *code, PyObject *events) { // 0, or -1 with an exception
	return call_drop(h->set_events, 3, (PyObject *[]){h->tool, code, events});
}

// Asks for the event at the next instruction of code, in which the exception is raised. to is its offset plus 1, or ANYWHERE.
enum { ANYWHERE = -1 };

static void ask(gilt_thread *th, gilt_hook *h, PyObject *code, int64_t to) {
	if (!h->tool || !is_marked(h, code)) return;
	if (set_events(h, code, h->all)) py.PyErr_Clear();
	else th->next = to, th->next_code = code;
}

// A function is entered, or goes on as a generator. Where events are asked for in all code, it is marked if the thread is to be
// interrupted; for others the event is not wanted again.
static PyObject *entered(PyObject *self, PyObject *code, int may_raise) {
	gilt_interp *any = py.PyCapsule_GetPointer(self, HOOK);
	if (!any) return NULL;
	gilt_hook *h = any->hook;
	if (!h) return none();
	gilt_thread *th = gilt_tls;
	gilt_interp *it = armed_of(self, th);
	if (h->global && it && mark(h, code)) py.PyErr_Clear();
	if (it && may_raise && is_marked(h, code) && may_at(th, it, NULL)) ask(th, h, code, ANYWHERE);
	if (!h->global || is_marked(h, code)) return none();
	py.Py_IncRef(h->disable);
	return h->disable;
}

static PyObject *on_start(PyObject *self, PyObject *const *args, Py_ssize_t n) { return entered(self, args[0], 1); } // code, offset
static PyObject *on_resume(PyObject *self, PyObject *const *args, Py_ssize_t n) { return entered(self, args[0], 0); }

static PyObject *on_jump(PyObject *self, PyObject *const *args, Py_ssize_t n) { // code, from, to
	gilt_thread *th = gilt_tls;
	gilt_interp *it = armed_of(self, th);
	if (GILT_LIKELY(!it) || n != 3) return none();
	long long from = py.PyLong_AsLongLong(args[1]), to = py.PyLong_AsLongLong(args[2]);
	if (to <= from && may_at(th, it, args[2])) ask(th, it->hook, args[0], to + 1);
	return none();
}

static PyObject *on_instruction(PyObject *self, PyObject *const *args, Py_ssize_t n) { // code, offset
	gilt_thread *th = gilt_tls;
	gilt_interp *it = armed_of(self, th);
	if (GILT_LIKELY(!it || !th->next) || n != 2 || args[0] != th->next_code) return none();
	int64_t next = th->next;
	th->next = 0;
	if (next != ANYWHERE && py.PyLong_AsLongLong(args[1]) + 1 != next) return none();
	if (is_marked(it->hook, args[0]) && set_events(it->hook, args[0], it->hook->both)) py.PyErr_Clear();
	raise_in(th, it);
	return NULL;
}

// The trace function, before 3.12. It sees the loops' ends as lines that begin at or before the offset at which the last line of
// the same frame began. A loop that is one instruction, which jumps to itself, has no lines: the frame in which the
// canceller found the thread is traced by instructions.
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
	place *p = place_of(h, code);
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
		may = comes_at(th, frame, code, flags, what, py.PyLong_AsLongLong(last)) && may_interrupt(th, it, frame, last);
	drop(last);
	drop(code);
	py.PyErr_Clear();
	if (!may) return 0;
	if (what == TRACE_OPCODE) trace_opcodes(it->hook, frame, py._Py_FalseStruct);
	raise_in(th, it);
	return -1;
}

typedef struct { // PyMethodDef: fixed
	const char *name;
	PyObject *(*call)(PyObject *self, PyObject *const *args, Py_ssize_t n);
	int flags;
	const char *doc;
} method_def;
enum { METH_FASTCALL = 0x80 };

static PyObject *callback(method_def *def, gilt_interp *it) {
	PyObject *self = py.PyCapsule_New(it, HOOK, NULL), *f = self ? py.PyCFunction_NewEx(def, self, NULL) : NULL;
	if (self) py.Py_DecRef(self);
	return f;
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

static int find_monitoring(gilt_hook *h) {
	PyObject *m = py.PySys_GetObject("monitoring"), *events = attr(m, "events"); // m is borrowed from sys
	h->use_tool = attr(m, "use_tool_id"), h->free_tool = attr(m, "free_tool_id");
	h->set_callback = attr(m, "register_callback"), h->set_events = attr(m, "set_local_events");
	h->jump = attr(events, "JUMP"), h->start = attr(events, "PY_START"), h->none = attr(events, "NO_EVENTS");
	h->instruction = attr(events, "INSTRUCTION"), h->resume = attr(events, "PY_RESUME");
	h->set_global = attr(m, "set_events"), h->restart = attr(m, "restart_events"), h->disable = attr(m, "DISABLE");
	h->entries = h->start && h->resume ? py.PyNumber_Or(h->start, h->resume) : NULL;
	h->both = h->jump && h->start ? py.PyNumber_Or(h->jump, h->start) : NULL;
	h->all = h->both && h->instruction ? py.PyNumber_Or(h->both, h->instruction) : NULL;
	if (events) py.Py_DecRef(events);
	return h->use_tool && h->free_tool && h->set_callback && h->set_events && h->all && h->none && h->entries && h->set_global && h->restart && h->disable ? 0 : -1;
}

// Where a thread state keeps its trace function, before 3.12: found at start, in our own, in which it is set to one that
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

int gilt_hook_init(gilt_interp *it) {
	static method_def jump = {"gilt_jump", on_jump, METH_FASTCALL, NULL}, start = {"gilt_start", on_start, METH_FASTCALL, NULL},
	                  resume = {"gilt_resume", on_resume, METH_FASTCALL, NULL}, instruction = {"gilt_instruction", on_instruction, METH_FASTCALL, NULL};
	gilt_hook *h = it->hook = calloc(1, sizeof *h);
	if (!h) return py.PyErr_NoMemory(), -1;
	h->cancelled = gilt_make_cancelled();
	h->inspect = make_inspect(it);
	h->on_jump = callback(&jump, it), h->on_start = callback(&start, it), h->on_resume = callback(&resume, it), h->on_instruction = callback(&instruction, it);
	if (!h->cancelled || !h->inspect || !h->on_jump || !h->on_start || !h->on_resume || !h->on_instruction) return -1;
	if (gilt_minor() >= 12) return find_monitoring(h);
	if ((h->get_trace = py.PySys_GetObject("gettrace"))) py.Py_IncRef(h->get_trace);
	h->f_trace_opcodes = py.PyUnicode_InternFromString("f_trace_opcodes");
	return h->get_trace && h->f_trace_opcodes && (tracer_at || !find_tracer(h->on_start)) ? 0 : -1;
}

// Gives up the events and the tool id, so that debuggers and coverage find everything as they know it.
static void unmark(gilt_hook *h) {
	while (h->nmarked > 0) {
		PyObject *code = h->marked[--h->nmarked];
		if (h->tool && set_events(h, code, h->none)) py.PyErr_Clear();
		py.Py_DecRef(code);
	}
}

static int set_callbacks(gilt_hook *h, PyObject *tool, int there) { // 0, or -1 with an exception
	PyObject *set[][3] = {{tool, h->jump, h->on_jump}, {tool, h->start, h->on_start}, {tool, h->resume, h->on_resume}, {tool, h->instruction, h->on_instruction}};
	for (size_t i = 0; i < sizeof set / sizeof *set; i++) {
		if (!there) set[i][2] = py._Py_NoneStruct;
		if (call_drop(h->set_callback, 3, set[i])) return -1;
	}
	return 0;
}

void gilt_hook_rest(gilt_interp *it) {
	gilt_hook *h = it->hook;
	unmark(h);
	PyObject *tool = h->tool;
	h->tool = NULL;
	if (!tool) return;
	if (h->global && call_drop(h->set_global, 2, (PyObject *[]){tool, h->none})) py.PyErr_Clear();
	h->global = 0;
	if (set_callbacks(h, tool, 0)) py.PyErr_Clear();
	if (call_drop(h->free_tool, 1, &tool)) py.PyErr_Clear();
	py.Py_DecRef(tool);
}

int gilt_hook_marks(gilt_interp *it) { return it->hook && it->hook->tool; }

// Takes a tool id that nobody uses: those without a name in CPython's documentation first. -1 with an exception when there is none.
static int take_tool(gilt_interp *it) {
	static const int ids[] = {4, 3, 5, 2, 1, 0};
	gilt_hook *h = it->hook;
	for (size_t i = 0; !h->tool && i < sizeof ids / sizeof *ids; i++) {
		PyObject *args[2] = {py.PyLong_FromLongLong(ids[i]), py.PyUnicode_InternFromString("gilt")};
		if (args[0] && args[1] && !call_drop(h->use_tool, 2, args)) h->tool = args[0];
		else if (args[0]) py.Py_DecRef(args[0]);
		if (args[1]) py.Py_DecRef(args[1]);
		if (!h->tool) py.PyErr_Clear();
	}
	if (!h->tool) return -1;
	if (!set_callbacks(h, h->tool, 1)) return 0;
	gilt_hook_rest(it);
	return -1;
}

static int mark(gilt_hook *h, PyObject *code) { // 0, or -1 with an exception
	place *p = place_of(h, code);
	if (!p) return -1;
	if (p->flags & (HELD | ALL) || is_marked(h, code) || !h->tool) return 0; // the look may have let the canceller rest the hook
	if (h->nmarked == h->capmarked) {
		size_t cap = h->capmarked ? 2 * h->capmarked : 32;
		PyObject **more = realloc(h->marked, cap * sizeof *more);
		if (!more) return py.PyErr_NoMemory(), -1;
		h->marked = more, h->capmarked = cap;
	}
	if (set_events(h, code, h->both)) return -1;
	py.Py_IncRef(code);
	h->marked[h->nmarked++] = code;
	return 0;
}

static void mark_stack(gilt_interp *it, PyObject *frame) { // steals frame
	gilt_hook *h = it->hook;
	if (h->nmarked > MARKED) unmark(h); // those of others are found again, at the next look for them
	for (int depth = 0; frame && depth < DEEPEST; depth++) {
		PyObject *code = py.PyFrame_GetCode(frame), *back = py.PyFrame_GetBack(frame);
		if (mark(h, code)) py.PyErr_Clear();
		py.Py_DecRef(code);
		py.Py_DecRef(frame);
		frame = back;
	}
	if (frame) py.Py_DecRef(frame);
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

// Code that is never on the stack when the canceller looks, such as a coroutine of a thread that mostly waits in asyncio's own
// code: events are asked for wherever a function is entered or a generator goes on. Each place tells once, and again after
// restart_events; the thread marks what it enters itself.
static void find_code(gilt_hook *h, int tries) {
	if (tries < 2 || tries & (tries - 1)) return;
	if (!h->global) h->global = !call_drop(h->set_global, 2, (PyObject *[]){h->tool, h->entries});
	else call_drop(h->restart, 0, NULL);
	py.PyErr_Clear();
}

void gilt_hook_arm(gilt_interp *it, PyThreadState *ts, PyObject *frame, int tries) {
	if (gilt_minor() >= 12) {
		if (it->hook->tool || !take_tool(it)) {
			if (frame) py.Py_IncRef(frame), mark_stack(it, frame);
			find_code(it->hook, tries);
		}
	} else if (!is_traced(ts)) {
		trace_thread(it, ts);
		if (frame) trace_instructions(it->hook, frame);
	}
	py.PyErr_Clear();
}

void gilt_disarm(gilt_thread *th, gilt_interp *it) {
	atomic_store(&th->states[it->id].armed, 0);
	th->next = 0;
	if (gilt_minor() >= 12 || !it->hook) return;
	PyObject *now = call(it->hook->get_trace, 0, NULL);
	if (now == it->hook->on_start) { // else Python code has set another one
		th->disarms++; // an audit hook may let the canceller run, whose own call would be an error in this thread
		py.PyEval_SetTrace(NULL, NULL);
		th->disarms--;
	}
	if (now) py.Py_DecRef(now);
	py.PyErr_Clear();
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
