// Loading libpython: dlopen, the symbol table, the version.
#define _GNU_SOURCE
#include "shim.h"
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>

struct gilt_api py;
static void *libpython;
static int minor_version;

char *gilt_sentence(const char *format, ...) {
	char *s = NULL;
	va_list ap;
	va_start(ap, format);
	if (vasprintf(&s, format, ap) < 0) s = NULL;
	va_end(ap);
	return s ? s : strdup("out of memory");
}

// Fills the table. Gives the first name that is missing though this version has it, or NULL.
static const char *fill(void *lib, int minor) {
	int version = 300 + minor;
#define PY_FUN(ret, name, args) \
	if (!(py.name = (ret(*) args)dlsym(lib, #name))) return #name;
#define PY_OPT(since, ret, name, args) py.name = (ret(*) args)dlsym(lib, #name);
#define PY_VAR(name) \
	if (!(py.name = (PyObject *)dlsym(lib, #name))) return #name;
#define PY_REF(name)                                         \
	{                                                        \
		PyObject **at = (PyObject **)dlsym(lib, #name);      \
		if (!at) return #name;                               \
		py.name = (PyObject *)at; /* read by fill_refs */    \
	}
#include "symbols.h"
#undef PY_FUN
#undef PY_OPT
#undef PY_VAR
#undef PY_REF
	if (!py.PyObject_GetOptionalAttr) py.PyObject_GetOptionalAttr = py._PyObject_LookupAttr;
	if (!py.PyObject_GetOptionalAttr) return "PyObject_GetOptionalAttr";
	if (version >= 312 && !py.Py_NewInterpreterFromConfig) return "Py_NewInterpreterFromConfig";
	if (version >= 314 && !py.PyInitConfig_Create) return "PyInitConfig_Create";
	if (version < 314 && !py._PyConfig_InitCompatConfig) return "_PyConfig_InitCompatConfig";
	if (version < 312 && !py._PyEval_SetTrace) return "_PyEval_SetTrace";
	return NULL;
}

// The exception classes are pointers that Python fills when it starts.
void gilt_fill_refs(void) {
#define PY_FUN(ret, name, args)
#define PY_OPT(since, ret, name, args)
#define PY_VAR(name)
#define PY_REF(name) py.name = *(PyObject **)py.name;
#include "symbols.h"
#undef PY_FUN
#undef PY_OPT
#undef PY_VAR
#undef PY_REF
}

char *gilt_load(const char *path, int min_minor, int max_minor) {
	// RTLD_LOCAL first: a second libpython opened with RTLD_GLOBAL crashes the process, so only the
	// one that is taken is promoted.
	void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!lib) return gilt_sentence("cannot load %s: %s", path, dlerror());
	const char *(*get_version)(void) = (const char *(*)(void))dlsym(lib, "Py_GetVersion");
	int major = 0, minor = 0;
	char *err = NULL;
	if (!get_version || sscanf(get_version(), "%d.%d", &major, &minor) != 2)
		err = gilt_sentence("%s is not a Python library: it has no Py_GetVersion", path);
	else if (major != 3 || minor < min_minor || minor > max_minor)
		err = gilt_sentence("%s is CPython %d.%d; gilt runs 3.%d to 3.%d", path, major, minor, min_minor, max_minor);
	const char *missing = err ? NULL : fill(lib, minor);
	if (missing) err = gilt_sentence("%s (CPython %d.%d) does not export %s, which gilt needs: is it a complete build?", path, major, minor, missing);
	// Extension modules find Python's symbols through the global scope.
	if (!err && !dlopen(path, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD))
		err = gilt_sentence("cannot make the symbols of %s visible to extension modules: %s", path, dlerror());
	if (err) {
		dlclose(lib);
		return err;
	}
	libpython = lib;
	minor_version = minor;
	return NULL;
}

const char *gilt_version(void) { return py.Py_GetVersion(); }
int gilt_minor(void) { return minor_version; }
void *gilt_symbol(const char *name) { return dlsym(libpython, name); }
int gilt_has(const char *name) { return gilt_symbol(name) != NULL; }
