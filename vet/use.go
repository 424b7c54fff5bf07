package vet

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"

	"golang.org/x/tools/go/ast/edge"
	"golang.org/x/tools/go/ast/inspector"
)

// reads are the methods that look at what a token or a handle says of itself: they are no use of Python.
var reads = map[string]bool{
	"IsZero": true, "Interpreter": true, "Interp": true, "Host": true, "Whole": true, "Context": true,
}

// captured gives the first use of each variable from outside a literal that holds a token.
func (c *checker) captured(lit *ast.FuncLit) []*ast.Ident {
	cur, ok := c.root.FindNode(lit)
	if !ok {
		return nil
	}
	var found []*ast.Ident
	seen := map[types.Object]bool{}
	for id := range cur.Preorder((*ast.Ident)(nil)) {
		n := id.Node().(*ast.Ident)
		v, ok := c.info.Uses[n].(*types.Var)
		if !ok || seen[v] || v.IsField() || inside(v.Pos(), lit) || isGlobal(v) || !c.tied(v.Type()) || !c.matters(id) {
			continue
		}
		seen[v] = true
		found = append(found, n)
	}
	return found
}

func inside(p token.Pos, n ast.Node) bool { return n.Pos() <= p && p < n.End() }

func isGlobal(v types.Object) bool { return v.Pkg() != nil && v.Parent() == v.Pkg().Scope() }

// matters says whether the mention of a variable that holds a token is a use of the token: the length of a slice and a
// field without a token are not, and neither is being assigned to.
func (c *checker) matters(cur inspector.Cursor) bool {
	for {
		parent, at := cur.Parent(), cur.ParentEdgeKind()
		switch n := parent.Node().(type) {
		case *ast.ParenExpr, *ast.StarExpr, *ast.SliceExpr:
		case *ast.SelectorExpr:
			s := c.info.Selections[n]
			if s == nil {
				return true
			}
			if s.Kind() != types.FieldVal {
				if s.Obj().Name() != "Token" {
					return c.usesToken(s.Obj())
				}
				if parent.ParentEdgeKind() != edge.CallExpr_Fun {
					return true
				}
				parent = parent.Parent() // b.Token() is as good as the token
				break
			}
			if !c.tied(s.Type()) {
				return false
			}
		case *ast.IndexExpr:
			if at == edge.IndexExpr_Index {
				return true
			}
			if !c.tied(c.info.TypeOf(n)) {
				return false
			}
		case *ast.CallExpr:
			return !c.isBuiltin(n, "len", "cap", "clear")
		case *ast.BinaryExpr:
			return false // a comparison
		case *ast.RangeStmt:
			return n.Value != nil || at != edge.RangeStmt_X || !isSlice(c.info.TypeOf(n.X))
		case *ast.AssignStmt:
			return at == edge.AssignStmt_Rhs && !allBlank(n.Lhs)
		default:
			return true
		}
		cur = parent
	}
}

// usesToken says whether a method uses the token that its receiver holds. Those of handles do, but for a few; those of the
// package's own structs if they mention what they hold; of others it is not known.
func (c *checker) usesToken(m types.Object) bool {
	if m.Pkg() == nil || ours(m.Pkg().Path()) {
		return !reads[m.Name()]
	}
	if f, ok := m.(*types.Func); ok {
		m = f.Origin()
	}
	known, ok := c.tokenUsers[m]
	if ok {
		return known
	}
	c.tokenUsers[m] = false // for methods that call each other
	if recv := c.receivers[m]; recv != nil {
		known = slices.ContainsFunc(c.uses[recv], c.matters)
	}
	c.tokenUsers[m] = known
	return known
}

func isSlice(t types.Type) bool {
	switch t.Underlying().(type) {
	case *types.Slice, *types.Array:
		return true
	}
	return false
}

func (c *checker) isBuiltin(call *ast.CallExpr, names ...string) bool {
	id, ok := ast.Unparen(call.Fun).(*ast.Ident)
	if !ok {
		return false
	}
	b, ok := c.info.Uses[id].(*types.Builtin)
	for _, name := range names {
		if ok && b.Name() == name {
			return true
		}
	}
	return false
}

func allBlank(lhs []ast.Expr) bool {
	for _, e := range lhs {
		if id, ok := e.(*ast.Ident); !ok || id.Name != "_" {
			return false
		}
	}
	return true
}

// carries says whether the value of an expression brings a token along, whatever its type says.
func (c *checker) carries(e ast.Expr) bool {
	e = ast.Unparen(e)
	if lit := c.literal(e); lit != nil {
		return len(c.captured(lit)) > 0
	}
	switch e := e.(type) {
	case *ast.CompositeLit:
		for _, element := range e.Elts {
			if kv, ok := element.(*ast.KeyValueExpr); ok {
				element = kv.Value
			}
			if c.carries(element) {
				return true
			}
		}
		return false
	case *ast.UnaryExpr:
		if e.Op == token.AND {
			return c.carries(e.X)
		}
	case *ast.SelectorExpr:
		if s := c.info.Selections[e]; s != nil && s.Kind() == types.MethodVal {
			return c.tied(s.Recv()) && c.usesToken(s.Obj())
		}
	case *ast.CallExpr:
		if c.isBuiltin(e, "append") || c.info.Types[e.Fun].IsType() {
			return c.anyCarries(e.Args)
		}
		if c.isBuiltin(e, "new") {
			return !c.info.Types[e.Args[0]].IsType() && c.carries(e.Args[0])
		}
		if c.isBuiltin(e, "make") {
			return false
		}
	}
	return c.tied(c.info.TypeOf(e))
}

func (c *checker) anyCarries(all []ast.Expr) bool {
	for _, e := range all {
		if c.carries(e) {
			return true
		}
	}
	return false
}

// carried is the noun for what an expression brings along.
func (c *checker) carried(e ast.Expr) string {
	if id, ok := ast.Unparen(e).(*ast.Ident); ok {
		return c.what(id.Name, c.info.TypeOf(e))
	}
	return c.noun(c.info.TypeOf(e))
}
