package handles

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"gilt/gil"
	"gilt/internal/cpython"
)

// Error is a Python exception. What it says was captured when the exception was raised, so that
// printing it needs no token and never fails. errors.Is matches exception classes with inheritance
// (errors.Is(err, py.ValueError)), fs.ErrNotExist and its kin for an OSError, and the cause; errors.As
// gives the *Error itself.
//
// An error keeps the exception object, for Bind, until Release, or until the garbage collector finds the error; but not the local
// variables of its frames, unless gilt's Config.KeepLocals says so or Python code has the exception too. Errors of the same interpreter
// share memory by eights: one that is kept keeps up to seven others, which were raised around the same time.
type Error struct {
	Class   string // "ValueError", or "module.Name" for classes that are not built in
	Message string // str(exception)
	Frames  []Frame
	Notes   []string
	Cause   *Error   // of "raise … from …"
	Context *Error   // the exception that was handled when this one was raised
	Hidden  bool     // the context is not shown: "raise … from None"
	Group   []*Error // the members of an exception group, at most some 60 in all

	bases []string
	rare  *rare
	chunk *chunk // has the exception; nil for one that gilt made, and for causes, contexts and members of groups
	at    uint8  // where in it
}

// rare is what few errors have.
type rare struct {
	extra  any   // SystemExit.code, OSError.errno
	args   []any // of one that Raise made
	origin error // the Go error that it was raised for
}

func (e *Error) seldom() rare {
	if e.rare == nil {
		return rare{}
	}
	return *e.rare
}

// Frame is an entry of a traceback, outermost first in Error.Frames. Of a traceback longer than 200
// frames the first and last 100 are kept; between them stands a Frame without File and Func, whose Line is
// the number of those left out.
type Frame = cpython.Frame

var errNoException = errors.New("gilt: Python reported an error without an exception")

func newError(x *cpython.Exception) *Error {
	if x == nil {
		return nil
	}
	e := new(Error)
	e.fill(x)
	return e
}

// fill makes the zero Error that of x.
func (e *Error) fill(x *cpython.Exception) {
	e.Class, e.Message, e.Frames, e.Notes = x.Class.Shown, x.Message, x.Frames, x.Notes
	e.Cause, e.Context, e.Hidden, e.bases = newError(x.Cause), newError(x.Context), x.Suppress, x.Class.Bases
	for _, member := range x.Group {
		e.Group = append(e.Group, newError(member))
	}
	if x.Extra != nil || x.GoValue != 0 {
		origin, _ := goValue(x.GoValue).(error)
		e.rare = &rare{extra: x.Extra, origin: origin}
	}
}

// failure turns what became of an operation into an error; nil when it went well.
func failure(tok *Token, op string, r cpython.Result) error {
	if r.Status == cpython.OK {
		return nil
	}
	if r.Status != cpython.Raised {
		return gil.Status(op, r)
	}
	e, bad := raised(tok.Host(), tok.Interp(), r)
	if bad != nil {
		return bad
	}
	e.repanic()
	return e
}

// repanic does for what a prepared function gave, once its thread is free.
func repanic(err error) {
	if err == nil {
		return
	}
	if e := (*Error)(nil); errors.As(err, &e) {
		e.repanic()
	}
}

// repanic goes on with a panic that passed through Python: as a *gil.PanicError, which says where it began.
func (e *Error) repanic() {
	if e.rare == nil {
		return
	}
	if p := (*panicked)(nil); errors.As(e.rare.origin, &p) {
		e.Release()
		panic(p.Through(e.frames()))
	}
}

// Error is the last line of the traceback, "ValueError: message", as one line of bounded length: what is not printable is
// escaped, and what is long is cut, and says so. Class, Message and Traceback have all of it, as it is.
func (e *Error) Error() string { return cpython.OneLine(e.last()) }

// last is the last line of the traceback, or more of them if the message has.
func (e *Error) last() string {
	if e.Message == "" {
		return e.Class
	}
	return e.Class + ": " + e.Message
}

// Format prints the traceback for %+v and Error for everything else.
func (e *Error) Format(s fmt.State, verb rune) {
	switch {
	case verb == 'v' && s.Flag('+'):
		fmt.Fprint(s, e.Traceback())
	case verb == 'q':
		fmt.Fprintf(s, "%q", e.Error())
	default:
		fmt.Fprint(s, e.Error())
	}
}

// Traceback is the exception with its causes and frames, as far as it was captured: like CPython's own
// text without the source lines.
func (e *Error) Traceback() string {
	var b strings.Builder
	e.write(&b)
	return b.String()
}

