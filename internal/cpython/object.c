// Operations on objects for a token: each is one crossing.
#include "objects.h"

// An operation that needs no argument or one value in wire form. The macro keeps the frame of all of them:
// check the token, attach when needed, do it, give the result, come back detached when it took long.
#define BEGIN                                                   \
	gilt_res r = {0};                                            \
	if (GILT_UNLIKELY(gilt_op_begin(th, serial, &r))) return r; \
	gilt_interp *it = th->attached;
#define BEGIN_WHATEVER /* of what is short and has no exception to give: no interruption comes here */ \
	gilt_res r = {.status = gilt_op_begin(th, serial, NULL)};                                           \
	if (GILT_UNLIKELY(r.status)) return r;                                                              \
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

// What a subclass of list may have its own of.
static void call_method(gilt_thread *th, gilt_interp *it, PyObject *o, const char *method, PyObject *v, gilt_res *r) {
	PyObject *name = gilt_is(it, o, GILT_C_LIST) ? NULL : gilt_name(it, method, strlen(method)), *args[3] = {NULL, o, v};
	PyObject *done = name ? py.PyObject_VectorcallMethod(name, args + 1, 2 | GILT_ARGUMENTS_OFFSET, NULL) : NULL;
	raised_if(th, it, !done, r);
	drop(done);
	drop(name);
}

static void append(gilt_thread *th, gilt_interp *it, PyObject *o, PyObject *v, gilt_res *r) {
	if (GILT_LIKELY(gilt_type(o) == py.PyList_Type)) raised_if(th, it, py.PyList_Append(o, v), r);
	else call_method(th, it, o, "append", v, r);
}

// A list by a list, in parts: what v has when it begins, or less if that goes meanwhile. 0, or -1 with an exception.
static int extend_list(gilt_thread *th, PyObject *o, PyObject *v) {
	enum { PART = 1 << 16 }; // half a millisecond
	Py_ssize_t count = py.PyList_Size(v), end = py.PyList_Size(o);
	if (GILT_LIKELY(count <= PART)) return py.PyList_SetSlice(o, end, end, v);
	for (Py_ssize_t at = 0; at < count; at += PART) {
		PyObject *part = py.PyList_GetSlice(v, at, count - at < PART ? count : at + PART);
		end = py.PyList_Size(o);
		int bad = !part || py.PyList_SetSlice(o, end, end, part);
		drop(part);
		if (bad || gilt_give_way(th)) return -1;
	}
	return 0;
}

static void extend(gilt_thread *th, gilt_interp *it, PyObject *o, PyObject *v, gilt_res *r) {
	if (GILT_LIKELY(gilt_type(o) == py.PyList_Type && gilt_type(v) == py.PyList_Type)) {
		raised_if(th, it, extend_list(th, o, v), r);
		return;
	}
	call_method(th, it, o, "extend", v, r);
}

// The attribute named a; GILT_DONE when there is none.
static void lookup(gilt_thread *th, gilt_interp *it, PyObject *o, PyObject *a, int rkind, gilt_res *r) {
	PyObject *v = NULL;
	int found = py.PyObject_GetOptionalAttr(o, a, &v);
	if (found == 0) r->status = GILT_DONE;
	else gilt_result(th, it, found < 0 ? NULL : v, rkind, r);
}

// A dict's value for the key a; GILT_DONE when there is none.
static void get(gilt_thread *th, gilt_interp *it, PyObject *o, PyObject *a, int rkind, gilt_res *r) {
	PyObject *v = NULL;
	int found;
	if (GILT_LIKELY(gilt_type(o) == py.PyDict_Type)) {
		if ((v = py.PyDict_GetItemWithError(o, a))) py.Py_IncRef(v);
		found = v ? 1 : py.PyErr_Occurred() ? -1 : 0;
	} else if ((found = gilt_is(it, o, GILT_C_DICT)) == 0 && (found = py.PySequence_Contains(o, a)) > 0) v = py.PyObject_GetItem(o, a);
	if (found == 0) r->status = GILT_DONE;
	else gilt_result(th, it, v, rkind, r);
}

