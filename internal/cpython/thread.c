// Thread states: one for each OS thread and interpreter, kept in thread-local storage for as long as the
// thread lives (a fresh one for each task costs 8-10 us since 3.11), and the stack of tasks on a thread.
#define _GNU_SOURCE
#include "books.h"
#include "greenlet.h"
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

__thread gilt_thread *gilt_tls;
static __thread int ended; // thread_ended has run on this thread
static pthread_key_t key;
static int no_key; // the process has no room for it

// Every thread that has states, so that stopping can give them back.
pthread_mutex_t gilt_all_mu = PTHREAD_MUTEX_INITIALIZER;
gilt_thread **gilt_threads;
size_t gilt_nthreads;
static size_t capthreads;

static void release(gilt_interp *it, PyObject *const *o, size_t n);

// Queues what a thread had for the janitor, and forgets the thread; gives how many states it had. since is what gilt_began gives
// for the thread; or GILT_GONE, when the system has forgotten it.
static int bury(gilt_thread *th, uint64_t since) {
	int orphans = 0;
	pthread_mutex_lock(&gilt_all_mu);
	for (size_t i = 0; i < gilt_nthreads; i++)
		if (gilt_threads[i] == th) {
			gilt_threads[i] = gilt_threads[--gilt_nthreads];
			break;
		}
	for (int i = 0; i < gilt_ninterps; i++)
		if (atomic_load(&gilt_interps[i]->user) == th) atomic_store(&gilt_interps[i]->user, NULL);
	if (th->generation != 0 && th->generation == atomic_load(&gilt_alive))
		for (int i = 0; i < gilt_ninterps; i++)
			if (th->states[i].ts && !th->states[i].foreign) {
				gilt_interp *it = gilt_interps[i];
				orphans += gilt_orphan_put(it, (gilt_orphan){th->states[i].ts, th->ident, th->native, since});
				if (th->states[i].context) release(it, &th->states[i].context, 1);
			}
	pthread_mutex_unlock(&gilt_all_mu);
	if (th->loop) gilt_orders_disown(th->loop);
	free(th->notes);
	free(th->tasks);
	free(th->refs);
	free(th->buf);
	free(th->batch);
	free(th);
	return orphans;
}

// Runs when an OS thread ends. It must not attach (a __del__ that enters Go would crash here), so it only queues the
// states for the janitor and wakes it. Destructors of others run before it and after it, in up to
// PTHREAD_DESTRUCTOR_ITERATIONS rounds: what enters after it is refused.
static void thread_ended(void *arg) {
	if (gilt_forked) return; // what it would touch may be half changed
	gilt_tls = NULL;
	ended = 1;
	if (bury(arg, gilt_began())) gilt_wake_janitor();
}

// Before any other library makes one, as far as that is in our hands: destructors run in the order in which their keys
// were made, and Go cannot be called any more on a thread of its own that ends.
__attribute__((constructor)) static void make_key(void) { no_key = pthread_key_create(&key, thread_ended); }

int gilt_no_thread(void) { return ended ? GILT_ENDING : GILT_FAILED; }

// Adds th to the list of threads; 0 without memory. One that is listed with its number never ran its destructor, which
// glibc gives up after the last round: a thread's number is used again as soon as the thread has ended.
static int enlist(gilt_thread *th) {
	gilt_thread *dead = NULL;
	pthread_mutex_lock(&gilt_all_mu);
	for (size_t i = 0; i < gilt_nthreads; i++)
		if (gilt_threads[i]->ident == th->ident) dead = gilt_threads[i];
	int bad = gilt_grow((void **)&gilt_threads, &capthreads, gilt_nthreads + 1, sizeof *gilt_threads);
	if (!bad) gilt_threads[gilt_nthreads++] = th;
	pthread_mutex_unlock(&gilt_all_mu);
	if (dead && bury(dead, GILT_GONE)) gilt_wake_janitor();
	return !bad;
}

