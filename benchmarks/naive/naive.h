// The C-API functions that the naive embedder calls, each behind a function of its own: one crossing a
// call. The symbols are those of the libpython that gilt has loaded; no Python header is read.
#ifndef GILT_NAIVE_H
#define GILT_NAIVE_H

#include <stdint.h>
#include <sys/types.h>

typedef struct naive_object naive_object; // a PyObject
typedef struct naive_state naive_state;   // a PyThreadState

#define NAIVE_FUNCTIONS(X)                                                                                        \
	X(int, PyGILState_Ensure, (void), ())                                                                         \
	X(void, PyGILState_Release, (int g), (g))                                                                     \
	X(naive_state *, PyGILState_GetThisThreadState, (void), ())                                                   \
	X(naive_state *, PyEval_SaveThread, (void), ())                                                               \
	X(void, PyEval_RestoreThread, (naive_state * s), (s))                                                         \
	X(void, Py_DecRef, (naive_object * o), (o))                                                                   \
	X(naive_object *, PyLong_FromLongLong, (long long v), (v))                                                    \
	X(long long, PyLong_AsLongLong, (naive_object * o), (o))                                                      \
	X(naive_object *, PyFloat_FromDouble, (double v), (v))                                                        \
	X(double, PyFloat_AsDouble, (naive_object * o), (o))                                                          \
	X(naive_object *, PyUnicode_FromString, (const char *s), (s))                                                 \
	X(const char *, PyUnicode_AsUTF8, (naive_object * o), (o))                                                    \
	X(naive_object *, PyObject_GetAttrString, (naive_object * o, const char *name), (o, name))                    \
	X(naive_object *, PyImport_ImportModule, (const char *name), (name))                                          \
	X(naive_object *, PyTuple_New, (ssize_t n), (n))                                                              \
	X(int, PyTuple_SetItem, (naive_object * t, ssize_t i, naive_object *o), (t, i, o))                            \
	X(naive_object *, PyObject_CallObject, (naive_object * f, naive_object *args), (f, args))                     \
	X(naive_object *, PyObject_Call, (naive_object * f, naive_object *args, naive_object *kw), (f, args, kw))     \
	X(naive_object *, PyRun_StringFlags, (const char *s, int start, naive_object *g, naive_object *l, void *f), (s, start, g, l, f)) \
	X(naive_object *, PyDict_New, (void), ())                                                                     \
	X(int, PyDict_SetItemString, (naive_object * d, const char *k, naive_object *v), (d, k, v))                   \
	X(int, PyDict_Next, (naive_object * d, ssize_t *pos, naive_object **k, naive_object **v), (d, pos, k, v))     \
	X(naive_object *, PyList_New, (ssize_t n), (n))                                                               \
	X(int, PyList_SetItem, (naive_object * l, ssize_t i, naive_object *o), (l, i, o))                             \
	X(ssize_t, PyList_Size, (naive_object * l), (l))                                                              \
	X(naive_object *, PyList_GetItem, (naive_object * l, ssize_t i), (l, i))                                      \
	X(int, PyList_Append, (naive_object * l, naive_object *o), (l, o))                                            \
	X(naive_object *, PyErr_Occurred, (void), ())                                                                 \
	X(void, PyErr_Print, (void), ())                                                                              \
	X(void, PyErr_Fetch, (naive_object **t, naive_object **v, naive_object **tb), (t, v, tb))

#define X(ret, name, params, args) ret naive_##name params;
NAIVE_FUNCTIONS(X)
#undef X
naive_object *naive_call_method0(naive_object *o, naive_object *name);

// Fills the table; gives the first name that is not there, or NULL.
const char *naive_load(void);

// Ensure and Release with time stamps taken while the GIL is held, on the C side of the crossings.
int naive_ensure_stamped(int64_t *since);
int64_t naive_release_stamped(int g, int64_t since);

#endif
