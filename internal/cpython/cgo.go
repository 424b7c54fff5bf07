//go:build cgo

package cpython

/*
#cgo CFLAGS: -std=gnu11 -O2 -Wall -Wextra -Wno-unused-parameter
#cgo linux LDFLAGS: -ldl -lpthread
#include <stdlib.h>
#include "gilt.h"

// Handles of the shim cross as integers: cgo would check each pointer to a C struct at run time.
static gilt_interp *gilt_it(uintptr_t p) { return (gilt_interp *)p; }
static gilt_thread *gilt_th(uintptr_t p) { return (gilt_thread *)p; }
typedef struct { uintptr_t th; uint64_t serial; gilt_words *words; int32_t status; } go_entry;
static go_entry go_enter(uintptr_t it, uint64_t tag, uint64_t what, int64_t deadline) {
	gilt_entry e = gilt_enter(gilt_it(it), tag, what, deadline);
	return (go_entry){(uintptr_t)e.th, e.serial, e.words, e.status};
}
static gilt_res go_leave(uintptr_t th, uint64_t serial) { return gilt_leave(gilt_th(th), serial); }
static gilt_res go_turn(uintptr_t th, uint64_t serial) { return gilt_turn(gilt_th(th), serial); }
static gilt_res go_detach(uintptr_t th, uint64_t serial) { return gilt_detach(gilt_th(th), serial); }
static gilt_res go_getattr(uintptr_t th, uint64_t serial, uintptr_t o, const char *name, uint64_t n, int rkind) {
	return gilt_getattr(gilt_th(th), serial, o, name, n, rkind);
}
static gilt_res go_call(uintptr_t th, uint64_t serial, uintptr_t o, const char *m, uint64_t mn, const uint8_t *w, uint64_t wn, int rkind) {
	return gilt_call(gilt_th(th), serial, o, m, mn, w, wn, rkind);
}
static gilt_res go_object(uintptr_t th, uint64_t serial, int op, uintptr_t o, const uint8_t *w, uint64_t wn, int rkind) {
	return gilt_object(gilt_th(th), serial, op, o, w, wn, rkind);
}
static gilt_res go_make(uintptr_t th, uint64_t serial, const uint8_t *w, uint64_t wn) { return gilt_make(gilt_th(th), serial, w, wn); }
static gilt_res go_newref(uintptr_t th, uint64_t serial, uintptr_t o, const uint64_t *word, uint64_t value) {
	return gilt_newref(gilt_th(th), serial, o, word, value);
}
static gilt_res go_bind(uintptr_t th, uint64_t serial, uintptr_t o, const uint64_t *word, uint64_t value) {
	return gilt_bind(gilt_th(th), serial, o, word, value);
}
static gilt_res go_import(uintptr_t th, uint64_t serial, const char *name, uint64_t n) { return gilt_import(gilt_th(th), serial, name, n); }
static gilt_res go_setattr(uintptr_t th, uint64_t serial, uintptr_t o, const char *name, uint64_t n, const uint8_t *w, uint64_t wn) {
	return gilt_setattr(gilt_th(th), serial, o, name, n, w, wn);
}
static gilt_res go_exec(uintptr_t th, uint64_t serial, const char *src, uint64_t n, const char *file, uint64_t fn, int eval,
                        uintptr_t globals, uintptr_t locals, int rkind) {
	return gilt_exec(gilt_th(th), serial, src, n, file, fn, eval, globals, locals, rkind);
}
static gilt_res go_scope_end(uintptr_t th, uint64_t serial, uint64_t base) { return gilt_scope_end(gilt_th(th), serial, base); }
static uint64_t go_scope_base(uintptr_t th, uint64_t serial) { return gilt_scope_base(gilt_th(th), serial); }
static int go_error_indicator(uintptr_t th, uint64_t serial) { return gilt_error_indicator(gilt_th(th), serial); }
static void go_release(uintptr_t it, uintptr_t o) { gilt_release(gilt_it(it), o); }
static void go_release_all(uintptr_t it, const uintptr_t *o, uint64_t n) { gilt_release_all(gilt_it(it), o, n); }
static int64_t go_owned(uintptr_t it) { return gilt_owned(gilt_it(it)); }
static int64_t go_backlog(uintptr_t it) { return gilt_backlog(gilt_it(it)); }
static int go_reap(uintptr_t it) { return gilt_reap(gilt_it(it)); }
static int go_count_states(uintptr_t it) { return gilt_count_states(gilt_it(it)); }
static gilt_look go_pacer_wait(uintptr_t it, int pace, uint64_t tag, int64_t quiet) {
	return gilt_pacer_wait(gilt_it(it), (gilt_order){pace, tag, quiet});
}
static gilt_kept go_kept(uintptr_t it) { return gilt_kept_look(gilt_it(it)); }
static gilt_stuck go_cancel_loop(uintptr_t it) { return gilt_cancel_loop(gilt_it(it)); }
static int go_cancel(uintptr_t it, uint64_t tag) { return gilt_cancel(gilt_it(it), tag); }
static int go_in_go(uintptr_t it, uint64_t tag) { return gilt_in_go(gilt_it(it), tag); }
static void go_cancel_stop(uintptr_t it) { gilt_cancel_stop(gilt_it(it)); }
static void go_deadline(uintptr_t th, uint64_t serial, int64_t deadline) { gilt_deadline(gilt_th(th), serial, deadline); }
static gilt_stand go_standing(uintptr_t it, uint64_t tag) { return gilt_standing(gilt_it(it), tag); }
static gilt_held go_watch(uintptr_t it) { return gilt_watch(gilt_it(it)); }
static gilt_peek go_peek(uintptr_t th, uint64_t serial, uint64_t ident) { return gilt_peek_at(gilt_th(th), serial, ident); }
static int go_here(uintptr_t th, uint64_t serial) { return gilt_here(gilt_th(th), serial); }
static void go_pacer_arm(uintptr_t it, int pace) { gilt_pacer_arm(gilt_it(it), pace); }
static void go_pacer_stop(uintptr_t it) { gilt_pacer_stop(gilt_it(it)); }
static void go_fn_free(uintptr_t fn) { gilt_fn_free((gilt_fn *)fn); }
static gilt_res go_fn_resolve(uintptr_t it, uintptr_t fn, uint64_t tag) { return gilt_fn_resolve(gilt_it(it), (gilt_fn *)fn, tag); }
static gilt_scalar go_fn_scalar(uintptr_t it, uintptr_t fn, uint64_t tag, int64_t deadline, int akind, int64_t ai, int rkind) {
	return gilt_fn_scalar(gilt_it(it), (gilt_fn *)fn, tag, deadline, akind, ai, rkind);
}
static gilt_res go_fn_batch(uintptr_t it, uintptr_t fn, uint64_t tag, int64_t deadline, int akind, const int64_t *ai, uint64_t n, const uint8_t *w, int rkind, int64_t *io) {
	return gilt_fn_batch(gilt_it(it), (gilt_fn *)fn, tag, deadline, akind, ai, n, w, rkind, io);
}
static gilt_res go_fn_call(uintptr_t it, uintptr_t fn, uint64_t tag, int64_t deadline, int akind, int64_t ai, const uint8_t *w, uint64_t wn, int rkind) {
	return gilt_fn_call(gilt_it(it), (gilt_fn *)fn, tag, deadline, akind, ai, w, wn, rkind);
}
static gilt_scalar go_quick_call(uintptr_t th, uint64_t serial, uintptr_t o, const char *m, const char *kw, uint64_t how, int64_t a, int64_t b, int64_t c) {
	return gilt_quick_call(gilt_th(th), serial, o, m, kw, how, a, b, c);
}
static gilt_scalar go_quick_fn(uintptr_t th, uint64_t serial, uintptr_t fn, int akind, int64_t ai, const uint8_t *w, uint64_t wn, int rkind) {
	return gilt_quick_fn(gilt_th(th), serial, (gilt_fn *)fn, akind, ai, w, wn, rkind);
}
static gilt_scalar go_quick_object(uintptr_t th, uint64_t serial, int op, uintptr_t o, uint64_t how, int64_t a, int64_t b) {
	return gilt_quick_object(gilt_th(th), serial, op, o, how, a, b);
}
static gilt_res go_items(uintptr_t th, uint64_t serial, uintptr_t o, uint64_t from, uint64_t most) { return gilt_items(gilt_th(th), serial, o, from, most); }
static gilt_res go_entries(uintptr_t th, uint64_t serial, uintptr_t o, uint64_t pos, int64_t size, uint64_t most) {
	return gilt_entries(gilt_th(th), serial, o, pos, size, most);
}
static uintptr_t go_none(void) { return gilt_none(); }
static uintptr_t go_ellipsis(void) { return gilt_ellipsis(); }
static uintptr_t go_not_implemented(void) { return gilt_not_implemented(); }
static gilt_res go_class_object(uintptr_t th, uint64_t serial, int class) { return gilt_class_object(gilt_th(th), serial, class); }
static gilt_scalar go_quick_attr(uintptr_t th, uint64_t serial, uintptr_t o, const char *name, uint64_t n, int rkind) {
	return gilt_quick_attr(gilt_th(th), serial, o, name, n, rkind);
}
static gilt_res go_make_gofunc(uintptr_t th, uint64_t serial, uint64_t id, uint64_t what, int uses_python, const char *name, uint64_t nn, const char *plan, uint64_t pn, const char *doc, uint64_t dn) {
	return gilt_make_gofunc((gilt_thread *)th, serial, id, what, uses_python, name, nn, plan, pn, doc, dn);
}
static gilt_res go_limit_error(uintptr_t th, uint64_t serial) { return gilt_limit_error_object((gilt_thread *)th, serial); }
static gilt_res go_make_value(uintptr_t th, uint64_t serial, uint64_t id) { return gilt_make_value((gilt_thread *)th, serial, id); }
*/
import "C"

