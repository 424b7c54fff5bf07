package handles

import "gilt/internal/cpython"

// MemoryView is a memoryview: the memory of a bytes, a bytearray, or any other object that has a buffer, without a copy.
// Bound.SetItem writes to one that is not read-only. After Release everything but Release is a ValueError.
type MemoryView struct{ Bound }

func (MemoryView) class() cpython.Class { return cpython.ClassMemoryView }

// NewMemoryView is memoryview(object). TypeError when it has no buffer; a Go []byte is copied to a bytes, which has one.
func NewMemoryView(tok *Token, object any) (MemoryView, error) {
	return construct[MemoryView](tok, object)
}

// ToBytes is m.tobytes(): a copy of the memory, in C's order.
func (m MemoryView) ToBytes() ([]byte, error) {
	return callBytes(m.Bound, "MemoryView.ToBytes", "tobytes")
}

// Release is m.release(): the object's memory is no longer held. More calls do nothing. BufferError when something else holds
// the view's memory.
func (m MemoryView) Release() error {
	return m.perform("MemoryView.Release", "release")
}

// NBytes is m.nbytes: how many bytes ToBytes gives. Len is the length of the first dimension.
func (m MemoryView) NBytes() (int, error) { return AttrAs[int](m, "nbytes") }

// ItemSize is m.itemsize: how many bytes an item has.
func (m MemoryView) ItemSize() (int, error) { return AttrAs[int](m, "itemsize") }

// Format is m.format: an item's format, as of the module struct.
func (m MemoryView) Format() (string, error) { return AttrAs[string](m, "format") }

// NDim is m.ndim: how many dimensions it has.
func (m MemoryView) NDim() (int, error) { return AttrAs[int](m, "ndim") }

// Shape is m.shape: how many items it has in each dimension.
func (m MemoryView) Shape() ([]int, error) { return AttrAs[[]int](m, "shape") }

// Strides is m.strides: how many bytes there are from an item to the next, in each dimension.
func (m MemoryView) Strides() ([]int, error) { return AttrAs[[]int](m, "strides") }

// ReadOnly is m.readonly.
func (m MemoryView) ReadOnly() (bool, error) { return AttrAs[bool](m, "readonly") }

// Contiguous is m.contiguous: whether the items lie side by side.
func (m MemoryView) Contiguous() (bool, error) { return AttrAs[bool](m, "contiguous") }

// Object is m.obj: the object whose memory it is.
func (m MemoryView) Object() (Bound, error) { return m.Attr("obj") }

// Cast is m.cast(format), or m.cast(format, shape): the same memory as items of another format, or with other dimensions.
// TypeError when the memory does not divide into such, or the formats are none that it can go from and to: bytes and numbers.
func (m MemoryView) Cast(format string, shape ...int) (MemoryView, error) {
	args := []any{format}
	if len(shape) > 0 {
		args = append(args, shape)
	}
	return made[MemoryView](m.callBound("MemoryView.Cast", "cast", args))
}

// ToReadOnly is m.toreadonly().
func (m MemoryView) ToReadOnly() (MemoryView, error) {
	return made[MemoryView](m.callBound("MemoryView.ToReadOnly", "toreadonly", nil))
}

// Slice is m[from:to], of the same memory.
func (m MemoryView) Slice(from, to int) (MemoryView, error) {
	return made[MemoryView](sliced(m.Bound, "MemoryView.Slice", from, to))
}

// List is m.tolist(): the items, in lists of lists where there is more than one dimension.
func (m MemoryView) List() (List, error) {
	return made[List](m.callBound("MemoryView.List", "tolist", nil))
}

// Hex is m.hex(): two digits for each byte.
func (m MemoryView) Hex() (string, error) {
	return callAs[string](m.Bound, "MemoryView.Hex", "hex", nil)
}
