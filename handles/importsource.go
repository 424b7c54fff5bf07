package handles

import "slices"

// importSource makes a module as an import does: it is in sys.modules while its code runs, so that it may be imported
// in a circle, and is taken out again when that raises.
const importSource = `
import importlib.util, linecache, sys
if name in sys.modules and not replace:
    raise ImportError(f"a module {name!r} is loaded: give another name, or handles.Replace to have it replaced", name=name)
if source is None:
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None: raise ImportError(f"{file!r} is no Python file", name=name, path=file)
else:
    spec = importlib.util.spec_from_loader(name, None, origin=file)
m = importlib.util.module_from_spec(spec)
before = sys.modules.get(name)
sys.modules[name] = m
try:
    if source is None: spec.loader.exec_module(m)
    else:
        linecache.cache[file] = (len(source), None, source.splitlines(True), file)
        exec(compile(source, file, "exec"), m.__dict__)
except BaseException:
    if before is None: sys.modules.pop(name, None)
    else: sys.modules[name] = before
    raise
m = sys.modules[name]
`

// ImportOption is how ImportSource and ImportFile import.
type ImportOption int

// Replace has a module that is loaded by the same name replaced. Who has imported it already keeps the old one.
const Replace ImportOption = 1

// ImportSource makes a module of that name from source text, which tracebacks show. When its code raises, nothing is left of it.
// The name of a module that is loaded, such as sys, is an error that matches ImportError, unless Replace is given. The module is
// in the token's interpreter only: see Runtime.AddFS for all.
func ImportSource(tok *Token, name, source string, options ...ImportOption) (Bound, error) {
	return importFrom(tok, name, "<"+name+">", source, options)
}

// ImportFile makes a module of that name from a file, as ImportSource does from text.
func ImportFile(tok *Token, name, file string, options ...ImportOption) (Bound, error) {
	return importFrom(tok, name, file, nil, options)
}

func importFrom(tok *Token, name, file string, source any, options []ImportOption) (Bound, error) {
	path, err := FSDecode(tok, file)
	if err != nil {
		return Bound{}, err
	}
	ns, err := NewDict(tok, map[string]any{"name": name, "file": path, "source": source, "replace": slices.Contains(options, Replace)})
	if err != nil {
		return Bound{}, err
	}
	if err := RunFile(tok, importSource, "<gilt import>", ns); err != nil {
		return Bound{}, err
	}
	return ns.Item("m")
}
