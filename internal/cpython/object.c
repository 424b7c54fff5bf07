// Operations on objects for a token: each is one crossing.
#include "objects.h"

// An operation that needs no argument or one value in wire form. The macro keeps the frame of all of them:
// check the token, attach when needed, do it, give the result, come back detached when it took long.
#define BEGIN                                          \
	gilt_res r = {.status = gilt_op_begin(th, serial)}; \
	if (GILT_UNLIKELY(r.status)) return r;              \
	gilt_interp *it = th->attached;
#define END            \
	gilt_op_end(th, &r); \
	return r;

static void drop(PyObject *o) {
	if (o) py.Py_DecRef(o);
}

static PyObject *value_of(const uint8_t *w, uint64_t wn) {
	const uint8_t *p = w;
	return gilt_wire_read(&p, w + wn, 0);
}

gilt_res gilt_import(gilt_thread *th, uint64_t serial, const char *name, uint64_t n) {
	BEGIN
	PyObject *key = gilt_name(it, name, n);
	PyObject *m = key ? py.PyImport_Import(key) : NULL;
	PyObject *leaf = m ? py.PyImport_GetModule(key) : NULL; // "os.path" gives posixpath, as importlib does
	if (leaf) py.Py_DecRef(m), m = leaf;
	else if (m && py.PyErr_Occurred()) py.Py_DecRef(m), m = NULL;
	gilt_result(th, it, m, GILT_R_OBJECT, &r);
	drop(key);
	END
}

gilt_res gilt_getattr(gilt_thread *th, uint64_t serial, uintptr_t o, const char *name, uint64_t n, int rkind) {
	BEGIN
	PyObject *key = gilt_name(it, name, n);
	gilt_result(th, it, key ? py.PyObject_GetAttr((PyObject *)o, key) : NULL, rkind, &r);
	drop(key);
	END
}

static void raised_if(gilt_thread *th, gilt_interp *it, int bad, gilt_res *r) {
	if (GILT_UNLIKELY(bad)) gilt_raised(th, it, r);
}

gilt_res gilt_setattr(gilt_thread *th, uint64_t serial, uintptr_t o, const char *name, uint64_t n, const uint8_t *w, uint64_t wn) {
	BEGIN
	PyObject *key = gilt_name(it, name, n), *v = key && wn ? value_of(w, wn) : NULL;
	raised_if(th, it, !key || (wn && !v) || py.PyObject_SetAttr((PyObject *)o, key, v), &r); // no value: delete
	drop(v);
	drop(key);
	END
}

gilt_res gilt_make(gilt_thread *th, uint64_t serial, const uint8_t *w, uint64_t wn) {
	BEGIN
	gilt_result(th, it, value_of(w, wn), GILT_R_OBJECT, &r);
	END
}

// An answer that is a number or a truth: negative means that it raised.
static void answer(gilt_thread *th, gilt_interp *it, int64_t v, gilt_res *r) {
	r->i = v;
	if (v < 0) gilt_raised(th, it, r);
}

static void hash(gilt_thread *th, gilt_interp *it, PyObject *o, gilt_res *r) {
	r->i = py.PyObject_Hash(o);
	if (r->i == -1) gilt_raised(th, it, r); // -1 is never a hash
}

static void next(gilt_thread *th, gilt_interp *it, PyObject *o, int rkind, gilt_res *r) {
	if (!py.PyIter_Check(o)) {
		py.PyErr_Format(py.PyExc_TypeError, "'%.200s' object is not an iterator", gilt_type_name(o));
		gilt_raised(th, it, r);
		return;
	}
	PyObject *item = py.PyIter_Next(o);
	if (!item && !py.PyErr_Occurred()) r->status = GILT_DONE;
	else gilt_result(th, it, item, rkind, r);
}

static void with_value(gilt_thread *th, gilt_interp *it, int op, PyObject *o, const uint8_t *w, uint64_t wn, int rkind, gilt_res *r) {
	const uint8_t *p = w;
	PyObject *a = gilt_wire_read(&p, w + wn, 0), *b = NULL;
	if (a && op == GILT_SETITEM) b = gilt_wire_read(&p, w + wn, 0);
	if (!a || (op == GILT_SETITEM && !b)) gilt_raised(th, it, r);
	else switch (op) {
		case GILT_GETITEM: gilt_result(th, it, py.PyObject_GetItem(o, a), rkind, r); break;
		case GILT_SETITEM: raised_if(th, it, py.PyObject_SetItem(o, a, b), r); break;
		case GILT_DELITEM: raised_if(th, it, py.PyObject_DelItem(o, a), r); break;
		case GILT_CONTAINS: answer(th, it, py.PySequence_Contains(o, a), r); break;
		case GILT_ISINSTANCE: answer(th, it, py.PyObject_IsInstance(o, a), r); break;
		case GILT_EQUAL: answer(th, it, py.PyObject_RichCompareBool(o, a, 2), r); break;
		case GILT_APPEND:
			if (!(py.PyType_GetFlags(gilt_type(o)) & LIST_SUB))
				py.PyErr_Format(py.PyExc_TypeError, "'%.200s' object is not an instance of 'list'", gilt_type_name(o)), gilt_raised(th, it, r);
			else raised_if(th, it, py.PyList_Append(o, a), r);
		}
	drop(a);
	drop(b);
}