import (
	_ "embed" // cleanup.py
	"errors"
	"math"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// Nothing here is marked `#cgo nocallback` or `noescape`: whatever may run Python code may run a
// __del__ that calls Go.

//go:embed cleanup.py
var cleanup string

// Interp is an interpreter of the running Python.
type Interp struct {
	c     C.uintptr_t // gilt_interp *
	words C.gilt_gil_words
	ID    int // 0 is the main interpreter

	Pool sync.Pool // of package handles, as this
	Pins sync.Pool
}

// Entry is a task on an OS thread: the proof that the C side checks.
type Entry struct {
	th     C.uintptr_t // gilt_thread *
	serial C.uint64_t
	words  *C.gilt_words // in C memory that lives as long as the thread
}

func sentence(s *C.char) error {
	if s == nil {
		return nil
	}
	// SAFETY: the shim gives a malloc'ed, NUL-terminated sentence that is ours to free.
	defer C.free(unsafe.Pointer(s))
	return errors.New(C.GoString(s))
}

// Running says which Python runs in this process, before Load; nil for none.
func Running() error { return sentence(C.gilt_running()) }

// Load opens the libpython at path and takes it for the life of the process; it does not start Python.
// A library that is refused is closed again.
func Load(path string) error {
	// SAFETY: C copies the text before it returns.
	if C.gilt_hook_source((*C.char)(unsafe.Pointer(unsafe.StringData(cleanup))), C.uint64_t(len(cleanup))) != 0 {
		return errors.New("out of memory")
	}
	c := C.CString(path)
	defer C.free(unsafe.Pointer(c))
	return sentence(C.gilt_load(c, MinMinor, MaxMinor))
}

// Version is the loaded library's own text: "3.14.6 (main, …)".
func Version() string { return C.GoString(C.gilt_version()) }

// Minor is the loaded library's minor version.
func Minor() int { return int(C.gilt_minor()) }

// HasOwnGIL says whether the loaded Python can make interpreters with a GIL of their own.
func HasOwnGIL() bool {
	c := C.CString("Py_NewInterpreterFromConfig")
	defer C.free(unsafe.Pointer(c))
	return C.gilt_has(c) != 0
}

// StdoutWasClosed says whether the process was started without a stdout. What is written to it then is lost
// without an error: Go opens /dev/null in its place.
func StdoutWasClosed() bool { return C.gilt_stdout_was_closed() != 0 }

// SetFlag sets a member of CPython's PyConfig, under the name that 3.14 has. Called before Start.
func SetFlag(name string, value int) {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	C.gilt_set_flag(c, C.int(value))
}

// AddOption adds the value of a python3 option, 'W' or 'X'. Called before Start. False when there are too many.
func AddOption(option byte, text string) bool {
	c := C.CString(text)
	defer C.free(unsafe.Pointer(c))
	x := 0
	if option == 'X' {
		x = 1
	}
	return C.gilt_add_option(C.int(x), c) == 0
}

// Start initializes Python. The calling goroutine is locked to its OS thread and stays so: that thread is
// Python's main thread. program and home may be empty. An isolated Python takes nothing from the environment or the user's site.
func Start(program, home string, isolated bool, switchInterval time.Duration) (*Interp, error) {
	p, h := C.CString(program), C.CString(home)
	defer C.free(unsafe.Pointer(p))
	defer C.free(unsafe.Pointer(h))
	alone := C.int(0)
	if isolated {
		alone = 1
	}
	if err := sentence(C.gilt_start(p, h, alone, C.double(switchInterval.Seconds()))); err != nil {
		return nil, err
	}
	return newInterp(C.gilt_main_interp()), nil
}

// NewInterp makes an interpreter with a GIL of its own, on Python's main thread.
func NewInterp(switchInterval time.Duration) (*Interp, error) {
	var c *C.gilt_interp
	if err := sentence(C.gilt_new_interp(C.double(switchInterval.Seconds()), &c)); err != nil {
		return nil, err
	}
	return newInterp(c), nil
}

func newInterp(c *C.gilt_interp) *Interp {
	return &Interp{c: C.uintptr_t(uintptr(unsafe.Pointer(c))), words: C.gilt_interp_words(c), ID: int(C.gilt_id(c))}
}

// Refuse makes every later entry answer Stopped.
func Refuse() { C.gilt_refuse() }

// Quiesce keeps threads that Python made from coming into Python again out of Go functions, and from calling those, if stopping
// says so. It gives the names of the Go functions in which such threads still use Python, or have Python code run.
func Quiesce(stopping bool) []string {
	flag := C.int(0)
	if stopping {
		flag = 1
	}
	names := C.gilt_quiesce(flag)
	if names == nil {
		return nil
	}
	// SAFETY: malloc'ed for the caller, and NUL-terminated.
	defer C.free(unsafe.Pointer(names))
	return strings.Split(strings.TrimSuffix(C.GoString(names), "\n"), "\n")
}

// Stop ends the interpreters and finalizes Python, on Python's main thread, when no other thread is
// inside. It gives Py_FinalizeEx's status: not 0 when Python's buffered output could not be written.
func Stop() int { return int(C.gilt_stop()) }

// Orphans is the read end of a pipe that becomes readable when an OS thread with thread states ends. The shim's descriptor stays open for the
// process; this is a copy to wait on, which the caller closes.
func Orphans() (*os.File, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, err := syscall.Dup(int(C.gilt_orphan_fd()))
	if err != nil {
		return nil, err
	}
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "orphans"), nil
}

