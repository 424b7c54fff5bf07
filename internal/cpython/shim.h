// What the shim's files share and Go does not see.
#ifndef GILT_SHIM_H
#define GILT_SHIM_H

#include "gilt.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <wchar.h>

typedef struct _object PyObject;
typedef struct _ts PyThreadState;
typedef struct _is PyInterpreterState;
typedef struct gilt_hook gilt_hook;
typedef ssize_t Py_ssize_t;
typedef int (*gilt_tracer)(PyObject *self, PyObject *frame, int what, PyObject *arg); // Py_tracefunc

// Fixed layouts that CPython 3.10 to 3.14 share: PyStatus (cpython/initconfig.h) and
// PyInterpreterConfig (cpython/initconfig.h 3.12, pylifecycle.h before).
typedef struct {
	int type; // 0 ok, 1 error, 2 exit
	const char *func;
	const char *err_msg;
	int exitcode;
} gilt_pystatus;
typedef struct {
	int use_main_obmalloc, allow_fork, allow_exec, allow_threads, allow_daemon_threads, check_multi_interp_extensions, gil;
} gilt_interp_config;

struct gilt_api {
#define PY_FUN(ret, name, args) ret(*name) args;
#define PY_OPT(since, ret, name, args) ret(*name) args;
#define PY_VAR(name) PyObject *name;
#define PY_REF(name) PyObject *name;
#include "symbols.h"
#undef PY_FUN
#undef PY_OPT
#undef PY_VAR
#undef PY_REF
};
extern struct gilt_api py;
// layout.c: where objects keep what there is no cheap call for. It is found at start, not declared.
typedef struct {
	int ob_type, tb_next, tb_frame, tb_lasti, tb_lineno, suppress_context, dict_used, str_length;
	int counts; // an object's first 32 bits count its references, unless there are very many; not on free-threaded builds
} gilt_layout;
extern gilt_layout gilt_at;
int gilt_find_layout(void); // 0, or -1

#define GILT_LIKELY(x) __builtin_expect(!!(x), 1)
#define GILT_UNLIKELY(x) __builtin_expect(!!(x), 0)

// Names and objects that each interpreter keeps.
typedef struct {
	PyObject *compile, *builtins, *modules, *traceback_format, *threading; // owned; modules is sys.modules
	PyObject *s_module, *s_qualname, *s_mro, *s_co_filename,
	    *s_co_name, *s_notes, *s_code, *s_errno, *s_dict_name, *s_exec, *s_eval, *s_gilt, *s_exceptions,
	    *s_active, *s_dummy, *s_native,
	    *group; // BaseExceptionGroup, NULL before 3.11
} gilt_names;

// What exceptions say of a class or a code object: see put_head.
typedef struct {
	PyObject *key; // owned
	int kinds;     // of a class: what else its exceptions have
	uint64_t version; // of a class: the interpreter's heads when it was made
	uint8_t *head; // wire form
	size_t n;
} gilt_head;
enum { GILT_CLASSES = 256, GILT_PLACES = 512 };

// A name that Go has given (names.c).
typedef struct {
	PyObject *name, *tuple; // owned; tuple is (name,), or NULL
	uint64_t n, first, last; // its length, and its first and last bytes
	char text[40];
} gilt_known;

#define GILT_GONE UINT64_MAX

// The state of a thread that has ended. Its OS thread may still run other destructors, which may use the state.
typedef struct {
	PyThreadState *ts;
	unsigned long ident, native; // Python's number for the thread, and the system's
	uint64_t since;              // gilt_began on the thread, or GILT_GONE: the system has forgotten the thread
} gilt_orphan;

struct gilt_interp {
	int id;
	int calls_go; // Python code may call Go functions: not before they can be, not while Python ends, not in a child made by fork
	PyInterpreterState *is;
	gilt_names names;
	gilt_head classes[GILT_CLASSES], places[GILT_PLACES]; // direct-mapped by address
	struct gilt_alias *aliases; // the names of exception classes in modules, by class, owned; with the GIL, as these three
	size_t naliases;
	Py_ssize_t searched;        // how many modules there were when they were searched for
	uint64_t heads;             // how often that was
	gilt_known known[256];                               // direct-mapped by what they say
	uint64_t *modules_version;                           // another number with each change of sys.modules; with the GIL, as these two
	uint64_t modules_changes;                            // that number from 3.12 on
	uint64_t modules_seen;                               // that number when greenlet was last looked for
	void **greenlets;                                    // greenlet's C API, NULL as long as it is not imported
	PyObject *own[GILT_C_COUNT];                         // Python's own classes, owned; NULL until they are asked for

