// A Python exception as bytes: what a Go error shows without the GIL, captured when it is raised. The
// wire form of one exception:
//   u64 length and text of: module, qualified name; u64 count, then texts "module.name" of the class and its bases
//   text: str(exception); u64 count of frames, each text file, text function, u64 line, outermost first
//   u64 count of notes, then texts; a value: SystemExit.code, OSError.errno or None
//   u64 the number of the Go value that it carries, 0 for none
//   byte: 1 when the context is suppressed; byte: bit 0 a cause follows, bit 1 a context follows; then those
//   u64 count of an exception group's members, then those
#include "objects.h"

enum { MAX_CHAIN = 16, MAX_EXCEPTIONS = 64, END_FRAMES = 100 }; // END_FRAMES from each end of a long traceback

const char *gilt_type_name(PyObject *o) {
	static _Thread_local char name[201];
	PyObject *type = gilt_type(o); // borrowed from o, which a metaclass's Python code may drop: hold it
	py.Py_IncRef(type);
	PyObject *key = py.PyUnicode_InternFromString("__name__");
	PyObject *s = key ? py.PyObject_GetAttr(type, key) : NULL;
	Py_ssize_t n = 0;
	const char *p = s ? py.PyUnicode_AsUTF8AndSize(s, &n) : NULL;
	if (!p) p = "?", n = 1;
	if (n > 200) n = 200;
	memcpy(name, p, (size_t)n);
	name[n] = 0;
	if (s) py.Py_DecRef(s);
	if (key) py.Py_DecRef(key);
	py.Py_DecRef(type);
	py.PyErr_Clear();
	return name;
}

// Where an exception is written. Whatever asks Python for a part (a message, a note, a name) may run Python
// code, which may change or drop anything that is not held here by a reference.
typedef struct {
	gilt_thread *th;
	gilt_interp *it;
	int lost; // something did not fit into memory: what is written is no wire form
	int left; // exceptions that may still follow: chains may branch, a cause and another context
} writer;

static void put_u64(writer *w, uint64_t v) { w->lost |= gilt_buf_u64(w->th, v); }
static void put_byte(writer *w, uint8_t b) { w->lost |= gilt_buf_byte(w->th, b); }
static void put_bytes(writer *w, const void *p, size_t n) { w->lost |= gilt_buf_put(w->th, p, n); }
static void put_text(writer *w, PyObject *s) { w->lost |= gilt_buf_text(w->th, s); }

// Writes a count whose place was kept by put_u64(w, 0) when the buffer held at bytes.
static void set_u64(writer *w, size_t at, uint64_t v) {
	if (!w->lost) memcpy(w->th->buf + at, &v, 8); // else the place may not be there
}

static void put_attr_text(writer *w, PyObject *o, PyObject *name) {
	PyObject *s = o ? py.PyObject_GetAttr(o, name) : NULL;
	if (!s) py.PyErr_Clear();
	put_text(w, s);
	if (s) py.Py_DecRef(s);
}

static void put_class_names(writer *w, PyObject *type) {
	gilt_names *n = &w->it->names;
	put_attr_text(w, type, n->s_module);
	put_attr_text(w, type, n->s_qualname);
	PyObject *mro = py.PyObject_GetAttr(type, n->s_mro);
	Py_ssize_t count = mro ? py.PyTuple_Size(mro) : 0;
	if (count < 0) count = 0;
	py.PyErr_Clear();
	put_u64(w, (uint64_t)count);
	for (Py_ssize_t i = 0; i < count; i++) {
		PyObject *base = py.PyTuple_GetItem(mro, i); // borrowed from mro, a tuple that is held
		put_attr_text(w, base, n->s_module);
		put_attr_text(w, base, n->s_qualname);
	}
	if (mro) py.Py_DecRef(mro);
}

// The class's names are the same each time, so they are kept as bytes, one class to a place.
static void put_class(writer *w, PyObject *type) {
	gilt_exctype *e = &w->it->exctypes[((uintptr_t)type >> 6) % (sizeof w->it->exctypes / sizeof *w->it->exctypes)];
	if (e->type == type) {
		put_bytes(w, e->head, e->n);
		return;
	}
	size_t at = w->th->nbuf;
	py.Py_IncRef(type); // borrowed from the exception, whose __class__ a metaclass's code may change
	put_class_names(w, type);
	size_t n = w->th->nbuf - at;
	uint8_t *head = w->lost ? NULL : malloc(n);
	if (!head) {
		py.Py_DecRef(type);
		return;
	}
	memcpy(head, w->th->buf + at, n);
	PyObject *old = e->type;
	free(e->head);
	*e = (gilt_exctype){.type = type, .head = head, .n = n}; // the reference is the table's now
	if (old) py.Py_DecRef(old); // last: it may run Python code
}

