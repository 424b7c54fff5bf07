package handles

// importSource makes a module as an import does: it is in sys.modules while its code runs, so that it may be imported
// in a circle, and is taken out again when that raises.
const importSource = `
import importlib.util, linecache, sys
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

// ImportSource makes a module of that name from source text, which tracebacks show. It replaces one of the same name; when
// its code raises, nothing is left of it. The module is in the token's interpreter only: see Runtime.AddFS for all.
func ImportSource(tok *Token, name, source string) (Bound, error) {
	return importFrom(tok, name, "<"+name+">", source)
}

// ImportFile makes a module of that name from a file, as ImportSource does from text.
func ImportFile(tok *Token, name, file string) (Bound, error) {
	return importFrom(tok, name, file, nil)
}

func importFrom(tok *Token, name, file string, source any) (Bound, error) {
	ns, err := NewDict(tok, map[string]any{"name": name, "file": file, "source": source})
	if err != nil {
		return Bound{}, err
	}
	if err := RunFile(tok, importSource, "<gilt import>", ns); err != nil {
		return Bound{}, err
	}
	return ns.Item("m")
}
