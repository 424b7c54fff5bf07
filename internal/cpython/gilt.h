// gilt's C shim: what Go may call, and the structs that both sides read.
// Every function is prefixed gilt_; Python's own are reached through the table `py`.
#ifndef GILT_H
#define GILT_H

#include <stddef.h>
#include <stdint.h>

// The most interpreters with their own GIL that one process may run.
enum { GILT_MAX_INTERPS = 64 };

// What became of an operation.
enum {
	GILT_OK = 0,
	GILT_RAISED = 1,   // Python raised: p,n hold the wire form of the exception, obj an owned reference to it
	GILT_MISUSE = 2,   // the token is not this OS thread's current one
	GILT_STOPPED = 3,  // the runtime has shut down
	GILT_FAILED = 4,   // the shim failed (memory): p,n hold a sentence
	GILT_DONE = 5,     // an iterator's end
	GILT_GREENLET = 6, // another greenlet of this thread is inside a Go function
	GILT_ENDING = 7,   // the OS thread has begun to end
};

// What else there is to say of an operation.
enum {
	GILT_DETACHED = 1, // the crossing came back without the GIL
	GILT_SLOW = 2,     // the task that ends took more than 1 ms from its first attach to its end, whatever it did, or never attached
	GILT_FIRED = 4,    // a cancellation was raised in it
	GILT_SHARED = 8,   // others had the GIL while the task was attached
};

// How a result travels.
enum {
	GILT_R_NONE = 0,   // dropped
	GILT_R_OBJECT = 1, // a reference that belongs to the token's scope
	GILT_R_INT64 = 2,
	GILT_R_UINT64 = 3,
	GILT_R_FLOAT64 = 4,
	GILT_R_BOOL = 5,
	GILT_R_STR = 6,    // UTF-8 in p,n
	GILT_R_BYTES = 7,
	GILT_R_WIRE = 8,   // any value, encoded (wire.c)
};

// The one argument of a prepared call that needs no encoding; anything else is GILT_A_WIRE.
enum { GILT_A_NONE = 0, GILT_A_INT64, GILT_A_UINT64, GILT_A_FLOAT64, GILT_A_BOOL, GILT_A_STR, GILT_A_BYTES, GILT_A_WIRE, GILT_A_OBJECT, GILT_A_NIL };

typedef struct {
	int32_t status;
	int32_t flags;     // GILT_DETACHED and its kin
	int64_t i;         // int64, bool, the bits of a float64
	const uint8_t *p;  // bytes that stay valid until the thread's next operation
	uint64_t n;
	uintptr_t obj;     // a PyObject *
	int64_t held;      // nanoseconds for which this task held the GIL (prepared calls and leave)
} gilt_res;

typedef struct gilt_thread gilt_thread;
typedef struct gilt_interp gilt_interp;
typedef struct gilt_fn gilt_fn;
typedef struct gilt_gofunc gilt_gofunc;
typedef struct gilt_orders gilt_orders;

// load.c. Each of the functions that return a char * gives NULL, or a malloc'ed sentence that says what failed.
char *gilt_running(void); // malloc'ed; NULL for no Python
char *gilt_load(const char *path, int min_minor, int max_minor);
const char *gilt_version(void);
int gilt_minor(void);
int gilt_has(const char *symbol);
// hook.c: cleanup.py, before Python starts; it is copied. 0, or -1 without memory.
int gilt_hook_source(const char *source, uint64_t n);

// start.c: once, on the thread that is to be Python's main thread.
char *gilt_start(const char *program, const char *home, int isolated, double switch_interval);
char *gilt_new_interp(double switch_interval, gilt_interp **out); // same thread
gilt_interp *gilt_main_interp(void);
int gilt_stop(void); // same thread; nobody else inside. Ends the interpreters, finalizes Python; its exit status.
void gilt_refuse(void); // from now on every entry answers GILT_STOPPED

