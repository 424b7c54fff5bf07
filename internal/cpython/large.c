// Large bytes and texts: copied without the GIL where nobody else can change the memory, and with it in parts where somebody can, or
// where only CPython can do the work. What is small is copied at once, as it always was.
#include "books.h"
#include "objects.h"

enum {
	STEP = 1 << 24, // bytes that are copied without the GIL between two looks at the deadline: 2 to 50 ms
	TEXT = 1 << 16, // bytes of a text that are converted at once, in the processor's cache
};

// Runs on memory that nobody frees or changes meanwhile, without the GIL. 0, or -1 with an exception when the task is interrupted.
static int apart(void (*work)(void *arg, size_t from, size_t to), void *arg, size_t n) {
	gilt_thread *th = gilt_tls && gilt_tls->attached ? gilt_tls : NULL; // NULL on a thread of Python's, which no task runs on
	for (size_t at = 0; at < n;) {
		PyThreadState *ts = py.PyEval_SaveThread();
		do {
			size_t to = n - at > STEP ? at + STEP : n;
			work(arg, at, to);
			at = to;
		} while (at < n && !(th && gilt_due(th)));
		py.PyEval_RestoreThread(ts);
		if (at < n && gilt_interrupted(th)) return -1;
	}
	return 0;
}

int gilt_give_way(gilt_thread *th) {
	if (gilt_interrupted(th)) return -1;
	gilt_interp *it = th->attached;
	uint64_t us = it->gil ? atomic_load_explicit(&it->gil->interval, memory_order_relaxed) : (uint64_t)(GILT_MOST_REST * 1e6);
	uint64_t since = atomic_load_explicit(&th->since, memory_order_relaxed), from = th->gave > since ? th->gave : since, now = gilt_ticks();
	if (now < from || gilt_to_ns(now - from) < (int64_t)us * 1250) return 0;
	py.PyEval_RestoreThread(py.PyEval_SaveThread());
	th->gave = gilt_ticks();
	return 0;
}

typedef struct { char *to; const char *from; } move;

static void move_part(void *arg, size_t from, size_t to) {
	move *m = arg;
	memcpy(m->to + from, m->from + from, to - from);
}

static PyObject *filled(PyObject *o, char *to, const char *p, uint64_t n) { // steals o, which nobody else has seen
	if (o && !apart(move_part, &(move){to, p}, n)) return o;
	if (o) py.Py_DecRef(o);
	return NULL;
}

PyObject *gilt_new_bytes(const char *p, uint64_t n) {
	if (GILT_LIKELY(n <= GILT_LARGE)) return py.PyBytes_FromStringAndSize(p, (Py_ssize_t)n);
	PyObject *o = py.PyBytes_FromStringAndSize(NULL, (Py_ssize_t)n);
	char *to = NULL;
	Py_ssize_t size;
	if (o) py.PyBytes_AsStringAndSize(o, &to, &size);
	return filled(o, to, p, n);
}

PyObject *gilt_new_bytearray(const char *p, uint64_t n) {
	if (n <= GILT_LARGE) return py.PyByteArray_FromStringAndSize(p, (Py_ssize_t)n);
	PyObject *o = py.PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)n);
	return filled(o, o ? py.PyByteArray_AsString(o) : NULL, p, n);
}

// What a text has that is not ASCII, if it is UTF-8: how many code points, and which are the largest.
typedef struct {
	const uint8_t *text;
	uint64_t length;
	int beyond_latin1, beyond_bmp;
} census;

// Eight bytes at a time. A byte that goes on has the upper bits 10; one from 0xc4 on begins what is beyond U+00FF, one from 0xf0 on
// what is beyond U+FFFF.
static void count_part(void *arg, size_t from, size_t to) {
	const uint64_t top = 0x8080808080808080u;
	census *c = arg;
	uint64_t latin1 = 0, bmp = 0, going_on = 0;
	for (size_t i = from; i < to; i += 8) {
		uint64_t w = 0;
		if (GILT_LIKELY(to - i >= 8)) memcpy(&w, c->text + i, 8);
		else memcpy(&w, c->text + i, to - i);
		uint64_t two = w & w << 1;
		going_on += ((w & ~(w << 1) & top) >> 7) * 0x0101010101010101u >> 56; // how many of the eight
		latin1 |= two & (w << 2 | w << 3 | w << 4 | w << 5);
		bmp |= two & w << 2 & w << 3;
	}
	c->length += to - from - going_on;
	c->beyond_latin1 |= (latin1 & top) != 0;
	c->beyond_bmp |= (bmp & top) != 0;
}

