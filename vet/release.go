package vet

import (
	"go/ast"
	"go/types"

	"golang.org/x/tools/go/ast/edge"
	"golang.org/x/tools/go/ast/inspector"
)

// lends are the methods of a Py after which it is still to be released.
var lends = map[string]bool{"Bind": true, "Borrow": true, "Clone": true, "IsZero": true}

// releases finds owned handles that a loop makes and nobody releases or passes on.
func (c *checker) releases() {
	for cur := range c.root.Preorder((*ast.CallExpr)(nil)) {
		call := cur.Node().(*ast.CallExpr)
		switch c.callee(call) {
		case "gilt/handles.Bound.Unbind", "gilt/handles.Py.Clone":
		default:
			continue
		}
		if c.lost(cur) && c.loops(cur) {
			c.report(call, ruleRelease, "a handle is made in a loop and never released: its object lives until the garbage collector finds the handle; call Release when it is no longer needed")
		}
	}
}

// lost says whether the handle that a call makes is neither released nor passed on.
func (c *checker) lost(cur inspector.Cursor) bool {
	at, i := cur.ParentEdge()
	switch n := cur.Parent().Node().(type) {
	case *ast.ExprStmt:
		return true
	case *ast.SelectorExpr:
		return lends[n.Sel.Name]
	case *ast.AssignStmt:
		return at == edge.AssignStmt_Rhs && len(n.Lhs) == len(n.Rhs) && c.lostIn(n.Lhs[i])
	case *ast.ValueSpec:
		return at == edge.ValueSpec_Values && len(n.Names) == len(n.Values) && c.lostIn(n.Names[i])
	}
	return false
}

// lostIn says the same of a handle that is assigned to a variable.
func (c *checker) lostIn(lhs ast.Expr) bool {
	id, ok := lhs.(*ast.Ident)
	if !ok {
		return false
	}
	if id.Name == "_" {
		return true
	}
	v, ok := c.info.ObjectOf(id).(*types.Var)
	if !ok || isGlobal(v) || c.results[v] {
		return false
	}
	for _, use := range c.uses[v] {
		switch n := use.Parent().Node().(type) {
		case *ast.SelectorExpr:
			if !lends[n.Sel.Name] {
				return false
			}
		case *ast.AssignStmt:
			if use.ParentEdgeKind() == edge.AssignStmt_Rhs && !allBlank(n.Lhs) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// loops says whether a place is in the body of a loop, or in a function that is called in one.
func (c *checker) loops(cur inspector.Cursor) bool {
	pos := cur.Node().Pos()
	for e := range cur.Enclosing((*ast.ForStmt)(nil), (*ast.RangeStmt)(nil), (*ast.FuncLit)(nil), (*ast.FuncDecl)(nil)) {
		switch n := e.Node().(type) {
		case *ast.ForStmt:
			if inside(pos, n.Body) {
				return true
			}
		case *ast.RangeStmt:
			if inside(pos, n.Body) {
				return true
			}
		case *ast.FuncLit:
			if k := c.kinds[n]; k == unknown || k == called {
				return false
			}
		}
	}
	return false
}
