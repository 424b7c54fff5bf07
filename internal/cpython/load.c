// Loading libpython: dlopen, the symbol table, the version; and whether somebody else has started one.
#define _GNU_SOURCE
#include "shim.h"
#include <dlfcn.h>
#ifdef __linux__
#include <link.h>
#endif
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
	if (!py._PyConfig_InitCompatConfig) return "_PyConfig_InitCompatConfig";
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

// A sentence about the Python that runs, if it is one of that handle's; else NULL.
static char *running_in(void *handle) {
	int (*initialized)(void) = (int (*)(void))dlsym(handle, "Py_IsInitialized");
	if (!initialized || !initialized()) return NULL;
	const char *(*version)(void) = (const char *(*)(void))dlsym(handle, "Py_GetVersion");
	Dl_info in = {0};
	dladdr((void *)initialized, &in);
	return gilt_sentence("CPython %s in %s", version ? version() : "?", in.dli_fname ? in.dli_fname : "?");
}

#ifdef __linux__
typedef struct { char **names; size_t n, cap; } loaded;

static int note_name(struct dl_phdr_info *info, size_t size, void *arg) {
	loaded *l = arg;
	if (!info->dlpi_name || !*info->dlpi_name) return 0; // the program itself
	if (l->n == l->cap) {
		char **names = realloc(l->names, (l->cap * 2 + 64) * sizeof *names);
		if (!names) return 1;
		l->names = names, l->cap = l->cap * 2 + 64;
	}
	if ((l->names[l->n] = strdup(info->dlpi_name))) l->n++;
	return 0;
}
#endif

// A sentence about a Python that runs in this process, NULL when there is none. Called before gilt has loaded its own. The
// program may be python3, statically linked or not; or a library that it has loaded may have started a Python, whose
// symbols are nobody else's to see.
char *gilt_running(void) {
	char *found = running_in(RTLD_DEFAULT);
#ifdef __linux__
	loaded l = {0};
	if (!found) dl_iterate_phdr(note_name, &l); // whose lock is held there: so the libraries are opened after it
	for (size_t i = 0; i < l.n; i++) {
		void *lib = found ? NULL : dlopen(l.names[i], RTLD_LAZY | RTLD_LOCAL | RTLD_NOLOAD);
		if (lib) {
			found = running_in(lib);
			dlclose(lib);
		}
		free(l.names[i]);
	}
	free(l.names);
#endif
	return found;
}

// Loads that library as another part of the program would, and starts its Python. For tests, see fault.go.
int gilt_load_strange(const char *path, int global, int start) {
	void *lib = dlopen(path, RTLD_NOW | (global ? RTLD_GLOBAL : RTLD_LOCAL));
	void (*initialize)(int) = lib ? (void (*)(int))dlsym(lib, "Py_InitializeEx") : NULL;
	if (!initialize) return -1;
	if (start) initialize(0);
	return 0;
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
