// A Python exception as bytes: what a Go error shows without the GIL, captured when it is raised. The
// wire form of one exception:
//   u64 length and text of: module, qualified name; u64 count, then texts "module.name" of the class and its bases
//   text: str(exception); u64 count of frames, each text file, text function, u64 line, outermost first
//   u64 count of notes, then texts; a value: SystemExit.code, OSError.errno or None
//   byte: 1 when the context is suppressed; byte: bit 0 a cause follows, bit 1 a context follows; then those
#include "shim.h"

enum { MAX_CHAIN = 16, MAX_EXCEPTIONS = 64, END_FRAMES = 100 }; // END_FRAMES from each end of a long traceback

const char *gilt_type_name(PyObject *o) {
	static _Thread_local char name[201];
	PyObject *key = py.PyUnicode_InternFromString("__name__");
	PyObject *s = key ? py.PyObject_GetAttr(gilt_type(o), key) : NULL;
	Py_ssize_t n = 0;
	const char *p = s ? py.PyUnicode_AsUTF8AndSize(s, &n) : NULL;
	if (!p) p = "?", n = 1;
	if (n > 200) n = 200;
	memcpy(name, p, (size_t)n);
	name[n] = 0;
	if (s) py.Py_DecRef(s);
	if (key) py.Py_DecRef(key);
	py.PyErr_Clear();
	return name;
}

static void put_attr_text(gilt_thread *th, PyObject *o, PyObject *name) {
	PyObject *s = o ? py.PyObject_GetAttr(o, name) : NULL;
	if (!s) py.PyErr_Clear();
	gilt_buf_text(th, s);
	if (s) py.Py_DecRef(s);
}

static void put_class_names(gilt_thread *th, gilt_names *n, PyObject *type) {
	put_attr_text(th, type, n->s_module);
	put_attr_text(th, type, n->s_qualname);
	PyObject *mro = py.PyObject_GetAttr(type, n->s_mro);
	Py_ssize_t count = mro ? py.PyTuple_Size(mro) : 0;
	if (count < 0) count = 0;
	py.PyErr_Clear();
	gilt_buf_u64(th, (uint64_t)count);
	for (Py_ssize_t i = 0; i < count; i++) {
		PyObject *base = py.PyTuple_GetItem(mro, i);
		put_attr_text(th, base, n->s_module);
		put_attr_text(th, base, n->s_qualname);
	}
	if (mro) py.Py_DecRef(mro);
}

// The class's names are the same each time, so they are kept as bytes, one class to a place.
static void put_class(gilt_thread *th, gilt_interp *it, PyObject *type) {
	gilt_exctype *e = &it->exctypes[((uintptr_t)type >> 6) % (sizeof it->exctypes / sizeof *it->exctypes)];
	if (e->type == type) {
		gilt_buf_put(th, e->head, e->n);
		return;
	}
	size_t at = th->nbuf;
	put_class_names(th, &it->names, type);
	uint8_t *head = malloc(th->nbuf - at);
	if (!head) return;
	PyObject *old = e->type;
	free(e->head);
	memcpy(head, th->buf + at, th->nbuf - at);
	*e = (gilt_exctype){.type = type, .head = head, .n = th->nbuf - at};
	py.Py_IncRef(type);
	if (old) py.Py_DecRef(old); // last: it may run Python code
}

static void put_message(gilt_thread *th, PyObject *exc) {
	PyObject *s = py.PyObject_Str(exc);
	if (s) {
		gilt_buf_text(th, s);
		py.Py_DecRef(s);
		return;
	}
	py.PyErr_Clear();
	static const char placeholder[] = "<its str() raised an exception>";
	gilt_buf_u64(th, sizeof placeholder - 1);
	gilt_buf_put(th, placeholder, sizeof placeholder - 1);
}

static PyObject *next_tb(gilt_names *n, PyObject *tb) { // steals tb; NULL at the end
	PyObject *next = py.PyObject_GetAttr(tb, n->s_tb_next);
	py.Py_DecRef(tb);
	py.PyErr_Clear();
	if (next != py._Py_NoneStruct) return next;
	py.Py_DecRef(next);
	return NULL;
}

// Passes over the middle of a long traceback: steals tb, gives the first of the last END_FRAMES.
static PyObject *skip_middle(gilt_thread *th, gilt_names *n, PyObject *tb, uint64_t *count) {
	uint64_t rest = 0;
	py.Py_IncRef(tb);
	for (PyObject *t = tb; t; t = next_tb(n, t)) rest++;
	if (rest <= END_FRAMES) return tb;
	gilt_buf_u64(th, 0); // no file, no function: so many frames were left out
	gilt_buf_u64(th, 0);
	gilt_buf_u64(th, rest - END_FRAMES);
	++*count;
	for (; tb && rest > END_FRAMES; rest--) tb = next_tb(n, tb);
	return tb;
}

