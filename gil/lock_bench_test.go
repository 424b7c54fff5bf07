package gil_test

import (
	"sync"
	"testing"

	"gilt"
	"gilt/gil"
	"gilt/internal/pytest"
)

func BenchmarkUncontended(b *testing.B) {
	var std sync.Mutex
	var m gil.Mutex
	var stdrw sync.RWMutex
	var rw gil.RWMutex
	var once sync.Once
	var cell gil.OnceCell[int]
	n := 0
	one := func() (int, error) { return 1, nil }
	for _, c := range []struct {
		name string
		f    func(tok *gilt.Token)
	}{
		{"sync.Mutex", func(*gilt.Token) { std.Lock(); n++; std.Unlock() }},
		{"Mutex nil", func(*gilt.Token) { m.Lock(nil); n++; m.Unlock() }},
		{"Mutex token", func(tok *gilt.Token) { m.Lock(tok); n++; m.Unlock() }},
		{"Mutex context", func(tok *gilt.Token) { _ = m.LockContext(ctx, tok); n++; m.Unlock() }},
		{"sync.RWMutex.RLock", func(*gilt.Token) { stdrw.RLock(); n++; stdrw.RUnlock() }},
		{"RWMutex.RLock token", func(tok *gilt.Token) { rw.RLock(tok); n++; rw.RUnlock() }},
		{"sync.RWMutex.Lock", func(*gilt.Token) { stdrw.Lock(); n++; stdrw.Unlock() }},
		{"RWMutex.Lock token", func(tok *gilt.Token) { rw.Lock(tok); n++; rw.Unlock() }},
		{"sync.Once", func(*gilt.Token) { once.Do(func() {}) }},
		{"OnceCell", func(tok *gilt.Token) { _, _ = cell.GetOrInit(tok, one) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			pytest.Do(b, func(tok *gilt.Token) {
				for b.Loop() {
					c.f(tok)
				}
			})
		})
	}
}

// Goroutines without Python that fight for a lock, and tasks whose locked part gives the GIL up.
func BenchmarkContended(b *testing.B) {
	var std sync.Mutex
	var m gil.Mutex
	n := 0
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"sync.Mutex", func() { std.Lock(); n++; std.Unlock() }},
		{"Mutex", func() { m.Lock(nil); n++; m.Unlock() }},
	} {
		b.Run("goroutines/"+c.name, func(b *testing.B) {
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					c.f()
				}
			})
		})
	}
	locked := func(tok *gilt.Token) { evaluated(tok, "__import__('time').sleep(0)") }
	for _, c := range []struct {
		name string
		f    func(tok *gilt.Token)
	}{
		{"AllowThreads around sync.Mutex", func(tok *gilt.Token) { tok.AllowThreads(std.Lock); locked(tok); std.Unlock() }},
		{"Mutex", func(tok *gilt.Token) { m.With(tok, func() { locked(tok) }) }},
	} {
		b.Run("tasks/"+c.name, func(b *testing.B) {
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_ = pytest.Runtime().Do(ctx, func(tok *gilt.Token) error { c.f(tok); return nil })
				}
			})
		})
	}
}
