// gilt.Cancelled, the class of what the canceller raises, and gilt.ConversionLimitError. Python code reaches such a class as the type of
// what it catches. So nobody may change it: an __init__, __new__ or __eq__ of somebody's would run wherever an interruption comes. It is
// immutable and final.
#include "objects.h"

typedef struct { int slot; void *value; } type_slot; // PyType_Slot and PyType_Spec: fixed, see RULES of the stable ABI
typedef struct {
	const char *name;
	int basicsize, itemsize;
	unsigned int flags;
	type_slot *slots;
} type_spec;

enum { TP_DOC = 56, IMMUTABLE = 1 << 8, DEFAULT = 1 << 18 };

static PyObject *make(const char *name, char *doc, PyObject *base) { // a new reference, or NULL with an exception; name and doc live for ever
	type_slot slots[] = {{TP_DOC, doc}, {0, NULL}};
	type_spec spec = {.name = name, .flags = DEFAULT | IMMUTABLE, .slots = slots};
	PyObject *bases = py.PyTuple_New(1), *type = NULL;
	if (!bases) return NULL;
	py.Py_IncRef(base);
	if (!py.PyTuple_SetItem(bases, 0, base)) type = py.PyType_FromSpecWithBases(&spec, bases); // steals the base
	py.Py_DecRef(bases);
	return type;
}

PyObject *gilt_make_cancelled(void) {
	static char doc[] = "Raised by gilt in Python code whose context has ended.";
	return make("gilt.Cancelled", doc, py.PyExc_BaseException);
}

PyObject *gilt_limit_error(gilt_interp *it) {
	static char doc[] = "Raised by gilt when a value is too large to be converted.";
	if (!it->limit_error) it->limit_error = make("gilt.ConversionLimitError", doc, py.PyExc_ValueError);
	return it->limit_error;
}

gilt_res gilt_limit_error_object(gilt_thread *th, uint64_t serial) {
	gilt_res r = {0};
	if (gilt_op_begin(th, serial, &r)) return r;
	PyObject *class = gilt_limit_error(th->attached);
	if (class) py.Py_IncRef(class);
	gilt_result(th, th->attached, class, GILT_R_OBJECT, &r);
	gilt_op_end(th, &r);
	return r;
}
