// The wire form: values as bytes, so that a whole argument list or result crosses between Go and C at
// once. One tag byte, then, little-endian:
//   N None   T True   F False   i int64   u uint64 above int64   I u64 length, the int in hexadecimal
//   d float64   s u64 length, UTF-8   b u64 length, bytes   B the same as a bytearray (only towards Python)   l t m u64 count, then items (m: key, value)
//   x u64 length, the name of a type, then i or I: an object with __index__, and what that gives (only towards Go)
//   L D u64 count, then int64s or float64s: a list of numbers   O a PyObject * (only towards Python, borrowed)
// Go's half is wire.go.
#include "objects.h"

enum { MAX_DEPTH = 500 }; // nesting; CPython's own limit for JSON-like recursion is 1000

static _Atomic int64_t growths_left = -1; // negative: no limit

void gilt_fail_growth(int64_t after) { // for tests, see fault.go
	growths_left = after;
	if (!gilt_tls) return;
	free(gilt_tls->buf);
	gilt_tls->buf = NULL, gilt_tls->nbuf = gilt_tls->capbuf = 0;
}

uint64_t gilt_buffer_size(void) { return gilt_tls ? gilt_tls->capbuf : 0; } // for tests, see fault.go

int gilt_buf_grow(gilt_thread *th, size_t n) {
	if (GILT_UNLIKELY(growths_left >= 0) && growths_left-- == 0) {
		growths_left = 0;
		return -1;
	}
	size_t c = th->capbuf ? th->capbuf * 2 : 512;
	while (c < th->nbuf + n) c *= 2;
	uint8_t *b = realloc(th->buf, c);
	if (!b) return -1;
	th->buf = b, th->capbuf = c;
	return 0;
}

// Not before a result but after it, when its size is known: results that are all large keep their buffer.
void gilt_buf_shrink(gilt_thread *th, const uint8_t **p) {
	size_t n = th->nbuf < 512 ? 512 : th->nbuf;
	if (n > th->capbuf / 4) return;
	int ours = *p == th->buf;
	uint8_t *b = realloc(th->buf, n);
	if (!b) return;
	th->buf = b, th->capbuf = n;
	if (ours) *p = b;
}

static uint64_t max_values = UINT64_MAX, max_bytes = UINT64_MAX; // of one conversion; set before Python code runs

void gilt_set_limits(uint64_t values, uint64_t bytes) { max_values = values, max_bytes = bytes; }

static int too_large(gilt_thread *th, const char *what, uint64_t limit, const char *field) {
	PyObject *class = gilt_limit_error(th->attached);
	if (class) py.PyErr_Format(class, "a conversion is limited to %llu %s: raise gilt's Config.%s if such values are meant", (unsigned long long)limit, what, field);
	return -1;
}

// Looks, once in a while, whether the conversion is to go on, and lets others have the GIL. Other Python code may run meanwhile.
static int look(gilt_thread *th) {
	th->look = (int64_t)th->values + GILT_LARGE / GILT_VALUE_BYTES;
	if (th->values > max_values) return too_large(th, "values", max_values, "MaxValues");
	if (th->nbuf > max_bytes) return too_large(th, "bytes", max_bytes, "MaxBytes");
	return gilt_give_way(th);
}

static void begin_counting(gilt_thread *th) { th->look -= (int64_t)th->values, th->values = 0; }

// Counts a value that a container holds; -1 with an exception when the conversion ends here. The caller needs nothing that is borrowed
// from an object that others may change.
static inline int counted(gilt_thread *th) {
	return GILT_LIKELY((int64_t)++th->values < th->look) ? 0 : look(th);
}

// The same on the way to Python, which threads of Python's go too: what they are sent comes from a queue, in small parts.
static inline int counted_here(void) { return gilt_tls && gilt_tls->attached ? counted(gilt_tls) : 0; }

static int fits(gilt_thread *th, size_t n) {
	return GILT_LIKELY(n <= max_bytes && th->nbuf <= max_bytes - n) ? 0 : too_large(th, "bytes", max_bytes, "MaxBytes");
}

static int put_bytes(gilt_thread *th, uint8_t tag, PyObject *owner, const void *p, size_t n) {
	return fits(th, n) || gilt_put_head(th, tag, n) || gilt_put_of(th, owner, p, n) ? -1 : 0;
}

