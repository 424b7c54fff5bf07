// Taking the GIL: how long its holder may keep it when one of ours asks, and who keeps it longer.
#include "books.h"

// The switch interval with which one of ours asks for the GIL. Every waiter wakes up at each interval, so it
// grows with the square of their number: with 256 threads that all wait for 50 us at a time the processors
// would do nothing else (sleepers: 2,000 tasks/s instead of 15,000).
static unsigned long asking_us(gilt_interp *it) {
	unsigned long quarter = (unsigned long)(atomic_load_explicit(&it->inside, memory_order_relaxed) + 1) / 4;
	return quarter > 1 ? it->ask_us * quarter * quarter : it->ask_us;
}

// The switch interval as it is now, when something other than sys.setswitchinterval may have set it. Under ask_mu.
static unsigned long interval_now(gilt_interp *it) {
	unsigned long now = atomic_load_explicit(&it->gil->interval, memory_order_relaxed);
	if (now <= it->most_us) return now;
	atomic_store_explicit(&it->gil->interval, it->most_us, memory_order_relaxed);
	return it->most_us;
}

// Sets the switch interval for an ask; gives 0 if what it rests at is no longer.
static int ask_begin(gilt_interp *it) {
	struct gilt_gil *g = it->gil;
	unsigned long us = asking_us(it);
	pthread_mutex_lock(&it->ask_mu);
	unsigned long now = interval_now(it);
	if (it->asking == 0 || now != it->asked_us) it->rest_us = now; // ours, or what Python code has set
	int lower = us < it->rest_us;
	if (lower) {
		it->asking++;
		it->asked_us = us;
		atomic_store_explicit(&g->interval, us, memory_order_relaxed);
	}
	pthread_mutex_unlock(&it->ask_mu);
	return lower;
}

static void ask_end(gilt_interp *it) {
	struct gilt_gil *g = it->gil;
	pthread_mutex_lock(&it->ask_mu);
	if (--it->asking == 0 && interval_now(it) == it->asked_us)
		atomic_store_explicit(&g->interval, it->rest_us, memory_order_relaxed);
	pthread_mutex_unlock(&it->ask_mu);
}

// What had the GIL from switches on, as far as the pacer has seen: C code only if the thread ran on a processor for half the
// time. A holder that had none did not keep the GIL: the machine did. 0 for not known. Under gilt_all_mu.
static int kept_by(gilt_interp *it, gilt_thread *th, unsigned long switches) {
	if (!th) return GILT_KEPT_BY_STRANGER;
	if (it->keeper.th != th || it->keeper.switches != switches || it->keeper.last - it->keeper.first < 2500 * gilt_ticks_20us) return 0;
	if (it->keeper.in_go) return GILT_KEPT_BY_GO;
	if (it->keeper.ran < 0) return 0;
	return it->keeper.ran_last - it->keeper.ran >= gilt_to_ns(it->keeper.last - it->keeper.first) / 2 ? GILT_KEPT_BY_C : 0;
}

// Notes that somebody kept the GIL for 100 ms and more though one of ours asked for it, and tells the janitor if it is
// known what that was.
static void kept(gilt_interp *it, PyThreadState *holder, unsigned long switches, uint64_t ticks) {
	pthread_mutex_lock(&gilt_all_mu);
	int by = kept_by(it, gilt_thread_of(it, holder), switches);
	it->kept.count++;
	it->kept.ns = gilt_to_ns(ticks);
	if (by) {
		it->kept.reports++;
		it->kept.by = by;
		it->kept.what = it->keeper.what;
		it->kept.reported_ns = it->kept.ns;
	}
	pthread_mutex_unlock(&gilt_all_mu);
	if (by) gilt_wake_janitor();
}

// Notes that the task on the thread of holder was forced off: it computes, and waits for the GIL from now on, where
// nobody can see it.
static void forced(gilt_interp *it, PyThreadState *holder, uint64_t now) {
	pthread_mutex_lock(&gilt_all_mu);
	gilt_thread *th = gilt_thread_of(it, holder);
	uint64_t tag = th && atomic_load(&th->since) ? atomic_load(&th->tag) : 0; // not one that has detached by itself
	int known = th && th == atomic_load(&it->user); // the pacer has seen it compute
	if (tag) gilt_books_forced(th, now);
	if (tag && !known) it->forced[it->nforced++ % GILT_FORCED] = tag;
	pthread_mutex_unlock(&gilt_all_mu);
	if (tag && !known) gilt_pacer_tell(it);
}

gilt_kept gilt_kept_look(gilt_interp *it) {
	pthread_mutex_lock(&gilt_all_mu);
	gilt_kept k = it->kept;
	pthread_mutex_unlock(&gilt_all_mu);
	return k;
}

// Takes the GIL, and gives the ticks at which it did. CPython's switch interval rests at 1.5 ms, or at what Python
// code has set; it is short only while one of ours asks. So a holder is forced off soon, and does not force us
// off in turn: who may compute is the scheduler's affair. Not at CPython's own 5 ms: one in a hundred that are
// forced off is awake again before ask_end, forces us off in turn, and keeps the GIL for what it rests at.
uint64_t gilt_take_gil(gilt_thread *th, gilt_interp *it, PyThreadState *ts) {
	struct gilt_gil *g = it->gil;
	if (GILT_LIKELY(!g || !atomic_load_explicit(&g->locked, memory_order_relaxed))) {
		py.PyEval_RestoreThread(ts);
		return gilt_ticks();
	}
	uint64_t began = gilt_ticks();
	PyThreadState *holder = atomic_load_explicit(&g->last_holder, memory_order_relaxed);
	unsigned long switches = atomic_load_explicit(&g->switches, memory_order_relaxed);
	int lowered = ask_begin(it);
	int64_t patience = (int64_t)atomic_load_explicit(&g->interval, memory_order_relaxed) * 1000; // sooner nobody is forced off
	atomic_fetch_add_explicit(&it->asked, 1, memory_order_relaxed);
	py.PyEval_RestoreThread(ts);
	add(&it->got, 1);
	uint64_t end = gilt_ticks();
	if (gilt_to_ns(end - began) >= patience && atomic_load_explicit(&g->switches, memory_order_relaxed) == switches + 1) {
		atomic_store_explicit(&it->forced_at, switches + 1, memory_order_relaxed);
		forced(it, holder, end);
		if (GILT_UNLIKELY(end - began > 5000 * gilt_ticks_20us)) kept(it, holder, switches, end - began);
	}
	if (lowered) ask_end(it);
	th->remark = 1;
	return end;
}
