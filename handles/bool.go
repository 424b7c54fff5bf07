package handles

import "gilt/internal/cpython"

// Bool is a bool: Bound.Bool gives its value.
type Bool struct{ Bound }

func (Bool) class() cpython.Class { return cpython.ClassBool }

// NewBool gives True or False.
func NewBool(tok *Token, v bool) (Bool, error) { return made[Bool](From(tok, v)) }