gilt_thread *gilt_thread_here(void) {
	gilt_thread *th = gilt_tls;
	if (GILT_LIKELY(th != NULL)) return th;
	if (ended || no_key) return NULL;
	(void)gilt_orphan_fd(); // there has to be one before a thread ends
	th = calloc(1, sizeof *th);
	if (!th) return NULL;
	th->ident = py.PyThread_get_thread_ident();
	th->native = py.PyThread_get_thread_native_id();
#ifdef __linux__
	th->has_clock = pthread_getcpuclockid(pthread_self(), &th->clock) == 0;
#endif
	if (!enlist(th)) {
		free(th);
		return NULL;
	}
	if (pthread_setspecific(key, th)) {
		bury(th, GILT_GONE);
		return NULL;
	}
#ifdef __linux__
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0); // else a wait for the GIL of 50 us takes 100
#endif
	th->generation = atomic_load(&gilt_generation);
	return gilt_tls = th;
}

// As if the calling thread had begun to end, and with reused, as if its number were that of the process's first thread. For tests, see
// fault.go.
void gilt_end_thread(int reused) {
	if (!gilt_tls) return;
	if (reused) gilt_tls->native = (unsigned long)getpid();
	pthread_setspecific(key, NULL);
	thread_ended(gilt_tls);
}

uint64_t gilt_listed_threads(void) { // for tests, as this
	pthread_mutex_lock(&gilt_all_mu);
	uint64_t n = gilt_nthreads;
	pthread_mutex_unlock(&gilt_all_mu);
	return n;
}

void gilt_thread_adopt(gilt_interp *it, PyThreadState *ts) { gilt_tls->states[it->id].ts = ts; }

// Drops a context that nobody is in. What was set in it may have a __del__, which is no business of whoever runs here.
static void drop_context(gilt_interp *it, PyObject *context) {
	if (py.PyObject_Size(context) != 0) release(it, &context, 1); // for the next drain
	else py.Py_DecRef(context);
	py.PyErr_Clear();
}

// What was released by one task is dropped in the middle of another: __del__, a generator's finally, a weakref's callback
// run in a contextvars context of their own. NULL without memory.
PyObject *gilt_enter_apart(gilt_interp *it) {
	PyObject *context = atomic_exchange(&it->apart, NULL);
	if (!context) context = py.PyContext_New();
	if (context && !py.PyContext_Enter(context)) return context;
	py.PyErr_Clear();
	if (context) py.Py_DecRef(context);
	return NULL;
}

void gilt_leave_apart(gilt_interp *it, PyObject *context) {
	py.PyContext_Exit(context);
	py.PyErr_Clear();
	if (py.PyObject_Size(context) == 0) context = atomic_exchange(&it->apart, context); // for the next drain
	if (context) drop_context(it, context);
}

// Decrefs what was released while detached: taken out under the lock and dropped outside it, since a
// __del__ may release more; a bounded number at a time, since the next task waits.
void gilt_drain(gilt_interp *it, size_t most) {
	PyObject *some[GILT_DRAIN];
	size_t n = 0;
	if (GILT_UNLIKELY(gilt_forked)) return;
	PyObject *context = gilt_enter_apart(it);
	if (!context) return; // it waits until there is memory
	pthread_mutex_lock(&it->mu);
	while (n < most && it->ndead > 0) some[n++] = it->dead[--it->ndead];
	atomic_store_explicit(&it->backlog, (int64_t)it->ndead, memory_order_relaxed);
	pthread_mutex_unlock(&it->mu);
	for (size_t i = 0; i < n; i++) {
		py.Py_DecRef(some[i]);
		if (GILT_LIKELY(py.PyObject_Size(context) == 0)) continue;
		gilt_leave_apart(it, context); // what has been set is not for the next one, which another task released
		if ((context = gilt_enter_apart(it))) continue;
		release(it, some + i + 1, n - i - 1); // until there is memory
		return;
	}
	gilt_leave_apart(it, context);
}

// Enters a new context in place of the thread's; gives the old one to drop in *old.
static int new_context(gilt_state *st, PyObject **old) {
	PyObject *fresh = py.PyContext_New();
	*old = NULL;
	if (fresh) {
		*old = st->context;
		if (*old) py.PyContext_Exit(*old);
		st->context = py.PyContext_Enter(fresh) ? NULL : fresh;
		if (!st->context) py.Py_DecRef(fresh);
	}
	py.PyErr_Clear();
	st->unclean = !fresh || !st->context; // the next attach tries again
	return st->unclean ? -1 : 0;
}