// thread.c
// Words of a thread that Go reads without a crossing. A task's tag is the scheduler's name for it, which the pacer reports;
// Go may change it. last is another with each operation, and 0 while the thread does not have the GIL.
typedef struct { uint64_t tag, last; gilt_res rest; } gilt_words;
typedef struct { gilt_thread *th; uint64_t serial; gilt_words *words; int32_t status; } gilt_entry;
int gilt_nested(void); // this thread is inside a task
int gilt_here(gilt_thread *th, uint64_t serial); // the task of that serial is one of this thread's
int gilt_yield(void);  // the same, and it gives the GIL up if it has it: the task's next operation attaches again
// what is the caller's number for what the task runs; deadline is when its Python code is to be cancelled, in
// gilt_clock_ns' nanoseconds, 0 for never.
gilt_entry gilt_enter(gilt_interp *it, uint64_t tag, uint64_t what, int64_t deadline);
gilt_res gilt_leave(gilt_thread *th, uint64_t serial); // i is the length of the decref queue
gilt_res gilt_turn(gilt_thread *th, uint64_t serial);  // ends the task and begins another, attached: i is its serial, 0 for none
char *gilt_quiesce(int stopping); // malloc'ed names, or NULL
gilt_res gilt_detach(gilt_thread *th, uint64_t serial); // AllowThreads; held since the last report
void gilt_release(gilt_interp *it, uintptr_t obj);          // owned reference, from any thread, attached or not
void gilt_release_all(gilt_interp *it, const uintptr_t *objs, uint64_t n); // the same for many; zeros are passed over
int64_t gilt_backlog(gilt_interp *it);                      // so many wait for their decref
int64_t gilt_owned(gilt_interp *it);                        // so many are Go's: handles, and the exceptions of errors
int gilt_orphan_fd(void);                               // readable when a thread with states has ended, or the GIL was kept
// Waits of ours of 100 ms and more for the GIL in which it did not change hands: how many, and how long the last one was.
// reports counts those of which is known why; the rest is of the last one: by is one of the following, and what is what
// the task runs (gilt_enter's what) that had the GIL.
enum { GILT_KEPT_BY_C = 1, GILT_KEPT_BY_GO = 2, GILT_KEPT_BY_STRANGER = 3 };
typedef struct { uint64_t count; int64_t ns; uint64_t reports, what; int64_t reported_ns; int32_t by; } gilt_kept;
gilt_kept gilt_kept_look(gilt_interp *it);
void gilt_sink_orphans(void);                           // before gilt_reap of each interpreter: what comes later is told again
int gilt_reap(gilt_interp *it);                         // gives back the states of ended threads, from any thread
int gilt_count_states(gilt_interp *it);                 // thread states of the interpreter, from any thread
int gilt_id(gilt_interp *it);

// pacer.c
enum { GILT_PACE_STOP = 0, GILT_PACE_TICK = 1, GILT_PACE_CHECK = 2 };
#define GILT_FORCED 4
typedef struct {
	int32_t what;
	int32_t known;   // who holds the GIL can be told
	int32_t taken;   // somebody holds it
	int32_t returns; // nobody does, but who was forced off it waits for a processor only, to have it again
	int32_t computes; // somebody holds it, and has had it for a grace without a break
	int32_t pending; // attaches of ours that wait for it
	int32_t moved;   // one of ours got it since the last look
	uint64_t newest; // the highest tag of a task that has had it
	uint64_t forced[GILT_FORCED]; // GILT_PACE_TICK: tags of tasks that were forced off it since the last one, 0 for none
	uint64_t arrived; // the highest tag of a task that has begun on its thread
	uint64_t holder; // tag of the task that holds it; 0 for nobody, or nobody's task
	uint64_t runs;   // and what it runs: gilt_enter's what
	uint64_t user;   // tag of the task that had the GIL for long since the last answer, 0 for none
	int64_t used;    // how long, in nanoseconds
	int64_t tended;  // how long the task that is tended has used it beside that, unless Go has taken it (gilt_gil_words)
} gilt_look;
// As scheduler.Order says. Paces: not until it is armed; each millisecond; each 100 us; the same, and each look is told.
enum { GILT_WANT_REST = 0, GILT_WANT_TEND, GILT_WANT_WATCH, GILT_WANT_RUSH };
typedef struct { int32_t pace; uint64_t tag; int64_t quiet; } gilt_order; // quiet in nanoseconds
gilt_look gilt_pacer_wait(gilt_interp *it, gilt_order o);
void gilt_pacer_arm(gilt_interp *it, int pace);
void gilt_pacer_stop(gilt_interp *it);

// cancel.c
uint64_t gilt_clock_ns(void);
typedef struct {
	int32_t stopped;
	uint64_t tag;     // of a task that goes on though it was cancelled several times
	char where[256];  // and the Python frame that it is in: file:line in function
} gilt_stuck;
gilt_stuck gilt_cancel_loop(gilt_interp *it);         // one thread for each interpreter; it comes back to tell of one that is stuck
int gilt_cancel(gilt_interp *it, uint64_t tag);       // 1 if it is the innermost task of some thread: it will be cancelled until it ends
void gilt_cancel_stop(gilt_interp *it);
void gilt_deadline(gilt_thread *th, uint64_t serial, int64_t deadline); // for a task that was begun by gilt_turn

