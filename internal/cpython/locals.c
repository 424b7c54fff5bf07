// The local variables of an exception's frames: gigabytes, if Go keeps a thousand errors until its garbage collector runs. So they go
// when the exception has been read, as they do at the end of an except clause; but only what nobody else can see: the exception, its
// causes and contexts, their tracebacks and frames, all of whose references are counted here. What a traceback's text needs stays.
#include "objects.h"

enum { MOST_EXCEPTIONS = 8, FEW_FRAMES = 64 };

static _Atomic int kept;

void gilt_keep_locals(int keep) { kept = keep; }

typedef struct {
	PyObject *exceptions[MOST_EXCEPTIONS]; // borrowed
	uint32_t refs[MOST_EXCEPTIONS];        // as far as they are known
	size_t nexceptions;
	PyObject **frames, *few[FEW_FRAMES]; // one entry for each known reference; borrowed
	size_t nframes, cap;
} owned;

static uint32_t references(PyObject *o) { return *(uint32_t *)o; } // if gilt_at.counts

// Notes a reference to an exception; 0 when there are too many, or one whose text depends on its frames' locals.
static int add_exception(owned *all, gilt_interp *it, PyObject *exc) {
	for (size_t i = 0; i < all->nexceptions; i++)
		if (all->exceptions[i] == exc) {
			all->refs[i]++;
			return 1;
		}
	if (all->nexceptions == MOST_EXCEPTIONS || py.PyType_IsSubtype(gilt_type(exc), py.PyExc_NameError)) return 0;
	all->exceptions[all->nexceptions] = exc;
	all->refs[all->nexceptions++] = 1;
	PyObject *next[2] = {py.PyException_GetCause(exc), py.PyException_GetContext(exc)}; // new references, which exc has too
	int ok = 1;
	for (int i = 0; i < 2; i++) {
		if (!next[i]) continue;
		py.Py_DecRef(next[i]);
		ok = ok && add_exception(all, it, next[i]);
	}
	return ok;
}

static int add_frame(owned *all, PyObject *frame) {
	if (all->nframes == all->cap) {
		PyObject **more = malloc(2 * all->cap * sizeof *more);
		if (!more) return 0;
		memcpy(more, all->frames, all->nframes * sizeof *more);
		if (all->frames != all->few) free(all->frames);
		all->frames = more, all->cap *= 2;
	}
	all->frames[all->nframes++] = frame;
	return 1;
}

// Notes the references to frames that the exception's traceback has, and those that frames have to the frames that called them.
static int add_frames(owned *all, PyObject *exc) {
	PyObject *tb = py.PyException_GetTraceback(exc);
	if (tb) py.Py_DecRef(tb); // exc has another
	for (; tb && references(tb) == 1; tb = *(PyObject **)((char *)tb + gilt_at.tb_next)) {
		PyObject *frame = *(PyObject **)((char *)tb + gilt_at.tb_frame);
		if (!frame) continue;
		PyObject *back = py.PyFrame_GetBack(frame);
		if (back) py.Py_DecRef(back); // the frame has another
		if (!add_frame(all, frame) || (back && !add_frame(all, back))) return 0;
	}
	return 1;
}

static int by_address(const void *a, const void *b) {
	uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
	return x < y ? -1 : x > y;
}

static void sort(PyObject **frames, size_t n) {
	if (n > 32) {
		qsort(frames, n, sizeof *frames, by_address);
		return;
	}
	for (size_t i = 1; i < n; i++) {
		PyObject *f = frames[i];
		size_t j = i;
		for (; j > 0 && (uintptr_t)frames[j - 1] > (uintptr_t)f; j--) frames[j] = frames[j - 1];
		frames[j] = f;
	}
}

// Leaves those frames in the list to which all references are known, once each, and holds them. A frame that runs, and that of a generator, is
// referred to by what runs it.
static void keep_ours(owned *all) {
	size_t n = 0;
	sort(all->frames, all->nframes);
	for (size_t i = 0, same; i < all->nframes; i += same) {
		for (same = 1; i + same < all->nframes && all->frames[i + same] == all->frames[i]; same++) {}
		if (references(all->frames[i]) == same) all->frames[n++] = all->frames[i];
	}
	for (size_t i = 0; i < n; i++) py.Py_IncRef(all->frames[i]);
	all->nframes = n;
}

void gilt_drop_locals(gilt_interp *it, PyObject *exc) {
	if (!gilt_at.counts || kept || references(exc) != 1) return;
	owned all; // most of it is never touched
	all.nexceptions = all.nframes = 0, all.cap = FEW_FRAMES, all.frames = all.few;
	int ok = add_exception(&all, it, exc);
	for (size_t i = 0; ok && i < all.nexceptions; i++) ok = references(all.exceptions[i]) == all.refs[i] && add_frames(&all, all.exceptions[i]);
	if (ok && all.nframes > 0) {
		keep_ours(&all);
		// frame.clear() refuses a frame that runs: from 3.11 on such a frame may look as if all references to it were known.
		PyObject *clear = py.PyUnicode_InternFromString("clear");
		for (size_t i = 0; clear && i < all.nframes; i++) {
			PyObject *done = py.PyObject_VectorcallMethod(clear, &all.frames[i], 1, NULL);
			if (done) py.Py_DecRef(done);
			else py.PyErr_Clear();
		}
		if (clear) py.Py_DecRef(clear);
		for (size_t i = 0; i < all.nframes; i++) py.Py_DecRef(all.frames[i]);
		py.PyErr_Clear();
	}
	if (all.frames != all.few) free(all.frames);
}
