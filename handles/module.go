package handles

import "gilt/internal/cpython"

// Module is a module.
type Module struct{ Bound }

func (Module) class() cpython.Class { return cpython.ClassModule }

// NewModule makes an empty module: it is types.ModuleType(name). Nothing can import it unless it is put into sys.modules.
func NewModule(tok *Token, name string) (Module, error) { return construct[Module](tok, name) }

// Name is m.__name__.
func (m Module) Name() (string, error) { return attrAs[string](m.Bound, "Module.Name", "__name__") }

// File is m.__file__; ok is false if it has none, as modules written in C.
func (m Module) File() (file string, ok bool, err error) {
	const op = "Module.File"
	b, ok, err := m.lookup(op, cpython.OpLookup, "__file__")
	if !ok || b.IsNone() {
		return "", false, err
	}
	file, err = FSEncode(b)
	return file, err == nil, err
}

// Doc is m.__doc__; ok is false if it is None.
func (m Module) Doc() (doc string, ok bool, err error) {
	return optionalText(m.Bound, "Module.Doc", "__doc__")
}

// Dict is m.__dict__, the module's namespace itself.
func (m Module) Dict() (Dict, error) { return attrAs[Dict](m.Bound, "Module.Dict", "__dict__") }

// Add is m.name = value. If the module has an __all__, a list, the name comes into it.
func (m Module) Add(name string, value any) error {
	exported, ok, err := m.lookup("Module.Add", cpython.OpLookup, "__all__")
	if err != nil {
		return err
	}
	if !ok {
		return m.SetAttr(name, value)
	}
	all, err := Cast[List](exported)
	if err != nil {
		return err
	}
	if err := m.SetAttr(name, value); err != nil {
		return err
	}
	if has, err := all.Contains(name); has || err != nil {
		return err
	}
	return all.Append(name)
}