	struct gilt_gil *gil;                // gil.c; NULL where who holds the GIL cannot be told
	unsigned long ask_us;                // how long a holder may keep it when one of ours asks
	pthread_mutex_t ask_mu;              // guards these three
	int asking;                          // those of ours for whom the switch interval is short
	unsigned long asked_us, rest_us;     // what it was set to, and what it rests at
	unsigned long most_us;               // the most that it rests at, whatever Python code sets; constant
	_Atomic uint64_t asked;              // attaches that found the GIL taken
	_Atomic int inside;                  // threads that are attached, asleep in Python code or not
	_Atomic uint64_t got;                // of these, so many have it now; written with the GIL held
	_Atomic uint64_t arrived;            // about the highest tag among tasks that have begun: racing begins may lose one another
	_Atomic uint64_t newest;             // the highest tag among attaches that have had it
	_Atomic uint64_t clean;              // ticks held by attaches that nobody interrupted; written with the GIL held
	_Atomic uint64_t seen_used;          // ticks that the pacer knows to be used otherwise, or by nobody; written by it
	_Atomic uint64_t looked_at, looks;   // the pacer's last look, in ticks, and their number
	_Atomic uint64_t clean_seen;         // clean, at that look
	_Atomic(gilt_thread *) user;         // who has the GIL for long, as of that look; under gilt_all_mu, read by itself
	uint64_t user_seen;                  // the look that last met it; this and what follows is the pacer's own
	uint64_t seen_at;                    // when the last look was that found one of ours with the GIL,
	gilt_thread *seen_holder;            // who that was, compared only
	unsigned long seen_switches;         // and how often it had changed hands
	int unused;                          // looks in a row that found it free, and nobody on his way to it
	int returning;                       // looks in a row that found it free, and the last holder forced off it
	_Atomic unsigned long forced_at;     // gil->switches when a holder was last forced off: as long as they stand there, he has not had it again
	_Atomic int64_t tended;              // nanoseconds that the tended task has used the GIL, until the pacer or Go takes them

	gilt_kept kept; // guarded by gilt_all_mu, as these two
	struct {        // one of ours that has had the GIL since the pacer first saw it there, without a break; under gilt_all_mu
		gilt_thread *th;        // compared only; NULL for nobody
		unsigned long switches; // of the GIL, meanwhile
		uint64_t first, last;   // the ticks of the first look that saw it, and of the last that read its processor clock
		int64_t ran, ran_last;  // that clock then
		uint64_t in_go, what;   // gilt_thread's, in_go 0 if it has moved
	} keeper;
	uint64_t forced[GILT_FORCED]; // a ring of the tags of tasks that were forced off the GIL since the last GILT_PACE_TICK
	unsigned nforced;             // so many
	PyObject *codes; // compiled source by mode, file and text; owned, with the GIL
	int has_values; // exceptions may carry a Go value, as their attribute __gilt__

	_Atomic int64_t owned;   // references that Go was given to own; written with the GIL held
	_Atomic int64_t disowned; // of these, so many were given back
	pthread_mutex_t mu; // guards dead and orphans
	PyObject **dead;
	size_t ndead, capdead;
	_Atomic int64_t backlog; // = ndead, read without the lock
	gilt_orphan *orphans;
	size_t norphans, caporphans;
	_Atomic(PyObject *) apart; // a clean context for the next drain, owned; NULL for none

	pthread_mutex_t cancel_mu; // guards the next two
	pthread_cond_t cancel_cond;
	int cancel_stop;
	_Atomic int64_t next_cancel; // when the canceller looks next by itself
	gilt_hook *hook;             // hook.c; with the GIL
	pthread_mutex_t states_mu;   // held while thread states are deleted, and while the canceller uses one without the GIL
	PyObject *limit_error; // a class, owned, with the GIL; NULL until it is wanted