// Each task has a contextvars context of its own. The one of the thread's outermost tasks stays entered
// and is replaced only when a task has left something in it, which costs 4 ns to see instead of 26.
static int clean_context(gilt_interp *it, gilt_state *st) {
	PyObject *old;
	st->unclean = 0;
	if (GILT_LIKELY(st->context && py.PyObject_Size(st->context) == 0)) return 0;
	int bad = new_context(st, &old);
	if (old && bad) drop_context(it, old);
	else if (old) py.Py_DecRef(old); // with what was set in it, whose __del__ runs in the new one, which nobody uses yet
	if (bad || py.PyObject_Size(st->context) == 0) return bad;
	bad = new_context(st, &old);
	if (old) drop_context(it, old);
	return bad;
}

gilt_thread *gilt_thread_of(gilt_interp *it, PyThreadState *ts) {
	for (size_t i = 0; i < gilt_nthreads; i++)
		if (gilt_threads[i]->states[it->id].ts == ts) return gilt_threads[i];
	return NULL;
}

int gilt_come_inside(gilt_thread *th) {
	atomic_store(&th->inside, 1);
	if (GILT_LIKELY(!atomic_load(&gilt_stopping))) return 0;
	atomic_store(&th->inside, 0);
	return -1;
}

void gilt_park(void) {
	while (atomic_load(&gilt_stopping)) usleep(10000); // signals wake it
}

static long long native_of(gilt_interp *it, PyObject *thread) {
	PyObject *o = py.PyObject_GetAttr(thread, it->names.s_native);
	long long n = o ? py.PyLong_AsLongLong(o) : -1;
	if (o) py.Py_DecRef(o);
	py.PyErr_Clear();
	return n;
}

// Forgets what threading.current_thread() gave a thread of that number that Python did not start, with all attributes that
// others have put there: the next thread may have the number at once. ended says that native is that thread's, else it is
// the next one's. With the GIL, and not threading's own lock, which a task may have that waits for the GIL.
void gilt_forget_dummy(gilt_interp *it, unsigned long ident, unsigned long native, int ended) {
	gilt_names *n = &it->names;
	if (!n->s_eval) return; // Python starts, or ends
	PyObject *active = py.PyObject_GetAttr(n->threading, n->s_active), *class = active ? py.PyObject_GetAttr(n->threading, n->s_dummy) : NULL;
	PyObject *key = class ? py.PyLong_FromUnsignedLongLong(ident) : NULL;
	PyObject *thread = key ? py.PyDict_GetItemWithError(active, key) : NULL; // borrowed
	if (thread && gilt_type(thread) == class) {
		py.Py_IncRef(thread);
		if ((native_of(it, thread) == (long long)native) == ended) py.PyObject_DelItem(active, key);
		release(it, &thread, 1); // its attributes may have a __del__
	}
	PyObject *owned[] = {active, class, key};
	for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
		if (owned[i]) py.Py_DecRef(owned[i]);
	py.PyErr_Clear();
}

// AllowThreads has given the innermost task another tag; the canceller may have armed it under the one before.
static void carry_armed(gilt_thread *th, uint64_t tag) {
	gilt_task *t = th->ntasks ? &th->tasks[th->ntasks - 1] : NULL;
	if (t && t->before) atomic_compare_exchange_strong(&th->states[t->it->id].armed, &(uint64_t){t->before}, tag);
}

static void take(gilt_thread *th, gilt_interp *it) {
	gilt_state *st = &th->states[it->id];
	if (GILT_UNLIKELY(th->attached != NULL)) gilt_detach_now(th);
	atomic_store_explicit(&th->in_go, 0, memory_order_relaxed);
	th->last = gilt_take_gil(th, it, st->ts);
	uint64_t tag = atomic_load_explicit(&th->tag, memory_order_relaxed);
	if (tag > atomic_load_explicit(&it->newest, memory_order_relaxed)) atomic_store_explicit(&it->newest, tag, memory_order_relaxed);
	add(&it->inside, 1);
	th->attached = it;
	books_begin(th, it, th->last);
	if (GILT_LIKELY(th->ntasks > 0) && th->tasks[th->ntasks - 1].began == 0) th->tasks[th->ntasks - 1].began = th->last;
	if (GILT_UNLIKELY(atomic_load_explicit(&st->armed, memory_order_relaxed) != 0)) {
		carry_armed(th, tag);
		if (atomic_load(&st->armed) != tag) gilt_disarm(th, it);
	}
}

