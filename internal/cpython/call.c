// Calls: arguments, the call and its result in one crossing; a prepared call attaches and detaches in it.
#include "objects.h"
#include "greenlet.h"
#include <stdio.h>

static int not_instance(PyObject *o, const char *want) {
	py.PyErr_Format(py.PyExc_TypeError, "'%.200s' object is not an instance of '%s'", gilt_type_name(o), want);
	return -1;
}

int gilt_scalar_of(PyObject *o, int rkind, gilt_res *r) {
	if (rkind == GILT_R_FLOAT64) {
		double d = py.PyFloat_AsDouble(o);
		if (d == -1.0 && py.PyErr_Occurred()) return -1;
		memcpy(&r->i, &d, 8);
		return 0;
	}
	if (rkind == GILT_R_BOOL) {
		if (o != py._Py_TrueStruct && o != py._Py_FalseStruct) return not_instance(o, "bool");
		r->i = o == py._Py_TrueStruct;
		return 0;
	}
	if (GILT_LIKELY(gilt_type(o) == py.PyLong_Type) && rkind == GILT_R_INT64) {
		r->i = py.PyLong_AsLongLong(o);
		return r->i == -1 && py.PyErr_Occurred() ? -1 : 0;
	}
	PyObject *n = py.PyNumber_Index(o); // int and its subclasses, or __index__; never a float
	if (!n) return -1;
	r->i = rkind == GILT_R_INT64 ? py.PyLong_AsLongLong(n) : (int64_t)py.PyLong_AsUnsignedLongLong(n);
	py.Py_DecRef(n);
	return r->i == -1 && py.PyErr_Occurred() ? -1 : 0;
}

static int no_memory(void) {
	if (!py.PyErr_Occurred()) py.PyErr_SetString(py.PyExc_MemoryError, "gilt: no memory for a result");
	return -1;
}

static int text(gilt_thread *th, PyObject *o, int rkind, gilt_res *r) {
	unsigned long flags = py.PyType_GetFlags(gilt_type(o));
	int bad;
	if (rkind == GILT_R_STR) {
		if (!(flags & STR_SUB)) return not_instance(o, "str");
		bad = gilt_put_str(th, o, 0);
	} else if (flags & BYTES_SUB) {
		Py_ssize_t n;
		char *p;
		bad = py.PyBytes_AsStringAndSize(o, &p, &n) || gilt_put_of(th, o, p, (size_t)n);
	} else if (py.PyType_IsSubtype(gilt_type(o), py.PyByteArray_Type)) bad = gilt_put_bytearray(th, o); // not isinstance, which asks __class__
	else if (o == py._Py_NoneStruct) {
		r->i = 1; // no bytes: Go decides whether that is nil
		return 0;
	} else return not_instance(o, "bytes");
	if (bad) return no_memory();
	r->p = th->buf, r->n = th->nbuf;
	return 0;
}

void gilt_result(gilt_thread *th, gilt_interp *it, PyObject *o, int rkind, gilt_res *r) {
	int bad = 1;
	if (GILT_UNLIKELY(gilt_others_left(th, it)) && o) {
		py.Py_DecRef(o);
		o = NULL;
	}
	th->nbuf = 0;
	if (GILT_LIKELY(o != NULL)) {
		switch (rkind) {
		case GILT_R_NONE: bad = 0; break;
		case GILT_R_OBJECT:
			r->obj = (uintptr_t)o;
			if (gilt_push_ref(th, o)) r->status = GILT_FAILED;
			o = NULL; // the scope's now
			bad = 0;
			break;
		case GILT_R_STR:
		case GILT_R_BYTES: bad = text(th, o, rkind, r); break;
		case GILT_R_WIRE:
			bad = gilt_wire_write(th, o, 0);
			r->p = th->buf, r->n = th->nbuf;
			break;
		default: bad = gilt_scalar_of(o, rkind, r);
		}
	}
	if (GILT_UNLIKELY(bad)) gilt_raised(th, it, r);
	if (o) py.Py_DecRef(o);
	if (GILT_UNLIKELY(th->capbuf > LARGE_BUFFER)) gilt_buf_shrink(th, &r->p);
}

