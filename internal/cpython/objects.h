// What the files that handle objects share of them.
#ifndef GILT_OBJECTS_H
#define GILT_OBJECTS_H

#include "shim.h"

// Bits of PyType_GetFlags by which CPython marks the subclasses of its built-in types (object.h). They say
// what memory an object has, where isinstance says what its __class__ claims (Mock(spec=…), weakref.proxy).
enum { LONG_SUB = 1 << 24, LIST_SUB = 1 << 25, TUPLE_SUB = 1 << 26, BYTES_SUB = 1 << 27, STR_SUB = 1 << 28, DICT_SUB = 1 << 29, EXCEPTION_SUB = 1 << 30 };

// A name that Go gives (an attribute, a method, a module), as a new reference; NULL with an exception when it
// is not UTF-8. Interned names are found faster, but on 3.12 they are immortal, and names from Go may be data.
static inline PyObject *gilt_name(const char *s, uint64_t n) {
	PyObject *o = py.PyUnicode_DecodeUTF8(s, (Py_ssize_t)n, "strict");
	if (o && gilt_minor() != 12) py.PyUnicode_InternInPlace(&o);
	return o;
}

// wire.c: gives back most of a large result buffer that holds little now. p, when it points to the buffer's
// start, is kept pointing there.
enum { LARGE_BUFFER = 1 << 20 };
void gilt_buf_shrink(gilt_thread *th, const uint8_t **p);

#endif