func (e *Error) write(b *strings.Builder) {
	switch {
	case e.Cause != nil:
		e.Cause.write(b)
		b.WriteString("\nThe above exception was the direct cause of the following exception:\n\n")
	case e.Context != nil && !e.Hidden:
		e.Context.write(b)
		b.WriteString("\nDuring handling of the above exception, another exception occurred:\n\n")
	}
	if len(e.Frames) > 0 {
		b.WriteString("Traceback (most recent call last):\n")
	}
	b.WriteString(e.frames())
	b.WriteString(e.last())
	b.WriteByte('\n')
	for _, n := range e.Notes {
		b.WriteString(n)
		b.WriteByte('\n')
	}
}

// frames are those of the traceback, as text.
func (e *Error) frames() string {
	var b strings.Builder
	for _, f := range e.Frames {
		if f.File == "" && f.Func == "" {
			fmt.Fprintf(&b, "  [%d frames are left out]\n", f.Line)
			continue
		}
		fmt.Fprintf(&b, "  File \"%s\", line %d, in %s\n", f.File, f.Line, f.Func)
	}
	return b.String()
}

// Unwrap gives the Go error for which a Go function had the exception raised, or else the cause.
func (e *Error) Unwrap() error {
	if origin := e.seldom().origin; origin != nil {
		return origin
	}
	if e.Cause == nil || e.Cause == e {
		return nil
	}
	return e.Cause
}

// FullText is CPython's own text of the exception: source lines and carets, notes, causes, groups. It gives what
// was captured (Traceback) for an error without an exception object (see Bind), or when Python cannot make it.
func (e *Error) FullText(tok *Token) string {
	exc := e.Bind(tok)
	if exc.IsZero() {
		return e.Traceback()
	}
	format, err := Import(tok, "traceback")
	if err != nil {
		return e.Traceback()
	}
	class, err := exc.Type()
	if err != nil {
		return e.Traceback()
	}
	tb, err := exc.Attr("__traceback__")
	if err != nil {
		return e.Traceback()
	}
	lines, err := MethodAs[[]string](format, "format_exception", class, exc, tb)
	if err != nil {
		return e.Traceback()
	}
	return strings.Join(lines, "")
}

// Is matches an exception class, also that of a group's member, what an OSError's errno means, EOFError with
// io.EOF, TimeoutError with context.DeadlineExceeded, and the CancelledErrors with context.Canceled.
func (e *Error) Is(target error) bool {
	for _, member := range e.Group {
		if errors.Is(member, target) {
			return true
		}
	}
	if class, ok := target.(ExceptionClass); ok {
		return slices.Contains(e.bases, class.name())
	}
	if errno, ok := e.seldom().extra.(int64); ok && errno > 0 && e.Is(OSError) && errors.Is(syscall.Errno(errno), target) {
		return true
	}
	switch target {
	case io.EOF:
		return e.Is(EOFError)
	case context.DeadlineExceeded:
		return e.Is(TimeoutError)
	case context.Canceled:
		return e.Is(cancelled) || e.Is(asyncioCancelled)
	}
	return false
}

const (
	cancelled        ExceptionClass = "concurrent.futures._base.CancelledError"
	asyncioCancelled ExceptionClass = "asyncio.exceptions.CancelledError"
)

// ExitCode is the exit status that a SystemExit asks for, as python3 would exit: its code when that is
// an int or of a subclass (a bool, an IntEnum), -1 for one that does not fit, 0 for None, and 1 for
// anything else, which python3 prints to stderr. ok is false for any other exception.
func (e *Error) ExitCode() (code int, ok bool) {
	if !e.Is(SystemExit) {
		return 0, false
	}
	switch v := e.seldom().extra.(type) {
	case nil:
		return 0, true
	case int64:
		return int(v), true
	}
	return 1, true
}

// Bind gives the exception object itself; the token is of the interpreter that raised it. It is the zero Bound for an error
// that gilt made, for one that came as another's Cause or Context or in its Group, and after Release.
func (e *Error) Bind(tok *Token) Bound {
	const op = "Error.Bind"
	tok.Check(op)
	exc := e.exception()
	if exc == 0 {
		return Bound{}
	}
	tok.CheckInterp(op, e.chunk.interp)
	r := tok.Entry(op).BindIn(exc, &e.chunk.objects[e.at], uint64(exc)) // unless it is released while the task waits for the GIL
	runtime.KeepAlive(e)
	if r.Status == cpython.Done || gil.Status(op, r) != nil {
		return Bound{}
	}
	return bound(tok, r.Obj)
}

