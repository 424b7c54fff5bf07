package gilt_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// The runtime's clock and Go's are compared when it is opened. A thread that loses its processor meanwhile makes no
// deadline early, and none so late that it could be seen.
func TestNoDeadlineIsEarly(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it needs LD_PRELOAD")
	}
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "gcc" // which cgo takes too
	}
	slow := filepath.Join(t.TempDir(), "slowclock.so")
	if out, err := exec.Command(cc, "-shared", "-fPIC", "-o", slow, "testdata/slowclock.c").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, calls := range []string{"1", "2", "3", "10"} {
		t.Run(calls, func(t *testing.T) { pytest.Child(t, "early deadline", "LD_PRELOAD="+slow, "DELAY_CALLS="+calls) })
	}
}

func earlyDeadline() error {
	rt, err := gilt.Open(ctx, gilt.Config{})
	if err != nil {
		return err
	}
	defer func() { _ = rt.Close() }()
	least := time.Hour
	for range 10 {
		deadline := time.Now().Add(40 * time.Millisecond)
		c, cancel := context.WithDeadline(ctx, deadline)
		err := rt.Do(c, func(tok *gilt.Token) error { return py.Run(tok, "while True: pass") })
		late := time.Since(deadline)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("a loop ended with: %w", err)
		}
		if late < 0 {
			return fmt.Errorf("a loop was interrupted %v before its deadline", -late)
		}
		least = min(least, late)
	}
	if least > 15*time.Millisecond { // 20 ms is what a reading is late
		return fmt.Errorf("no loop was interrupted sooner than %v after its deadline", least)
	}
	return nil
}

// Python code may set any switch interval, again and again: deadlines are kept, and the interval rests at 5 ms at most.
func TestRule16_SwitchIntervalOfPythons(t *testing.T) {
	pytest.Child(t, "switch interval")
	t.Run("own GIL", func(t *testing.T) {
		pytest.NeedOwnGIL(t)
		pytest.Child(t, "switch interval", "GILT_TEST_MODE=own-gil")
	})
}

func switchInterval() error {
	config := gilt.Config{Grace: 10 * time.Second}
	if os.Getenv("GILT_TEST_MODE") == "own-gil" {
		config.Mode, config.Interpreters = gilt.OwnGIL, 2
	}
	rt, err := gilt.Open(ctx, config)
	if err != nil {
		return err
	}
	defer func() { _ = rt.Close() }()
	if err := rt.Do(ctx, func(tok *gilt.Token) error {
		return py.Run(tok, `
import inspect, sys
sys.setswitchinterval(100)
assert sys.getswitchinterval() == 0.005, sys.getswitchinterval()
sys.setswitchinterval(0.002)
assert sys.getswitchinterval() == 0.002, sys.getswitchinterval()
for bad, error in ((0, ValueError), (-1, ValueError), ('x', TypeError), (float('nan'), None)):
    try: sys.setswitchinterval(bad)
    except error or Exception: pass
    else: assert not error, bad
assert str(inspect.signature(sys.setswitchinterval)) == '(interval, /)' and sys.setswitchinterval.__name__ == 'setswitchinterval'
`)
	}); err != nil {
		return err
	}
	stop := make(chan struct{})
	var short sync.WaitGroup
	for range 4 { // the GIL changes hands often
		short.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = rt.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, "import sys\nsys.setswitchinterval(100)") })
				}
			}
		})
	}
	defer short.Wait()
	defer close(stop)
	for range 5 {
		var all sync.WaitGroup
		late := make([]time.Duration, 4)
		for i := range late {
			all.Go(func() {
				deadline := time.Now().Add(30 * time.Millisecond)
				c, cancel := context.WithDeadline(ctx, deadline)
				defer cancel()
				_ = rt.Do(c, func(tok *gilt.Token) error { return py.Run(tok, "while True: pass") })
				late[i] = time.Since(deadline)
			})
		}
		all.Wait()
		if d := slices.Max(late); d > 2*time.Second {
			return fmt.Errorf("a loop ended %v after its deadline", d)
		}
	}
	return nil
}