enum { FEW = 8 };

// names are those of the keyword arguments, whose values follow the n others; NULL for none.
PyObject *gilt_vectorcall(PyObject *f, PyObject *const *args, size_t n, PyObject *names) {
	if (GILT_LIKELY(py.PyObject_Vectorcall != NULL)) return py.PyObject_Vectorcall(f, args, n, names);
	if (!names) return py.PyObject_VectorcallDict(f, args, n, NULL); // 3.10 and 3.11 export no PyObject_Vectorcall
	PyObject *kwargs = py.PyDict_New();
	size_t count = n & ~GILT_ARGUMENTS_OFFSET;
	Py_ssize_t nkw = py.PyTuple_Size(names);
	int bad = !kwargs;
	for (Py_ssize_t i = 0; !bad && i < nkw; i++) bad = py.PyDict_SetItem(kwargs, py.PyTuple_GetItem(names, i), args[count + (size_t)i]);
	PyObject *r = bad ? NULL : py.PyObject_VectorcallDict(f, args, n, kwargs);
	if (kwargs) py.Py_DecRef(kwargs);
	return r;
}

// Reads n arguments into args; gives how many it has read, n unless there is an exception.
static size_t read_values(PyObject **args, uint64_t n, const uint8_t **w, const uint8_t *end) {
	size_t i = 0;
	while (i < n && (args[i] = gilt_wire_read(w, end, 0))) i++;
	return i;
}

static const char *read_keyword(const uint8_t **w, const uint8_t *end, uint64_t *n) {
	const uint8_t *p = *w;
	if (end - p < 9 || *p++ != 's') return NULL;
	memcpy(n, p, 8);
	p += 8;
	if (*n > (uint64_t)(end - p)) return NULL;
	*w = p + *n;
	return (const char *)p;
}

// Reads n keyword arguments: gives their names as a tuple, and their values in args, counted in have. NULL with an
// exception.
static PyObject *read_keywords(gilt_interp *it, PyObject **args, uint64_t n, const uint8_t **w, const uint8_t *end, size_t *have) {
	PyObject *names = n == 1 ? NULL : py.PyTuple_New((Py_ssize_t)n);
	for (uint64_t i = 0; i < n && (n == 1 || names); i++) {
		uint64_t len = 0;
		const char *s = read_keyword(w, end, &len);
		if (!s) py.PyErr_SetString(py.PyExc_ValueError, "gilt: broken wire form (a bug in gilt)");
		if (n == 1 && s) names = gilt_name_tuple(it, s, len);
		PyObject *name = n > 1 && s ? gilt_name(it, s, len) : NULL;
		if (name) py.PyTuple_SetItem(names, (Py_ssize_t)i, name); // steals name
		if (s && (n == 1 ? names : name) && (args[i] = gilt_wire_read(w, end, 0))) {
			++*have;
			continue;
		}
		if (names) py.Py_DecRef(names);
		return NULL;
	}
	return names;
}

// The wire form of arguments: u64 count of positional ones, u64 count of keywords, the values, then
// name and value of each keyword (an 's' and a value). CPython takes the keywords' values after the others,
// and their names in a tuple.
static PyObject *call_wire(gilt_interp *it, PyObject *f, PyObject *method, const uint8_t *w, uint64_t wn) {
	const uint8_t *end = w + wn;
	uint64_t n = 0, nkw = 0;
	if (wn >= 16) memcpy(&n, w, 8), memcpy(&nkw, w + 8, 8), w += 16;
	PyObject *few[FEW + 2], **args = few, *names = NULL, *r = NULL;
	if (n + nkw > FEW && (n > wn || nkw > wn || !(args = malloc((n + nkw + 2) * sizeof *args)))) {
		py.PyErr_SetString(py.PyExc_MemoryError, "gilt: no memory for arguments");
		return NULL;
	}
	args[0] = NULL; // the room that GILT_ARGUMENTS_OFFSET promises
	size_t have = 1;
	if (method) args[have++] = f, py.Py_IncRef(f);
	size_t got = read_values(args + have, n, &w, end);
	have += got;
	if (got < n || (nkw && !(names = read_keywords(it, args + have, nkw, &w, end, &have)))) goto out;
	size_t count = have - 1 - nkw;
	if (method) r = py.PyObject_VectorcallMethod(method, args + 1, count | GILT_ARGUMENTS_OFFSET, names);
	else r = gilt_vectorcall(f, args + 1, count | GILT_ARGUMENTS_OFFSET, names);
out:
	while (have > 1) py.Py_DecRef(args[--have]);
	if (names) py.Py_DecRef(names);
	if (args != few) free(args);
	return r;
}