static inline void drain_some(gilt_thread *th, gilt_interp *it) {
	// Not without a task: the canceller must not be held up by a __del__.
	if (GILT_UNLIKELY(atomic_load_explicit(&it->backlog, memory_order_relaxed) > 0) && th->ntasks > 0) gilt_drain(it, GILT_DRAIN);
}

// The context stays as it is: Python code that has entered it may be on the stack.
void gilt_reattach(gilt_thread *th, gilt_interp *it) {
	take(th, it);
	drain_some(th, it);
}

int gilt_attach(gilt_thread *th, gilt_interp *it) {
	gilt_state *st = &th->states[it->id];
	int first = GILT_UNLIKELY(!st->ts);
	if (first && !(st->ts = py.PyThreadState_New(it->is))) return -1;
	if (GILT_UNLIKELY(th->foreign) && gilt_come_inside(th)) return -1;
	take(th, it);
	if (first) gilt_forget_dummy(it, th->ident, th->native, 0);
	if (GILT_UNLIKELY(st->unclean || !st->context) && !st->foreign && clean_context(it, st)) {
		gilt_detach_now(th);
		return -1;
	}
	drain_some(th, it);
	return 0;
}

int gilt_op_attach(gilt_thread *th, gilt_interp *it, gilt_res *r) {
	if (atomic_load_explicit(&gilt_generation, memory_order_relaxed) == 0) return GILT_STOPPED;
	if (gilt_attach(th, it)) return th->foreign && atomic_load(&gilt_stopping) ? GILT_STOPPED : GILT_FAILED;
	if (GILT_LIKELY(!r || !gilt_interrupt_here(th, it))) return GILT_OK;
	gilt_raised(th, it, r);
	gilt_op_end(th, r);
	return r->status;
}

void gilt_detach_now(gilt_thread *th) {
	if (GILT_UNLIKELY(gilt_forked)) gilt_child_ends(th->attached);
	books_end(th, th->attached, th->left = gilt_ticks());
	add(&th->attached->inside, -1);
	th->attached = NULL;
	th->last = 0;
	py.PyEval_SaveThread();
	if (GILT_UNLIKELY(th->foreign)) atomic_store(&th->inside, 0);
}

void gilt_look_for_delay(gilt_thread *th, gilt_interp *it) {
	uint64_t now = gilt_ticks(); // which may be before last: see gilt_op_ended
	if (now > th->last && now - th->last > 50 * gilt_ticks_20us) gilt_go_is_busy(it, now);
}

static _Thread_local uint64_t serials;

// Tells the canceller what runs here: a deadline is never seen beside another task's tag, unless it is that one's too.
static inline void tell(gilt_thread *th, uint64_t tag, int at, int64_t deadline) {
	if (GILT_UNLIKELY(atomic_load_explicit(&th->deadline, memory_order_relaxed) != 0)) atomic_store_explicit(&th->deadline, 0, memory_order_release);
	atomic_store_explicit(&th->at, at, memory_order_release);
	atomic_store_explicit(&th->tag, tag, memory_order_release);
	if (GILT_UNLIKELY(deadline != 0)) atomic_store_explicit(&th->deadline, deadline, memory_order_release);
}

