package handles

import (
	"cmp"
	"reflect"

	"gilt/internal/cpython"
)

// Bytes is a bytes: Bound.Bytes gives a copy of them. Its own methods take bytes as a Go []byte or as any object that has a
// buffer; what they make is a Bytes, which is no copy in Go.
type Bytes struct{ Bound }

func (Bytes) class() cpython.Class { return cpython.ClassBytes }

// NewBytes gives a bytes with a copy of data; an empty one for nil.
func NewBytes(tok *Token, data []byte) (Bytes, error) {
	return made[Bytes](From(tok, notNil(data)))
}

// BytesFromHex is bytes.fromhex(text): two digits for each byte, and white space between them. ValueError for other text.
func BytesFromHex(tok *Token, text string) (Bytes, error) {
	return constructBy[Bytes](tok, "fromhex", text)
}

// notNil makes no bytes of nil, which would be None.
func notNil(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}

// callBytes calls a method that gives bytes, which None is not.
func callBytes(b Bound, op, name string, args ...any) ([]byte, error) {
	data, err := callAs[[]byte](b, op, name, args)
	if err == nil && data == nil {
		err = conversionError(TypeError, "'NoneType' object is not an instance of 'bytes'")
	}
	return data, err
}

// byteAt is b[i].
func byteAt(b Bound, op string, i int) (byte, error) {
	v, err := b.do(op, cpython.OpGetItem, cpython.KindInt64, i)
	if err == nil && v != int64(byte(v)) { // of a subclass
		return 0, tooLarge(v, reflect.TypeFor[byte]())
	}
	return byte(v), err
}

// At is b[i]. IndexError when there is none.
func (b Bytes) At(i int) (byte, error) { return byteAt(b.Bound, "Bytes.At", i) }

// Slice is b[from:to].
func (b Bytes) Slice(from, to int) (Bytes, error) {
	return castOf[Bytes](sliced(b.Bound, "Bytes.Slice", from, to))
}

// Decode is b.decode(encoding, errors): an empty encoding is "utf-8", and empty errors are "strict". UnicodeDecodeError for
// what is not in the encoding, LookupError when there is no such encoding.
func (b Bytes) Decode(encoding, errors string) (Str, error) {
	return castOf[Str](b.callBound("Bytes.Decode", "decode", []any{cmp.Or(encoding, "utf-8"), cmp.Or(errors, "strict")}))
}

// Hex is b.hex(): two digits for each byte.
func (b Bytes) Hex() (string, error) { return callAs[string](b.Bound, "Bytes.Hex", "hex", nil) }

// Upper is b.upper(), of the ASCII letters.
func (b Bytes) Upper() (Bytes, error) {
	return castOf[Bytes](b.callBound("Bytes.Upper", "upper", nil))
}

// Lower is b.lower(), of the ASCII letters.
func (b Bytes) Lower() (Bytes, error) {
	return castOf[Bytes](b.callBound("Bytes.Lower", "lower", nil))
}

// Strip is b.strip(bytes): of white space when it is nil.
func (b Bytes) Strip(bytes any) (Bytes, error) {
	return castOf[Bytes](b.callBound("Bytes.Strip", "strip", []any{bytes}))
}

// Lstrip is b.lstrip(bytes): of white space when it is nil.
func (b Bytes) Lstrip(bytes any) (Bytes, error) {
	return castOf[Bytes](b.callBound("Bytes.Lstrip", "lstrip", []any{bytes}))
}

// Rstrip is b.rstrip(bytes): of white space when it is nil.
func (b Bytes) Rstrip(bytes any) (Bytes, error) {
	return castOf[Bytes](b.callBound("Bytes.Rstrip", "rstrip", []any{bytes}))
}

// RemovePrefix is b.removeprefix(prefix).
func (b Bytes) RemovePrefix(prefix any) (Bytes, error) {
	return castOf[Bytes](b.callBound("Bytes.RemovePrefix", "removeprefix", []any{prefix}))
}