	pthread_mutex_t pace_mu;
	pthread_cond_t pace_cond;
	int armed, pace_stop, pace_ready;
	int unsaid;                          // somebody was forced off the GIL since the last GILT_PACE_TICK
	_Atomic uint64_t go_busy;            // until when Go is taken to be short of processors, in ticks
	_Atomic uint64_t go_doubt;           // until when each operation's begin looks whether Go was late, in ticks
	uint64_t told_at;                    // when the pacer last gave word to Go
};

// One Python thread state of an OS thread.
typedef struct {
	PyThreadState *ts;
	_Atomic uint64_t armed; // the tag of the task that is to be interrupted, 0 for none; written with the GIL
	PyObject *context; // the contextvars context that is entered, owned
	int unclean;       // a task ended here detached: look at the context before the next one runs
	int foreign;       // ts is of a thread that Python made, which is in a Go function: Python's to give back
} gilt_state;

// A task on a thread: pushed by gilt_enter, popped by gilt_leave.
typedef struct {
	uint64_t serial;
	gilt_interp *it;
	PyObject *context; // entered for this task when it is nested, owned
	size_t base;       // its first reference in refs
	uint64_t held;     // what the outer task had held and not reported
	uint64_t tag, what; // of the outer task
	int64_t deadline;   // as this
	uint64_t began;     // ticks at its first attach
	int fired;         // a cancellation was raised in it, under a tag that it had before, or before an inner task's
	uint64_t before;   // the tag that it had before AllowThreads, 0 for none
	const void *outer; // the Python frame in which it began, of a nested task; compared only
	volatile struct gilt_mark *mark; // of a call of a Go function: in its C frame; NULL where greenlet is not imported. This and what follows is greenlet.c's
	PyObject *greenlet; // that the task is in, borrowed; NULL for the thread's own, or not known
	uint8_t across, converting; // see gilt_from; the call's arguments are being converted
} gilt_task;

struct gilt_thread {
	uint64_t generation;
	gilt_interp *attached; // whose GIL this thread holds, NULL when detached
	uint64_t serial;       // of the innermost task, 0 when there is none
	union {
		gilt_words words; // as Go reads them
		struct {
			_Atomic uint64_t tag; // of the innermost task: the scheduler's name for it
			uint64_t last;        // ticks at the end of the last operation, see gilt_op_end; 0 while detached
			gilt_res rest;        // of gilt_fn_scalar
		};
	};
	_Atomic uint64_t in_go; // ticks at which it went back to Go, 1 in a task that did nothing yet, 0 while it is in Python
	_Atomic uint64_t since; // ticks at which this attach got the GIL, 0 while detached
	unsigned long switches; // of the GIL, then
	uint64_t others;        // clean and seen_used of the interpreter, then
	_Atomic uint64_t seen_used; // this attach's part of the interpreter's since
	_Atomic int64_t mark;   // its processor clock when it read it last, and what it was charged for since, in ticks; written by itself with the GIL
	int remark;             // its next attach reads the clock when it begins
	_Atomic uint64_t based; // the attach, by its since, that used base + its processor clock, in nanoseconds; under gilt_all_mu,
	_Atomic int64_t base;   // read by the thread itself. See books.c
	int64_t credited;       // nanoseconds of these that the pacer has told; under gilt_all_mu
	_Atomic uint64_t what;  // what it runs
	_Atomic int64_t deadline; // when it is to be cancelled, 0 for never: see push_task
	_Atomic int at;           // the number of its interpreter, plus 1
	_Atomic uint64_t wanted;  // a task that is to be cancelled now: gilt_task_key
	_Atomic int ending;       // it is not to be cancelled any more
	_Atomic uint64_t fired;   // a task in which a cancellation was raised: its key
	int has_clock;            // clock is the thread's processor clock
	clockid_t clock;
	unsigned long ident, native; // Python's number for the thread, and the system's
	gilt_orders *loop;        // of the event loop that it runs, NULL for none: see loop.c. Under gilt_all_mu, written by itself
	uint64_t tried;           // the canceller's: the key of the task that it cancels, how often it has, and when it does next
	int tries;
	int64_t next_try;
	int64_t next;           // the exception comes at the next instruction of next_code, see monitor.c; with the GIL, as this and what follows
	const void *next_code;  // compared only
	int disarms;            // it is taking its trace function away
	struct gilt_note *notes; // trace.c's, NULL until they are needed
	int late;               // the canceller has looked LATE times and more
	uint64_t arms;          // how often it was armed
	int checks;             // looks through its stack that are left
	uint64_t held;          // ticks held and not yet reported
	int shared;             // others had the GIL in an attach of the task
	uint64_t left;          // ticks at which it detached last
	gilt_state states[GILT_MAX_INTERPS];
	gilt_task *tasks;
	size_t ntasks, captasks;
	PyObject **refs; // the scopes' references, owned
	size_t nrefs, caprefs;
	uintptr_t stack_low; // the lowest address of its C stack, 0 for not known
	int foreign;         // it is in a Go function, on a thread that Python made, or in an interpreter of which it has another state
	const char *called;  // then: the Go function's name; guarded by gilt_all_mu
	_Atomic int inside;  // then: it has the GIL, asks for it, or is in Python code. See gilt_stopping
	uint8_t *batch; // what the last gilt_fn_batch gave, malloc'ed
	uint8_t *buf; // results
	size_t nbuf, capbuf;
	uint64_t values; // of the conversion that goes on: see counted
	int64_t look;    // with how many it looks whether to go on; large values bring that nearer
	uint64_t gave;   // ticks at which a conversion last gave the GIL up for a moment
};

