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

// Get gives the value of a key; ok is false when there is none. An exception, such as that the key has no hash, is an error.
func (d Dict) Get(key any) (v Bound, ok bool, err error) {
	return d.lookup("Dict.Get", cpython.OpGet, key)
}

// Items iterates over the keys and their values, in the order in which they came in. As in Python it is a RuntimeError
// when the dict's size changes meanwhile. They are brought several at a time as long as nothing else is done in between.
func (d Dict) Items() iter.Seq2[Item, error] { return entries(d.Bound, "Dict.Items") }
