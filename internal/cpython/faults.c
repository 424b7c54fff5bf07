// Signals of faults stay Go's. A nil dereference in Go is a SIGSEGV, of which Go's handler makes a panic. Python's faulthandler
// and signal.signal put handlers of their own in its place, and the first recovered panic would end the process. So
// when they have, a handler of ours is put before them: a fault in the program's own code goes to Go's handler, and a fault
// in C code (libpython, an extension module) to Python's, which writes its traceback. Then Go's ends the process.
#define _GNU_SOURCE
#include "objects.h"
#include <signal.h>
#ifdef __linux__
#include <link.h>
#include <ucontext.h>

static const int SIGNALS[] = {SIGSEGV, SIGBUS, SIGFPE}; // those of which Go makes panics
enum { N = sizeof SIGNALS / sizeof *SIGNALS, SEGMENTS = 8 };
static struct sigaction gos[N], pythons[N]; // Go's handlers, and those that Python has put in their place
static struct { uintptr_t from, to; } code[SEGMENTS]; // the program's own, of Go and of this shim
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER; // guards them against two that write

static uintptr_t place(void *context) {
	ucontext_t *c = context;
#if defined(__x86_64__)
	return (uintptr_t)c->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
	return (uintptr_t)c->uc_mcontext.pc;
#else
	return 0;
#endif
}

static int in_program(uintptr_t pc) {
	for (int i = 0; i < SEGMENTS; i++)
		if (pc >= code[i].from && pc < code[i].to) return 1;
	return 0;
}

// What Python has put in the place of Go's handler. After a fault the C code cannot go on: when Python's handler returns, or
// has sent the signal once more to end the process, the next one is Go's, who says what has happened.
static void to_python(int i, int sig, siginfo_t *info, void *context) {
	struct sigaction *next = &pythons[i];
	int sent = info->si_code <= 0; // by kill or raise; else it is a fault
	if (next->sa_flags & SA_SIGINFO) next->sa_sigaction(sig, info, context);
	else if (next->sa_handler == SIG_DFL || (next->sa_handler == SIG_IGN && !sent)) {
		signal(sig, SIG_DFL);
		if (sent) raise(sig);
		return; // and the fault comes again
	} else if (next->sa_handler != SIG_IGN) next->sa_handler(sig);
	sigset_t again;
	if (!sent || (!sigpending(&again) && sigismember(&again, sig) == 1)) sigaction(sig, &gos[i], NULL);
}

// A signal handler, on the thread's signal stack, which Go has given it.
static void fault(int sig, siginfo_t *info, void *context) {
	int i = 0;
	while (i < N - 1 && SIGNALS[i] != sig) i++;
	if (info->si_code > 0 && in_program(place(context))) gos[i].sa_sigaction(sig, info, context);
	else to_python(i, sig, info, context);
}

static int find_code(struct dl_phdr_info *info, size_t size, void *arg) {
	int mine = 0, n = 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t from = info->dlpi_addr + p->p_vaddr;
		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X) || n == SEGMENTS) continue;
		code[n].from = from, code[n++].to = from + p->p_memsz;
		mine |= (uintptr_t)find_code >= from && (uintptr_t)find_code < from + p->p_memsz;
	}
	if (!mine) memset(code, 0, sizeof code);
	return mine;
}

void gilt_faults_note(void) {
	dl_iterate_phdr(find_code, NULL);
	for (int i = 0; i < N; i++) sigaction(SIGNALS[i], NULL, &gos[i]);
}

