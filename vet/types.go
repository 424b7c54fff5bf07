package vet

import (
	"go/ast"
	"go/types"
	"strings"

	"golang.org/x/tools/go/types/typeutil"
)

// isNamed says whether t is the named type of a package, given by the end of its path.
func isNamed(t types.Type, path string, names ...string) bool {
	n, ok := types.Unalias(t).(*types.Named)
	if !ok || n.Obj().Pkg() == nil || !suffix(plain(n.Obj().Pkg().Path()), path) {
		return false
	}
	for _, name := range names {
		if n.Obj().Name() == name {
			return true
		}
	}
	return false
}

// tied says whether a value of the type holds a token: it is one, or a handle with one, or contains such a thing.
func (c *checker) tied(t types.Type) bool {
	if t == nil {
		return false
	}
	known, ok := c.tiedTypes[t]
	if !ok {
		known = tied(t, map[types.Type]bool{})
		c.tiedTypes[t] = known
	}
	return known
}

func tied(t types.Type, seen map[types.Type]bool) bool {
	t = types.Unalias(t)
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t := t.(type) {
	case *types.Named:
		return tiedNamed(t, seen)
	case *types.Pointer:
		return tied(t.Elem(), seen)
	case *types.Slice:
		return tied(t.Elem(), seen)
	case *types.Array:
		return tied(t.Elem(), seen)
	case *types.Map:
		return tied(t.Key(), seen) || tied(t.Elem(), seen)
	case *types.Struct:
		for f := range t.Fields() {
			if tied(f.Type(), seen) {
				return true
			}
		}
	}
	return false
}

func tiedNamed(t *types.Named, seen map[types.Type]bool) bool {
	switch {
	case isNamed(t, "gilt/gil", "Token"), isNamed(t, "gilt/handles", "Bound", "Borrowed"):
		return true
	case isNamed(t, "gilt/gil", "Future", "OnceCell"), isNamed(t, "iter", "Seq", "Seq2"):
		for a := range t.TypeArgs().Types() {
			if tied(a, seen) {
				return true
			}
		}
		return false
	case t.Obj().Pkg() != nil && ours(t.Obj().Pkg().Path()):
		return embedsTied(t, seen)
	}
	return tied(t.Underlying(), seen)
}

// embedsTied is for gilt's own types, which may hold tokens inside: the handles among them embed a Bound, or show it, as an Item does.
func embedsTied(t *types.Named, seen map[types.Type]bool) bool {
	s, ok := t.Underlying().(*types.Struct)
	if !ok {
		return false
	}
	for f := range s.Fields() {
		if (f.Embedded() || f.Exported()) && tied(f.Type(), seen) {
			return true
		}
	}
	return false
}

// ours says whether a package is one of those that gilt consists of.
func ours(path string) bool {
	path = plain(path)
	for _, p := range []string{"gilt", "gilt/scheduler", "gilt/thread"} {
		if suffix(path, p) {
			return true
		}
	}
	return implements(path)
}

// callee is the function or method that a call calls, as far as that is known: "gilt/gil.Token.AllowThreads". Packages of
// gilt have the names that they have here, wherever they are.
func (c *checker) callee(call *ast.CallExpr) string {
	f, ok := typeutil.Callee(c.info, call).(*types.Func)
	if !ok || f.Pkg() == nil {
		return ""
	}
	path := plain(f.Pkg().Path())
	for _, p := range []string{"gilt/gil", "gilt/handles", "gilt"} {
		if suffix(path, p) {
			path = p
			break
		}
	}
	if r := f.Signature().Recv(); r != nil {
		n, ok := types.Unalias(pointee(r.Type())).(*types.Named)
		if !ok {
			return ""
		}
		return path + "." + n.Obj().Name() + "." + f.Name()
	}
	return path + "." + f.Name()
}

// method is the name of a callee without the package's path: "Token.AllowThreads".
func method(callee string) string { return callee[strings.LastIndex(callee, "/")+1:] }

// hasToken says whether a function is given a token, by that name or another or none.
func (c *checker) hasToken(t *ast.FuncType) bool {
	return c.anyField(t.Params, func(t types.Type) bool { return isNamed(pointee(t), "gilt/gil", "Token") })
}

// holds says whether a function is given a token or something that holds one.
func (c *checker) holds(f ast.Node) bool {
	switch f := f.(type) {
	case *ast.FuncDecl:
		return c.anyField(f.Type.Params, c.tied) || c.anyField(f.Recv, c.tied)
	case *ast.FuncLit:
		return c.anyField(f.Type.Params, c.tied)
	}
	return false
}

func (c *checker) anyField(fields *ast.FieldList, is func(types.Type) bool) bool {
	if fields == nil {
		return false
	}
	for _, f := range fields.List {
		if t := c.info.TypeOf(f.Type); t != nil && is(t) {
			return true
		}
	}
	return false
}
