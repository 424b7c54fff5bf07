// A queue of orders from goroutines to Python code. Goroutines put them in without the GIL; Python takes all that wait
// in one call of a function of C's, so that it never waits for a processor of Go's, which it would with the GIL held.
#include "orders.h"
#include <fcntl.h>
#include <unistd.h>

enum { ORDER_VALUES = 3 };

static const char ORDERS[] = "gilt.orders";

// Whether the descriptor is still the queue's own.
static int own_pipe(gilt_orders *q, int i) {
	struct stat now;
	return q->fds[i] >= 0 && !fstat(q->fds[i], &now) && now.st_dev == q->pipe[i].st_dev && now.st_ino == q->pipe[i].st_ino;
}

static void close_pipe(gilt_orders *q) {
	for (int i = 0; i < 2; i++) {
		if (own_pipe(q, i)) close(q->fds[i]);
		q->fds[i] = -1;
	}
}

void gilt_orders_own(gilt_orders *q) {
	pthread_mutex_lock(&q->mu);
	q->owners++;
	pthread_mutex_unlock(&q->mu);
}

void gilt_orders_disown(gilt_orders *q) {
	if (gilt_forked) return; // its lock may be another thread's
	pthread_mutex_lock(&q->mu);
	int left = --q->owners;
	pthread_mutex_unlock(&q->mu);
	if (left) return;
	close_pipe(q);
	pthread_mutex_destroy(&q->mu);
	free(q->overdue);
	free(q->buf);
	free(q);
}

gilt_orders *gilt_orders_new(int *fd) {
	gilt_orders *q = calloc(1, sizeof *q);
	if (!q) return NULL;
	if (pipe(q->fds)) {
		free(q);
		return NULL;
	}
	for (int i = 0; i < 2; i++) {
		fcntl(q->fds[i], F_SETFD, FD_CLOEXEC);
		fcntl(q->fds[i], F_SETFL, O_NONBLOCK);
		fstat(q->fds[i], &q->pipe[i]);
	}
	pthread_mutex_init(&q->mu, NULL);
	q->owners = 1;
	*fd = q->fds[0];
	return q;
}

void gilt_orders_free(gilt_orders *q) { gilt_orders_disown(q); }

void gilt_orders_close(gilt_orders *q) {
	pthread_mutex_lock(&q->mu);
	close_pipe(q);
	pthread_mutex_unlock(&q->mu);
}

static int append(gilt_orders *q, uint64_t id, const uint8_t *w, uint64_t n) {
	size_t want = q->n + 16 + n, cap = q->cap ? q->cap : 4096;
	while (cap < want) cap *= 2;
	if (cap > q->cap) {
		uint8_t *b = realloc(q->buf, cap);
		if (!b) return -1;
		q->buf = b, q->cap = cap;
	}
	memcpy(q->buf + q->n, &id, 8);
	memcpy(q->buf + q->n + 8, &n, 8);
	memcpy(q->buf + q->n + 16, w, n);
	q->n = want;
	return 0;
}

int gilt_orders_put(gilt_orders *q, uint64_t id, const uint8_t *w, uint64_t n) {
	pthread_mutex_lock(&q->mu);
	int bad = q->fds[1] < 0 || append(q, id, w, n);
	if (!bad && q->count++ == 0) (void)!write(q->fds[1], "x", 1); // the only byte in the pipe
	pthread_mutex_unlock(&q->mu);
	return bad;
}

// Takes out, for Go, what Python has not taken: malloc'ed, as buf is laid out. NULL for nothing.
uint8_t *gilt_orders_steal(gilt_orders *q, uint64_t *n) {
	pthread_mutex_lock(&q->mu);
	uint8_t *b = q->count ? q->buf : NULL;
	char byte;
	if (b) {
		if (own_pipe(q, 0)) (void)!read(q->fds[0], &byte, 1);
		*n = q->n;
		q->buf = NULL, q->n = q->cap = q->count = 0;
	}
	pthread_mutex_unlock(&q->mu);
	return b;
}

// The exception that is raised, as an object, and clears it.
static PyObject *raised(void) {
	PyObject *type, *value, *tb;
	py.PyErr_Fetch(&type, &value, &tb);
	py.PyErr_NormalizeException(&type, &value, &tb);
	if (type) py.Py_DecRef(type);
	if (tb) py.Py_DecRef(tb);
	return value;
}

static PyObject *none(void) {
	py.Py_IncRef(py._Py_NoneStruct);
	return py._Py_NoneStruct;
}

// Puts one order into the list: id and its values, or id, None, the exception that reading them raised, None.
static int put_order(PyObject *list, Py_ssize_t at, uint64_t id, const uint8_t *p, const uint8_t *end) {
	PyObject *v[ORDER_VALUES];
	int n = 0;
	while (n < ORDER_VALUES && (v[n] = gilt_wire_read(&p, end, 0))) n++;
	if (n < ORDER_VALUES) {
		while (n) py.Py_DecRef(v[--n]);
		v[0] = none(), v[1] = raised(), v[2] = none();
		if (!v[1]) v[1] = none();
	}
	PyObject *number = py.PyLong_FromLongLong((long long)id);
	int bad = !number || py.PyList_SetItem(list, at, number); // it steals, also when it fails
	for (n = 0; n < ORDER_VALUES; n++) bad |= py.PyList_SetItem(list, at + 1 + n, v[n]);
	return bad;
}

