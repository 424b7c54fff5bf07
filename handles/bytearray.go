package handles

import (
	"cmp"

	"gilt/internal/cpython"
)

// ByteArray is a bytearray: bytes that can be changed. Bound.Bytes gives a copy of them, Bound.SetItem sets one. While a
// MemoryView of it is not released its size is fixed: what would change it is a BufferError. Its own methods take bytes as a
// Go []byte or as any object that has a buffer.
type ByteArray struct{ Bound }

func (ByteArray) class() cpython.Class { return cpython.ClassByteArray }

// NewByteArray gives a bytearray with a copy of data.
func NewByteArray(tok *Token, data []byte) (ByteArray, error) {
	return made[ByteArray](From(tok, byteArray(data)))
}

// ByteArrayFromHex is bytearray.fromhex(text): two digits for each byte, and white space between them. ValueError for other
// text.
func ByteArrayFromHex(tok *Token, text string) (ByteArray, error) {
	return constructBy[ByteArray](tok, "fromhex", text)
}

// Append appends a byte.
func (b ByteArray) Append(v byte) error {
	return b.perform("ByteArray.Append", "append", int(v))
}

// Extend appends bytes, or the ints from 0 to 255 of any Python iterable.
func (b ByteArray) Extend(items any) error {
	return b.perform("ByteArray.Extend", "extend", items)
}

// Insert inserts a byte before the index.
func (b ByteArray) Insert(i int, v byte) error {
	return b.perform("ByteArray.Insert", "insert", i, int(v))
}

// Remove removes the first byte of that value. ValueError if there is none.
func (b ByteArray) Remove(v byte) error {
	return b.perform("ByteArray.Remove", "remove", int(v))
}

// Pop removes the byte at the index, -1 for the last, and gives it. IndexError if there is none.
func (b ByteArray) Pop(i int) (byte, error) {
	return callAs[byte](b.Bound, "ByteArray.Pop", "pop", []any{i})
}

// Clear removes all bytes.
func (b ByteArray) Clear() error {
	return b.perform("ByteArray.Clear", "clear")
}

// Reverse reverses the bytes in place.
func (b ByteArray) Reverse() error {
	return b.perform("ByteArray.Reverse", "reverse")
}

// Copy gives a new bytearray of the same bytes.
func (b ByteArray) Copy() (ByteArray, error) {
	return castOf[ByteArray](b.callBound("ByteArray.Copy", "copy", nil))
}

// SetSlice is b[from:to] = data: bytes of any length, or the ints of an iterable, come in the place of those.
func (b ByteArray) SetSlice(from, to int, data any) error {
	return setSlice(b.Bound, "ByteArray.SetSlice", from, to, data)
}

// DelSlice is del b[from:to].
func (b ByteArray) DelSlice(from, to int) error {
	return delSlice(b.Bound, "ByteArray.DelSlice", from, to)
}

// Resize cuts bytes off at the end, or appends zeros, until there are n. It is no single operation of Python's: it asks for
// the length first. ValueError when n is negative.
func (b ByteArray) Resize(n int) error {
	have, err := b.Len()
	switch {
	case err != nil:
		return err
	case n < 0:
		return conversionError(ValueError, "a bytearray cannot have %d bytes", n)
	case n <= have:
		return b.DelSlice(n, have)
	}
	zeros, err := construct[Bytes](b.tok, n-have)
	if err != nil {
		return err
	}
	return b.Extend(zeros)
}

// At is b[i]. IndexError when there is none.
func (b ByteArray) At(i int) (byte, error) { return byteAt(b.Bound, "ByteArray.At", i) }

// Slice is b[from:to].
func (b ByteArray) Slice(from, to int) (ByteArray, error) {
	return castOf[ByteArray](sliced(b.Bound, "ByteArray.Slice", from, to))
}

// Decode is b.decode(encoding, errors): an empty encoding is "utf-8", and empty errors are "strict". UnicodeDecodeError for
// what is not in the encoding, LookupError when there is no such encoding.
func (b ByteArray) Decode(encoding, errors string) (Str, error) {
	return castOf[Str](b.callBound("ByteArray.Decode", "decode", []any{cmp.Or(encoding, "utf-8"), cmp.Or(errors, "strict")}))
}

// Hex is b.hex(): two digits for each byte.
func (b ByteArray) Hex() (string, error) { return callAs[string](b.Bound, "ByteArray.Hex", "hex", nil) }

// Upper is b.upper(), of the ASCII letters.
func (b ByteArray) Upper() (ByteArray, error) {
	return castOf[ByteArray](b.callBound("ByteArray.Upper", "upper", nil))
}

// Lower is b.lower(), of the ASCII letters.
func (b ByteArray) Lower() (ByteArray, error) {
	return castOf[ByteArray](b.callBound("ByteArray.Lower", "lower", nil))
}

// Strip is b.strip(bytes): of white space when it is nil.
func (b ByteArray) Strip(bytes any) (ByteArray, error) {
	return castOf[ByteArray](b.callBound("ByteArray.Strip", "strip", []any{bytes}))
}

