package vet

import (
	"go/ast"
	"go/token"
	"go/types"
	"strings"

	"golang.org/x/tools/go/ast/inspector"
)

// collectMakers finds the types of which the package makes values where no token is held. A struct that is only made where one is
// held is as good as the token. What a test makes counts for the tests' types.
func (c *checker) collectMakers() {
	c.madeWithout = map[*types.TypeName]bool{}
	for cur := range c.root.Preorder((*ast.CompositeLit)(nil), (*ast.CallExpr)(nil), (*ast.ValueSpec)(nil), (*ast.FuncType)(nil)) {
		switch n := cur.Node().(type) {
		case *ast.CompositeLit:
			c.makes(cur, c.info.TypeOf(n))
		case *ast.CallExpr:
			if c.isBuiltin(n, "new") {
				c.makes(cur, pointee(c.info.TypeOf(n)))
			} else if c.isBuiltin(n, "make") {
				c.makes(cur, elementOf(c.info.TypeOf(n)))
			}
		case *ast.ValueSpec:
			if n.Type != nil {
				c.makes(cur, c.info.TypeOf(n.Type))
			}
		case *ast.FuncType:
			if n.Results != nil {
				for _, f := range n.Results.List {
					if len(f.Names) > 0 {
						c.makes(cur, c.info.TypeOf(f.Type))
					}
				}
			}
		}
	}
}

func elementOf(t types.Type) types.Type {
	if t, ok := t.Underlying().(interface{ Elem() types.Type }); ok {
		return t.Elem()
	}
	return t
}

// makes notes that a value of the type is made here, unless a token is held, and with it the structs that are its parts.
func (c *checker) makes(cur inspector.Cursor, t types.Type) {
	if c.holdsAt(cur, 3) {
		return
	}
	c.eachPart(t, map[*types.TypeName]bool{}, func(n *types.TypeName) {
		if c.isTest(cur.Node().Pos()) && !c.isTest(n.Pos()) {
			return
		}
		if !c.tied(t) && isGeneric(n) {
			return // a pair of numbers says nothing of pairs of objects
		}
		c.madeWithout[n] = true
	})
}

// eachPart calls f for the package's struct types that are part of a value of the type.
func (c *checker) eachPart(t types.Type, seen map[*types.TypeName]bool, f func(*types.TypeName)) {
	if t == nil {
		return
	}
	if n, ok := types.Unalias(t).(*types.Named); ok {
		name := n.Origin().Obj()
		if seen[name] || name.Pkg() != c.pass.Pkg {
			return
		}
		seen[name] = true
		f(name)
	}
	switch u := t.Underlying().(type) {
	case *types.Struct:
		for field := range u.Fields() {
			c.eachPart(field.Type(), seen, f)
		}
	case *types.Array:
		c.eachPart(u.Elem(), seen, f)
	}
}

func isGeneric(n *types.TypeName) bool {
	t, ok := n.Type().(*types.Named)
	return ok && t.TypeParams().Len() > 0
}

// holdsAt says whether a token is held at a place. In a function without one that is so if it is so where it is called, for
// a constructor need not be given what it only makes room for.
func (c *checker) holdsAt(cur inspector.Cursor, depth int) bool {
	if c.within(cur) || c.inTask(cur) {
		return true
	}
	for f := range cur.Enclosing((*ast.FuncDecl)(nil)) {
		decl := f.Node().(*ast.FuncDecl)
		calls := c.uses[c.info.Defs[decl.Name]]
		if depth == 0 || len(calls) == 0 || decl.Recv != nil || decl.Name.IsExported() {
			return false
		}
		for _, call := range calls {
			if !c.holdsAt(call, depth-1) {
				return false
			}
		}
		return true
	}
	return false
}

func (c *checker) inTask(cur inspector.Cursor) bool {
	for f := range cur.Enclosing((*ast.FuncLit)(nil)) {
		if k := c.kinds[f.Node().(*ast.FuncLit)]; k == task || k == submitted {
			return true
		}
	}
	return false
}

func (c *checker) isTest(p token.Pos) bool {
	return strings.HasSuffix(c.pass.Fset.Position(p).Filename, "_test.go")
}
