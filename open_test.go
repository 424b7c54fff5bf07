package gilt_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

func TestOpen_TwiceIsRefused(t *testing.T) {
	for range 3 {
		if rt, err := gilt.Open(ctx, gilt.Config{}); !errors.Is(err, gilt.ErrAlreadyOpen) || rt != nil {
			t.Error(rt, err)
		}
	}
}

func TestOpen_Config(t *testing.T) {
	for _, c := range []struct {
		config gilt.Config
		say    string
	}{
		{gilt.Config{Mode: "gill"}, `Config.Mode "gill"`},
		{gilt.Config{Mode: gilt.FreeThreaded}, "not a free-threaded build"},
		{gilt.Config{Workers: -1}, "Config.Workers -1"},
		{gilt.Config{Workers: 1 << 20}, "Config.Workers"},
		{gilt.Config{MaxThreads: -1}, "Config.MaxThreads -1"},
		{gilt.Config{MaxQueued: -1}, "Config.MaxQueued -1"},
		{gilt.Config{SwitchInterval: -time.Second}, "Config.SwitchInterval -1s"},
		{gilt.Config{SwitchInterval: time.Hour}, "Config.SwitchInterval 1h"},
		{gilt.Config{Mode: gilt.OwnGIL, Interpreters: 64}, "Config.Interpreters 64"},
		{gilt.Config{Mode: gilt.GIL, Interpreters: 2}, "Config.Interpreters 2 with mode gil"},
		{gilt.Config{Mode: gilt.GIL, Interpreters: -5}, "Config.Interpreters -5"},
		{gilt.Config{Python: "/no/such/python"}, "/no/such/python"},
	} {
		rt, err := gilt.Open(ctx, c.config)
		if err == nil || rt != nil || errors.Is(err, gilt.ErrAlreadyOpen) || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%+v: %v, want an error with %q", c.config, err, c.say)
		}
	}
}

func TestInfo(t *testing.T) {
	i := pytest.Runtime().Info()
	if i.Version == "" || i.Library == "" || i.Source == "" || i.Interpreters < 1 || i.Workers < 1 || i.Mode == gilt.Auto {
		t.Errorf("%+v", i)
	}
	pytest.Do(t, func(tok *gilt.Token) {
		if v, err := py.EvalAs[string](tok, "__import__('sys').version.split()[0]"); v != i.Version || err != nil {
			t.Error(v, i.Version, err)
		}
		if v, err := py.EvalAs[string](tok, "__import__('sys').executable"); v != i.Executable || err != nil {
			t.Errorf("sys.executable %q, Info has %q, %v", v, i.Executable, err)
		}
		if v, err := py.EvalAs[[]string](tok, "__import__('sys').argv"); err != nil || len(v) > 1 {
			t.Error("sys.argv:", v, err)
		}
	})
}

// restInterval is what a switch interval is while nobody asks for the GIL, in seconds.
const restInterval = 1.5e-3

func TestRule16_SwitchInterval(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		if v, err := py.EvalAs[float64](tok, "__import__('sys').getswitchinterval()"); err != nil || v != restInterval {
			t.Error(v, err)
		}
	})
	t.Run("own GIL", func(t *testing.T) {
		pytest.NeedOwnGIL(t)
		pytest.Child(t, "own GIL")
	})
}

