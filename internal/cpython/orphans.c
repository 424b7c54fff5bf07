// What threads leave that have ended: thread states, which the janitor gives back when the system has forgotten the thread, and
// Go functions and values that were dropped there. The janitor is a goroutine (package gil), which a byte in a pipe wakes.
#define _GNU_SOURCE
#include "shim.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

static int orphan_pipe[2] = {-1, -1};

static void make_pipe(void) {
	if (pipe(orphan_pipe) == 0)
		for (int i = 0; i < 2; i++) {
			fcntl(orphan_pipe[i], F_SETFD, FD_CLOEXEC);
			fcntl(orphan_pipe[i], F_SETFL, O_NONBLOCK);
		}
}

void gilt_wake_janitor(void) {
	if (!gilt_forked) (void)!write(orphan_pipe[1], "x", 1); // the pipe is the parent's too
}

int gilt_orphan_fd(void) {
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, make_pipe);
	return orphan_pipe[0];
}

// Numbers of Go functions and values that were dropped on ended threads, guarded by gilt_all_mu.
static uint64_t *drops;
static size_t ndrops, capdrops;

void gilt_drop_later(uint64_t id) {
	pthread_mutex_lock(&gilt_all_mu);
	if (!gilt_grow((void **)&drops, &capdrops, ndrops + 1, sizeof *drops)) drops[ndrops++] = id;
	pthread_mutex_unlock(&gilt_all_mu);
	gilt_wake_janitor();
}

static void drop_now(void) {
	pthread_mutex_lock(&gilt_all_mu);
	uint64_t *list = drops;
	size_t n = ndrops;
	drops = NULL, ndrops = capdrops = 0;
	pthread_mutex_unlock(&gilt_all_mu);
	for (size_t i = 0; i < n; i++) gilt_go_drop(list[i]);
	free(list);
}

// When a thread of this process began, as the system tells it: two threads that have one number, one after the other, have two such
// times. path is in /proc. 0 for not known.
static uint64_t began(const char *path) {
	unsigned long long ticks = 0;
#ifdef __linux__
	char text[512], *p;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
	if (fd >= 0) close(fd);
	text[n < 0 ? 0 : n] = 0;
	// The thread's name, in parentheses, may be anything. A letter and 18 numbers are between the name and the time.
	p = strrchr(text, ')');
	if (p) (void)sscanf(p + 1, " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu", &ticks);
#else
	(void)path;
#endif
	return ticks;
}

uint64_t gilt_began(void) { return began("/proc/thread-self/stat"); }

int gilt_orphan_put(gilt_interp *it, gilt_orphan o) {
	pthread_mutex_lock(&it->mu);
	int bad = gilt_grow((void **)&it->orphans, &it->caporphans, it->norphans + 1, sizeof *it->orphans);
	if (!bad) it->orphans[it->norphans++] = o;
	pthread_mutex_unlock(&it->mu);
	return !bad;
}

// Clears a state of another thread, which no task of this thread has anything to do with.
static void clear_state(gilt_interp *it, gilt_orphan *o) {
	PyObject *context = gilt_enter_apart(it);
	py.PyThreadState_Clear(o->ts);
	if (context) gilt_leave_apart(it, context);
	if (o->native) gilt_forget_dummy(it, o->ident, o->native, 1);
}

// Gives states back whose threads have ended or will not come again. A state is cleared with the GIL
// held and deleted without it, by way of a temporary state T of this thread: PyThreadState_Delete of
// another thread's state also clears the caller's gilstate slot (3.12 on), so the slot must be T's. Before 3.12 the slot stays with the
// state that this thread has, if any, and the debug allocators (PYTHONDEVMODE, PYTHONMALLOC) end a process that runs another: then T is
// that state, and stays. -1 without memory for T.
static int give_back(gilt_interp *it, gilt_orphan *list, size_t n) {
	if (n == 0) return 0;
	PyThreadState *own = gilt_minor() < 12 && gilt_tls ? gilt_tls->states[it->id].ts : NULL;
	PyThreadState *t = own ? own : py.PyThreadState_New(it->is);
	if (!t) return -1;
	pthread_mutex_lock(&it->states_mu);
	py.PyEval_RestoreThread(t);
	for (size_t i = 0; i < n; i++) clear_state(it, &list[i]);
	if (!gilt_tls || !gilt_tls->states[it->id].ts) // what was cleared may have asked for this thread's object
		gilt_forget_dummy(it, py.PyThread_get_thread_ident(), py.PyThread_get_thread_native_id(), 1);
	py.PyEval_SaveThread();
	for (size_t i = 0; i < n; i++) py.PyThreadState_Delete(list[i].ts);
	pthread_mutex_unlock(&it->states_mu);
	if (own) return 0;
	py.PyEval_RestoreThread(t);
	py.PyThreadState_Clear(t);
	py.PyThreadState_DeleteCurrent();
	return 0;
}

