// What C's allocator has, as far as it tells.
#define _GNU_SOURCE
#include "gilt.h"
#include <dlfcn.h>

typedef struct { size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost; } info; // struct mallinfo2, glibc 2.33

uint64_t gilt_malloc_free(void) {
	static info (*ask)(void);
	if (!ask && !(*(void **)&ask = dlsym(RTLD_DEFAULT, "mallinfo2"))) return 0;
	return ask().fordblks;
}
