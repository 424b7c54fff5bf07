package handles_test

import (
	"errors"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

const aDict = "{'a': 1, 1: 'one', None: None, (1, 2): [3]}"

func TestDict(t *testing.T) {
	castsOnly(t, py.Cast[py.Dict], "dict", []string{"{}", "type('Sub', (dict,), {})()", "__import__('collections').OrderedDict()", "__import__('collections').defaultdict(int)"},
		[]string{"[]", "object.__dict__", "__import__('os').environ", "type('Liar', (), {'__class__': dict})()", "{}.keys()"})
	againstPython(t, aDict, hostileValues, py.Cast[py.Dict],
		method[py.Dict]{"dict(x)", func(d py.Dict, x py.Bound) (any, error) { return py.DictFrom(d.Token(), x) }},
		method[py.Dict]{"c.get(x)", func(d py.Dict, x py.Bound) (any, error) { return ok(d.Get(x)) }},
		method[py.Dict]{"c.get(x, 7)", func(d py.Dict, x py.Bound) (any, error) { return d.GetOr(x, 7) }},
		method[py.Dict]{"c.get('z', x)", func(d py.Dict, x py.Bound) (any, error) { return d.GetOr("z", x) }},
		method[py.Dict]{"c.setdefault(x, 7)", func(d py.Dict, x py.Bound) (any, error) { return d.SetDefault(x, 7) }},
		method[py.Dict]{"c.setdefault('z', x)", func(d py.Dict, x py.Bound) (any, error) { return d.SetDefault("z", x) }},
		method[py.Dict]{"c.__setitem__(x, 7)", func(d py.Dict, x py.Bound) (any, error) { return done(d.Set(x, 7)) }},
		method[py.Dict]{"c.__setitem__('a', x)", func(d py.Dict, x py.Bound) (any, error) { return done(d.Set("a", x)) }},
		method[py.Dict]{"c.pop(x, None)", func(d py.Dict, x py.Bound) (any, error) { return ok(d.Pop(x)) }},
		method[py.Dict]{"c.update(x)", func(d py.Dict, x py.Bound) (any, error) { return done(d.Update(x)) }},
		method[py.Dict]{"c.update(x, b=2)", func(d py.Dict, x py.Bound) (any, error) { return done(d.Update(x, py.Named("b", 2))) }},
		method[py.Dict]{"only(dict, c | x)", func(d py.Dict, x py.Bound) (any, error) { return d.Merge(x) }},
		method[py.Dict]{"dict.fromkeys(x, 5)", func(d py.Dict, x py.Bound) (any, error) { return py.DictFromKeys(d.Token(), x, 5) }},
		method[py.Dict]{"c[x]", func(d py.Dict, x py.Bound) (any, error) { return d.Item(x) }},
		method[py.Dict]{"c.__delitem__(x)", func(d py.Dict, x py.Bound) (any, error) { return done(d.DelItem(x)) }},
		method[py.Dict]{"x in c", func(d py.Dict, x py.Bound) (any, error) { return d.Contains(x) }},
	)
	for _, create := range []string{aDict, "{}", "__import__('collections').OrderedDict(a=1, b=2)"} {
		methods := []method[py.Dict]{
			{"c.copy()", func(d py.Dict, _ py.Bound) (any, error) { return d.Copy() }},
			{"c.clear()", func(d py.Dict, _ py.Bound) (any, error) { return done(d.Clear()) }},
			{"list(c.keys())", func(d py.Dict, _ py.Bound) (any, error) { return collect(t, d.Keys()) }},
			{"list(c.values())", func(d py.Dict, _ py.Bound) (any, error) { return collect(t, d.Values()) }},
			{"c.keys()", func(d py.Dict, _ py.Bound) (any, error) { return d.KeysView() }},
			{"c.values()", func(d py.Dict, _ py.Bound) (any, error) { return d.ValuesView() }},
			{"c.items()", func(d py.Dict, _ py.Bound) (any, error) { return d.ItemsView() }},
			{"c.popitem() if c else None", popItem},
			{"[c.popitem(), c.popitem()][-1] if len(c) > 1 else None", func(d py.Dict, x py.Bound) (any, error) {
				if n, err := d.Len(); n < 2 {
					return nil, err
				}
				if _, _, err := d.PopItem(); err != nil {
					return nil, err
				}
				return popItem(d, x)
			}},
			{"[[k, v] for k, v in c.items()]", func(d py.Dict, _ py.Bound) (any, error) { return collectItems(d.Items()) }},
			{"list(c)", func(d py.Dict, _ py.Bound) (any, error) { return collect(t, d.Iter()) }},
			{"c.update()", func(d py.Dict, _ py.Bound) (any, error) { return done(d.Update(nil)) }},
			{"c.update(z=1, y=None)", func(d py.Dict, _ py.Bound) (any, error) {
				return done(d.Update(nil, py.Named("z", 1), py.Named("y", nil)))
			}},
		}
		if create == "{}" {
			methods = append(methods, method[py.Dict]{"None", popItem})
		}
		againstPython(t, create, []string{"0"}, py.Cast[py.Dict], methods...)
	}
}

func popItem(d py.Dict, _ py.Bound) (any, error) {
	item, found, err := d.PopItem()
	if err != nil || !found {
		return nil, err
	}
	return py.NewTuple(d.Token(), item.Key, item.Value)
}

func TestDictOfGo(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		d, err := py.NewDict(tok, map[string]any{"a": 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, from := range []any{map[string]int{"b": 2}, map[int]string{3: "c"}, [][]any{{"d", 4}, {nil, 5}}, must(py.NewDict(tok, map[string]any{"f": 6}))} {
			if err := d.Update(from); err != nil {
				t.Errorf("%v: %v", from, err)
			}
		}
		if s, err := d.Repr(); s != "{'a': 1, 'b': 2, 3: 'c', 'd': 4, None: 5, 'f': 6}" || err != nil {
			t.Error(s, err)
		}
		m, err := d.Merge(map[string]int{"a": 7})
		if v, found, bad := m.Get("a"); err != nil || bad != nil || !found || !must(v.Equal(7)) {
			t.Error(err, bad)
		}
		if v, found, err := d.Get("a"); err != nil || !found || !must(v.Equal(1)) {
			t.Error("the merged dict changed:", err)
		}
		if _, found, err := d.Pop("none"); found || err != nil {
			t.Error(found, err)
		}
		if v, found, err := d.Pop(nil); !found || err != nil || !must(v.Equal(5)) {
			t.Error(found, err)
		}
		k, err := py.DictFromKeys(tok, []string{"x", "y"}, nil)
		if s, bad := k.Repr(); s != "{'x': None, 'y': None}" || err != nil || bad != nil {
			t.Error(s, err, bad)
		}
		if e, err := py.NewDict(tok, nil); err != nil || must(e.Len()) != 0 {
			t.Error(err)
		} else if _, found, err := e.PopItem(); found || err != nil {
			t.Error(found, err)
		}
		bad := make(chan int)
		for what, err := range map[string]error{
			"NewDict": second(py.NewDict(tok, map[string]any{"a": bad})), "Set": d.Set(bad, 1), "value": d.Set(1, bad), "GetOr": second(d.GetOr(1, bad)), "SetDefault": second(d.SetDefault(bad, 1)),
			"Update": d.Update(bad), "named": d.Update(nil, py.Named("a", bad)), "Merge": second(d.Merge(bad)), "DictFromKeys": second(py.DictFromKeys(tok, bad, 1)),
			"Get": third(d.Get(bad)), "Pop": third(d.Pop(bad)), "not UTF-8": third(d.Get("\xff")), "pop not UTF-8": third(d.Pop("\xff")),
		} {
			if err == nil {
				t.Error(what, "is no error")
			}
			noneLeft(t, tok)
		}
	})
}

func third[T, U any](_ T, _ U, err error) error { return err }

// A subclass's methods count. Only the KeyError of an empty dict means that it is empty.
func TestDictSubclass(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, `
class Sub(dict):
    def __missing__(self, k): return 'missing'
    def __or__(self, other): return 3
    def keys(self): return [1]
    def values(self): return None
    def items(self): return self
    def copy(self): return []
    def get(self, k, d=None): return ('get', k)
    def setdefault(self, k, d): return ('setdefault', k, d)
    def update(self, *a, **k): dict.__setitem__(self, 'updated', (a, k))
    def pop(self, k, d): return d if k == 'none' else ('pop', k)
    def popitem(self): return self.then()
    def group(self): raise ExceptionGroup('g', [KeyError('in')])
    def caused(self):
        try: raise KeyError('cause')
        except KeyError as e: raise ValueError('v') from e
    def empty(self): raise KeyError('empty')
    def odd(self): return (1, 2, 3)
    def number(self): return 3
sub = Sub(a=1)
`)
		d := eval(t, tok, py.Cast[py.Dict], "sub", ns)
		for want, err := range map[string]error{
			"TypeError: 'int' object is not an instance of 'dict'":             second(d.Merge(d)),
			"TypeError: 'list' object is not an instance of 'dict'":            second(d.Copy()),
			"TypeError: 'list' object is not an instance of 'dict_keys'":       second(d.KeysView()),
			"TypeError: 'NoneType' object is not an instance of 'dict_values'": second(d.ValuesView()),
			"TypeError: 'Sub' object is not an instance of 'dict_items'":       second(d.ItemsView()),
		} {
			wantText(t, tok, err, want)
		}
		if _, found, err := d.Get("z"); found || err != nil { // __missing__ is of d[k]
			t.Error(found, err)
		}
		if v, err := d.Item("z"); err != nil || must(v.Str()) != "missing" {
			t.Error(err)
		}
		if _, found, err := d.Pop("none"); found || err != nil {
			t.Error(found, err)
		}
		if err := d.Update(map[string]int{"q": 1}, py.Named("w", 2)); err != nil {
			t.Error(err)
		}
		for want, v := range map[string]any{
			"('get', 1)": must(d.GetOr(1, 2)), "('setdefault', 1, 2)": must(d.SetDefault(1, 2)), "('pop', 1)": must(ok(d.Pop(1))), "(({'q': 1},), {'w': 2})": must(ok(d.Get("updated"))),
		} {
			if s := must(v.(py.Bound).Repr()); s != want {
				t.Errorf("%s, want %s", s, want)
			}
		}
		popItem := func(then string) (bool, error) {
			if err := d.SetAttr("then", must(d.Attr(then))); err != nil {
				t.Fatal(err)
			}
			_, found, err := d.PopItem()
			noneLeft(t, tok)
			return found, err
		}
		for then, want := range map[string]string{"caused": "ValueError: v", "odd": "ValueError: too many values to unpack (expected 2)", "number": "TypeError: 'int' object is not iterable"} {
			_, err := popItem(then)
			wantText(t, tok, err, want)
		}
		if found, err := popItem("empty"); found || err != nil {
			t.Error(found, err)
		}
		if _, err := popItem("group"); pytest.Minor(t) >= 11 && err == nil || err != nil && errors.Is(err, py.NameError) != (pytest.Minor(t) < 11) {
			t.Error("a group with a KeyError:", err)
		}
	})
}

