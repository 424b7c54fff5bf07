package vet

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"

	"golang.org/x/tools/go/ast/inspector"
)

// waiting are functions that wait.
var waiting = map[string]bool{
	"time.Sleep": true, "sync.WaitGroup.Wait": true, "sync.Cond.Wait": true, "golang.org/x/sync/errgroup.Group.Wait": true,
}

// locking are functions that wait for locks.
var locking = map[string]bool{"sync.Mutex.Lock": true, "sync.RWMutex.Lock": true, "sync.RWMutex.RLock": true}

// waits finds what is waited for with the token held.
func (c *checker) waits() {
	for cur := range c.root.Preorder((*ast.CallExpr)(nil), (*ast.UnaryExpr)(nil), (*ast.SendStmt)(nil), (*ast.SelectStmt)(nil), (*ast.RangeStmt)(nil)) {
		at := cur.Node()
		if c.submittedWait(cur) {
			if c.held(cur) {
				c.report(at, ruleWait, "submitted work is waited for with the token held: it may need the thread or the GIL that this task has; wait in Token.AllowThreads")
			}
			continue
		}
		if what := c.waitsFor(cur); what != "" && c.held(cur) {
			c.report(at, ruleWait, "%s with the token held keeps all others from Python, also those that are waited for; do it in Token.AllowThreads, or with a lock of package gil", what)
		}
		if call, ok := at.(*ast.CallExpr); ok && locking[c.callee(call)] && c.held(cur) && c.locksPython(cur) {
			c.report(at, ruleWait, "Python is used with a %s locked: a task that waits for the lock keeps the GIL, and this one needs it to go on; use a lock of package gil", lockName(c.callee(call)))
		}
	}
}

func lockName(callee string) string {
	if callee == "sync.Mutex.Lock" {
		return "sync.Mutex"
	}
	return "sync.RWMutex"
}

// submittedWait says whether this is a wait for a Future.
func (c *checker) submittedWait(cur inspector.Cursor) bool {
	switch n := cur.Node().(type) {
	case *ast.CallExpr:
		return c.callee(n) == "gilt/gil.Future.Wait"
	case *ast.UnaryExpr:
		call, ok := ast.Unparen(n.X).(*ast.CallExpr)
		return ok && n.Op == token.ARROW && c.callee(call) == "gilt/gil.Future.Done" && !inSelect(cur)
	}
	return false
}

// waitsFor names what is waited for here, other than a lock.
func (c *checker) waitsFor(cur inspector.Cursor) string {
	switch n := cur.Node().(type) {
	case *ast.CallExpr:
		if name := c.callee(n); waiting[name] {
			return method(name)
		}
	case *ast.UnaryExpr:
		if n.Op == token.ARROW && !inSelect(cur) {
			return "a receive"
		}
	case *ast.SendStmt:
		if id, ok := ast.Unparen(n.Chan).(*ast.Ident); ok && c.unbuffered[c.info.ObjectOf(id)] && !inSelect(cur) {
			return "a send"
		}
	case *ast.RangeStmt:
		if _, ok := c.info.TypeOf(n.X).Underlying().(*types.Chan); ok {
			return "a receive"
		}
	case *ast.SelectStmt:
		if !slices.ContainsFunc(n.Body.List, func(s ast.Stmt) bool { return s.(*ast.CommClause).Comm == nil }) {
			return "a select statement"
		}
	}
	return ""
}

// inSelect says whether this is a case of a select statement, which is looked at as a whole.
func inSelect(cur inspector.Cursor) bool {
	for s := range cur.Enclosing((*ast.CommClause)(nil), (*ast.FuncLit)(nil)) {
		clause, ok := s.Node().(*ast.CommClause)
		return ok && clause.Comm != nil && inside(cur.Node().Pos(), clause.Comm)
	}
	return false
}

// locksPython says whether Python is used between a call of Lock and that of Unlock, or the end of its block.
func (c *checker) locksPython(lock inspector.Cursor) bool {
	s, ok := ast.Unparen(lock.Node().(*ast.CallExpr).Fun).(*ast.SelectorExpr)
	if !ok {
		return false
	}
	for next, ok := lock.Parent().NextSibling(); ok; next, ok = next.NextSibling() {
		if c.unlocks(next.Node(), types.ExprString(s.X)) {
			return false
		}
		for call := range next.Preorder((*ast.CallExpr)(nil)) {
			if c.callsPython(call.Node().(*ast.CallExpr)) {
				return true
			}
		}
	}
	return false
}

// callsPython says whether a call is of a method of a handle, or gets a token.
func (c *checker) callsPython(call *ast.CallExpr) bool {
	if c.isBuiltin(call, "len", "cap", "append", "copy", "clear", "delete") || c.info.Types[call.Fun].IsType() {
		return false
	}
	if s, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr); ok {
		if m := c.info.Selections[s]; m != nil && m.Kind() == types.MethodVal && c.tied(m.Recv()) && c.usesToken(m.Obj()) {
			return true
		}
	}
	return c.anyCarries(call.Args)
}

func (c *checker) unlocks(n ast.Node, mutex string) bool {
	e, ok := n.(*ast.ExprStmt)
	if !ok {
		return false
	}
	call, ok := e.X.(*ast.CallExpr)
	if !ok {
		return false
	}
	s, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	return ok && (s.Sel.Name == "Unlock" || s.Sel.Name == "RUnlock") && types.ExprString(s.X) == mutex
}

// held says whether the function at this place has the token, as far as that can be seen.
func (c *checker) held(cur inspector.Cursor) bool {
	for f := range cur.Enclosing((*ast.FuncDecl)(nil), (*ast.FuncLit)(nil)) {
		switch f := f.Node().(type) {
		case *ast.FuncDecl:
			return c.hasToken(f.Type)
		case *ast.FuncLit:
			if c.hasToken(f.Type) {
				return true
			}
			if k := c.kinds[f]; k != inline && k != scope {
				return k == task || k == submitted
			}
		}
	}
	return false
}
