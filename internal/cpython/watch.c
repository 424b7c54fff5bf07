// The watchdog's look: whether somebody has the GIL while he is in Go code, where others wait for it.
#include "shim.h"

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