// Text for people (messages, file names): whatever the str holds, it is written; the indicator is left clear.
int gilt_buf_text(gilt_thread *th, PyObject *s) {
	Py_ssize_t n = 0;
	const char *p = s ? py.PyUnicode_AsUTF8AndSize(s, &n) : NULL;
	PyObject *escaped = NULL;
	if (!p && s) {
		py.PyErr_Clear();
		char *q = NULL;
		escaped = py.PyUnicode_AsEncodedString(s, "utf-8", "backslashreplace");
		if (escaped && !py.PyBytes_AsStringAndSize(escaped, &q, &n)) p = q;
	}
	if (!p) {
		py.PyErr_Clear();
		p = "?", n = 1;
	}
	int bad = gilt_buf_u64(th, (uint64_t)n) || gilt_buf_put(th, p, (size_t)n);
	if (escaped) py.Py_DecRef(escaped);
	return bad ? -1 : 0;
}

static int take_u64(const uint8_t **p, const uint8_t *end, uint64_t *v) {
	if (end - *p < 8) return -1;
	memcpy(v, *p, 8);
	*p += 8;
	return 0;
}

static PyObject *broken(void) {
	py.PyErr_SetString(py.PyExc_ValueError, "gilt: broken wire form (a bug in gilt)");
	return NULL;
}

static PyObject *incref(PyObject *o) {
	py.Py_IncRef(o);
	return o;
}

static PyObject *read_items(const uint8_t **p, const uint8_t *end, int depth, uint8_t tag, uint64_t n) {
	if (n > (uint64_t)(end - *p)) return broken(); // an item takes a byte at least
	PyObject *c = tag == 'l' ? py.PyList_New((Py_ssize_t)n) : py.PyTuple_New((Py_ssize_t)n);
	if (c && n) py.PyObject_GC_UnTrack(c); // gc.get_objects would find it half filled
	for (uint64_t i = 0; c && i < n; i++) {
		PyObject *o = counted_here() ? NULL : gilt_wire_read(p, end, depth + 1);
		if (!o || (tag == 'l' ? py.PyList_SetItem(c, (Py_ssize_t)i, o) : py.PyTuple_SetItem(c, (Py_ssize_t)i, o))) {
			py.Py_DecRef(c);
			return NULL;
		}
	}
	if (c && n) py.PyObject_GC_Track(c);
	return c;
}

static PyObject *read_dict(const uint8_t **p, const uint8_t *end, int depth, uint64_t n) {
	PyObject *d = py.PyDict_New();
	for (uint64_t i = 0; d && i < n; i++) {
		PyObject *k = counted_here() ? NULL : gilt_wire_read(p, end, depth + 1);
		PyObject *v = k ? gilt_wire_read(p, end, depth + 1) : NULL;
		int bad = !v || py.PyDict_SetItem(d, k, v);
		if (k) py.Py_DecRef(k);
		if (v) py.Py_DecRef(v);
		if (bad) {
			py.Py_DecRef(d);
			return NULL;
		}
	}
	return d;
}

static PyObject *read_numbers(const uint8_t **p, const uint8_t *end, uint8_t tag, uint64_t n) {
	if (n > (uint64_t)(end - *p) / 8) return broken();
	PyObject *l = py.PyList_New((Py_ssize_t)n);
	if (l && n) py.PyObject_GC_UnTrack(l); // as in read_items
	for (uint64_t i = 0; l && i < n; i++, *p += 8) {
		PyObject *o;
		if (counted_here()) o = NULL;
		else if (tag == 'L') {
			int64_t v;
			memcpy(&v, *p, 8);
			o = py.PyLong_FromLongLong(v);
		} else {
			double v;
			memcpy(&v, *p, 8);
			o = py.PyFloat_FromDouble(v);
		}
		if (!o || py.PyList_SetItem(l, (Py_ssize_t)i, o)) {
			py.Py_DecRef(l);
			return NULL;
		}
	}
	if (l && n) py.PyObject_GC_Track(l);
	return l;
}

static PyObject *read_big(const uint8_t *p, uint64_t n) {
	char *s = malloc(n + 1);
	if (!s) return broken();
	memcpy(s, p, n);
	s[n] = 0;
	PyObject *o = py.PyLong_FromString(s, NULL, 16);
	free(s);
	return o;
}

