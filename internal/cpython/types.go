// Package cpython is gilt's boundary with CPython: a libpython loaded with dlopen, its symbol table,
// and compound operations, each of which is one cgo crossing. It is the only package that imports "C";
// no Python header is read, so one binary runs on CPython 3.10 to 3.14.
//
// Names used here. A reference is owned (someone must release it), a scope's (released when the task
// that made it ends) or borrowed. An operation takes the task's Entry and checks, in C, that the calling
// OS thread is the task's; it attaches when it must, and comes back detached when it took longer than
// some 20 µs. After every operation the error indicator is clear: an exception is in the Result.
package cpython

import "time"

// The versions that gilt runs on: CPython 3.MinMinor to 3.MaxMinor.
const (
	MinMinor = 10
	MaxMinor = 14
)

// Object is a PyObject *. The zero Object is no object.
type Object uintptr

// Status is what became of an operation.
type Status int32

// The statuses, as gilt.h has them.
const (
	OK Status = iota
	Raised
	Misuse
	Stopped
	Failed
	Done
	Greenlet
	Ending
)

// Kind says how a result travels back.
type Kind int32

// The kinds of result, as gilt.h has them.
const (
	KindNone Kind = iota
	KindObject
	KindInt64
	KindUint64
	KindFloat64
	KindBool
	KindStr
	KindBytes
	KindWire
)

// Quick says whether a result of that kind fits a register.
func (k Kind) Quick() bool { return k <= KindBool }

// ArgKind says how the argument of a prepared call travels.
type ArgKind int32

// The kinds of argument, as gilt.h has them.
const (
	ArgNone ArgKind = iota
	ArgInt64
	ArgUint64
	ArgFloat64
	ArgBool
	ArgStr
	ArgBytes
	ArgWire
	ArgObject
	ArgNil
)

// QuickArgs are the arguments of Entry.QuickCall.
type QuickArgs struct {
	n, kinds uint64
	values   [maxQuickArgs]int64
	keyword  string // the last one's name
}

// As gilt.h has them: how many arguments fit, and how long a name may be.
const (
	maxQuickArgs = 3
	MaxQuickName = 0xffff
)

// TwoWords are up to two values of Entry.QuickObject.
type TwoWords struct {
	how  uint64 // as gilt_quick_call has it, without the result
	a, b int64
}

// With is w and another value.
func (w TwoWords) With(k ArgKind, v int64) TwoWords {
	if w.how == 0 {
		return TwoWords{how: 1<<4 | uint64(k)<<8, a: v}
	}
	return TwoWords{how: w.how + 1<<4 | uint64(k)<<12, a: w.a, b: v}
}

// Add adds an argument of a kind that is no bytes; false when there is no room.
func (a *QuickArgs) Add(k ArgKind, v int64) bool {
	if a.n == maxQuickArgs || a.keyword != "" {
		return false
	}
	a.values[a.n] = v
	a.kinds |= uint64(k) << (4 * a.n)
	a.n++
	return true
}

// Name makes the last argument a keyword argument; false when that cannot be.
func (a *QuickArgs) Name(keyword string) bool {
	a.keyword = keyword
	return a.n > 0 && keyword != "" && len(keyword) <= MaxQuickName
}

// Result is what an operation gives. Data is C memory that stays valid until the next operation on the
// same OS thread: copy it at once, before the goroutine may leave the thread.
type Result struct {
	Status   Status
	Detached bool
	Slow     bool  // the task that ended took more than 1 ms, whatever it did
	Shared   bool  // others had the GIL while it was attached
	Fired    bool  // and it was cancelled
	Int      int64 // an int64, a bool, or the bits of a float64
	Data     []byte
	Obj      Object
	Held     time.Duration // how long the GIL was held, where the operation ends a task or detaches
}

// Deadline is when a task is to be cancelled: nanoseconds of Clock, 0 for never.
type Deadline int64

// Op is an operation on one object.
type Op int32

// The operations of Entry.Object and QuickObject, as gilt.h has them.
const (
	OpStr Op = iota
	OpRepr
	OpType
	OpLen
	OpTruth
	OpHash
	OpIter
	OpNext
	OpConvert
	OpGetItem
	OpSetItem
	OpDelItem
	OpContains
	OpIsInstance
	OpIsSubclass
	OpCallable
	OpAppend
	OpExtend
	OpGet // of a dict, Done when there is none
	OpDir
	OpLookup // an attribute, Done when there is none
	opCast
	OpLess
	OpLessEqual
	OpEqual
	OpNotEqual
	OpGreater
	OpGreaterEqual
	OpAdd
	OpSub
	OpMul
	OpMatMul
	OpDiv
	OpFloorDiv
	OpMod
	OpDivMod
	OpLshift
	OpRshift
	OpAnd
	OpOr
	OpXor
	OpPow
	OpNeg
	OpPos
	OpAbs
	OpInvert
)

