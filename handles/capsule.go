package handles

import (
	"strings"

	"gilt/internal/cpython"
)

// Capsule is a capsule: a C pointer under a name, which C extensions hand to each other. Go has no use for the pointer.
type Capsule struct{ Bound }

func (Capsule) class() cpython.Class { return cpython.ClassCapsule }

// Name is the capsule's name, "module.attribute" mostly; ok is false if it has none. Bytes that are no UTF-8 are replaced.
func (c Capsule) Name() (name string, ok bool, err error) {
	text, err := c.Repr() // all that Python tells: <capsule object "name" at 0x1>, or NULL
	if err != nil {
		return "", false, err
	}
	name = strings.TrimPrefix(text, "<capsule object ")
	name = name[:strings.LastIndex(name, " at ")]
	if name == "NULL" {
		return "", false, nil
	}
	return name[1 : len(name)-1], true, nil
}
