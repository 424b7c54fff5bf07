// Where a task that is interrupted stands, for those who look from other threads.
#include "shim.h"

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
