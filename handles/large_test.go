package handles_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// Nothing that is large keeps others from Python while Go or C copies it.
func TestLarge_OthersHaveTurnsBesideATask(t *testing.T) {
	pytest.Install(t, "gilt_large", "def one(n): return n\n")
	one, err := gilt.Lookup[int, int](context.Background(), pytest.Runtime(), "gilt_large:one")
	if err != nil {
		t.Fatal(err)
	}
	data, numbers, nested := make([]byte, 64<<20), make([]int64, 3_000_000), make([][]int, 300_000)
	for i := range nested {
		nested[i] = []int{i}
	}
	text := strings.Repeat("é", 16<<20)
	for name, f := range map[string]func(tok *gilt.Token) error{
		"bytes":     func(tok *gilt.Token) error { b, err := py.NewBytes(tok, data); return cmp(b.Bound, err, len(data)) },
		"bytearray": func(tok *gilt.Token) error { b, err := py.NewByteArray(tok, data); return cmp(b.Bound, err, len(data)) },
		"text":      func(tok *gilt.Token) error { s, err := py.NewStr(tok, text); return cmp(s.Bound, err, 16<<20) },
		"list": func(tok *gilt.Token) error {
			l, err := py.ListFrom(tok, numbers)
			return cmp(l.Bound, err, len(numbers))
		},
		"nested": func(tok *gilt.Token) error { l, err := py.ListFrom(tok, nested); return cmp(l.Bound, err, len(nested)) },
		"Extend": func(tok *gilt.Token) error {
			l, err := py.NewList(tok)
			if err == nil {
				err = l.Extend(numbers)
			}
			return cmp(l.Bound, err, len(numbers))
		},
	} {
		var turns, during int64
		var running atomic.Bool
		done := make(chan error)
		go func() {
			done <- pytest.Runtime().Do(context.Background(), func(tok *gilt.Token) error {
				if err := py.Run(tok, "1"); err != nil { // attached
					return err
				}
				running.Store(true)
				defer running.Store(false)
				return f(tok)
			})
		}()
		for ended := false; !ended; turns++ {
			before := running.Load()
			if v, err := one.Call(context.Background(), 1); v != 1 || err != nil {
				t.Error(v, err)
			}
			if before && running.Load() {
				during++
			}
			select {
			case err := <-done:
				if ended = true; err != nil {
					t.Errorf("%s: %v", name, err)
				}
			default:
			}
		}
		if during < 5 {
			t.Errorf("%s: %d turns of others", name, during)
		}
	}
}

func cmp(b py.Bound, err error, want int) error {
	if err != nil {
		return err
	}
	if n, err := b.Len(); n != want || err != nil {
		return fmt.Errorf("%d items, want %d: %w", n, want, err)
	}
	return nil
}

// Extend in parts gives what Extend at once gives, also by the list itself.
func TestLarge_Extend(t *testing.T) {
	const n = 200_001
	want := make([]int, n)
	for i := range want {
		want[i] = i
	}
	pytest.Do(t, func(tok *gilt.Token) {
		l, err := py.NewList(tok, -1)
		if err == nil {
			err = l.Extend(want)
		}
		if err == nil {
			err = l.Extend(l)
		}
		all := append([]int{-1}, want...)
		if got, as := py.As[[]int](l); err != nil || as != nil || !slices.Equal(got, append(slices.Clone(all), all...)) {
			t.Error(len(got), err, as)
		}
	})
}

// Go copies a large value before C does, and not with the GIL.
func TestLarge_GoCopiesWithoutTheGIL(t *testing.T) {
	text := strings.Repeat("x", 1<<19)
	for name, v := range map[string]any{
		"text": []any{text, make(chan int)}, "bytes": []any{[]byte(text), make(chan int)}, "numbers": []any{make([]int64, 1<<17), make(chan int)},
		"nested": []any{make([][4]int, 1<<15), make(chan int)}, "named": []any{named(text), make(chan int)},
	} {
		pytest.Do(t, func(tok *gilt.Token) {
			pytest.Eventually(t, "an operation comes back attached", func() bool {
				return py.Run(tok, "1") == nil && tok.Entry("a test").Operation() != 0
			})
			if _, err := py.From(tok, v); err == nil { // in Go: C does nothing
				t.Error("a channel is converted")
			}
			if tok.Entry("a test").Operation() != 0 {
				t.Errorf("%s: the GIL is kept while Go copies", name)
			}
		})
	}
}

type named []byte
