package vet

import (
	"go/ast"
	"go/token"
	"go/types"

	"golang.org/x/tools/go/ast/inspector"
)

// assignment is one place that is assigned something with a token.
type assignment struct {
	at    inspector.Cursor // the statement
	to    ast.Expr
	value ast.Expr   // nil for one of several results of a call
	typ   types.Type // of the value
	root  *types.Var // whose place it is: v in v.f[i]; nil when it is none's
}

// assignments calls f for each assignment of something that brings a token along.
func (c *checker) assignments(f func(assignment)) {
	for cur := range c.root.Preorder((*ast.AssignStmt)(nil), (*ast.RangeStmt)(nil)) {
		switch n := cur.Node().(type) {
		case *ast.AssignStmt:
			for i, lhs := range n.Lhs {
				a := assignment{at: cur, to: lhs, root: c.rootOf(lhs)}
				if len(n.Lhs) == len(n.Rhs) {
					a.value, a.typ = n.Rhs[i], c.info.TypeOf(n.Rhs[i])
				} else if t, ok := c.info.TypeOf(n.Rhs[0]).(*types.Tuple); ok {
					a.typ = t.At(i).Type()
				} else {
					a.typ = c.info.TypeOf(lhs) // v, ok := m[k]
				}
				if a.value != nil && c.carries(a.value) || a.value == nil && c.tied(a.typ) {
					f(a)
				}
			}
		case *ast.RangeStmt:
			if n.Tok != token.ASSIGN {
				continue
			}
			for _, lhs := range []ast.Expr{n.Key, n.Value} {
				if lhs != nil && c.tied(c.info.TypeOf(lhs)) {
					f(assignment{at: cur, to: lhs, typ: c.info.TypeOf(lhs), root: c.rootOf(lhs)})
				}
			}
		}
	}
}

// rootOf is the variable that an assigned place is reached from.
func (c *checker) rootOf(e ast.Expr) *types.Var {
	for {
		switch n := ast.Unparen(e).(type) {
		case *ast.Ident:
			v, _ := c.info.ObjectOf(n).(*types.Var)
			return v
		case *ast.SelectorExpr:
			if c.info.Selections[n] == nil { // package.Variable
				v, _ := c.info.Uses[n.Sel].(*types.Var)
				return v
			}
			e = n.X
		case *ast.IndexExpr:
			e = n.X
		case *ast.StarExpr:
			e = n.X
		default:
			return nil
		}
	}
}
