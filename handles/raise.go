package handles

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"gilt/gil"
	"gilt/internal/cpython"
)

// Raise makes an error that a Go function returns to have an exception of that class raised, called with args.
// For a cause or notes set the fields of the *Error. In Go it is an error like one that Python raised.
func Raise(class ExceptionClass, args ...any) *Error {
	message := ""
	if len(args) > 0 {
		message = fmt.Sprint(args[0])
	}
	bases := []string{string(class)} // the first is what it is made of
	if name := class.name(); name != bases[0] {
		bases = append(bases, name)
	}
	return &Error{Class: class.shown(), Message: message, bases: bases, rare: &rare{args: args}}
}

// panicked is a panic on its way through Python.
type panicked struct{ *gil.PanicError }

func (p *panicked) Error() string { return fmt.Sprint("Go panicked: ", p.Value) }

// exited ends the process: runtime.Goexit in a Go function that Python called cannot be stopped, and Python's
// frames below it can never go on.
func exited(c *callee) {
	fmt.Fprintf(os.Stderr, "gilt: fatal: Go function %s, called by Python, called runtime.Goexit (t.FailNow does): make it Native, or return an error\n", c.name)
	os.Exit(2)
}

// raiseIn has err raised by the call.
//
//   - an *Error that came from Python is the same exception object again; one of Raise is made;
//   - fs.ErrNotExist and its kin are the OSError of their errno, io.EOF is EOFError, context.DeadlineExceeded
//     TimeoutError, context.Canceled concurrent.futures.CancelledError, gil.ErrGreenlet RuntimeError;
//   - any other error is a gilt.GoError, an Exception.
//
// What arrives in Go again from these is, for errors.Is and errors.As, the same Go error.
func raiseIn(tok *Token, frame cpython.CallFrame, err error) {
	exc, failed := exception(tok, err)
	if failed != nil { // making it failed: that is raised then
		exc, failed = exceptionOfFailure(tok, failed)
	}
	if failed != nil { // no memory, or the runtime is gone
		frame.RaiseText(err.Error())
		return
	}
	frame.Raise(exc.obj)
}

func exceptionOfFailure(tok *Token, err error) (Bound, error) {
	var e *Error
	if !errors.As(err, &e) {
		return Bound{}, err
	}
	return e.object(tok, 0)
}

func exception(tok *Token, err error) (Bound, error) {
	if p, ok := any(err).(*panicked); ok {
		exc, failed := make1(tok, "gilt.GoPanic", err, p.Error())
		if failed == nil {
			failed = addNote(exc, string(p.Stack))
		}
		return exc, failed
	}
	if e, ok := any(err).(*Error); ok { // itself: one that is wrapped becomes the cause
		return e.object(tok, 0)
	}
	class, args := "gilt.GoError", []any{err.Error()}
	var errno syscall.Errno
	var path *fs.PathError
	var e *Error
	switch {
	case errors.As(err, &errno):
		class, args = "builtins.OSError", []any{int64(errno), errno.Error()}
		if errors.As(err, &path) {
			args = append(args, path.Path)
		}
	case errors.Is(err, fs.ErrNotExist):
		class, args = "builtins.OSError", []any{int64(syscall.ENOENT), err.Error()}
	case errors.Is(err, fs.ErrExist):
		class, args = "builtins.OSError", []any{int64(syscall.EEXIST), err.Error()}
	case errors.Is(err, fs.ErrPermission):
		class, args = "builtins.OSError", []any{int64(syscall.EACCES), err.Error()}
	case errors.Is(err, io.EOF):
		class = "builtins.EOFError"
	case errors.Is(err, gil.ErrGreenlet):
		class = "builtins.RuntimeError"
	case errors.Is(err, context.DeadlineExceeded):
		class = "builtins.TimeoutError"
	case errors.Is(err, context.Canceled):
		class = "concurrent.futures.CancelledError"
	case errors.As(err, &e): // wrapped: the exception is the cause
		exc, failed := make1(tok, class, err, args...)
		if failed != nil {
			return exc, failed
		}
		cause, failed := e.object(tok, 0)
		if failed == nil {
			failed = exc.SetAttr("__cause__", cause)
		}
		return exc, failed
	}
	return make1(tok, class, err, args...)
}

