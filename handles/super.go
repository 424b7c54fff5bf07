package handles

import "gilt/internal/cpython"

// Super is an object as its base classes see it: what super() gives in a method.
type Super struct{ Bound }

func (Super) class() cpython.Class { return cpython.ClassSuper }

// NewSuper is super(class, obj): attributes are looked up in the classes that come after class in the MRO of obj's, or of obj
// itself if it is a class. TypeError if obj is neither an instance nor a subclass of class.
func NewSuper(tok *Token, class Type, obj any) (Super, error) {
	return construct[Super](tok, class, obj)
}