static gilt_task *push_task(gilt_thread *th, gilt_interp *it, uint64_t tag, uint64_t what, int64_t deadline) {
	if (GILT_UNLIKELY(th->ntasks == th->captasks) && gilt_grow((void **)&th->tasks, &th->captasks, th->ntasks + 1, sizeof *th->tasks)) return NULL;
	if (th->ntasks > 0) th->tasks[th->ntasks - 1].fired = gilt_fired(th); // the inner one may be too, and the thread keeps one
	gilt_task *t = &th->tasks[th->ntasks++];
	*t = (gilt_task){.serial = ++serials, .it = it, .base = th->nrefs, .held = th->held, .tag = atomic_load_explicit(&th->tag, memory_order_relaxed), .what = atomic_load_explicit(&th->what, memory_order_relaxed),
		.deadline = atomic_load_explicit(&th->deadline, memory_order_relaxed)};
	if (GILT_UNLIKELY(th->ntasks > 1)) t->greenlet = t[-1].greenlet, t->across = t[-1].across; // Go code switches none
	atomic_store_explicit(&th->what, what, memory_order_relaxed);
	tell(th, tag, it->id + 1, deadline);
	if (GILT_UNLIKELY(deadline != 0) && deadline < atomic_load_explicit(&it->next_cancel, memory_order_relaxed)) gilt_cancel_sooner(it, deadline);
	if (tag > atomic_load_explicit(&it->arrived, memory_order_relaxed)) atomic_store_explicit(&it->arrived, tag, memory_order_relaxed);
	th->serial = t->serial;
	th->held = 0, th->shared = 0;
	return t;
}

static int64_t pop_task(gilt_thread *th) {
	uint64_t held = th->held;
	gilt_task *t = &th->tasks[--th->ntasks];
	th->held = t->held;
	tell(th, t->tag, th->ntasks ? th->tasks[th->ntasks - 1].it->id + 1 : 0, t->deadline);
	atomic_store_explicit(&th->what, t->what, memory_order_relaxed);
	th->serial = th->ntasks ? th->tasks[th->ntasks - 1].serial : 0;
	return gilt_to_ns(held);
}

// After an inner task's end: the canceller may have looked while that was there, and wait for other deadlines only.
static inline void tell_of_outer(gilt_thread *th) {
	int64_t deadline = atomic_load_explicit(&th->deadline, memory_order_relaxed);
	if (GILT_LIKELY(deadline == 0 || th->ntasks == 0)) return;
	gilt_interp *it = th->tasks[th->ntasks - 1].it;
	if (deadline < atomic_load_explicit(&it->next_cancel, memory_order_relaxed)) gilt_cancel_sooner(it, deadline);
}

// A thread that outlived a runtime forgets the states of then.
static int entered_late(gilt_thread *th) {
	uint64_t g = atomic_load_explicit(&gilt_generation, memory_order_relaxed);
	if (GILT_LIKELY(th->generation == g && g != 0)) return 0;
	if (g == 0) return 1;
	if (th->ntasks) return 1;
	memset(th->states, 0, sizeof th->states);
	th->generation = g;
	return 0;
}

// One of the first n tasks on the thread is in it.
static int nested_in(gilt_thread *th, gilt_interp *it, size_t n) {
	for (size_t i = 0; i < n; i++)
		if (th->tasks[i].it == it) return 1;
	return 0;
}

// Begins a task on this thread; attaches only when it must (a nested task needs a context of its own).
int gilt_task_begin(gilt_thread *th, gilt_interp *it, uint64_t tag, uint64_t what, int64_t deadline) {
	if (GILT_UNLIKELY(entered_late(th))) return GILT_STOPPED;
	int inner = GILT_UNLIKELY(th->ntasks > 0) && nested_in(th, it, th->ntasks);
	if (GILT_UNLIKELY(th->ntasks > 0) && th->tasks[th->ntasks - 1].across) return GILT_GREENLET;
	if (GILT_UNLIKELY(th->attached != NULL)) gilt_detach_now(th);
	gilt_task *t = push_task(th, it, tag, what, deadline);
	if (!t) return GILT_FAILED;
	atomic_store_explicit(&th->in_go, 0, memory_order_relaxed);
	if (GILT_LIKELY(!inner)) return GILT_OK;
	if (gilt_attach(th, it)) {
		pop_task(th);
		tell_of_outer(th);
		return GILT_FAILED;
	}
	PyObject *context = py.PyContext_New(), *outer = py.PyThreadState_GetFrame(th->states[it->id].ts);
	t = &th->tasks[th->ntasks - 1]; // attaching may have run Python code that calls Go, and moved them
	t->outer = outer; // it runs as long as the task does
	if (outer) py.Py_DecRef(outer);
	t->context = context;
	if (t->context && !py.PyContext_Enter(t->context)) return GILT_OK;
	py.PyErr_Clear();
	if (t->context) py.Py_DecRef(t->context);
	gilt_detach_now(th);
	pop_task(th);
	tell_of_outer(th);
	return GILT_FAILED;
}