// Nested says whether the calling OS thread is inside a task: then the goroutine is locked to it, and it
// is this goroutine's task.
func Nested() bool { return C.gilt_nested() != 0 }

// Yield is Nested for somebody who is about to wait: if the calling OS thread has a GIL, which whoever is
// waited for may need, it gives it up; the task's next operation attaches again.
func Yield() (nested bool) { return C.gilt_yield() != 0 }

// Enter begins a task on the calling goroutine's OS thread, to which it must be locked until Leave.
// It does not attach: the first operation does. tag is the scheduler's name for the task, not 0;
// what is the caller's number for what it runs, which Look gives back; deadline is when its Python code is cancelled.
func (it *Interp) Enter(tag, what uint64, deadline Deadline) (Entry, Status) {
	e := C.go_enter(it.c, C.uint64_t(tag), C.uint64_t(what), C.int64_t(deadline))
	return Entry{e.th, e.serial, e.words}, Status(e.status)
}

// SetTag changes the scheduler's name for the task, which is the innermost one on its thread.
func (e Entry) SetTag(tag uint64) {
	// SAFETY: the word is the thread's own, and the goroutine is locked to the thread.
	atomic.StoreUint64((*uint64)(unsafe.Pointer(&e.words.tag)), tag)
}

// Tag is the scheduler's name for the task.
func (e Entry) Tag() uint64 {
	// SAFETY: as in SetTag.
	return atomic.LoadUint64((*uint64)(unsafe.Pointer(&e.words.tag)))
}

