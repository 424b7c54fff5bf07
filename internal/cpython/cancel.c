// Cancelling Python code that runs: when, and in which task. gilt.Cancelled is raised in one task and in no other, by its own
// thread (hook.c), and again, since code may swallow it (a __del__, an except clause), until the task has ended. So
// one thread for each interpreter, the canceller, arms the threads whose tasks are due, and looks at them again and again.
#include "orders.h"
#include <stdio.h>
#include <time.h>

enum { TOLD = 3, SLOWEST = 7, LATE = 14 }; // how often it was tried before somebody is told; before the pauses grow no longer; and after a second
#define NEVER INT64_MAX
#define FIRST_PAUSE 1000000 // 1 ms, then twice as long each time

// The tag of the task on th that is to be cancelled now, 0 for none; *next gets the time when there may be one.
// Under gilt_all_mu.
static uint64_t due(gilt_interp *it, gilt_thread *th, int64_t now, int64_t *next) {
	int64_t deadline = atomic_load_explicit(&th->deadline, memory_order_acquire);
	uint64_t tag = atomic_load_explicit(&th->tag, memory_order_acquire);
	int here = atomic_load_explicit(&th->at, memory_order_acquire) == it->id + 1;
	if (!here || !tag || atomic_load(&th->ending)) return 0;
	int wanted = atomic_load(&th->wanted) == gilt_task_key(it, tag);
	if (!wanted && (!deadline || atomic_load(&th->deadline) != deadline)) return 0;
	int64_t at = wanted ? 0 : deadline;
	if (at <= now && th->tried == gilt_task_key(it, tag)) at = th->next_try;
	if (at <= now) return tag;
	if (at < *next) *next = at;
	return 0;
}

// One that is due, as its thread's number: 0 for none. With the GIL.
static unsigned long take(gilt_interp *it, gilt_stuck *stuck, PyThreadState **ts, uint64_t *task) {
	unsigned long ident = 0;
	int64_t now = (int64_t)gilt_clock_ns(), next = NEVER;
	pthread_mutex_lock(&gilt_all_mu);
	for (size_t i = 0; i < gilt_nthreads && !ident; i++) {
		gilt_thread *th = gilt_threads[i];
		uint64_t tag = due(it, th, now, &next), key = gilt_task_key(it, tag);
		if (!tag) continue;
		if (th->tried != key) th->tried = key, th->tries = 0;
		if (stuck->tag && th->tries == TOLD - 1) continue; // it is told of next: this comes back with one at a time
		th->next_try = now + (FIRST_PAUSE << (th->tries < SLOWEST ? th->tries : SLOWEST));
		if (!th->states[it->id].ts) continue; // it has run nothing yet
		if (++th->tries == TOLD && !stuck->tag) stuck->tag = tag;
		ident = th->ident, *task = tag, *ts = th->states[it->id].ts; // it lives as long as this has the GIL
	}
	pthread_mutex_unlock(&gilt_all_mu);
	return ident;
}

static PyObject *attr(PyObject *o, const char *name) {
	PyObject *key = o ? py.PyUnicode_InternFromString(name) : NULL, *v = key ? py.PyObject_GetAttr(o, key) : NULL;
	if (key) py.Py_DecRef(key);
	return v;
}

// The frame that a thread of it is in, with its GIL: a new reference. Until 3.11 making a frame may run the garbage
// collector, so CPython's own way is taken; later that one looks into other interpreters too, without their GIL.
PyObject *gilt_frame_of(unsigned long ident, PyThreadState *ts) {
	if (gilt_minor() >= 12) return py.PyThreadState_GetFrame(ts);
	PyObject *get = py.PySys_GetObject("_current_frames"); // borrowed
	PyObject *frames = get ? py.PyObject_VectorcallDict(get, NULL, 0, NULL) : NULL, *key = frames ? py.PyLong_FromUnsignedLongLong(ident) : NULL;
	PyObject *frame = key ? py.PyDict_GetItemWithError(frames, key) : NULL; // borrowed from frames
	if (frame) py.Py_IncRef(frame);
	if (key) py.Py_DecRef(key);
	if (frames) py.Py_DecRef(frames);
	return frame;
}

