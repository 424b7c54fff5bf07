package handles

import "gilt/internal/cpython"

// Code is a code object: what a function, a module or a class body was compiled to.
type Code struct{ Bound }

func (Code) class() cpython.Class { return cpython.ClassCode }

// Name is c.co_name, the name of what was compiled: "<module>" for a module.
func (c Code) Name() (string, error) { return attrAs[string](c.Bound, "Code.Name", "co_name") }

// File is c.co_filename, the file that it was compiled from, or something like "<string>".
func (c Code) File() (string, error) { return attrAs[string](c.Bound, "Code.File", "co_filename") }

// FirstLine is c.co_firstlineno, the number of its first line in the file.
func (c Code) FirstLine() (int, error) {
	return attrAs[int](c.Bound, "Code.FirstLine", "co_firstlineno")
}

// ArgCount is c.co_argcount: how many positional parameters there are, without keyword-only ones, *args and **kwargs.
func (c Code) ArgCount() (int, error) { return attrAs[int](c.Bound, "Code.ArgCount", "co_argcount") }

// KwOnlyArgCount is c.co_kwonlyargcount: how many keyword-only parameters there are.
func (c Code) KwOnlyArgCount() (int, error) {
	return attrAs[int](c.Bound, "Code.KwOnlyArgCount", "co_kwonlyargcount")
}

// VarNames is c.co_varnames: the names of the parameters, positional ones first, and of the local variables.
func (c Code) VarNames() ([]string, error) {
	return attrAs[[]string](c.Bound, "Code.VarNames", "co_varnames")
}
