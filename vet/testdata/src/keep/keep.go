package keep

import (
	"context"
	"sync"
	"sync/atomic"

	"gilt"
	"gilt/gil"
	py "gilt/handles"
)

var current *gilt.Token // want `a token is kept in the package-level variable current: .*; pass it as an argument to what needs it \(gilt rule: keep\)`

var (
	none   py.Bound                // want `a Bound is kept in the package-level variable none: .* keep the object with Unbind`
	cache  = map[string]py.Bound{} // want `a value that holds a token or a Bound \(map\[string\]py.Bound\) is kept in the package-level variable cache`
	rows   []*row                  // want `package-level variable rows`
	things any
	one    atomic.Pointer[gilt.Token] // want `package-level variable one`
)

// These hold no token, or are made for objects.
var (
	sqrt     py.Func[float64, float64]
	pattern  py.OnceCell
	owned    = map[string]py.Py{}
	handlers = map[string]func(*gilt.Token, py.Bound) error{}
	rt       *gilt.Runtime
	_        = py.Bound{}
	f        = py.GoFunc{Name: "f", Func: func(tok *gilt.Token) (int, error) { return 0, nil }}
)

func globals(tok *gilt.Token, b py.Bound) {
	current = tok               // its declaration is reported
	things = b                  // want `a Bound is kept in the package-level variable things`
	things = []any{1, b}        // want `a value that holds a token or a Bound \(\[\]any\) is kept in the package-level variable things`
	things = func() { b.Len() } // want `a function that uses a token or a Bound is kept`
	things = 1
	owned["b"] = b.Unbind()
}

type Server struct {
	tok   *gilt.Token
	list  py.List
	last  any
	names map[string]py.Bound
	state state
	py    py.Py
}

type state struct{ b py.Bound }

func NewServer() *Server { return &Server{} }

func (s *Server) handle(tok *gilt.Token, b py.Bound) {
	s.tok = tok         // want `a token is kept in a Server, a struct that may outlive the task, for it is made where no token is: .*`
	s.list = py.List{b} // want `a py.List is kept in a Server`
	s.last = b          // want `a Bound is kept in a Server`
	s.names["b"] = b    // want `a Bound is kept in a Server`
	s.state.b = b       // want `a Bound is kept in a state`
	s.tok, s.last = nil, nil
	s.py = b.Unbind()
	local := *s
	local.tok = tok
}

func fill(all []*Server, tok *gilt.Token) {
	for _, s := range all {
		s.tok = tok // want `a token is kept in a Server`
	}
	s := &Server{}
	s.tok = tok
}

// row is made only where a token is held, so it is as good as the token.
type row struct {
	tok   *gilt.Token
	cells []py.Bound
}

func newRow(tok *gilt.Token) *row { return &row{tok: tok} }

func (r *row) add(b py.Bound) { r.cells = append(r.cells, b) }

// results is made by a constructor without a token, which is called where one is held.
type results struct{ all []py.Bound }

func newResults() *results { return &results{} }

func (r *results) add(b py.Bound) { r.all = append(r.all, b) }

func (r *results) reset() { *r = results{} }

// Visitor is made by whoever uses the package.
type Visitor struct{ last py.Bound }

func (v *Visitor) Visit(b py.Bound) { v.last = b }

type zero struct{ b py.Bound }

func (z *zero) set(b py.Bound) { z.b = b }

func collect(tok *gilt.Token, b py.Bound, out []py.Bound, kw py.Kw) {
	newRow(tok).add(b)
	newResults().add(b)
	var z zero
	z.set(b)
	out[0] = b
	kw["b"] = b
	local := map[string]py.Bound{"b": b}
	local["c"] = b
}

func contexts(ctx context.Context, tok *gilt.Token, b py.Bound) context.Context {
	var m sync.Map
	m.Store("b", b) // want `a Bound is kept in a sync.Map`
	m.Store("b", b.Unbind())
	ctx = context.WithValue(ctx, "n", 1)
	return context.WithValue(ctx, "tok", tok) // want `a token is kept in a context`
}

var cell gil.OnceCell[py.Bound] // want `package-level variable cell`
var number gil.OnceCell[int]

func cells(tok *gilt.Token) {
	_, _ = cell.GetOrInit(tok, func() (py.Bound, error) { return py.Eval(tok, "1") }) // want `a gil.OnceCell keeps a Bound: .* handles.OnceCell keeps an object for all`
	_, _ = number.GetOrInit(tok, func() (int, error) { return 1, nil })
	_, _ = pattern.GetOrInit(tok, func(tok *gilt.Token) (py.Bound, error) { return py.Eval(tok, "1") })
}

var item py.Item // want `py.Item`
