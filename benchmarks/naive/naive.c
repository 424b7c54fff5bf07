#define _GNU_SOURCE
#include "naive.h"
#include <dlfcn.h>
#include <stddef.h>
#include <time.h>

#define X(ret, name, params, args) static ret(*p_##name) params;
NAIVE_FUNCTIONS(X)
#undef X
static naive_object *(*p_CallMethodObjArgs)(naive_object *, naive_object *, ...);

#define X(ret, name, params, args) \
	ret naive_##name params { return p_##name args; }
NAIVE_FUNCTIONS(X)
#undef X

naive_object *naive_call_method0(naive_object *o, naive_object *name) {
	return p_CallMethodObjArgs(o, name, NULL);
}

const char *naive_load(void) {
#define X(ret, name, params, args) \
	if (!(p_##name = (ret(*) params)dlsym(RTLD_DEFAULT, #name))) return #name;
	NAIVE_FUNCTIONS(X)
#undef X
	p_CallMethodObjArgs = (naive_object * (*)(naive_object *, naive_object *, ...)) dlsym(RTLD_DEFAULT, "PyObject_CallMethodObjArgs");
	return p_CallMethodObjArgs ? NULL : "PyObject_CallMethodObjArgs";
}

static int64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int naive_ensure_stamped(int64_t *since) {
	int g = p_PyGILState_Ensure();
	*since = now();
	return g;
}

int64_t naive_release_stamped(int g, int64_t since) {
	int64_t held = now() - since;
	p_PyGILState_Release(g);
	return held;
}