// Release gives back an owned reference, from any thread, attached or not: it joins the decref queue
// that the next attach drains.
func (it *Interp) Release(o Object) { C.go_release(it.c, C.uintptr_t(o)) }

// ReleaseAll is Release for many at once; zeros among them are passed over.
func (it *Interp) ReleaseAll(o []Object) {
	// SAFETY: an Object is a uintptr, and C does not keep the pointer.
	C.go_release_all(it.c, (*C.uintptr_t)(unsafe.Pointer(unsafe.SliceData(o))), C.uint64_t(len(o)))
}

// Owned is how many references are Go's: those of handles, and the exceptions of errors.
func (it *Interp) Owned() int64 { return int64(C.go_owned(it.c)) }

// Backlog is the length of the decref queue.
func (it *Interp) Backlog() int { return int(C.go_backlog(it.c)) }

// SinkOrphans empties the pipe of Orphans, before Reap is called for every interpreter.
func SinkOrphans() { C.gilt_sink_orphans() }

// Reap gives back the thread states of OS threads that have ended; the caller holds no token.
func (it *Interp) Reap() int { return int(C.go_reap(it.c)) }

// States counts the interpreter's thread states. It is for tests, with nobody entering or leaving.
func (it *Interp) States() int { return int(C.go_count_states(it.c)) }

// PacerWait blocks: see pacer.c. One goroutine for each interpreter calls it, with what scheduler.Order says.
func (it *Interp) PacerWait(pace int, tag uint64, quiet time.Duration) Look {
	l := C.go_pacer_wait(it.c, C.int(pace), C.uint64_t(tag), C.int64_t(quiet))
	var forced [len(l.forced)]uint64
	for i, tag := range l.forced {
		forced[i] = uint64(tag)
	}
	return Look{
		Pace: Pace(l.what), Forced: forced, Known: l.known != 0, Taken: l.taken != 0, Computes: l.computes != 0, Returns: l.returns != 0, Pending: int(l.pending), Moved: l.moved != 0,
		Newest: uint64(l.newest), Arrived: uint64(l.arrived), Holder: uint64(l.holder), What: uint64(l.runs), User: uint64(l.user), Used: time.Duration(l.used), Tended: time.Duration(l.tended),
	}
}

// Tended takes what looks have seen the tended task use since PacerWait was called, or since Tended. It does not cross.
func (it *Interp) Tended() time.Duration {
	// SAFETY: as in Elsewhere.
	return time.Duration(atomic.SwapInt64((*int64)(it.words.tended), 0))
}

// Kept tells of the waits for the GIL of 100 ms and more in which it did not change hands.
func (it *Interp) Kept() Kept {
	k := C.go_kept(it.c)
	return Kept{Count: uint64(k.count), Last: time.Duration(k.ns), Reports: uint64(k.reports), By: KeptBy(k.by), What: uint64(k.what), Reported: time.Duration(k.reported_ns)}
}

// Elsewhere reports whether the GIL is free and nobody asks for it, though the task of that tag has had it. It
// does not cross.
func (it *Interp) Elsewhere(tag uint64) bool {
	// SAFETY: the words are C's, and are written atomically there. They live as long as the process, but for locked
	// of an interpreter with its own GIL, which goes with it: Stop comes after the scheduler, which asks, was closed.
	w := &it.words
	return w.locked != nil && atomic.LoadInt32((*int32)(w.locked)) == 0 &&
		atomic.LoadUint64((*uint64)(w.newest)) >= tag && atomic.LoadUint64((*uint64)(w.asked)) == atomic.LoadUint64((*uint64)(w.got))
}

