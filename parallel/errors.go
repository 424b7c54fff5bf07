package parallel

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// RecordError is the failure of one record.
type RecordError struct {
	Index int64 // of the record in the stage's input, from 0
	Input any   // what the stage's function was given
	Err   error // what it returned
}

// Error names the record by its index, and the cause.
func (e *RecordError) Error() string { return fmt.Sprintf("parallel: record %d: %v", e.Index, e.Err) }

// Unwrap gives the cause.
func (e *RecordError) Unwrap() error { return e.Err }

// ErrGoexit is a function or an input that called runtime.Goexit, as testing's FailNow does.
var ErrGoexit = errors.New("parallel: runtime.Goexit was called instead of returning")

// PanicError is what a stage panics with, in the goroutine that ranges over it, when a function or the
// input panicked in another.
type PanicError struct {
	Value any    // of the original panic
	Stack []byte // of the goroutine that panicked
}

// Error gives the original panic's value and stack.
func (e *PanicError) Error() string { return fmt.Sprintf("%v\n\n%s", e.Value, e.Stack) }

// Unwrap gives the original value when it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// raised carries a panic to the consumer among the errors.
type raised struct{ *PanicError }

// interrupted is why a call that was deferred over did not return: recovered is recover()'s value.
func interrupted(recovered any) error {
	switch p := recovered.(type) {
	case nil:
		return ErrGoexit
	case *PanicError: // of a stage before this one
		return raised{p}
	default:
		return raised{&PanicError{Value: p, Stack: debug.Stack()}}
	}
}

// errSkipped stands for a record that the consumer passes over.
var errSkipped = errors.New("parallel: skipped")
