// How an interruption comes from 3.12 on: the canceller asks for the events JUMP and PY_START of the code that it finds on the
// thread's stack (sys.monitoring). What a JUMP's callback raises is not seen by the try clauses around the loop: CPython (3.12 to 3.14) looks for
// them at an address that its macro INSTRUMENTED_JUMP takes from a pointer that is NULL by then. So that callback asks for the event
// INSTRUCTION, which comes next, at the first instruction of the loop's next turn, and that one's callback raises.
// So does PY_START's: other tools would see a function end of which they have not seen the beginning.
#include "hook.h"

enum { MARKED = 512 };  // code objects; more are given up, and found again
enum { DEEPEST = 128 }; // frames of a stack whose code is marked, from the innermost on

static int mark(gilt_hook *h, PyObject *code);

// The callbacks of sys.monitoring. self is a capsule of the interpreter.
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
	int may = frame && gilt_hook_may(th, it, frame, at);
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
	gilt_hook_raise(th, it);
	return NULL;
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

int gilt_monitor_callbacks(gilt_interp *it) {
	static method_def jump = {"gilt_jump", on_jump, METH_FASTCALL, NULL}, start = {"gilt_start", on_start, METH_FASTCALL, NULL},
	                  resume = {"gilt_resume", on_resume, METH_FASTCALL, NULL}, instruction = {"gilt_instruction", on_instruction, METH_FASTCALL, NULL};
	gilt_hook *h = it->hook;
	h->on_jump = callback(&jump, it), h->on_start = callback(&start, it), h->on_resume = callback(&resume, it), h->on_instruction = callback(&instruction, it);
	return h->on_jump && h->on_start && h->on_resume && h->on_instruction ? 0 : -1;
}

int gilt_monitor_find(gilt_hook *h) {
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
	place *p = gilt_hook_place(h, code);
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

// Code that is never on the stack when the canceller looks, such as a coroutine of a thread that mostly waits in asyncio's own
// code: events are asked for wherever a function is entered or a generator goes on. Each place tells once, and again after
// restart_events; the thread marks what it enters itself.
static void find_code(gilt_hook *h, int tries) {
	if (tries < 2 || tries & (tries - 1)) return;
	if (!h->global) h->global = !call_drop(h->set_global, 2, (PyObject *[]){h->tool, h->entries});
	else call_drop(h->restart, 0, NULL);
	py.PyErr_Clear();
}

void gilt_monitor_arm(gilt_interp *it, PyObject *frame, int tries) {
	if (!it->hook->tool && take_tool(it)) return;
	if (frame) py.Py_IncRef(frame), mark_stack(it, frame);
	find_code(it->hook, tries);
}
