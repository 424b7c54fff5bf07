// A number for each OS thread that asks, by which a thread that gilt keeps for one kind of work knows itself.
#include "shim.h"

uint64_t gilt_this_thread(void) {
	static _Thread_local uint64_t id;
	static _Atomic uint64_t ids;
	if (GILT_UNLIKELY(id == 0)) id = ++ids;
	return id;
}