extern __thread gilt_thread *gilt_tls;
extern gilt_interp *gilt_interps[GILT_MAX_INTERPS];
extern int gilt_ninterps;
extern _Atomic uint64_t gilt_generation; // 0 while no Python may be entered
extern _Atomic uint64_t gilt_alive;      // 0 when Python's thread states are gone
// Python is about to be finalized. A thread that Python made says inside, and then looks at this; who stops Python sets
// this, and then looks at inside: so no such thread comes into Python any more.
extern _Atomic int gilt_stopping;
extern gilt_thread *gilt_stopper; // the thread that finalizes Python, once it does
void gilt_park(void);             // detached, as long as Python is stopping: for ever, unless that is given up
extern uint64_t gilt_ticks_20us;
extern double gilt_ns_per_tick;

// Time stamps that cost 8-12 ns where clock_gettime costs 25-30.
static inline uint64_t gilt_ticks(void) {
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t v;
	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(v));
	return v;
#else
	extern uint64_t gilt_clock_ns(void);
	return gilt_clock_ns();
#endif
}
uint64_t gilt_clock_ns(void);

// Makes an array of elements of that size have room for so many: 0, or -1 without memory.
static inline int gilt_grow(void **p, size_t *cap, size_t need, size_t size) {
	if (need <= *cap) return 0;
	size_t c = *cap ? *cap * 2 : 16;
	while (c < need) c *= 2;
	void *q = realloc(*p, c * size);
	if (!q) return -1;
	*p = q, *cap = c;
	return 0;
}

static inline PyObject *gilt_type(PyObject *o) { // borrowed
	return *(PyObject **)((char *)o + gilt_at.ob_type);
}

static inline Py_ssize_t gilt_str_length(PyObject *o) { // in code points, of a str or a subclass
	return *(Py_ssize_t *)((char *)o + gilt_at.str_length);
}

char *gilt_sentence(const char *format, ...) __attribute__((format(printf, 1, 2)));