func TestDictViews(t *testing.T) {
	castsOnly(t, py.Cast[py.DictKeys], "dict_keys", []string{"{}.keys()", "__import__('collections').OrderedDict().keys()"}, []string{"{}", "{}.values()", "{}.items()", "[]", "object.__dict__.items()"})
	castsOnly(t, py.Cast[py.DictValues], "dict_values", []string{"{}.values()"}, []string{"{}", "{}.keys()", "{}.items()"})
	castsOnly(t, py.Cast[py.DictItems], "dict_items", []string{"{}.items()"}, []string{"{}", "{}.values()", "{}.keys()"})
	againstPython(t, "{'a': 5, 1: 2, 5: 6}.keys()", hostileValues, py.Cast[py.DictKeys],
		method[py.DictKeys]{"c | x", func(k py.DictKeys, x py.Bound) (any, error) { return k.Union(x) }},
		method[py.DictKeys]{"c & x", func(k py.DictKeys, x py.Bound) (any, error) { return k.Intersection(x) }},
		method[py.DictKeys]{"c - x", func(k py.DictKeys, x py.Bound) (any, error) { return k.Difference(x) }},
		method[py.DictKeys]{"c ^ x", func(k py.DictKeys, x py.Bound) (any, error) { return k.SymmetricDifference(x) }},
		method[py.DictKeys]{"bool(c <= x)", func(k py.DictKeys, x py.Bound) (any, error) { return k.IsSubset(x) }},
		method[py.DictKeys]{"bool(c >= x)", func(k py.DictKeys, x py.Bound) (any, error) { return k.IsSuperset(x) }},
		method[py.DictKeys]{"c.isdisjoint(x)", func(k py.DictKeys, x py.Bound) (any, error) { return k.IsDisjoint(x) }},
		method[py.DictKeys]{"c.mapping", func(k py.DictKeys, x py.Bound) (any, error) { return k.Mapping() }},
		method[py.DictKeys]{"list(c)", func(k py.DictKeys, x py.Bound) (any, error) { return collect(t, k.Iter()) }},
	)
	againstPython(t, "{'a': 5, 1: 2}.items()", hostileValues, py.Cast[py.DictItems],
		method[py.DictItems]{"c | x", func(i py.DictItems, x py.Bound) (any, error) { return i.Union(x) }},
		method[py.DictItems]{"c & x", func(i py.DictItems, x py.Bound) (any, error) { return i.Intersection(x) }},
		method[py.DictItems]{"c - x", func(i py.DictItems, x py.Bound) (any, error) { return i.Difference(x) }},
		method[py.DictItems]{"c ^ x", func(i py.DictItems, x py.Bound) (any, error) { return i.SymmetricDifference(x) }},
		method[py.DictItems]{"bool(c <= x)", func(i py.DictItems, x py.Bound) (any, error) { return i.IsSubset(x) }},
		method[py.DictItems]{"bool(c >= x)", func(i py.DictItems, x py.Bound) (any, error) { return i.IsSuperset(x) }},
		method[py.DictItems]{"c.isdisjoint(x)", func(i py.DictItems, x py.Bound) (any, error) { return i.IsDisjoint(x) }},
		method[py.DictItems]{"c.mapping", func(i py.DictItems, x py.Bound) (any, error) { return i.Mapping() }},
		method[py.DictItems]{"[[k, v] for k, v in c]", func(i py.DictItems, x py.Bound) (any, error) { return collectItems(i.Items()) }},
	)
	againstPython(t, "{'a': [], 1: 2}.items()", []string{"[('a', 5)]"}, py.Cast[py.DictItems], // one has no hash
		method[py.DictItems]{"c | x", func(i py.DictItems, x py.Bound) (any, error) { return i.Union(x) }},
		method[py.DictItems]{"c & x", func(i py.DictItems, x py.Bound) (any, error) { return i.Intersection(x) }},
	)
	againstPython(t, "{'a': 5, 1: 2}.values()", []string{"5"}, py.Cast[py.DictValues],
		method[py.DictValues]{"x in c", func(v py.DictValues, x py.Bound) (any, error) { return v.Contains(x) }},
		method[py.DictValues]{"c.mapping", func(v py.DictValues, x py.Bound) (any, error) { return v.Mapping() }},
		method[py.DictValues]{"len(c)", func(v py.DictValues, x py.Bound) (any, error) { return v.Len() }},
		method[py.DictValues]{"list(c)", func(v py.DictValues, x py.Bound) (any, error) { return collect(t, v.Iter()) }},
	)
}

// A view shows the dict as it is now, and a loop over it minds changes.
func TestDictViewsAreLive(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		d := must(py.NewDict(tok, map[string]any{"a": 1}))
		keys, items := must(d.KeysView()), must(d.ItemsView())
		if err := d.Set("b", 2); err != nil {
			t.Fatal(err)
		}
		if n := must(keys.Len()); n != 2 {
			t.Error(n)
		}
		if u := must(keys.Union([]string{"c"})); must(u.Len()) != 3 {
			t.Error(u.Repr())
		}
		var last error
		for item, err := range items.Items() {
			if last = err; err == nil {
				if err := d.Set(item.Value, 1); err != nil {
					t.Fatal(err)
				}
			}
		}
		wantText(t, tok, last, "RuntimeError: dictionary changed size during iteration")
		err := must(keys.Mapping()).SetItem("a", 1)
		wantText(t, tok, err, "TypeError: 'mappingproxy' object does not support item assignment")
	})
}
