package gilt_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// Code that makes a KeyboardInterrupt of its interruption.
func TestInterruptedByKeyboard(t *testing.T) {
	_, rt := cancelModule(t)
	err := doWithin(t, rt, 200*time.Millisecond, func(tok *gilt.Token) error {
		return py.Run(tok, "n = 0\ntry:\n    n = 1\n    while True: n += 1\n    n = 2\nexcept BaseException:\n    raise KeyboardInterrupt")
	})
	interrupted(t, "KeyboardInterrupt", err)
	if !errors.Is(err, py.KeyboardInterrupt) {
		t.Error(err)
	}
	clean(t, 1000)
}

func TestSignalsDuringInterruptions(t *testing.T) { pytest.Child(t, "cancel signals") }

// cancelSignals: SIGINT all the time, which Python handles on its main thread and raises there, while tasks are interrupted
// on others and on the main thread Python code is told by the handler.
func cancelSignals() error {
	rt, err := gilt.Open(ctx, gilt.Config{})
	if err != nil {
		return err
	}
	err = rt.OnMain(ctx, func(tok *gilt.Token) error {
		return py.Run(tok, "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)")
	})
	if err != nil {
		return err
	}
	var over atomic.Bool
	var work, signals errgroup.Group
	signals.Go(func() error {
		for !over.Load() {
			if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
				return err
			}
			time.Sleep(time.Millisecond) // between signals
		}
		return nil
	})
	for i := range 4 {
		work.Go(func() error {
			for range 50 {
				ctx, cancel := context.WithTimeout(ctx, time.Duration(2+i)*time.Millisecond)
				err := rt.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, "n = 0\nwhile True: n += 1") })
				cancel()
				if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, py.KeyboardInterrupt) {
					return fmt.Errorf("interrupted: %w", err)
				}
				if err := rt.Do(context.Background(), func(tok *gilt.Token) error { return py.Run(tok, "sum(range(100))") }); err != nil {
					return fmt.Errorf("not interrupted: %w", err)
				}
			}
			return nil
		})
	}
	for range 20 {
		err := rt.OnMain(ctx, func(tok *gilt.Token) error { return py.Run(tok, "n = 0\nwhile True: n += 1") })
		if !errors.Is(err, py.KeyboardInterrupt) || errors.Is(err, py.Cancelled) {
			return fmt.Errorf("on the main thread: %w", err)
		}
	}
	err = work.Wait()
	over.Store(true)
	signal.Ignore(syscall.SIGINT) // what is still on its way
	return errors.Join(err, signals.Wait(), rt.Close())
}
