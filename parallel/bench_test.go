package parallel_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"gilt"
	"gilt/parallel"
)

func count(n int) func(yield func(int64, error) bool) {
	return func(yield func(int64, error) bool) {
		for i := range int64(n) {
			if !yield(i, nil) {
				return
			}
		}
	}
}

func same(_ context.Context, i int64) (int64, error) { return i, nil }

// BenchmarkNative is the cost of a record in a stage that does nothing, beside the plain way over channels.
func BenchmarkNative(b *testing.B) {
	ctx := context.Background()
	for _, workers := range []int{1, 2, 4} {
		for _, ordered := range []bool{false, true} {
			b.Run(fmt.Sprintf("workers=%d/ordered=%t", workers, ordered), func(b *testing.B) {
				b.ReportAllocs()
				for _, err := range parallel.Native(ctx, count(b.N), same, parallel.Options{Workers: workers, Ordered: ordered}) {
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run(fmt.Sprintf("workers=%d/channels", workers), func(b *testing.B) {
			b.ReportAllocs()
			overChannels(ctx, b.N, workers)
		})
	}
}

func overChannels(ctx context.Context, n, workers int) {
	in, out := make(chan int64, 64), make(chan int64, 64)
	go func() {
		defer close(in)
		for i := range count(n) {
			in <- i
		}
	}()
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range in {
				v, _ := same(ctx, i)
				out <- v
			}
		})
	}
	go func() { wg.Wait(); close(out) }()
	for range out {
	}
}

// BenchmarkPython is the cost of a record in a stage of a trivial Python function, beside calling it in a loop.
func BenchmarkPython(b *testing.B) {
	ctx := context.Background()
	f, err := gilt.Lookup[int64, int64](ctx, python, "stages:same")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("loop", func(b *testing.B) {
		for i := range int64(b.N) {
			if _, err := f.Call(ctx, i); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, workers := range []int{1, 2, 4, 8} {
		for _, ordered := range []bool{false, true} {
			b.Run(fmt.Sprintf("workers=%d/ordered=%t", workers, ordered), func(b *testing.B) {
				b.ReportAllocs()
				for _, err := range parallel.Python(ctx, count(b.N), f, parallel.Options{Workers: workers, Ordered: ordered}) {
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