void gilt_describe(PyObject *frame, char *text, size_t size) {
	PyObject *code = attr(frame, "f_code"), *file = attr(code, "co_filename"), *name = attr(code, "co_name"), *line = attr(frame, "f_lineno");
	PyObject *escaped = file ? py.PyUnicode_AsEncodedString(file, "utf-8", "backslashreplace") : NULL; // a path may hold surrogates
	Py_ssize_t n;
	char *f = NULL;
	const char *s = name ? py.PyUnicode_AsUTF8AndSize(name, &n) : NULL;
	if (escaped && !py.PyBytes_AsStringAndSize(escaped, &f, &n) && s && line) snprintf(text, size, "%s:%lld in %s", f, py.PyLong_AsLongLong(line), s);
	PyObject *owned[] = {code, file, name, line, escaped};
	for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
		if (owned[i]) py.Py_DecRef(owned[i]);
	py.PyErr_Clear();
}

// Whether a look at the thread is worth while: one that runs an event loop is interrupted only in some of its code. It asks
// Python code.
static int may(gilt_interp *it, unsigned long ident, PyObject *frame) {
	gilt_orders *q = gilt_loop_of(ident);
	if (!q) return 1;
	int yes = gilt_loop_may(it, q, frame);
	gilt_orders_disown(q);
	return yes;
}

// Arms the thread, if it is in that task still, and gives its state as of now: NULL if it is not.
static PyThreadState *arm(gilt_interp *it, unsigned long ident, uint64_t tag, int *tries) {
	PyThreadState *ts = NULL;
	pthread_mutex_lock(&gilt_all_mu);
	for (size_t i = 0; i < gilt_nthreads && !ts; i++) {
		gilt_thread *th = gilt_threads[i];
		if (th->ident != ident || atomic_load(&th->tag) != tag || atomic_load(&th->at) != it->id + 1 || th->disarms) continue;
		*tries = th->tries, th->late = th->tries >= LATE;
		ts = th->states[it->id].ts;
		th->arms++, th->checks = GILT_CHECKS;
		atomic_store(&th->states[it->id].armed, tag);
	}
	pthread_mutex_unlock(&gilt_all_mu);
	return ts;
}

// Leaves the thread's task alone until somebody wants it cancelled again.
static void spare(gilt_interp *it, unsigned long ident) {
	pthread_mutex_lock(&gilt_all_mu);
	for (size_t i = 0; i < gilt_nthreads; i++)
		if (gilt_threads[i]->ident == ident) {
			atomic_store(&gilt_threads[i]->wanted, 0), gilt_threads[i]->tried = 0;
			if (gilt_minor() >= 12) atomic_store(&gilt_threads[i]->states[it->id].armed, 0); // before, the thread takes its trace function away
		}
	pthread_mutex_unlock(&gilt_all_mu);
}

static int any_armed(gilt_interp *it) {
	int yes = 0;
	pthread_mutex_lock(&gilt_all_mu);
	for (size_t i = 0; i < gilt_nthreads && !yes; i++) {
		uint64_t armed = atomic_load(&gilt_threads[i]->states[it->id].armed);
		yes = armed && armed == atomic_load(&gilt_threads[i]->tag);
	}
	pthread_mutex_unlock(&gilt_all_mu);
	return yes;
}

// Attached, so that who is armed runs no Python code of this interpreter meanwhile: a task that ends now and one that begins
// on the same thread look at armed before they run any (gilt_attach, end_attached). Gives 0 if that is not possible.
static int cancel_all(gilt_interp *it, gilt_stuck *stuck) {
	gilt_thread *th = gilt_thread_here();
	uint64_t g = atomic_load(&gilt_generation);
	if (!th || g == 0 || th->generation != g || gilt_attach(th, it)) return 0;
	PyThreadState *ts;
	int tries;
	uint64_t tag, before = 0; // before: another one's, that was found stuck
	for (unsigned long ident; (ident = take(it, stuck, &ts, &tag)) != 0; before = stuck->tag) {
		PyObject *frame = gilt_frame_of(ident, ts);
		py.PyErr_Clear();
		if (stuck->tag != before) gilt_describe(frame, stuck->where, sizeof stuck->where);
		if (!may(it, ident, frame)) spare(it, ident);
		else if ((ts = arm(it, ident, tag, &tries))) gilt_hook_arm(it, ts, frame, tries);
		if (frame) py.Py_DecRef(frame);
	}
	if (!any_armed(it)) gilt_hook_rest(it);
	gilt_detach_now(th);
	return 1;
}

