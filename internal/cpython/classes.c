// The classes of Python's own objects. Most of them have no name that C could ask for, so each is an expression, evaluated
// at its first use in an interpreter.
#include "objects.h"

static const char *const expressions[GILT_C_COUNT] = {
#define CLASS(code, expression) [code] = expression,
#include "classes.h"
#undef CLASS
};

PyObject *gilt_class(gilt_interp *it, int c) {
	if (GILT_LIKELY(it->own[c] != NULL)) return it->own[c];
	if (c == GILT_C_CAPSULE) {
		py.Py_IncRef(py.PyCapsule_Type);
		return it->own[c] = py.PyCapsule_Type;
	}
	PyObject *class = gilt_evaluate(it, expressions[c]); // may run Python code, so that another thread may be first
	if (it->own[c]) {
		if (class) py.Py_DecRef(class);
		py.PyErr_Clear();
	} else it->own[c] = class;
	return it->own[c];
}

void gilt_classes_clear(gilt_interp *it) {
	for (int c = 0; c < GILT_C_COUNT; c++) {
		PyObject *class = it->own[c];
		it->own[c] = NULL;
		if (class) py.Py_DecRef(class);
	}
}

// Not isinstance, which asks for __class__, where memory is of a class; a protocol has no memory of its own.
static int is(gilt_interp *it, PyObject *o, int c) {
	PyObject *class = gilt_class(it, c);
	if (!class) return -1;
	if (c == GILT_C_ITERATOR) return py.PyIter_Check(o) != 0;
	if (c >= GILT_C_PROTOCOLS) return py.PyObject_IsInstance(o, class);
	return gilt_type(o) == class || py.PyType_IsSubtype(gilt_type(o), class);
}

int gilt_is(gilt_interp *it, PyObject *o, int c) {
	int yes = is(it, o, c);
	if (yes != 0) return yes > 0 ? 0 : -1;
	PyObject *key = py.PyUnicode_InternFromString("__name__"), *class = gilt_class(it, c);
	PyObject *name = key && class ? py.PyObject_GetAttr(class, key) : NULL;
	if (name) py.PyErr_Format(py.PyExc_TypeError, "'%.200s' object is not an instance of '%U'", gilt_type_name(o), name);
	if (name) py.Py_DecRef(name);
	if (key) py.Py_DecRef(key);
	return -1;
}
