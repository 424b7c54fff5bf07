// Bits of PyType_GetFlags by which CPython marks the subclasses of its built-in types (object.h). They say
// what memory an object has, where isinstance says what its __class__ claims (Mock(spec=…), weakref.proxy).
#ifndef GILT_TYPEFLAGS_H
#define GILT_TYPEFLAGS_H

enum { LONG_SUB = 1 << 24, LIST_SUB = 1 << 25, TUPLE_SUB = 1 << 26, BYTES_SUB = 1 << 27, STR_SUB = 1 << 28, DICT_SUB = 1 << 29 };

#endif
