// Where objects keep what is read so often that a call, or an attribute, costs too much. Nothing is declared: objects of
// which each word is known are made at start, and the words are looked for.
#include "shim.h"

gilt_layout gilt_at;

// A stable-ABI fact for builds with a GIL (8); free-threaded builds have another.
static int find_ob_type(void) {
	PyObject *probes[] = {py._Py_NoneStruct, py._Py_TrueStruct, py.PyLong_Type, py.PyExc_TypeError};
	for (int off = 0; off <= 64; off += (int)sizeof(void *)) {
		int hits = 0;
		for (size_t i = 0; i < sizeof probes / sizeof *probes; i++) {
			PyObject *t = py.PyObject_Type(probes[i]);
			hits += *(PyObject **)((char *)probes[i] + off) == t;
			py.Py_DecRef(t);
		}
		if (hits == (int)(sizeof probes / sizeof *probes)) {
			gilt_at.ob_type = off;
			return 0;
		}
	}
	return -1;
}

// All of CPython's builds with a GIL count references in the first word, of which newer ones take half.
static int counts_references(void) {
	PyObject *o = py.PyList_New(0);
	if (!o) return 0;
	uint32_t *word = (uint32_t *)o;
	int counts = *word == 1;
	for (uint32_t n = 2; n < 5; n++) py.Py_IncRef(o), counts = counts && *word == n;
	for (uint32_t n = 4; n > 1; n--) py.Py_DecRef(o), counts = counts && *word == n - 1;
	py.Py_DecRef(o);
	return counts;
}

static PyObject *get(PyObject *ns, const char *name) { // borrowed from ns; None when it is not there
	PyObject *key = py.PyUnicode_InternFromString(name);
	PyObject *v = key ? py.PyDict_GetItemWithError(ns, key) : NULL;
	if (key) py.Py_DecRef(key);
	return v ? v : py._Py_NoneStruct;
}

// Where in o, which is of size bytes, the n bytes at v are; -1 when they are not there, or more than once.
static int where(PyObject *o, long long size, const void *v, int n) {
	int at = -1;
	for (int i = 0; i + n <= size; i += n)
		if (!memcmp((char *)o + i, v, (size_t)n)) {
			if (at >= 0) return -1;
			at = i;
		}
	return at;
}

// Where b, which is of size bytes, has a byte 1 and a, which is otherwise the same, a 0.
static int differs(PyObject *a, PyObject *b, long long size) {
	int at = -1;
	for (int i = 0; i < size; i++)
		if (((char *)a)[i] == 0 && ((char *)b)[i] == 1) {
			if (at >= 0) return -1;
			at = i;
		}
	return at;
}

static const char probes[] = "try: raise Exception\n"
                             "except Exception as e: inner = e.__traceback__\n"
                             "frame, size = inner.tb_frame, type(inner).__basicsize__\n"
                             "tb = type(inner)(inner, frame, 0x2a5a5a5a, 0x3b6c6c6c)\n"
                             "shown, hidden, exception_size = Exception(), Exception(), Exception.__basicsize__\n"
                             "hidden.__suppress_context__ = True\n"
                             "counted, dict_size = dict.fromkeys(range(1013)), dict.__basicsize__\n"
                             "text, str_size = 'x' * 1013, str.__basicsize__\n";

static int find_in(PyObject *ns) {
	const int lasti = 0x2a5a5a5a, lineno = 0x3b6c6c6c;
	const Py_ssize_t count = 1013;
	PyObject *tb = get(ns, "tb"), *inner = get(ns, "inner"), *frame = get(ns, "frame");
	long long size = py.PyLong_AsLongLong(get(ns, "size")), exception_size = py.PyLong_AsLongLong(get(ns, "exception_size"));
	gilt_at.tb_next = where(tb, size, &inner, sizeof inner);
	gilt_at.tb_frame = where(tb, size, &frame, sizeof frame);
	gilt_at.tb_lasti = where(tb, size, &lasti, sizeof lasti);
	gilt_at.tb_lineno = where(tb, size, &lineno, sizeof lineno);
	gilt_at.suppress_context = differs(get(ns, "shown"), get(ns, "hidden"), exception_size);
	gilt_at.dict_used = where(get(ns, "counted"), py.PyLong_AsLongLong(get(ns, "dict_size")), &count, sizeof count);
	gilt_at.str_length = where(get(ns, "text"), py.PyLong_AsLongLong(get(ns, "str_size")), &count, sizeof count);
	return gilt_at.str_length < 0 || gilt_at.dict_used < 0 || gilt_at.tb_next < 0 || gilt_at.tb_frame < 0 || gilt_at.tb_lasti < 0 || gilt_at.tb_lineno < 0 || gilt_at.suppress_context < 0 ? -1 : 0;
}

int gilt_find_layout(void) {
	if (find_ob_type()) return -1;
	gilt_at.counts = counts_references();
	PyObject *builtins = py.PyImport_ImportModule("builtins"), *name = py.PyUnicode_InternFromString("exec");
	PyObject *exec = builtins && name ? py.PyObject_GetAttr(builtins, name) : NULL;
	PyObject *args[2] = {py.PyUnicode_FromStringAndSize(probes, sizeof probes - 1), py.PyDict_New()};
	PyObject *done = exec && args[0] && args[1] ? py.PyObject_VectorcallDict(exec, args, 2, NULL) : NULL;
	int bad = !done || find_in(args[1]);
	PyObject *drop[] = {builtins, name, exec, args[0], args[1], done};
	for (size_t i = 0; i < sizeof drop / sizeof *drop; i++)
		if (drop[i]) py.Py_DecRef(drop[i]);
	py.PyErr_Clear();
	return bad;
}
