package handles_test

import (
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// mappings are a class that is a Mapping by its methods alone.
const mappings = `
import collections, collections.abc
class Mine(collections.abc.Mapping):
    def __init__(self, d): self.d = d
    def __getitem__(self, k): return self.d[k]
    def __len__(self): return len(self.d)
    def __iter__(self): return iter(self.d)
    def __repr__(self): return 'Mine'
`

func TestMapping(t *testing.T) {
	castsOnly(t, py.Cast[py.Mapping], "Mapping", []string{
		"{}", "object.__dict__", "__import__('os').environ", "__import__('collections').ChainMap()", "__import__('collections').Counter()", "__import__('collections').UserDict()",
		"type('Liar', (), {'__class__': dict})()", // a protocol has no memory of its own
	}, []string{"[]", "()", "set()", "{}.keys()", "KeysLie()", "'a'"})
	for _, create := range []string{aDict, "__import__('collections').ChainMap({'a': 1}, {1: 2})", "__import__('collections').UserDict({'a': 1, 1: 5})", "__import__('types').MappingProxyType({'a': 1, 1: 5})", "__import__('collections').defaultdict(list, a=1)"} {
		againstPython(t, create, hostileValues, py.Cast[py.Mapping],
			method[py.Mapping]{"c.get(x)", func(m py.Mapping, x py.Bound) (any, error) { return ok(m.Get(x)) }},
			method[py.Mapping]{"x in c", func(m py.Mapping, x py.Bound) (any, error) { return m.Contains(x) }},
		)
		againstPython(t, create, []string{"0"}, py.Cast[py.Mapping],
			method[py.Mapping]{"list(c.keys())", func(m py.Mapping, _ py.Bound) (any, error) { return collect(t, m.Keys()) }},
			method[py.Mapping]{"list(c.values())", func(m py.Mapping, _ py.Bound) (any, error) { return collect(t, m.Values()) }},
			method[py.Mapping]{"[[k, v] for k, v in c.items()]", func(m py.Mapping, _ py.Bound) (any, error) { return collectItems(m.Items()) }},
			method[py.Mapping]{"dict(c)", func(m py.Mapping, _ py.Bound) (any, error) { return m.Dict() }},
		)
	}
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, mappings)
		m := eval(t, tok, py.Cast[py.Mapping], "Mine({'a': None, 2: 'b'})", ns)
		if v, found, err := m.Get("a"); !found || err != nil || !v.IsNone() { // a None that is there
			t.Error(found, err)
		}
		if _, found, err := m.Get("z"); found || err != nil {
			t.Error(found, err)
		}
		wantText(t, tok, third(m.Get([]int{})), hashError(t, tok))
		bad := eval(t, tok, py.Cast[py.Mapping], "type('Bad', (Mine,), {'keys': lambda s: 1/0, 'values': lambda s: 3, 'items': lambda s: [(1, 2, 3)], 'get': lambda s, k: k})({})", ns)
		wantText(t, tok, second(collect(t, bad.Keys())), "ZeroDivisionError: division by zero")
		wantText(t, tok, second(collect(t, bad.Values())), "TypeError: 'int' object is not iterable")
		wantText(t, tok, second(collectItems(bad.Items())), "ValueError: too many values to unpack (expected 2)")
		if err := third(bad.Get(1)); err == nil {
			t.Error("a get that takes no default")
		}
		noneLeft(t, tok)
	})
}

// hashError is what Python says of a list as a key.
func hashError(t *testing.T, tok *gilt.Token) string {
	t.Helper()
	_, err := py.Eval(tok, "{}[[]]")
	if err == nil {
		t.Fatal("a list is a key")
	}
	return err.Error()
}

func TestMappingProxy(t *testing.T) {
	castsOnly(t, py.Cast[py.MappingProxy], "mappingproxy", []string{"object.__dict__", "{}.keys().mapping"}, []string{"{}", "[]", "__import__('os').environ", "type('Liar', (), {'__class__': type(object.__dict__)})()"})
	const create = "__import__('types').MappingProxyType(" + aDict + ")"
	againstPython(t, create, hostileValues, py.Cast[py.MappingProxy],
		method[py.MappingProxy]{"c.get(x)", func(m py.MappingProxy, x py.Bound) (any, error) { return ok(m.Get(x)) }},
		method[py.MappingProxy]{"c[x]", func(m py.MappingProxy, x py.Bound) (any, error) { return m.Item(x) }},
		method[py.MappingProxy]{"x in c", func(m py.MappingProxy, x py.Bound) (any, error) { return m.Contains(x) }},
		method[py.MappingProxy]{"__import__('types').MappingProxyType(x)", func(m py.MappingProxy, x py.Bound) (any, error) { return py.NewMappingProxy(m.Token(), x) }},
	)
	againstPython(t, create, []string{"0"}, py.Cast[py.MappingProxy],
		method[py.MappingProxy]{"list(c.keys())", func(m py.MappingProxy, _ py.Bound) (any, error) { return collect(t, m.Keys()) }},
		method[py.MappingProxy]{"list(c.values())", func(m py.MappingProxy, _ py.Bound) (any, error) { return collect(t, m.Values()) }},
		method[py.MappingProxy]{"[[k, v] for k, v in c.items()]", func(m py.MappingProxy, _ py.Bound) (any, error) { return collectItems(m.Items()) }},
		method[py.MappingProxy]{"c.copy()", func(m py.MappingProxy, _ py.Bound) (any, error) { return m.Copy() }},
		method[py.MappingProxy]{"dict(c)", func(m py.MappingProxy, _ py.Bound) (any, error) { return m.Dict() }},
	)
	pytest.Do(t, func(tok *gilt.Token) {
		d := must(py.NewDict(tok, map[string]any{"a": 1}))
		m := must(py.NewMappingProxy(tok, d))
		wantText(t, tok, m.SetItem("b", 2), "TypeError: 'mappingproxy' object does not support item assignment")
		wantText(t, tok, m.DelItem("a"), "TypeError: 'mappingproxy' object does not support item deletion")
		if err := d.Set("b", 2); err != nil {
			t.Fatal(err)
		}
		if v, found, err := m.Get("b"); !found || err != nil || !must(v.Equal(2)) { // it shows the dict as it is now
			t.Error(found, err)
		}
		var last error
		for item, err := range m.Items() {
			if last = err; err == nil {
				if err := d.DelItem(item.Key); err != nil {
					t.Fatal(err)
				}
			}
		}
		wantText(t, tok, last, "RuntimeError: dictionary changed size during iteration")
		if v, found, err := must(py.NewMappingProxy(tok, map[string]int{"go": 1})).Get("go"); !found || err != nil || !must(v.Equal(1)) {
			t.Error(found, err)
		}
		wantText(t, tok, second(py.NewMappingProxy(tok, nil)), "TypeError: mappingproxy() argument must be a mapping, not NoneType")
	})
}