// RemoveSuffix is b.removesuffix(suffix).
func (b Bytes) RemoveSuffix(suffix any) (Bytes, error) {
	return castOf[Bytes](b.callBound("Bytes.RemoveSuffix", "removesuffix", []any{suffix}))
}

// Replace is b.replace(from, to, count): all of them when count is negative.
func (b Bytes) Replace(from, to any, count int) (Bytes, error) {
	return castOf[Bytes](b.callBound("Bytes.Replace", "replace", []any{from, to, count}))
}

// Translate is b.translate(table), of a table of 256 bytes.
func (b Bytes) Translate(table any) (Bytes, error) {
	return castOf[Bytes](b.callBound("Bytes.Translate", "translate", []any{table}))
}

// Join is b.join(items), of a Go [][]byte or any Python iterable of what has bytes.
func (b Bytes) Join(items any) (Bytes, error) {
	return castOf[Bytes](b.callBound("Bytes.Join", "join", []any{items}))
}

// Split is b.split(sep, limit): at runs of white space when sep is nil, everywhere when limit is negative.
func (b Bytes) Split(sep any, limit int) (List, error) {
	return castOf[List](b.callBound("Bytes.Split", "split", []any{sep, limit}))
}

// Rsplit is b.rsplit(sep, limit), which counts from the end.
func (b Bytes) Rsplit(sep any, limit int) (List, error) {
	return castOf[List](b.callBound("Bytes.Rsplit", "rsplit", []any{sep, limit}))
}

// SplitLines is b.splitlines(keepEnds).
func (b Bytes) SplitLines(keepEnds bool) (List, error) {
	return castOf[List](b.callBound("Bytes.SplitLines", "splitlines", []any{keepEnds}))
}

// Partition is b.partition(sep): what is before the first sep, sep, and what is after it.
func (b Bytes) Partition(sep any) (Tuple, error) {
	return castOf[Tuple](b.callBound("Bytes.Partition", "partition", []any{sep}))
}

// Rpartition is b.rpartition(sep): what is before the last sep, sep, and what is after it.
func (b Bytes) Rpartition(sep any) (Tuple, error) {
	return castOf[Tuple](b.callBound("Bytes.Rpartition", "rpartition", []any{sep}))
}

// Find is b.find(sub, *bounds): the index of the first one, or -1; sub may be an int. Bounds are a start, and an end.
func (b Bytes) Find(sub any, bounds ...int) (int, error) {
	return callAs[int](b.Bound, "Bytes.Find", "find", bounded(sub, bounds))
}

// Rfind is b.rfind(sub, *bounds): the index of the last one, or -1.
func (b Bytes) Rfind(sub any, bounds ...int) (int, error) {
	return callAs[int](b.Bound, "Bytes.Rfind", "rfind", bounded(sub, bounds))
}

// Index is b.index(sub, *bounds): Find with a ValueError when there is none.
func (b Bytes) Index(sub any, bounds ...int) (int, error) {
	return callAs[int](b.Bound, "Bytes.Index", "index", bounded(sub, bounds))
}

// Rindex is b.rindex(sub, *bounds): Rfind with a ValueError when there is none.
func (b Bytes) Rindex(sub any, bounds ...int) (int, error) {
	return callAs[int](b.Bound, "Bytes.Rindex", "rindex", bounded(sub, bounds))
}

// Count is b.count(sub, *bounds).
func (b Bytes) Count(sub any, bounds ...int) (int, error) {
	return callAs[int](b.Bound, "Bytes.Count", "count", bounded(sub, bounds))
}

// StartsWith is b.startswith(prefix, *bounds): prefix may be a tuple of some.
func (b Bytes) StartsWith(prefix any, bounds ...int) (bool, error) {
	return callAs[bool](b.Bound, "Bytes.StartsWith", "startswith", bounded(prefix, bounds))
}

// EndsWith is b.endswith(suffix, *bounds): suffix may be a tuple of some.
func (b Bytes) EndsWith(suffix any, bounds ...int) (bool, error) {
	return callAs[bool](b.Bound, "Bytes.EndsWith", "endswith", bounded(suffix, bounds))
}
