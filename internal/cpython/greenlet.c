// Greenlets: several stacks of Python code on one OS thread, of which one at a time lies on the thread's stack. Go knows one
// stack for a thread: its functions that are called from C, and call C again, end in the order in which they began. So a
// greenlet that is inside a Go function, which has called Python, must be the first to go on in Go. Go itself would end
// the process ("exitsyscall: syscall frame is no longer valid").
//
// Two looks keep that order. A greenlet that calls a Go function which uses Python is refused while another greenlet is inside
// a Go function (gilt_greenlet_call). A crossing that comes back to Go while another greenlet is inside a Go function has a
// RuntimeError thrown into that greenlet first, until it has left (gilt_greenlets_leave).
#include "greenlet.h"
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { GET_CURRENT = 4, THROW = 5, THROWS = 16 }; // of greenlet's C API, in greenlet.h since 0.3

static PyObject *current(gilt_interp *it) { // borrowed: it is alive as long as it runs or is inside a function
	PyObject *g = ((PyObject * (*)(void)) it->greenlets[GET_CURRENT])();
	if (g) py.Py_DecRef(g);
	else py.PyErr_Clear();
	return g;
}

// sys.modules is about to change: before 3.12 the dict itself counts its changes. With the GIL.
static int changes(int event, PyObject *dict, PyObject *key, PyObject *value) {
	for (int i = 0; i < gilt_ninterps; i++)
		if (gilt_interps[i]->is == py.PyThreadState_GetInterpreter(py.PyThreadState_Get())) gilt_interps[i]->modules_changes++;
	return 0;
}

int gilt_greenlets_watch(gilt_interp *it) {
	if (py.PyDict_AddWatcher) {
		int watcher = py.PyDict_AddWatcher(changes);
		it->modules_version = &it->modules_changes;
		it->modules_changes = 1; // nothing was seen yet
		return watcher < 0 ? -1 : py.PyDict_Watch(watcher, it->names.modules);
	}
	// The word after its size, ma_version_tag: PyDictObject (cpython/dictobject.h) of 3.10 and 3.11.
	it->modules_version = (uint64_t *)((char *)it->names.modules + gilt_at.dict_used + sizeof(Py_ssize_t));
	return 0;
}

// sys.modules has changed: greenlet may have been imported. It is a module of the main interpreter only.
void gilt_greenlets_find(gilt_interp *it) {
	it->modules_seen = *it->modules_version; // first: the look may run Python code
	PyObject *name = py.PyUnicode_InternFromString("greenlet._greenlet"), *key = py.PyUnicode_InternFromString("_C_API");
	PyObject *m = name && key ? py.PyImport_GetModule(name) : NULL;
	PyObject *capsule = m ? py.PyObject_GetAttr(m, key) : NULL;
	if (capsule) it->greenlets = py.PyCapsule_GetPointer(capsule, "greenlet._C_API");
	py.PyErr_Clear();
	if (capsule) py.Py_DecRef(capsule);
	if (m) py.Py_DecRef(m);
	if (name) py.Py_DecRef(name);
	if (key) py.Py_DecRef(key);
}

// The mark of a call lies where that call's frame is, as long as no other greenlet's frames lie there: then what runs now
// was started below it, and ends before it.
static int in_place(gilt_task *t, gilt_mark *here) {
	volatile gilt_mark *m = t->mark;
	return (uintptr_t)m > (uintptr_t)here && m->serial == t->serial && m->check == ~t->serial;
}

int gilt_greenlet_call(gilt_thread *th, gilt_interp *it, int uses_python, gilt_mark *here, gilt_from *from) {
	*from = (gilt_from){.greenlet = current(it)};
	size_t n = th->ntasks;
	while (n > 0 && !th->tasks[n - 1].mark) n--;
	if (n == 0) return 0; // no call of a Go function is open on this thread; those from before greenlet was imported are the thread's own
	gilt_task *t = &th->tasks[n - 1];
	int other = t->greenlet != from->greenlet && !in_place(t, here);
	if (other && (uses_python || t->converting)) {
		py.PyErr_SetString(py.PyExc_RuntimeError, "gilt: another greenlet of this thread is inside a Go function that has called Python: until it has returned, "
		                                          "no other greenlet can call a Go function that uses Python (do not switch greenlets there, or make the Go function Native)");
		return -1;
	}
	from->across = other || t->across;
	return 0;
}

void gilt_greenlet_opened(gilt_thread *th, gilt_mark *mark, gilt_from *from) {
	gilt_task *t = &th->tasks[th->ntasks - 1];
	mark->serial = t->serial, mark->check = ~t->serial;
	t->mark = mark, t->greenlet = from->greenlet, t->across = (uint8_t)from->across, t->converting = 1;
}

static const char LEAVE[] = "gilt: this greenlet is inside a Go function that has called Python, and what runs below that Go function goes on in Go: Go functions "
                            "end in the order in which they began, so switch back to the greenlet before that";

static void fatal(void) {
	static const char text[] = "gilt: fatal: greenlets: a greenlet stays inside a Go function, which called Python, and another one goes on in the Go code below. Go has one stack "
	                           "for a thread. Do not switch greenlets inside a Python function that Go calls, or let none go on before that function has returned.\n";
	(void)!write(2, text, sizeof text - 1);
	signal(SIGABRT, SIG_DFL); // else Go's handler writes pages
	abort();
}

static PyObject *other_inside(gilt_thread *th, gilt_interp *it) { // borrowed, or NULL; without an exception
	PyObject *inside = th->ntasks ? th->tasks[th->ntasks - 1].greenlet : NULL;
	return inside && inside != current(it) ? inside : NULL;
}

int gilt_greenlets_leave(gilt_thread *th, gilt_interp *it) {
	if (GILT_LIKELY(th->ntasks == 0 || !th->tasks[th->ntasks - 1].greenlet)) return 0;
	PyObject *type, *value, *tb;
	py.PyErr_Fetch(&type, &value, &tb); // greenlet clears it when it has greenlets of this thread to drop
	PyObject *g = other_inside(th, it);
	if (GILT_LIKELY(!g)) {
		if (type) py.PyErr_Restore(type, value, tb);
		return 0;
	}
	PyObject *text = py.PyUnicode_InternFromString(LEAVE);
	for (int i = 0; g; i++) {
		if (i == THROWS || !text) fatal();
		PyObject *o = ((PyObject * (*)(PyObject *, PyObject *, PyObject *, PyObject *)) it->greenlets[THROW])(g, py.PyExc_RuntimeError, text, NULL);
		if (o) py.Py_DecRef(o);
		else py.PyErr_Clear();
		g = other_inside(th, it);
	}
	py.Py_DecRef(text);
	if (type) py.PyErr_Restore(type, value, tb);
	else py.PyErr_SetString(py.PyExc_RuntimeError, "gilt: a greenlet was still inside a Go function when what runs below that function went on in Go: a RuntimeError was raised in the greenlet");
	return 1;
}
