// Package gilt stands for gilt's, for the tests of the analyzer.
package gilt

import (
	"context"

	"gilt/gil"
)

type Token = gil.Token

type Future[T any] = gil.Future[T]

type Runtime struct{ host *gil.Host }

func (rt *Runtime) Do(ctx context.Context, f func(*Token) error) error     { return rt.host.Do(ctx, f) }
func (rt *Runtime) OnMain(ctx context.Context, f func(*Token) error) error { return rt.host.Do(ctx, f) }

func Submit[T any](ctx context.Context, rt *Runtime, f func(*Token) (T, error)) *Future[T] {
	return gil.Submit(ctx, rt.host, f)
}
