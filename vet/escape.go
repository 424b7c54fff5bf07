package vet

import (
	"go/ast"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/ast/edge"
	"golang.org/x/tools/go/ast/inspector"
)

// escapes finds what is assigned inside a task or a scope to a variable outside it, and results of Submit.
func (c *checker) escapes() {
	c.assignments(func(a assignment) {
		if a.root == nil || isGlobal(a.root) {
			return
		}
		lit, k := c.crossed(a)
		switch {
		case k == task || k == submitted || k == called:
			c.escaped[a.root] = true
			c.report(a.to, ruleEscape, "%s is assigned to %s, which is declared outside the task: it is valid only inside the function that was given the token; %s",
				c.noun(a.typ), a.root.Name(), instead(a.typ))
		case k == scope && c.outlives(a, lit):
			c.report(a.to, ruleEscape, "%s of a scope is assigned to %s, which is used after the scope: its reference ends with the scope; convert it to a Go value, or keep it with Unbind",
				c.noun(a.typ), a.root.Name())
		}
	})
	for cur := range c.root.Preorder((*ast.CallExpr)(nil)) {
		call := cur.Node().(*ast.CallExpr)
		if runs[c.callee(call)] == submitted && c.tied(c.info.TypeOf(call)) {
			c.report(call, ruleEscape, "the result of Submit is or holds %s: its task has ended when the result arrives; return a Go value or a handle of Unbind", c.resultNoun(call))
		}
	}
}

func (c *checker) resultNoun(call *ast.CallExpr) string {
	n, ok := types.Unalias(pointee(c.info.TypeOf(call))).(*types.Named)
	if !ok || n.TypeArgs().Len() != 1 {
		return "a Bound"
	}
	return c.noun(n.TypeArgs().At(0))
}

// crossed is the innermost task, or else scope, that an assignment leaves.
func (c *checker) crossed(a assignment) (lit *ast.FuncLit, k kind) {
	for cur := range a.at.Enclosing((*ast.FuncLit)(nil)) {
		f := cur.Node().(*ast.FuncLit)
		if inside(a.root.Pos(), f) {
			break
		}
		switch of := c.kinds[f]; {
		case of == task || of == submitted || of == called:
			return f, of
		case of == scope && lit == nil:
			lit, k = f, scope
		}
	}
	return lit, k
}

// outlives says whether what is assigned was made in the scope and is used after it. Only whole variables and elements are
// looked at: a struct may be used without the field.
func (c *checker) outlives(a assignment, lit *ast.FuncLit) bool {
	to := ast.Unparen(a.to)
	if i, ok := to.(*ast.IndexExpr); ok {
		to = ast.Unparen(i.X)
	}
	if _, ok := to.(*ast.Ident); !ok || a.value != nil && !c.madeIn(a.value, lit) {
		return false
	}
	f, ok := c.root.FindNode(lit)
	return ok && c.usedAfter(a.root, f)
}

// madeIn says whether the value's reference is of the scope that the literal is: that of a call in it is, that of a
// variable from outside is not.
func (c *checker) madeIn(e ast.Expr, lit *ast.FuncLit) bool {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		v := c.info.ObjectOf(e)
		return v != nil && inside(v.Pos(), lit) && c.definedIn(v, lit)
	case *ast.SelectorExpr:
		return c.madeIn(e.X, lit)
	case *ast.IndexExpr:
		return c.madeIn(e.X, lit)
	case *ast.CompositeLit:
		return slices.ContainsFunc(e.Elts, func(x ast.Expr) bool {
			if kv, ok := x.(*ast.KeyValueExpr); ok {
				x = kv.Value
			}
			return c.carries(x) && c.madeIn(x, lit)
		})
	case *ast.CallExpr:
		return c.madeByCall(e, lit)
	}
	return false
}

func (c *checker) madeByCall(call *ast.CallExpr, lit *ast.FuncLit) bool {
	if c.isBuiltin(call, "append") || c.info.Types[call.Fun].IsType() {
		return slices.ContainsFunc(call.Args, func(x ast.Expr) bool { return c.carries(x) && c.madeIn(x, lit) })
	}
	switch name := c.callee(call); {
	case name == "gilt/handles.Py.Borrow", name == "gilt/handles.Bound.Token":
		return false // these are the task's
	case strings.HasPrefix(name, "gilt/"):
		return true
	}
	// Somebody else's function may give back what it was given.
	return !slices.ContainsFunc(call.Args, func(x ast.Expr) bool {
		t := c.info.TypeOf(x)
		return c.tied(t) && !isNamed(pointee(t), "gilt/gil", "Token") && !c.madeIn(x, lit)
	})
}

// definedIn says whether a variable of the scope was given an object of the scope.
func (c *checker) definedIn(v types.Object, lit *ast.FuncLit) bool {
	f, ok := c.root.FindNode(lit)
	if !ok {
		return false
	}
	for cur := range f.Preorder((*ast.Ident)(nil)) {
		if c.info.Defs[cur.Node().(*ast.Ident)] != v {
			continue
		}
		at, i := cur.ParentEdge()
		switch n := cur.Parent().Node().(type) {
		case *ast.AssignStmt:
			return at == edge.AssignStmt_Lhs && (len(n.Lhs) != len(n.Rhs) && c.madeIn(n.Rhs[0], lit) || len(n.Lhs) == len(n.Rhs) && c.madeIn(n.Rhs[i], lit))
		case *ast.RangeStmt:
			return c.madeIn(n.X, lit)
		}
	}
	return false
}

// usedAfter says whether a variable is used when the function literal, an argument of a call, has run: behind the call, or
// anywhere in a loop around it.
func (c *checker) usedAfter(v *types.Var, lit inspector.Cursor) bool {
	call, ok := lit.Parent().Node().(*ast.CallExpr)
	if !ok {
		return false
	}
	if c.results[v] {
		return true
	}
	for _, use := range c.uses[v] {
		if use.Node().Pos() > call.End() {
			return c.matters(use)
		}
	}
	for loop := range lit.Enclosing((*ast.ForStmt)(nil), (*ast.RangeStmt)(nil)) {
		if inside(v.Pos(), loop.Node()) {
			break
		}
		for _, use := range c.uses[v] {
			if pos := use.Node().Pos(); inside(pos, loop.Node()) && !inside(pos, call) && c.matters(use) {
				return true
			}
		}
	}
	return false
}
