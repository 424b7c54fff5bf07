// The pacer: looks about every 100 us, while anybody waits, at who has the GIL and for how long. Go's
// timers cannot (1.1 ms on an idle machine, 20 ms on a busy one), so a goroutine waits here. It comes back to Go only when there is
// something to decide: for each return Go's monitor looks every 20 us for a while, and takes the processor of each goroutine that is in C.
#include "books.h"
#include <time.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

void gilt_pacer_arm(gilt_interp *it, int pace) {
	pthread_mutex_lock(&it->pace_mu);
	if (it->armed < pace) it->armed = pace;
	pthread_cond_signal(&it->pace_cond);
	pthread_mutex_unlock(&it->pace_mu);
}

// Says that somebody was forced off the GIL. Nobody need wait then, but whoever comes and goes without waiting would
// keep the GIL from him.
void gilt_pacer_tell(gilt_interp *it) {
	pthread_mutex_lock(&it->pace_mu);
	it->unsaid = 1;
	pthread_cond_signal(&it->pace_cond);
	pthread_mutex_unlock(&it->pace_mu);
}

void gilt_pacer_stop(gilt_interp *it) {
	pthread_mutex_lock(&it->pace_mu);
	it->pace_stop = 1;
	pthread_cond_signal(&it->pace_cond);
	pthread_mutex_unlock(&it->pace_mu);
}

static void pause_for(gilt_interp *it, int64_t ns, int whatever) { // with pace_mu held; ends early when there is something to tell, unless whatever
	struct timespec t;
#ifdef __APPLE__
	t.tv_sec = 0, t.tv_nsec = ns;
	pthread_cond_timedwait_relative_np(&it->pace_cond, &it->pace_mu, &t);
#else
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += ns;
	t.tv_sec += t.tv_nsec / 1000000000, t.tv_nsec %= 1000000000;
	while (!it->pace_stop && (whatever || (it->armed < GILT_WANT_WATCH && !it->unsaid)) && pthread_cond_timedwait(&it->pace_cond, &it->pace_mu, &t) == 0) {}
#endif
}

// What was used before now is nobody's to answer for: nobody looked, because nobody waited.
static void begin_looks(gilt_interp *it) {
	pthread_mutex_lock(&gilt_all_mu);
	atomic_store(&it->user, NULL);
	atomic_store(&it->clean_seen, atomic_load(&it->clean));
	atomic_store(&it->looked_at, gilt_ticks());
	pthread_mutex_unlock(&gilt_all_mu);
}

// Whether th, which has the GIL since then, computes: it has had it without a break for a grace, since it came
// or since the last look. One that is back from a sleep for a moment has not.
static int computes(gilt_interp *it, gilt_thread *th, uint64_t since, uint64_t now, int64_t grace_ns) {
	unsigned long switches = atomic_load(&it->gil->switches);
	int same = switches == it->seen_switches && th == it->seen_holder && since <= it->seen_at;
	it->seen_switches = switches, it->seen_holder = th, it->seen_at = now;
	return same || (switches == th->switches && (double)(now - since) * gilt_ns_per_tick >= (double)grace_ns);
}

// The task that uses the GIL for long: the last one that was seen to compute, as long as it is seen with the
// GIL every now and then.
static gilt_thread *long_user(gilt_interp *it, gilt_thread *th, uint64_t since, gilt_look *l, uint64_t now, int64_t grace_ns) {
	enum { FORGOTTEN = 16, UNUSED = 2 };
	uint64_t looks = atomic_load(&it->looks);
	if (th) {
		it->unused = 0;
		l->computes = computes(it, th, since, now, grace_ns);
		if (l->computes) atomic_store(&it->user, th);
		if (th == atomic_load(&it->user)) it->user_seen = looks;
	} else {
		it->seen_holder = NULL;
		it->unused = l->taken || l->returns ? 0 : it->unused + 1;
	}
	gilt_thread *user = atomic_load(&it->user);
	if (user && (!atomic_load(&user->since) || looks - it->user_seen > FORGOTTEN || it->unused >= UNUSED)) atomic_store(&it->user, user = NULL);
	return user;
}

