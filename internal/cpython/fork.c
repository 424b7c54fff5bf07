// Children made by fork (os.fork, multiprocessing's fork). Only the thread that forked is in the child, so nothing of Go's
// works there: no goroutine runs on another thread, and whoever held a lock holds it for ever. So whatever would enter Go
// raises RuntimeError, no lock of ours is asked for, and the child ends where its Python code would go back to Go.
#include "objects.h"
#include <signal.h>
#include <unistd.h>

int gilt_forked;

// Runs in the child before fork returns: it may only store.
static void in_child(void) {
	gilt_forked = 1;
	for (int i = 0; i < gilt_ninterps; i++) {
		gilt_interps[i]->calls_go = 0;
		atomic_store(&gilt_interps[i]->go_busy, UINT64_MAX); // each operation's end detaches: see gilt_detach_now
	}
	if (gilt_ninterps > 1) signal(SIGSEGV, SIG_DFL), signal(SIGABRT, SIG_DFL); // CPython is about to crash, see refusal: at once then
}

static void watch(void) { pthread_atfork(NULL, NULL, in_child); }

// Signals that Go has handlers for would be noted for a goroutine, and so be lost: p.terminate() would end no child. They
// do what the system does. Not even SIGINT raises KeyboardInterrupt: from 3.13 on CPython tells the thread state of the main
// thread of a signal, which is gone.
static const char signals[] =
	"def child():\n"
	"    import _signal, sys\n"
	"    crashes = 'SIGSEGV', 'SIGBUS', 'SIGFPE', 'SIGILL', 'SIGABRT'\n"
	"    handled = 'faulthandler' in sys.modules and sys.modules['faulthandler'].is_enabled()\n"
	"    keep = {getattr(_signal, n) for n in crashes} if handled else ()\n"
	"    for s in _signal.valid_signals():\n"
	"        if s not in keep and _signal.getsignal(s) is None:\n"
	"            _signal.signal(s, _signal.SIG_IGN if s == _signal.SIGPIPE else _signal.SIG_DFL)\n"
	"__import__('os').register_at_fork(after_in_child=child)\n";

// In the child CPython ends the states of the other threads before threading has made its lock anew. What threading keeps in
// a state of a thread that Python did not start asks for that lock from 3.13 on, and the thread that had the lock at the fork
// is not in the child. So the thread that forks has the lock.
static const char locks[] =
	"import os, threading\n"
	"held = []\n"
	"def before():\n"
	"    lock = threading._active_limbo_lock\n"
	"    if lock.acquire(timeout=1): held.append(lock)\n" // its owner may wait for a lock that the forking thread has
	"def after():\n"
	"    if held and held[-1]._is_owned(): held.pop().release()\n" // an interruption may have kept before from it
	"os.register_at_fork(before=before, after_in_parent=after, after_in_child=after)\n";

// CPython's own child crashes when there is another interpreter (3.12 to 3.14), and there it says no by itself.
static const char refusal[] =
	"import os\n"
	"def refuse(name):\n"
	"    def fork():\n"
	"        raise RuntimeError(f'os.{name}(): CPython cannot fork beside interpreters with their own GIL: use subprocess, or multiprocessing\\'s spawn')\n"
	"    setattr(os, name, fork)\n"
	"for name in 'fork', 'forkpty':\n"
	"    if hasattr(os, name): refuse(name)\n";

// What python3 does with an exception that nobody has caught, and at its end.
static const char ends[] =
	"import atexit, os, sys, threading\n"
	"def end(e):\n"
	"    code = 0\n"
	"    try:\n"
	"        if isinstance(e, SystemExit):\n"
	"            code = 0 if e.code is None else e.code\n"
	"            if not isinstance(code, int):\n"
	"                print(code, file=sys.stderr)\n"
	"                code = 1\n"
	"        elif e is not None:\n"
	"            code = 130 if isinstance(e, KeyboardInterrupt) else 1\n"
	"            sys.excepthook(type(e), e, e.__traceback__)\n"
	"        threading._shutdown()\n"
	"        atexit._run_exitfuncs()\n"
	"        for f in sys.stdout, sys.stderr:\n"
	"            if f is not None: f.flush()\n"
	"    except BaseException:\n"
	"        code = code or 120\n"
	"        raise\n"
	"    finally:\n"
	"        os._exit(code & 0xff)\n"
	"end(exception)\n";

static int run(gilt_interp *it, const char *source, PyObject *exception) {
	PyObject *args[3] = {py.PyUnicode_FromStringAndSize(source, (Py_ssize_t)strlen(source)), py.PyUnicode_FromStringAndSize("<gilt>", 6), it->names.s_exec};
	PyObject *code = args[0] && args[1] ? py.PyObject_VectorcallDict(it->names.compile, args, 3, NULL) : NULL, *ns = code ? py.PyDict_New() : NULL;
	int bad = !ns || py.PyDict_SetItemString(ns, "__builtins__", it->names.builtins) || py.PyDict_SetItemString(ns, "exception", exception);
	PyObject *owned[] = {bad ? NULL : py.PyEval_EvalCode(code, ns, ns), args[0], args[1], code, ns};
	bad = !owned[0];
	for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
		if (owned[i]) py.Py_DecRef(owned[i]);
	return bad ? -1 : 0;
}

int gilt_forks_begin(gilt_interp *it) {
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, watch);
	return it->id ? 0 : run(it, signals, py._Py_NoneStruct) || run(it, locks, py._Py_NoneStruct) ? -1 : 0; // an interpreter with a GIL of its own cannot fork
}

int gilt_refuse_forks(gilt_interp *it) { return run(it, refusal, py._Py_NoneStruct); }

void gilt_child_ends(gilt_interp *it) {
	PyObject *type = NULL, *value = NULL, *tb = NULL;
	py.PyErr_Fetch(&type, &value, &tb);
	py.PyErr_NormalizeException(&type, &value, &tb);
	if (value && tb) py.PyException_SetTraceback(value, tb);
	run(it, ends, value ? value : py._Py_NoneStruct);
	_exit(1); // there was no memory for it
}
