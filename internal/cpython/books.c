// What a longer attach used the GIL for, whoever had the GIL or the processor in between: the thread's processor clock tells. To read
// the clock is a system call, so an attach that begins does not. A base is noted later, by the look that meets the attach
// or by the thread that forces it off: for how long it had the GIL until then, and what the clock says.
#include "books.h"

static int64_t to_ticks(int64_t ns) { return (int64_t)((double)ns / gilt_ns_per_tick); }

void gilt_books_mark(gilt_thread *th) {
	th->remark = 0;
	atomic_store_explicit(&th->mark, to_ticks(gilt_ran(th)), memory_order_relaxed);
}

int gilt_books_known(gilt_thread *th, uint64_t since) { return since && atomic_load_explicit(&th->based, memory_order_acquire) == since; }

// An attach has one base. The attach may have ended meanwhile: then nobody reads the base.
// It had the GIL from since to now at most, and no more of a processor than since its mark.
static void note(gilt_thread *th, uint64_t since, uint64_t now, int64_t ran) {
	int64_t had = (int64_t)(now - since), most = to_ticks(ran) - atomic_load_explicit(&th->mark, memory_order_relaxed);
	if (most < had) had = most > 0 ? most : 0;
	th->credited = 0;
	atomic_store_explicit(&th->base, gilt_to_ns((uint64_t)had) - ran, memory_order_relaxed);
	atomic_store_explicit(&th->based, since, memory_order_release);
}

void gilt_books_met(gilt_thread *th, uint64_t since) {
	if (gilt_books_known(th, since)) return;
	uint64_t began = gilt_ticks();
	int64_t ran = gilt_ran(th);
	uint64_t now = gilt_ticks();
	if (ran < 0 || now - began > gilt_ticks_20us) return; // the pacer lost its processor in between: the next look tries again
	note(th, since, now, ran);
}

// The clock of th stands still from now on.
void gilt_books_forced(gilt_thread *th, uint64_t now) {
	uint64_t since = atomic_load_explicit(&th->since, memory_order_relaxed);
	if (gilt_books_known(th, since)) return;
	int64_t ran = gilt_ran(th);
	if (ran >= 0) note(th, since, now, ran);
}

void gilt_books_blocked(gilt_thread *th, int64_t ns) {
	if (gilt_books_known(th, atomic_load(&th->since))) atomic_fetch_add(&th->base, ns);
}

uint64_t gilt_books_credit(gilt_thread *th, int64_t least) {
	int64_t ran = gilt_ran(th), used = ran < 0 ? 0 : atomic_load_explicit(&th->base, memory_order_relaxed) + ran;
	if (used <= th->credited || used - th->credited < least) return 0;
	int64_t more = to_ticks(used - th->credited);
	th->credited = used;
	return (uint64_t)more;
}

// Without a base the attach has used no more than the thread has since its mark.
uint64_t gilt_books_alone(gilt_thread *th, uint64_t held) {
	int64_t ran = gilt_ran(th);
	if (ran < 0) return held;
	int known = gilt_books_known(th, atomic_load_explicit(&th->since, memory_order_relaxed));
	int64_t used = known ? to_ticks(atomic_load_explicit(&th->base, memory_order_relaxed) + ran) : to_ticks(ran) - atomic_load_explicit(&th->mark, memory_order_relaxed);
	atomic_store_explicit(&th->mark, to_ticks(ran), memory_order_relaxed);
	th->remark = 1; // what follows a longer attach is mostly one too
	return used < 0 ? 0 : (uint64_t)used < held ? (uint64_t)used : held;
}

// C code that gives the GIL up and computes is not charged: that is what the looks tell, which know who used the GIL
// meanwhile, and when it was free. They are not exact.
uint64_t gilt_books_shared(gilt_thread *th, gilt_interp *it, uint64_t held) {
	uint64_t others = atomic_load_explicit(&it->clean, memory_order_relaxed) + atomic_load_explicit(&it->seen_used, memory_order_relaxed) - th->others;
	uint64_t seen = atomic_load_explicit(&th->seen_used, memory_order_relaxed), used = gilt_books_alone(th, held);
	others = others > seen ? others - seen : 0;
	uint64_t left = held > others ? held - others : 0;
	return used > left + GILT_LOOKS_ERR ? left : used;
}
