// Interruptions of C code that looks for them by itself, and where a task that is interrupted stands.
#include "shim.h"

int gilt_interrupted(gilt_thread *th) {
	gilt_interp *it = th->attached;
	uint64_t key = gilt_task_key(it, atomic_load_explicit(&th->tag, memory_order_relaxed));
	int64_t deadline = atomic_load_explicit(&th->deadline, memory_order_relaxed);
	int due = atomic_load_explicit(&th->wanted, memory_order_relaxed) == key || (deadline && (int64_t)gilt_clock_ns() >= deadline);
	if (GILT_LIKELY(!due)) return 0;
	if (!it->cancelled && !(it->cancelled = gilt_make_cancelled())) return -1;
	atomic_store(&th->fired, key); // one that the canceller raises too is swallowed at the task's end
	PyObject *exc = py.PyObject_VectorcallDict(it->cancelled, NULL, 0, NULL);
	if (!exc) return -1;
	py.PyErr_SetObject(it->cancelled, exc);
	py.Py_DecRef(exc);
	return -1;
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