// Took says that the task of that tag has the GIL, on the calling goroutine's thread, though it did not attach: it
// took it over (Turn).
func (it *Interp) Took(tag uint64) {
	// SAFETY: as in Elsewhere. It is written with the GIL held only, so by nobody else now.
	if newest := (*uint64)(it.words.newest); atomic.LoadUint64(newest) < tag {
		atomic.StoreUint64(newest, tag)
	}
}

// CancelLoop cancels tasks, on a thread of its own, until one goes on though it was cancelled several times: it gives
// its tag, and the Python frame that it is in, "" if that is not known. ok is false when it has been stopped.
func (it *Interp) CancelLoop() (tag uint64, where string, ok bool) {
	s := C.go_cancel_loop(it.c)
	return uint64(s.tag), OneLine(C.GoString(&s.where[0])), s.stopped == 0
}

// Cancel has the task of that tag cancelled now, and again until it has ended; false when it is not the innermost task of
// a thread.
func (it *Interp) Cancel(tag uint64) bool { return C.go_cancel(it.c, C.uint64_t(tag)) != 0 }

// KeepLocals says whether the frames of exceptions that Go has keep their local variables. They do not until it is called.
func KeepLocals(keep bool) {
	k := C.int(0)
	if keep {
		k = 1
	}
	C.gilt_keep_locals(k)
}

// LimitError gives the class of what is raised when a conversion exceeds SetLimits.
func (e Entry) LimitError() Result { return result(C.go_limit_error(e.th, e.serial)) }

// SetLimits sets how many values and bytes one conversion may have. It is called before Python code runs.
func SetLimits(values, bytes uint64) {
	MaxValues, MaxBytes = values, bytes
	C.gilt_set_limits(C.uint64_t(values), C.uint64_t(bytes))
}

// MallocFree is how many bytes C's allocator has that were freed, 0 if that is not known, and the processor time of the question.
func MallocFree() (free int64, took time.Duration) {
	var t C.uint64_t
	free = int64(C.gilt_malloc_free(&t))
	return free, time.Duration(t)
}

// InGo says whether the task of that tag is in Go code.
func (it *Interp) InGo(tag uint64) bool { return C.go_in_go(it.c, C.uint64_t(tag)) != 0 }

// CancelStop ends CancelLoop for good.
func (it *Interp) CancelStop() { C.go_cancel_stop(it.c) }

// Clock gives the time of which Deadlines are.
func Clock() Deadline { return Deadline(C.gilt_clock_ns()) }

// Watch looks whether the task that has the GIL is in Go code while others wait.
func (it *Interp) Watch() HeldInGo {
	h := C.go_watch(it.c)
	return HeldInGo{Since: uint64(h.in_go), Tag: uint64(h.tag), What: uint64(h.what), Waits: int(h.waits)}
}

// Standing looks how the task of that tag stands. It takes some microseconds.
func (it *Interp) Standing(tag uint64) Standing {
	s := C.go_standing(it.c, C.uint64_t(tag))
	return Standing{
		Found: s.found != 0, Begun: s.begun != 0, At: At(s.at), InGo: s.in_go != 0, Raised: s.raised != 0, Holds: s.holds != 0, Ran: time.Duration(s.ran),
		Switches: uint64(s.switches), HolderWhat: uint64(s.holder_what), HolderRan: time.Duration(s.holder_ran),
	}
}

// PacerArm has the pacer look at least as closely as pace says.
func (it *Interp) PacerArm(pace int) { C.go_pacer_arm(it.c, C.int(pace)) }

// PacerStop ends PacerWait for good.
func (it *Interp) PacerStop() { C.go_pacer_stop(it.c) }

func result(r C.gilt_res) Result {
	res := Result{Status: Status(r.status), Detached: r.flags&C.GILT_DETACHED != 0, Slow: r.flags&C.GILT_SLOW != 0, Shared: r.flags&C.GILT_SHARED != 0, Fired: r.flags&C.GILT_FIRED != 0, Int: int64(r.i), Obj: Object(r.obj), Held: time.Duration(r.held)}
	if r.n > 0 {
		// SAFETY: p points to n bytes of the thread's result buffer, or to a constant.
		res.Data = unsafe.Slice((*byte)(unsafe.Pointer(r.p)), int(r.n))
	}
	return res
}

// SAFETY (of bytes and text): the pointers are of Go memory without pointers, and C does not keep them.
func bytes(b []byte) (*C.uint8_t, C.uint64_t) {
	return (*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(b))), C.uint64_t(len(b))
}

func text(s string) (*C.char, C.uint64_t) {
	return (*C.char)(unsafe.Pointer(unsafe.StringData(s))), C.uint64_t(len(s))
}

