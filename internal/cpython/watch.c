// Looks at tasks from other threads: at one that has the GIL while others wait for it, and at one that does not end.
#define _GNU_SOURCE
#include "books.h"
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

// Whether somebody has the GIL while he is in Go code, where others wait for it.
gilt_held gilt_watch(gilt_interp *it) {
	gilt_held h = {0};
	if (!it->gil) return h;
	h.waits = (int32_t)(atomic_load(&it->asked) - atomic_load(&it->got));
	if (h.waits <= 0) return h;
	pthread_mutex_lock(&gilt_all_mu);
	PyThreadState *ts = atomic_load(&it->gil->locked) ? atomic_load(&it->gil->last_holder) : NULL;
	gilt_thread *th = ts ? gilt_thread_of(it, ts) : NULL;
	if (th && atomic_load(&th->since)) {
		h.in_go = atomic_load(&th->in_go);
		h.tag = atomic_load(&th->tag);
		h.what = atomic_load(&th->what);
	}
	pthread_mutex_unlock(&gilt_all_mu);
	return h;
}

int64_t gilt_ran(gilt_thread *th) {
	struct timespec t;
	if (!th->has_clock || clock_gettime(th->clock, &t)) return -1;
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// What the kernel says of a thread of this process: that it runs or is ready to, or the system call that it waits in. A
// wait for the GIL is one for the words that follow CPython's own of it: its mutex and condition variable, and those of a
// forced switch.
static int at(int tid, struct gilt_gil *gil) {
#ifdef __linux__
	enum { GIL_SIZE = sizeof *gil + 2 * (sizeof(pthread_cond_t) + sizeof(pthread_mutex_t)) };
	char path[64], text[256];
	snprintf(path, sizeof path, "/proc/self/task/%d/syscall", tid);
	int fd = tid ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0) close(fd);
	if (n <= 0) return GILT_AT_UNKNOWN;
	text[n] = 0;
	if (!strncmp(text, "running", 7)) return GILT_AT_RUNS;
	long number;
	unsigned long word;
	if (gil && sscanf(text, "%ld 0x%lx", &number, &word) == 2 && number == SYS_futex && word - (unsigned long)gil < GIL_SIZE) return GILT_AT_GIL;
	return GILT_AT_WAITS;
#else
	return GILT_AT_UNKNOWN;
#endif
}

// The clock is read every millisecond: it takes a system call. A thread that does not run waits for a processor, or for something else
// with the GIL: then it uses the GIL all the same.
void gilt_watch_keeper(gilt_interp *it, gilt_thread *th, uint64_t now) {
	if (!it->gil) return;
	unsigned long switches = atomic_load(&it->gil->switches);
	uint64_t in_go = th ? atomic_load(&th->in_go) : 0;
	if (th != it->keeper.th || switches != it->keeper.switches || !th) {
		it->keeper.th = th, it->keeper.switches = switches, it->keeper.first = it->keeper.last = now;
		it->keeper.ran = -1, it->keeper.in_go = 0;
		return;
	}
	if (in_go != it->keeper.in_go && it->keeper.ran >= 0) it->keeper.in_go = 0;
	if (now - it->keeper.last < 50 * gilt_ticks_20us) return;
	int64_t ran = gilt_ran(th), idle = gilt_to_ns(now - it->keeper.last) - (ran - it->keeper.ran_last);
	int idles = it->keeper.ran >= 0 && ran >= 0 && 2 * idle > gilt_to_ns(now - it->keeper.last);
	if (idles && at((int)th->native, it->gil) == GILT_AT_WAITS && atomic_load(&it->gil->switches) == switches) gilt_books_blocked(th, idle);
	if (it->keeper.ran < 0) it->keeper.first = now, it->keeper.ran = ran, it->keeper.in_go = in_go, it->keeper.what = atomic_load(&th->what);
	it->keeper.last = now, it->keeper.ran_last = ran;
}

gilt_stand gilt_standing(gilt_interp *it, uint64_t tag) {
	gilt_stand s = {.ran = -1, .holder_ran = -1, .begun = atomic_load(&it->arrived) >= tag};
	int tid = 0;
	pthread_mutex_lock(&gilt_all_mu);
	PyThreadState *ts = it->gil && atomic_load(&it->gil->locked) ? atomic_load(&it->gil->last_holder) : NULL;
	gilt_thread *holder = ts ? gilt_thread_of(it, ts) : NULL;
	if (it->gil) s.switches = atomic_load(&it->gil->switches);
	if (holder) s.holder_what = atomic_load(&holder->what), s.holder_ran = gilt_ran(holder);
	for (size_t i = 0; i < gilt_nthreads && !s.found; i++) {
		gilt_thread *th = gilt_threads[i];
		if (atomic_load(&th->tag) != tag || atomic_load(&th->at) != it->id + 1) continue;
		s.found = 1;
		s.ran = gilt_ran(th);
		s.holds = holder == th;
		s.raised = atomic_load(&th->fired) == gilt_task_key(it, tag) || atomic_load(&th->states[it->id].armed) == tag;
		s.in_go = atomic_load(&th->since) == 0 || atomic_load(&th->in_go) != 0;
		tid = (int)th->native;
	}
	pthread_mutex_unlock(&gilt_all_mu);
	if (s.found) s.at = at(tid, it->gil);
	return s;
}

gilt_peek gilt_peek_at(gilt_thread *th, uint64_t serial, uint64_t ident) {
	gilt_peek p = {0};
	if (gilt_op_begin(th, serial, NULL)) return p;
	PyThreadState *ts = NULL;
	pthread_mutex_lock(&gilt_all_mu);
	for (size_t i = 0; i < gilt_nthreads && !p.th; i++)
		if (gilt_threads[i]->ident == ident && (ts = gilt_threads[i]->states[th->attached->id].ts)) {
			p.th = (uintptr_t)gilt_threads[i];
			p.tag = atomic_load(&gilt_threads[i]->tag), p.what = atomic_load(&gilt_threads[i]->what);
		}
	pthread_mutex_unlock(&gilt_all_mu);
	PyObject *frame = ts ? gilt_frame_of((unsigned long)ident, ts) : NULL; // it lives as long as this has the GIL
	if (frame) {
		gilt_describe(frame, p.where, sizeof p.where);
		py.Py_DecRef(frame);
	}
	py.PyErr_Clear();
	gilt_res r;
	gilt_op_end(th, &r);
	return p;
}