// make1 makes an exception of a class that carries err.
func make1(tok *Token, class string, err error, args ...any) (Bound, error) {
	c, failed := exceptionClass(tok, class)
	if failed != nil {
		return Bound{}, failed
	}
	exc, failed := c.Call(args...)
	if failed != nil {
		return Bound{}, failed
	}
	id := addValue(err)
	carried, failed := result(tok, "raise", tok.Entry("raise").MakeValue(id))
	if failed != nil {
		dropped(id)
		return exc, failed
	}
	_ = exc.SetAttr("__gilt__", carried) // a class may refuse attributes: what comes back is then Python's alone
	return exc, nil
}

const maxCauses = 16 // in a chain: one may be its own cause

// object is the exception of an *Error: Python's own, or a new one.
func (e *Error) object(tok *Token, depth int) (Bound, error) {
	if e.exception() != 0 && e.chunk.interp == tok.Interp() {
		if exc := e.Bind(tok); !exc.IsZero() { // else it was released meanwhile
			return exc, nil
		}
	}
	class := e.Class
	if len(e.bases) > 0 {
		class = e.bases[0]
	}
	args := e.seldom().args
	if args == nil && e.Message != "" {
		args = []any{e.Message}
	}
	exc, err := make1(tok, class, e, args...)
	for _, n := range e.Notes {
		if err == nil {
			err = addNote(exc, n)
		}
	}
	if err == nil && e.Cause != nil && depth < maxCauses {
		var cause Bound
		if cause, err = e.Cause.object(tok, depth+1); err == nil {
			err = exc.SetAttr("__cause__", cause)
		}
	}
	return exc, err
}

func addNote(exc Bound, note string) error {
	if cpython.Minor() < 11 {
		return nil
	}
	_, err := exc.Method("add_note", note)
	return err
}

// goClasses are the classes of gilt's own, made once in each interpreter.
const goClasses = `
import sys, types
m = sys.modules.get("gilt")
if m is None:
    m = types.ModuleType("gilt", "What gilt, the Go runtime that this Python runs in, gives Python code.")
    class GoError(Exception): "An error of a Go function."
    class GoPanic(BaseException): "A panic of a Go function, on its way through Python."
    for c in (GoError, GoPanic): c.__module__, c.__qualname__ = "gilt", c.__name__
    m.GoError, m.GoPanic = GoError, GoPanic
    sys.modules["gilt"] = m
`

// exceptionClass finds a class by its name, of either form that an ExceptionClass has.
func exceptionClass(tok *Token, name string) (Bound, error) {
	if ExceptionClass(name).name() == string(ConversionLimitError) { // C's, which Python code cannot change
		return result(tok, "raise", tok.Entry("raise").LimitError())
	}
	module, path, exact := strings.Cut(name, ":")
	if !exact {
		at := strings.LastIndexByte(name, '.')
		if at < 0 {
			return Bound{}, conversionError(TypeError, "exception class %q: write it as module.Name, or module:Outer.Inner", name)
		}
		module, path = name[:at], name[at+1:]
	}
	if module == "gilt" {
		if err := Run(tok, goClasses); err != nil {
			return Bound{}, err
		}
	}
	found, err := Import(tok, module)
	for failed := err; failed != nil; { // a.b.Outer.Inner: what looks like a module may be a class
		at := strings.LastIndexByte(module, '.')
		if exact || at < 0 || !errors.Is(failed, ModuleNotFoundError) {
			return Bound{}, err
		}
		module, path = module[:at], module[at+1:]+"."+path
		found, failed = Import(tok, module)
	}
	for part := range strings.SplitSeq(path, ".") {
		if found, err = found.Attr(part); err != nil {
			return Bound{}, err
		}
	}
	return found, nil
}

// Warn issues a Python warning of that category: py.Warn(tok, "builtins.DeprecationWarning", "old"). It returns the
// warning as an *Error when Python's filters say that it is one.
func Warn(tok *Token, category ExceptionClass, message string) error {
	class, err := exceptionClass(tok, string(category))
	if err != nil {
		return err
	}
	m, err := Import(tok, "warnings")
	if err != nil {
		return err
	}
	_, err = m.Method("warn", message, class)
	return err
}
