package thread

import (
	"fmt"
	"runtime/debug"
	"strings"
)

// PanicError is a panic that another goroutine, or Python code, stood in the way of: it was recovered there, and goes on where
// the work is waited for, as a panic with a *PanicError or, of submitted work, as an error. Printed, as a crash does, it shows
// where it began.
type PanicError struct {
	Value  any    // what was panicked with
	Stack  []byte // of the goroutine that panicked, then
	Python string // the frames of Python that it passed through, outermost first, as a traceback has them; "" for none
}

// Caught is what was recovered, for the deferred function that recovered it, whose stack is the panic's. A *PanicError is
// itself: it has come some way already.
func Caught(recovered any) *PanicError {
	if p, ok := recovered.(*PanicError); ok {
		return p
	}
	return &PanicError{Value: recovered, Stack: debug.Stack()}
}

// Recovered is the value that was panicked with, given what recover() gave: a *PanicError's Value, or v itself.
func Recovered(v any) any {
	if p, ok := v.(*PanicError); ok && p != nil {
		return p.Value
	}
	return v
}

// Through is the panic when it has passed through frames of Python's.
func (e *PanicError) Through(frames string) *PanicError {
	return &PanicError{Value: e.Value, Stack: e.Stack, Python: frames + e.Python}
}

// Error gives the panic's value, the Python frames and the stack.
func (e *PanicError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "gilt: panic: %v\n\n", e.Value)
	if e.Python != "" {
		fmt.Fprintf(&b, "Through Python (most recent call last):\n%s\n", e.Python)
	}
	b.Write(e.Stack)
	return b.String()
}

// Unwrap gives the panic's value when it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
