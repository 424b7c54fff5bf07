package gilt_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"gilt"
	py "gilt/handles"
)

// What keeps the GIL is told by its name: C code as that, and a Go function, though Python called it, as one.
func TestKeptGILIsTold(t *testing.T) { inModes(t, "kept") }

func keptGIL() error {
	log := &logged{}
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	rt, err := gilt.Open(ctx, gilt.Config{Mode: mode(), Interpreters: 1, Modules: []gilt.GoModule{{Name: "host", Funcs: []gilt.GoFunc{{Name: "sleepy", Func: sleepy}}}}})
	if err != nil {
		return err
	}
	defer func() { _ = rt.Close() }()
	goCode, cCode := "the GIL: Go code kept it", "the GIL: C code that does not release it"
	told := func(words, name string, keep func(tok *gilt.Token) error) error {
		for range 40 { // what gets no processor for half the time, on a busy machine, is not told, nor is what the pacer does not see
			inside, done := make(chan bool), make(chan error)
			go func() {
				done <- rt.Do(ctx, func(tok *gilt.Token) error { close(inside); return keep(tok) })
			}()
			<-inside
			for range 3 {
				if err := rt.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, "pass") }); err != nil {
					return err
				}
			}
			if err := <-done; err != nil {
				return err
			}
			if _, after, ok := strings.Cut(log.String(), words); ok {
				if !strings.Contains(after, name) {
					return fmt.Errorf("the name is not %q: %s", name, log)
				}
				return nil
			}
		}
		if b := busy(rt); b > 0.3 {
			fmt.Printf("the machine is too busy: a thread waits for a processor %.0f%% of the time\n", 100*b)
			return nil
		}
		return fmt.Errorf("not told: %q: %s", words, log)
	}
	if err := told(goCode, "gilt_test.sleepy", func(tok *gilt.Token) error { return py.Run(tok, "import host\nhost.sleepy()") }); err != nil {
		return err
	}
	if strings.Contains(log.String(), cCode) {
		return errors.New("a Go function was taken for C code: " + log.String())
	}
	return told(cCode, "gilt_test.keptGIL", func(tok *gilt.Token) error { return py.Run(tok, "sum(range(20_000_000))") })
}

// busy is which part of the time a thread that computes waits for a processor.
func busy(rt *gilt.Runtime) (part float64) {
	_ = rt.Do(ctx, func(tok *gilt.Token) (err error) {
		part, err = py.EvalAs[float64](tok, "(lambda t: (began := t.monotonic(), had := t.thread_time(), sum(range(20_000_000)), 1 - (t.thread_time() - had) / (t.monotonic() - began))[-1])(__import__('time'))")
		return err
	})
	return part
}

func sleepy() { time.Sleep(500 * time.Millisecond) }

// C code is not Go code, whatever the thread did before.
func TestWatchdogTakesNoCCodeForGo(t *testing.T) { inModes(t, "C code") }

func cCode() error {
	log := &logged{}
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	rt, err := gilt.Open(ctx, gilt.Config{Mode: mode(), Interpreters: 1, Watchdog: 20 * time.Millisecond})
	if err != nil {
		return err
	}
	defer func() { _ = rt.Close() }()
	if err := rt.Do(ctx, func(tok *gilt.Token) error {
		_, err := py.ImportSource(tok, "m", "def csum(n): return sum(range(n))\nclass D:\n    def __del__(self): csum(10_000_000)\n")
		return err
	}); err != nil {
		return err
	}
	csum, err := gilt.Lookup[int64, int64](ctx, rt, "m:csum")
	if err != nil {
		return err
	}
	for what, keep := range map[string]func() error{
		"a prepared function": func() error { return wrong(csum.Call(ctx, 10_000_000)) },
		"submitted work": func() error {
			return wrong(gilt.Submit(ctx, rt, func(tok *gilt.Token) (int64, error) { return csum.CallIn(tok, 10_000_000) }).Wait(ctx))
		},
		"what a task leaves behind": func() error {
			return rt.Do(ctx, func(tok *gilt.Token) error { return wrong(py.Eval(tok, "__import__('m').D()")) })
		},
	} {
		for range 3 {
			done := make(chan error, 1)
			go func() { done <- keep() }()
			for running := true; running; {
				if err := rt.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, "pass") }); err != nil {
					return err
				}
				select {
				case err := <-done:
					if running = false; err != nil {
						return err
					}
				default:
				}
			}
		}
		if n := rt.Stats().Jams; n > 0 {
			return fmt.Errorf("%s: %s", what, log)
		}
	}
	return nil
}
