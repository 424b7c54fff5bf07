// A Python exception as bytes: what a Go error shows without the GIL, captured when it is raised. The
// wire form of one exception:
//   head of its class: text module, text qualified name; u64 count, then texts "module", "name" of the class and its bases, and of
//   the other places where modules have them
//   text: str(exception)
//   u64 count of frames, outermost first, each u64 line, head of its code: text file, text function
//   byte: the bits below, which say what of the rest there is
//   u64 count of notes, then texts
//   a value: SystemExit.code, OSError.errno
//   u64 the number of the Go value that it carries
//   the cause; the context
//   u64 count of an exception group's members, then those
// A text is u64 length, UTF-8. A head is u64 id, u64 length, bytes: those of an id are always the same, so that Go reads
// them once; the id 0 is nobody's.
#include "objects.h"
#include "greenlet.h"

enum { SUPPRESSED = 1, NOTES = 2, EXTRA = 4, GO_VALUE = 8, CAUSE = 16, CONTEXT = 32, GROUP = 64 };

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
// code, which may change or drop anything that is not held here by a reference. Each part leaves the error indicator clear.
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

// o's attribute as a new reference; NULL when there is none, for which no exception is made, or when asking for it raised.
static PyObject *attribute(PyObject *o, PyObject *name) {
	PyObject *v = NULL;
	if (GILT_UNLIKELY(py.PyObject_GetOptionalAttr(o, name, &v) < 0)) py.PyErr_Clear();
	return v;
}

static void put_attr_text(writer *w, PyObject *o, PyObject *name) {
	PyObject *s = attribute(o, name);
	put_text(w, s);
	if (s) py.Py_DecRef(s);
}

// What put_extra and put_members look at.
enum { EXITS = 1, HAS_ERRNO = 2, IS_GROUP = 4 };

// The names that modules have for a class; gives how many it writes.
static uint64_t put_aliases(writer *w, PyObject *class) {
	enum { MOST = 64 };
	PyObject *pairs[2 * MOST]; // owned: writing a text may run Python code, and the names be searched for again
	size_t n = gilt_aliases(w->it, class, pairs, MOST);
	for (size_t i = 0; i < 2 * n; i++) {
		put_text(w, pairs[i]);
		py.Py_DecRef(pairs[i]);
	}
	return n;
}

static int put_class_names(writer *w, PyObject *type) {
	gilt_names *n = &w->it->names;
	put_attr_text(w, type, n->s_module);
	put_attr_text(w, type, n->s_qualname);
	PyObject *mro = attribute(type, n->s_mro);
	Py_ssize_t count = mro ? py.PyTuple_Size(mro) : 0;
	if (count < 0) count = 0;
	py.PyErr_Clear();
	size_t at = w->th->nbuf;
	put_u64(w, (uint64_t)count);
	for (Py_ssize_t i = 0; i < count; i++) {
		PyObject *base = py.PyTuple_GetItem(mro, i); // borrowed from mro, a tuple that is held
		put_attr_text(w, base, n->s_module);
		put_attr_text(w, base, n->s_qualname);
	}
	uint64_t more = 0;
	for (Py_ssize_t i = 0; i < count; i++) more += put_aliases(w, py.PyTuple_GetItem(mro, i));
	set_u64(w, at, (uint64_t)count + more);
	if (mro) py.Py_DecRef(mro);
	return (py.PyType_IsSubtype(type, py.PyExc_SystemExit) ? EXITS : 0) | (py.PyType_IsSubtype(type, py.PyExc_OSError) ? HAS_ERRNO : 0) |
	       (n->group && py.PyType_IsSubtype(type, n->group) ? IS_GROUP : 0);
}

static int put_code_names(writer *w, PyObject *code) {
	put_attr_text(w, code, w->it->names.s_co_filename);
	put_attr_text(w, code, w->it->names.s_co_name);
	return 0;
}

// Writes a head that is not kept, and keeps it in e unless it is long; key is borrowed.
static int learn_head(writer *w, gilt_head *e, PyObject *key, int (*put)(writer *, PyObject *)) {
	enum { LONGEST = 1 << 14 };
	static _Atomic uint64_t ids; // of all interpreters
	size_t at = w->th->nbuf;
	put_u64(w, 0);
	put_u64(w, 0);
	py.Py_IncRef(key); // put may run Python code, a metaclass's, which may change what it was borrowed from
	gilt_head new = {.key = key, .kinds = put(w, key), .version = w->it->heads};
	new.n = w->th->nbuf - at;
	set_u64(w, at + 8, new.n - 16);
	if (w->lost || new.n > LONGEST || !(new.head = malloc(new.n))) {
		py.Py_DecRef(key);
		return new.kinds;
	}
	set_u64(w, at, atomic_fetch_add_explicit(&ids, 1, memory_order_relaxed) + 1);
	memcpy(new.head, w->th->buf + at, new.n);
	PyObject *old = e->key;
	free(e->head);
	*e = new; // the reference to key is the table's now
	if (old) gilt_release_own(w->it, old); // what goes with it is no business of this task's
	return new.kinds;
}

