// Thread states: one for each OS thread and interpreter, kept in thread-local storage for as long as the
// thread lives (a fresh one for each task costs 8-10 us since 3.11), and the stack of tasks on a thread.
#include "books.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

__thread gilt_thread *gilt_tls;
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int orphan_pipe[2] = {-1, -1};

// Every thread that has states, so that stopping can give them back.
pthread_mutex_t gilt_all_mu = PTHREAD_MUTEX_INITIALIZER;
gilt_thread **gilt_threads;
size_t gilt_nthreads;
static size_t capthreads;

static int grow(void **p, size_t *cap, size_t need, size_t size) {
	if (need <= *cap) return 0;
	size_t c = *cap ? *cap * 2 : 16;
	while (c < need) c *= 2;
	void *q = realloc(*p, c * size);
	if (!q) return -1;
	*p = q, *cap = c;
	return 0;
}

static void release(gilt_interp *it, PyObject *const *o, size_t n);

// Runs when an OS thread ends. It must not attach (a __del__ that enters Go would crash here), so it
// only queues the states for the janitor and wakes it.
static void thread_ended(void *arg) {
	gilt_thread *th = arg;
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
			if (th->states[i].ts && !th->foreign) {
				gilt_interp *it = gilt_interps[i];
				pthread_mutex_lock(&it->mu);
				if (!grow((void **)&it->orphans, &it->caporphans, it->norphans + 1, sizeof *it->orphans)) {
					it->orphans[it->norphans++] = th->states[i].ts;
					orphans++;
				}
				pthread_mutex_unlock(&it->mu);
				if (th->states[i].context) release(it, &th->states[i].context, 1);
			}
	pthread_mutex_unlock(&gilt_all_mu);
	if (orphans) gilt_wake_janitor();
	if (th->loop) gilt_orders_disown(th->loop);
	free(th->tasks);
	free(th->refs);
	free(th->buf);
	free(th->batch);
	free(th);
}

static void make_key(void) {
	pthread_key_create(&key, thread_ended);
	if (pipe(orphan_pipe) == 0)
		for (int i = 0; i < 2; i++) {
			fcntl(orphan_pipe[i], F_SETFD, FD_CLOEXEC);
			fcntl(orphan_pipe[i], F_SETFL, O_NONBLOCK);
		}
}

void gilt_wake_janitor(void) { (void)!write(orphan_pipe[1], "x", 1); }

int gilt_orphan_fd(void) {
	pthread_once(&once, make_key);
	return orphan_pipe[0];
}

gilt_thread *gilt_thread_here(void) {
	gilt_thread *th = gilt_tls;
	if (GILT_LIKELY(th != NULL)) return th;
	pthread_once(&once, make_key);
	th = calloc(1, sizeof *th);
	if (!th) return NULL;
	pthread_mutex_lock(&gilt_all_mu);
	int bad = grow((void **)&gilt_threads, &capthreads, gilt_nthreads + 1, sizeof *gilt_threads);
	if (!bad) gilt_threads[gilt_nthreads++] = th;
	pthread_mutex_unlock(&gilt_all_mu);
	if (!bad && pthread_setspecific(key, th)) {
		pthread_mutex_lock(&gilt_all_mu);
		for (size_t i = 0; i < gilt_nthreads; i++)
			if (gilt_threads[i] == th) {
				gilt_threads[i] = gilt_threads[--gilt_nthreads];
				break;
			}
		pthread_mutex_unlock(&gilt_all_mu);
		bad = 1;
	}
	if (bad) {
		free(th);
		return NULL;
	}
#ifdef __linux__
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0); // else a wait for the GIL of 50 us takes 100
#endif
	th->ident = py.PyThread_get_thread_ident();
	th->generation = atomic_load(&gilt_generation);
	return gilt_tls = th;
}

void gilt_thread_adopt(gilt_interp *it, PyThreadState *ts) { gilt_tls->states[it->id].ts = ts; }