// greenlet.c
int gilt_greenlets_watch(gilt_interp *it); // with names.modules: 0, or -1 with an exception
int gilt_greenlets_leave(gilt_thread *th, gilt_interp *it);
// thread.c
int gilt_op_attach(gilt_thread *th, gilt_interp *it, gilt_res *r); // for gilt_op_begin
int gilt_come_inside(gilt_thread *th);                    // a thread that Python made: 0, or -1 while Python stops
gilt_thread *gilt_thread_here(void);                      // makes it when there is none; NULL as gilt_no_thread says
int gilt_no_thread(void);                                 // a status: GILT_ENDING, or GILT_FAILED without memory
int gilt_attach(gilt_thread *th, gilt_interp *it);        // between two operations: 0, or -1 without memory, and on a thread of Python's while it stops
void gilt_reattach(gilt_thread *th, gilt_interp *it);     // in the middle of a task, which has a thread state: it cannot fail
void gilt_detach_now(gilt_thread *th);
void gilt_look_for_delay(gilt_thread *th, gilt_interp *it); // between two operations
int gilt_task_begin(gilt_thread *th, gilt_interp *it, uint64_t tag, uint64_t what, int64_t deadline); // a status
gilt_thread *gilt_thread_of(gilt_interp *it, PyThreadState *ts);     // under gilt_all_mu; NULL for a stranger's
extern pthread_mutex_t gilt_all_mu; // guards these
extern gilt_thread **gilt_threads;
extern size_t gilt_nthreads;
int64_t gilt_task_end(gilt_thread *th, int32_t *flags); // nanoseconds held
void gilt_release_own(gilt_interp *it, PyObject *o);       // as gilt_release, of a reference that Go was never given
void gilt_orders_disown(gilt_orders *q);
PyObject *gilt_frame_of(unsigned long ident, PyThreadState *ts); // cancel.c: a new reference, or NULL
void gilt_describe(PyObject *frame, char *text, size_t n); // cancel.c: "file:line in function"
enum { GILT_DRAIN = 256 };
void gilt_drain(gilt_interp *it, size_t most); // up to GILT_DRAIN of the decref queue, with the GIL
void gilt_pacer_tell(gilt_interp *it);
int gilt_scalar_of(PyObject *o, int rkind, gilt_res *r); // call.c; 0, or -1 with an exception
uint64_t gilt_value_of(PyObject *o); // gofunc.c
int64_t gilt_ran(gilt_thread *th);                         // watch.c: nanoseconds of a processor, under gilt_all_mu, or by itself; -1 if that cannot be told
void gilt_watch_keeper(gilt_interp *it, gilt_thread *th, uint64_t now); // watch.c, for the pacer, under gilt_all_mu: th has the GIL, NULL for nobody of ours
int gilt_push_task(gilt_thread *th, gilt_interp *it, uint64_t what); // a call of the Go function what, 0 without memory
void gilt_pop_callback(gilt_thread *th);
int gilt_push_ref(gilt_thread *th, PyObject *o);          // steals o, even when it fails
void gilt_thread_adopt(gilt_interp *it, PyThreadState *ts); // start.c: the state that Python made for this thread
PyObject *gilt_enter_apart(gilt_interp *it);                // a contextvars context for what others have left; NULL without memory
void gilt_leave_apart(gilt_interp *it, PyObject *context);
// Forgets the object of threading's for a thread that Python did not start; ended says whether native is that thread's or the next one's.
void gilt_forget_dummy(gilt_interp *it, unsigned long ident, unsigned long native, int ended);
// orphans.c
void gilt_wake_janitor(void);
void gilt_drop_later(uint64_t id);                        // gilt_go_drop, on a thread that can call Go
uint64_t gilt_began(void);                                // when the calling thread began, in the system's ticks; 0 for not known
int gilt_orphan_put(gilt_interp *it, gilt_orphan o);      // 1, or 0 without memory
void gilt_forget_states(gilt_interp *it);

// What the switch interval rests at, in seconds: see take_gil.
#define GILT_REST_INTERVAL 1.5e-3
#define GILT_MOST_REST 5e-3 // CPython's own default

// For how long (1 s) Go is taken to be short of processors when a goroutine has come back late, or watched for it.
#define GILT_GO_BUSY (50000 * gilt_ticks_20us)

// Notes that a goroutine has come back late. Once Python is stopping, and in a child made by fork, go_busy is UINT64_MAX and stays so.
static inline void gilt_go_is_busy(gilt_interp *it, uint64_t now) {
	uint64_t was = atomic_load_explicit(&it->go_busy, memory_order_relaxed);
	while (was != UINT64_MAX && !atomic_compare_exchange_weak_explicit(&it->go_busy, &was, now + GILT_GO_BUSY, memory_order_relaxed, memory_order_relaxed)) {}
}

// Whether the token is not the innermost one of this thread.
static inline int gilt_misused(gilt_thread *th, uint64_t serial) { return gilt_tls != th || th->serial != serial; }

