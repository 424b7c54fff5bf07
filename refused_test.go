package gilt_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// refuses imports modules of which at least one, on each version, does not load in an interpreter with its own GIL, as numpy inside pandas does not.
const refuses = `
def inner():
    for name in ("readline", "_curses", "_decimal"):
        try: __import__(name)
        except ModuleNotFoundError: pass
def package():
    try: inner()
    except ImportError as e: raise ImportError("IMPORTANT: PLEASE READ THIS") from e
def outer(x):
    try: package()
    except ImportError: raise ImportError("Unable to import required dependencies")
def pyo3(x): raise ImportError("PyO3 modules do not yet support subinterpreters")
def other(x): raise ImportError("something else")
`

func TestLookupNamesTheModuleThatRefused(t *testing.T) {
	pytest.NeedOwnGIL(t)
	pytest.Child(t, "refused module")
}

func refusedModule() error {
	rt, err := gilt.Open(ctx, gilt.Config{Mode: gilt.OwnGIL, Interpreters: 2, FS: []fs.FS{fstest.MapFS{
		"lazy.py": {Data: []byte(refuses)}, "eager.py": {Data: []byte(refuses + "outer(1)\n")},
	}}})
	if err != nil {
		return err
	}
	wrong := func(what string, err error) error { return fmt.Errorf("%s: %w", what, err) }
	named := func(err error) bool {
		var e *py.RefusedModuleError
		return errors.As(err, &e) && e.Module != "" && errors.Is(err, py.ImportError) && strings.Contains(err.Error(), "module "+e.Module+" does not load in an interpreter with its own GIL: open with Config.Mode gil")
	}
	if _, err := gilt.Lookup[int, int](ctx, rt, "eager:outer"); !named(err) {
		return wrong("Lookup", err)
	}
	for name, right := range map[string]func(error) bool{
		"outer": named,
		"pyo3": func(err error) bool {
			return strings.Contains(err.Error(), "a module that <go1>/lazy.py line 12 imports does not load")
		},
		"other": func(err error) bool { _, bare := err.(*py.Error); return bare },
	} {
		f, err := gilt.Lookup[int, int](ctx, rt, "lazy:"+name)
		if err != nil {
			return err
		}
		if _, err := f.Call(ctx, 1); err == nil || !right(err) {
			return wrong(name, err)
		}
	}
	return rt.Shutdown(ctx)
}