static PyObject *read_orders(const uint8_t *p, uint64_t count) {
	PyObject *list = py.PyList_New((Py_ssize_t)count * (1 + ORDER_VALUES));
	for (uint64_t i = 0; list && i < count; i++) {
		uint64_t id, n;
		memcpy(&id, p, 8);
		memcpy(&n, p + 8, 8);
		p += 16;
		if (put_order(list, (Py_ssize_t)i * (1 + ORDER_VALUES), id, p, p + n)) {
			py.Py_DecRef(list);
			return NULL;
		}
		p += n;
	}
	return list;
}

// Puts back what there was no memory to read: before what has come meanwhile. Gives what is to be freed. Under mu.
static uint8_t *put_back(gilt_orders *q, uint8_t *b, size_t n, size_t cap, uint64_t count) {
	uint8_t *newer = q->buf;
	if (n + q->n > cap) {
		uint8_t *larger = realloc(b, n + q->n);
		if (!larger) return b;
		b = larger, cap = n + q->n;
	}
	if (q->n) memcpy(b + n, newer, q->n);
	if (q->count == 0 && q->fds[1] >= 0) (void)!write(q->fds[1], "x", 1);
	q->buf = b, q->n += n, q->cap = cap, q->count += count;
	return newer;
}

static PyObject *take(PyObject *self, PyObject *unused) {
	gilt_orders *q = gilt_orders_of(self);
	if (!q) return NULL;
	if (GILT_UNLIKELY(gilt_forked)) return py.PyErr_Format(py.PyExc_RuntimeError, "a child made by fork cannot call Go: what comes from Go is its parent's");
	pthread_mutex_lock(&q->mu);
	uint8_t *b = q->buf;
	size_t n = q->n, cap = q->cap;
	uint64_t count = q->count;
	char byte;
	if (count && q->fds[0] >= 0) (void)!read(q->fds[0], &byte, 1);
	q->buf = NULL, q->n = q->cap = q->count = 0;
	pthread_mutex_unlock(&q->mu);
	PyObject *list = read_orders(b, count);
	pthread_mutex_lock(&q->mu);
	if (GILT_UNLIKELY(!list && count)) b = put_back(q, b, n, cap, count);
	else if (!q->buf && cap <= LARGE_BUFFER) q->buf = b, q->cap = cap, b = NULL; // for the next ones
	pthread_mutex_unlock(&q->mu);
	free(b);
	return list;
}

static void destroy_orders(PyObject *capsule) {
	gilt_orders *q = py.PyCapsule_GetPointer(capsule, ORDERS);
	if (q) gilt_orders_disown(q);
}

gilt_orders *gilt_orders_of(PyObject *self) { return py.PyCapsule_GetPointer(self, ORDERS); }

PyObject *gilt_orders_capsule(gilt_orders *q, void (*destroy)(PyObject *capsule)) {
	PyObject *o = py.PyCapsule_New(q, ORDERS, destroy);
	if (o) gilt_orders_own(q); // the capsule's
	return o;
}

static PyObject *new_take(gilt_orders *q) {
	static struct { // PyMethodDef
		const char *name;
		PyObject *(*call)(PyObject *self, PyObject *unused);
		int flags;
		const char *doc;
	} def = {"take", take, METH_NOARGS, NULL};
	PyObject *self = gilt_orders_capsule(q, destroy_orders);
	if (!self) return NULL;
	PyObject *f = py.PyCFunction_NewEx(&def, self, NULL);
	py.Py_DecRef(self); // the function's
	return f;
}

gilt_res gilt_orders_take(gilt_thread *th, uint64_t serial, gilt_orders *q) {
	gilt_res r = {0};
	if (gilt_op_begin(th, serial, &r)) return r;
	gilt_result(th, th->attached, new_take(q), GILT_R_OBJECT, &r);
	gilt_op_end(th, &r);
	return r;
}

// What nobody else has any more may go when the exception has been read: gilt_drop_locals.
gilt_res gilt_orders_raise(gilt_thread *th, uint64_t serial, uintptr_t box) {
	gilt_res r = {0};
	if (gilt_op_begin(th, serial, &r)) return r;
	PyObject *e = py.PyList_GetItem((PyObject *)box, 0); // borrowed
	if (e) py.Py_IncRef(e);
	if (e && py.PyType_IsSubtype(gilt_type(e), py.PyExc_BaseException) && !py.PyList_SetItem((PyObject *)box, 0, none())) {
		PyObject *type = gilt_type(e);
		py.Py_IncRef(type);
		py.PyErr_Restore(type, e, py.PyException_GetTraceback(e)); // steals all three
	} else {
		if (e) py.Py_DecRef(e);
		if (!py.PyErr_Occurred()) py.PyErr_SetString(py.PyExc_RuntimeError, "gilt: the event loop gave no exception");
	}
	gilt_result(th, th->attached, NULL, GILT_R_NONE, &r);
	gilt_op_end(th, &r);
	return r;
}