static int64_t earliest(gilt_interp *it, int64_t now) { // now if one is due
	int64_t next = NEVER;
	pthread_mutex_lock(&gilt_all_mu);
	for (size_t i = 0; i < gilt_nthreads; i++)
		if (due(it, gilt_threads[i], now, &next)) next = now;
	pthread_mutex_unlock(&gilt_all_mu);
	return next;
}

static void wait_until(gilt_interp *it, int64_t when) { // with cancel_mu
	struct timespec t = {when / 1000000000, when % 1000000000};
	if (when == NEVER) pthread_cond_wait(&it->cancel_cond, &it->cancel_mu);
#ifdef __APPLE__
	else {
		int64_t ns = when - (int64_t)gilt_clock_ns();
		t = (struct timespec){ns > 0 ? ns / 1000000000 : 0, ns > 0 ? ns % 1000000000 : 0};
		pthread_cond_timedwait_relative_np(&it->cancel_cond, &it->cancel_mu, &t);
	}
#else
	else pthread_cond_timedwait(&it->cancel_cond, &it->cancel_mu, &t);
#endif
}

gilt_stuck gilt_cancel_loop(gilt_interp *it) {
	gilt_stuck stuck = {0};
	pthread_mutex_lock(&it->cancel_mu);
	while (!it->cancel_stop && !stuck.tag) {
		// A task that begins says its deadline and then looks at next_cancel; this is the other way round. What it said
		// in between is on its way for some nanoseconds.
		int64_t now = (int64_t)gilt_clock_ns(), next = earliest(it, now);
		if (next > now && !(gilt_hook_marks(it) && !any_armed(it))) {
			atomic_store(&it->next_cancel, next);
			nanosleep(&(struct timespec){0, 1000}, NULL);
			int64_t again = earliest(it, now);
			if (again >= next && atomic_load(&it->next_cancel) == next) wait_until(it, next);
			continue;
		}
		pthread_mutex_unlock(&it->cancel_mu);
		int ok = cancel_all(it, &stuck);
		pthread_mutex_lock(&it->cancel_mu);
		if (!ok && !it->cancel_stop) wait_until(it, now + (FIRST_PAUSE << SLOWEST));
	}
	atomic_store(&it->next_cancel, 0); // nobody looks: nobody need tell
	stuck.stopped = it->cancel_stop;
	pthread_mutex_unlock(&it->cancel_mu);
	return stuck;
}

void gilt_cancel_sooner(gilt_interp *it, int64_t deadline) {
	pthread_mutex_lock(&it->cancel_mu);
	if (deadline < atomic_load(&it->next_cancel)) atomic_store(&it->next_cancel, deadline);
	pthread_cond_signal(&it->cancel_cond);
	pthread_mutex_unlock(&it->cancel_mu);
}

void gilt_deadline(gilt_thread *th, uint64_t serial, int64_t deadline) {
	if (gilt_tls != th || th->serial != serial) return;
	gilt_interp *it = th->tasks[th->ntasks - 1].it;
	atomic_store(&th->deadline, deadline);
	if (deadline < atomic_load(&it->next_cancel)) gilt_cancel_sooner(it, deadline);
}

int gilt_cancel(gilt_interp *it, uint64_t tag) {
	int found = 0;
	pthread_mutex_lock(&gilt_all_mu);
	for (size_t i = 0; i < gilt_nthreads && !found; i++) {
		gilt_thread *th = gilt_threads[i];
		if (atomic_load(&th->tag) != tag || atomic_load(&th->at) != it->id + 1) continue;
		atomic_store(&th->wanted, gilt_task_key(it, tag));
		found = 1;
	}
	pthread_mutex_unlock(&gilt_all_mu);
	if (found) gilt_cancel_sooner(it, 0);
	return found;
}

void gilt_cancel_stop(gilt_interp *it) {
	pthread_mutex_lock(&it->cancel_mu);
	it->cancel_stop = 1;
	pthread_cond_signal(&it->cancel_cond);
	pthread_mutex_unlock(&it->cancel_mu);
}

int gilt_in_go(gilt_interp *it, uint64_t tag) {
	int in_go = 1; // so is one whose thread runs a nested task
	pthread_mutex_lock(&gilt_all_mu);
	for (size_t i = 0; i < gilt_nthreads; i++) {
		gilt_thread *th = gilt_threads[i];
		if (atomic_load(&th->tag) == tag && atomic_load(&th->at) == it->id + 1) in_go = atomic_load(&th->in_go) != 0;
	}
	pthread_mutex_unlock(&gilt_all_mu);
	return in_go;
}
