package gil_test

import (
	"context"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"gilt/gil"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// BenchmarkWatchdog is one look of the watchdog, of which it takes four in Config.Watchdog (a second), while 64
// goroutines want Python.
func BenchmarkWatchdog(b *testing.B) {
	rt := pytest.Runtime()
	ctx, stop := context.WithCancel(context.Background())
	var look func()
	var tasks errgroup.Group
	for range 64 {
		tasks.Go(func() error {
			for ctx.Err() == nil {
				if err := rt.Do(context.Background(), func(tok *gil.Token) error { return py.Run(tok, "1 + 1") }); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := rt.Do(ctx, func(tok *gil.Token) error { look = tok.Host().WatchdogLook(time.Second); return nil }); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		look()
	}
	stop()
	if err := tasks.Wait(); err != nil {
		b.Error(err)
	}
}
