package handles

// glue gives a module of gilt's own, which is made once in each interpreter: prepare, if any, puts into its namespace
// what its source needs.
func glue(tok *Token, name, source string, prepare func(namespace Bound) error) (Bound, error) {
	ns, err := NewDict(tok, map[string]any{"source": source, "name": name})
	if err != nil {
		return Bound{}, err
	}
	if err := Run(tok, "import sys, types\nm = sys.modules.get(name)\nmade = m is None\nif made: m = types.ModuleType(name)\nd = m.__dict__", ns); err != nil {
		return Bound{}, err
	}
	m, err := ns.Item("m")
	if err != nil {
		return Bound{}, err
	}
	made, err := EvalAs[bool](tok, "made", ns)
	if err != nil || !made {
		return m, err
	}
	if prepare != nil {
		d, err := ns.Item("d")
		if err == nil {
			err = prepare(d)
		}
		if err != nil {
			return Bound{}, err
		}
	}
	return m, Run(tok, "exec(compile(source, '<' + name + '>', 'exec'), d)\nsys.modules[name] = m", ns)
}

// addFunctions puts Go functions into a namespace.
func addFunctions(tok *Token, ns Bound, functions []GoFunc) error {
	for _, f := range functions {
		b, err := NewFunction(tok, f)
		if err == nil {
			err = ns.SetItem(f.Name, b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
