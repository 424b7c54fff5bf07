package handles

import "gilt/internal/cpython"

// GenericAlias is a class with type arguments, such as list[int]. Those of typing's own classes (typing.List[int]) are none.
type GenericAlias struct{ Bound }

func (GenericAlias) class() cpython.Class { return cpython.ClassGenericAlias }

// NewGenericAlias is types.GenericAlias(origin, args): origin[*args] without asking origin whether it takes them.
func NewGenericAlias(tok *Token, origin Object, args ...any) (GenericAlias, error) {
	all, err := NewTuple(tok, args...)
	if err != nil {
		return GenericAlias{}, err
	}
	return construct[GenericAlias](tok, origin, all)
}

// Origin is a.__origin__, a class mostly.
func (a GenericAlias) Origin() (Bound, error) {
	return attrAs[Bound](a.Bound, "GenericAlias.Origin", "__origin__")
}

// Args is a.__args__.
func (a GenericAlias) Args() (Tuple, error) {
	return attrAs[Tuple](a.Bound, "GenericAlias.Args", "__args__")
}