// Release gives the exception object back, at once or at the next attach, so that what it refers to may go. What the error says stays.
// Bind then gives the zero Bound, FullText what was captured, and Python code in which the error is raised again gets a new exception of
// its class, made with its message. It may be called from any goroutine; more calls do nothing. It does nothing for an error that
// gilt made, nor for a Cause, a Context or a member of a Group, which go with the exception that they belong to.
func (e *Error) Release() {
	if e.chunk == nil {
		return
	}
	if o := e.chunk.objects[e.at].Swap(0); o != 0 {
		e.chunk.host.Release(e.chunk.interp, cpython.Object(o))
	}
}

// ExceptionClass names an exception class, "module.Name", for errors.Is; one inside another class is "module:Outer.Inner".
// The built-in ones are constants.
type ExceptionClass string

// Error is the class's name.
func (c ExceptionClass) Error() string { return cpython.OneLine(c.shown()) }

// shown is the name as tracebacks show it.
func (c ExceptionClass) shown() string { return strings.TrimPrefix(c.name(), "builtins.") }

// name is the name as Python gives it, module.Outer.Inner.
func (c ExceptionClass) name() string { return strings.Replace(string(c), ":", ".", 1) }

// The built-in exception classes that programs ask for most; ExceptionClass("builtins.Name") is any other.
const (
	BaseException       ExceptionClass = "builtins.BaseException"
	Exception           ExceptionClass = "builtins.Exception"
	ArithmeticError     ExceptionClass = "builtins.ArithmeticError"
	AssertionError      ExceptionClass = "builtins.AssertionError"
	AttributeError      ExceptionClass = "builtins.AttributeError"
	EOFError            ExceptionClass = "builtins.EOFError"
	FileExistsError     ExceptionClass = "builtins.FileExistsError"
	FileNotFoundError   ExceptionClass = "builtins.FileNotFoundError"
	ImportError         ExceptionClass = "builtins.ImportError"
	IndexError          ExceptionClass = "builtins.IndexError"
	KeyboardInterrupt   ExceptionClass = "builtins.KeyboardInterrupt"
	KeyError            ExceptionClass = "builtins.KeyError"
	LookupError         ExceptionClass = "builtins.LookupError"
	MemoryError         ExceptionClass = "builtins.MemoryError"
	ModuleNotFoundError ExceptionClass = "builtins.ModuleNotFoundError"
	NameError           ExceptionClass = "builtins.NameError"
	NotImplementedError ExceptionClass = "builtins.NotImplementedError"
	OSError             ExceptionClass = "builtins.OSError"
	OverflowError       ExceptionClass = "builtins.OverflowError"
	PermissionError     ExceptionClass = "builtins.PermissionError"
	RecursionError      ExceptionClass = "builtins.RecursionError"
	RuntimeError        ExceptionClass = "builtins.RuntimeError"
	StopIteration       ExceptionClass = "builtins.StopIteration"
	SyntaxError         ExceptionClass = "builtins.SyntaxError"
	SystemExit          ExceptionClass = "builtins.SystemExit"
	TimeoutError        ExceptionClass = "builtins.TimeoutError"
	TypeError           ExceptionClass = "builtins.TypeError"
	UnicodeDecodeError  ExceptionClass = "builtins.UnicodeDecodeError"
	UnicodeEncodeError  ExceptionClass = "builtins.UnicodeEncodeError"
	UnicodeError        ExceptionClass = "builtins.UnicodeError"
	ValueError          ExceptionClass = "builtins.ValueError"
	ZeroDivisionError   ExceptionClass = "builtins.ZeroDivisionError"
)

// conversionError is a conversion that fails on Go's side: an exception of the class that Python would
// raise.
func conversionError(class ExceptionClass, format string, args ...any) *Error {
	bases := []string{string(class), string(Exception), string(BaseException)}
	switch class {
	case OverflowError:
		bases = append(bases, string(ArithmeticError))
	case ConversionLimitError:
		bases = append(bases, string(ValueError))
	case RecursionError:
		bases = append(bases, string(RuntimeError))
	}
	return &Error{Class: class.shown(), Message: fmt.Sprintf(format, args...), bases: bases}
}

// argumentError says which argument could not be converted.
func argumentError(err error, format string, args ...any) error {
	var e *Error
	if !errors.As(err, &e) || e.Is(RecursionError) || e.Is(ConversionLimitError) { // which would name hundreds of places
		return err
	}
	c := *e
	c.Message = fmt.Sprintf(format, args...) + ": " + e.Message
	return &c
}
