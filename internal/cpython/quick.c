// Calls and attributes without encoding: what goes in and out fits registers. The common calls, for which a wire form
// and a result of seven words would cost as much as CPython's own part.
#include "objects.h"

// A status and a value; all of r when it did not go well.
static inline gilt_scalar quick_end(gilt_thread *th, gilt_res *r) {
	r->flags = gilt_op_ended(th);
	if (GILT_UNLIKELY(r->status)) th->rest = *r;
	return (gilt_scalar){r->obj ? (int64_t)r->obj : r->i, (uint64_t)r->status};
}

// Whether an operation is short for certain and runs no Python code, so that it needs no time stamp.
static inline int is_brief(int op, PyObject *o) { return op == GILT_APPEND && gilt_type(o) == py.PyList_Type; }

// The end of one that was: a full one when there is any reason to look at the time.
static inline void brief_ended(gilt_thread *th) {
	gilt_interp *it = th->attached;
	if (GILT_UNLIKELY(atomic_load_explicit(&it->asked, memory_order_relaxed) != atomic_load_explicit(&it->got, memory_order_relaxed) ||
	                  th->last < atomic_load_explicit(&it->go_busy, memory_order_relaxed)))
		gilt_op_ended(th);
	else atomic_store_explicit(&th->in_go, ++th->last, memory_order_relaxed);
}

static gilt_scalar refused(gilt_thread *th, const gilt_res *r) { // a wrong thread's th is not ours to write to
	if (r->status != GILT_MISUSE) th->rest = *r;
	return (gilt_scalar){0, (uint64_t)r->status};
}

static PyObject *call(PyObject *f, PyObject *method, PyObject *names, uint64_t how, const int64_t *values) {
	PyObject *args[GILT_QUICK_ARGS + 2]; // before them, the room that ARGUMENTS_OFFSET promises, and a method's object
	size_t n = how >> 4 & 0xf, have = 0, positional = names ? n - 1 : n;
	args[1] = f;
	for (; have < n; have++)
		if (!(args[2 + have] = gilt_argument(how >> (8 + 4 * have) & 0xf, values[have], NULL, 0))) break;
	PyObject *o = NULL;
	if (have == n)
		o = method ? py.PyObject_VectorcallMethod(method, args + 1, (positional + 1) | GILT_ARGUMENTS_OFFSET, names)
		           : gilt_vectorcall(f, args + 2, positional | GILT_ARGUMENTS_OFFSET, names);
	while (have > 0) py.Py_DecRef(args[1 + have--]);
	return o;
}

gilt_scalar gilt_quick_call(gilt_thread *th, uint64_t serial, uintptr_t callable, const char *method, const char *kw, uint64_t how, int64_t a, int64_t b, int64_t c) {
	gilt_res r = {0};
	if (GILT_UNLIKELY(gilt_op_begin(th, serial, &r))) return refused(th, &r);
	gilt_interp *it = th->attached;
	PyObject *name = method ? gilt_name(it, method, how >> 32 & GILT_QUICK_NAME) : NULL;
	PyObject *names = kw ? gilt_name_tuple(it, kw, how >> 48) : NULL;
	int ready = (name || !method) && (names || !kw);
	PyObject *o = ready ? call((PyObject *)callable, name, names, how, (int64_t[]){a, b, c}) : NULL;
	gilt_result(th, it, o, how & 0xf, &r);
	if (name) py.Py_DecRef(name);
	if (names) py.Py_DecRef(names);
	return quick_end(th, &r);
}

gilt_scalar gilt_quick_object(gilt_thread *th, uint64_t serial, int op, uintptr_t o, uint64_t how, int64_t a, int64_t b) {
	gilt_res r = {0};
	if (GILT_UNLIKELY(gilt_op_begin(th, serial, &r))) return refused(th, &r);
	gilt_interp *it = th->attached;
	int n = how >> 4 & 0xf;
	PyObject *v[2] = {0};
	if (op == GILT_CAST) {
		if (gilt_is(it, (PyObject *)o, (int)a)) gilt_raised(th, it, &r);
	} else if ((n > 0 && !(v[0] = gilt_argument(how >> 8 & 0xf, a, NULL, 0))) || (n > 1 && !(v[1] = gilt_argument(how >> 12 & 0xf, b, NULL, 0))))
		gilt_raised(th, it, &r);
	else gilt_operate(th, it, op, (PyObject *)o, v[0], v[1], how & 0xf, &r);
	for (int i = 0; i < 2; i++)
		if (v[i]) py.Py_DecRef(v[i]);
	if (GILT_LIKELY(r.status == GILT_OK) && is_brief(op, (PyObject *)o)) {
		brief_ended(th);
		return (gilt_scalar){r.i, GILT_OK};
	}
	return quick_end(th, &r);
}

gilt_scalar gilt_quick_attr(gilt_thread *th, uint64_t serial, uintptr_t o, const char *name, uint64_t n, int rkind) {
	gilt_res r = {0};
	if (GILT_UNLIKELY(gilt_op_begin(th, serial, &r))) return refused(th, &r);
	gilt_interp *it = th->attached;
	PyObject *key = gilt_name(it, name, n);
	gilt_result(th, it, key ? py.PyObject_GetAttr((PyObject *)o, key) : NULL, rkind, &r);
	if (key) py.Py_DecRef(key);
	return quick_end(th, &r);
}

gilt_scalar gilt_quick_fn(gilt_thread *th, uint64_t serial, gilt_fn *fn, int akind, int64_t ai, const uint8_t *w, uint64_t wn, int rkind) {
	gilt_res r = {0};
	if (GILT_UNLIKELY(gilt_op_begin(th, serial, &r))) return refused(th, &r);
	gilt_interp *it = th->attached;
	PyObject *f = gilt_fn_object(it, fn);
	gilt_result(th, it, f ? gilt_fn_call_object(it, f, akind, ai, w, wn) : NULL, rkind, &r);
	if (rkind > GILT_R_BOOL) th->rest = r;
	return quick_end(th, &r);
}