int gilt_push_task(gilt_thread *th, gilt_interp *it, uint64_t what) {
	gilt_task *t = push_task(th, it, atomic_load_explicit(&th->tag, memory_order_relaxed), what,
		atomic_load_explicit(&th->deadline, memory_order_relaxed));
	if (t && th->ntasks > 1) t->outer = t[-1].outer, t->before = t[-1].before; // it is the same task
	return t != NULL;
}

// The thread is attached. What the call held is the outer task's to account for, and the tag, which AllowThreads
// may have changed, is the same task's.
void gilt_pop_callback(gilt_thread *th) {
	gilt_task t = th->tasks[th->ntasks - 1];
	while (th->nrefs > t.base) py.Py_DecRef(th->refs[--th->nrefs]);
	uint64_t tag = atomic_load_explicit(&th->tag, memory_order_relaxed), held = th->held;
	int fired = gilt_fired(th);
	pop_task(th);
	if (GILT_UNLIKELY(fired) && th->ntasks > 0) th->tasks[th->ntasks - 1].fired = 1;
	th->held += held;
	atomic_store_explicit(&th->tag, tag, memory_order_relaxed);
}

static void release(gilt_interp *it, PyObject *const *o, size_t n) { // NULLs are passed over
	if (GILT_UNLIKELY(gilt_forked)) return; // its lock may be locked for good
	pthread_mutex_lock(&it->mu);
	if (!gilt_grow((void **)&it->dead, &it->capdead, it->ndead + n, sizeof *it->dead))
		for (size_t i = 0; i < n; i++)
			if (o[i]) it->dead[it->ndead++] = o[i];
	atomic_store_explicit(&it->backlog, (int64_t)it->ndead, memory_order_relaxed);
	pthread_mutex_unlock(&it->mu);
}

// What a task leaves behind goes, with the GIL held: its references, in its own context, and what it set in that. Gives
// -1 when there is no clean context for the next task.
static int end_attached(gilt_thread *th, gilt_interp *it, size_t base, PyObject *context) {
	gilt_state *st = &th->states[it->id];
	atomic_store_explicit(&th->in_go, 0, memory_order_relaxed); // what goes may run Python code
	if (GILT_UNLIKELY(atomic_load_explicit(&st->armed, memory_order_relaxed) != 0)) {
		atomic_store(&th->ending, 1);
		gilt_disarm(th, it);
	}
	while (th->nrefs > base) py.Py_DecRef(th->refs[--th->nrefs]);
	if (gilt_others_left(th, it)) py.PyErr_Clear();
	if (GILT_UNLIKELY(context != NULL)) { // of a nested task: the thread's is an outer one's
		py.PyContext_Exit(context);
		py.PyErr_Clear();
		drop_context(it, context);
	}
	if (nested_in(th, it, th->ntasks - 1)) return 0;
	return clean_context(it, st);
}

// What is to be said of the innermost task, which ends: a millisecond and more from its first attach is slow. So is a task that never
// attached: nobody knows how long it took, and it may not be taken for quick.
static int32_t flags_of(gilt_thread *th, uint64_t now) {
	uint64_t began = th->tasks[th->ntasks - 1].began;
	int slow = !began || now - began > 50 * gilt_ticks_20us;
	return (slow ? GILT_SLOW : 0) | (gilt_fired(th) ? GILT_FIRED : 0) | (th->shared ? GILT_SHARED : 0);
}

// Ends the innermost task: its references go, the thread is detached.
int64_t gilt_task_end(gilt_thread *th, int32_t *flags) {
	if (th->attached && gilt_others_left(th, th->attached)) py.PyErr_Clear();
	gilt_task *t = &th->tasks[th->ntasks - 1];
	gilt_interp *it = t->it;
	gilt_state *st = &th->states[it->id];
	size_t base = t->base;
	PyObject *context = t->context;
	if (th->attached != it && GILT_UNLIKELY(context != NULL || atomic_load(&st->armed) != 0)) gilt_reattach(th, it);
	if (GILT_LIKELY(th->attached == it)) {
		end_attached(th, it, base, context);
		gilt_detach_now(th);
	} else { // its last operation took long: do not wait for the GIL again only to tidy up
		if (th->nrefs > base) release(it, th->refs + base, th->nrefs - base);
		th->nrefs = base;
		st->unclean = 1;
		th->left = gilt_ticks();
	}
	*flags = flags_of(th, th->left);
	atomic_store_explicit(&th->in_go, 1, memory_order_relaxed);
	int64_t held = pop_task(th);
	if (GILT_UNLIKELY(atomic_load_explicit(&th->ending, memory_order_relaxed) != 0)) atomic_store(&th->ending, 0);
	tell_of_outer(th);
	return held;
}