// What there is to say of a class, or of a code object, is the same each time, so it is kept as bytes, with a reference to it.
static inline int put_head(writer *w, gilt_head *table, size_t places, PyObject *key, int (*put)(writer *, PyObject *)) {
	gilt_head *e = &table[((uintptr_t)key >> 4 ^ (uintptr_t)key >> 12) % places];
	if (GILT_UNLIKELY(e->key != key || (table == w->it->classes && e->version != w->it->heads))) return learn_head(w, e, key, put);
	put_bytes(w, e->head, e->n);
	return e->kinds;
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

static void *word_at(PyObject *o, int offset) { return *(void **)((char *)o + offset); } // borrowed from o
static int int_at(PyObject *o, int offset) { return *(int *)((char *)o + offset); }

static PyObject *next_tb(PyObject *tb) { // steals tb, gives a new reference; NULL at the end
	PyObject *next = word_at(tb, gilt_at.tb_next);
	if (next) py.Py_IncRef(next);
	py.Py_DecRef(tb);
	return next;
}

// A frame without file and function.
static void put_nowhere(writer *w, uint64_t line) {
	const uint64_t frame[] = {line, 0, 16, 0, 0}; // line, id and length of a head, two texts of no length
	put_bytes(w, frame, sizeof frame);
}

// Passes over the middle of a long traceback: steals tb, gives the first of the last END_FRAMES.
static PyObject *skip_middle(writer *w, PyObject *tb, uint64_t *count) {
	uint64_t rest = 0;
	for (PyObject *t = tb; t; t = word_at(t, gilt_at.tb_next)) rest++;
	if (rest <= END_FRAMES) return tb;
	put_nowhere(w, rest - END_FRAMES);
	++*count;
	for (; tb && rest > END_FRAMES; rest--) tb = next_tb(tb);
	return tb;
}

static void put_frame(writer *w, PyObject *tb) {
	PyObject *frame = word_at(tb, gilt_at.tb_frame); // NULL in garbage
	PyObject *code = frame ? py.PyFrame_GetCode(frame) : NULL; // a new reference
	if (GILT_UNLIKELY(!code)) {
		put_nowhere(w, 0);
		return;
	}
	int line = int_at(tb, gilt_at.tb_lineno);
	if (line == -1) line = py.PyCode_Addr2Line(code, int_at(tb, gilt_at.tb_lasti)); // newer CPythons leave it to whoever asks
	put_u64(w, line < 0 ? 0 : (uint64_t)line);
	put_head(w, w->it->places, GILT_PLACES, code, put_code_names);
	py.Py_DecRef(code);
}

static void put_frames(writer *w, PyObject *exc) {
	size_t at = w->th->nbuf;
	uint64_t count = 0;
	put_u64(w, 0);
	PyObject *tb = py.PyException_GetTraceback(exc); // a new reference
	while (tb) {
		if (count == END_FRAMES && !(tb = skip_middle(w, tb, &count))) break;
		put_frame(w, tb);
		count++;
		tb = next_tb(tb);
	}
	set_u64(w, at, count);
}

static int put_notes(writer *w, PyObject *exc) {
	PyObject *notes = gilt_minor() >= 11 ? attribute(exc, w->it->names.s_notes) : NULL;
	if (GILT_LIKELY(!notes)) return 0;
	Py_ssize_t count = py.PyList_Size(notes); // -1 when it is no list
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
	py.Py_DecRef(notes);
	return NOTES;
}

// SystemExit.code and OSError.errno: an int, subclasses too, or the text of anything else. An int that does
// not fit is -1: what python3 exits with.
static int put_extra(writer *w, PyObject *exc, int kinds) {
	gilt_names *n = &w->it->names;
	if (GILT_LIKELY(!(kinds & (EXITS | HAS_ERRNO)))) return 0;
	PyObject *v = attribute(exc, kinds & EXITS ? n->s_code : n->s_errno);
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
	return EXTRA;
}

static int put_go_value(writer *w, PyObject *exc) {
	PyObject *v = w->it->has_values ? attribute(exc, w->it->names.s_gilt) : NULL;
	uint64_t id = v ? gilt_value_of(v) : 0;
	if (v) py.Py_DecRef(v);
	if (!id) return 0;
	put_u64(w, id);
	return GO_VALUE;
}

static void put_exception(writer *w, PyObject *exc, PyObject **seen, int depth);

static int put_members(writer *w, PyObject *exc, int kinds, PyObject **seen, int depth) {
	if (GILT_LIKELY(!(kinds & IS_GROUP)) || depth + 1 >= MAX_CHAIN) return 0;
	PyObject *all = attribute(exc, w->it->names.s_exceptions);
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
	return GROUP;
}

// Cause and context, if there are any and they were not written already.
static int put_chain(writer *w, PyObject *exc, PyObject **seen, int depth) {
	PyObject *next[2] = {py.PyException_GetCause(exc), py.PyException_GetContext(exc)}; // owned
	if (GILT_LIKELY(!next[0] && !next[1])) return 0;
	int bits = 0;
	for (int i = 0; i < 2; i++) {
		int again = depth + 1 >= MAX_CHAIN || next[i] == NULL || w->left <= 0;
		for (int j = 0; !again && j <= depth; j++) again = seen[j] == next[i];
		if (i == 1 && next[0] == next[1]) again = 1;
		if (!again) bits |= CAUSE << i, --w->left;
	}
	for (int i = 0; i < 2; i++) {
		if (bits & CAUSE << i) put_exception(w, next[i], seen, depth + 1);
		if (next[i]) py.Py_DecRef(next[i]);
	}
	return bits;
}

static void put_exception(writer *w, PyObject *exc, PyObject **seen, int depth) {
	seen[depth] = exc; // the caller holds it
	int kinds = put_head(w, w->it->classes, GILT_CLASSES, gilt_type(exc), put_class_names);
	put_message(w, exc);
	put_frames(w, exc);
	size_t at = w->th->nbuf;
	put_byte(w, 0);
	int bits = ((char *)exc)[gilt_at.suppress_context] ? SUPPRESSED : 0;
	bits |= put_notes(w, exc);
	bits |= put_extra(w, exc, kinds);
	bits |= put_go_value(w, exc);
	bits |= put_chain(w, exc, seen, depth);
	bits |= put_members(w, exc, kinds, seen, depth);
	if (!w->lost) w->th->buf[at] = (uint8_t)bits;
}

static void failed(gilt_res *r, const char *text) { // text lives for ever
	r->status = GILT_FAILED;
	r->p = (const uint8_t *)text, r->n = strlen(text);
}

// The exception that is set, as an instance with its traceback: a new reference. The indicator is clear then. NULL when there
// is none, a bug of an extension module.
static PyObject *fetch(void) {
	if (GILT_LIKELY(py.PyErr_GetRaisedException != NULL)) return py.PyErr_GetRaisedException();
	PyObject *type = NULL, *value = NULL, *tb = NULL; // all owned
	py.PyErr_Fetch(&type, &value, &tb);
	if (!type) return NULL;
	py.PyErr_NormalizeException(&type, &value, &tb);
	if (tb) py.PyException_SetTraceback(value, tb);
	py.Py_DecRef(type);
	if (tb) py.Py_DecRef(tb);
	return value;
}

void gilt_raised(gilt_thread *th, gilt_interp *it, gilt_res *r) {
	(void)gilt_others_left(th, it);
	if (GILT_UNLIKELY(gilt_forked)) gilt_child_ends(it);
	PyObject *exc = fetch();
	r->obj = 0;
	th->nbuf = 0;
	if (!exc) {
		failed(r, "Python reported an error and set no exception");
		return;
	}
	// Exceptions that Go has dropped go here too, since a task that meets many may stay attached: in small numbers, and never
	// inside a __del__, which would nest.
	if (GILT_UNLIKELY(gilt_backlog(it) > 0) && th->ntasks <= 1) gilt_drain(it, 32);
	gilt_aliases_look(it);
	PyObject *seen[MAX_CHAIN];
	writer w = {.th = th, .it = it, .left = MAX_EXCEPTIONS};
	put_exception(&w, exc, seen, 0);
	gilt_drop_locals(it, exc);
	if (GILT_UNLIKELY(w.lost)) {
		failed(r, "Python raised an exception, and there was no memory to read it");
		py.Py_DecRef(exc);
	} else {
		r->status = GILT_RAISED;
		r->obj = (uintptr_t)exc; // owned by the Go error
		gilt_own(it);
		r->p = th->buf, r->n = th->nbuf;
	}
}
