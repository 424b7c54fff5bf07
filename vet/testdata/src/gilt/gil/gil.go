// Package gil stands for gilt's, for the tests of the analyzer.
package gil

import "context"

type Host struct{ tok *Token }

type Token struct{ host *Host }

var last *Token // it may

func (t *Token) AllowThreads(f func())        { f() }
func (t *Token) InScope(f func() error) error { return f() }
func (t *Token) Interpreter() int             { return 0 }
func (t *Token) Check(op string)              { last = t }

func (h *Host) Do(ctx context.Context, f func(*Token) error) error { return f(h.tok) }

type Pinned struct{ tok *Token }

func (p *Pinned) Do(ctx context.Context, f func(*Token) error) error { return f(p.tok) }

type Future[T any] struct{ value T }

func (f *Future[T]) Wait(ctx context.Context) (T, error) { return f.value, nil }
func (f *Future[T]) Done() <-chan struct{}               { return nil }

func Submit[T any](ctx context.Context, h *Host, f func(*Token) (T, error)) *Future[T] { return nil }

func Go[T any](f func() (T, error)) *Future[T] { return nil }

type Mutex struct{}

func (m *Mutex) Lock(tok *Token)           {}
func (m *Mutex) Unlock()                   {}
func (m *Mutex) With(tok *Token, f func()) { f() }

type WaitGroup struct{}

func (g *WaitGroup) Go(f func())     {}
func (g *WaitGroup) Wait(tok *Token) {}

type OnceCell[T any] struct{ value T }

func (c *OnceCell[T]) GetOrInit(tok *Token, f func() (T, error)) (T, error) { return f() }