static void put_message(writer *w, PyObject *exc) {
	PyObject *s = py.PyObject_Str(exc);
	if (s) {
		put_text(w, s);
		py.Py_DecRef(s);
		return;
	}
	py.PyErr_Clear();
	static const char placeholder[] = "<its str() raised an exception>";
	put_u64(w, sizeof placeholder - 1);
	put_bytes(w, placeholder, sizeof placeholder - 1);
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
static PyObject *skip_middle(writer *w, PyObject *tb, uint64_t *count) {
	gilt_names *n = &w->it->names;
	uint64_t rest = 0;
	py.Py_IncRef(tb);
	for (PyObject *t = tb; t; t = next_tb(n, t)) rest++;
	if (rest <= END_FRAMES) return tb;
	put_u64(w, 0); // no file, no function: so many frames were left out
	put_u64(w, 0);
	put_u64(w, rest - END_FRAMES);
	++*count;
	for (; tb && rest > END_FRAMES; rest--) tb = next_tb(n, tb);
	return tb;
}

static void put_frames(writer *w, PyObject *exc) {
	gilt_names *n = &w->it->names;
	size_t at = w->th->nbuf;
	uint64_t count = 0;
	put_u64(w, 0);
	PyObject *tb = py.PyException_GetTraceback(exc);
	while (tb) {
		if (count == END_FRAMES && !(tb = skip_middle(w, tb, &count))) break;
		PyObject *frame = py.PyObject_GetAttr(tb, n->s_tb_frame);
		PyObject *code = frame ? py.PyObject_GetAttr(frame, n->s_f_code) : NULL;
		PyObject *line = py.PyObject_GetAttr(tb, n->s_tb_lineno);
		put_attr_text(w, code, n->s_co_filename);
		put_attr_text(w, code, n->s_co_name);
		long long v = line && line != py._Py_NoneStruct ? py.PyLong_AsLongLong(line) : 0;
		put_u64(w, (uint64_t)v);
		count++;
		if (frame) py.Py_DecRef(frame);
		if (code) py.Py_DecRef(code);
		if (line) py.Py_DecRef(line);
		py.PyErr_Clear();
		tb = next_tb(n, tb);
	}
	set_u64(w, at, count);
}

static void put_notes(writer *w, PyObject *exc) {
	PyObject *notes = gilt_minor() >= 11 ? py.PyObject_GetAttr(exc, w->it->names.s_notes) : NULL;
	py.PyErr_Clear();
	Py_ssize_t count = notes ? py.PyList_Size(notes) : 0; // -1 when it is no list
	py.PyErr_Clear();
	size_t at = w->th->nbuf;
	uint64_t written = 0;
	put_u64(w, 0);
	for (Py_ssize_t i = 0; i < count; i++) { // no more than there were: a note may append to the list
		PyObject *note = py.PyList_GetItem(notes, i); // borrowed from the list
		if (!note) break; // a note has shortened it
		py.Py_IncRef(note); // its __str__ may take it out of the list
		PyObject *s = py.PyObject_Str(note);
		py.PyErr_Clear();
		put_text(w, s);
		if (s) py.Py_DecRef(s);
		py.Py_DecRef(note);
		written++;
	}
	py.PyErr_Clear();
	set_u64(w, at, written);
	if (notes) py.Py_DecRef(notes);
}

// SystemExit.code and OSError.errno: an int, subclasses too, or the text of anything else. An int that does
// not fit is -1: what python3 exits with.
static void put_extra(writer *w, PyObject *exc) {
	gilt_names *n = &w->it->names;
	PyObject *name = py.PyErr_GivenExceptionMatches(exc, py.PyExc_SystemExit) ? n->s_code
	                 : py.PyErr_GivenExceptionMatches(exc, py.PyExc_OSError) ? n->s_errno : NULL;
	PyObject *v = name ? py.PyObject_GetAttr(exc, name) : NULL;
	if (v && py.PyType_GetFlags(gilt_type(v)) & LONG_SUB) {
		int overflow = 0;
		long long i = py.PyLong_AsLongLongAndOverflow(v, &overflow); // -1 when it overflows
		put_byte(w, 'i');
		put_u64(w, (uint64_t)i);
	} else if (v && v != py._Py_NoneStruct) {
		PyObject *s = py.PyObject_Str(v);
		put_byte(w, 's');
		put_text(w, s);
		if (s) py.Py_DecRef(s);
	} else put_byte(w, 'N');
	py.PyErr_Clear();
	if (v) py.Py_DecRef(v);
}

static void put_go_value(writer *w, PyObject *exc) {
	PyObject *v = w->it->has_values ? py.PyObject_GetAttr(exc, w->it->names.s_gilt) : NULL;
	if (!v) py.PyErr_Clear();
	put_u64(w, v ? gilt_value_of(v) : 0);
	if (v) py.Py_DecRef(v);
}

static void put_exception(writer *w, PyObject *exc, PyObject **seen, int depth);

static void put_members(writer *w, PyObject *exc, PyObject **seen, int depth) {
	gilt_names *n = &w->it->names;
	PyObject *all = n->group && depth + 1 < MAX_CHAIN && py.PyErr_GivenExceptionMatches(exc, n->group) ? py.PyObject_GetAttr(exc, n->s_exceptions) : NULL;
	Py_ssize_t count = all ? py.PyTuple_Size(all) : 0; // -1 when a subclass has made it something else
	py.PyErr_Clear();
	size_t at = w->th->nbuf;
	uint64_t written = 0;
	put_u64(w, 0);
	for (Py_ssize_t i = 0; i < count && w->left > 0; i++) {
		PyObject *member = py.PyTuple_GetItem(all, i); // borrowed from the tuple, which is held
		if (!(py.PyType_GetFlags(gilt_type(member)) & EXCEPTION_SUB)) continue; // a subclass says what it likes
		w->left--, written++;
		put_exception(w, member, seen, depth + 1);
	}
	set_u64(w, at, written);
	if (all) py.Py_DecRef(all);
}

static void put_exception(writer *w, PyObject *exc, PyObject **seen, int depth) {
	seen[depth] = exc; // the caller holds it
	put_class(w, gilt_type(exc));
	put_message(w, exc);
	put_frames(w, exc);
	put_notes(w, exc);
	put_extra(w, exc);
	put_go_value(w, exc);
	PyObject *suppress = py.PyObject_GetAttr(exc, w->it->names.s_suppress);
	put_byte(w, suppress == py._Py_TrueStruct);
	if (suppress) py.Py_DecRef(suppress);
	py.PyErr_Clear();
	PyObject *next[2] = {py.PyException_GetCause(exc), py.PyException_GetContext(exc)}; // owned
	uint8_t bits = 0;
	for (int i = 0; i < 2; i++) {
		int again = depth + 1 >= MAX_CHAIN || next[i] == NULL || w->left <= 0;
		for (int j = 0; !again && j <= depth; j++) again = seen[j] == next[i];
		if (i == 1 && next[0] == next[1]) again = 1;
		if (!again) bits |= (uint8_t)(1 << i), --w->left;
	}
	put_byte(w, bits);
	for (int i = 0; i < 2; i++) {
		if (bits & 1 << i) put_exception(w, next[i], seen, depth + 1);
		if (next[i]) py.Py_DecRef(next[i]);
	}
	put_members(w, exc, seen, depth);
}

static void failed(gilt_res *r, const char *text) { // text lives for ever
	r->status = GILT_FAILED;
	r->p = (const uint8_t *)text, r->n = strlen(text);
}

void gilt_raised(gilt_thread *th, gilt_interp *it, gilt_res *r) {
	PyObject *type = NULL, *value = NULL, *tb = NULL;
	py.PyErr_Fetch(&type, &value, &tb);
	r->obj = 0;
	th->nbuf = 0;
	if (!type) { // an error without an exception: a bug of an extension module
		failed(r, "Python reported an error and set no exception");
		return;
	}
	py.PyErr_NormalizeException(&type, &value, &tb);
	if (tb) py.PyException_SetTraceback(value, tb);
	PyObject *seen[MAX_CHAIN];
	writer w = {.th = th, .it = it, .left = MAX_EXCEPTIONS};
	put_exception(&w, value, seen, 0);
	py.Py_DecRef(type);
	if (tb) py.Py_DecRef(tb);
	if (GILT_UNLIKELY(w.lost)) {
		failed(r, "Python raised an exception, and there was no memory to read it");
		py.Py_DecRef(value);
	} else {
		r->status = GILT_RAISED;
		r->obj = (uintptr_t)value; // owned by the Go error
		r->p = th->buf, r->n = th->nbuf;
	}
	py.PyErr_Clear();
}