// Adds at to the number that is e's attribute of that name: 0, or -1 with an exception.
static int add_to(PyObject *e, const char *name, uint64_t at) {
	PyObject *key = py.PyUnicode_InternFromString(name), *v = key ? py.PyObject_GetAttr(e, key) : NULL;
	PyObject *sum = v ? py.PyLong_FromLongLong(py.PyLong_AsLongLong(v) + (long long)at) : NULL;
	int bad = !sum || py.PyObject_SetAttr(e, key, sum);
	if (key) py.Py_DecRef(key);
	if (v) py.Py_DecRef(v);
	if (sum) py.Py_DecRef(sum);
	return bad;
}

// The exception that is set, a UnicodeError of a part that begins at at, becomes the whole's. Another exception stays as it is.
static void of_whole(PyObject *whole, uint64_t at) {
	PyObject *type, *e, *tb, *key = NULL;
	py.PyErr_Fetch(&type, &e, &tb);
	py.PyErr_NormalizeException(&type, &e, &tb);
	if (!add_to(e, "start", at) && !add_to(e, "end", at) && (key = py.PyUnicode_InternFromString("object"))) py.PyObject_SetAttr(e, key, whole);
	if (key) py.Py_DecRef(key);
	py.PyErr_Clear();
	py.PyErr_Restore(type, e, tb);
}

static void of_whole_bytes(const char *s, size_t n, uint64_t at) {
	PyObject *type, *e, *tb;
	py.PyErr_Fetch(&type, &e, &tb);
	PyObject *whole = gilt_new_bytes(s, n);
	if (whole) {
		py.PyErr_Restore(type, e, tb);
		of_whole(whole, at);
		py.Py_DecRef(whole);
		return;
	}
	PyObject *owned[] = {type, e, tb}; // no memory, or interrupted: that is the exception
	for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
		if (owned[i]) py.Py_DecRef(owned[i]);
}

// Decodes as much of s as one part has, which ends where a code point does, and says in *used how much.
static PyObject *decode_part(const char *s, size_t n, size_t *used) {
	size_t end = n < TEXT ? n : TEXT;
	for (int i = 0; i < 3 && end < n && ((uint8_t)s[end] & 0xc0) == 0x80; i++) end--;
	*used = end;
	PyObject *part = py.PyUnicode_DecodeUTF8(s, (Py_ssize_t)end, "strict");
	if (GILT_LIKELY(part != NULL) || end == n) return part;
	py.PyErr_Clear(); // what comes next may be what is wrong
	return py.PyUnicode_DecodeUTF8(s, (Py_ssize_t)(n - end < 4 ? n : end + 4), "strict");
}

static int give_way_here(void) { return gilt_tls && gilt_tls->attached ? gilt_give_way(gilt_tls) : 0; }

static int decode_parts(PyObject *o, uint64_t length, const char *s, size_t n) {
	uint64_t have = 0;
	for (size_t at = 0, used; at < n; at += used) {
		PyObject *part = decode_part(s + at, n - at, &used);
		if (!part) {
			of_whole_bytes(s, n, at);
			return -1;
		}
		Py_ssize_t m = py.PyUnicode_CopyCharacters(o, (Py_ssize_t)have, part, 0, gilt_str_length(part)); // it checks the bounds
		py.Py_DecRef(part);
		if (m < 0 || give_way_here()) return -1;
		have += (uint64_t)m;
	}
	if (have == length) return 0;
	py.PyErr_SetString(py.PyExc_ValueError, "gilt: a text was counted wrong (a bug in gilt)");
	return -1;
}

static PyObject *new_wide(const char *s, uint64_t n) {
	if (n <= 4 * GILT_LARGE) return py.PyUnicode_DecodeUTF8(s, (Py_ssize_t)n, "strict"); // a millisecond
	census c = {.text = (const uint8_t *)s};
	if (apart(count_part, &c, n)) return NULL;
	PyObject *o = py.PyUnicode_New((Py_ssize_t)c.length, c.beyond_bmp ? 0x10ffff : c.beyond_latin1 ? 0xffff : 0xff);
	if (!o || !decode_parts(o, c.length, s, n)) return o;
	py.Py_DecRef(o);
	return NULL;
}

typedef struct {
	char *to;
	const char *from;
	int other; // something is not ASCII
} ascii;

static void move_ascii(void *arg, size_t from, size_t to) {
	ascii *a = arg;
	for (size_t i = from; i < to && !a->other; i += TEXT) {
		size_t n = to - i < TEXT ? to - i : TEXT, at = 0;
		uint64_t w, all = 0;
		for (; at + 8 <= n; at += 8) memcpy(&w, a->from + i + at, 8), all |= w;
		for (; at < n; at++) all |= (uint8_t)a->from[i + at];
		a->other = (all & 0x8080808080808080u) != 0;
		memcpy(a->to + i, a->from + i, n);
	}
}