// Begins an operation of a token: 0 when the thread is attached and the token is its current one; otherwise its status, which r
// then has too. With r the operation may end here by the task's interruption (GILT_RAISED); without it cannot.
static inline int gilt_op_begin(gilt_thread *th, uint64_t serial, gilt_res *r) {
	if (GILT_UNLIKELY(gilt_misused(th, serial))) return r ? r->status = GILT_MISUSE : GILT_MISUSE;
	gilt_interp *it = th->tasks[th->ntasks - 1].it;
	th->nbuf = 0;
	atomic_store_explicit(&th->in_go, 0, memory_order_relaxed);
	if (GILT_LIKELY(th->attached == it)) {
		if (GILT_UNLIKELY(th->last < atomic_load_explicit(&it->go_doubt, memory_order_relaxed))) gilt_look_for_delay(th, it);
		return GILT_OK;
	}
	int status = gilt_op_attach(th, it, r);
	return r ? r->status = status : status;
}
// Ends it: 1 when it comes back detached. A crossing that took long does: a goroutine that returns from cgo needs a
// processor of Go's, and with busy goroutines it would wait for one with the GIL held for milliseconds. While
// Go is known to be short of processors, every crossing does. So does one of a task that has had the GIL for 100 us while
// another of ours waits: between short operations CPython is not asked, and the task might go on for seconds.
// One time stamp, of 9 ns: what counts is the time since the operation before ended. Python code and Go may each have
// taken it; when it was a millisecond, the begins of the following second look which.
static inline int gilt_op_ended(gilt_thread *th) {
	gilt_interp *it = th->attached;
	if (GILT_UNLIKELY(it->greenlets != NULL) && gilt_greenlets_leave(th, it)) py.PyErr_Clear(); // the result is known already
	uint64_t now = gilt_ticks(), took = now - th->last;
	if (GILT_UNLIKELY(now <= th->last)) now = th->last + 1, took = 1; // no two ends are the same, though a tick may be 40 ns
	th->last = now;
	atomic_store_explicit(&th->in_go, now, memory_order_relaxed);
	int wanted = GILT_UNLIKELY(atomic_load_explicit(&it->asked, memory_order_relaxed) != atomic_load_explicit(&it->got, memory_order_relaxed)) &&
	             now - atomic_load_explicit(&th->since, memory_order_relaxed) > 5 * gilt_ticks_20us;
	if (GILT_LIKELY(took <= gilt_ticks_20us && now >= atomic_load_explicit(&it->go_busy, memory_order_relaxed) && !wanted)) return 0;
	if (took > 50 * gilt_ticks_20us) atomic_store_explicit(&it->go_doubt, now + GILT_GO_BUSY, memory_order_relaxed);
	gilt_detach_now(th);
	return 1;
}
static inline void gilt_op_end(gilt_thread *th, gilt_res *r) { r->flags = gilt_op_ended(th); }

// Tags are unique in an interpreter.
static inline uint64_t gilt_task_key(gilt_interp *it, uint64_t tag) { return tag ^ (uint64_t)(it->id + 1) << 56; }
// Whether a cancellation was raised in the innermost task.
static inline int gilt_fired(gilt_thread *th) {
	uint64_t fired = atomic_load_explicit(&th->fired, memory_order_relaxed);
	if (GILT_LIKELY(fired == 0)) return 0; // in no task of this thread, ever
	gilt_task *t = &th->tasks[th->ntasks - 1];
	return t->fired || fired == gilt_task_key(t->it, atomic_load_explicit(&th->tag, memory_order_relaxed));
}

// cancelled.c
PyObject *gilt_make_cancelled(void); // the class gilt.Cancelled: a new reference, or NULL with an exception
PyObject *gilt_limit_error(gilt_interp *it); // gilt.ConversionLimitError: borrowed from it, or NULL with an exception

// cancel.c
void gilt_cancel_sooner(gilt_interp *it, int64_t deadline);

