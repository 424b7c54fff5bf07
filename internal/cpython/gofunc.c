// Go functions as Python callables. One is a built-in function of CPython's own. Its self is a module of its own: only
// then does CPython give its name as it is, and two functions are two. What Go knows it by is a capsule in the place of
// the class that defines a method, which CPython keeps and gives back with each call and does nothing else with. A call converts the arguments as the function's plan says, crosses to Go once, and
// converts the result; it is a task of its own inside the one that runs Python on this thread.
#define _GNU_SOURCE
#include "books.h"
#include "greenlet.h"
#include "objects.h"
#include <pthread.h>
#include <stdio.h>

typedef struct { // PyMethodDef: fixed, see RULES of the stable ABI
	const char *name;
	PyObject *(*call)(PyObject *self, PyObject *capsule, PyObject *const *args, Py_ssize_t n, PyObject *names);
	int flags;
	const char *doc;
} method_def;

enum { METH_KEYWORDS = 0x02, METH_FASTCALL = 0x80, METH_METHOD = 0x200 };

struct gilt_gofunc {
	uint64_t id, what;
	gilt_interp *it;
	char *plan, *name, *doc;
	size_t n; // arguments
	int uses_python; // on the thread that calls it
	method_def def;
};

static const char CAPSULE[] = "gilt.gofunc";

// A capsule may go on any thread, and in any process.
static void drop(uint64_t id) {
	if (gilt_forked) return;
	if (gilt_no_thread() == GILT_ENDING) gilt_drop_later(id);
	else gilt_go_drop(id);
}

static void free_gofunc(gilt_gofunc *f) {
	drop(f->id);
	free(f->plan);
	free(f->name);
	free(f->doc);
	free(f);
}

static void destroy(PyObject *capsule) {
	gilt_gofunc *f = py.PyCapsule_GetPointer(capsule, CAPSULE);
	if (f) free_gofunc(f);
}

// Goes wrong before the guard page does: user code may have raised the recursion limit, and 3.10 and 3.11 look
// at nothing else.
static int stack_is_low(gilt_thread *th) {
	enum { RESERVE = 256 << 10 };
	static _Thread_local size_t reserve = RESERVE;
#ifdef __linux__
	if (GILT_UNLIKELY(!th->stack_low)) {
		pthread_attr_t a;
		void *low = NULL;
		size_t size = 0;
		if (!pthread_getattr_np(pthread_self(), &a)) {
			pthread_attr_getstack(&a, &low, &size);
			pthread_attr_destroy(&a);
		}
		th->stack_low = (uintptr_t)low + 1;
		if (size / 4 < RESERVE) reserve = size / 4;
	}
#endif
	char here;
	return th->stack_low && (uintptr_t)&here < th->stack_low + reserve;
}

// One argument as the plan's letter says: a number into the frame, else its wire form into the buffer.
static int convert(gilt_thread *th, char kind, PyObject *o, int64_t *number) {
	gilt_res r = {0};
	switch (kind) {
	case 'i': return gilt_scalar_of(o, GILT_R_INT64, &r) ? -1 : (*number = r.i, 0);
	case 'd': return gilt_scalar_of(o, GILT_R_FLOAT64, &r) ? -1 : (*number = r.i, 0);
	case 'b': return gilt_scalar_of(o, GILT_R_BOOL, &r) ? -1 : (*number = r.i, 0);
	case 'O':
		py.Py_IncRef(o);
		if (gilt_push_ref(th, o)) return -1;
		*number = (int64_t)(uintptr_t)o;
		return 0;
	}
	*number = (int64_t)th->nbuf;
	return gilt_wire_write(th, o, 0);
}

// The result that Go left in the frame.
static PyObject *value(gilt_goframe *f) {
	switch (f->rkind) {
	case GILT_R_NONE:
		py.Py_IncRef(py._Py_NoneStruct);
		return py._Py_NoneStruct;
	case GILT_R_INT64: return py.PyLong_FromLongLong(f->i);
	case GILT_R_BOOL: {
		PyObject *o = f->i ? py._Py_TrueStruct : py._Py_FalseStruct;
		py.Py_IncRef(o);
		return o;
	}
	case GILT_R_FLOAT64: {
		double d;
		memcpy(&d, &f->i, 8);
		return py.PyFloat_FromDouble(d);
	}
	case GILT_R_OBJECT: // the scope's, or an exception to raise
		py.Py_IncRef((PyObject *)f->obj);
		return (PyObject *)f->obj;
	}
	const uint8_t *p = f->out;
	return gilt_wire_read(&p, f->out + f->outn, 0);
}

