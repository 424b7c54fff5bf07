// To be preloaded: the first DELAY_CALLS readings of the clock that the program's own C code makes (gilt's, not libpython's)
// come back 20 ms late, as those of a thread that loses its processor just after each.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_int calls;

int clock_gettime(clockid_t clock, struct timespec *t) {
	int status = syscall(SYS_clock_gettime, clock, t);
	const char *n = getenv("DELAY_CALLS");
	Dl_info info;
	if (n && clock == CLOCK_MONOTONIC && dladdr(__builtin_return_address(0), &info) && !strstr(info.dli_fname, ".so") &&
	    atomic_fetch_add(&calls, 1) < atoi(n))
		usleep(20000);
	return status;
}
