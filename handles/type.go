package handles

import "gilt/internal/cpython"

// Type is a class.
type Type struct{ Bound }

func (Type) class() cpython.Class { return cpython.ClassType }

// NewType makes a class: it is type(name, bases, namespace). The namespace is a Go map or a Python dict, which is copied,
// or nil for an empty one. The metaclass is that of the bases; TypeError when it makes something else than a class.
// A class knows the module it was made in, its __module__, by the namespace; it has none when that says none and no Python
// code runs.
func NewType(tok *Token, name string, bases []Type, namespace any) (Type, error) {
	if namespace == nil {
		namespace = map[string]any{}
	}
	class, err := ClassOf[Type](tok)
	if err != nil {
		return Type{}, err
	}
	all, err := NewTuple(tok, values(bases)...)
	if err != nil {
		return Type{}, err
	}
	return callAs[Type](class.Bound, "NewType", "", []any{name, all, namespace})
}

// Name is t.__name__.
func (t Type) Name() (string, error) { return attrAs[string](t.Bound, "Type.Name", "__name__") }

// QualName is t.__qualname__: the names of the classes and functions that it is in come first.
func (t Type) QualName() (string, error) {
	return attrAs[string](t.Bound, "Type.QualName", "__qualname__")
}

// Module is t.__module__, the name of the module that made it. AttributeError if it has none.
func (t Type) Module() (string, error) { return attrAs[string](t.Bound, "Type.Module", "__module__") }

// MRO is t.__mro__: the class and its bases in the order in which attributes are looked up.
func (t Type) MRO() ([]Type, error) { return t.classes("Type.MRO", "__mro__") }

// Bases is t.__bases__.
func (t Type) Bases() ([]Type, error) { return t.classes("Type.Bases", "__bases__") }

func (t Type) classes(op, name string) ([]Type, error) {
	all, err := attrAs[Tuple](t.Bound, op, name)
	if err != nil {
		return nil, err
	}
	var classes []Type
	for b, err := range all.Iter() {
		if err != nil {
			return nil, err
		}
		class, err := Cast[Type](b)
		if err != nil {
			return nil, err
		}
		classes = append(classes, class)
	}
	return classes, nil
}

// IsSubtype says whether t is other or derives from it. Unlike IsSubclass it asks no __subclasscheck__, so that abstract
// base classes have the subtypes that name them as a base, and no others.
func (t Type) IsSubtype(other Type) (bool, error) {
	const op = "Type.IsSubtype"
	t.entry(op)
	class, err := ClassOf[Type](t.tok)
	if err != nil {
		return false, err
	}
	return callAs[bool](class.Bound, op, "__subclasscheck__", []any{other, t})
}
