// What the shim's files share and Go does not see.
#ifndef GILT_SHIM_H
#define GILT_SHIM_H

#include "gilt.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <wchar.h>

typedef struct _object PyObject;
typedef struct _ts PyThreadState;
typedef struct _is PyInterpreterState;
typedef struct PyInitConfig PyInitConfig;
typedef ssize_t Py_ssize_t;

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
typedef struct { int ob_type, tb_next, tb_frame, tb_lasti, tb_lineno, suppress_context; } gilt_layout;
extern gilt_layout gilt_at;
int gilt_find_layout(void); // 0, or -1

#define GILT_LIKELY(x) __builtin_expect(!!(x), 1)
#define GILT_UNLIKELY(x) __builtin_expect(!!(x), 0)

// Names and objects that each interpreter keeps.
typedef struct {
	PyObject *compile, *builtins, *traceback_format; // owned
	PyObject *s_module, *s_qualname, *s_mro, *s_co_filename,
	    *s_co_name, *s_notes, *s_code, *s_errno, *s_dict_name, *s_exec, *s_eval, *s_gilt, *s_exceptions,
    *group; // BaseExceptionGroup, NULL before 3.11
} gilt_names;

// What exceptions say of a class or a code object: see put_head.
typedef struct {
	PyObject *key; // owned
	int kinds;     // of a class: what else its exceptions have
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

struct gilt_interp {
	int id;
	PyInterpreterState *is;
	gilt_names names;
	gilt_head classes[GILT_CLASSES], places[GILT_PLACES]; // direct-mapped by address
	gilt_known known[256];                               // direct-mapped by what they say
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
	_Atomic uint64_t looked_at, looks;   // the pacer's last look, in ticks, and their number
	_Atomic int rests;                   // the pacer does: nobody of ours waits
	_Atomic uint64_t clean_seen;         // clean, at that look
	_Atomic(gilt_thread *) user;         // who has the GIL for long, as of that look; under gilt_all_mu, read by itself
	uint64_t user_seen;                  // the look that last met it; this and what follows is the pacer's own
	uint64_t seen_at;                    // when the last look was that found one of ours with the GIL,
	gilt_thread *seen_holder;            // who that was, compared only
	unsigned long seen_switches;         // and how often it had changed hands
	int unused;                          // looks in a row that found it free

	gilt_kept kept; // guarded by gilt_all_mu, as these two
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
	PyThreadState **orphans;
	size_t norphans, caporphans;

	pthread_mutex_t cancel_mu; // guards the next two
	pthread_cond_t cancel_cond;
	int cancel_stop;
	_Atomic int64_t next_cancel; // when the canceller looks next by itself
	PyObject *cancelled, *swallow; // its exception class, and a function that swallows a pending one; owned, with the GIL

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
	_Atomic uint64_t armed; // the task's tag for which a cancellation may be pending in ts; written with the GIL
	PyObject *context; // the contextvars context that is entered, owned
	int unclean;       // a task ended here detached: look at the context before the next one runs
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
	_Atomic uint64_t in_go; // ticks at which it went back to Go with the GIL, 0 while it is in Python
	_Atomic uint64_t since; // ticks at which this attach got the GIL, 0 while detached
	unsigned long switches; // of the GIL, then
	uint64_t looks;         // of the pacer, then
	_Atomic uint64_t sampled; // ticks that the pacer saw this attach have since
	_Atomic uint64_t what;  // what it runs
	_Atomic int64_t deadline; // when it is to be cancelled, 0 for never: see push_task
	_Atomic int at;           // the number of its interpreter, plus 1
	_Atomic uint64_t wanted;  // a task that is to be cancelled now: gilt_task_key
	_Atomic int ending;       // it is not to be cancelled any more
	_Atomic uint64_t fired;   // a task in which a cancellation was raised: its key
	unsigned long ident;      // Python's number for the thread
	gilt_orders *loop;        // of the event loop that it runs, NULL for none: see loop.c. Under gilt_all_mu, written by itself
	uint64_t tried;           // the canceller's: the key of the task that it cancels, how often it has, and when it does next
	int tries;
	int64_t next_try;
	uint64_t held;          // ticks held and not yet reported
	uint64_t left;          // ticks at which it detached last
	gilt_state states[GILT_MAX_INTERPS];
	gilt_task *tasks;
	size_t ntasks, captasks;
	PyObject **refs; // the scopes' references, owned
	size_t nrefs, caprefs;
	uintptr_t stack_low; // the lowest address of its C stack, 0 for not known
	int foreign;         // it is in a Go function, on a thread that Python made
	uint8_t *batch; // what the last gilt_fn_batch gave, malloc'ed
	uint8_t *buf; // results
	size_t nbuf, capbuf;
};

extern __thread gilt_thread *gilt_tls;
extern gilt_interp *gilt_interps[GILT_MAX_INTERPS];
extern int gilt_ninterps;
extern _Atomic uint64_t gilt_generation; // 0 while no Python may be entered
extern _Atomic uint64_t gilt_alive;      // 0 when Python's thread states are gone
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

static inline PyObject *gilt_type(PyObject *o) { // borrowed
	return *(PyObject **)((char *)o + gilt_at.ob_type);
}

char *gilt_sentence(const char *format, ...) __attribute__((format(printf, 1, 2)));

// thread.c
gilt_thread *gilt_thread_here(void);                      // makes it when there is none; NULL without memory
int gilt_attach(gilt_thread *th, gilt_interp *it);        // 0, or -1 without memory
void gilt_detach_now(gilt_thread *th);
void gilt_look_for_delay(gilt_thread *th, gilt_interp *it); // between two operations
int gilt_task_begin(gilt_thread *th, gilt_interp *it, uint64_t tag, uint64_t what, int64_t deadline); // a status
gilt_thread *gilt_thread_of(gilt_interp *it, PyThreadState *ts);     // under gilt_all_mu; NULL for a stranger's
extern pthread_mutex_t gilt_all_mu; // guards these
extern gilt_thread **gilt_threads;
extern size_t gilt_nthreads;
int64_t gilt_task_end(gilt_thread *th, int32_t *flags); // nanoseconds held
void gilt_release_own(gilt_interp *it, PyObject *o);       // as gilt_release, of a reference that Go was never given
void gilt_wake_janitor(void);
void gilt_orders_disown(gilt_orders *q);
PyObject *gilt_frame_of(unsigned long ident, PyThreadState *ts); // cancel.c: a new reference, or NULL
void gilt_describe(PyObject *frame, char *text, size_t n); // cancel.c: "file:line in function"
enum { GILT_DRAIN = 256 };
void gilt_drain(gilt_interp *it, size_t most); // up to GILT_DRAIN of the decref queue, with the GIL
void gilt_pacer_tell(gilt_interp *it);
int gilt_scalar_of(PyObject *o, int rkind, gilt_res *r); // call.c; 0, or -1 with an exception
uint64_t gilt_value_of(PyObject *o); // gofunc.c
int gilt_push_task(gilt_thread *th, gilt_interp *it);     // a call of a Go function, 0 without memory
void gilt_pop_callback(gilt_thread *th);
int gilt_push_ref(gilt_thread *th, PyObject *o);          // steals o, even when it fails
void gilt_thread_adopt(gilt_interp *it, PyThreadState *ts); // start.c: the state that Python made for this thread
void gilt_forget_states(gilt_interp *it);

// What the switch interval rests at, in seconds: see take_gil.
#define GILT_REST 1.5e-3
#define GILT_MOST_REST 5e-3 // CPython's own default

// For how long (1 s) Go is taken to be short of processors when a goroutine has come back late, or watched for it.
#define GILT_GO_BUSY (50000 * gilt_ticks_20us)

// Whether the token is not the innermost one of this thread.
static inline int gilt_misused(gilt_thread *th, uint64_t serial) { return gilt_tls != th || th->serial != serial; }

// Begins an operation of a token: 0 when the thread is attached and the token is its current one.
static inline int gilt_op_begin(gilt_thread *th, uint64_t serial) {
	if (GILT_UNLIKELY(gilt_misused(th, serial))) return GILT_MISUSE;
	gilt_interp *it = th->tasks[th->ntasks - 1].it;
	th->nbuf = 0;
	atomic_store_explicit(&th->in_go, 0, memory_order_relaxed);
	if (GILT_LIKELY(th->attached == it)) {
		if (GILT_UNLIKELY(th->last < atomic_load_explicit(&it->go_doubt, memory_order_relaxed))) gilt_look_for_delay(th, it);
		return GILT_OK;
	}
	if (atomic_load_explicit(&gilt_generation, memory_order_relaxed) == 0) return GILT_STOPPED;
	return gilt_attach(th, it) ? GILT_FAILED : GILT_OK;
}
// Ends it: 1 when it comes back detached. A crossing that took long does: a goroutine that returns from cgo needs a
// processor of Go's, and with busy goroutines it would wait for one with the GIL held for milliseconds. While
// Go is known to be short of processors, every crossing does. So does one of a task that has had the GIL for 100 us while
// another of ours waits: between short operations CPython is not asked, and the task might go on for seconds.
// One time stamp, of 9 ns: what counts is the time since the operation before ended. Python code and Go may each have
// taken it; when it was a millisecond, the begins of the following second look which.
static inline int gilt_op_ended(gilt_thread *th) {
	uint64_t now = gilt_ticks(), took = now - th->last;
	gilt_interp *it = th->attached;
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

// cancel.c
void gilt_swallow(gilt_thread *th, gilt_interp *it); // with the GIL: what is pending is not for what runs next
void gilt_cancel_sooner(gilt_interp *it, int64_t deadline);

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

// error.c
const char *gilt_type_name(PyObject *o); // of its type, valid until the next call on this thread; clears the indicator
void gilt_raised(gilt_thread *th, gilt_interp *it, gilt_res *r); // fetches and clears the exception into r
// call.c
void gilt_result(gilt_thread *th, gilt_interp *it, PyObject *o, int rkind, gilt_res *r); // steals o; NULL means raised
// start.c
int gilt_names_init(gilt_interp *it);
void gilt_names_clear(gilt_interp *it);

#endif
