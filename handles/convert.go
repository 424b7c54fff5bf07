package handles

import (
	"math"
	"runtime"

	"gilt/internal/cpython"
)

// Int64 converts to an int64 as Python's operator.index does: an int, a bool, or what has __index__;
// never a float. OverflowError when it does not fit.
func (b Bound) Int64() (int64, error) {
	return b.do("Bound.Int64", cpython.OpConvert, cpython.KindInt64)
}

// Float64 converts to a float64 as float() does for numbers.
func (b Bound) Float64() (float64, error) {
	bits, err := b.do("Bound.Float64", cpython.OpConvert, cpython.KindFloat64)
	return math.Float64frombits(uint64(bits)), err
}

// Bool gives the value of a bool; for the truth of any object see Truth.
func (b Bound) Bool() (bool, error) {
	v, err := b.do("Bound.Bool", cpython.OpConvert, cpython.KindBool)
	return v == 1, err
}

// Text gives the text of a str; UnicodeEncodeError when it holds lone surrogates.
func (b Bound) Text() (string, error) {
	r, err := b.data("Bound.Text", cpython.OpConvert, cpython.KindStr)
	return string(r.Data), err
}

// Bytes gives a copy of a bytes or bytearray.
func (b Bound) Bytes() ([]byte, error) {
	r, err := b.data("Bound.Bytes", cpython.OpConvert, cpython.KindBytes)
	if err != nil {
		return nil, err
	}
	data := bytesOf(r)
	if data == nil {
		return nil, conversionError(TypeError, "'NoneType' object is not an instance of 'bytes'")
	}
	return data, nil
}

// As converts an object to a Go value: see From for the pairs.
func As[T any, O Object](o O) (T, error) {
	const op = "As"
	b := bare(op, o)
	e := b.entry(op)
	v, err := decoded[T](b.tok, op, func(k cpython.Kind) cpython.Result { return e.Object(cpython.OpConvert, b.obj, nil, k) })
	keep(b, nil)
	return v, err
}

// From converts a Go value to a Python object, in one crossing whatever its size:
//
//	nil → None; bool; all ints, *big.Int → int; floats → float; string → str; []byte → bytes;
//	slices and arrays → list; maps → dict; structs → dict of their exported fields, by the names of
//	`py:"name"` or `json:"name"` tags; pointers as what they point to; handles as their object.
//
// As goes the other way: None gives a pointer, slice, map or any its nil; an integer of any type, alone or
// inside another, takes an int, a bool or an object with __index__, and never a float; int, float, str, bytes, list,
// tuple and dict give int64 (or *big.Int), float64, string, []byte, []any and map[string]any (map[any]any
// when a key is no str) where any is asked for. An int that does not fit is an OverflowError, a value of
// another type is a TypeError; nothing is cut or guessed. A handle (a Bound, a Py, a List and so on) is asked for alone, not
// inside another type. A time.Time has NewDateTime and DateTime.Time, a complex number NewComplex and Complex.Complex128.
//
// A large value does not keep the GIL meanwhile: bytes and texts of more than 256 KiB are copied without it, or in parts, and a list,
// tuple or dict lets others have the GIL every few thousand values, in both directions. Python code may then change what As
// reads: a list, dict or bytearray that has another size afterwards is a RuntimeError; an item that was replaced is the old or the new one. A
// conversion in one of these pauses ends with its task's interruption.
func From(tok *Token, v any) (Bound, error) {
	const op = "From"
	e := tok.Entry(op)
	w, err := encodeValues(tok, v)
	if err != nil {
		return Bound{}, err
	}
	r := e.Make(*w)
	runtime.KeepAlive(v)
	tok.PutWire(w)
	return result(tok, op, r)
}
