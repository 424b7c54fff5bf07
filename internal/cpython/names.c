// Names that Go gives: kept as the str objects that they were the last time. CPython finds by identity what it
// finds fast, and making a str takes as long as a call.
#include "objects.h"

// Interned names are found faster, but on 3.12 they are immortal, and names from Go may be data.
static PyObject *fresh(const char *s, uint64_t n) {
	PyObject *o = py.PyUnicode_DecodeUTF8(s, (Py_ssize_t)n, "strict");
	if (o && gilt_minor() != 12) py.PyUnicode_InternInPlace(&o);
	return o;
}

// The first and the last eight bytes: all of a short name.
static inline void ends(const char *s, uint64_t n, uint64_t *a, uint64_t *b) {
	uint32_t x = 0, y = 0;
	if (n >= 8) memcpy(a, s, 8), memcpy(b, s + n - 8, 8);
	else if (n >= 4) memcpy(&x, s, 4), memcpy(&y, s + n - 4, 4), *a = x, *b = y;
	else *a = n ? (uint64_t)(uint8_t)s[0] | (uint64_t)(uint8_t)s[n / 2] << 8 | (uint64_t)(uint8_t)s[n - 1] << 16 : 0, *b = 0;
}

// Its place, filled; NULL for a name that is long, or with an exception. What the place holds may be replaced as soon
// as Python code runs.
static gilt_known *known(gilt_interp *it, const char *s, uint64_t n) {
	if (GILT_UNLIKELY(n > sizeof it->known->text)) return NULL;
	uint64_t a, b;
	ends(s, n, &a, &b);
	gilt_known *k = &it->known[((a ^ b * 0x9e3779b97f4a7c15u ^ n) * 0xbf58476d1ce4e5b9u) >> 56];
	if (GILT_LIKELY(k->name && k->n == n && k->first == a && k->last == b && (n <= 16 || !memcmp(k->text, s, n)))) return k;
	PyObject *o = fresh(s, n), *old[2] = {k->name, k->tuple};
	if (!o) return NULL;
	*k = (gilt_known){.name = o, .n = n, .first = a, .last = b};
	memcpy(k->text, s, n);
	for (int i = 0; i < 2; i++)
		if (old[i]) py.Py_DecRef(old[i]); // a str, or a tuple of one: no Python code runs
	return k;
}

PyObject *gilt_name(gilt_interp *it, const char *s, uint64_t n) {
	gilt_known *k = known(it, s, n);
	if (GILT_UNLIKELY(!k)) return py.PyErr_Occurred() ? NULL : fresh(s, n);
	py.Py_IncRef(k->name);
	return k->name;
}

PyObject *gilt_name_tuple(gilt_interp *it, const char *s, uint64_t n) {
	gilt_known *k = known(it, s, n);
	PyObject *t = k ? k->tuple : NULL;
	if (GILT_LIKELY(t != NULL)) {
		py.Py_IncRef(t);
		return t;
	}
	if (!k && py.PyErr_Occurred()) return NULL;
	PyObject *name = gilt_name(it, s, n);
	t = name ? py.PyTuple_New(1) : NULL; // it may run the garbage collector, and so Python code that takes the place
	if (t) {
		py.PyTuple_SetItem(t, 0, name); // steals name
		k = known(it, s, n);
		if (k && !k->tuple) py.Py_IncRef(k->tuple = t);
		py.PyErr_Clear();
	} else if (name) py.Py_DecRef(name);
	return t;
}

void gilt_known_clear(gilt_interp *it) {
	for (size_t i = 0; i < sizeof it->known / sizeof *it->known; i++) {
		if (it->known[i].name) py.Py_DecRef(it->known[i].name);
		if (it->known[i].tuple) py.Py_DecRef(it->known[i].tuple);
	}
	memset(it->known, 0, sizeof it->known);
}
