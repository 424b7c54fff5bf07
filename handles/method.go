package handles

import "gilt/internal/cpython"

// Method is a bound method of a class written in Python. Those of classes written in C are none.
type Method struct{ Bound }

func (Method) class() cpython.Class { return cpython.ClassMethod }

// NewMethod binds a callable to its first argument: it is types.MethodType(function, self). TypeError if it is not
// callable, or self is None.
func NewMethod(tok *Token, function Object, self any) (Method, error) {
	return construct[Method](tok, function, self)
}

// Self is m.__self__, the object that it is bound to.
func (m Method) Self() (Bound, error) { return attrAs[Bound](m.Bound, "Method.Self", "__self__") }

// Func is m.__func__, what it calls: a Function mostly, or any callable.
func (m Method) Func() (Bound, error) { return attrAs[Bound](m.Bound, "Method.Func", "__func__") }