// Puts ours before whatever Python has put in the place of Go's. When Python takes its own away, Go's are there again.
static void keep(void) {
	pthread_mutex_lock(&mu);
	for (int i = 0; i < N; i++) {
		struct sigaction now;
		if (sigaction(SIGNALS[i], NULL, &now) || now.sa_sigaction == fault || now.sa_sigaction == gos[i].sa_sigaction) continue;
		pythons[i] = now;
		struct sigaction ours = {.sa_sigaction = fault, .sa_mask = gos[i].sa_mask, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
		sigaction(SIGNALS[i], &ours, NULL);
	}
	pthread_mutex_unlock(&mu);
}

// When Python has ended, which leaves the default in the place of its handlers.
void gilt_faults_back(void) {
	for (int i = 0; i < N; i++) {
		struct sigaction now;
		if (!sigaction(SIGNALS[i], NULL, &now) && now.sa_sigaction != gos[i].sa_sigaction) sigaction(SIGNALS[i], &gos[i], NULL);
	}
}

typedef struct { stack_t stack; } before;

static void note(before *b) { sigaltstack(NULL, &b->stack); }

// faulthandler also gives the calling thread a signal stack, and frees it when Python ends: Go's comes back.
static void restore(before *b) {
	stack_t now;
	if (!sigaltstack(NULL, &now) && now.ss_sp != b->stack.ss_sp) sigaltstack(&b->stack, NULL);
	keep();
}

void gilt_faults_around(void (*start)(void *), void *arg) {
	before b;
	note(&b);
	start(arg);
	restore(&b);
}

// A function of Python's that may put handlers in the place of Go's: self is Python's own.
static PyObject *guarded(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names) {
	before b;
	note(&b);
	PyObject *o = gilt_vectorcall(self, args, (size_t)n, names);
	restore(&b);
	return o;
}

// Set by package python3, in a process that stands in for python3.
extern void gilt_python3_block(void) __attribute__((weak));

static PyObject *change_mask(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names) {
	gilt_python3_block();
	return gilt_vectorcall(self, args, (size_t)n, names);
}

enum { METH_FASTCALL = 0x80, METH_KEYWORDS = 0x02 };

typedef struct { // PyMethodDef
	const char *name;
	PyObject *(*call)(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names);
	int flags;
	const char *doc;
} method_def;

static int guard(const char *module, const char *name, method_def *def) {
	PyObject *m = py.PyImport_ImportModule(module), *key = py.PyUnicode_InternFromString(name);
	PyObject *theirs = m && key ? py.PyObject_GetAttr(m, key) : NULL;
	PyObject *ours = theirs ? py.PyCFunction_NewEx(def, theirs, NULL) : NULL;
	int bad = !ours || py.PyObject_SetAttr(m, key, ours);
	if (ours) py.Py_DecRef(ours);
	if (theirs) py.Py_DecRef(theirs);
	if (key) py.Py_DecRef(key);
	if (m) py.Py_DecRef(m);
	return bad ? -1 : 0;
}

// An interpreter with its own GIL has no faulthandler, as long as that says it cannot be in one.
static int guard_faulthandler(method_def *enable, method_def *later) {
	PyObject *m = py.PyImport_ImportModule("faulthandler");
	if (!m) return py.PyErr_Clear(), 0;
	py.Py_DecRef(m);
	return guard("faulthandler", "enable", enable) || guard("faulthandler", "register", later);
}

int gilt_faults_guard(void) {
	static method_def enable = {"enable", guarded, METH_FASTCALL | METH_KEYWORDS, "enable(file=sys.stderr, all_threads=True): Python's own, whose handlers come after Go's"},
	                  later = {"register", guarded, METH_FASTCALL | METH_KEYWORDS, "register(signum, file=sys.stderr, all_threads=True, chain=False): Python's own"},
	                  signal = {"signal", guarded, METH_FASTCALL | METH_KEYWORDS, "signal(signalnum, handler): Python's own, whose handlers of faults come after Go's"};
	static method_def mask = {"pthread_sigmask", change_mask, METH_FASTCALL | METH_KEYWORDS, "pthread_sigmask(how, mask, /): Python's own, after Go's threads have blocked the signals"};
	if (gilt_python3_block && guard("_signal", "pthread_sigmask", &mask)) return -1;
	return guard_faulthandler(&enable, &later) || guard("_signal", "signal", &signal) ? -1 : 0;
}
#else
void gilt_faults_note(void) {}
void gilt_faults_back(void) {}
void gilt_faults_around(void (*start)(void *), void *arg) { start(arg); }
int gilt_faults_guard(void) { return 0; }
#endif