// Takes ticks that th (NULL for nobody) used off those that are left of the time since the last look.
static void saw(gilt_interp *it, gilt_thread *th, uint64_t used, uint64_t *left) {
	if (used > *left) used = *left;
	*left -= used;
	atomic_fetch_add(&it->seen_used, used);
	if (th) atomic_fetch_add(&th->seen_used, used);
}

// Charges th in advance what it has used since it was last, if that is least nanoseconds; gives whether it did.
static int credit(gilt_interp *it, gilt_thread *th, int64_t least, gilt_look *l, uint64_t *left) {
	uint64_t used = gilt_books_credit(th, least);
	if (used == 0 && least > 0) return 0;
	saw(it, th, used, left);
	l->used += gilt_to_ns(used);
	l->user = atomic_load(&th->tag);
	return 1;
}

// Whether th, which has the GIL, has used a processor for a grace since it was charged, while the GIL was taken: then it
// computes, though no look met it twice.
static int came_back(gilt_interp *it, gilt_thread *th, int64_t grace_ns, gilt_look *l, uint64_t *left) {
	if (atomic_load(&it->gil->switches) == th->switches || !credit(it, th, grace_ns, l, left)) return 0;
	l->computes = 1;
	atomic_store(&it->user, th);
	it->user_seen = atomic_load(&it->looks);
	return 1;
}

// One look. The time since the last one is first that of the attaches that came and went undisturbed (clean), then that
// of whoever has the GIL now. Charged in advance is the holder, if it computes or came back, or else the long user: what its
// processor clock tells.
static void look(gilt_interp *it, gilt_look *l, int64_t grace_ns) {
	enum { MOST_RETURNING = 20 }; // a holder that gave the GIL up by itself looks the same
	pthread_mutex_lock(&gilt_all_mu);
	uint64_t now = gilt_ticks(), dt = now - atomic_load(&it->looked_at);
	uint64_t clean = atomic_load(&it->clean), others = clean - atomic_load(&it->clean_seen);
	PyThreadState *ts = it->gil && atomic_load(&it->gil->locked) ? atomic_load(&it->gil->last_holder) : NULL;
	gilt_thread *th = ts ? gilt_thread_of(it, ts) : NULL;
	uint64_t since = th ? atomic_load(&th->since) : 0;
	if (!since || since >= now) th = NULL; // it comes or goes
	l->known = it->gil != NULL;
	l->taken = ts != NULL;
	l->returns = l->known && !ts && atomic_load(&it->forced_at) == atomic_load(&it->gil->switches) && it->returning < MOST_RETURNING;
	it->returning = l->returns ? it->returning + 1 : ts ? 0 : it->returning;
	l->computes = 0;
	l->holder = th ? atomic_load(&th->tag) : 0;
	l->runs = th ? atomic_load(&th->what) : 0;
	atomic_store(&it->looked_at, now);
	atomic_store(&it->clean_seen, clean);
	atomic_fetch_add(&it->looks, 1);
	int was_free = it->unused > 0;
	gilt_thread *user = long_user(it, th, since, l, now, grace_ns);
	gilt_watch_keeper(it, th, now);
	uint64_t left = dt > others ? dt - others : 0;
	if (th) gilt_books_met(th, since);
	int known = th && gilt_books_known(th, since);
	if (known && (l->computes || th == user)) credit(it, th, 0, l, &left);
	else if (!known || was_free || !came_back(it, th, grace_ns, l, &left)) {
		if (th) saw(it, th, now - since, &left);
		if (ts && user && gilt_books_known(user, atomic_load(&user->since))) credit(it, user, 0, l, &left);
	}
	if (!ts) saw(it, NULL, left < GILT_LOOKS_ERR ? left : GILT_LOOKS_ERR, &left); // a late look does not know of more
	pthread_mutex_unlock(&gilt_all_mu);
}

