//go:build !cgo

package cpython

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// ErrNoCgo says why a program built with CGO_ENABLED=0 cannot run Python.
var ErrNoCgo = errors.New("this program was built without cgo, and gilt loads CPython through it: build it with CGO_ENABLED=1 and a C compiler (Debian: apt-get install gcc libc6-dev)")

// StdoutWasClosed cannot tell without cgo.
func StdoutWasClosed() bool { return false }

// SetFlag does nothing.
func SetFlag(string, int) {}

// AddOption does nothing.
func AddOption(byte, string) bool { return true }

// Without cgo everything compiles and Load fails, so nothing below is ever reached.

// Interp is an interpreter of the running Python.
type Interp struct {
	ID   int
	Pool sync.Pool
	Pins sync.Pool
}

// Entry is a task on an OS thread.
type Entry struct{}

// Fn is a prepared function.
type Fn struct{}

func Running() error                                                            { return nil }
func Load(string) error                                                         { return ErrNoCgo }
func Version() string                                                           { return "" }
func Minor() int                                                                { return 0 }
func HasOwnGIL() bool                                                           { return false }
func Start(string, string, bool, time.Duration) (*Interp, error)                { return nil, ErrNoCgo }
func NewInterp(time.Duration) (*Interp, error)                                  { return nil, ErrNoCgo }
func None() Object                                                              { return 0 }
func Ellipsis() Object                                                          { return 0 }
func NotImplemented() Object                                                    { return 0 }
func KeepLocals(bool)                                                           {}
func (Entry) LimitError() Result                                                { return Result{} }
func SetLimits(uint64, uint64)                                                  {}
func MallocFree() (int64, time.Duration)                                        { return 0, 0 }
func Refuse()                                                                   {}
func Quiesce(bool) []string                                                     { return nil }
func Stop() int                                                                 { return 0 }
func Nested() bool                                                              { return false }
func Yield() bool                                                               { return false }
func SinkOrphans()                                                              {}
func Orphans() (*os.File, error)                                                { return nil, ErrNoCgo }
func (*Interp) Enter(uint64, uint64, Deadline) (Entry, Status)                  { return Entry{}, Stopped }
func (*Interp) Release(Object)                                                  {}
func (*Interp) ReleaseAll([]Object)                                             {}
func (*Interp) Owned() int64                                                    { return 0 }
func (*Interp) Backlog() int                                                    { return 0 }
func (*Interp) Reap() int                                                       { return 0 }
func (*Interp) States() int                                                     { return 0 }
func (*Interp) PacerWait(int, uint64, time.Duration) Look                       { return Look{} }
func (*Interp) Tended() time.Duration                                           { return 0 }
func (*Interp) Kept() Kept                                                      { return Kept{} }
func (*Interp) CancelLoop() (uint64, string, bool)                              { return 0, "", false }
func (*Interp) Cancel(uint64) bool                                              { return false }
func (*Interp) InGo(uint64) bool                                                { return false }
func (*Interp) CancelStop()                                                     {}
func Clock() Deadline                                                           { return 0 }
func (Entry) SetDeadline(Deadline)                                              {}
func (*Interp) Watch() HeldInGo                                                 { return HeldInGo{} }
func (*Interp) Standing(uint64) Standing                                        { return Standing{} }
func (Entry) Here() bool                                                        { return false }
func (*Interp) PacerArm(int)                                                    {}
func (*Interp) Elsewhere(uint64) bool                                           { return false }
func (*Interp) Took(uint64)                                                     {}
func (*Interp) PacerStop()                                                      {}
func StringBytes(s string) []byte                                               { return unsafe.Slice(unsafe.StringData(s), len(s)) }
func (Entry) Leave() Result                                                     { return stopped }
func (Entry) Tag() uint64                                                       { return 0 }
func (Entry) SetTag(uint64)                                                     {}
func (Entry) Turn() (Entry, bool, Result)                                       { return Entry{}, false, stopped }
func (Entry) Detach() Result                                                    { return stopped }
func (Entry) Import(string) Result                                              { return stopped }
func (Entry) GetAttr(Object, string, Kind) Result                               { return stopped }
func (Entry) SetAttr(Object, string, []byte) Result                             { return stopped }
func (Entry) Call(Object, string, []byte, Kind) Result                          { return stopped }
func (Entry) QuickCall(Object, string, *QuickArgs, Kind) (int64, Status)        { return 0, Stopped }
func (Entry) QuickAttr(Object, string, Kind) (int64, Status)                    { return 0, Stopped }
func (*Fn) CallIn(Entry, ArgKind, int64, []byte, Kind) (int64, Status)          { return 0, Stopped }
func (Entry) Rest() Result                                                      { return stopped }
func (Entry) Object(Op, Object, []byte, Kind) Result                            { return stopped }
func (Entry) QuickObject(Op, Object, TwoWords, Kind) (int64, Status)            { return 0, Stopped }
func (Entry) Items(Object, int, []Object) (int, uint64, Result)                 { return 0, 0, stopped }
func (Entry) Entries(Object, int, int, []Object) (int, uint64, Result)          { return 0, 0, stopped }
func (Entry) Operation() uint64                                                 { return 0 }
func (Entry) NewRefIn(Object, *atomic.Uint64, uint64) Result                    { return stopped }
func (Entry) BindIn(Object, *atomic.Uint64, uint64) Result                      { return stopped }
func (Entry) Cast(Object, Class) Status                                         { return Stopped }
func (Entry) Class(Class) Result                                                { return stopped }
func (Entry) Make([]byte) Result                                                { return stopped }
func (Entry) Exec(string, string, bool, Object, Object, Kind) Result            { return stopped }
func (Entry) NewRef(Object) Result                                              { return stopped }
func (Entry) Bind(Object) Result                                                { return stopped }
func (Entry) ScopeBase() (uint64, bool)                                         { return 0, false }
func (Entry) ScopeEnd(uint64) Result                                            { return stopped }
func (Entry) ErrorIndicator() bool                                              { return false }
func NewFn(string, string, uint64) (*Fn, error)                                 { return nil, ErrNoCgo }
func (*Fn) Free()                                                               {}
func (*Fn) Resolve(*Interp, uint64) Result                                      { return stopped }
func (*Fn) Call(*Interp, uint64, Deadline, ArgKind, int64, []byte, Kind) Result { return stopped }

