package handles

import "gilt/internal/cpython"

// Function is a function written in Python, by def or lambda. Those written in C or Go are none. (Func is a prepared call.)
type Function struct{ Bound }

func (Function) class() cpython.Class { return cpython.ClassFunction }

// Name is f.__name__.
func (f Function) Name() (string, error) {
	return attrAs[string](f.Bound, "Function.Name", "__name__")
}

// QualName is f.__qualname__: the names of the classes and functions that it is in come first.
func (f Function) QualName() (string, error) {
	return attrAs[string](f.Bound, "Function.QualName", "__qualname__")
}

// Module is f.__module__, the name of the module that defines it; ok is false if it is None.
func (f Function) Module() (name string, ok bool, err error) {
	return optionalText(f.Bound, "Function.Module", "__module__")
}

// Doc is f.__doc__; ok is false if it is None.
func (f Function) Doc() (doc string, ok bool, err error) {
	return optionalText(f.Bound, "Function.Doc", "__doc__")
}

// Code is f.__code__.
func (f Function) Code() (Code, error) { return attrAs[Code](f.Bound, "Function.Code", "__code__") }

// Globals is f.__globals__, the namespace of the module that defines it.
func (f Function) Globals() (Dict, error) {
	return attrAs[Dict](f.Bound, "Function.Globals", "__globals__")
}

// Defaults is f.__defaults__, the values of its last positional parameters; ok is false if there are none.
func (f Function) Defaults() (values Tuple, ok bool, err error) {
	return optional[Tuple](attrAs[Bound](f.Bound, "Function.Defaults", "__defaults__"))
}

// KwDefaults is f.__kwdefaults__, the values of its keyword-only parameters by name; ok is false if there are none.
func (f Function) KwDefaults() (values Dict, ok bool, err error) {
	return optional[Dict](attrAs[Bound](f.Bound, "Function.KwDefaults", "__kwdefaults__"))
}

// Annotations is f.__annotations__, by the parameters' names and "return". From Python 3.14 on they are evaluated now, if
// they have not been, and an exception of theirs is the error.
func (f Function) Annotations() (Dict, error) {
	return attrAs[Dict](f.Bound, "Function.Annotations", "__annotations__")
}