// locals.c
void gilt_keep_locals(int keep); // whether the frames of exceptions that Go has keep their local variables

// wire.c
gilt_res gilt_limit_error_object(gilt_thread *th, uint64_t serial); // the class of what is raised beyond them
void gilt_set_limits(uint64_t values, uint64_t bytes); // of one conversion

// memory.c
uint64_t gilt_malloc_free(uint64_t *took);

// interrupt.c
int gilt_in_go(gilt_interp *it, uint64_t tag); // the task of that tag is in Go code

// watch.c: in_go is not 0 when the task that has the GIL is in Go code, and the same as long as it stays there.
typedef struct { uint64_t in_go, tag, what; int32_t waits; } gilt_held; // waits: so many of ours wait for it
gilt_held gilt_watch(gilt_interp *it);
// How the task of that tag stands: whether it is the innermost one of a thread (found), and what that thread does.
enum { GILT_AT_UNKNOWN = 0, GILT_AT_RUNS, GILT_AT_GIL, GILT_AT_WAITS }; // RUNS: it runs, or waits for a processor only; WAITS: for something else than the GIL
typedef struct {
	int32_t found, begun; // begun: it has been on a thread, as far as that can be told
	int32_t at;
	int32_t in_go;        // it is in Go code
	int32_t raised;       // a cancellation was raised in it
	int32_t holds;        // it has the GIL
	int64_t ran;          // nanoseconds of a processor that the thread has had so far, -1 if that cannot be told
	uint64_t switches;    // how often the GIL has changed hands,
	uint64_t holder_what; // what the task of ours runs that has it, and ran of its thread; -1 for none
	int64_t holder_ran;
} gilt_stand;
gilt_stand gilt_standing(gilt_interp *it, uint64_t tag);

// What the thread of that number for Python runs, and the frame that it is in. th is 0 for one that is not ours.
typedef struct { uintptr_t th; uint64_t tag, what; char where[256]; } gilt_peek;
gilt_peek gilt_peek_at(gilt_thread *th, uint64_t serial, uint64_t ident);

// call.c: one crossing each. w,wn is the wire form of the arguments.
gilt_fn *gilt_fn_new(const char *module, const char *name, uint64_t what, int *missing);
void gilt_fn_free(gilt_fn *fn);
// Words of an interpreter that are read without a crossing: whether its GIL is taken (NULL: cannot be told), the
// highest tag that has had it, how many have asked for it and got it, and the nanoseconds of gilt_look.tended so far, which Go may take. They live as
// long as the process, but for the first, which lives as long as Python, or as the interpreter if it has its own GIL.
typedef struct { int32_t *locked; uint64_t *newest, *asked, *got; int64_t *tended; } gilt_gil_words;
gilt_gil_words gilt_interp_words(gilt_interp *it);
gilt_res gilt_fn_resolve(gilt_interp *it, gilt_fn *fn, uint64_t tag);
gilt_res gilt_fn_call(gilt_interp *it, gilt_fn *fn, uint64_t tag, int64_t deadline, int akind, int64_t ai, const uint8_t *w, uint64_t wn, int rkind);
// The same for a scalar argument and result, in two registers: the value, and held << 16 | flags << 8 | status. What
// else there is when it did not end well, gilt_fn_rest gives on the same thread.
typedef struct {
	int64_t i;
	uint64_t held_status;
} gilt_scalar;
gilt_scalar gilt_fn_scalar(gilt_interp *it, gilt_fn *fn, uint64_t tag, int64_t deadline, int akind, int64_t ai, int rkind);
gilt_res gilt_fn_rest(void);
// gilt_fn_call for n arguments in one attach. It ends early when it is cancelled. ai has the numbers, or where each argument's bytes end in w; io is where
// the results go that are numbers (rkind up to GILT_R_BOOL). i of the answer is how many were called, and p,n what
// cannot be a number, for each call: u64 its index, u64 status, u64 object, u64 length, bytes. It is freed by the next
// batch on this thread.
gilt_res gilt_fn_batch(gilt_interp *it, gilt_fn *fn, uint64_t tag, int64_t deadline, int akind, const int64_t *ai, uint64_t n, const uint8_t *w, int rkind, int64_t *io);
gilt_res gilt_call(gilt_thread *th, uint64_t serial, uintptr_t callable, const char *method, uint64_t mn,
                   const uint8_t *w, uint64_t wn, int rkind);

