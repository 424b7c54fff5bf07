// Starting and stopping Python, and interpreters with a GIL of their own.
#include "objects.h"
#include <stdio.h>
#include <time.h>

gilt_interp *gilt_interps[GILT_MAX_INTERPS];
int gilt_ninterps;
_Atomic uint64_t gilt_generation;
_Atomic uint64_t gilt_alive;
_Atomic int gilt_stopping;
gilt_thread *gilt_stopper;
uint64_t gilt_ticks_20us;
double gilt_ns_per_tick;
static uint64_t generations;
static PyThreadState *main_state;

void gilt_fill_refs(void);

uint64_t gilt_clock_ns(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// The clock and the ticks of one moment. The thread may lose its processor between two readings, so the ticks are read between
// two of the clock, again until these are close together; of several tries the closest is kept.
static void clock_and_ticks(uint64_t *ns, uint64_t *ticks) {
	enum { CLOSE = 2000, TRIES = 100 }; // ns
	uint64_t apart = UINT64_MAX, before = gilt_clock_ns();
	*ns = *ticks = 0;
	for (int i = 0; i < TRIES && apart > CLOSE; i++) {
		uint64_t t = gilt_ticks(), after = gilt_clock_ns();
		if (after - before < apart) apart = after - before, *ns = before + apart / 2, *ticks = t;
		before = after;
	}
}

// PyPreConfig, which has had these members since 3.8 (https://docs.python.org/3/c-api/init_config.html#c.PyPreConfig). CPython
// knows no size of it: the last is proved by the values that the initializer writes.
typedef struct {
	int config_init, parse_argv, isolated, use_environment, configure_locale, coerce_c_locale, coerce_c_locale_warn, utf8_mode, dev_mode, allocator;
	int room[64];
} preconfig;

static int is_set(const char *name) {
	const char *value = getenv(name);
	return value && *value;
}

// Encodings and the allocator. Text is UTF-8 whatever the locale is, unless the environment says how that is decided, as
// python3 then decides it.
static gilt_pystatus preinitialize(int isolated) {
	preconfig c;
	memset(&c, 0, sizeof c);
	py.PyPreConfig_InitPythonConfig(&c);
	if (c.isolated != 0 || c.use_environment != 1 || c.utf8_mode != -1 || c.dev_mode != -1 || c.allocator != 0 || c.room[0])
		return (gilt_pystatus){.type = 1, .err_msg = "its PyPreConfig is laid out in a way that gilt does not know"};
	int decided = !isolated && (is_set("PYTHONUTF8") || is_set("PYTHONCOERCECLOCALE"));
	if (!decided) c.coerce_c_locale = c.coerce_c_locale_warn = 0;
	if (!decided || !is_set("PYTHONUTF8")) c.utf8_mode = 1;
	c.parse_argv = 0;
	if (isolated) c.isolated = 1, c.use_environment = 0, c.dev_mode = 0;
	return py.Py_PreInitialize(&c);
}

// The PYTHON* variables that are set, since one of them may be why Python did not start.
static void name_variables(char *out, size_t room) {
	extern char **environ;
	*out = 0;
	for (char **e = environ; e && *e; e++) {
		if (strncmp(*e, "PYTHON", 6)) continue;
		size_t n = strlen(out);
		snprintf(out + n, room - n, "%s%.*s", n ? ", " : "; see the environment variables ", (int)strcspn(*e, "="), *e);
	}
}

static char *did_not_start(gilt_pystatus s, int isolated) {
	char variables[1024] = "";
	const char *why = s.err_msg ? s.err_msg : "it gave no reason";
	if (!isolated && !strstr(why, "PYTHON")) name_variables(variables, sizeof variables);
	return gilt_sentence("Python did not start: %s%s%s%s", s.func ? s.func : "", s.func ? ": " : "", why, variables);
}

// PyInitConfig, which came with 3.14, cannot leave to the environment what PYTHONHASHSEED, PYTHONDEVMODE and others say: its values
// begin as those of an isolated Python and cannot be set back. So every version is started by a PyConfig.
static char *initialize_python(const char *program, const char *home, int isolated) {
	gilt_pystatus s = preinitialize(isolated);
	if (s.type != 0) return did_not_start(s, isolated);
	// Python keeps both pointers for good, so they are never freed.
	if (*program) py.Py_SetProgramName(py.Py_DecodeLocale(program, NULL));
	if (*home) py.Py_SetPythonHome(py.Py_DecodeLocale(home, NULL));
	// PyConfig is some 400 bytes and never declared here. Its first five members are the same from 3.10
	// to 3.14: _config_init, isolated, use_environment, dev_mode, install_signal_handlers; the values that
	// the initializer writes prove it before any is changed.
	static _Alignas(16) char config[8192];
	memset(config, 0, sizeof config);
	py._PyConfig_InitCompatConfig(config);
	int *head = (int *)config;
	if (head[1] != -1 || head[2] != -1 || head[3] != -1 || head[4] != 1)
		return gilt_sentence("Python did not start: its PyConfig is laid out in a way that gilt does not know");
	if (isolated) head[1] = 1; // as -I: no environment, no user site, no unsafe path
	head[4] = 0;               // signal handlers stay Go's
	gilt_options(&head[3]);
	s = py.Py_InitializeFromConfig(config);
	return s.type != 0 ? did_not_start(s, isolated) : NULL;
}

typedef struct { const char *program, *home; int isolated; char *err; } starting;

static void initialize(void *arg) {
	starting *s = arg;
	s->err = initialize_python(s->program, s->home, s->isolated);
}

static gilt_interp *new_interp_struct(PyInterpreterState *is) {
	gilt_interp *it = calloc(1, sizeof *it);
	if (!it) return NULL;
	it->is = is;
	pthread_mutex_init(&it->mu, NULL);
	pthread_mutex_init(&it->pace_mu, NULL);
	pthread_mutex_init(&it->ask_mu, NULL);
	pthread_mutex_init(&it->cancel_mu, NULL);
	pthread_mutex_init(&it->states_mu, NULL);
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
#ifndef __APPLE__
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
#endif
	pthread_cond_init(&it->pace_cond, &attr);
	pthread_cond_init(&it->cancel_cond, &attr);
	it->id = gilt_ninterps;
	gilt_interps[gilt_ninterps++] = it;
	return it;
}

// On 3.12 these are no modules for an interpreter with its own GIL: refused or not, their second import in a process frees
// what is not its own. Without them there are their Python forms, datetime's and so on.
static int forbid(gilt_interp *it) {
	if (it->id == 0 || gilt_minor() != 12) return 0;
	PyObject *done = gilt_evaluate(it, "__import__('sys').modules.update(_datetime=None, _decimal=None, _zoneinfo=None)");
	if (done) py.Py_DecRef(done);
	return done ? 0 : -1;
}

// What each interpreter needs, with its state current: threading imported on its main thread (else
// shutdown hangs on 3.10 and 3.12), the switch interval (each GIL has its own), our names.
static int prepare(gilt_interp *it, PyThreadState *ts, double switch_interval) {
	PyObject *m = py.PyImport_ImportModule("threading");
	if (!m) return -1;
	py.Py_DecRef(m);
	gilt_gil_find(it, ts);
	const double rest = GILT_REST_INTERVAL;
	it->ask_us = (unsigned long)(switch_interval * 1e6 + 0.5);
	double interval = it->gil && switch_interval < rest ? rest : switch_interval;
	it->rest_us = (unsigned long)(interval * 1e6 + 0.5);
	double most = interval < GILT_MOST_REST ? GILT_MOST_REST : interval;
	it->most_us = (unsigned long)(most * 1e6 + 0.5);
	return gilt_set_switch_interval(interval) || gilt_limit_switch_interval(most) || gilt_names_init(it) || gilt_greenlets_watch(it) || gilt_hook_init(it) || gilt_faults_guard() || forbid(it) || gilt_forks_begin(it) ? -1 : 0;
}

static char *prepare_error(gilt_interp *it, gilt_thread *th) {
	gilt_res r = {0};
	gilt_raised(th, it, &r);
	if (r.obj) py.Py_DecRef((PyObject *)r.obj);
	return gilt_sentence("Python started, but its standard library is broken: importing threading and opcode raised an exception");
}

char *gilt_start(const char *program, const char *home, int isolated, double switch_interval) {
	uint64_t ns, ticks, ns_now, ticks_now;
	clock_and_ticks(&ns, &ticks);
	gilt_thread *th = gilt_thread_here();
	if (!th) return gilt_sentence("out of memory");
	starting s = {program, home, isolated, NULL};
	gilt_faults_note();
	gilt_faults_around(initialize, &s); // PYTHONFAULTHANDLER
	char *err = s.err;
	if (err) return err;
	gilt_fill_refs();
	if (gilt_find_layout()) return gilt_sentence("this Python lays out its objects in a way that gilt does not know");
	main_state = py.PyThreadState_Get();
	gilt_interp *it = new_interp_struct(py.PyThreadState_GetInterpreter(main_state));
	if (!it) return gilt_sentence("out of memory");
	th->generation = ++generations;
	gilt_thread_adopt(it, main_state);
	if (prepare(it, main_state, switch_interval)) err = prepare_error(it, th);
	py.PyEval_SaveThread();
	clock_and_ticks(&ns_now, &ticks_now);
	gilt_ns_per_tick = (double)(ns_now - ns) / (double)(ticks_now - ticks);
	gilt_ticks_20us = (uint64_t)(20000 / gilt_ns_per_tick);
	atomic_store(&gilt_alive, generations);
	if (!err) atomic_store(&gilt_generation, generations);
	return err;
}

// On 3.13 _datetime's static types are the main interpreter's or nobody's: where another imports it first, the end of the
// interpreters frees what is not theirs.
static void import_static_types(void) {
	if (gilt_minor() != 13) return;
	PyObject *m = py.PyImport_ImportModule("_datetime");
	if (m) py.Py_DecRef(m);
	else py.PyErr_Clear(); // a Python without it
}

gilt_interp *gilt_main_interp(void) { return gilt_interps[0]; }
int gilt_id(gilt_interp *it) { return it->id; }

char *gilt_new_interp(double switch_interval, gilt_interp **out) {
	if (!py.Py_NewInterpreterFromConfig) return gilt_sentence("this Python has no interpreters with their own GIL: they came with CPython 3.12");
	if (gilt_ninterps == GILT_MAX_INTERPS) return gilt_sentence("no more than %d interpreters in one process", GILT_MAX_INTERPS - 1);
	gilt_thread *th = gilt_thread_here();
	if (!th) return gilt_sentence("out of memory");
	py.PyEval_RestoreThread(main_state);
	import_static_types();
	if (gilt_ninterps == 1 && gilt_refuse_forks(gilt_interps[0])) py.PyErr_Clear(); // without memory there is soon no interpreter either
	gilt_interp_config c = {.allow_threads = 1, .check_multi_interp_extensions = 1, .gil = 2};
	PyThreadState *ts = NULL;
	gilt_pystatus s = py.Py_NewInterpreterFromConfig(&ts, &c);
	if (s.type != 0 || !ts) {
		py.PyEval_SaveThread(); // a failed creation leaves the main state current
		return gilt_sentence("cannot create an interpreter with its own GIL: %s", s.err_msg ? s.err_msg : "Python gave no reason");
	}
	gilt_interp *it = new_interp_struct(py.PyThreadState_GetInterpreter(ts));
	char *err = it ? NULL : gilt_sentence("out of memory");
	if (it) {
		gilt_thread_adopt(it, ts);
		if (prepare(it, ts, switch_interval)) err = prepare_error(it, th);
	}
	py.PyEval_SaveThread();
	*out = it;
	return err;
}

void gilt_refuse(void) { atomic_store(&gilt_generation, 0); }

int gilt_stop(void) {
	gilt_refuse();
	gilt_thread *th = gilt_stopper = gilt_tls;
	if (th->attached) gilt_detach_now(th);
	// On 3.12 ending interpreters with their own GIL aborts in free() after as little as `import hashlib`:
	// everything is left as it is, and the end of the process frees it.
	if (gilt_minor() == 12 && gilt_ninterps > 1) return 0;
	for (int i = gilt_ninterps - 1; i >= 0; i--) {
		gilt_interp *it = gilt_interps[i];
		gilt_forget_states(it);
		py.PyEval_RestoreThread(th->states[i].ts);
		gilt_names_clear(it);
		if (th->states[i].context) {
			py.PyContext_Exit(th->states[i].context);
			py.Py_DecRef(th->states[i].context);
			th->states[i].context = NULL;
		}
		py.PyErr_Clear();
		if (i > 0) py.Py_EndInterpreter(th->states[i].ts); // leaves no state current
		th->states[i].ts = NULL;
	}
	atomic_store(&gilt_alive, 0);
	int status = py.Py_FinalizeEx();
	gilt_faults_back();
	return status;
}

static PyObject *interned(const char *s) { return py.PyUnicode_InternFromString(s); }

int gilt_names_init(gilt_interp *it) {
	gilt_names *n = &it->names;
	if (!(n->builtins = py.PyImport_ImportModule("builtins"))) return -1;
	if ((n->modules = py.PyImport_GetModuleDict())) py.Py_IncRef(n->modules); // it was borrowed
	PyObject *name = interned("compile");
	n->compile = name ? py.PyObject_GetAttr(n->builtins, name) : NULL;
	if (name) py.Py_DecRef(name);
	n->s_module = interned("__module__"), n->s_qualname = interned("__qualname__"), n->s_mro = interned("__mro__");
	n->s_co_filename = interned("co_filename"), n->s_co_name = interned("co_name");
	n->s_notes = interned("__notes__"), n->s_code = interned("code"), n->s_errno = interned("errno");
	n->s_dict_name = interned("__name__");
	n->s_gilt = interned("__gilt__"), n->s_exceptions = interned("exceptions"), n->s_exec = interned("exec"), n->s_eval = interned("eval");
	if ((name = gilt_minor() >= 11 ? interned("BaseExceptionGroup") : NULL)) {
		n->group = py.PyObject_GetAttr(n->builtins, name);
		py.Py_DecRef(name);
	}
	n->threading = py.PyImport_ImportModule("threading");
	n->s_active = interned("_active"), n->s_dummy = interned("_DummyThread"), n->s_native = interned("_native_id");
	it->calls_go = n->compile && n->modules && n->threading && n->s_native;
	return it->calls_go ? 0 : -1;
}

static void forget_heads(gilt_head *table, size_t n) {
	for (size_t i = 0; i < n; i++) {
		PyObject *key = table[i].key;
		free(table[i].head);
		table[i] = (gilt_head){0};
		if (key) py.Py_DecRef(key); // last: it may run Python code
	}
}

void gilt_names_clear(gilt_interp *it) {
	enum { ROUNDS = 10000 };
	// Whatever Go still released: a __del__ may call Go now.
	for (int i = 0; i < ROUNDS && gilt_backlog(it) > 0; i++) gilt_drain(it, GILT_DRAIN);
	it->calls_go = 0;
	PyObject *apart = atomic_exchange(&it->apart, NULL);
	if (apart) py.Py_DecRef(apart);
	it->modules_version = &it->modules_changes; // before 3.12 it is in names.modules
	PyObject **o = (PyObject **)&it->names;
	for (size_t i = 0; i < sizeof it->names / sizeof *o; i++)
		if (o[i]) py.Py_DecRef(o[i]);
	memset(&it->names, 0, sizeof it->names);
	gilt_known_clear(it);
	gilt_classes_clear(it);
	gilt_hook_clear(it);
	if (it->limit_error) py.Py_DecRef(it->limit_error);
	it->limit_error = NULL;
	if (it->codes) py.Py_DecRef(it->codes);
	it->codes = NULL;
	gilt_aliases_clear(it);
	forget_heads(it->classes, GILT_CLASSES);
	forget_heads(it->places, GILT_PLACES);
}
