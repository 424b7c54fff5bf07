package vet

import (
	"go/ast"
	"go/types"
	"strings"
)

// keepers are functions that keep an argument for whoever comes.
var keepers = map[string]string{
	"context.WithValue": "a context",
	"sync.Map.Store":    "a sync.Map", "sync.Map.LoadOrStore": "a sync.Map", "sync.Map.Swap": "a sync.Map",
	"sync/atomic.Value.Store": "an atomic.Value", "sync/atomic.Value.Swap": "an atomic.Value",
	"sync/atomic.Pointer.Store": "an atomic.Pointer", "sync/atomic.Pointer.Swap": "an atomic.Pointer",
}

// kept finds tokens and handles that are stored where they outlive their task.
func (c *checker) kept() {
	c.globals()
	c.assignments(func(a assignment) {
		switch {
		case a.root == nil:
		case isGlobal(a.root):
			if a.root.Pkg() != c.pass.Pkg || !c.tied(a.root.Type()) { // else its declaration is reported
				c.reportKept(a.to, a.typ, "the package-level variable "+a.root.Name())
			}
		default:
			if s := c.keeps(a); s != nil {
				c.reportKept(a.to, a.typ, "a "+s.Name()+", a struct that may outlive the task, for it is made where no token is")
			}
		}
	})
	for cur := range c.root.Preorder((*ast.CallExpr)(nil)) {
		c.keptByCall(cur.Node().(*ast.CallExpr))
	}
}

func (c *checker) reportKept(at ast.Node, t types.Type, where string) {
	c.report(at, ruleKeep, "%s is kept in %s: it is valid only inside the function that was given the token; %s", c.noun(t), where, instead(t))
}

// globals finds package-level variables for tokens.
func (c *checker) globals() {
	for cur := range c.root.Preorder((*ast.ValueSpec)(nil)) {
		for _, name := range cur.Node().(*ast.ValueSpec).Names {
			if v, ok := c.info.Defs[name].(*types.Var); ok && name.Name != "_" && isGlobal(v) && c.tied(v.Type()) {
				c.reportKept(name, v.Type(), "the package-level variable "+v.Name())
			}
		}
	}
}

func (c *checker) keptByCall(call *ast.CallExpr) {
	name := c.callee(call)
	if where := keepers[name]; where != "" {
		for _, arg := range call.Args {
			if c.carries(arg) {
				c.reportKept(arg, c.info.TypeOf(arg), where)
			}
		}
	}
	if strings.HasPrefix(name, "gilt/gil.OnceCell.GetOrInit") {
		if s, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr); ok && c.tied(c.info.TypeOf(s.X)) {
			c.report(call, ruleKeep, "a gil.OnceCell keeps a Bound: it is valid only in the task that made it; handles.OnceCell keeps an object for all")
		}
	}
}

// keeps is the struct type in which an assignment keeps a token: one that is reached by a pointer from elsewhere, and that
// the package makes where no token is held.
func (c *checker) keeps(a assignment) *types.TypeName {
	owner, indirect := c.owner(a.to)
	if owner == nil || owner.Pkg() != c.pass.Pkg || !indirect && !isPointer(a.root.Type()) || c.isLocal(a.root) {
		return nil
	}
	if !c.madeWithout[owner] {
		return nil
	}
	return owner
}

// owner is the type of the struct whose field an assignment sets, and whether a pointer, slice or map is on the way to it.
func (c *checker) owner(e ast.Expr) (owner *types.TypeName, indirect bool) {
	for {
		switch n := ast.Unparen(e).(type) {
		case *ast.SelectorExpr:
			s := c.info.Selections[n]
			if s == nil {
				return owner, indirect
			}
			if owner == nil {
				owner = typeName(s.Recv())
			}
			indirect = indirect || s.Indirect()
			e = n.X
		case *ast.IndexExpr:
			indirect = indirect || !isArray(c.info.TypeOf(n.X))
			e = n.X
		case *ast.StarExpr:
			indirect, e = true, n.X
		default:
			return owner, indirect
		}
	}
}

func isArray(t types.Type) bool {
	_, ok := t.Underlying().(*types.Array)
	return ok
}

func isPointer(t types.Type) bool {
	_, ok := t.Underlying().(*types.Pointer)
	return ok
}

func typeName(t types.Type) *types.TypeName {
	if n, ok := types.Unalias(pointee(t)).(*types.Named); ok {
		return n.Origin().Obj()
	}
	return nil
}

// isLocal says whether a variable is, or points to, a struct that was made on the spot.
func (c *checker) isLocal(v *types.Var) bool {
	if c.params[v] {
		return false
	}
	if !isPointer(v.Type()) {
		return true
	}
	return c.fresh[v]
}