// quick.c: the same for arguments that need no encoding, and a result that is an object, a scalar or nothing: i is
// its value, held_status the status. What else there is when it did not end well is in the entry's rest. how packs
// the result's kind, the number of arguments << 4, the kind of each << 8, 12, 16, the length of method << 32, and of
// kw << 48. kw is the last argument's name, NULL for none.
enum { GILT_QUICK_ARGS = 3, GILT_QUICK_NAME = 0xffff };
gilt_scalar gilt_quick_call(gilt_thread *th, uint64_t serial, uintptr_t callable, const char *method, const char *kw, uint64_t how, int64_t a, int64_t b, int64_t c);
gilt_scalar gilt_quick_attr(gilt_thread *th, uint64_t serial, uintptr_t o, const char *name, uint64_t n, int rkind);
// A prepared function, as its own kind of result says: one that does not fit a register is in the entry's rest.
gilt_scalar gilt_quick_fn(gilt_thread *th, uint64_t serial, gilt_fn *fn, int akind, int64_t ai, const uint8_t *w, uint64_t wn, int rkind);

// gofunc.c: a Go function as a Python callable, which is what while it runs (see gilt_enter). plan has a letter for each argument: i int64, d float64, b bool (in
// args), O any object (in args, a reference of the call's scope), w a value in wire form (args: where it begins in w).
enum { GILT_GOARGS = 16, GILT_RAISE_TEXT = 2 };
typedef struct {
	uint64_t id, serial;
	gilt_interp *it;
	gilt_thread *th;
	gilt_words *words;
	int64_t *args;
	const uint8_t *w;
	uint64_t wn;
	int32_t interpreter;
	// What Go gives back: a result of that kind in i, obj or out (wire form, malloc'ed), to be raised if raises.
	int32_t rkind, raises; // raises: 1, or GILT_RAISE_TEXT for a RuntimeError that says out, a string
	int64_t i;
	uintptr_t obj;
	uint8_t *out;
	uint64_t outn;
} gilt_goframe;
gilt_res gilt_make_gofunc(gilt_thread *th, uint64_t serial, uint64_t id, uint64_t what, int uses_python, const char *name, uint64_t nn, const char *plan, uint64_t pn, const char *doc, uint64_t dn);
gilt_res gilt_make_value(gilt_thread *th, uint64_t serial, uint64_t id); // id is not 0
extern void gilt_go_call(gilt_goframe *f); // Go's, as these
extern void gilt_go_drop(uint64_t id);

// orders.c: a queue to Python code. Give it back once; a function that takes from it stays valid.
gilt_orders *gilt_orders_new(int *fd); // NULL without memory or descriptors; fd is readable as long as orders wait
void gilt_orders_free(gilt_orders *q);
void gilt_orders_close(gilt_orders *q); // its descriptors go at once; nothing is put any more
int gilt_orders_put(gilt_orders *q, uint64_t id, const uint8_t *w, uint64_t n); // from any thread; 0, or -1 without memory or when closed
gilt_res gilt_orders_raise(gilt_thread *th, uint64_t serial, uintptr_t box);    // the exception that is the one item of the list, as if it was raised; it leaves the list
gilt_res gilt_orders_take(gilt_thread *th, uint64_t serial, gilt_orders *q);    // the function that takes
uint8_t *gilt_orders_steal(gilt_orders *q, uint64_t *n); // what was not taken: malloc'ed, u64 id, u64 length, so many bytes of each; NULL for nothing

// loop.c: an event loop whose thread takes from the queue. Where gilt_cancel cancels its task, only the code of orders is
// interrupted that are overdue.
enum { GILT_SEEN_NOTHING = 0, GILT_SEEN_IDLE, GILT_SEEN_OTHER, GILT_SEEN_OVERDUE };
typedef struct {
	int32_t what;    // the code that the thread was in: none of an order, another's, or an overdue one's
	int32_t entered; // the event loop runs
	char where[256]; // file:line in function
} gilt_seen;
void gilt_orders_overdue(gilt_orders *q, uint64_t id, int on);
gilt_seen gilt_orders_seen(gilt_orders *q);
gilt_res gilt_orders_enter(gilt_thread *th, uint64_t serial, gilt_orders *q); // on the thread that will run the loop; the function that says when it does

