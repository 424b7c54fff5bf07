// Package handles stands for gilt's, for the tests of the analyzer.
package handles

import (
	"iter"

	"gilt/gil"
)

type Token = gil.Token

type Bound struct{ tok *Token }

func (b Bound) Token() *Token                   { return b.tok }
func (b Bound) IsZero() bool                    { return b.tok == nil }
func (b Bound) Len() (int, error)               { return 0, nil }
func (b Bound) Attr(name string) (Bound, error) { return b, nil }
func (b Bound) Call(args ...any) (Bound, error) { return b, nil }
func (b Bound) Iter() iter.Seq2[Bound, error]   { return nil }
func (b Bound) Unbind() Py                      { return Py{} }

type Borrowed struct{ Bound }

// Item shows Bounds.
type Item struct{ Key, Value Bound }

// List is a Bound with more methods.
type List struct{ Bound }

type Py struct{ p *int }

func (p Py) Bind(tok *Token) Bound      { return Bound{tok} }
func (p Py) Borrow(tok *Token) Borrowed { return Borrowed{Bound{tok}} }
func (p Py) Clone(tok *Token) Py        { return p }
func (p Py) Release()                   {}
func (p Py) IsZero() bool               { return p.p == nil }

type Kw map[string]any

type GoFunc struct {
	Name string
	Func any
}

// Func holds a token inside, as gilt's own types may, and is none.
type Func[A, R any] struct{ tok *Token }

type OnceCell struct{ b []Bound }

func (c *OnceCell) GetOrInit(tok *Token, f func(*Token) (Bound, error)) (Bound, error) { return f(tok) }

func Scope(tok *Token, f func() error) error { return tok.InScope(f) }

func Eval(tok *Token, expr string, namespace ...Bound) (Bound, error) { return Bound{tok}, nil }
func From(tok *Token, v any) (Bound, error)                           { return Bound{tok}, nil }
func As[T any](b Bound) (v T, err error)                              { return v, nil }