void gilt_sink_orphans(void) {
	char sink[64];
	while (read(orphan_pipe[0], sink, sizeof sink) > 0) {}
	drop_now();
}

// Whether the system has forgotten the thread: until then destructors of others may run there, and use its state. Its number may
// be another thread's by now.
static int gone(const gilt_orphan *o) {
#ifdef __linux__
	if (o->since == GILT_GONE || (syscall(SYS_tgkill, getpid(), (pid_t)o->native, 0) != 0 && errno == ESRCH)) return 1;
	char path[64];
	snprintf(path, sizeof path, "/proc/self/task/%lu/stat", o->native);
	uint64_t now = o->since ? began(path) : 0;
	return now && now != o->since;
#else
	(void)o;
	return 1;
#endif
}

// Moves those to the end that are not gone within about a second; gives how many are.
static size_t wait_until_gone(gilt_orphan *list, size_t n) {
	enum { FIRST_NS = 20000, LONGEST_NS = 20000000 };
	long pause = FIRST_NS;
	int64_t waited = 0;
	for (size_t i = 0; i < n;) {
		if (gone(&list[i])) i++;
		else if (waited < 1000000000) {
			nanosleep(&(struct timespec){0, pause}, NULL);
			waited += pause;
			if (pause < LONGEST_NS) pause *= 2;
		} else {
			gilt_orphan o = list[i];
			list[i] = list[--n], list[n] = o;
		}
	}
	return n;
}

// Queues orphans again, for the next time. It takes the list, which has room for cap.
static void put_back(gilt_interp *it, gilt_orphan *list, size_t n, size_t cap) {
	gilt_orphan *other = list;
	pthread_mutex_lock(&it->mu);
	if (it->norphans == 0) {
		other = it->orphans;
		it->orphans = list, it->norphans = n, it->caporphans = cap;
	} else if (n && !gilt_grow((void **)&it->orphans, &it->caporphans, it->norphans + n, sizeof *it->orphans)) {
		memcpy(it->orphans + it->norphans, list, n * sizeof *list);
		it->norphans += n;
	}
	pthread_mutex_unlock(&it->mu);
	free(other);
}

int gilt_reap(gilt_interp *it) {
	if (gilt_tls && gilt_tls->attached) return 0;
	if (atomic_load(&gilt_generation) == 0) return 0;
	pthread_mutex_lock(&it->mu);
	gilt_orphan *list = it->orphans;
	size_t n = it->norphans, cap = it->caporphans;
	it->orphans = NULL, it->norphans = it->caporphans = 0;
	pthread_mutex_unlock(&it->mu);
	size_t dead = wait_until_gone(list, n);
	int more = dead < n;
	if (give_back(it, list, dead)) dead = 0; // when the next thread ends there may be memory
	if (dead && more) memmove(list, list + dead, (n - dead) * sizeof *list);
	put_back(it, list, n - dead, cap);
	if (more) gilt_wake_janitor(); // which waits for a second again
	return (int)dead;
}

// Stopping: all states but this thread's own, whose OS threads are parked outside Python.
void gilt_forget_states(gilt_interp *it) {
	pthread_mutex_lock(&gilt_all_mu);
	gilt_orphan *list = malloc((gilt_nthreads + it->norphans + 1) * sizeof *list);
	size_t n = 0;
	for (size_t i = 0; list && i < gilt_nthreads; i++) {
		gilt_state *st = &gilt_threads[i]->states[it->id];
		if (gilt_threads[i] == gilt_tls || !st->ts || st->foreign) continue; // the state of a thread that Python made is Python's
		list[n++] = (gilt_orphan){.ts = st->ts};
		st->ts = NULL, st->context = NULL;
	}
	for (size_t i = 0; list && i < it->norphans; i++) list[n++] = it->orphans[i];
	it->norphans = 0;
	pthread_mutex_unlock(&gilt_all_mu);
	(void)give_back(it, list, n); // without memory Python's own end gives them back
	free(list);
}