static void put_frames(gilt_thread *th, gilt_names *n, PyObject *exc) {
	size_t at = th->nbuf;
	uint64_t count = 0;
	gilt_buf_u64(th, 0);
	PyObject *tb = py.PyException_GetTraceback(exc);
	while (tb) {
		if (count == END_FRAMES && !(tb = skip_middle(th, n, tb, &count))) break;
		PyObject *frame = py.PyObject_GetAttr(tb, n->s_tb_frame);
		PyObject *code = frame ? py.PyObject_GetAttr(frame, n->s_f_code) : NULL;
		PyObject *line = py.PyObject_GetAttr(tb, n->s_tb_lineno);
		put_attr_text(th, code, n->s_co_filename);
		put_attr_text(th, code, n->s_co_name);
		long long v = line && line != py._Py_NoneStruct ? py.PyLong_AsLongLong(line) : 0;
		gilt_buf_u64(th, (uint64_t)v);
		count++;
		if (frame) py.Py_DecRef(frame);
		if (code) py.Py_DecRef(code);
		if (line) py.Py_DecRef(line);
		py.PyErr_Clear();
		tb = next_tb(n, tb);
	}
	memcpy(th->buf + at, &count, 8);
}

static void put_notes(gilt_thread *th, gilt_names *n, PyObject *exc) {
	PyObject *notes = gilt_minor() >= 11 ? py.PyObject_GetAttr(exc, n->s_notes) : NULL;
	py.PyErr_Clear();
	Py_ssize_t count = notes ? py.PyList_Size(notes) : 0; // -1 when it is no list
	py.PyErr_Clear();
	gilt_buf_u64(th, count > 0 ? (uint64_t)count : 0);
	for (Py_ssize_t i = 0; i < count; i++) {
		PyObject *s = py.PyObject_Str(py.PyList_GetItem(notes, i));
		py.PyErr_Clear();
		gilt_buf_text(th, s);
		if (s) py.Py_DecRef(s);
	}
	if (notes) py.Py_DecRef(notes);
}

static void put_extra(gilt_thread *th, gilt_names *n, PyObject *exc) {
	PyObject *name = py.PyErr_GivenExceptionMatches(exc, py.PyExc_SystemExit) ? n->s_code
	                 : py.PyErr_GivenExceptionMatches(exc, py.PyExc_OSError) ? n->s_errno : NULL;
	PyObject *v = name ? py.PyObject_GetAttr(exc, name) : NULL;
	int overflow = 0;
	long long i = v && gilt_type(v) == py.PyLong_Type ? py.PyLong_AsLongLongAndOverflow(v, &overflow) : -1;
	if (v && gilt_type(v) == py.PyLong_Type && !overflow) {
		gilt_buf_byte(th, 'i');
		gilt_buf_u64(th, (uint64_t)i);
	} else if (v && v != py._Py_NoneStruct) {
		PyObject *s = py.PyObject_Str(v);
		gilt_buf_byte(th, 's');
		gilt_buf_text(th, s);
		if (s) py.Py_DecRef(s);
	} else gilt_buf_byte(th, 'N');
	py.PyErr_Clear();
	if (v) py.Py_DecRef(v);
}

static void put_exception(gilt_thread *th, gilt_interp *it, PyObject *exc, PyObject **seen, int depth, int *left) {
	gilt_names *n = &it->names;
	seen[depth] = exc;
	put_class(th, it, gilt_type(exc));
	put_message(th, exc);
	put_frames(th, n, exc);
	put_notes(th, n, exc);
	put_extra(th, n, exc);
	PyObject *suppress = py.PyObject_GetAttr(exc, n->s_suppress);
	gilt_buf_byte(th, suppress == py._Py_TrueStruct);
	if (suppress) py.Py_DecRef(suppress);
	py.PyErr_Clear();
	PyObject *next[2] = {py.PyException_GetCause(exc), py.PyException_GetContext(exc)};
	uint8_t bits = 0;
	for (int i = 0; i < 2; i++) {
		int again = depth + 1 >= MAX_CHAIN || next[i] == NULL || *left == 0;
		for (int j = 0; !again && j <= depth; j++) again = seen[j] == next[i];
		if (i == 1 && next[0] == next[1]) again = 1;
		if (!again) bits |= (uint8_t)(1 << i), --*left;
	}
	gilt_buf_byte(th, bits);
	for (int i = 0; i < 2; i++) {
		if (bits & 1 << i) put_exception(th, it, next[i], seen, depth + 1, left);
		if (next[i]) py.Py_DecRef(next[i]);
	}
}

void gilt_raised(gilt_thread *th, gilt_interp *it, gilt_res *r) {
	PyObject *type = NULL, *value = NULL, *tb = NULL;
	py.PyErr_Fetch(&type, &value, &tb);
	r->status = GILT_RAISED;
	r->obj = 0;
	th->nbuf = 0;
	if (!type) { // an error without an exception: a bug of an extension module
		r->status = GILT_FAILED;
		static const char text[] = "Python reported an error and set no exception";
		r->p = (const uint8_t *)text, r->n = sizeof text - 1;
		return;
	}
	py.PyErr_NormalizeException(&type, &value, &tb);
	if (tb) py.PyException_SetTraceback(value, tb);
	PyObject *seen[MAX_CHAIN];
	int left = MAX_EXCEPTIONS; // chains may branch: a cause and another context
	put_exception(th, it, value, seen, 0, &left);
	py.PyErr_Clear();
	py.Py_DecRef(type);
	if (tb) py.Py_DecRef(tb);
	r->obj = (uintptr_t)value; // owned by the Go error
	r->p = th->buf, r->n = th->nbuf;
}