static PyObject *in_task(gilt_thread *th, gilt_gofunc *f, PyObject *const *args) {
	gilt_goframe frame = {.id = f->id, .it = f->it, .th = th, .serial = th->serial, .interpreter = f->it->id, .words = &th->words};
	int64_t numbers[GILT_GOARGS];
	frame.args = numbers;
	th->nbuf = 0;
	for (size_t i = 0; i < f->n; i++)
		if (convert(th, f->plan[i], args[i], &numbers[i])) return NULL;
	if (GILT_UNLIKELY(f->it->greenlets != NULL)) th->tasks[th->ntasks - 1].converting = 0;
	frame.w = th->buf, frame.wn = th->nbuf;
	uint64_t last = th->last;
	th->last = gilt_ticks(); // the call's own operations are measured from here, the outer one from where it was
	atomic_store_explicit(&th->in_go, th->last, memory_order_relaxed);
	gilt_go_call(&frame);
	atomic_store_explicit(&th->in_go, 0, memory_order_relaxed);
	while (GILT_UNLIKELY(th->foreign) && th->attached != f->it && gilt_come_inside(th)) gilt_park(); // as in wait_while_stopping
	if (th->attached != f->it) gilt_reattach(th, f->it);
	th->last = last;
	PyObject *o = NULL;
	if (GILT_LIKELY(frame.raises != GILT_RAISE_TEXT)) o = value(&frame);
	else py.PyErr_SetString(py.PyExc_RuntimeError, frame.out ? (char *)frame.out : "gilt: out of memory");
	free(frame.out);
	if (frame.raises && o) {
		py.PyErr_SetObject(gilt_type(o), o);
		py.Py_DecRef(o);
		return NULL;
	}
	return o;
}

// A thread that Python made has a thread state that is not ours, and is attached by itself. One of ours, whose Python code has
// changed to another interpreter, goes on with the books of its own attach.
typedef struct {
	PyThreadState *ts;
	gilt_interp *attached;
	int foreign, foreign_state;
	const char *called;
	uint64_t since, last, others, seen_used, based;
	int64_t base, credited;
	unsigned long switches;
} borrowed;

static void enter_foreign(gilt_thread *th, gilt_gofunc *f, borrowed *b) {
	gilt_interp *it = f->it;
	gilt_state *st = &th->states[it->id];
	*b = (borrowed){.ts = st->ts, .attached = th->attached, .foreign = th->foreign, .foreign_state = st->foreign, .called = th->called, .since = atomic_load(&th->since), .last = th->last,
	                .others = th->others, .seen_used = atomic_load(&th->seen_used), .switches = th->switches};
	pthread_mutex_lock(&gilt_all_mu); // the state is not ours to give back
	b->based = atomic_load(&th->based), b->base = atomic_load(&th->base), b->credited = th->credited;
	th->generation = atomic_load(&gilt_alive);
	st->ts = py.PyThreadState_Get();
	th->foreign = st->foreign = 1, th->called = f->name;
	pthread_mutex_unlock(&gilt_all_mu);
	th->attached = it;
	add(&it->inside, 1);
	books_begin(th, it, th->last = gilt_ticks());
}

// With the GIL. While Python stops, threads that Python made come into Go no more: they wait, as CPython's own do at its end.
static void wait_while_stopping(gilt_thread *th) {
	while (th != gilt_stopper && gilt_come_inside(th)) {
		PyThreadState *ts = py.PyEval_SaveThread();
		gilt_park();
		py.PyEval_RestoreThread(ts);
	}
}

static void leave_foreign(gilt_thread *th, gilt_interp *it, borrowed *b) {
	add(&it->inside, -1);
	th->last = b->last, th->others = b->others, th->switches = b->switches;
	atomic_store(&th->seen_used, b->seen_used);
	atomic_store(&th->since, b->since);
	pthread_mutex_lock(&gilt_all_mu);
	atomic_store(&th->base, b->base), th->credited = b->credited;
	atomic_store(&th->based, b->based);
	th->states[it->id].ts = b->ts;
	th->foreign = b->foreign, th->called = b->called;
	th->states[it->id].foreign = b->foreign_state;
	atomic_store(&th->inside, b->foreign);
	pthread_mutex_unlock(&gilt_all_mu);
	th->attached = b->attached;
}