uint64_t gilt_check_many(uintptr_t th, uint64_t serial, uint64_t n) { // for a benchmark, see fault.go
	uint64_t right = 0;
	for (uint64_t i = 0; i < n; i++) {
		gilt_thread *volatile t = (gilt_thread *)th; // so that it is looked at each time
		right += !gilt_misused(t, serial);
	}
	return right;
}

int gilt_nested(void) { return gilt_tls && gilt_tls->ntasks > 0; }

int gilt_here(gilt_thread *th, uint64_t serial) {
	for (size_t i = 0; gilt_tls == th && i < th->ntasks; i++)
		if (th->tasks[i].serial == serial) return 1;
	return 0;
}

int gilt_yield(void) {
	if (gilt_tls && gilt_tls->attached) gilt_detach_now(gilt_tls);
	return gilt_nested();
}

gilt_entry gilt_enter(gilt_interp *it, uint64_t tag, uint64_t what, int64_t deadline) {
	gilt_thread *th = gilt_thread_here();
	if (!th) return (gilt_entry){.status = gilt_no_thread()};
	int status = gilt_task_begin(th, it, tag, what, deadline);
	atomic_store_explicit(&th->in_go, 1, memory_order_relaxed);
	return (gilt_entry){.th = th, .serial = th->serial, .words = &th->words, .status = status};
}

gilt_res gilt_leave(gilt_thread *th, uint64_t serial) {
	if (gilt_tls != th || th->serial != serial) return (gilt_res){.status = GILT_MISUSE};
	gilt_interp *it = th->tasks[th->ntasks - 1].it;
	int32_t flags;
	int64_t held = gilt_task_end(th, &flags);
	return (gilt_res){.held = held, .flags = flags, .i = atomic_load_explicit(&it->backlog, memory_order_relaxed)};
}

// Ends a task and begins another on this thread without giving the GIL up in between, if it is attached
// and its attach is young. Otherwise it ends the task as gilt_leave does, and i is 0.
gilt_res gilt_turn(gilt_thread *th, uint64_t serial) {
	if (gilt_tls != th || th->serial != serial) return (gilt_res){.status = GILT_MISUSE};
	gilt_task *t = &th->tasks[th->ntasks - 1];
	gilt_interp *it = t->it;
	gilt_state *st = &th->states[it->id];
	uint64_t now = gilt_ticks();
	int young = now - atomic_load_explicit(&th->since, memory_order_relaxed) < 10 * gilt_ticks_20us;
	gilt_res r = {0};
	if (th->attached != it || t->context || !young || entered_late(th) || end_attached(th, it, t->base, NULL)) {
		r.held = gilt_task_end(th, &r.flags);
		r.n = (uint64_t)gilt_backlog(it);
		return r;
	}
	r.flags = flags_of(th, now);
	atomic_store_explicit(&th->ending, 1, memory_order_relaxed);
	if (GILT_UNLIKELY(gilt_backlog(it) > 0)) gilt_drain(it, GILT_DRAIN);
	// What it left behind may have given the GIL up as it went, and the canceller taken it. The next task does not
	// attach, which would look at this.
	if (GILT_UNLIKELY(atomic_load_explicit(&st->armed, memory_order_relaxed) != 0)) gilt_disarm(th, it);
	books_end(th, it, gilt_ticks()); // after all Python code of it, in which a Go function may end an attach and its books
	r.held = gilt_to_ns(th->held);
	th->held = 0;
	atomic_store_explicit(&th->deadline, 0, memory_order_release);
	atomic_store_explicit(&th->ending, 0, memory_order_relaxed);
	th->last = gilt_ticks();
	books_begin(th, it, th->last);
	t = &th->tasks[th->ntasks - 1];
	t->began = th->last, t->fired = 0;
	t->serial = th->serial = ++serials;
	atomic_store_explicit(&th->in_go, th->last, memory_order_relaxed);
	r.i = (int64_t)th->serial;
	return r;
}

