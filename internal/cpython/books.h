// What a thread's attach used the GIL for: begun and ended with the GIL held, read by the pacer.
#ifndef GILT_BOOKS_H
#define GILT_BOOKS_H
#include "shim.h"

static inline int64_t gilt_to_ns(uint64_t ticks) { return (int64_t)((double)ticks * gilt_ns_per_tick); }

// Adds to a number that is written with the GIL held only, and read by the pacer.
#define add(p, n) atomic_store_explicit(p, atomic_load_explicit(p, memory_order_relaxed) + (n), memory_order_relaxed)

// How far off the looks may be about an attach, in ticks (200 us).
#define GILT_LOOKS_ERR (10 * gilt_ticks_20us)

// books.c: what an attach used that had the GIL, or was interrupted, for that many ticks.
uint64_t gilt_books_alone(gilt_thread *th, uint64_t held);
uint64_t gilt_books_shared(gilt_thread *th, gilt_interp *it, uint64_t held);
void gilt_books_mark(gilt_thread *th); // by the thread itself, with the GIL

// The books of an attach: what it is charged is the time for which it held the GIL. Begun and ended with
// the GIL held.
static inline void books_begin(gilt_thread *th, gilt_interp *it, uint64_t now) {
	if (GILT_LIKELY(it->gil != NULL)) th->switches = atomic_load_explicit(&it->gil->switches, memory_order_relaxed);
	if (GILT_UNLIKELY(th->remark)) gilt_books_mark(th);
	th->others = atomic_load_explicit(&it->clean, memory_order_relaxed) + atomic_load_explicit(&it->seen_used, memory_order_relaxed);
	atomic_store_explicit(&th->seen_used, 0, memory_order_relaxed);
	atomic_store_explicit(&th->since, now, memory_order_relaxed);
}

// A short attach in which the GIL has not changed hands is charged all its time. The thread's processor clock tells of others.
static inline void books_end(gilt_thread *th, gilt_interp *it, uint64_t now) {
	uint64_t since = atomic_load_explicit(&th->since, memory_order_relaxed), held = now - since;
	if (GILT_LIKELY(!it->gil || atomic_load_explicit(&it->gil->switches, memory_order_relaxed) == th->switches)) {
		uint64_t looked = atomic_load_explicit(&it->looked_at, memory_order_relaxed);
		if (looked < since || looked > now) looked = since;
		add(&it->clean, now - looked);
		if (GILT_UNLIKELY(held > 5 * gilt_ticks_20us)) held = gilt_books_alone(th, held);
		else add(&th->mark, (int64_t)held);
	} else held = gilt_books_shared(th, it, held), th->shared = 1;
	atomic_store_explicit(&th->since, 0, memory_order_relaxed);
	th->held += held;
}

uint64_t gilt_take_gil(gilt_thread *th, gilt_interp *it, PyThreadState *ts); // the ticks at which it did

// The rest under gilt_all_mu.
void gilt_books_met(gilt_thread *th, uint64_t since); // by the pacer: th has the GIL, and its attach began then
void gilt_books_forced(gilt_thread *th, uint64_t now); // by the thread that has forced th off, with the GIL
void gilt_books_blocked(gilt_thread *th, int64_t ns); // by the pacer: th had the GIL for so long, and waited for something else
int gilt_books_known(gilt_thread *th, uint64_t since); // whether gilt_books_credit knows what that attach has used
uint64_t gilt_books_credit(gilt_thread *th, int64_t least); // by the pacer: the ticks that it has used since the last time, if that is least nanoseconds; 0 else

#endif