static PyObject *call(PyObject *self, PyObject *capsule, PyObject *const *args, Py_ssize_t n, PyObject *names) {
	gilt_gofunc *f = py.PyCapsule_GetPointer(capsule, CAPSULE);
	if (GILT_UNLIKELY(!f)) return NULL;
	if (GILT_UNLIKELY(!f->it->calls_go))
		return py.PyErr_Format(py.PyExc_RuntimeError, gilt_forked ? "%s(): a child made by fork cannot call Go: start it with multiprocessing's spawn, or as a subprocess" : "%s(): Python is ending, and calls Go no more", f->name);
	if (GILT_UNLIKELY(names && py.PyTuple_Size(names) > 0)) return py.PyErr_Format(py.PyExc_TypeError, "%s() takes no keyword arguments", f->name);
	if (GILT_UNLIKELY((size_t)n != f->n))
		return py.PyErr_Format(py.PyExc_TypeError, "%s() takes %zd positional argument%s but %zd %s given", f->name, (Py_ssize_t)f->n,
		                       f->n == 1 ? "" : "s", n, n == 1 ? "was" : "were");
	gilt_thread *th = gilt_thread_here();
	if (!th)
		return gilt_no_thread() == GILT_ENDING ? py.PyErr_Format(py.PyExc_RuntimeError, "%s(): this thread is ending, and calls Go no more", f->name) : py.PyErr_NoMemory();
	borrowed b = {0};
	// Python code may also have changed to an interpreter that it has made itself.
	int foreign = GILT_UNLIKELY(th->attached != f->it || py.PyThreadState_Get() != th->states[f->it->id].ts);
	if (foreign) {
		if (py.PyThreadState_GetInterpreter(py.PyThreadState_Get()) != f->it->is)
			return py.PyErr_Format(py.PyExc_RuntimeError, "%s() belongs to another interpreter", f->name);
		wait_while_stopping(th);
		enter_foreign(th, f, &b);
	}
	gilt_mark mark; // these two are for greenlets only
	gilt_from from;
	if (GILT_UNLIKELY(stack_is_low(th))) {
		py.PyErr_Format(py.PyExc_RecursionError, "the C stack is used up calling Go's %s()", f->name);
		if (foreign) leave_foreign(th, f->it, &b);
		return NULL;
	}
	if (GILT_UNLIKELY(gilt_called_from(th, f->it, f->uses_python, &mark, &from))) {
		if (foreign) leave_foreign(th, f->it, &b);
		return NULL;
	}
	uint8_t *buf = th->buf;
	size_t nbuf = th->nbuf, capbuf = th->capbuf;
	uint64_t values = th->values;
	th->buf = NULL, th->nbuf = th->capbuf = 0;
	PyObject *o = NULL;
	if (gilt_push_task(th, f->it, f->what)) {
		if (GILT_UNLIKELY(f->it->greenlets != NULL)) gilt_greenlet_opened(th, &mark, &from);
		o = in_task(th, f, args);
		if (GILT_UNLIKELY(gilt_others_left(th, f->it)) && o) {
			py.Py_DecRef(o);
			o = NULL;
		}
		gilt_pop_callback(th);
	} else py.PyErr_NoMemory();
	free(th->buf);
	th->buf = buf, th->nbuf = nbuf, th->capbuf = capbuf, th->values = values;
	if (foreign) leave_foreign(th, f->it, &b);
	return o;
}

static char *copy(const char *s, uint64_t n) {
	char *c = malloc(n + 1);
	if (c) memcpy(c, s, n), c[n] = 0;
	return c;
}

static PyObject *new_gofunc(gilt_interp *it, uint64_t id, uint64_t what, int uses_python, const char *name, uint64_t nn, const char *plan, uint64_t pn, const char *doc, uint64_t dn) {
	gilt_gofunc *f = calloc(1, sizeof *f);
	if (!f) {
		gilt_go_drop(id);
		return py.PyErr_NoMemory();
	}
	*f = (gilt_gofunc){.id = id, .what = what, .it = it, .uses_python = uses_python, .name = copy(name, nn), .plan = copy(plan, pn), .doc = copy(doc, dn), .n = pn};
	PyObject *capsule = f->name && f->plan && f->doc ? py.PyCapsule_New(f, CAPSULE, destroy) : py.PyErr_NoMemory();
	if (!capsule) {
		free_gofunc(f); // else the capsule does, when it goes
		return NULL;
	}
	f->def = (method_def){.name = f->name, .call = call, .flags = METH_METHOD | METH_FASTCALL | METH_KEYWORDS, .doc = dn ? f->doc : NULL};
	PyObject *self = py.PyModule_New(f->name), *module = py.PyUnicode_InternFromString("gilt");
	PyObject *o = self && module ? py.PyCMethod_New(&f->def, self, module, capsule) : NULL;
	if (module) py.Py_DecRef(module);
	if (self) py.Py_DecRef(self);
	py.Py_DecRef(capsule); // the function's, as these
	return o;
}

gilt_res gilt_make_gofunc(gilt_thread *th, uint64_t serial, uint64_t id, uint64_t what, int uses_python, const char *name, uint64_t nn, const char *plan, uint64_t pn, const char *doc, uint64_t dn) {
	gilt_res r = {0};
	if (gilt_op_begin(th, serial, &r)) {
		gilt_go_drop(id); // as when the function cannot be made
		return r;
	}
	gilt_result(th, th->attached, new_gofunc(th->attached, id, what, uses_python, name, nn, plan, pn, doc, dn), GILT_R_OBJECT, &r);
	gilt_op_end(th, &r);
	return r;
}

static const char VALUE[] = "gilt.value";

static void destroy_value(PyObject *capsule) { drop((uint64_t)(uintptr_t)py.PyCapsule_GetPointer(capsule, VALUE)); }

// The number of the Go value that o stands for, 0 for none.
uint64_t gilt_value_of(PyObject *o) {
	void *id = py.PyCapsule_GetPointer(o, VALUE);
	if (!id) py.PyErr_Clear();
	return (uint64_t)(uintptr_t)id;
}

gilt_res gilt_make_value(gilt_thread *th, uint64_t serial, uint64_t id) {
	gilt_res r = {0};
	if (gilt_op_begin(th, serial, &r)) return r;
	th->attached->has_values = 1;
	gilt_result(th, th->attached, py.PyCapsule_New((void *)(uintptr_t)id, VALUE, destroy_value), GILT_R_OBJECT, &r);
	gilt_op_end(th, &r);
	return r;
}