// CPython itself has a str of ASCII filled so, before others see it.
PyObject *gilt_new_str(const char *s, uint64_t n) {
	if (GILT_LIKELY(n <= GILT_LARGE)) return py.PyUnicode_DecodeUTF8(s, (Py_ssize_t)n, "strict");
	PyObject *o = py.PyUnicode_New((Py_ssize_t)n, 0x7f);
	Py_ssize_t size;
	ascii a = {.to = o ? (char *)py.PyUnicode_AsUTF8AndSize(o, &size) : NULL, .from = s}; // its own memory
	int bad = !a.to || apart(move_ascii, &a, n);
	if (!bad && !a.other) return o;
	if (o) py.Py_DecRef(o);
	return bad ? NULL : new_wide(s, n);
}

int gilt_put_large(gilt_thread *th, PyObject *owner, const void *p, size_t n) {
	if (gilt_buf_room(th, n)) return -1;
	py.Py_IncRef(owner);
	int bad = apart(move_part, &(move){(char *)th->buf + th->nbuf, p}, n);
	if (!bad) th->nbuf += n;
	py.Py_DecRef(owner);
	return bad;
}

// Python code may change it between two parts.
int gilt_put_bytearray(gilt_thread *th, PyObject *o) {
	size_t n = (size_t)py.PyByteArray_Size(o), at = 0;
	if (GILT_LIKELY(n <= GILT_LARGE)) return gilt_put_of(th, o, py.PyByteArray_AsString(o), n);
	if (gilt_buf_room(th, n)) return -1;
	int bad = 0;
	py.Py_IncRef(o);
	while (!bad && at < n) {
		size_t part = n - at < GILT_LARGE ? n - at : GILT_LARGE;
		bad = gilt_buf_put(th, py.PyByteArray_AsString(o) + at, part) || gilt_give_way(th);
		at += part;
		if (bad || (size_t)py.PyByteArray_Size(o) == n) continue;
		py.PyErr_SetString(py.PyExc_RuntimeError, "bytearray changed size while it was copied");
		bad = 1;
	}
	py.Py_DecRef(o);
	return bad ? -1 : 0;
}

static int is_ascii(PyObject *o) { // of a str; -1 with an exception
	PyObject *name = py.PyUnicode_InternFromString("isascii"), *f = name ? py.PyObject_GetAttr(py.PyUnicode_Type, name) : NULL;
	PyObject *v = f ? py.PyObject_VectorcallDict(f, &o, 1, NULL) : NULL; // str's own, which looks at a flag
	int yes = v ? v == py._Py_TrueStruct : -1;
	if (name) py.Py_DecRef(name);
	if (f) py.Py_DecRef(f);
	if (v) py.Py_DecRef(v);
	return yes;
}

static int put_text_parts(gilt_thread *th, PyObject *o, Py_ssize_t length) {
	enum { PART = TEXT / 4 };
	for (Py_ssize_t at = 0; at < length; at += PART) {
		PyObject *part = py.PyUnicode_Substring(o, at, length - at < PART ? length : at + PART);
		Py_ssize_t n;
		const char *p = part ? py.PyUnicode_AsUTF8AndSize(part, &n) : NULL;
		if (part && !p) of_whole(o, (uint64_t)at);
		int bad = !p || gilt_buf_put(th, p, (size_t)n);
		if (part) py.Py_DecRef(part);
		if (bad || gilt_give_way(th)) return -1;
	}
	return 0;
}

int gilt_put_str(gilt_thread *th, PyObject *o, int tagged) {
	Py_ssize_t length = gilt_str_length(o), n;
	int whole = GILT_LIKELY(length <= GILT_LARGE / 4) ? 1 : is_ascii(o);
	if (whole < 0) return -1;
	if (whole) {
		const char *p = py.PyUnicode_AsUTF8AndSize(o, &n);
		return !p || (tagged && gilt_put_head(th, 's', (uint64_t)n)) ? -1 : gilt_put_of(th, o, p, (size_t)n);
	}
	size_t head = th->nbuf;
	if (tagged && gilt_put_head(th, 's', (uint64_t)length)) return -1;
	py.Py_IncRef(o);
	int bad = put_text_parts(th, o, length);
	py.Py_DecRef(o);
	if (bad || !tagged) return bad;
	uint64_t bytes = th->nbuf - head - 9;
	memcpy(th->buf + head + 1, &bytes, 8);
	return 0;
}
