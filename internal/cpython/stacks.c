// Stacks that are large enough for Python. CPython 3.13 and older count C calls, up to a number that is meant for stacks of
// 8 MiB, and end the process by SIGSEGV on smaller ones, where 3.14 raises RecursionError. What `ulimit -s` says holds for
// the threads of Go too: they have the C library's default size, which is 2 MiB when there is no limit.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__) && defined(__GLIBC__)
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
enum { STACK = 8 << 20, GUARD = 64 << 10 };

// Threads that nobody gives a size get STACK bytes. Larger defaults stay.
static void threads(void) {
	pthread_attr_t a;
	size_t size = 0;
	if (pthread_getattr_default_np(&a)) return;
	if (!pthread_attr_getstacksize(&a, &size) && size < STACK && !pthread_attr_setstacksize(&a, STACK)) pthread_setattr_default_np(&a);
	pthread_attr_destroy(&a);
}

// The mapping that address is in: 1 if it was found.
static int mapping(unsigned long address, unsigned long *from, unsigned long *to) {
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	int found = 0;
	while (f && !found && fgets(line, sizeof line, f)) found = sscanf(line, "%lx-%lx", from, to) == 2 && *from <= address && address < *to;
	if (f) fclose(f);
	return found;
}

// The process's first thread, on which goroutines run as on any other. The kernel makes its stack grow as far as the limit
// says, and keeps a wide gap below. There the rest is mapped, which the limit does not forbid. It takes address space, and
// memory when it is used.
static void first_thread(void) {
	struct rlimit limit;
	unsigned long from, to;
	if (syscall(SYS_gettid) != getpid() || getrlimit(RLIMIT_STACK, &limit)) return;
	if (limit.rlim_cur >= STACK || !mapping((unsigned long)&limit, &from, &to)) return; // RLIM_INFINITY is the largest number
	// First all that the limit allows: else who asks for the stack's size hears of what is there now. The kernel writes there
	// for a system call; where the stack cannot grow that is EFAULT, and no SIGSEGV.
	(void)!syscall(SYS_clock_gettime, CLOCK_MONOTONIC, (void *)(to - limit.rlim_cur));
	if (!mapping((unsigned long)&limit, &from, &to) || to - from >= STACK) return;
	unsigned long low = to - STACK - GUARD;
	void *p = mmap((void *)low, from - low, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	if (p == MAP_FAILED) return;
	if (p == (void *)low) mprotect(p, GUARD, PROT_NONE);
	else munmap(p, from - low); // a kernel before 4.17 takes the address for a wish
}

// Before Go makes its threads.
__attribute__((constructor)) static void stacks(void) {
	threads();
	first_thread();
}
#endif