gilt_res gilt_call(gilt_thread *th, uint64_t serial, uintptr_t callable, const char *method, uint64_t mn,
                   const uint8_t *w, uint64_t wn, int rkind) {
	gilt_res r = {0};
	if (gilt_op_begin(th, serial, &r)) return r;
	PyObject *name = method ? gilt_name(th->attached, method, mn) : NULL;
	PyObject *o = method && !name ? NULL : call_wire(th->attached, (PyObject *)callable, name, w, wn);
	gilt_result(th, th->attached, o, rkind, &r);
	if (name) py.Py_DecRef(name);
	gilt_op_end(th, &r);
	return r;
}

// A prepared function: its name, and the object in each interpreter that has run it.
struct gilt_fn {
	uint64_t what;
	char *module, *name;
	_Atomic(PyObject *) obj[GILT_MAX_INTERPS]; // owned
};

gilt_fn *gilt_fn_new(const char *module, const char *name, uint64_t what, int *missing) {
	gilt_fn *fn = calloc(1, sizeof *fn);
	if (!fn) return NULL;
	fn->what = what;
	fn->module = strdup(module);
	fn->name = strdup(name);
	*missing = !fn->module || !fn->name;
	return fn;
}

// Frees it; its objects join the decref queues.
void gilt_fn_free(gilt_fn *fn) {
	for (int i = 0; i < gilt_ninterps; i++) {
		PyObject *o = atomic_load(&fn->obj[i]);
		if (o) gilt_release_own(gilt_interps[i], o);
	}
	free(fn->module);
	free(fn->name);
	free(fn);
}

static PyObject *walk(PyObject *o, const char *path) { // steals o; path is "Class.method"
	char *copy = strdup(path), *save = NULL;
	for (char *part = copy ? strtok_r(copy, ".", &save) : NULL; o && part; part = strtok_r(NULL, ".", &save)) {
		PyObject *key = py.PyUnicode_FromStringAndSize(part, (Py_ssize_t)strlen(part));
		PyObject *next = key ? py.PyObject_GetAttr(o, key) : NULL;
		if (key) py.Py_DecRef(key);
		py.Py_DecRef(o);
		o = next;
	}
	free(copy);
	return o;
}

PyObject *gilt_fn_object(gilt_interp *it, gilt_fn *fn) { // borrowed from fn
	PyObject *o = atomic_load_explicit(&fn->obj[it->id], memory_order_acquire);
	if (GILT_LIKELY(o != NULL)) return o;
	PyObject *name = py.PyUnicode_FromStringAndSize(fn->module, (Py_ssize_t)strlen(fn->module));
	PyObject *imported = name ? py.PyImport_Import(name) : NULL;
	PyObject *module = imported ? py.PyImport_GetModule(name) : NULL; // PyImport_Import gives the top package
	if (imported && !module && !py.PyErr_Occurred()) py.Py_IncRef(module = imported);
	o = module ? walk(module, fn->name) : NULL;
	if (o && !py.PyCallable_Check(o)) {
		py.PyErr_Format(py.PyExc_TypeError, "%s:%s is a '%.200s' object, which is not callable", fn->module, fn->name, gilt_type_name(o));
		py.Py_DecRef(o);
		o = NULL;
	}
	if (imported) py.Py_DecRef(imported);
	if (name) py.Py_DecRef(name);
	if (!o) return NULL;
	PyObject *none = NULL;
	if (!atomic_compare_exchange_strong(&fn->obj[it->id], &none, o)) { // another thread was first
		py.Py_DecRef(o);
		return none;
	}
	return o;
}

