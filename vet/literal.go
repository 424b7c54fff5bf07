package vet

import (
	"go/ast"
	"go/token"
	"go/types"

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

// collect reads what the rules need to know of the whole package.
func (c *checker) collect() {
	c.collectVariables()
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
	c.wrappedTasks()
	c.collectMakers()
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

// collectVariables finds the local variables' uses, parameters and results, and what the variables are that are function literals or
// pointers to something new.
func (c *checker) collectVariables() {
	c.uses = map[types.Object][]inspector.Cursor{}
	c.params, c.results = map[types.Object]bool{}, map[types.Object]bool{}
	c.fresh, c.unbuffered = map[types.Object]bool{}, map[types.Object]bool{}
	for cur := range c.root.Preorder((*ast.Ident)(nil)) {
		switch o := c.info.Uses[cur.Node().(*ast.Ident)].(type) {
		case *types.Var, *types.Func:
			c.uses[o] = append(c.uses[o], cur)
		}
	}
	c.literals = map[types.Object]*ast.FuncLit{}
	set := map[types.Object]int{}
	for cur := range c.root.Preorder((*ast.FuncDecl)(nil), (*ast.FuncType)(nil), (*ast.AssignStmt)(nil), (*ast.ValueSpec)(nil), (*ast.UnaryExpr)(nil)) {
		switch n := cur.Node().(type) {
		case *ast.FuncDecl:
			c.noteFields(n.Recv, c.params)
			if n.Recv != nil && len(n.Recv.List[0].Names) > 0 {
				c.receivers[c.info.Defs[n.Name]] = c.info.Defs[n.Recv.List[0].Names[0]]
			}
		case *ast.FuncType:
			c.noteFields(n.Params, c.params)
			c.noteFields(n.Results, c.results)
		case *ast.AssignStmt:
			for i, lhs := range n.Lhs {
				c.noteLiteral(lhs, n.Rhs, i, set)
			}
		case *ast.ValueSpec:
			for i, name := range n.Names {
				c.noteLiteral(name, n.Values, i, set)
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

func (c *checker) noteLiteral(lhs ast.Expr, values []ast.Expr, i int, set map[types.Object]int) {
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