func (*Fn) CallScalar(*Interp, uint64, Deadline, ArgKind, int64, Kind) Result { return stopped }
func Rest() Result                                                            { return stopped }

var stopped = Result{Status: Stopped}

func (*Fn) Batch(*Interp, uint64, Deadline, ArgKind, []int64, []byte, Kind, []int64) Result {
	return stopped
}

// CallFrame is a call of a Go function by Python.
type CallFrame struct{}

var (
	OnCall func(CallFrame)
	OnDrop func(uint64)
)

func (CallFrame) ID() uint64                                                   { return 0 }
func (CallFrame) Interpreter() int                                             { return 0 }
func (CallFrame) Entry() Entry                                                 { return Entry{} }
func (CallFrame) Int(int) int64                                                { return 0 }
func (CallFrame) Wire() []byte                                                 { return nil }
func (CallFrame) Return(Kind, int64)                                           {}
func (CallFrame) ReturnWire([]byte)                                            {}
func (CallFrame) ReturnObject(Object)                                          {}
func (CallFrame) RaiseText(string)                                             {}
func (CallFrame) Raise(Object)                                                 {}
func (Entry) MakeFunction(uint64, uint64, bool, string, string, string) Result { return stopped }
func (Entry) MakeValue(uint64) Result                                          { return stopped }
func (Entry) TakeOrders(*Orders) Result                                        { return stopped }

// Orders is a queue to Python code.
type Orders struct{}

func NewOrders() (*Orders, error)      { return nil, ErrNoCgo }
func (*Orders) FD() int                { return -1 }
func (*Orders) Put(int64, []byte) bool { return false }
func (*Orders) Close()                 {}
func (*Orders) Steal() []Order         { return nil }
func (*Orders) Overdue(int64, bool)    {}
func (*Orders) Seen() Seen             { return Seen{} }
func (Entry) EnterLoop(*Orders) Result { return stopped }

// RaiseFrom gives the exception in a list of one.
func (Entry) RaiseFrom(Object) Result { return stopped }
func (Entry) Thread() uintptr         { return 0 }
func (Entry) Peek(uint64) Peek        { return Peek{} }