PyObject *gilt_wire_read(const uint8_t **p, const uint8_t *end, int depth) {
	if (depth == 0 && gilt_tls) begin_counting(gilt_tls);
	if (*p >= end) return broken();
	uint8_t tag = *(*p)++;
	if (tag == 'N') return incref(py._Py_NoneStruct);
	if (tag == 'T') return incref(py._Py_TrueStruct);
	if (tag == 'F') return incref(py._Py_FalseStruct);
	uint64_t v;
	if (take_u64(p, end, &v)) return broken();
	switch (tag) {
	case 'i': return py.PyLong_FromLongLong((int64_t)v);
	case 'u': return py.PyLong_FromUnsignedLongLong(v);
	case 'd': {
		double d;
		memcpy(&d, &v, 8);
		return py.PyFloat_FromDouble(d);
	}
	case 'O': return incref((PyObject *)(uintptr_t)v);
	case 's':
	case 'b':
	case 'B':
	case 'I': {
		if (v > (uint64_t)(end - *p)) return broken();
		const char *s = (const char *)*p;
		*p += v;
		if (GILT_UNLIKELY(v > 8 * GILT_VALUE_BYTES) && gilt_tls) gilt_tls->look -= (int64_t)(v / GILT_VALUE_BYTES);
		if (tag == 's') return gilt_new_str(s, v);
		if (tag == 'b') return gilt_new_bytes(s, v);
		return tag == 'B' ? gilt_new_bytearray(s, v) : read_big((const uint8_t *)s, v);
	}
	case 'L':
	case 'D': return read_numbers(p, end, tag, v);
	}
	if (depth >= MAX_DEPTH) {
		py.PyErr_Format(py.PyExc_RecursionError, "a Go value is nested deeper than %d", MAX_DEPTH);
		return NULL;
	}
	if (tag == 'l' || tag == 't') return read_items(p, end, depth, tag, v);
	return tag == 'm' ? read_dict(p, end, depth, v) : broken();
}

static int no_memory(void) {
	if (!py.PyErr_Occurred()) py.PyErr_SetString(py.PyExc_MemoryError, "gilt: no memory for a result");
	return -1;
}

static int write_int(gilt_thread *th, PyObject *o) {
	int overflow = 0;
	long long v = py.PyLong_AsLongLongAndOverflow(o, &overflow);
	if (!overflow) return v == -1 && py.PyErr_Occurred() ? -1 : gilt_put_head(th, 'i', (uint64_t)v) ? no_memory() : 0;
	PyObject *s = py.PyNumber_ToBase(o, 16); // "-0x…"
	if (!s) return -1;
	Py_ssize_t n;
	const char *p = py.PyUnicode_AsUTF8AndSize(s, &n);
	int bad = !p || (put_bytes(th, 'I', s, p, (size_t)n) && no_memory());
	py.Py_DecRef(s);
	return bad ? -1 : 0;
}

// Python code may run while a value is written: an __index__, and on 3.10 and 3.11 the garbage collector, and with it any
// __del__, runs whenever C makes an object that the collector tracks: the list of a range, an exception.
// That code may take out of a container what was borrowed from it. So whatever needs such an object while it
// is written, and each container, is held by a reference (write_held). None, bools, ints, floats, bytes and
// bytearrays, and their subclasses, need none: writing them runs no Python code and makes no such object
// (an int of more than 64 bits makes a str, which is not tracked), so they stay borrowed, at no cost. A str
// that is not UTF-8 makes an exception with itself in it: held on 3.10 and 3.11 only.

static int changed(const char *what) {
	py.PyErr_Clear();
	py.PyErr_Format(py.PyExc_RuntimeError, "%s changed size during iteration", what);
	return -1;
}

static int write_dict(gilt_thread *th, PyObject *d, int depth) {
	Py_ssize_t pos = 0, n = py.PyDict_Size(d), i = 0;
	int stop = 0;
	PyObject *k, *v; // borrowed; PyDict_Next itself copes with a dict that has changed
	if (gilt_put_head(th, 'm', (uint64_t)n)) return no_memory();
	for (; i < n && !(stop = counted(th)) && py.PyDict_Next(d, &pos, &k, &v); i++) {
		PyObject *t = gilt_type(k);
		int hold = t != py.PyLong_Type && (t != py.PyUnicode_Type || gilt_str_length(k) > GILT_LARGE / 4); // writing the key may drop the value
		if (hold) py.Py_IncRef(v);
		int bad = gilt_wire_write(th, k, depth + 1) || gilt_wire_write(th, v, depth + 1);
		if (hold) py.Py_DecRef(v);
		if (bad) return -1;
	}
	return stop ? -1 : i == n && py.PyDict_Size(d) == n ? 0 : changed("dictionary");
}

static int write_items(gilt_thread *th, PyObject *o, int depth, int list) {
	Py_ssize_t n = list ? py.PyList_Size(o) : py.PyTuple_Size(o), i = 0;
	if (gilt_put_head(th, list ? 'l' : 't', (uint64_t)n)) return no_memory();
	for (; i < n; i++) {
		if (counted(th)) return -1;
		PyObject *item = list ? py.PyList_GetItem(o, i) : py.PyTuple_GetItem(o, i); // borrowed
		if (GILT_UNLIKELY(!item)) break;
		if (gilt_wire_write(th, item, depth + 1)) return -1;
	}
	return i == n && (!list || py.PyList_Size(o) == n) ? 0 : changed("list");
}

