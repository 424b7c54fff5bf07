// Which code of an event loop is interrupted. An event loop runs many coroutines in one task, so whose turn it is decides: the
// canceller asks whose code the loop's thread is in before it arms the thread, and the thread asks before it raises.
#include "orders.h"

void gilt_orders_overdue(gilt_orders *q, uint64_t id, int on) {
	pthread_mutex_lock(&q->mu);
	size_t i = 0;
	while (i < q->noverdue && q->overdue[i] != id) i++;
	if (!on) {
		if (i < q->noverdue) q->overdue[i] = q->overdue[--q->noverdue];
	} else if (i == q->noverdue) {
		if (i == q->capoverdue) {
			size_t cap = i ? 2 * i : 16;
			uint64_t *larger = realloc(q->overdue, cap * sizeof *larger);
			if (larger) q->overdue = larger, q->capoverdue = cap;
		}
		if (i < q->capoverdue) q->overdue[q->noverdue++] = id;
	}
	pthread_mutex_unlock(&q->mu);
}

gilt_seen gilt_orders_seen(gilt_orders *q) {
	pthread_mutex_lock(&q->mu);
	gilt_seen s = q->seen;
	s.entered = q->entered;
	pthread_mutex_unlock(&q->mu);
	return s;
}

// What is seen of an event loop's thread, whose innermost frame is that one: borrowed, or NULL. With the GIL.
static int look(gilt_orders *q, PyObject *frame) {
	if (!q->whose) return GILT_SEEN_NOTHING;
	PyObject *whose = q->whose, *arg = frame ? frame : py._Py_NoneStruct;
	py.Py_IncRef(whose); // the loop may end meanwhile
	PyObject *id = py.PyObject_VectorcallDict(whose, &arg, 1, NULL);
	long long n = id ? py.PyLong_AsLongLong(id) : -1;
	if (id) py.Py_DecRef(id);
	py.Py_DecRef(whose);
	py.PyErr_Clear();
	if (n < 0) return GILT_SEEN_IDLE;
	int overdue = 0;
	pthread_mutex_lock(&q->mu);
	for (size_t i = 0; i < q->noverdue; i++) overdue |= q->overdue[i] == (uint64_t)n;
	pthread_mutex_unlock(&q->mu);
	return overdue ? GILT_SEEN_OVERDUE : GILT_SEEN_OTHER;
}

int gilt_loop_turn(gilt_orders *q, PyObject *frame) { return look(q, frame) == GILT_SEEN_OVERDUE; }

// The event loop of the thread of that number, which gilt_orders_disown gives back; NULL for any other thread.
gilt_orders *gilt_loop_of(unsigned long ident) {
	gilt_orders *q = NULL;
	pthread_mutex_lock(&gilt_all_mu);
	for (size_t i = 0; i < gilt_nthreads && !q; i++)
		if (gilt_threads[i]->ident == ident && (q = gilt_threads[i]->loop)) gilt_orders_own(q);
	pthread_mutex_unlock(&gilt_all_mu);
	return q;
}

// Whether an event loop's thread, whose innermost frame is that one, was in code that is to be interrupted. With the GIL, on the
// canceller's thread.
int gilt_loop_may(gilt_interp *it, gilt_orders *q, PyObject *frame) {
	gilt_seen s = {.what = look(q, frame)};
	if (frame) gilt_describe(frame, s.where, sizeof s.where);
	pthread_mutex_lock(&q->mu);
	if (s.what != GILT_SEEN_NOTHING) q->seen = s;
	pthread_mutex_unlock(&q->mu);
	return s.what == GILT_SEEN_OVERDUE;
}

// The calling thread runs the event loop that takes from q, or with NULL none any more.
static void run_loop(gilt_orders *q) {
	if (q) gilt_orders_own(q); // the thread's
	pthread_mutex_lock(&gilt_all_mu);
	gilt_orders *before = gilt_tls->loop;
	gilt_tls->loop = q;
	pthread_mutex_unlock(&gilt_all_mu);
	if (before) gilt_orders_disown(before);
}

// enter(whose): from here on this thread may be interrupted; enter(None): it runs the event loop no more. whose(frame)
// gives the id of the order in whose code the thread is, which that is the innermost frame of; 0 for nobody's code, -1 for none.
static PyObject *enter(PyObject *self, PyObject *whose) {
	gilt_orders *q = gilt_orders_of(self);
	if (!q) return NULL;
	if (gilt_forked) { // the locks may be another thread's
		py.Py_IncRef(py._Py_NoneStruct);
		return py._Py_NoneStruct;
	}
	PyObject *before = q->whose;
	int in = whose != py._Py_NoneStruct;
	if (in) py.Py_IncRef(whose);
	q->whose = in ? whose : NULL;
	pthread_mutex_lock(&q->mu);
	q->entered = in;
	pthread_mutex_unlock(&q->mu);
	if (!in) run_loop(NULL);
	if (before) py.Py_DecRef(before);
	py.Py_IncRef(py._Py_NoneStruct);
	return py._Py_NoneStruct;
}

// The function's end. An event loop that runs has the function; one that has ended without enter(None), as when there was no memory
// for that call, leaves whose.
static void destroy_enter(PyObject *self) {
	gilt_orders *q = gilt_orders_of(self);
	if (!q) return;
	PyObject *whose = q->whose;
	q->whose = NULL;
	if (whose) py.Py_DecRef(whose);
	gilt_orders_disown(q);
}

static PyObject *new_enter(gilt_orders *q) {
	static struct { // PyMethodDef
		const char *name;
		PyObject *(*call)(PyObject *self, PyObject *whose);
		int flags;
		const char *doc;
	} def = {"enter", enter, METH_O, NULL};
	PyObject *self = gilt_orders_capsule(q, destroy_enter);
	PyObject *f = self ? py.PyCFunction_NewEx(&def, self, NULL) : NULL;
	if (self) py.Py_DecRef(self); // the function's
	return f;
}

gilt_res gilt_orders_enter(gilt_thread *th, uint64_t serial, gilt_orders *q) {
	gilt_res r = {0};
	if (gilt_op_begin(th, serial, &r)) return r;
	run_loop(q);
	gilt_result(th, th->attached, new_enter(q), GILT_R_OBJECT, &r);
	gilt_op_end(th, &r);
	return r;
}
