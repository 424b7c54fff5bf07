package handles

import (
	"iter"

	"gilt/internal/cpython"
)

// Mapping is any mapping: what is a collections.abc.Mapping, such as a dict, a MappingProxy, os.environ, or a ChainMap.
type Mapping struct{ Bound }

func (Mapping) class() cpython.Class { return cpython.ClassMapping }

// Get is m.get(key): the value of a key; ok is false when there is none.
func (m Mapping) Get(key any) (v Bound, ok bool, err error) {
	return m.unlessMissing("Mapping.Get", "get", key)
}

// Keys iterates over m.keys().
func (m Mapping) Keys() iter.Seq2[Bound, error] { return parts(m.Bound, "Mapping.Keys", "keys") }

// Values iterates over m.values().
func (m Mapping) Values() iter.Seq2[Bound, error] { return parts(m.Bound, "Mapping.Values", "values") }

// Items iterates over the keys and values of m.items(): those of a dict are brought several at a time, as by Dict.Items.
func (m Mapping) Items() iter.Seq2[Item, error] { return entries(m.Bound, "Mapping.Items") }

// Dict is dict(m).
func (m Mapping) Dict() (Dict, error) { return construct[Dict](m.tok, m.Bound) }

// MappingProxy is a read-only view of a mapping, as vars(class) gives it.
type MappingProxy struct{ Bound }

func (MappingProxy) class() cpython.Class { return cpython.ClassMappingProxy }

// NewMappingProxy is types.MappingProxyType(mapping). A Go map is converted first.
func NewMappingProxy(tok *Token, mapping any) (MappingProxy, error) {
	return construct[MappingProxy](tok, mapping)
}

// Get is m.get(key): the value of a key; ok is false when there is none.
func (m MappingProxy) Get(key any) (v Bound, ok bool, err error) {
	return m.unlessMissing("MappingProxy.Get", "get", key)
}

// Keys iterates over m.keys().
func (m MappingProxy) Keys() iter.Seq2[Bound, error] {
	return parts(m.Bound, "MappingProxy.Keys", "keys")
}

// Values iterates over m.values().
func (m MappingProxy) Values() iter.Seq2[Bound, error] {
	return parts(m.Bound, "MappingProxy.Values", "values")
}

// Items iterates over the keys and values of m.items().
func (m MappingProxy) Items() iter.Seq2[Item, error] { return pairs(m.Bound, "MappingProxy.Items") }

// Copy is m.copy(): of a dict a new dict of the same items.
func (m MappingProxy) Copy() (Bound, error) { return m.callBound("MappingProxy.Copy", "copy", nil) }

// Dict is dict(m), a new dict of the same items.
func (m MappingProxy) Dict() (Dict, error) { return construct[Dict](m.tok, m.Bound) }

// parts iterates over what a mapping's method gives.
func parts(b Bound, op, method string) iter.Seq2[Bound, error] {
	return func(yield func(Bound, error) bool) {
		all, err := b.callBound(op, method, nil)
		if err != nil {
			yield(Bound{}, err)
			return
		}
		all.Iter()(yield)
	}
}

// missing is an object that no mapping has.
var missing OnceCell

// unlessMissing is b.method(key, what says that there is none).
func (b Bound) unlessMissing(op, method string, key any) (v Bound, ok bool, err error) {
	b.entry(op)
	none, err := missing.GetOrInit(b.tok, func(tok *Token) (Bound, error) { return Eval(tok, "object()") })
	if err != nil {
		return Bound{}, false, err
	}
	if v, err = b.callBound(op, method, []any{key, none}); err != nil || v.obj == none.obj {
		return Bound{}, false, err
	}
	return v, true, nil
}