// StringBytes is s's own bytes, to be read only.
func StringBytes(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// Leave ends the task: its scope's references go, and the thread is detached. Int is the length of the
// decref queue, which they join when the thread was detached already.
func (e Entry) Leave() Result { return result(C.go_leave(e.th, e.serial)) }

// Turn ends the task as Leave does and begins another on this thread, attached without a break when it can:
// more is false when it could not, and then the thread is detached and no task is left. The new task's tag
// is still the old one's: SetTag.
func (e Entry) Turn() (next Entry, more bool, r Result) {
	c := C.go_turn(e.th, e.serial)
	r = Result{Status: Status(c.status), Slow: c.flags&C.GILT_SLOW != 0, Shared: c.flags&C.GILT_SHARED != 0, Fired: c.flags&C.GILT_FIRED != 0, Held: time.Duration(c.held)}
	if c.i == 0 {
		r.Int = int64(c.n) // the decref queue, as of Leave
		return Entry{}, false, r
	}
	return Entry{e.th, C.uint64_t(c.i), e.words}, true, r
}

// SetDeadline has the Python code of the task, which has none, cancelled then.
func (e Entry) SetDeadline(d Deadline) { C.go_deadline(e.th, e.serial, C.int64_t(d)) }

// Thread is a number for the task's OS thread, which is no other's as long as the thread lives.
func (e Entry) Thread() uintptr { return uintptr(e.th) }

// Peek looks at the thread of Python's number for it (threading.get_ident).
func (e Entry) Peek(ident uint64) Peek {
	p := C.go_peek(e.th, e.serial, C.uint64_t(ident))
	return Peek{Thread: uintptr(p.th), Tag: uint64(p.tag), What: uint64(p.what), Where: C.GoString(&p.where[0])}
}

// Here says whether the task is one of those of the calling OS thread.
func (e Entry) Here() bool { return C.go_here(e.th, e.serial) != 0 }

// Detach gives the GIL up while the task goes on; its next operation attaches again.
func (e Entry) Detach() Result { return result(C.go_detach(e.th, e.serial)) }

// Import gives a module by its dotted name: a scope's reference.
func (e Entry) Import(name string) Result {
	p, n := text(name)
	return result(C.go_import(e.th, e.serial, p, n))
}

// GetAttr reads an attribute.
func (e Entry) GetAttr(o Object, name string, k Kind) Result {
	p, n := text(name)
	return result(C.go_getattr(e.th, e.serial, C.uintptr_t(o), p, n, C.int(k)))
}

// SetAttr sets an attribute to the value in wire form, or deletes it when there is none.
func (e Entry) SetAttr(o Object, name string, wire []byte) Result {
	p, n := text(name)
	w, wn := bytes(wire)
	return result(C.go_setattr(e.th, e.serial, C.uintptr_t(o), p, n, w, wn))
}

// Call calls o, or its method when one is named, with arguments in wire form (see AppendCall).
func (e Entry) Call(o Object, method string, wire []byte, k Kind) Result {
	w, wn := bytes(wire)
	if method == "" {
		return result(C.go_call(e.th, e.serial, C.uintptr_t(o), nil, 0, w, wn, C.int(k)))
	}
	p, n := text(method)
	return result(C.go_call(e.th, e.serial, C.uintptr_t(o), p, n, w, wn, C.int(k)))
}

// QuickCall is Call for a few arguments that need no encoding, and a result that is an object, a scalar or nothing.
// When the status is neither OK nor Misuse, Rest has the whole Result.
func (e Entry) QuickCall(o Object, method string, a *QuickArgs, k Kind) (int64, Status) {
	var m, kw *C.char // nil for no name
	if method != "" {
		m, _ = text(method)
	}
	if a.keyword != "" {
		kw, _ = text(a.keyword)
	}
	how := uint64(k) | a.n<<4 | a.kinds<<8 | uint64(len(method))<<32 | uint64(len(a.keyword))<<48
	r := C.go_quick_call(e.th, e.serial, C.uintptr_t(o), m, kw, C.uint64_t(how), C.int64_t(a.values[0]), C.int64_t(a.values[1]), C.int64_t(a.values[2]))
	return int64(r.i), Status(r.held_status)
}

// QuickAttr is GetAttr as QuickCall is Call.
func (e Entry) QuickAttr(o Object, name string, k Kind) (int64, Status) {
	p, n := text(name)
	r := C.go_quick_attr(e.th, e.serial, C.uintptr_t(o), p, n, C.int(k))
	return int64(r.i), Status(r.held_status)
}

// QuickObject is Object as QuickCall is Call: for no more than two values.
func (e Entry) QuickObject(op Op, o Object, w TwoWords, k Kind) (int64, Status) {
	r := C.go_quick_object(e.th, e.serial, C.int(op), C.uintptr_t(o), C.uint64_t(uint64(k)|w.how), C.int64_t(w.a), C.int64_t(w.b))
	return int64(r.i), Status(r.held_status)
}

// Cast gives OK when o is an instance of that class, or has that protocol; a TypeError else.
func (e Entry) Cast(o Object, c Class) Status {
	r := C.go_quick_object(e.th, e.serial, C.int(opCast), C.uintptr_t(o), 0, C.int64_t(c), 0)
	return Status(r.held_status)
}

// Items copies items of a list or a tuple, from the index on, into room, as references of the scope: none at its end.
// The status is Done for anything else, and for a subclass. at is the Operation after it.
func (e Entry) Items(o Object, from int, room []Object) (n int, at uint64, r Result) {
	r = result(C.go_items(e.th, e.serial, C.uintptr_t(o), C.uint64_t(from), C.uint64_t(len(room))))
	return copyObjects(room, r), e.Operation(), r
}

// Entries is Items for a dict, from a position on: three words each, a key, its value, and the position after them. size
// is what len(o) must be, negative if that is not known; Int is what it is.
func (e Entry) Entries(o Object, pos, size int, room []Object) (n int, at uint64, r Result) {
	r = result(C.go_entries(e.th, e.serial, C.uintptr_t(o), C.uint64_t(pos), C.int64_t(size), C.uint64_t(len(room)/3)))
	return copyObjects(room, r), e.Operation(), r
}

func copyObjects(room []Object, r Result) int {
	n := len(r.Data) / int(unsafe.Sizeof(room[0]))
	if r.Status != OK || n == 0 {
		return 0
	}
	// SAFETY: C has written n words there.
	return copy(room, unsafe.Slice((*Object)(unsafe.Pointer(unsafe.SliceData(r.Data))), n))
}

// Operation is a number that is another when the thread has done an operation, or given the GIL up, since. It is 0
// while the thread does not have the GIL.
func (e Entry) Operation() uint64 {
	// SAFETY: as in SetTag.
	return atomic.LoadUint64((*uint64)(unsafe.Pointer(&e.words.last)))
}

// None is Python's None, the same in every interpreter.
var None = sync.OnceValue(func() Object { return Object(C.go_none()) })

// Ellipsis is Python's Ellipsis, as None is.
var Ellipsis = sync.OnceValue(func() Object { return Object(C.go_ellipsis()) })

// NotImplemented is Python's NotImplemented, as None is.
var NotImplemented = sync.OnceValue(func() Object { return Object(C.go_not_implemented()) })

// Class gives a class itself.
func (e Entry) Class(c Class) Result { return result(C.go_class_object(e.th, e.serial, C.int(c))) }

// Rest is the whole Result of the task's last QuickCall or QuickAttr, which did not end well.
func (e Entry) Rest() Result {
	// SAFETY: the memory is the thread's own, and the goroutine is locked to the thread.
	return result(e.words.rest)
}

// Object does op on o, with values in wire form for those that need them.
func (e Entry) Object(op Op, o Object, wire []byte, k Kind) Result {
	w, wn := bytes(wire)
	return result(C.go_object(e.th, e.serial, C.int(op), C.uintptr_t(o), w, wn, C.int(k)))
}

// Make converts a value in wire form: a scope's reference.
func (e Entry) Make(wire []byte) Result {
	w, wn := bytes(wire)
	return result(C.go_make(e.th, e.serial, w, wn))
}

// Exec runs source text, or evaluates an expression. Without globals it runs in a namespace of its own.
func (e Entry) Exec(src, file string, eval bool, globals, locals Object, k Kind) Result {
	p, n := text(src)
	f, fn := text(file)
	ev := C.int(0)
	if eval {
		ev = 1
	}
	return result(C.go_exec(e.th, e.serial, p, n, f, fn, ev, C.uintptr_t(globals), C.uintptr_t(locals), C.int(k)))
}

// NewRef gives an owned reference to o, which Interp.Release gives back.
func (e Entry) NewRef(o Object) Result {
	return result(C.go_newref(e.th, e.serial, C.uintptr_t(o), nil, 0))
}

// NewRefIn is to NewRef as BindIn is to Bind.
func (e Entry) NewRefIn(o Object, word *atomic.Uint64, value uint64) Result {
	// SAFETY: as in BindIn.
	return result(C.go_newref(e.th, e.serial, C.uintptr_t(o), (*C.uint64_t)(unsafe.Pointer(word)), C.uint64_t(value)))
}

// Bind gives a scope's reference to o.
func (e Entry) Bind(o Object) Result {
	return result(C.go_bind(e.th, e.serial, C.uintptr_t(o), nil, 0))
}

// BindIn is Bind if word has that value once the thread has the GIL, without which nobody drops o; the status is Done
// otherwise.
func (e Entry) BindIn(o Object, word *atomic.Uint64, value uint64) Result {
	// SAFETY: an atomic.Uint64 is a word, without pointers, that C reads during the call.
	return result(C.go_bind(e.th, e.serial, C.uintptr_t(o), (*C.uint64_t)(unsafe.Pointer(word)), C.uint64_t(value)))
}

// ScopeBase marks the place from which ScopeEnd releases; ok is false on a thread that is not the task's.
func (e Entry) ScopeBase() (base uint64, ok bool) {
	b := uint64(C.go_scope_base(e.th, e.serial))
	return b, b != math.MaxUint64
}

// ScopeEnd releases the references that were made since base.
func (e Entry) ScopeEnd(base uint64) Result {
	return result(C.go_scope_end(e.th, e.serial, C.uint64_t(base)))
}

// MakeFunction makes the callable of the Go function of that number: a scope's reference. what is Enter's, for the calls.
// usesPython says that the function may call Python on the thread that calls it. See gilt.h for plan.
func (e Entry) MakeFunction(id, what uint64, usesPython bool, name, plan, doc string) Result {
	n, nn := text(name)
	p, pn := text(plan)
	d, dn := text(doc)
	uses := C.int(0)
	if usesPython {
		uses = 1
	}
	return result(C.go_make_gofunc(e.th, e.serial, C.uint64_t(id), C.uint64_t(what), uses, n, nn, p, pn, d, dn))
}

// MakeValue makes an object that stands for the Go value of that number: OnDrop tells when it is gone.
func (e Entry) MakeValue(id uint64) Result {
	return result(C.go_make_value(e.th, e.serial, C.uint64_t(id)))
}

// ErrorIndicator says whether an exception is pending, which it never is between operations. For tests.
func (e Entry) ErrorIndicator() bool { return C.go_error_indicator(e.th, e.serial) != 0 }

// Fn is a prepared function: looked up once in each interpreter that runs it.
type Fn struct{ c C.uintptr_t } // gilt_fn *

// NewFn prepares module's function name ("f", "Class.method"); nothing is looked up yet. what is the
// caller's number for it: see Enter.
func NewFn(module, name string, what uint64) (*Fn, error) {
	m, n := C.CString(module), C.CString(name)
	defer C.free(unsafe.Pointer(m))
	defer C.free(unsafe.Pointer(n))
	var missing C.int
	fn := C.gilt_fn_new(m, n, C.uint64_t(what), &missing)
	if fn == nil || missing != 0 {
		return nil, errors.New("no memory for a prepared function")
	}
	return &Fn{C.uintptr_t(uintptr(unsafe.Pointer(fn)))}, nil
}

// Free gives it back; no call may be under way.
func (f *Fn) Free() { C.go_fn_free(f.c) }

// Resolve looks the function up in it: a whole task.
func (f *Fn) Resolve(it *Interp, tag uint64) Result {
	return result(C.go_fn_resolve(it.c, f.c, C.uint64_t(tag)))
}

// Call attaches, calls and detaches. When the result's Data matters, or an exception may come, the
// goroutine is locked to its OS thread until it has copied them.
func (f *Fn) Call(it *Interp, tag uint64, deadline Deadline, ak ArgKind, ai int64, data []byte, k Kind) Result {
	w, wn := bytes(data)
	return result(C.go_fn_call(it.c, f.c, C.uint64_t(tag), C.int64_t(deadline), C.int(ak), C.int64_t(ai), w, wn, C.int(k)))
}

// Batch is Call for as many arguments as ai has elements: numbers, or where each one's bytes end in data. Results
// that are numbers go to out, of the same length; Data has the others (see gilt.h), and Int says how many calls there were. The
// goroutine is locked to its OS thread until it has read Data.
func (f *Fn) Batch(it *Interp, tag uint64, deadline Deadline, ak ArgKind, ai []int64, data []byte, k Kind, out []int64) Result {
	w, _ := bytes(data)
	return result(C.go_fn_batch(it.c, f.c, C.uint64_t(tag), C.int64_t(deadline), C.int(ak), (*C.int64_t)(unsafe.Pointer(unsafe.SliceData(ai))), C.uint64_t(len(ai)), w, C.int(k),
		(*C.int64_t)(unsafe.Pointer(unsafe.SliceData(out)))))
}

// CallScalar is Call for an argument and a result that are scalars, with less to copy: the Result has Status, Int, Held,
// Slow and Fired. When the status is not OK, Rest gives the whole one, on the same OS thread.
func (f *Fn) CallScalar(it *Interp, tag uint64, deadline Deadline, ak ArgKind, ai int64, k Kind) (r Result) {
	s := C.go_fn_scalar(it.c, f.c, C.uint64_t(tag), C.int64_t(deadline), C.int(ak), C.int64_t(ai), C.int(k))
	r.Int, r.Held, r.Status = int64(s.i), time.Duration(s.held_status>>16), Status(s.held_status&0xff)
	r.Slow, r.Fired, r.Shared = s.held_status&(C.GILT_SLOW<<8) != 0, s.held_status&(C.GILT_FIRED<<8) != 0, s.held_status&(C.GILT_SHARED<<8) != 0
	return r
}

// CallIn is Call within a task. A result that does not fit a register (Kind.Quick) is in the entry's Rest.
func (f *Fn) CallIn(e Entry, ak ArgKind, ai int64, data []byte, k Kind) (int64, Status) {
	w, wn := bytes(data)
	r := C.go_quick_fn(e.th, e.serial, f.c, C.int(ak), C.int64_t(ai), w, wn, C.int(k))
	return int64(r.i), Status(r.held_status)
}

// Rest is the Result of this OS thread's last CallScalar, which did not end well.
func Rest() Result { return result(C.gilt_fn_rest()) }
