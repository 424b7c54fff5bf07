package zz

import (
	"context"
	"testing"

	"gilt"
	_ "gilt/embedded"
	py "gilt/handles"
)

var benchRT *gilt.Runtime

func benchFunc(b *testing.B) *gilt.Func[int64, int64] {
	ctx := context.Background()
	if benchRT == nil {
		rt, err := gilt.Open(ctx, gilt.Config{})
		if err != nil {
			b.Fatal(err)
		}
		benchRT = rt
		rt.Do(ctx, func(tok *gilt.Token) error {
			return py.Run(tok, "import sys,types; m=types.ModuleType('tm'); exec('def f(x): return x\\n', m.__dict__); sys.modules['tm']=m")
		})
	}
	f, err := gilt.Lookup[int64, int64](ctx, benchRT, "tm:f")
	if err != nil {
		b.Fatal(err)
	}
	return f
}

func BenchmarkCall(b *testing.B) {
	f := benchFunc(b)
	ctx := context.Background()
	for i := 0; i < b.N; i++ {
		f.Call(ctx, 12345678)
	}
}

func BenchmarkCall64(b *testing.B) {
	f := benchFunc(b)
	ctx := context.Background()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			f.Call(ctx, 12345678)
		}
	})
}

func BenchmarkSubmit64(b *testing.B) {
	benchFunc(b)
	ctx := context.Background()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			gilt.Submit(ctx, benchRT, func(tok *gilt.Token) (int, error) { return 1, nil }).Wait(ctx)
		}
	})
}

func BenchmarkDo(b *testing.B) {
	benchFunc(b)
	ctx := context.Background()
	for i := 0; i < b.N; i++ {
		benchRT.Do(ctx, func(tok *gilt.Token) error { return nil })
	}
}
func BenchmarkErr(b *testing.B) {
	benchFunc(b)
	ctx := context.Background()
	b.ReportAllocs()
	f, _ := gilt.Lookup[float64, float64](ctx, benchRT, "math:sqrt")
	for i := 0; i < b.N; i++ {
		if _, err := f.Call(ctx, -1); err == nil {
			b.Fatal()
		}
	}
}
