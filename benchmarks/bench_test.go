package benchmarks

import (
	"testing"

	"gilt/benchmarks/naive"
)

// callers runs b.N operations from n goroutines.
func callers(b *testing.B, n int, start spawn, op func(int) error) {
	b.Helper()
	var failed errOnce
	ended := make(chan struct{}, n)
	b.ResetTimer()
	for i := range n {
		share := b.N / n
		if i < b.N%n {
			share++
		}
		start(func() {
			failed.set(repeat(op)(share))
			ended <- struct{}{}
		})
	}
	for range n {
		<-ended
	}
	b.StopTimer()
	if err := failed.get(); err != nil {
		b.Fatal(err)
	}
}

// A whole task by one caller: at most 250 ns, 20 times faster than the naive one that makes a thread
// state, 1.7 times faster than the naive one that keeps it.
func BenchmarkTask(b *testing.B) {
	e := testEnv(b)
	b.Run("gilt", func(b *testing.B) {
		for b.Loop() {
			if err := e.call(0); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("naive", func(b *testing.B) { callers(b, 1, naive.Go, naiveTask) })
	b.Run("naive-kept", func(b *testing.B) { callers(b, 1, warmThread, naiveTask) })
}

// The same from 64 goroutines: at most 600 ns a task.
func BenchmarkTask64(b *testing.B) {
	e := testEnv(b)
	b.Run("gilt", func(b *testing.B) { callers(b, 64, goroutine, e.call) })
	b.Run("naive", func(b *testing.B) { callers(b, 64, naive.Go, naiveTask) })
	b.Run("naive-kept", func(b *testing.B) { callers(b, 64, warmThread, naiveTask) })
}

// Do with a call in it, by one caller and by 64.
func BenchmarkDo(b *testing.B) {
	e := testEnv(b)
	b.Run("1", func(b *testing.B) {
		for b.Loop() {
			if err := e.do(0); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("64", func(b *testing.B) { callers(b, 64, goroutine, e.do) })
}

// Submit of short tasks from 64 goroutines to 4 workers: at most 1.5 µs.
func BenchmarkSubmit64(b *testing.B) {
	callers(b, 64, goroutine, testEnv(b).submit)
}

// The naive one and ours in turn, as one figure: how many times faster. It stands for the limits of
// BenchmarkTask on a machine that others use too.
func BenchmarkTimesNaive(b *testing.B) {
	e := testEnv(b)
	for b.Loop() {
		r, err := task(1, (*env).call)(e)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(r.sides[1].min/r.sides[0].min, "times-naive")
		b.ReportMetric(r.sides[2].min/r.sides[0].min, "times-naive-kept")
		b.ReportMetric(r.sides[0].min, "ns/task")
	}
}
