// What the files that handle objects share of them.
#ifndef GILT_OBJECTS_H
#define GILT_OBJECTS_H

#include "shim.h"

// Bits of PyType_GetFlags by which CPython marks the subclasses of its built-in types (object.h). They say
// what memory an object has, where isinstance says what its __class__ claims (Mock(spec=…), weakref.proxy).
enum { LONG_SUB = 1 << 24, LIST_SUB = 1 << 25, TUPLE_SUB = 1 << 26, BYTES_SUB = 1 << 27, STR_SUB = 1 << 28, DICT_SUB = 1 << 29, EXCEPTION_SUB = 1 << 30 };

// names.c: a name that Go gives (an attribute, a method, a module, a keyword), as a new reference; NULL with an
// exception when it is not UTF-8.
PyObject *gilt_name(gilt_interp *it, const char *s, uint64_t n);
PyObject *gilt_name_tuple(gilt_interp *it, const char *s, uint64_t n); // (name,)
void gilt_known_clear(gilt_interp *it);

// aliases.c: the names of exception classes in modules.
void gilt_aliases_look(gilt_interp *it); // may run Python code; leaves the error indicator clear
size_t gilt_aliases(gilt_interp *it, PyObject *class, PyObject **pairs, size_t most); // how many of a module and a name, owned
void gilt_aliases_clear(gilt_interp *it);

// locals.c: has the local variables of the exception's frames go, if nobody else can see them. It may run Python code; the error
// indicator is clear then.
void gilt_drop_locals(gilt_interp *it, PyObject *exc);

// A reference is Go's from now on.
static inline void gilt_own(gilt_interp *it) {
	atomic_store_explicit(&it->owned, atomic_load_explicit(&it->owned, memory_order_relaxed) + 1, memory_order_relaxed);
}

// classes.c
PyObject *gilt_class(gilt_interp *it, int c); // borrowed from it, or NULL with an exception
int gilt_is(gilt_interp *it, PyObject *o, int c); // 0, or -1 with an exception, a TypeError that says what o is not
void gilt_classes_clear(gilt_interp *it);

// object.c
PyObject *gilt_evaluate(gilt_interp *it, const char *expression); // in a namespace of its own; a new reference, or NULL with an exception
void gilt_operate(gilt_thread *th, gilt_interp *it, int op, PyObject *o, PyObject *a, PyObject *b, int rkind, gilt_res *r); // a and b borrowed

// call.c
PyObject *gilt_fn_object(gilt_interp *it, gilt_fn *fn); // looked up once: borrowed from fn, or NULL with an exception
PyObject *gilt_fn_call_object(gilt_interp *it, PyObject *f, int akind, int64_t ai, const uint8_t *w, uint64_t wn);
PyObject *gilt_argument(int akind, int64_t ai, const uint8_t *w, uint64_t wn); // a new reference, or NULL with an exception
PyObject *gilt_vectorcall(PyObject *f, PyObject *const *args, size_t n, PyObject *names);
static const size_t GILT_ARGUMENTS_OFFSET = (size_t)1 << (sizeof(size_t) * 8 - 1); // PY_VECTORCALL_ARGUMENTS_OFFSET

// large.c. What is larger is copied in parts of that size, or without the GIL.
enum { GILT_LARGE = 1 << 18, GILT_VALUE_BYTES = 32 }; // a value is as much work as so many bytes
PyObject *gilt_new_bytes(const char *p, uint64_t n); // new references, or NULL with an exception
PyObject *gilt_new_bytearray(const char *p, uint64_t n);
PyObject *gilt_new_str(const char *p, uint64_t n); // of UTF-8
// These append to th->buf: 0, or -1, with an exception unless there is no memory. Other Python code may run meanwhile.
int gilt_put_large(gilt_thread *th, PyObject *owner, const void *p, size_t n);
static inline int gilt_put_of(gilt_thread *th, PyObject *owner, const void *p, size_t n) { // owner's memory, which does not change as long as owner lives
	if (GILT_UNLIKELY(n > GILT_LARGE)) return gilt_put_large(th, owner, p, n);
	th->look -= (int64_t)(n / GILT_VALUE_BYTES);
	return gilt_buf_put(th, p, n);
}
int gilt_put_bytearray(gilt_thread *th, PyObject *o);
int gilt_put_str(gilt_thread *th, PyObject *o, int tagged); // its UTF-8, after a head if it is to be tagged
// Lets others have the GIL if they may have asked for it. 0, or -1 with an exception when the task is interrupted. A thread that waits asks when its wait
// has taken the switch interval, and begins to wait anew whenever the GIL is given up. So it is given up no more often.
int gilt_give_way(gilt_thread *th);

// wire.c: gives back most of a large result buffer that holds little now. p, when it points to the buffer's
// start, is kept pointing there.
enum { LARGE_BUFFER = 1 << 20 };
void gilt_buf_shrink(gilt_thread *th, const uint8_t **p);

void gilt_options(int *dev_mode);
#endif
