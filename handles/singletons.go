package handles

import (
	"gilt/gil"
	"gilt/internal/cpython"
)

// None gives None.
func None(tok *Token) Bound { return singleton(tok, "None", cpython.None) }

// Ellipsis gives Ellipsis, which Python writes as three dots.
func Ellipsis(tok *Token) Bound { return singleton(tok, "Ellipsis", cpython.Ellipsis) }

// NotImplemented gives NotImplemented, with which a method such as __add__ says that it does not know the other operand.
func NotImplemented(tok *Token) Bound {
	return singleton(tok, "NotImplemented", cpython.NotImplemented)
}

func singleton(tok *Token, op string, address func() cpython.Object) Bound {
	e := tok.Entry(op) // Python is there: so is the address
	r := e.Bind(address())
	if gil.Status(op, r) != nil {
		gil.MisuseZero(op) // it is always there
	}
	return bound(tok, r.Obj)
}
