// The watchdog's look: whether somebody has the GIL while he is in Go code, where others wait for it.
#include "objects.h"

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

gilt_peek gilt_peek_at(gilt_thread *th, uint64_t serial, uint64_t ident) {
	gilt_peek p = {0};
	if (gilt_op_begin(th, serial)) return p;
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
