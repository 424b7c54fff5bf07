package vet

import (
	"go/ast"
	"go/types"
)

const otherGoroutine = "a token and its handles belong to the goroutine that was given the token; begin a task of its own there (Do, Submit), and send Go values or handles of Unbind"

// goroutines finds what takes a token to another goroutine: go statements, functions that run their argument on one, and
// channels.
func (c *checker) goroutines() {
	for cur := range c.root.Preorder((*ast.CallExpr)(nil), (*ast.SendStmt)(nil)) {
		switch n := cur.Node().(type) {
		case *ast.SendStmt:
			if c.carries(n.Value) {
				c.report(n.Value, ruleGoroutine, "%s is sent on a channel: %s", c.carried(n.Value), otherGoroutine)
			}
		case *ast.CallExpr:
			if _, ok := cur.Parent().Node().(*ast.GoStmt); ok {
				c.started("a go statement", n.Args)
				c.startedFunction("a go statement", n.Fun)
			} else if name := c.callee(n); runs[name] == elsewhere || runs[name] == submitted {
				args := n.Args
				if name == "runtime.AddCleanup" {
					args = args[1:] // what it watches is not given to the function
				}
				c.started(method(name), args)
			}
		}
	}
}

// started looks at the arguments of what starts a goroutine.
func (c *checker) started(by string, args []ast.Expr) {
	for _, arg := range args {
		if lit := c.literal(arg); lit != nil {
			c.startedLiteral(by, lit)
		} else if c.carries(arg) {
			c.report(arg, ruleGoroutine, "%s is given to another goroutine by %s: %s", c.carried(arg), by, otherGoroutine)
		}
	}
}

func (c *checker) startedFunction(by string, f ast.Expr) {
	if lit := c.literal(f); lit != nil {
		c.startedLiteral(by, lit)
		return
	}
	s, ok := ast.Unparen(f).(*ast.SelectorExpr)
	if !ok {
		return
	}
	if sel := c.info.Selections[s]; sel != nil && sel.Kind() == types.MethodVal && c.tied(sel.Recv()) && c.usesToken(sel.Obj()) {
		c.report(s, ruleGoroutine, "a method of %s is called on another goroutine by %s: %s", c.noun(sel.Recv()), by, otherGoroutine)
	}
}

func (c *checker) startedLiteral(by string, lit *ast.FuncLit) {
	for _, id := range c.captured(lit) {
		c.report(id, ruleGoroutine, "%s is used on another goroutine, which %s starts: %s", c.what(id.Name, c.info.TypeOf(id)), by, otherGoroutine)
	}
}