// Decrefs what was released while detached: taken out under the lock and dropped outside it, since a
// __del__ may release more; a bounded number at a time, since the next task waits.
void gilt_drain(gilt_interp *it, size_t most) {
	PyObject *some[GILT_DRAIN];
	size_t n = 0;
	pthread_mutex_lock(&it->mu);
	while (n < most && it->ndead > 0) some[n++] = it->dead[--it->ndead];
	atomic_store_explicit(&it->backlog, (int64_t)it->ndead, memory_order_relaxed);
	pthread_mutex_unlock(&it->mu);
	for (size_t i = 0; i < n; i++) py.Py_DecRef(some[i]);
}

// Each task has a contextvars context of its own. The one of the thread's outermost tasks stays entered
// and is replaced only when a task has left something in it, which costs 4 ns to see instead of 26.
static int clean_context(gilt_state *st) {
	st->unclean = 0;
	if (st->context) {
		if (py.PyObject_Size(st->context) == 0) return 0;
		py.PyContext_Exit(st->context);
		py.Py_DecRef(st->context);
		py.PyErr_Clear();
	}
	st->context = py.PyContext_New();
	if (!st->context || py.PyContext_Enter(st->context)) {
		py.PyErr_Clear();
		return -1;
	}
	return 0;
}

gilt_thread *gilt_thread_of(gilt_interp *it, PyThreadState *ts) {
	for (size_t i = 0; i < gilt_nthreads; i++)
		if (gilt_threads[i]->states[it->id].ts == ts) return gilt_threads[i];
	return NULL;
}

int gilt_attach(gilt_thread *th, gilt_interp *it) {
	gilt_state *st = &th->states[it->id];
	if (GILT_UNLIKELY(!st->ts) && !(st->ts = py.PyThreadState_New(it->is))) return -1;
	if (GILT_UNLIKELY(th->attached != NULL)) gilt_detach_now(th);
	th->last = gilt_take_gil(it, st->ts);
	uint64_t tag = atomic_load_explicit(&th->tag, memory_order_relaxed);
	if (tag > atomic_load_explicit(&it->newest, memory_order_relaxed)) atomic_store_explicit(&it->newest, tag, memory_order_relaxed);
	add(&it->inside, 1);
	th->attached = it;
	books_begin(th, it, th->last);
	if (GILT_LIKELY(th->ntasks > 0) && th->tasks[th->ntasks - 1].began == 0) th->tasks[th->ntasks - 1].began = th->last;
	if (GILT_UNLIKELY(atomic_load_explicit(&st->armed, memory_order_relaxed) != 0) && atomic_load(&st->armed) != tag) gilt_swallow(th, it);
	if (GILT_UNLIKELY(st->unclean || !st->context) && !th->foreign && clean_context(st)) {
		gilt_detach_now(th);
		return -1;
	}
	// Not without a task: the canceller must not be held up by a __del__.
	if (GILT_UNLIKELY(atomic_load_explicit(&it->backlog, memory_order_relaxed) > 0) && th->ntasks > 0) gilt_drain(it, GILT_DRAIN);
	return 0;
}

void gilt_detach_now(gilt_thread *th) {
	books_end(th, th->attached, th->left = gilt_ticks());
	add(&th->attached->inside, -1);
	th->attached = NULL;
	th->last = 0;
	py.PyEval_SaveThread();
}

