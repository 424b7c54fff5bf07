package gilt_test

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// Behaviours that need a process of their own, or fit in no other file.

// openRace: two goroutines open Python while sitecustomize is slow. One has it, whole; the other is told.
func openRace() error {
	dir, err := os.MkdirTemp("", "gilt")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(dir+"/sitecustomize.py", []byte("import time, sys\ntime.sleep(0.3)\nsys.customized = True\n"), 0o600); err != nil {
		return err
	}
	if err := os.Setenv("PYTHONPATH", dir); err != nil {
		return err
	}
	var runtimes [2]*gilt.Runtime
	var errs [2]error
	var both sync.WaitGroup
	for i := range 2 {
		both.Go(func() {
			if runtimes[i], errs[i] = gilt.Open(ctx, gilt.Config{}); errs[i] == nil {
				errs[i] = runtimes[i].Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, "import sys; assert sys.customized") })
			}
		})
	}
	both.Wait()
	if runtimes[0] == nil {
		runtimes[0], runtimes[1] = runtimes[1], runtimes[0]
		errs[0], errs[1] = errs[1], errs[0]
	}
	if runtimes[0] == nil || runtimes[1] != nil || errs[0] != nil || !errors.Is(errs[1], gilt.ErrAlreadyOpen) {
		return fmt.Errorf("%v, %v", errs[0], errs[1])
	}
	return runtimes[0].Shutdown(ctx)
}

func TestBehaviour03_TwoOpen(t *testing.T) { pytest.Child(t, "open race") }

// The __del__ of a handle that was released while nobody was attached runs at a later attach; what it raises goes to
// sys.unraisablehook, and no error stays pending.
func TestBehaviour04_FinalizerThatRaises(t *testing.T) {
	var p py.Py
	pytest.Do(t, func(tok *gilt.Token) {
		ns, err := py.NewDict(tok, nil)
		if err != nil {
			t.Fatal(err)
		}
		src := "import sys\nsys.gilt_seen = []\nsys.gilt_hook = sys.unraisablehook\nsys.unraisablehook = lambda u: sys.gilt_seen.append(str(u.exc_value))\n" +
			"class C:\n    def __del__(self): raise ValueError('in del')\nc = C()"
		if err := py.Run(tok, src, ns); err != nil {
			t.Fatal(err)
		}
		c, err := ns.Item("c")
		if err != nil {
			t.Fatal(err)
		}
		p = c.Unbind()
		if err := ns.DelItem("c"); err != nil {
			t.Fatal(err)
		}
	})
	p.Release()
	pytest.Do(t, func(tok *gilt.Token) {
		v, err := py.EvalAs[[]string](tok, "__import__('sys').gilt_seen")
		if err != nil || len(v) != 1 || v[0] != "in del" {
			t.Error(v, err)
		}
		if err := py.Run(tok, "import sys\nsys.unraisablehook = sys.gilt_hook"); err != nil {
			t.Error(err)
		}
	})
}

func TestBehaviour16_RaiseOfNoException(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		if err := py.Run(tok, "raise 3"); !errors.Is(err, py.TypeError) || err.Error() != "TypeError: exceptions must derive from BaseException" {
			t.Error(err)
		}
	})
}