static PyObject *arithmetic(int op, PyObject *o, PyObject *a, PyObject *b) {
	if (op == GILT_POW) return py.PyNumber_Power(o, a, b ? b : py._Py_NoneStruct);
	if (op == GILT_DIVMOD) return py.PyNumber_Divmod(o, a);
	switch (op) {
	case GILT_ADD: return py.PyNumber_Add(o, a);
	case GILT_SUB: return py.PyNumber_Subtract(o, a);
	case GILT_MUL: return py.PyNumber_Multiply(o, a);
	case GILT_MATMUL: return py.PyNumber_MatrixMultiply(o, a);
	case GILT_DIV: return py.PyNumber_TrueDivide(o, a);
	case GILT_FLOORDIV: return py.PyNumber_FloorDivide(o, a);
	case GILT_MOD: return py.PyNumber_Remainder(o, a);
	case GILT_LSHIFT: return py.PyNumber_Lshift(o, a);
	case GILT_RSHIFT: return py.PyNumber_Rshift(o, a);
	case GILT_AND: return py.PyNumber_And(o, a);
	case GILT_OR: return py.PyNumber_Or(o, a);
	case GILT_XOR: return py.PyNumber_Xor(o, a);
	case GILT_NEG: return py.PyNumber_Negative(o);
	case GILT_POS: return py.PyNumber_Positive(o);
	case GILT_ABS: return py.PyNumber_Absolute(o);
	}
	return py.PyNumber_Invert(o);
}

void gilt_operate(gilt_thread *th, gilt_interp *it, int op, PyObject *o, PyObject *a, PyObject *b, int rkind, gilt_res *r) {
	switch (op) {
	case GILT_STR: gilt_result(th, it, py.PyObject_Str(o), rkind, r); break;
	case GILT_REPR: gilt_result(th, it, py.PyObject_Repr(o), rkind, r); break;
	case GILT_TYPE: gilt_result(th, it, py.PyObject_Type(o), rkind, r); break;
	case GILT_DIR: gilt_result(th, it, py.PyObject_Dir(o), rkind, r); break;
	case GILT_LEN: answer(th, it, py.PyObject_Size(o), r); break;
	case GILT_TRUTH: answer(th, it, py.PyObject_IsTrue(o), r); break;
	case GILT_HASH: hash(th, it, o, r); break;
	case GILT_ITER: gilt_result(th, it, py.PyObject_GetIter(o), rkind, r); break;
	case GILT_NEXT: next(th, it, o, rkind, r); break;
	case GILT_CALLABLE: r->i = py.PyCallable_Check(o); break;
	case GILT_CONVERT:
		py.Py_IncRef(o);
		gilt_result(th, it, o, rkind, r);
		break;
	case GILT_GETITEM: gilt_result(th, it, py.PyObject_GetItem(o, a), rkind, r); break;
	case GILT_SETITEM: raised_if(th, it, py.PyObject_SetItem(o, a, b), r); break;
	case GILT_DELITEM: raised_if(th, it, py.PyObject_DelItem(o, a), r); break;
	case GILT_CONTAINS: answer(th, it, py.PySequence_Contains(o, a), r); break;
	case GILT_ISINSTANCE: answer(th, it, py.PyObject_IsInstance(o, a), r); break;
	case GILT_ISSUBCLASS: answer(th, it, py.PyObject_IsSubclass(o, a), r); break;
	case GILT_APPEND: append(th, it, o, a, r); break;
	case GILT_EXTEND: extend(th, it, o, a, r); break;
	case GILT_GET: get(th, it, o, a, rkind, r); break;
	case GILT_LOOKUP: lookup(th, it, o, a, rkind, r); break;
	default:
		if (op >= GILT_ADD) {
			gilt_result(th, it, arithmetic(op, o, a, b), rkind, r);
			break;
		}
		PyObject *v = py.PyObject_RichCompare(o, a, op - GILT_LT); // not RichCompareBool, to which what is the same is equal
		answer(th, it, v ? py.PyObject_IsTrue(v) : -1, r);
		drop(v);
	}
}

// How many values an operation takes at least.
static int operands(int op) {
	if (op < GILT_GETITEM || op == GILT_CALLABLE || op == GILT_DIR || op >= GILT_NEG) return 0;
	return op == GILT_SETITEM ? 2 : 1;
}

gilt_res gilt_object(gilt_thread *th, uint64_t serial, int op, uintptr_t obj, const uint8_t *w, uint64_t wn, int rkind) {
	BEGIN
	const uint8_t *p = w, *end = w + wn;
	PyObject *v[2] = {0};
	int n = 0;
	while (n < 2 && p < end && (v[n] = gilt_wire_read(&p, end, 0))) n++;
	if ((n < 2 && p < end) || n < operands(op)) {
		if (!py.PyErr_Occurred()) py.PyErr_SetString(py.PyExc_ValueError, "gilt: broken wire form (a bug in gilt)");
		gilt_raised(th, it, &r);
	} else gilt_operate(th, it, op, (PyObject *)obj, v[0], v[1], rkind, &r);
	drop(v[0]);
	drop(v[1]);
	END
}