gilt_res gilt_fn_resolve(gilt_interp *it, gilt_fn *fn, uint64_t tag) {
	gilt_thread *th = gilt_thread_here();
	gilt_res r = {.status = th ? gilt_task_begin(th, it, tag, fn->what, 0) : gilt_no_thread()};
	if (r.status) return r;
	if (th->attached != it && gilt_attach(th, it)) r.status = GILT_FAILED;
	else if (!gilt_fn_object(it, fn)) gilt_raised(th, it, &r);
	r.held = gilt_task_end(th, &r.flags);
	return r;
}

PyObject *gilt_argument(int akind, int64_t ai, const uint8_t *w, uint64_t wn) {
	switch (akind) {
	case GILT_A_INT64: return py.PyLong_FromLongLong(ai);
	case GILT_A_UINT64: return py.PyLong_FromUnsignedLongLong((unsigned long long)ai);
	case GILT_A_FLOAT64: {
		double d;
		memcpy(&d, &ai, 8);
		return py.PyFloat_FromDouble(d);
	}
	case GILT_A_STR: return gilt_new_str((const char *)w, wn);
	case GILT_A_BYTES: return gilt_new_bytes((const char *)w, wn);
	}
	PyObject *o = akind == GILT_A_OBJECT ? (PyObject *)ai : akind == GILT_A_NIL ? py._Py_NoneStruct : ai ? py._Py_TrueStruct : py._Py_FalseStruct;
	py.Py_IncRef(o);
	return o;
}

PyObject *gilt_fn_call_object(gilt_interp *it, PyObject *f, int akind, int64_t ai, const uint8_t *w, uint64_t wn) {
	if (akind == GILT_A_WIRE) return call_wire(it, f, NULL, w, wn);
	PyObject *args[2] = {NULL, NULL};
	if (akind == GILT_A_NONE) return gilt_vectorcall(f, args + 1, GILT_ARGUMENTS_OFFSET, NULL);
	if (!(args[1] = gilt_argument(akind, ai, w, wn))) return NULL;
	PyObject *o = gilt_vectorcall(f, args + 1, 1 | GILT_ARGUMENTS_OFFSET, NULL);
	py.Py_DecRef(args[1]);
	return o;
}

static inline void fn_call(gilt_interp *it, gilt_fn *fn, uint64_t tag, int64_t deadline, int akind, int64_t ai, const uint8_t *w, uint64_t wn, int rkind, gilt_res *r) {
	gilt_thread *th = gilt_thread_here();
	r->status = th ? gilt_task_begin(th, it, tag, fn->what, deadline) : gilt_no_thread();
	if (GILT_UNLIKELY(r->status)) return;
	if (th->attached != it && GILT_UNLIKELY(gilt_attach(th, it))) r->status = GILT_FAILED;
	else {
		PyObject *f = gilt_fn_object(it, fn);
		gilt_result(th, it, f ? gilt_fn_call_object(it, f, akind, ai, w, wn) : NULL, rkind, r);
	}
	r->held = gilt_task_end(th, &r->flags);
}

gilt_res gilt_fn_call(gilt_interp *it, gilt_fn *fn, uint64_t tag, int64_t deadline, int akind, int64_t ai, const uint8_t *w, uint64_t wn, int rkind) {
	gilt_res r = {0};
	fn_call(it, fn, tag, deadline, akind, ai, w, wn, rkind, &r);
	return r;
}

