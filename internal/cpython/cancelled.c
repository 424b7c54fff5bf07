// gilt.Cancelled, the class of what the canceller raises. Python code reaches it as the type of what it catches. So nobody may
// change it: an __init__, __new__ or __eq__ of somebody's would run wherever an interruption comes. It is immutable and final.
#include "objects.h"

typedef struct { int slot; void *value; } type_slot; // PyType_Slot and PyType_Spec: fixed, see RULES of the stable ABI
typedef struct {
	const char *name;
	int basicsize, itemsize;
	unsigned int flags;
	type_slot *slots;
} type_spec;

enum { TP_DOC = 56, IMMUTABLE = 1 << 8, DEFAULT = 1 << 18 };

PyObject *gilt_make_cancelled(void) { // a new reference, or NULL with an exception
	static char doc[] = "Raised by gilt in Python code whose context has ended.";
	static type_slot slots[] = {{TP_DOC, doc}, {0, NULL}};
	static type_spec spec = {.name = "gilt.Cancelled", .flags = DEFAULT | IMMUTABLE, .slots = slots}; // 3.10 keeps name
	PyObject *bases = py.PyTuple_New(1);
	if (!bases) return NULL;
	py.Py_IncRef(py.PyExc_BaseException);
	PyObject *type = NULL;
	if (!py.PyTuple_SetItem(bases, 0, py.PyExc_BaseException)) type = py.PyType_FromSpecWithBases(&spec, bases); // steals the base
	py.Py_DecRef(bases);
	return type;
}
