package vet

import (
	"fmt"
	"go/types"
)

// sentence is a finding's message: what is wrong, what to do, and the rule's name.
func sentence(rule, format string, args []any) string {
	return fmt.Sprintf(format, args...) + " (gilt rule: " + rule + ")"
}

// what says what a value is: "tok, a token,".
func (c *checker) what(name string, t types.Type) string {
	if name == "" {
		return c.noun(t)
	}
	return name + ", " + c.noun(t) + ","
}

// noun is what a value of the type is to somebody who reads.
func (c *checker) noun(t types.Type) string {
	switch t := types.Unalias(t); {
	case isNamed(pointee(t), "gilt/gil", "Token"):
		return "a token"
	case isNamed(t, "gilt/handles", "Bound"):
		return "a Bound"
	case isNamed(t, "gilt/handles", "Borrowed"):
		return "a Borrowed"
	case isHandle(t):
		return "a " + types.TypeString(t, shortName)
	}
	if _, ok := types.Unalias(t).(*types.Signature); ok {
		return "a function that uses a token or a Bound"
	}
	return "a value that holds a token or a Bound (" + types.TypeString(t, shortName) + ")"
}

// isHandle says whether t is one of the types of Python's own objects, such as py.List.
func isHandle(t types.Type) bool {
	n, ok := types.Unalias(t).(*types.Named)
	if !ok || n.Obj().Pkg() == nil || !suffix(plain(n.Obj().Pkg().Path()), "gilt/handles") {
		return false
	}
	s, ok := n.Underlying().(*types.Struct)
	return ok && s.NumFields() == 1 && s.Field(0).Embedded() && isNamed(s.Field(0).Type(), "gilt/handles", "Bound")
}

// shortName is a package's name as programs write it.
func shortName(p *types.Package) string {
	if suffix(plain(p.Path()), "gilt/handles") {
		return "py"
	}
	return p.Name()
}

// instead is what to do with a value that must not go where it goes.
func instead(t types.Type) string {
	if isNamed(pointee(t), "gilt/gil", "Token") {
		return "pass it as an argument to what needs it"
	}
	return "convert it to a Go value, or keep the object with Unbind and Bind it where it is used"
}

func pointee(t types.Type) types.Type {
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		return p.Elem()
	}
	return t
}
