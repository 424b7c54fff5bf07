package vet

import (
	"go/ast"

	"golang.org/x/tools/go/ast/inspector"
)

// kind is what becomes of a function literal.
type kind uint8

const (
	unknown   kind = iota
	inline         // it is called here and now
	scope          // it is a scope of handles
	task           // it is a task, on this goroutine
	submitted      // it is a task, on another one
	allowed        // it runs inside AllowThreads
	elsewhere      // it runs on another goroutine
	called         // Python calls it, with a token of its own
)

// runs says what functions do with the functions that they are given.
var runs = map[string]kind{
	"gilt.Runtime.Do": task, "gilt.Runtime.OnMain": task,
	"gilt/gil.Host.Do": task, "gilt/gil.Host.OnMain": task, "gilt/gil.Host.EachInterpreter": task, "gilt/gil.Pinned.Do": task,
	"gilt.Submit": submitted, "gilt/gil.Submit": submitted,
	"gilt/handles.Scope": scope, "gilt/gil.Token.InScope": scope,
	"gilt/gil.Token.AllowThreads": allowed,

	"gilt/gil.Mutex.With": inline, "gilt/gil.RWMutex.With": inline, "gilt/gil.RWMutex.RWith": inline, "sync.Once.Do": inline,

	"gilt/gil.Go": elsewhere, "gilt/gil.WaitGroup.Go": elsewhere, "sync.WaitGroup.Go": elsewhere,
	"golang.org/x/sync/errgroup.Group.Go": elsewhere, "golang.org/x/sync/errgroup.Group.TryGo": elsewhere,
	"time.AfterFunc": elsewhere, "context.AfterFunc": elsewhere,
	"runtime.AddCleanup": elsewhere, "runtime.SetFinalizer": elsewhere,
	"testing.T.Run": elsewhere, "testing.B.Run": elsewhere, "testing.B.RunParallel": elsewhere,
}

// collectKinds finds what becomes of the function literals.
func (c *checker) collectKinds() {
	c.kinds = map[*ast.FuncLit]kind{}
	for cur := range c.root.Preorder((*ast.CallExpr)(nil)) {
		call := cur.Node().(*ast.CallExpr)
		k := runs[c.callee(call)]
		if _, ok := cur.Parent().Node().(*ast.GoStmt); ok {
			k = elsewhere
			c.is(call.Fun, k)
		} else if _, ok := ast.Unparen(call.Fun).(*ast.FuncLit); ok {
			c.is(call.Fun, inline)
		}
		for _, arg := range call.Args {
			c.is(arg, k)
		}
	}
	for cur := range c.root.Preorder((*ast.CompositeLit)(nil)) {
		if lit := cur.Node().(*ast.CompositeLit); isNamed(c.info.TypeOf(lit), "gilt/handles", "GoFunc") {
			for _, e := range lit.Elts {
				if kv, ok := e.(*ast.KeyValueExpr); ok {
					c.is(kv.Value, called)
				}
			}
		}
	}
	c.wrappedTasks()
}

func (c *checker) is(e ast.Expr, k kind) {
	if lit := c.literal(e); lit != nil {
		c.kinds[lit] = max(c.kinds[lit], k)
	}
}

// literal is the function literal that an expression is: itself, or a local variable that is nothing else.
func (c *checker) literal(e ast.Expr) *ast.FuncLit {
	switch e := ast.Unparen(e).(type) {
	case *ast.FuncLit:
		return e
	case *ast.Ident:
		return c.literals[c.info.ObjectOf(e)]
	}
	return nil
}

// wrappedTasks finds the literals that get a token where none is held: whoever calls them has made a task.
func (c *checker) wrappedTasks() {
	for cur := range c.root.Preorder((*ast.FuncLit)(nil)) {
		lit := cur.Node().(*ast.FuncLit)
		if c.kinds[lit] == unknown && c.hasToken(lit.Type) && !c.within(cur) {
			c.kinds[lit] = task
		}
	}
}

// within says whether a function around this place holds a token.
func (c *checker) within(cur inspector.Cursor) bool {
	for f := range cur.Enclosing((*ast.FuncDecl)(nil), (*ast.FuncLit)(nil)) {
		if f != cur && c.holds(f.Node()) {
			return true
		}
	}
	return false
}