// Items of a list or a tuple, from the index on; with a class of its own, it may give others than it holds.
gilt_res gilt_items(gilt_thread *th, uint64_t serial, uintptr_t obj, uint64_t from, uint64_t most) {
	BEGIN
	(void)it;
	PyObject *o = (PyObject *)obj;
	int list = gilt_type(o) == py.PyList_Type;
	uint64_t n = 0, size = list ? (uint64_t)py.PyList_Size(o) : 0;
	if (!list && gilt_type(o) == py.PyTuple_Type) size = (uint64_t)py.PyTuple_Size(o);
	else if (!list) r.status = GILT_DONE;
	uint64_t end = from < size && size - from > most ? from + most : size;
	if (from < end && gilt_buf_room(th, (size_t)(end - from) * sizeof o)) r.status = GILT_FAILED;
	for (; from + n < end && r.status == GILT_OK; n++) {
		Py_ssize_t i = (Py_ssize_t)(from + n);
		PyObject *item = list ? py.PyList_GetItem(o, i) : py.PyTuple_GetItem(o, i); // borrowed; no Python code runs
		py.Py_IncRef(item);
		if (gilt_push_ref(th, item)) r.status = GILT_FAILED;
		memcpy(th->buf + n * sizeof o, &item, sizeof o);
	}
	if (r.status == GILT_OK) r.p = th->buf, r.n = n * sizeof o; // else they would be a sentence
	END
}

// Entries of a dict, from the position on: key, value and the position after it. i is how many it has.
gilt_res gilt_entries(gilt_thread *th, uint64_t serial, uintptr_t obj, uint64_t pos, int64_t size, uint64_t most) {
	BEGIN
	PyObject *o = (PyObject *)obj, *pair[2];
	uint64_t n = 0;
	Py_ssize_t at = (Py_ssize_t)pos;
	if (gilt_type(o) != py.PyDict_Type) r.status = GILT_DONE;
	else if ((r.i = py.PyDict_Size(o)) != size && size >= 0) {
		py.PyErr_SetString(py.PyExc_RuntimeError, "dictionary changed size during iteration"); // as CPython says
		gilt_raised(th, it, &r);
		END
	} else if (gilt_buf_room(th, (size_t)most * 3 * sizeof at)) r.status = GILT_FAILED;
	for (; n < most && r.status == GILT_OK && py.PyDict_Next(o, &at, &pair[0], &pair[1]); n++) { // borrowed; no Python code runs
		for (int i = 0; i < 2; i++) {
			py.Py_IncRef(pair[i]);
			if (gilt_push_ref(th, pair[i])) r.status = GILT_FAILED;
		}
		memcpy(th->buf + n * 3 * sizeof at, pair, sizeof pair);
		memcpy(th->buf + (n * 3 + 2) * sizeof at, &at, sizeof at);
	}
	if (r.status == GILT_OK) r.p = th->buf, r.n = n * 3 * sizeof at;
	END
}

uintptr_t gilt_none(void) { return (uintptr_t)py._Py_NoneStruct; }

uintptr_t gilt_ellipsis(void) { return (uintptr_t)py._Py_EllipsisObject; }

uintptr_t gilt_not_implemented(void) { return (uintptr_t)py._Py_NotImplementedStruct; }

gilt_res gilt_class_object(gilt_thread *th, uint64_t serial, int class) {
	BEGIN
	PyObject *o = gilt_class(it, class);
	if (o) py.Py_IncRef(o);
	gilt_result(th, it, o, GILT_R_OBJECT, &r);
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
			gilt_release_own(it, old);
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

PyObject *gilt_evaluate(gilt_interp *it, const char *expression) {
	static const char file[] = "<gilt>";
	PyObject *g = fresh_globals(it), *code = g ? compiled(it, expression, strlen(expression), file, sizeof file - 1, 1) : NULL;
	PyObject *v = code ? py.PyEval_EvalCode(code, g, g) : NULL;
	drop(code);
	drop(g);
	return v;
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

// What is released after the look at word, in the queue that is drained with the GIL, still has its reference.
static int released(const uint64_t *word, uint64_t value) { return word && __atomic_load_n(word, __ATOMIC_SEQ_CST) != value; }

gilt_res gilt_newref(gilt_thread *th, uint64_t serial, uintptr_t o, const uint64_t *word, uint64_t value) {
	BEGIN_WHATEVER
	if (released(word, value)) r.status = GILT_DONE;
	else {
		py.Py_IncRef((PyObject *)o);
		r.obj = o;
		gilt_own(it);
	}
	END
}

gilt_res gilt_bind(gilt_thread *th, uint64_t serial, uintptr_t o, const uint64_t *word, uint64_t value) {
	BEGIN_WHATEVER
	(void)it;
	if (released(word, value)) r.status = GILT_DONE;
	else {
		py.Py_IncRef((PyObject *)o);
		if (gilt_push_ref(th, (PyObject *)o)) r.status = GILT_FAILED;
		r.obj = o;
	}
	END
}

int gilt_error_indicator(gilt_thread *th, uint64_t serial) {
	return gilt_op_begin(th, serial, NULL) == GILT_OK && py.PyErr_Occurred() != NULL;
}
