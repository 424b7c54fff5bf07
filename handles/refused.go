package handles

import (
	"fmt"

	"gilt/internal/cpython"
)

// RefusedModuleError is what Lookup and prepared functions give when an extension module refused to load in an interpreter with its
// own GIL (gilt.OwnGIL). A package that needs the module often says something else, and has the refusal as the cause of its error.
type RefusedModuleError struct {
	Module string // "" when it is not known
	Err    *Error // what was raised
	line   string // where the module was imported, of one that is not known
}

func (e *RefusedModuleError) Error() string {
	module := "module " + e.Module
	if e.Module == "" {
		module = "a module"
	}
	if e.Module == "" && e.line != "" {
		module = "a module that " + e.line + " imports"
	}
	later := ""
	if cpython.Minor() == 12 {
		later = ", use CPython 3.13 or later, where more modules do"
	}
	return fmt.Sprintf("%s does not load in an interpreter with its own GIL: open with Config.Mode gil%s, or do without the module (%v)", module, later, e.Err)
}

// Unwrap gives what was raised.
func (e *RefusedModuleError) Unwrap() error { return e.Err }

// refusal is e, or a *RefusedModuleError when a refusal is what e, or what led to e, says.
func refusal(e *Error) error {
	for x, depth := e, 0; x != nil && depth < maxCauses; depth++ {
		if x.Class == "ImportError" {
			if module, refused := cpython.RefusedModule(x.Message); refused {
				err := &RefusedModuleError{Module: module, Err: e}
				if n := len(x.Frames); n > 0 {
					err.line = fmt.Sprintf("%s line %d", x.Frames[n-1].File, x.Frames[n-1].Line)
				}
				return err
			}
		}
		if x.Cause != nil {
			x = x.Cause
		} else {
			x = x.Context
		}
	}
	return e
}
