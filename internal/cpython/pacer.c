// The pacer: times the grace of 100 us after which a holder no longer keeps others from asking. Go's
// timers cannot (1.1 ms on an idle machine, 20 ms on a busy one), so a goroutine waits here.
#include "shim.h"
#include <time.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

void gilt_pacer_arm(gilt_interp *it) {
	pthread_mutex_lock(&it->pace_mu);
	it->armed = 1;
	pthread_cond_signal(&it->pace_cond);
	pthread_mutex_unlock(&it->pace_mu);
}

void gilt_pacer_stop(gilt_interp *it) {
	pthread_mutex_lock(&it->pace_mu);
	it->pace_stop = 1;
	pthread_cond_signal(&it->pace_cond);
	pthread_mutex_unlock(&it->pace_mu);
}

static void sleep_grace(gilt_interp *it, int64_t grace_ns) { // with pace_mu held
	struct timespec t;
#ifdef __APPLE__
	t.tv_sec = 0, t.tv_nsec = grace_ns;
	pthread_cond_timedwait_relative_np(&it->pace_cond, &it->pace_mu, &t);
#else
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += grace_ns;
	t.tv_sec += t.tv_nsec / 1000000000, t.tv_nsec %= 1000000000;
	while (!it->pace_stop && pthread_cond_timedwait(&it->pace_cond, &it->pace_mu, &t) == 0) {}
#endif
}

// Waits until someone waits (more says that someone still does), then until one grace has passed in
// which no attach of ours began to wait for the GIL or got it: GILT_PACE_TICK. While attaches go on it
// stays here, and looks up every 50th time: GILT_PACE_CHECK.
int gilt_pacer_wait(gilt_interp *it, int more, int64_t grace_ns) {
	pthread_mutex_lock(&it->pace_mu);
#ifdef __linux__
	if (!it->pace_ready) prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	it->pace_ready = 1;
#endif
	while (!more && !it->armed && !it->pace_stop) pthread_cond_wait(&it->pace_cond, &it->pace_mu);
	it->armed = 0;
	int what = GILT_PACE_CHECK;
	for (int i = 0; i < 50 && !it->pace_stop; i++) {
		uint64_t got = atomic_load_explicit(&it->got, memory_order_relaxed);
		sleep_grace(it, grace_ns);
		if (atomic_load_explicit(&it->asked, memory_order_relaxed) == atomic_load_explicit(&it->got, memory_order_relaxed) &&
		    atomic_load_explicit(&it->got, memory_order_relaxed) == got) {
			what = GILT_PACE_TICK;
			break;
		}
	}
	if (it->pace_stop) what = GILT_PACE_STOP;
	pthread_mutex_unlock(&it->pace_mu);
	return what;
}
