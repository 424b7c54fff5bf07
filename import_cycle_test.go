package gilt_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"gilt"
	"gilt/gil"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// A module's body waits in Go code for what a task has that waits for the import of that module: the watchdog tells of it,
// with the names, once each. It says nothing of imports and Go functions that only take long.
func TestWatchdogOfImports(t *testing.T) { everyMode(t, "import cycles") }

func importCycles() error {
	log := &logged{}
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	var mu gil.Mutex
	var rw gil.RWMutex
	var cell gil.OnceCell[int]
	var rt *gilt.Runtime
	entered, free := make(chan struct{}, 10), make(chan struct{})
	// Each kind has a module, whose body calls the function of that name.
	inBody := map[string]any{
		"mutex":   func(tok *gilt.Token) { entered <- struct{}{}; mu.Lock(tok); mu.Unlock() },
		"rwmutex": func(tok *gilt.Token) { entered <- struct{}{}; rw.RLock(tok); rw.RUnlock() },
		"cell": func(tok *gilt.Token) error {
			entered <- struct{}{}
			_, err := cell.GetOrInit(tok, func() (int, error) { return 1, nil })
			return err
		},
		"native": func(ctx context.Context) error {
			return rt.Do(ctx, func(tok *gilt.Token) error { _, err := py.Import(tok, "cycle_native"); return err })
		},
		"slow":   func() { entered <- struct{}{}; <-free },
		"locked": func(tok *gilt.Token) { entered <- struct{}{}; mu.Lock(tok); mu.Unlock() },
	}
	module, files := gilt.GoModule{Name: "cycle_host"}, fstest.MapFS{"cycle_sleep.py": {Data: []byte("import cycle_host, time\ncycle_host.note()\ntime.sleep(0.8)\n")}}
	for name, f := range inBody {
		module.Funcs = append(module.Funcs, gilt.GoFunc{Name: name, Native: name == "native" || name == "slow", Func: f})
		files["cycle_"+name+".py"] = &fstest.MapFile{Data: []byte("import cycle_host\ncycle_host." + name + "()\n")}
	}
	module.Funcs = append(module.Funcs, gilt.GoFunc{Name: "note", Func: func() { entered <- struct{}{} }})
	config := gilt.Config{Watchdog: 100 * time.Millisecond, FS: []fs.FS{files}, Modules: []gilt.GoModule{module}}
	if os.Getenv("GILT_TEST_MODE") == "own-gil" {
		config.Mode, config.Interpreters = gilt.OwnGIL, 1
	}
	var err error
	if rt, err = gilt.Open(ctx, config); err != nil {
		return err
	}
	imports := func(name string) error {
		return rt.Do(ctx, func(tok *gilt.Token) error { _, err := py.Import(tok, "cycle_"+name); return err })
	}
	// What only takes long: Python code, a Native function, a lock that a task has which waits for nobody.
	var all sync.WaitGroup
	quiet := func(name string, f func()) {
		all.Go(func() { _ = imports(name) })
		<-entered
		for range 3 {
			all.Go(func() { _ = imports(name) })
		}
		f()
		all.Wait()
	}
	quiet("sleep", func() {})
	quiet("slow", func() { time.Sleep(800 * time.Millisecond); close(free) }) // it is the time that is tested
	locked := make(chan struct{})
	all.Go(func() {
		_ = rt.Do(ctx, func(tok *gilt.Token) error {
			mu.Lock(tok)
			defer mu.Unlock()
			close(locked)
			return py.Run(tok, "import time; time.sleep(0.8)")
		})
	})
	<-locked
	quiet("locked", func() {})
	if n := rt.Stats().Jams; n != 0 {
		return fmt.Errorf("told %d times of what only takes long: %s", n, log)
	}
	// The task that locks imports once the body of the module is about to wait.
	has := func(name string, lock func(tok *gilt.Token, then func() error) error) {
		held := make(chan struct{})
		go func() {
			_ = rt.Do(ctx, func(tok *gilt.Token) error {
				return lock(tok, func() error {
					close(held)
					tok.AllowThreads(func() { <-entered })
					_, err := py.Import(tok, "cycle_"+name)
					return err
				})
			})
		}()
		<-held
		go func() { _ = imports(name) }()
	}
	told := uint64(0)
	for name, begin := range map[string]func(){
		"mutex": func() {
			has("mutex", func(tok *gilt.Token, then func() error) error { mu.Lock(tok); defer mu.Unlock(); return then() })
		},
		"rwmutex": func() {
			has("rwmutex", func(tok *gilt.Token, then func() error) error { rw.Lock(tok); defer rw.Unlock(); return then() })
		},
		"cell": func() {
			has("cell", func(tok *gilt.Token, then func() error) error {
				_, err := cell.GetOrInit(tok, func() (int, error) { return 1, then() })
				return err
			})
		},
		"native": func() { go func() { _ = imports("native") }() },
	} {
		before := log.String()
		begin()
		told++
		if !pytest.Until(func() bool { return rt.Stats().Jams >= told }) {
			return fmt.Errorf("%s: it is not told: %s", name, log)
		}
		report := strings.TrimPrefix(log.String(), before)
		for _, want := range []string{"wait for one another", "importCycles", "in acquire", "cycle_" + name + ".py:2 in <module>"} {
			if !strings.Contains(report, want) {
				return fmt.Errorf("%s: the report does not tell %q: %s", name, want, report)
			}
		}
	}
	time.Sleep(500 * time.Millisecond) // nothing more is told
	if n := rt.Stats().Jams; n != told {
		return fmt.Errorf("told %d times of %d: %s", n, told, log)
	}
	return nil // it cannot shut down
}