gilt_res gilt_object(gilt_thread *th, uint64_t serial, int op, uintptr_t obj, const uint8_t *w, uint64_t wn, int rkind) {
	BEGIN
	PyObject *o = (PyObject *)obj;
	switch (op) {
	case GILT_STR: gilt_result(th, it, py.PyObject_Str(o), rkind, &r); break;
	case GILT_REPR: gilt_result(th, it, py.PyObject_Repr(o), rkind, &r); break;
	case GILT_TYPE: gilt_result(th, it, py.PyObject_Type(o), rkind, &r); break;
	case GILT_LEN: answer(th, it, py.PyObject_Size(o), &r); break;
	case GILT_TRUTH: answer(th, it, py.PyObject_IsTrue(o), &r); break;
	case GILT_HASH: hash(th, it, o, &r); break;
	case GILT_ITER: gilt_result(th, it, py.PyObject_GetIter(o), rkind, &r); break;
	case GILT_NEXT: next(th, it, o, rkind, &r); break;
	case GILT_CALLABLE: r.i = py.PyCallable_Check(o); break;
	case GILT_CONVERT:
		py.Py_IncRef(o);
		gilt_result(th, it, o, rkind, &r);
		break;
	default: with_value(th, it, op, o, w, wn, rkind, &r);
	}
	END
}

static PyObject *compiled(gilt_interp *it, const char *src, uint64_t n, const char *file, uint64_t fn, int eval) {
	// builtins.compile on bytes: a byte order mark, CRLF and a coding line are as in a file, and a NUL is an error.
	PyObject *args[6] = {py.PyBytes_FromStringAndSize(src, (Py_ssize_t)n), py.PyUnicode_DecodeUTF8(file, (Py_ssize_t)fn, "surrogateescape"),
	                     eval ? it->names.s_eval : it->names.s_exec, py.PyLong_FromLongLong(0), NULL};
	PyObject *code = NULL;
	if (args[0] && args[1] && args[3]) {
		args[4] = py._Py_TrueStruct; // dont_inherit
		code = py.PyObject_VectorcallDict(it->names.compile, args, 5, NULL);
	}
	drop(args[0]);
	drop(args[1]);
	drop(args[3]);
	return code;
}

// The same, kept by text: what is compiled often is short. A new reference.
static PyObject *compiled_once(gilt_interp *it, const char *src, uint64_t n, const char *file, uint64_t fn, int eval) {
	enum { LONGEST = 1024, MOST = 512 };
	if (n + fn + 2 > LONGEST) return compiled(it, src, n, file, fn, eval);
	char key[LONGEST];
	key[0] = (char)eval;
	memcpy(key + 1, file, fn);
	key[1 + fn] = 0;
	memcpy(key + 2 + fn, src, n);
	PyObject *k = py.PyBytes_FromStringAndSize(key, (Py_ssize_t)(n + fn + 2)), *code = NULL;
	if (k && !it->codes) it->codes = py.PyDict_New();
	if (k && it->codes) code = py.PyDict_GetItemWithError(it->codes, k); // borrowed; comparing bytes runs no Python code
	if (code) py.Py_IncRef(code);
	else if (k && it->codes && !py.PyErr_Occurred() && (code = compiled(it, src, n, file, fn, eval))) {
		if (py.PyDict_Size(it->codes) >= MOST) { // what is still used comes again
			PyObject *old = it->codes;
			it->codes = py.PyDict_New();
			py.Py_DecRef(old);
		}
		if (!it->codes || py.PyDict_SetItem(it->codes, k, code)) py.PyErr_Clear(); // not kept, then
	}
	drop(k);
	return code;
}

static PyObject *fresh_globals(gilt_interp *it) {
	PyObject *d = py.PyDict_New();
	PyObject *name = d ? py.PyUnicode_FromStringAndSize("__gilt__", 8) : NULL;
	int bad = !name || py.PyDict_SetItemString(d, "__builtins__", it->names.builtins) || py.PyDict_SetItemString(d, "__name__", name);
	drop(name);
	if (!bad) return d;
	drop(d);
	return NULL;
}

// As exec does: what CPython runs for functions defined in g looks __builtins__ up there.
static int add_builtins(gilt_interp *it, PyObject *g) {
	PyObject *key = py.PyUnicode_InternFromString("__builtins__");
	int bad = !key;
	if (key && !py.PyDict_GetItemWithError(g, key)) bad = py.PyErr_Occurred() || py.PyDict_SetItem(g, key, it->names.builtins);
	drop(key);
	return bad;
}

gilt_res gilt_exec(gilt_thread *th, uint64_t serial, const char *src, uint64_t n, const char *file, uint64_t fn,
                   int eval, uintptr_t globals, uintptr_t locals, int rkind) {
	BEGIN
	PyObject *g = (PyObject *)globals;
	while (eval && n > 0 && (*src == ' ' || *src == '\t')) src++, n--; // as Python's eval does
	if (!g) g = fresh_globals(it);
	else if (add_builtins(it, g)) g = NULL;
	else py.Py_IncRef(g);
	PyObject *code = g ? compiled_once(it, src, n, file, fn, eval) : NULL;
	gilt_result(th, it, code ? py.PyEval_EvalCode(code, g, locals ? (PyObject *)locals : g) : NULL, rkind, &r);
	drop(code);
	drop(g);
	END
}

gilt_res gilt_newref(gilt_thread *th, uint64_t serial, uintptr_t o) {
	BEGIN
	(void)it;
	py.Py_IncRef((PyObject *)o);
	r.obj = o;
	atomic_store_explicit(&th->in_go, th->last, memory_order_relaxed);
	return r;
}

gilt_res gilt_bind(gilt_thread *th, uint64_t serial, uintptr_t o) {
	BEGIN
	(void)it;
	py.Py_IncRef((PyObject *)o);
	if (gilt_push_ref(th, (PyObject *)o)) r.status = GILT_FAILED;
	r.obj = o;
	atomic_store_explicit(&th->in_go, th->last, memory_order_relaxed);
	return r;
}

int gilt_error_indicator(gilt_thread *th, uint64_t serial) {
	return gilt_op_begin(th, serial) == GILT_OK && py.PyErr_Occurred() != NULL;
}