// In own-GIL mode every interpreter is used, and what is true of one is true of each.
func ownGIL() error {
	dir, err := os.MkdirTemp("", "gilt")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "ownmod.py"), []byte("import time\ndef f(x): time.sleep(0.002); return x + 1\ndef raises(): raise KeyError('k')\n"), 0o600); err != nil {
		return err
	}
	rt, err := gilt.Open(ctx, gilt.Config{Mode: gilt.OwnGIL, Interpreters: 3, Path: []string{dir}, SwitchInterval: 100 * time.Microsecond})
	if err != nil {
		return err
	}
	if i := rt.Info(); i.Mode != gilt.OwnGIL || i.Interpreters != 3 {
		return errors.New("Info")
	}
	f, err := gilt.Lookup[int, int](ctx, rt, "ownmod:f")
	if err != nil {
		return err
	}
	// The main interpreter, in which only OnMain runs, has the path too, once.
	if err := rt.OnMain(ctx, func(tok *gilt.Token) error {
		if tok.Interpreter() != 0 {
			return errors.New("OnMain is not in the main interpreter")
		}
		return py.Run(tok, fmt.Sprintf("import sys, ownmod\nassert sys.path[0] == %q and sys.path.count(sys.path[0]) == 1, sys.path", dir))
	}); err != nil {
		return err
	}
	type seen struct {
		id       int
		interval float64
		err      error
	}
	results := make(chan seen, 1000)
	for range 60 {
		go func() {
			var s seen
			s.err = rt.Do(ctx, func(tok *gilt.Token) (err error) {
				s.id = tok.Interpreter()
				if err := py.Run(tok, "import threading, time, sys, ownmod\nassert sys.path.count(sys.path[0]) == 1, sys.path\nassert threading.main_thread() is not threading.current_thread()\ntime.sleep(0.002)"); err != nil {
					return err
				}
				s.interval, err = py.EvalAs[float64](tok, "__import__('sys').getswitchinterval()")
				return err
			})
			results <- s
		}()
	}
	ids := map[int]int{}
	for range 60 {
		s := <-results
		if s.err != nil {
			return s.err
		}
		if s.interval > restInterval || s.interval < 99e-6 { // shorter while somebody asks, but not than configured
			return fmt.Errorf("interpreter %d has the switch interval %v", s.id, s.interval)
		}
		ids[s.id]++
	}
	if len(ids) != 3 || ids[0] != 0 {
		return errors.New("the work was not spread over the interpreters")
	}
	for range 60 {
		go func() { v, err := f.Call(ctx, 1); results <- seen{id: v, err: err} }()
	}
	for range 60 {
		if s := <-results; s.err != nil || s.id != 2 {
			return errors.Join(errors.New("a prepared call"), s.err)
		}
	}
	// A handle of one interpreter is refused by the others.
	var p py.Py
	home := 0
	if err := rt.Do(ctx, func(tok *gilt.Token) error {
		b, err := py.From(tok, []int{1})
		p, home = b.Unbind(), tok.Interpreter()
		return err
	}); err != nil {
		return err
	}
	refused := 0
	for range 200 {
		if err := rt.Do(ctx, func(tok *gilt.Token) error {
			bind := func() { p.Bind(tok) }
			if tok.Interpreter() == home {
				bind()
				return nil
			}
			for _, misuse := range []func(){bind, func() { p.Borrow(tok) }, func() { p.Clone(tok) }, func() { _, _ = py.From(tok, p) }} {
				e, err := pytest.Misused(misuse)
				if err != nil {
					return err
				}
				if !strings.Contains(e.Rule, "another interpreter") {
					return e
				}
			}
			refused++
			return py.Run(tok, "import time; time.sleep(0.0001)")
		}); err != nil {
			return err
		}
		if refused == 0 { // keep this lane busy, so that another comes
			tasks := make(chan error, 6)
			for range 6 {
				go func() {
					tasks <- rt.Do(ctx, func(tok *gilt.Token) error {
						if tok.Interpreter() != home {
							if _, err := pytest.Misused(func() { p.Bind(tok) }); err != nil {
								return err
							}
							return errRefused
						}
						return py.Run(tok, "import time; time.sleep(0.005)")
					})
				}()
			}
			for range 6 {
				if err := <-tasks; errors.Is(err, errRefused) {
					refused++
				} else if err != nil {
					return err
				}
			}
		}
	}
	if refused == 0 {
		return errors.New("no other interpreter was met")
	}
	p.Release()
	c, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return rt.Shutdown(c)
}

var errRefused = errors.New("refused")

func TestPath(t *testing.T) { pytest.Child(t, "path") }

func path() error {
	dir, err := os.MkdirTemp("", "gilt")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "json.py"), []byte("mine = True\n"), 0o600); err != nil {
		return err
	}
	rt, err := gilt.Open(ctx, gilt.Config{Path: []string{dir, "/second"}, Workers: 1, MaxThreads: 2, MaxQueued: 4})
	if err != nil {
		return err
	}
	if err := rt.Do(ctx, func(tok *gilt.Token) error {
		if err := py.Run(tok, "import sys, json\nassert json.mine\nassert sys.path[1] == '/second', sys.path\nassert '' not in sys.path, sys.path"); err != nil {
			return err
		}
		return nil
	}); err != nil {
		return err
	}
	// The queue of submitted work is bounded.
	release := make(chan struct{})
	started := make(chan struct{})
	first := gilt.Submit(ctx, rt, func(tok *gilt.Token) (int, error) {
		tok.AllowThreads(func() { close(started); <-release })
		return 1, nil
	})
	<-started
	var saturated bool
	for range 20 {
		f := gilt.Submit(ctx, rt, func(*gilt.Token) (int, error) { return 1, nil })
		select {
		case <-f.Done():
			_, err := f.Wait(ctx)
			saturated = saturated || errors.Is(err, gilt.ErrSaturated)
		default:
		}
	}
	close(release)
	if _, err := first.Wait(ctx); err != nil {
		return err
	}
	if !saturated {
		return errors.New("a queue of 4 took 20")
	}
	return rt.Shutdown(ctx)
}
