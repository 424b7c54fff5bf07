package handles_test

import (
	"testing"

	"gilt/gil"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// BenchmarkMisuseCheck is what each operation pays for finding misuse, on Go's side and on C's.
func BenchmarkMisuseCheck(b *testing.B) {
	rt := pytest.Runtime()
	in := func(name string, f func(b *testing.B, tok *gil.Token, o py.Bound)) {
		b.Run(name, func(b *testing.B) {
			if err := rt.Do(ctx, func(tok *gil.Token) error { f(b, tok, py.None(tok)); return nil }); err != nil {
				b.Error(err)
			}
		})
	}
	in("Go", func(b *testing.B, _ *gil.Token, o py.Bound) {
		for b.Loop() {
			o.Check()
		}
	})
	in("C", func(b *testing.B, tok *gil.Token, _ py.Bound) {
		if n := tok.Entry("benchmark").CheckMany(b.N); n != b.N {
			b.Error(n, "of", b.N)
		}
	})
}
