package handles

import "gilt/internal/cpython"

// Type is a class.
type Type struct{ Bound }

func (Type) class() cpython.Class { return cpython.ClassType }
