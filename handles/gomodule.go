package handles

import (
	"fmt"
	"slices"
	"strings"
)

// GoModule is a Python module made of Go functions and values: Config.Modules and Runtime.AddModule make it, so
// that Python code may import it.
type GoModule struct {
	// Name is what Python imports: an identifier, of a submodule the last part only.
	Name string
	// Doc is its doc string.
	Doc string
	// Funcs are its functions.
	Funcs []GoFunc
	// Values are its constants, converted as From does.
	Values map[string]any
	// Exceptions are exception classes, each with the class it is made from: "NotFound": py.LookupError.
	Exceptions map[string]ExceptionClass
	// Modules are its submodules.
	Modules []GoModule
}

const makeModule = `
import sys, types, importlib.machinery
if name in sys.modules: raise ImportError(f"a module {name!r} exists already", name=name)
m = types.ModuleType(name, doc)
m.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=package)
m.__package__ = name if package else name.rpartition(".")[0]
if package: m.__path__ = []
`

// Install makes the module in the token's interpreter: Runtime.AddModule does for all. A name that is imported
// already is an ImportError, and nothing is left of a module that cannot be made.
func Install(tok *Token, m GoModule) error {
	var made []string
	_, err := m.build(tok, "", &made)
	if err == nil {
		return nil
	}
	if len(made) > 0 {
		ns, failed := NewDict(tok, map[string]any{"names": made})
		if failed == nil {
			failed = Run(tok, "import sys\nfor n in names: sys.modules.pop(n, None)", ns)
		}
		if failed != nil {
			return failed
		}
	}
	return fmt.Errorf("gilt: Go module %q: %w", m.Name, err)
}

// build makes m below parent ("" or "pkg."), and notes the names that it puts into sys.modules.
func (m GoModule) build(tok *Token, parent string, made *[]string) (Bound, error) {
	if m.Name == "" || strings.ContainsAny(m.Name, ".\x00") {
		return Bound{}, conversionError(ValueError, "module name %q: give an identifier", m.Name)
	}
	name := parent + m.Name
	ns, err := NewDict(tok, map[string]any{"name": name, "doc": m.Doc, "package": len(m.Modules) > 0})
	if err != nil {
		return Bound{}, err
	}
	if err := Run(tok, makeModule, ns); err != nil {
		return Bound{}, err
	}
	module, err := ns.Item("m")
	if err != nil {
		return Bound{}, err
	}
	names := make([]string, 0, len(m.Values))
	for n := range m.Values {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		if err := module.SetAttr(n, m.Values[n]); err != nil {
			return Bound{}, argumentError(err, "value %s", n)
		}
	}
	for n, base := range m.Exceptions {
		if err := module.addException(tok, name, n, base); err != nil {
			return Bound{}, argumentError(err, "exception %s", n)
		}
	}
	for _, f := range m.Funcs {
		b, err := NewFunction(tok, f)
		if err == nil {
			err = b.SetAttr("__module__", name)
		}
		if err == nil {
			err = module.SetAttr(f.Name, b)
		}
		if err != nil {
			return Bound{}, err
		}
	}
	*made = append(*made, name)
	if err := Run(tok, "sys.modules[name] = m", ns); err != nil {
		return Bound{}, err
	}
	for _, sub := range m.Modules {
		b, err := sub.build(tok, name+".", made)
		if err == nil {
			err = module.SetAttr(sub.Name, b)
		}
		if err != nil {
			return Bound{}, err
		}
	}
	return module, nil
}

func (b Bound) addException(tok *Token, module, name string, base ExceptionClass) error {
	class, err := exceptionClass(tok, string(base))
	if err != nil {
		return err
	}
	ns, err := NewDict(tok, map[string]any{"m": b, "module": module, "name": name, "base": class})
	if err != nil {
		return err
	}
	return Run(tok, "if not (isinstance(base, type) and issubclass(base, BaseException)): raise TypeError(f'{base!r} is no exception class')\n"+
		"setattr(m, name, type(name, (base,), {'__module__': module}))", ns)
}