gilt_res gilt_detach(gilt_thread *th, uint64_t serial) {
	if (gilt_tls != th || th->serial != serial) return (gilt_res){.status = GILT_MISUSE};
	if (th->attached) gilt_detach_now(th);
	gilt_task *t = &th->tasks[th->ntasks - 1];
	uint64_t tag = atomic_load_explicit(&th->tag, memory_order_relaxed);
	carry_armed(th, tag);
	t->fired = gilt_fired(th), t->before = tag; // another tag may come
	uint64_t held = th->held;
	th->held = 0;
	return (gilt_res){.held = gilt_to_ns(held)};
}

int gilt_push_ref(gilt_thread *th, PyObject *o) {
	if (GILT_UNLIKELY(th->nrefs == th->caprefs) && gilt_grow((void **)&th->refs, &th->caprefs, th->nrefs + 1, sizeof *th->refs)) {
		py.Py_DecRef(o);
		return -1;
	}
	th->refs[th->nrefs++] = o;
	return 0;
}

uint64_t gilt_scope_base(gilt_thread *th, uint64_t serial) {
	return gilt_tls == th && th->serial == serial ? th->nrefs : UINT64_MAX;
}

gilt_res gilt_scope_end(gilt_thread *th, uint64_t serial, uint64_t base) {
	gilt_res r = {.status = gilt_op_begin(th, serial, NULL)};
	if (r.status) return r;
	while (th->nrefs > base) py.Py_DecRef(th->refs[--th->nrefs]);
	gilt_op_end(th, &r);
	return r;
}

void gilt_release(gilt_interp *it, uintptr_t obj) { gilt_release_all(it, &obj, 1); }

void gilt_release_own(gilt_interp *it, PyObject *o) {
	if (atomic_load(&gilt_generation) != 0) release(it, &o, 1);
}

void gilt_release_all(gilt_interp *it, const uintptr_t *objs, uint64_t n) {
	if (atomic_load(&gilt_generation) == 0) return; // Python is gone, and its objects with it
	int64_t given = 0;
	for (uint64_t i = 0; i < n; i++) given += objs[i] != 0;
	atomic_fetch_add_explicit(&it->disowned, given, memory_order_relaxed);
	release(it, (PyObject *const *)objs, n);
}

int64_t gilt_owned(gilt_interp *it) { return atomic_load(&it->owned) - atomic_load(&it->disowned); }

int64_t gilt_backlog(gilt_interp *it) { return atomic_load_explicit(&it->backlog, memory_order_relaxed); }

// The Go functions in which threads that Python made are, and are not without the GIL: their names, each with a newline.
// NULL when there are none: no such thread comes into Python again, unless stopping is 0.
char *gilt_quiesce(int stopping) {
	atomic_store(&gilt_stopping, stopping);
	char *names = NULL;
	size_t n = 0;
	for (int i = 0; i < gilt_ninterps; i++) atomic_store(&gilt_interps[i]->go_busy, stopping ? UINT64_MAX : 0); // each operation comes back detached
	pthread_mutex_lock(&gilt_all_mu);
	for (size_t i = 0; i < gilt_nthreads; i++) {
		gilt_thread *th = gilt_threads[i];
		if (!atomic_load(&th->inside)) continue; // which comes before foreign
		const char *called = th->called ? th->called : "?";
		size_t more = strlen(called) + 1;
		char *longer = realloc(names, n + more + 1);
		if (!longer) break;
		names = longer;
		memcpy(names + n, called, more - 1);
		memcpy(names + n + more - 1, "\n", 2);
		n += more;
	}
	pthread_mutex_unlock(&gilt_all_mu);
	return names;
}

int gilt_count_states(gilt_interp *it) {
	int n = 0;
	for (PyThreadState *t = py.PyInterpreterState_ThreadHead(it->is); t; t = py.PyThreadState_Next(t)) n++;
	return n;
}
