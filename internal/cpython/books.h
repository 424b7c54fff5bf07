// What a thread's attach used the GIL for: begun and ended with the GIL held, read by the pacer.
#ifndef GILT_BOOKS_H
#define GILT_BOOKS_H
#include "shim.h"

static inline int64_t gilt_to_ns(uint64_t ticks) { return (int64_t)((double)ticks * gilt_ns_per_tick); }

// Adds to a number that is written with the GIL held only, and read by the pacer.
#define add(p, n) atomic_store_explicit(p, atomic_load_explicit(p, memory_order_relaxed) + (n), memory_order_relaxed)

// The books of an attach: what it is charged is the time for which it held the GIL. Begun and ended with
// the GIL held.
static inline void books_begin(gilt_thread *th, gilt_interp *it, uint64_t now) {
	if (GILT_LIKELY(it->gil != NULL)) th->switches = atomic_load_explicit(&it->gil->switches, memory_order_relaxed);
	th->looks = atomic_load_explicit(&it->looks, memory_order_relaxed);
	atomic_store_explicit(&th->sampled, 0, memory_order_relaxed);
	atomic_store_explicit(&th->since, now, memory_order_relaxed);
}

// When the GIL has not changed hands since, all the time counts: if Python code gave it up in between,
// nobody wanted it. Otherwise what counts is what the pacer saw, which adds up the uninterrupted attaches
// of others (clean) and gives the rest to whoever is there for long; an attach that no look met is short, unless the
// pacer rests: nobody of ours waited then, and whoever took the GIL in between was soon gone.
static inline void books_end(gilt_thread *th, gilt_interp *it, uint64_t now) {
	uint64_t since = atomic_load_explicit(&th->since, memory_order_relaxed), held = now - since;
	uint64_t looked = atomic_load_explicit(&it->looked_at, memory_order_relaxed);
	uint64_t clean = atomic_load_explicit(&it->clean, memory_order_relaxed);
	if (GILT_LIKELY(!it->gil || atomic_load_explicit(&it->gil->switches, memory_order_relaxed) == th->switches)) {
		if (looked < since || looked > now) looked = since;
		atomic_store_explicit(&it->clean, clean + (now - looked), memory_order_relaxed);
	} else if (atomic_load_explicit(&it->looks, memory_order_relaxed) != th->looks) {
		uint64_t had = atomic_load_explicit(&th->sampled, memory_order_relaxed);
		uint64_t others = clean - atomic_load_explicit(&it->clean_seen, memory_order_relaxed);
		if (atomic_load_explicit(&it->user, memory_order_relaxed) == th && now > looked + others) had += now - looked - others;
		if (had < held) held = had;
	} else if (held > 5 * gilt_ticks_20us && !atomic_load_explicit(&it->rests, memory_order_relaxed)) held = 5 * gilt_ticks_20us;
	atomic_store_explicit(&th->since, 0, memory_order_relaxed);
	th->held += held;
}

uint64_t gilt_take_gil(gilt_interp *it, PyThreadState *ts); // the ticks at which it did

#endif