// Whether a look has found nothing but that the task of tag uses the GIL, or that others come and go, or ask for it. The use of the task is
// added up for Go.
static int quiet(gilt_interp *it, gilt_look *l, gilt_order o) {
	if (l->user && l->user != o.tag) return 0;
	if (l->user) atomic_fetch_add(&it->tended, l->used), l->used = 0;
	if (it->armed >= GILT_WANT_WATCH || it->unsaid || it->pace_stop) return 0;
	if (!l->taken) return l->pending > 0 || (o.pace == GILT_WANT_TEND && it->unused < 2); // it is on its way from one to the next
	return !l->computes || l->holder == o.tag;
}

// Waits until something is wanted, if that is what the order says.
static void rest(gilt_interp *it, gilt_order *o) { // with pace_mu held
	while (!it->armed && !it->unsaid && !it->pace_stop) pthread_cond_wait(&it->pace_cond, &it->pace_mu);
	begin_looks(it);
	o->pace = it->armed < GILT_WANT_TEND ? GILT_WANT_TEND : it->armed;
}

// Looks once a pause, until one has passed in which no attach of ours got the GIL, or some task has used it for long:
// GILT_PACE_TICK. While short attaches go on it stays here, and gives word after some looks (GILT_PACE_CHECK).
// As long as nothing else happens but that the task of the order's tag uses the GIL, it stays here too.
static gilt_look looks(gilt_interp *it, gilt_order o) { // with pace_mu held
	enum { GRACE = 100 * 1000, TENDING = 1000 * 1000, RARELY = 20 * 1000 * 1000, IDLE = 20 }; // nanoseconds; looks
	gilt_look l = {.what = GILT_PACE_CHECK};
	int most = o.pace == GILT_WANT_RUSH ? 1 : 50, idle = 0;
	uint64_t began = gilt_ticks();
	for (int i = 0; i < most && !it->pace_stop && l.what == GILT_PACE_CHECK; i++) {
		uint64_t newest = atomic_load(&it->newest);
		if (o.pace == GILT_WANT_TEND && it->armed < GILT_WANT_WATCH) pause_for(it, (idle < IDLE ? TENDING : RARELY) - GRACE, 0);
		if (it->armed >= GILT_WANT_WATCH) most = 1; // somebody has begun to wait since the last answer
		it->armed = 0;
		pause_for(it, GRACE, 1);
		l.user = 0, l.used = 0;
		look(it, &l, GRACE);
		l.pending = (int32_t)(atomic_load(&it->asked) - atomic_load(&it->got));
		l.moved = it->gil && atomic_load(&it->newest) != newest;
		idle = l.moved ? 0 : idle + 1;
		if (o.quiet > 0 && most != 1 && gilt_to_ns(gilt_ticks() - began) < o.quiet && quiet(it, &l, o)) i = -1;
		else if (!l.moved || l.user || most == 1 || o.quiet > 0) l.what = GILT_PACE_TICK;
	}
	l.tended = atomic_exchange(&it->tended, 0);
	return l;
}

gilt_look gilt_pacer_wait(gilt_interp *it, gilt_order o) {
	// How long Go took to come back from the last answer tells whether its processors are all busy.
	uint64_t now = gilt_ticks();
	if (it->told_at && now - it->told_at > 50 * gilt_ticks_20us) gilt_go_is_busy(it, now);
	pthread_mutex_lock(&it->pace_mu);
#ifdef __linux__
	if (!it->pace_ready) prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	it->pace_ready = 1;
#endif
	if (o.pace == GILT_WANT_REST) rest(it, &o);
	gilt_look l = looks(it, o);
	l.newest = atomic_load(&it->newest);
	l.arrived = atomic_load(&it->arrived);
	if (it->unsaid) l.what = GILT_PACE_TICK;
	if (l.what == GILT_PACE_TICK) { // nobody reads them of another answer
		it->unsaid = 0;
		pthread_mutex_lock(&gilt_all_mu);
		for (unsigned i = 0; i < it->nforced && i < GILT_FORCED; i++) l.forced[i] = it->forced[i];
		it->nforced = 0;
		pthread_mutex_unlock(&gilt_all_mu);
	}
	if (it->pace_stop) l.what = GILT_PACE_STOP;
	it->told_at = gilt_ticks();
	pthread_mutex_unlock(&it->pace_mu);
	return l;
}