static int write_str(gilt_thread *th, PyObject *o) {
	size_t before = th->nbuf;
	if (GILT_LIKELY(gilt_str_length(o) <= GILT_LARGE / 4)) {
		Py_ssize_t n;
		const char *p = py.PyUnicode_AsUTF8AndSize(o, &n);
		return !p ? -1 : put_bytes(th, 's', o, p, (size_t)n) ? no_memory() : 0;
	}
	if (gilt_put_str(th, o, 1)) return no_memory();
	return GILT_LIKELY(th->nbuf <= max_bytes) ? 0 : (th->nbuf = before, too_large(th, "bytes", max_bytes, "MaxBytes"));
}

// An object with __index__, which is an int where Go asks for one.
static int write_index(gilt_thread *th, PyObject *o) {
	PyObject *i = py.PyNumber_Index(o);
	if (!i) return -1;
	const char *name = gilt_type_name(o);
	int bad = put_bytes(th, 'x', o, name, strlen(name)) ? no_memory() : write_int(th, i);
	py.Py_DecRef(i);
	return bad;
}

static int write_held(gilt_thread *th, PyObject *o, PyObject *t, unsigned long flags, int depth) {
	if (flags & STR_SUB) return write_str(th, o);
	if (flags & (LIST_SUB | TUPLE_SUB | DICT_SUB)) {
		if (depth >= MAX_DEPTH) {
			py.PyErr_Format(py.PyExc_RecursionError, "a Python value is nested deeper than %d, or holds itself", MAX_DEPTH);
			return -1;
		}
		return flags & DICT_SUB ? write_dict(th, o, depth) : write_items(th, o, depth, (flags & LIST_SUB) != 0);
	}
	if (t == py.PyRange_Type) {
		PyObject *l = py.PySequence_List(o);
		int bad = !l || gilt_wire_write(th, l, depth);
		if (l) py.Py_DecRef(l);
		return bad ? -1 : 0;
	}
	if (py.PyIndex_Check(o)) return write_index(th, o);
	py.PyErr_Format(py.PyExc_TypeError, "cannot convert '%.200s' object to a Go value", gilt_type_name(o));
	return -1;
}

static int write_bytearray(gilt_thread *th, PyObject *o) {
	size_t n = (size_t)py.PyByteArray_Size(o);
	return fits(th, n) || gilt_put_head(th, 'b', n) || gilt_put_bytearray(th, o) ? no_memory() : 0;
}

static int write_float(gilt_thread *th, PyObject *o) {
	double d = py.PyFloat_AsDouble(o);
	uint64_t v;
	memcpy(&v, &d, 8);
	return gilt_put_head(th, 'd', v) ? no_memory() : 0;
}

// o may be borrowed from a container.
int gilt_wire_write(gilt_thread *th, PyObject *o, int depth) {
	if (depth == 0) begin_counting(th);
	if (o == py._Py_NoneStruct) return gilt_buf_byte(th, 'N') ? no_memory() : 0;
	if (o == py._Py_TrueStruct) return gilt_buf_byte(th, 'T') ? no_memory() : 0;
	if (o == py._Py_FalseStruct) return gilt_buf_byte(th, 'F') ? no_memory() : 0;
	PyObject *t = gilt_type(o);
	if (t == py.PyLong_Type) return write_int(th, o);
	if (t == py.PyFloat_Type) return write_float(th, o);
	unsigned long flags = py.PyType_GetFlags(t); // subclasses of the built-in types too
	if (flags & LONG_SUB) return write_int(th, o);
	if (flags & BYTES_SUB) {
		Py_ssize_t n;
		char *p = NULL;
		if (py.PyBytes_AsStringAndSize(o, &p, &n)) return -1;
		return put_bytes(th, 'b', o, p, (size_t)n) ? no_memory() : 0;
	}
	if (flags & STR_SUB && gilt_minor() >= 12) return write_str(th, o);
	if (!(flags & (STR_SUB | LIST_SUB | TUPLE_SUB | DICT_SUB))) {
		if (py.PyType_IsSubtype(t, py.PyByteArray_Type)) return write_bytearray(th, o);
		if (py.PyType_IsSubtype(t, py.PyFloat_Type)) return write_float(th, o);
	}
	py.Py_IncRef(o);
	int bad = write_held(th, o, t, flags, depth);
	py.Py_DecRef(o);
	return bad;
}