// object.c: operations on an object and up to two values. Those from GILT_LT on are comparisons, from GILT_ADD on arithmetic,
// in the order of types.go.
enum {
	GILT_STR = 0, GILT_REPR, GILT_TYPE, GILT_LEN, GILT_TRUTH, GILT_HASH, GILT_ITER, GILT_NEXT, GILT_CONVERT,
	GILT_GETITEM, GILT_SETITEM, GILT_DELITEM, GILT_CONTAINS, GILT_ISINSTANCE, GILT_ISSUBCLASS, GILT_CALLABLE,
	GILT_APPEND, GILT_EXTEND, GILT_GET, GILT_DIR, GILT_LOOKUP, GILT_CAST,
	GILT_LT, GILT_LE, GILT_EQ, GILT_NE, GILT_GT, GILT_GE,
	GILT_ADD, GILT_SUB, GILT_MUL, GILT_MATMUL, GILT_DIV, GILT_FLOORDIV, GILT_MOD, GILT_DIVMOD, GILT_LSHIFT, GILT_RSHIFT,
	GILT_AND, GILT_OR, GILT_XOR, GILT_POW, GILT_NEG, GILT_POS, GILT_ABS, GILT_INVERT, GILT_OPS,
};
// classes.c
enum {
#define CLASS(code, expression) code,
#include "classes.h"
#undef CLASS
	GILT_C_COUNT, GILT_C_PROTOCOLS = GILT_C_ITERATOR,
};
// Up to most items of a list or a tuple, references of the scope, as words in p,n: none at its end. GILT_DONE for what
// is no list and no tuple, or of a subclass.
gilt_res gilt_items(gilt_thread *th, uint64_t serial, uintptr_t o, uint64_t from, uint64_t most);
// The same of a dict, from a position on: three words each, the key, its value and the position after them. Its size,
// unless below 0, must be that.
gilt_res gilt_entries(gilt_thread *th, uint64_t serial, uintptr_t o, uint64_t pos, int64_t size, uint64_t most);
uintptr_t gilt_none(void); // Python's None
uintptr_t gilt_ellipsis(void);
uintptr_t gilt_not_implemented(void);
gilt_res gilt_class_object(gilt_thread *th, uint64_t serial, int class); // the class itself
// An operation with up to two values that need no encoding, and an answer as of gilt_quick_call; for GILT_CAST a is
// the class.
gilt_scalar gilt_quick_object(gilt_thread *th, uint64_t serial, int op, uintptr_t o, uint64_t how, int64_t a, int64_t b);
gilt_res gilt_import(gilt_thread *th, uint64_t serial, const char *name, uint64_t n);
gilt_res gilt_getattr(gilt_thread *th, uint64_t serial, uintptr_t o, const char *name, uint64_t n, int rkind);
gilt_res gilt_setattr(gilt_thread *th, uint64_t serial, uintptr_t o, const char *name, uint64_t n, const uint8_t *w, uint64_t wn);
gilt_res gilt_object(gilt_thread *th, uint64_t serial, int op, uintptr_t o, const uint8_t *w, uint64_t wn, int rkind);
gilt_res gilt_make(gilt_thread *th, uint64_t serial, const uint8_t *w, uint64_t wn);
gilt_res gilt_exec(gilt_thread *th, uint64_t serial, const char *src, uint64_t n, const char *file, uint64_t fn,
                   int eval, uintptr_t globals, uintptr_t locals, int rkind);
// An owned reference, not the scope's; and a scope's to an owned object. If word, unless NULL, has that value: GILT_DONE
// otherwise.
gilt_res gilt_newref(gilt_thread *th, uint64_t serial, uintptr_t o, const uint64_t *word, uint64_t value);
gilt_res gilt_bind(gilt_thread *th, uint64_t serial, uintptr_t o, const uint64_t *word, uint64_t value);
gilt_res gilt_scope_end(gilt_thread *th, uint64_t serial, uint64_t base);
uint64_t gilt_scope_base(gilt_thread *th, uint64_t serial); // UINT64_MAX on the wrong thread
int gilt_error_indicator(gilt_thread *th, uint64_t serial);           // for tests: an exception is pending

// fds.c
int gilt_stdout_was_closed(void);
void gilt_set_flag(const char *name, int value); // before gilt_start, as the next one
int gilt_add_option(int x, const char *text); // -W or -X

#endif
