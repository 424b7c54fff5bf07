// Package right has nothing to find: it is written as programs are that use gilt well.
package right

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"gilt"
	"gilt/gil"
	py "gilt/handles"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Service is shared by all requests.
type Service struct {
	rt    *gilt.Runtime
	mu    sync.Mutex
	cache map[string]py.Py
	json  py.OnceCell
	last  error
}

func (s *Service) Get(ctx context.Context, name string) (n int, err error) {
	err = s.rt.Do(ctx, func(tok *gilt.Token) error {
		b, err := s.load(tok, name)
		if err != nil {
			return err
		}
		s.last = err
		n, err = b.Len()
		return err
	})
	return n, err
}

func (s *Service) load(tok *gilt.Token, name string) (py.Bound, error) {
	s.mu.Lock()
	p, ok := s.cache[name]
	s.mu.Unlock()
	if ok {
		return p.Bind(tok), nil
	}
	b, err := py.Eval(tok, name)
	if err != nil {
		return py.Bound{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cache[name] = p
	return b, nil
}

func (s *Service) loadAll(ctx context.Context, names []string) error {
	var g errgroup.Group
	results := make(chan int, len(names))
	for _, name := range names {
		g.Go(func() error {
			n, err := s.Get(ctx, name)
			results <- n
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	var futures []*gilt.Future[int]
	for range names {
		futures = append(futures, gilt.Submit(ctx, s.rt, func(tok *gilt.Token) (int, error) { return must(py.Eval(tok, "1")).Len() }))
	}
	for _, f := range futures {
		if _, err := f.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// table is read, row by row, in one task.
type table struct {
	tok   *gilt.Token
	rows  []row
	index map[string]py.Bound
	lines []string
	seen  int
}

type row struct {
	key py.Bound
	n   int
}

func read(tok *gilt.Token, list py.Bound) (*table, error) {
	t := &table{tok: tok, index: map[string]py.Bound{}}
	for item, err := range list.Iter() {
		if err != nil {
			return nil, err
		}
		t.add(item)
	}
	t.sort()
	tok.AllowThreads(t.write)
	tok.AllowThreads(func() { t.write(); t.seen++ })
	return t, nil
}

func (t *table) add(item py.Bound) {
	n, _ := item.Len()
	t.rows = append(t.rows, row{item, n})
	t.index["last"] = item
	t.rows[0].key = item
}

func (t *table) sort() {
	slices.SortFunc(t.rows, func(a, b row) int { return cmp.Compare(a.n, b.n) })
}

func (t *table) write() {
	for i := range t.rows {
		t.lines[i] = "line"
	}
}

func (t *table) keys() iter.Seq[py.Bound] {
	return func(yield func(py.Bound) bool) {
		for _, r := range t.rows {
			if !yield(r.key) {
				return
			}
		}
	}
}

// longest keeps memory level, and one object.
func longest(tok *gilt.Token, list py.Bound) (best py.Py, err error) {
	most := -1
	for item, err := range list.Iter() {
		if err != nil {
			return best, err
		}
		if err := py.Scope(tok, func() error {
			key, err := item.Attr("key")
			if err != nil {
				return err
			}
			if n, _ := key.Len(); n > most {
				best.Release()
				most, best = n, key.Unbind()
			}
			return nil
		}); err != nil {
			return best, err
		}
	}
	return best, nil
}

// first is a search in which a scope's function finds something older.
func first(tok *gilt.Token, all []py.Bound) py.Bound {
	var found py.Bound
	for _, b := range all {
		_ = py.Scope(tok, func() error {
			if n, _ := b.Len(); n > 0 {
				found = b
				return errors.New("found")
			}
			return nil
		})
	}
	return found
}

func waits(ctx context.Context, rt *gilt.Runtime, tok *gilt.Token, in chan int, mu *gil.Mutex) (v int) {
	tok.AllowThreads(func() { v = <-in })
	mu.With(tok, func() { v++ })
	select {
	case <-ctx.Done():
	case v = <-in:
	default:
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = rt.Do(ctx, func(tok *gilt.Token) error { _, err := py.Eval(tok, "1"); return err })
	}()
	tok.AllowThreads(func() { <-done; time.Sleep(time.Millisecond) })
	return v
}

// pair is made for numbers, where no token is, and for objects.
type pair[T any] struct{ a, b T }

var origin = pair[int]{}

func (p *pair[T]) set(a, b T) { p.a, p.b = a, b }

func pairs(tok *gilt.Token, b py.Bound) pair[py.Bound] {
	var p pair[py.Bound]
	p.set(b, b)
	setA(&p, b)
	return p
}

func setA(p *pair[py.Bound], b py.Bound) { p.a = b }

var module = []py.GoFunc{
	{Name: "length", Func: func(tok *gilt.Token, b py.Bound) (int, error) { return b.Len() }},
	{Name: "same", Func: func(b py.Bound) py.Bound { return b }},
}
