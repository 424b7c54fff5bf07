package handles

import (
	"iter"

	"gilt/internal/cpython"
)

// Dict is a dict.
type Dict struct{ Bound }

func (Dict) class() cpython.Class { return cpython.ClassDict }

// NewDict gives a new dict with what v has, for example to use it as a namespace.
func NewDict(tok *Token, v map[string]any) (Dict, error) {
	if v == nil {
		v = map[string]any{}
	}
	return made[Dict](From(tok, v))
}

// DictFrom is dict(items), of a Go map, any Python mapping, or pairs of a key and a value.
func DictFrom(tok *Token, items any) (Dict, error) { return construct[Dict](tok, items) }

// DictFromKeys is dict.fromkeys(keys, value): a new dict of the keys, a Go slice or any Python iterable, all with the same
// value.
func DictFromKeys(tok *Token, keys, value any) (Dict, error) {
	class, err := ClassOf[Dict](tok)
	if err != nil {
		return Dict{}, err
	}
	return made[Dict](class.callBound("DictFromKeys", "fromkeys", []any{keys, value}))
}

// Get gives the value of a key; ok is false when there is none. An exception, such as that the key has no hash, is an error.
func (d Dict) Get(key any) (v Bound, ok bool, err error) {
	return d.lookup("Dict.Get", cpython.OpGet, key)
}

// GetOr is d.get(key, other): the value of the key, or other when there is none.
func (d Dict) GetOr(key, other any) (Bound, error) {
	return d.callBound("Dict.GetOr", "get", []any{key, other})
}

// SetDefault is d.setdefault(key, value): the value of the key, which is set to that one first when there is none.
func (d Dict) SetDefault(key, value any) (Bound, error) {
	return d.callBound("Dict.SetDefault", "setdefault", []any{key, value})
}

// Set is d[key] = value.
func (d Dict) Set(key, value any) error {
	_, err := d.do("Dict.Set", cpython.OpSetItem, cpython.KindNone, key, value)
	return err
}

// Pop is d.pop(key): it removes the key and gives its value. ok is false when there is none.
func (d Dict) Pop(key any) (v Bound, ok bool, err error) {
	return d.unlessMissing("Dict.Pop", "pop", key)
}

// PopItem is d.popitem(): it removes the item that came in last and gives it. ok is false when the dict is empty.
func (d Dict) PopItem() (item Item, ok bool, err error) {
	const op = "Dict.PopItem"
	pair, err := d.callBound(op, "popitem", nil)
	if _, empty := raisedAs(err, KeyError); empty {
		return Item{}, false, nil
	}
	if err == nil {
		item, err = itemOf(pair, op)
	}
	return item, err == nil, err
}

// Update is d.update(from, **named): from is a Go map, a mapping, pairs of a key and a value, or nil for none.
func (d Dict) Update(from any, named ...Keyword) error {
	args := values(named)
	if from != nil {
		args = append([]any{from}, args...)
	}
	return d.perform("Dict.Update", "update", args...)
}

// Merge is d | other: a new dict of the items of both, those of other, a Go map or a dict, where both have the key.
func (d Dict) Merge(other any) (Dict, error) {
	return castOf[Dict](d.object("Dict.Merge", cpython.OpOr, other))
}

// Clear removes all items.
func (d Dict) Clear() error { return d.perform("Dict.Clear", "clear") }

// Copy gives a new dict of the same items.
func (d Dict) Copy() (Dict, error) { return castOf[Dict](d.callBound("Dict.Copy", "copy", nil)) }

// KeysView is d.keys(), a view.
func (d Dict) KeysView() (DictKeys, error) {
	return castOf[DictKeys](d.callBound("Dict.KeysView", "keys", nil))
}

// ValuesView is d.values(), a view.
func (d Dict) ValuesView() (DictValues, error) {
	return castOf[DictValues](d.callBound("Dict.ValuesView", "values", nil))
}

// ItemsView is d.items(), a view.
func (d Dict) ItemsView() (DictItems, error) {
	return castOf[DictItems](d.callBound("Dict.ItemsView", "items", nil))
}

// Keys iterates over d.keys().
func (d Dict) Keys() iter.Seq2[Bound, error] { return parts(d.Bound, "Dict.Keys", "keys") }

// Values iterates over d.values().
func (d Dict) Values() iter.Seq2[Bound, error] { return parts(d.Bound, "Dict.Values", "values") }

// Items iterates over the keys and their values, in the order in which they came in. As in Python it is a RuntimeError
// when the dict's size changes meanwhile, or others have come in the place of keys that were deleted. They are brought
// several at a time as long as nothing else is done in between.
func (d Dict) Items() iter.Seq2[Item, error] { return entries(d.Bound, "Dict.Items") }
