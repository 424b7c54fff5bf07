package gilt_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
	"gilt/scheduler"
)

// Lost tasks keep their places among Config.MaxThreads. Whoever waits behind them is told, and goes on as soon as one of
// them ends.
func TestLostTasksKeepTheirPlaces(t *testing.T) { inModes(t, "lost threads") }

func lostThreads() error {
	log := &logged{}
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	rt, err := gilt.Open(ctx, gilt.Config{Mode: mode(), Interpreters: 1, MaxThreads: 2, Grace: 5 * time.Millisecond, Watchdog: 100 * time.Millisecond})
	if err != nil {
		return err
	}
	defer func() { _ = rt.Close() }()
	end, err := lose(rt, 2)
	if err != nil {
		return err
	}
	defer end.Close()
	st := rt.Stats()
	if len(st.Lost) != 2 || st.All.InFlight != 2 || st.MaxInFlight != 2 {
		return fmt.Errorf("%d are lost, %d of %d in flight, want 2, 2, 2", len(st.Lost), st.All.InFlight, st.MaxInFlight)
	}
	soon, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	for what, err := range map[string]error{
		"Do":     rt.Do(soon, func(*gilt.Token) error { return errors.New("it ran, beside two lost ones") }),
		"Submit": wrong(gilt.Submit(soon, rt, func(*gilt.Token) (int, error) { return 0, errors.New("it ran") }).Wait(ctx)),
	} {
		var e *scheduler.WaitError
		if soon.Err() == nil || !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("%s, who waits for a place: %w", what, err)
		}
		if errors.As(err, &e) && e.Waited > 0 && (e.Lost != 2 || !strings.Contains(err.Error(), "2 of them are lost")) {
			return fmt.Errorf("%s is not told of the lost: %w", what, err)
		}
	}
	waits := make(chan error)
	go func() { waits <- rt.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, "pass") }) }()
	if !pytest.Until(func() bool { return rt.Stats().Jams > 0 }) {
		return fmt.Errorf("the watchdog does not tell: %s", log)
	}
	for _, w := range []string{"lost=2", "in <module>", "gilt_test.lose"} {
		if !strings.Contains(log.String(), w) {
			return fmt.Errorf("the watchdog does not tell %q: %s", w, log)
		}
	}
	select {
	case err := <-waits:
		return fmt.Errorf("a third thread, beside two lost ones: %w", err)
	default:
	}
	if _, err := end.Write([]byte{1}); err != nil { // one comes back
		return err
	}
	if err := <-waits; err != nil {
		return err
	}
	for range 100 {
		if err := rt.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, "pass") }); err != nil {
			return err
		}
	}
	if n := rt.Stats().Jams; n != 1 {
		return fmt.Errorf("told %d times: %s", n, log)
	}
	if _, err := end.Write([]byte{1}); err != nil {
		return err
	}
	if !pytest.Until(func() bool { return len(rt.Stats().Lost) == 0 }) {
		return errors.New("the other did not come back")
	}
	return nil
}

// A function that waits without Python is not taken for quick, however often it has run: its caller is freed each time.
func TestLostWithoutPython(t *testing.T) { inModes(t, "lost without Python") }

func lostWithoutPython() error {
	rt, err := gilt.Open(ctx, gilt.Config{Mode: mode(), Interpreters: 1, Grace: 5 * time.Millisecond})
	if err != nil {
		return err
	}
	defer func() { _ = rt.Close() }()
	deadline := 20 * time.Millisecond
	for i := 0; i < 5; i++ {
		begun, end := make(chan struct{}), make(chan struct{})
		//gilt:vet-ignore Go code that waits and does not come back is what is tested
		wait := func(*gilt.Token) error { close(begun); <-end; return nil }
		tooLate := time.AfterFunc(20*time.Second, func() { close(end) })
		short, cancel := context.WithTimeout(ctx, deadline)
		err := rt.Do(short, wait)
		cancel()
		select {
		case <-begun:
		default: // the machine is busy
			tooLate.Stop()
			deadline *= 2
			i--
			continue
		}
		if !tooLate.Stop() || !errors.Is(err, gilt.ErrUninterruptible) {
			return fmt.Errorf("the caller of run %d was not freed: %v", i, err)
		}
		close(end)
		if !pytest.Until(func() bool { return len(rt.Stats().Lost) == 0 }) {
			return fmt.Errorf("run %d does not end: %v", i, rt.Stats().Lost)
		}
	}
	return nil
}

// lose makes n tasks lost, one of which ends with each byte that is written to end.
func lose(rt *gilt.Runtime, n int) (end *os.File, err error) {
	r, end, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	fd := r.Fd() // which has reads block
	for range n {
		for freed := false; !freed; { // its deadline may pass before it begins
			ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			err := rt.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, fmt.Sprintf("import os\nos.read(%d, 1)", fd)) })
			cancel()
			freed = errors.Is(err, gilt.ErrUninterruptible)
		}
	}
	return end, nil
}

// However many tasks are lost, no more threads than Config.MaxThreads are inside Python.
func TestMaxThreadsBoundsTheLost(t *testing.T) { inModes(t, "lost storm") }

const modeVar = "GILT_TEST_MODE"

// inModes runs a child in mode gil, and in own-gil where this Python has it. The child skips its test by saying why.
func inModes(t *testing.T, child string) {
	t.Helper()
	for _, mode := range []gilt.Mode{gilt.GIL, gilt.OwnGIL} {
		t.Run(string(mode), func(t *testing.T) {
			if mode == gilt.OwnGIL {
				pytest.NeedOwnGIL(t)
			}
			if why := pytest.Child(t, child, modeVar+"="+string(mode)); why != "" {
				t.Skip(why)
			}
		})
	}
}

// mode is the one that inModes wants of this child.
func mode() gilt.Mode { return gilt.Mode(os.Getenv(modeVar)) }

func lostStorm() error {
	const most = 4
	rt, err := gilt.Open(ctx, gilt.Config{Mode: mode(), Interpreters: 1, MaxThreads: most, Grace: 2 * time.Millisecond, Watchdog: -1})
	if err != nil {
		return err
	}
	defer func() { _ = rt.Close() }()
	inside := func(ctx context.Context) error {
		return rt.Do(ctx, func(tok *gilt.Token) error {
			return py.Run(tok, "import sys, time\nn, me = sys.__dict__.setdefault('inside', set()), object()\ntry:\n    n.add(me)\n    sys.most = max(len(n), getattr(sys, 'most', 0))\n    time.sleep(0.05)\nfinally: n.discard(me)")
		})
	}
	freed := make(chan bool, 1000)
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			for range 5 {
				ctx, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
				freed <- errors.Is(inside(ctx), gilt.ErrUninterruptible)
				cancel()
			}
		})
	}
	all.Wait()
	close(freed)
	n := 0
	for f := range freed {
		if f {
			n++
		}
	}
	if err := inside(ctx); err != nil {
		return err
	}
	return rt.Do(ctx, func(tok *gilt.Token) error {
		v, err := py.EvalAs[int](tok, "__import__('sys').most")
		if err == nil && (v > most || n == 0) {
			err = fmt.Errorf("%d were inside at once, want %d at most; %d callers were freed, want some", v, most, n)
		}
		return err
	})
}
