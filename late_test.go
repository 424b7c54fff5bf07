package gilt_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"gilt"
	"gilt/internal/pytest"
	"gilt/scheduler"
)

// deadlined has n callers of a function that computes for 2 ms call it again and again within d, until one is refused before its deadline, and
// gives that error, and how many were refused.
func deadlined(ctx context.Context, f *gilt.Func[float64, int64], n int, d time.Duration) (*scheduler.LateError, uint64, error) {
	var callers sync.WaitGroup
	var found atomic.Pointer[scheduler.LateError]
	var refused atomic.Uint64
	var stop atomic.Bool
	wrongs := make(chan error, n)
	call := func() error {
		c, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		_, err := f.Call(c, 0.002)
		late := (*scheduler.LateError)(nil)
		switch {
		case err == nil:
		case !errors.Is(err, context.DeadlineExceeded):
			return err
		case errors.As(err, &late):
			refused.Add(1)
			if c.Err() == nil {
				found.CompareAndSwap(nil, late)
			}
			if !errors.Is(err, gilt.ErrLate) || errors.Is(err, gilt.ErrSaturated) {
				return fmt.Errorf("what is %w", err)
			}
		}
		return nil
	}
	for range n {
		callers.Go(func() {
			for !stop.Load() {
				if err := call(); err != nil {
					wrongs <- err
					return
				}
			}
		})
	}
	pytest.Until(func() bool { return found.Load() != nil || len(wrongs) > 0 })
	stop.Store(true)
	callers.Wait()
	select {
	case err := <-wrongs:
		return nil, 0, err
	default:
	}
	if found.Load() == nil {
		return nil, 0, errors.New("nobody was refused")
	}
	return found.Load(), refused.Load(), nil
}

// refusedEarly checks the error and the count of a runtime's class. Before, the function's time is known.
func refusedEarly(rt *gilt.Runtime, f *gilt.Func[float64, int64], name string) error {
	const d = 20 * time.Millisecond
	c, err := rt.Class(name)
	if err != nil {
		return err
	}
	for range 16 {
		if _, err := f.Call(gilt.WithClass(ctx, c), 0.002); err != nil {
			return err
		}
	}
	late, refused, err := deadlined(gilt.WithClass(ctx, c), f, 32, d)
	if err != nil {
		return err
	}
	if late.Class != c.Name() || late.Expected <= 0 || late.Left <= 0 || late.Left > d || late.RetryAfter <= 0 {
		return fmt.Errorf("%+v", late)
	}
	if st := c.Stats(); st.Late != refused || st.Rejected+st.Shed != 0 {
		return fmt.Errorf("%d were refused: %+v", refused, st)
	}
	return nil
}

// TestWorkThatWouldEndTooLateIsRefusedEarly: with a typed error that says how long it was expected to take, which is a
// context.DeadlineExceeded too, and is counted.
func TestWorkThatWouldEndTooLateIsRefusedEarly(t *testing.T) {
	_, rt := cancelModule(t)
	if err := refusedEarly(rt, lookupFloat(t, "spin_for"), t.Name()); err != nil {
		t.Error(err)
	}
	t.Run("own-gil", func(t *testing.T) {
		pytest.NeedOwnGIL(t)
		pytest.Child(t, "refused early")
	})
}

func refusedEarlyOwnGIL() error {
	rt, err := gilt.Open(ctx, gilt.Config{Mode: gilt.OwnGIL, Interpreters: 2})
	if err != nil {
		return err
	}
	defer func() { _ = rt.Close() }()
	if err := rt.AddFS(ctx, fstest.MapFS{"gilt_cancel.py": {Data: []byte(cancelSource)}}); err != nil {
		return err
	}
	f, err := gilt.Lookup[float64, int64](ctx, rt, "gilt_cancel:spin_for")
	if err != nil {
		return err
	}
	return refusedEarly(rt, f, "early")
}

// TestWorkThatIsNotInterruptedIsNotRefused: whoever begins ends, however late.
func TestWorkThatIsNotInterruptedIsNotRefused(t *testing.T) {
	ctx, rt := cancelModule(t)
	f := lookupFloat(t, "spin_for")
	c, err := rt.Class(t.Name())
	if err != nil {
		t.Fatal(err)
	}
	ctx = gilt.WithCancellation(gilt.WithClass(ctx, c), gilt.Never)
	for range 16 {
		if _, err := f.Call(ctx, 0.002); err != nil {
			t.Fatal(err)
		}
	}
	var callers sync.WaitGroup
	for range 16 {
		callers.Go(func() {
			for range 10 {
				c, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
				if _, err := f.Call(c, 0.002); errors.Is(err, gilt.ErrLate) {
					t.Error(err)
				}
				cancel()
			}
		})
	}
	callers.Wait()
	if st := c.Stats(); st.Late != 0 {
		t.Errorf("%+v", st)
	}
}

// TestACallerThatIsAloneIsNotRefused: though its deadline is shorter than all calls before have taken.
func TestACallerThatIsAloneIsNotRefused(t *testing.T) {
	ctx, rt := cancelModule(t)
	f := lookupFloat(t, "spin_for")
	c, err := rt.Class(t.Name())
	if err != nil {
		t.Fatal(err)
	}
	ctx = gilt.WithClass(ctx, c)
	for range 16 {
		if _, err := f.Call(ctx, 0.02); err != nil {
			t.Fatal(err)
		}
	}
	for range 16 {
		if _, err := f.Call(within(t, ctx, 15*time.Millisecond), 0.0001); errors.Is(err, gilt.ErrLate) {
			t.Error(err)
		}
	}
}