void gilt_look_for_delay(gilt_thread *th, gilt_interp *it) {
	uint64_t now = gilt_ticks(); // which may be before last: see gilt_op_ended
	if (now > th->last && now - th->last > 50 * gilt_ticks_20us) atomic_store_explicit(&it->go_busy, now + GILT_GO_BUSY, memory_order_relaxed);
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
	if (GILT_UNLIKELY(th->ntasks == th->captasks) && grow((void **)&th->tasks, &th->captasks, th->ntasks + 1, sizeof *th->tasks)) return NULL;
	if (th->ntasks > 0) th->tasks[th->ntasks - 1].fired = gilt_fired(th); // the inner one may be too, and the thread keeps one
	gilt_task *t = &th->tasks[th->ntasks++];
	*t = (gilt_task){.serial = ++serials, .it = it, .base = th->nrefs, .held = th->held, .tag = atomic_load_explicit(&th->tag, memory_order_relaxed), .what = atomic_load_explicit(&th->what, memory_order_relaxed),
		.deadline = atomic_load_explicit(&th->deadline, memory_order_relaxed)};
	atomic_store_explicit(&th->what, what, memory_order_relaxed);
	tell(th, tag, it->id + 1, deadline);
	if (GILT_UNLIKELY(deadline != 0) && deadline < atomic_load_explicit(&it->next_cancel, memory_order_relaxed)) gilt_cancel_sooner(it, deadline);
	if (tag > atomic_load_explicit(&it->arrived, memory_order_relaxed)) atomic_store_explicit(&it->arrived, tag, memory_order_relaxed);
	th->serial = t->serial;
	th->held = 0;
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
	if (GILT_UNLIKELY(th->attached != NULL)) gilt_detach_now(th);
	gilt_task *t = push_task(th, it, tag, what, deadline);
	if (!t) return GILT_FAILED;
	if (GILT_LIKELY(!inner)) return GILT_OK;
	if (gilt_attach(th, it)) {
		pop_task(th);
		tell_of_outer(th);
		return GILT_FAILED;
	}
	PyObject *context = py.PyContext_New();
	t = &th->tasks[th->ntasks - 1]; // attaching may have run Python code that calls Go, and moved them
	t->context = context;
	if (t->context && !py.PyContext_Enter(t->context)) return GILT_OK;
	py.PyErr_Clear();
	if (t->context) py.Py_DecRef(t->context);
	gilt_detach_now(th);
	pop_task(th);
	tell_of_outer(th);
	return GILT_FAILED;
}

int gilt_push_task(gilt_thread *th, gilt_interp *it) {
	return push_task(th, it, atomic_load_explicit(&th->tag, memory_order_relaxed), atomic_load_explicit(&th->what, memory_order_relaxed),
		atomic_load_explicit(&th->deadline, memory_order_relaxed)) != NULL;
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
	pthread_mutex_lock(&it->mu);
	if (!grow((void **)&it->dead, &it->capdead, it->ndead + n, sizeof *it->dead))
		for (size_t i = 0; i < n; i++)
			if (o[i]) it->dead[it->ndead++] = o[i];
	atomic_store_explicit(&it->backlog, (int64_t)it->ndead, memory_order_relaxed);
	pthread_mutex_unlock(&it->mu);
}

// What a task leaves behind goes, with the GIL held: its references and, of an outermost one, what it set
// in its context.
static void end_attached(gilt_thread *th, gilt_interp *it, size_t base) {
	gilt_state *st = &th->states[it->id];
	if (GILT_UNLIKELY(atomic_load_explicit(&st->armed, memory_order_relaxed) != 0)) {
		atomic_store(&th->ending, 1);
		gilt_swallow(th, it);
	}
	while (th->nrefs > base) py.Py_DecRef(th->refs[--th->nrefs]);
	if (!nested_in(th, it, th->ntasks - 1) && (st->unclean || py.PyObject_Size(st->context) != 0)) clean_context(st);
}

// What is to be said of the innermost task, which ends: a millisecond and more from its first attach is slow.
static int32_t flags_of(gilt_thread *th, uint64_t now) {
	uint64_t began = th->tasks[th->ntasks - 1].began;
	int slow = began && now - began > 50 * gilt_ticks_20us;
	return (slow ? GILT_SLOW : 0) | (gilt_fired(th) ? GILT_FIRED : 0);
}

