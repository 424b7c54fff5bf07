// Who holds the GIL. CPython does not say it from another thread, but its GIL begins with a few words of
// memory: the switch interval, who took it last, whether it is taken, how often it changed hands. A look takes
// about 1 ns. Only the interval is ever written, as sys.setswitchinterval does, without the GIL (gilt_attach).
//
// Where they lie is not declared; it is found at start and proved, as the place of an object's type is
// (start.c). Each GIL begins with its switch interval in microseconds, the thread state that took it last
// and an int that is 1 while it is taken, then a count of switches (struct _gil_runtime_state, the same from 3.10 to 3.14). So the
// interval is set to a number that nothing else holds, _PyRuntime, whose size the library's own symbol
// table tells, is searched for it next to our thread state and a 1, and the find must follow a second
// number and turn 0 when we detach. Where that fails, an interpreter's gil stays NULL: it cannot be told.
#define _GNU_SOURCE
#include "shim.h"
#include <dlfcn.h>
#ifdef __linux__
#include <link.h>
#endif

static ptrdiff_t offset; // of an interpreter's GIL in its PyInterpreterState, 3.12 on

int gilt_set_switch_interval(double seconds) {
	PyObject *sys = py.PyImport_ImportModule("sys");
	PyObject *name = sys ? py.PyUnicode_InternFromString("setswitchinterval") : NULL;
	PyObject *value = name ? py.PyFloat_FromDouble(seconds) : NULL;
	PyObject *args[2] = {sys, value};
	PyObject *r = value ? py.PyObject_VectorcallMethod(name, args, 2, NULL) : NULL;
	if (r) py.Py_DecRef(r);
	if (value) py.Py_DecRef(value);
	if (name) py.Py_DecRef(name);
	if (sys) py.Py_DecRef(sys);
	return r ? 0 : -1;
}

enum { METH_O = 0x08 };
static double most_seconds;

// sys.setswitchinterval for Python code: self is CPython's own. A thread that waits in CPython's own queue asks the holder only
// after the interval as it was when the wait began, and nobody can shorten such a wait. It may be a task of ours that was
// forced off, or the canceller that came a moment too late. So there is a most.
static PyObject *set_interval(PyObject *self, PyObject *seconds) {
	double d = py.PyFloat_AsDouble(seconds);
	py.PyErr_Clear(); // CPython's own says what is wrong
	PyObject *most = d > most_seconds ? py.PyFloat_FromDouble(most_seconds) : NULL;
	if (!most && d > most_seconds) return NULL;
	PyObject *r = py.PyObject_VectorcallDict(self, most ? &most : &seconds, 1, NULL);
	if (most) py.Py_DecRef(most);
	return r;
}

// Puts it into the interpreter that is current. 0, or -1 with an exception.
int gilt_limit_switch_interval(double most) {
	static struct { // PyMethodDef
		const char *name;
		PyObject *(*call)(PyObject *self, PyObject *seconds);
		int flags;
		const char *doc;
	} def = {"setswitchinterval", set_interval, METH_O,
	         "setswitchinterval($module, interval, /)\n--\n\nSet the ideal thread switching delay inside the Python interpreter.\n\n"
	         "gilt takes no more than 5 ms, or what its Config.SwitchInterval says: longer ones would make deadlines late."};
	most_seconds = most;
	PyObject *sys = py.PyImport_ImportModule("sys"), *name = py.PyUnicode_InternFromString(def.name), *module = py.PyUnicode_InternFromString("sys");
	PyObject *own = sys && name && module ? py.PyObject_GetAttr(sys, name) : NULL;
	PyObject *f = own ? py.PyCFunction_NewEx(&def, own, module) : NULL;
	int bad = !f || py.PyObject_SetAttr(sys, name, f);
	PyObject *owned[] = {sys, name, module, own, f};
	for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
		if (owned[i]) py.Py_DecRef(owned[i]);
	return bad ? -1 : 0;
}

gilt_gil_words gilt_interp_words(gilt_interp *it) {
	return (gilt_gil_words){it->gil ? (int32_t *)&it->gil->locked : NULL, (uint64_t *)&it->newest, (uint64_t *)&it->asked, (uint64_t *)&it->got, (int64_t *)&it->tended};
}

static int is_gil(struct gilt_gil *g, unsigned long interval, PyThreadState *holder) {
	return atomic_load(&g->interval) == interval && atomic_load(&g->last_holder) == holder && atomic_load(&g->locked) == 1;
}

#ifdef __linux__
// The one place in _PyRuntime that looks like a taken GIL with that interval; NULL for none or several.
static struct gilt_gil *search(unsigned long interval, PyThreadState *holder) {
	void *runtime = gilt_symbol("_PyRuntime");
	Dl_info info;
	const ElfW(Sym) *sym = NULL;
	// SAFETY: only the memory of the object _PyRuntime is read, whose size its own symbol tells.
	if (!runtime || !dladdr1(runtime, &info, (void **)&sym, RTLD_DL_SYMENT) || !sym || info.dli_saddr != runtime) return NULL;
	struct gilt_gil *found = NULL;
	for (size_t at = 0; at + sizeof *found <= sym->st_size; at += sizeof(void *)) {
		struct gilt_gil *g = (struct gilt_gil *)((char *)runtime + at);
		if (!is_gil(g, interval, holder)) continue;
		if (found) return NULL;
		found = g;
	}
	return found;
}
#else
static struct gilt_gil *search(unsigned long interval, PyThreadState *holder) { return NULL; }
#endif

// With ts, a state of it, current. Leaves the switch interval at something: set it afterwards.
void gilt_gil_find(gilt_interp *it, PyThreadState *ts) {
	static const unsigned long marks[2] = {48611, 104729};
	struct gilt_gil *g = NULL;
	for (int i = 0; i < 2; i++) {
		if (gilt_set_switch_interval((double)marks[i] / 1e6)) {
			py.PyErr_Clear();
			return;
		}
		struct gilt_gil *found = it->id == 0 ? search(marks[i], ts) : offset ? (struct gilt_gil *)((char *)it->is + offset) : NULL;
		if (!found || (g && g != found) || !is_gil(found, marks[i], ts)) return;
		g = found;
	}
	py.PyEval_SaveThread();
	int taken = atomic_load(&g->locked);
	py.PyEval_RestoreThread(ts);
	if (taken) return;
	if (it->id == 0 && gilt_minor() >= 12) offset = (char *)g - (char *)it->is;
	it->gil = g;
}
