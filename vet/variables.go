package vet

import (
	"go/ast"
	"go/token"
	"go/types"

	"golang.org/x/tools/go/ast/inspector"
)

// collectVariables finds where variables and functions are named, and what is known of the variables.
func (c *checker) collectVariables() {
	c.uses = map[types.Object][]inspector.Cursor{}
	for cur := range c.root.Preorder((*ast.Ident)(nil)) {
		switch o := c.info.Uses[cur.Node().(*ast.Ident)].(type) {
		case *types.Var, *types.Func:
			c.uses[o] = append(c.uses[o], cur)
		}
	}
	c.params, c.results, c.receivers = map[types.Object]bool{}, map[types.Object]bool{}, map[types.Object]types.Object{}
	for cur := range c.root.Preorder((*ast.FuncDecl)(nil), (*ast.FuncType)(nil)) {
		switch n := cur.Node().(type) {
		case *ast.FuncDecl:
			c.noteFields(n.Recv, c.params)
			if n.Recv != nil && len(n.Recv.List[0].Names) > 0 {
				c.receivers[c.info.Defs[n.Name]] = c.info.Defs[n.Recv.List[0].Names[0]]
			}
		case *ast.FuncType:
			c.noteFields(n.Params, c.params)
			c.noteFields(n.Results, c.results)
		}
	}
	c.collectValues()
}

func (c *checker) noteFields(fields *ast.FieldList, all map[types.Object]bool) {
	if fields == nil {
		return
	}
	for _, f := range fields.List {
		for _, name := range f.Names {
			all[c.info.Defs[name]] = true
		}
	}
}

// collectValues finds the variables that are function literals, pointers to something new, and channels without a buffer. Only a
// literal that is a variable's one value is known to be what is called.
func (c *checker) collectValues() {
	c.literals, c.fresh, c.unbuffered = map[types.Object]*ast.FuncLit{}, map[types.Object]bool{}, map[types.Object]bool{}
	set := map[types.Object]int{}
	for cur := range c.root.Preorder((*ast.AssignStmt)(nil), (*ast.ValueSpec)(nil), (*ast.UnaryExpr)(nil)) {
		switch n := cur.Node().(type) {
		case *ast.AssignStmt:
			for i, lhs := range n.Lhs {
				c.noteValue(lhs, n.Rhs, i, set)
			}
		case *ast.ValueSpec:
			for i, name := range n.Names {
				c.noteValue(name, n.Values, i, set)
			}
		case *ast.UnaryExpr:
			if id, ok := ast.Unparen(n.X).(*ast.Ident); ok && n.Op == token.AND {
				set[c.info.ObjectOf(id)] += 2 // somebody else may set it
			}
		}
	}
	for v := range c.literals {
		if set[v] != 1 {
			delete(c.literals, v)
		}
	}
}

func (c *checker) noteValue(lhs ast.Expr, values []ast.Expr, i int, set map[types.Object]int) {
	id, ok := ast.Unparen(lhs).(*ast.Ident)
	if !ok || len(values) == 0 {
		return
	}
	v := c.info.ObjectOf(id)
	set[v]++
	if len(values) <= i {
		return
	}
	switch value := ast.Unparen(values[i]).(type) {
	case *ast.FuncLit:
		c.literals[v] = value
	case *ast.UnaryExpr:
		_, made := value.X.(*ast.CompositeLit)
		c.fresh[v] = made && value.Op == token.AND
	case *ast.CallExpr:
		c.fresh[v] = c.isBuiltin(value, "new")
		c.unbuffered[v] = c.isBuiltin(value, "make") && len(value.Args) == 1
	}
}