// Ends the innermost task: its references go, the thread is detached.
int64_t gilt_task_end(gilt_thread *th, int32_t *flags) {
	gilt_task *t = &th->tasks[th->ntasks - 1];
	gilt_interp *it = t->it;
	gilt_state *st = &th->states[it->id];
	size_t base = t->base;
	PyObject *context = t->context;
	if (th->attached != it && GILT_UNLIKELY(context != NULL || atomic_load(&st->armed) != 0)) gilt_attach(th, it);
	if (GILT_UNLIKELY(context != NULL)) { // the thread's context is then an outer task's
		py.PyContext_Exit(context);
		py.PyErr_Clear();
		py.Py_DecRef(context);
	}
	if (GILT_LIKELY(th->attached == it)) {
		end_attached(th, it, base);
		gilt_detach_now(th);
	} else { // its last operation took long: do not wait for the GIL again only to tidy up
		if (th->nrefs > base) release(it, th->refs + base, th->nrefs - base);
		th->nrefs = base;
		st->unclean = 1;
		th->left = gilt_ticks();
	}
	*flags = flags_of(th, th->left);
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
	if (!th) return (gilt_entry){.status = GILT_FAILED};
	int status = gilt_task_begin(th, it, tag, what, deadline);
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
	if (th->attached != it || t->context || !young || entered_late(th)) {
		r.held = gilt_task_end(th, &r.flags);
		r.n = (uint64_t)gilt_backlog(it);
		return r;
	}
	r.flags = flags_of(th, now);
	end_attached(th, it, t->base);
	atomic_store_explicit(&th->ending, 1, memory_order_relaxed);
	if (GILT_UNLIKELY(gilt_backlog(it) > 0)) gilt_drain(it, GILT_DRAIN);
	// What it left behind may have given the GIL up as it went, and the canceller taken it. The next task does not
	// attach, which would look at this.
	if (GILT_UNLIKELY(atomic_load_explicit(&st->armed, memory_order_relaxed) != 0)) gilt_swallow(th, it);
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
	th->tasks[th->ntasks - 1].fired = gilt_fired(th); // another tag may come
	uint64_t held = th->held;
	th->held = 0;
	return (gilt_res){.held = gilt_to_ns(held)};
}

int gilt_push_ref(gilt_thread *th, PyObject *o) {
	if (GILT_UNLIKELY(th->nrefs == th->caprefs) && grow((void **)&th->refs, &th->caprefs, th->nrefs + 1, sizeof *th->refs)) {
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
	gilt_res r = {.status = gilt_op_begin(th, serial)};
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

// Gives states back whose threads have ended or will not come again. A state is cleared with the GIL
// held and deleted without it, by way of a temporary state T of this thread: PyThreadState_Delete of
// another thread's state also clears the caller's gilstate slot (3.12 on), so the slot must be T's.
static void give_back(gilt_interp *it, PyThreadState **list, size_t n) {
	if (n == 0) return;
	PyThreadState *t = py.PyThreadState_New(it->is);
	if (!t) return;
	py.PyEval_RestoreThread(t);
	for (size_t i = 0; i < n; i++) py.PyThreadState_Clear(list[i]);
	py.PyEval_SaveThread();
	for (size_t i = 0; i < n; i++) py.PyThreadState_Delete(list[i]);
	py.PyEval_RestoreThread(t);
	py.PyThreadState_Clear(t);
	py.PyThreadState_DeleteCurrent();
}

void gilt_sink_orphans(void) {
	char sink[64];
	while (read(orphan_pipe[0], sink, sizeof sink) > 0) {}
}

int gilt_reap(gilt_interp *it) {
	if (gilt_tls && gilt_tls->attached) return 0;
	if (atomic_load(&gilt_generation) == 0) return 0;
	pthread_mutex_lock(&it->mu);
	PyThreadState **list = it->orphans;
	size_t n = it->norphans;
	it->orphans = NULL, it->norphans = it->caporphans = 0;
	pthread_mutex_unlock(&it->mu);
	give_back(it, list, n);
	free(list);
	return (int)n;
}

// Stopping: all states but this thread's own, whose OS threads are parked outside Python.
void gilt_forget_states(gilt_interp *it) {
	pthread_mutex_lock(&gilt_all_mu);
	PyThreadState **list = malloc((gilt_nthreads + it->norphans + 1) * sizeof *list);
	size_t n = 0;
	for (size_t i = 0; list && i < gilt_nthreads; i++) {
		gilt_state *st = &gilt_threads[i]->states[it->id];
		if (gilt_threads[i] == gilt_tls || !st->ts || gilt_threads[i]->foreign) continue; // the state of a thread that Python made is Python's
		list[n++] = st->ts;
		st->ts = NULL, st->context = NULL;
	}
	for (size_t i = 0; list && i < it->norphans; i++) list[n++] = it->orphans[i];
	it->norphans = 0;
	pthread_mutex_unlock(&gilt_all_mu);
	give_back(it, list, n);
	free(list);
}

int gilt_count_states(gilt_interp *it) {
	int n = 0;
	for (PyThreadState *t = py.PyInterpreterState_ThreadHead(it->is); t; t = py.PyThreadState_Next(t)) n++;
	return n;
}