// Lstrip is b.lstrip(bytes): of white space when it is nil.
func (b ByteArray) Lstrip(bytes any) (ByteArray, error) {
	return castOf[ByteArray](b.callBound("ByteArray.Lstrip", "lstrip", []any{bytes}))
}

// Rstrip is b.rstrip(bytes): of white space when it is nil.
func (b ByteArray) Rstrip(bytes any) (ByteArray, error) {
	return castOf[ByteArray](b.callBound("ByteArray.Rstrip", "rstrip", []any{bytes}))
}

// RemovePrefix is b.removeprefix(prefix).
func (b ByteArray) RemovePrefix(prefix any) (ByteArray, error) {
	return castOf[ByteArray](b.callBound("ByteArray.RemovePrefix", "removeprefix", []any{prefix}))
}

// RemoveSuffix is b.removesuffix(suffix).
func (b ByteArray) RemoveSuffix(suffix any) (ByteArray, error) {
	return castOf[ByteArray](b.callBound("ByteArray.RemoveSuffix", "removesuffix", []any{suffix}))
}

// Replace is b.replace(from, to, count): all of them when count is negative.
func (b ByteArray) Replace(from, to any, count int) (ByteArray, error) {
	return castOf[ByteArray](b.callBound("ByteArray.Replace", "replace", []any{from, to, count}))
}

// Translate is b.translate(table), of a table of 256 bytes.
func (b ByteArray) Translate(table any) (ByteArray, error) {
	return castOf[ByteArray](b.callBound("ByteArray.Translate", "translate", []any{table}))
}

// Join is b.join(items), of a Go [][]byte or any Python iterable of what has bytes.
func (b ByteArray) Join(items any) (ByteArray, error) {
	return castOf[ByteArray](b.callBound("ByteArray.Join", "join", []any{items}))
}

// Split is b.split(sep, limit): at runs of white space when sep is nil, everywhere when limit is negative.
func (b ByteArray) Split(sep any, limit int) (List, error) {
	return castOf[List](b.callBound("ByteArray.Split", "split", []any{sep, limit}))
}

// Rsplit is b.rsplit(sep, limit), which counts from the end.
func (b ByteArray) Rsplit(sep any, limit int) (List, error) {
	return castOf[List](b.callBound("ByteArray.Rsplit", "rsplit", []any{sep, limit}))
}

// SplitLines is b.splitlines(keepEnds).
func (b ByteArray) SplitLines(keepEnds bool) (List, error) {
	return castOf[List](b.callBound("ByteArray.SplitLines", "splitlines", []any{keepEnds}))
}

// Partition is b.partition(sep): what is before the first sep, sep, and what is after it.
func (b ByteArray) Partition(sep any) (Tuple, error) {
	return castOf[Tuple](b.callBound("ByteArray.Partition", "partition", []any{sep}))
}

// Rpartition is b.rpartition(sep): what is before the last sep, sep, and what is after it.
func (b ByteArray) Rpartition(sep any) (Tuple, error) {
	return castOf[Tuple](b.callBound("ByteArray.Rpartition", "rpartition", []any{sep}))
}

// Find is b.find(sub, *bounds): the index of the first one, or -1; sub may be an int. Bounds are a start, and an end.
func (b ByteArray) Find(sub any, bounds ...int) (int, error) {
	return callAs[int](b.Bound, "ByteArray.Find", "find", bounded(sub, bounds))
}

// Rfind is b.rfind(sub, *bounds): the index of the last one, or -1.
func (b ByteArray) Rfind(sub any, bounds ...int) (int, error) {
	return callAs[int](b.Bound, "ByteArray.Rfind", "rfind", bounded(sub, bounds))
}

// Index is b.index(sub, *bounds): Find with a ValueError when there is none.
func (b ByteArray) Index(sub any, bounds ...int) (int, error) {
	return callAs[int](b.Bound, "ByteArray.Index", "index", bounded(sub, bounds))
}

// Rindex is b.rindex(sub, *bounds): Rfind with a ValueError when there is none.
func (b ByteArray) Rindex(sub any, bounds ...int) (int, error) {
	return callAs[int](b.Bound, "ByteArray.Rindex", "rindex", bounded(sub, bounds))
}

// Count is b.count(sub, *bounds).
func (b ByteArray) Count(sub any, bounds ...int) (int, error) {
	return callAs[int](b.Bound, "ByteArray.Count", "count", bounded(sub, bounds))
}

// StartsWith is b.startswith(prefix, *bounds): prefix may be a tuple of some.
func (b ByteArray) StartsWith(prefix any, bounds ...int) (bool, error) {
	return callAs[bool](b.Bound, "ByteArray.StartsWith", "startswith", bounded(prefix, bounds))
}

// EndsWith is b.endswith(suffix, *bounds): suffix may be a tuple of some.
func (b ByteArray) EndsWith(suffix any, bounds ...int) (bool, error) {
	return callAs[bool](b.Bound, "ByteArray.EndsWith", "endswith", bounded(suffix, bounds))
}