gilt_scalar gilt_fn_scalar(gilt_interp *it, gilt_fn *fn, uint64_t tag, int64_t deadline, int akind, int64_t ai, int rkind) {
	gilt_res r = {0};
	fn_call(it, fn, tag, deadline, akind, ai, NULL, 0, rkind, &r);
	if (GILT_UNLIKELY(r.status) && gilt_tls) gilt_tls->rest = r;
	return (gilt_scalar){r.i, (uint64_t)r.held << 16 | (uint64_t)r.flags << 8 | (uint64_t)r.status};
}

gilt_res gilt_fn_rest(void) { return gilt_tls ? gilt_tls->rest : (gilt_res){.status = gilt_no_thread()}; }

// What a batch gives beside numbers.
typedef struct { uint8_t *p; size_t n, cap; } output;

static int put(output *o, const void *p, size_t n) {
	if (o->n + n > o->cap) {
		size_t cap = o->cap ? o->cap * 2 : 4096;
		while (cap < o->n + n) cap *= 2;
		uint8_t *q = realloc(o->p, cap);
		if (!q) return -1;
		o->p = q, o->cap = cap;
	}
	if (n) memcpy(o->p + o->n, p, n);
	o->n += n;
	return 0;
}

// The common result, in less time: 1 if o is an int that fits.
static inline int plain_int(PyObject *o, int64_t *v) {
	if (gilt_type(o) != py.PyLong_Type) return 0;
	*v = py.PyLong_AsLongLong(o);
	if (GILT_LIKELY(*v != -1 || !py.PyErr_Occurred())) return 1;
	py.PyErr_Clear(); // gilt_result says what is wrong
	*v = 0;
	return 0;
}

static int put_result(output *o, uint64_t index, const gilt_res *r) {
	uint64_t head[4] = {index, (uint64_t)r->status | (uint64_t)(r->i == 1) << 8, r->obj, r->n};
	return put(o, head, sizeof head) || put(o, r->p, r->n);
}

gilt_res gilt_fn_batch(gilt_interp *it, gilt_fn *fn, uint64_t tag, int64_t deadline, int akind, const int64_t *ai, uint64_t n, const uint8_t *w, int rkind, int64_t *io) {
	gilt_thread *th = gilt_thread_here();
	gilt_res r = {.status = th ? gilt_task_begin(th, it, tag, fn->what, deadline) : gilt_no_thread()};
	if (r.status) return r;
	output out = {0};
	uint64_t i = 0;
	int64_t from = 0;
	if (th->attached != it && gilt_attach(th, it)) r.status = GILT_FAILED;
	PyObject *f = r.status ? NULL : gilt_fn_object(it, fn);
	if (!r.status && !f) gilt_raised(th, it, &r);
	int numbers = akind > GILT_A_NONE && akind < GILT_A_STR;
	for (; f && i < n; i++) {
		gilt_res one = {0};
		const uint8_t *p = numbers || akind == GILT_A_NONE ? NULL : w + from;
		uint64_t pn = p ? (uint64_t)(ai[i] - from) : 0;
		PyObject *o = gilt_fn_call_object(it, f, akind, numbers ? ai[i] : 0, p, pn);
		if (p) from = ai[i];
		if (GILT_UNLIKELY(gilt_forked)) gilt_child_ends(it); // not on with the next argument
		if (GILT_LIKELY(rkind == GILT_R_INT64 && o && plain_int(o, &io[i]))) {
			py.Py_DecRef(o);
			continue;
		}
		gilt_result(th, it, o, rkind, &one);
		if (GILT_UNLIKELY(one.status == GILT_RAISED) && gilt_fired(th)) n = i + 1; // it was cancelled
		if (GILT_LIKELY(one.status == GILT_OK && rkind <= GILT_R_BOOL)) io[i] = one.i;
		else if (put_result(&out, i, &one)) { // no memory: what was called is told, the rest not called
			if (one.obj) gilt_release(it, one.obj);
			r.status = GILT_FAILED;
			break;
		}
	}
	if (f) r.i = (int64_t)i;
	r.held = gilt_task_end(th, &r.flags); // it may run Python code that makes another batch
	free(th->batch);
	th->batch = out.p;
	if (f) r.p = out.p, r.n = out.n;
	return r;
}
