// The names under which exception classes can be imported: json.JSONDecodeError is made in json.decoder, and socket.timeout is
// the built-in TimeoutError. A class knows its own name only. So the imported modules are searched for classes, whenever their
// number has changed since an exception was captured last.
#include "objects.h"

static const unsigned long TYPE_SUB = 1UL << 31;

typedef struct gilt_alias { PyObject *class, *module, *name; } alias; // owned
typedef struct { alias *of; size_t n, cap; int lost; } found;

static int is_exception_class(PyObject *o) {
	return py.PyType_GetFlags(gilt_type(o)) & TYPE_SUB && py.PyType_GetFlags(o) & EXCEPTION_SUB;
}

static int is_text(PyObject *o) { return (py.PyType_GetFlags(gilt_type(o)) & STR_SUB) != 0; }

static void add_alias(found *f, PyObject *class, PyObject *module, PyObject *name) {
	if (f->n == f->cap) {
		size_t cap = f->cap ? 2 * f->cap : 256;
		alias *more = realloc(f->of, cap * sizeof *more);
		if (!more) {
			f->lost = 1;
			return;
		}
		f->of = more, f->cap = cap;
	}
	py.Py_IncRef(class);
	py.Py_IncRef(module);
	py.Py_IncRef(name);
	f->of[f->n++] = (alias){class, module, name};
}

static int by_class(const void *a, const void *b) {
	uintptr_t x = (uintptr_t)((const alias *)a)->class, y = (uintptr_t)((const alias *)b)->class;
	return x < y ? -1 : x > y;
}

// Makes no object of Python's and runs no Python code, so that no module and no dict changes meanwhile.
static void search(PyObject *modules, found *f) {
	Py_ssize_t pos = 0;
	for (PyObject *module_name, *module; py.PyDict_Next(modules, &pos, &module_name, &module);) { // borrowed
		if (!is_text(module_name) || !py.PyType_IsSubtype(gilt_type(module), py.PyModule_Type)) continue;
		PyObject *dict = py.PyModule_GetDict(module); // borrowed from module
		Py_ssize_t at = 0;
		for (PyObject *name, *o; dict && py.PyDict_Next(dict, &at, &name, &o);)
			if (is_exception_class(o) && is_text(name)) add_alias(f, o, module_name, name);
	}
	if (f->n) qsort(f->of, f->n, sizeof *f->of, by_class);
}

static void drop(alias *of, size_t n) {
	for (size_t i = 0; i < n; i++) {
		py.Py_DecRef(of[i].class);
		py.Py_DecRef(of[i].module);
		py.Py_DecRef(of[i].name);
	}
	free(of);
}

void gilt_aliases_look(gilt_interp *it) {
	PyObject *modules = it->names.modules;
	Py_ssize_t n = modules ? py.PyDict_Size(modules) : it->searched;
	if (GILT_LIKELY(n == it->searched)) return;
	found f = {0};
	search(modules, &f);
	alias *old = it->aliases;
	size_t nold = it->naliases;
	it->aliases = f.of, it->naliases = f.n;
	it->searched = f.lost ? -1 : n;
	it->heads++; // the classes' heads that are kept are older
	drop(old, nold); // last: it may run Python code
}

void gilt_aliases_clear(gilt_interp *it) {
	alias *old = it->aliases;
	size_t n = it->naliases;
	it->aliases = NULL, it->naliases = 0;
	drop(old, n);
}

size_t gilt_aliases(gilt_interp *it, PyObject *class, PyObject **pairs, size_t most) {
	size_t low = 0, high = it->naliases, n = 0;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if ((uintptr_t)it->aliases[middle].class < (uintptr_t)class) low = middle + 1;
		else high = middle;
	}
	for (; n < most && low < it->naliases && it->aliases[low].class == class; n++, low++) {
		py.Py_IncRef(pairs[2 * n] = it->aliases[low].module);
		py.Py_IncRef(pairs[2 * n + 1] = it->aliases[low].name);
	}
	return n;
}
