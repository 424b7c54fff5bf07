// Lets Python's allocations fail on one thread, for tests. See fault.go.
#include "shim.h"

typedef struct { // PyMemAllocatorEx
	void *ctx;
	void *(*malloc)(void *, size_t);
	void *(*calloc)(void *, size_t, size_t);
	void *(*realloc)(void *, void *, size_t);
	void (*free)(void *, void *);
} allocator;

static allocator usual[3]; // by domain: raw, mem, object
static _Thread_local int64_t left = -1; // negative: no limit

static int fails(void) { return left == 0 || (left > 0 && left-- == 0); }

static void *fail_malloc(void *ctx, size_t n) {
	allocator *a = ctx;
	return fails() ? NULL : a->malloc(a->ctx, n);
}

static void *fail_calloc(void *ctx, size_t n, size_t size) {
	allocator *a = ctx;
	return fails() ? NULL : a->calloc(a->ctx, n, size);
}

static void *fail_realloc(void *ctx, void *p, size_t n) {
	allocator *a = ctx;
	return fails() ? NULL : a->realloc(a->ctx, p, n);
}

static void pass_free(void *ctx, void *p) {
	allocator *a = ctx;
	a->free(a->ctx, p);
}

static void install(void) {
	for (int domain = 0; domain < 3; domain++) {
		py.PyMem_GetAllocator(domain, &usual[domain]);
		allocator a = {&usual[domain], fail_malloc, fail_calloc, fail_realloc, pass_free};
		py.PyMem_SetAllocator(domain, &a);
	}
}

void gilt_fail_memory(int64_t after) {
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, install);
	left = after;
}