// Class is one of Python's own classes.
type Class int32

// The classes, as classes.h has them. The last ones are protocols.
const (
	ClassBool Class = iota
	ClassInt
	ClassFloat
	ClassComplex
	ClassStr
	ClassBytes
	ClassByteArray
	ClassMemoryView
	ClassList
	ClassTuple
	ClassDict
	ClassDictKeys
	ClassDictValues
	ClassDictItems
	ClassSet
	ClassFrozenSet
	ClassRange
	ClassSlice
	ClassMappingProxy
	ClassGenerator
	ClassType
	ClassModule
	ClassFunction
	ClassMethod
	ClassCode
	ClassFrame
	ClassTraceback
	ClassCapsule
	ClassWeakRef
	ClassSuper
	ClassGenericAlias
	ClassDate
	ClassTime
	ClassDateTime
	ClassTimeDelta
	ClassTimeZone
	ClassIterator
	ClassSequence
	ClassMapping
)

// Look is what Interp.PacerWait saw. Tasks are named by their tags.
type Look struct {
	Pace     Pace
	Known    bool          // who holds the GIL can be told on this Python; if not, Taken and what follows are zero
	Taken    bool          // somebody holds it
	Computes bool          // and has had it for a grace without a break
	Returns  bool          // nobody holds it, but who was forced off it waits for a processor only, to have it again
	Pending  int           // attaches of ours that wait for it
	Moved    bool          // one of ours got it since the look before
	Newest   uint64        // the highest tag of a task that has had it
	Forced   [4]uint64     // PaceTick: the tags of tasks that were forced off it since the last one, 0 for none
	Arrived  uint64        // the highest tag of a task that has begun on its thread
	Holder   uint64        // who holds it; 0 for nobody, or a thread that Python code started
	What     uint64        // and what that task runs
	User     uint64        // who used it for long at the last look, 0 for nobody
	Used     time.Duration // how long, but for Tended
	Tended   time.Duration // how long the tended task used it since the last answer, but for what Interp.Tended took
}

// HeldInGo is what Interp.Watch saw. Since is 0 when nobody waits, or nobody has the GIL in Go code; it stays the same as
// long as the same task does.
type HeldInGo struct {
	Since, Tag, What uint64
	Waits            int // so many wait
}

// Kept is what Interp.Kept tells: how many waits, and how long the last one was. Reports counts those of which is known
// why: the last of these says by what the GIL was kept, what the task runs (Enter's what) that had it, and its length.
type Kept struct {
	Count    uint64
	Last     time.Duration
	Reports  uint64
	By       KeptBy
	What     uint64
	Reported time.Duration
}

// KeptBy says what had the GIL all the time.
type KeptBy int

// By C code, whose thread ran on a processor; by Go code; by a thread that Python code started, of which nothing is known.
const (
	KeptByC KeptBy = iota + 1
	KeptByGo
	KeptByStranger
)

// Standing is what Interp.Standing saw.
type Standing struct {
	Found      bool          // it is the innermost task of a thread, of which is the rest
	Begun      bool          // it has been on a thread, as far as that can be told
	At         At            // what the thread does
	InGo       bool          // it is in Go code
	Raised     bool          // a cancellation was raised in it
	Holds      bool          // it has the GIL
	Ran        time.Duration // of a processor that the thread has had so far, below 0 if that cannot be told
	Switches   uint64        // how often the GIL has changed hands
	HolderWhat uint64        // what the task of ours runs that has the GIL
	HolderRan  time.Duration // Ran of its thread
}

// At is what a thread does.
type At int

// AtRuns is a thread that runs, or that waits for a processor only; AtWaits is one that waits for something else than the
// GIL.
const (
	AtUnknown At = iota
	AtRuns
	AtGIL
	AtWaits
)

// Pace is why Interp.PacerWait returned.
type Pace int

// The pacer's answers: it was stopped; the grace is over and nothing of ours moved, or a task has used the
// GIL for long; look whether someone still waits.
const (
	PaceStop Pace = iota
	PaceTick
	PaceCheck
)

// Order is one of Orders, in wire form.
type Order struct {
	ID   int64
	Wire []byte
}

// SeenWhat is what code an event loop's thread was in.
type SeenWhat int

// As in gilt.h.
const (
	SeenNothing SeenWhat = iota // nobody has looked
	SeenIdle                    // asyncio's own, or it waits
	SeenOther                   // an order's whose caller waits, or nobody's
	SeenOverdue                 // an overdue order's
)

// Seen is what was seen of an event loop's thread.
type Seen struct {
	What    SeenWhat
	Where   string // the frame: "file:line in function"
	Entered bool   // the event loop runs
}

// Peek is what a thread runs: its innermost task. Thread is 0 for a thread that is not known.
type Peek struct {
	Thread    uintptr // as Entry.Thread gives it
	Tag, What uint64
	Where     string // the Python frame: "file:line in function"
}