// hook.c and monitor.c, all with the GIL but for gilt_hook_marks
enum { GILT_CHECKS = 64 }; // looks through a thread's stack for each time that it is armed: gilt_thread's checks
int gilt_hook_init(gilt_interp *it); // 0, or -1 with an exception
void gilt_hook_clear(gilt_interp *it);
// Has the thread whose state and innermost frame these are (NULL for no frame) interrupt itself; its armed is set.
void gilt_hook_arm(gilt_interp *it, PyThreadState *ts, PyObject *frame, int tries); // for the time of that number
int gilt_hook_marks(gilt_interp *it); // events are asked for, which go by:
void gilt_hook_rest(gilt_interp *it); // when nobody is armed
void gilt_disarm(gilt_thread *th, gilt_interp *it); // on th: what runs next is not to be interrupted
// On th, where an exception may come: -1 with gilt.Cancelled set if the task is to be interrupted, and is not in clean-up.
int gilt_interrupt_here(gilt_thread *th, gilt_interp *it);
// The same for C code that keeps the GIL for long, so that the canceller cannot arm it.
int gilt_interrupted(gilt_thread *th);
int gilt_due(gilt_thread *th); // whether that would try; the thread need not have the GIL

// gil.c
struct gilt_gil {
	_Atomic unsigned long interval; // microseconds
	PyThreadState *_Atomic last_holder;
	_Atomic int locked;
	_Atomic unsigned long switches;
};
void gilt_gil_find(gilt_interp *it, PyThreadState *ts);
int gilt_set_switch_interval(double seconds); // with the GIL; 0, or -1 with an exception
int gilt_limit_switch_interval(double most);    // what Python code may set it to; as gilt_set_switch_interval
void *gilt_symbol(const char *name);          // load.c

// wire.c
int gilt_buf_grow(gilt_thread *th, size_t n); // by n at least; 0, or -1 without memory
static inline int gilt_buf_room(gilt_thread *th, size_t n) {
	return GILT_LIKELY(th->nbuf + n <= th->capbuf) ? 0 : gilt_buf_grow(th, n);
}
static inline int gilt_buf_put(gilt_thread *th, const void *p, size_t n) {
	if (gilt_buf_room(th, n)) return -1;
	memcpy(th->buf + th->nbuf, p, n);
	th->nbuf += n;
	return 0;
}
static inline int gilt_buf_byte(gilt_thread *th, uint8_t b) { return gilt_buf_put(th, &b, 1); }
static inline int gilt_buf_u64(gilt_thread *th, uint64_t v) { return gilt_buf_put(th, &v, 8); }
int gilt_buf_text(gilt_thread *th, PyObject *s);            // length and UTF-8, lone surrogates escaped; never raises
PyObject *gilt_wire_read(const uint8_t **p, const uint8_t *end, int depth); // new reference, or NULL with an exception
int gilt_wire_write(gilt_thread *th, PyObject *o, int depth);               // 0, or -1 with an exception

static inline int gilt_put_head(gilt_thread *th, uint8_t tag, uint64_t v) { // a tag and what it says: 0, or -1 without memory
	if (gilt_buf_room(th, 9)) return -1;
	th->buf[th->nbuf] = tag;
	memcpy(th->buf + th->nbuf + 1, &v, 8);
	th->nbuf += 9;
	return 0;
}

// error.c
const char *gilt_type_name(PyObject *o); // of its type, valid until the next call on this thread; clears the indicator
void gilt_raised(gilt_thread *th, gilt_interp *it, gilt_res *r); // fetches and clears the exception into r
// call.c
void gilt_result(gilt_thread *th, gilt_interp *it, PyObject *o, int rkind, gilt_res *r); // steals o; NULL means raised
// faults.c
void gilt_faults_note(void);                                 // before Python starts: Go's handlers
void gilt_faults_around(void (*start)(void *), void *arg);   // starts Python
int gilt_faults_guard(void);                                 // in an interpreter; 0, or -1 with an exception
void gilt_faults_back(void);                                 // after Python's end
// fork.c
extern int gilt_forked;           // this is a child made by fork: no thread of Go's is there but this one's
int gilt_forks_begin(gilt_interp *it); // with the GIL: 0, or -1 with an exception
int gilt_refuse_forks(gilt_interp *it); // as this, in the main interpreter, once there are others
void gilt_child_ends(gilt_interp *it); // with the GIL, and the exception that is raised, if any; does not return
// start.c
int gilt_names_init(gilt_interp *it);
void gilt_names_clear(gilt_interp *it);

#endif
