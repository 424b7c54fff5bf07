package cpython

import (
	"encoding/binary"
	"errors"
	"math"
	"math/big"
)

// The wire form of values: wire.c describes it.

// AppendTagged appends a tag and its eight bytes.
func AppendTagged(b []byte, tag byte, v uint64) []byte {
	return binary.LittleEndian.AppendUint64(append(b, tag), v)
}

// AppendNil appends None.
func AppendNil(b []byte) []byte { return append(b, 'N') }

// AppendBool appends True or False.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 'T')
	}
	return append(b, 'F')
}

// AppendInt appends an int.
func AppendInt(b []byte, v int64) []byte { return AppendTagged(b, 'i', uint64(v)) }

// AppendUint appends an int that is not negative.
func AppendUint(b []byte, v uint64) []byte { return AppendTagged(b, 'u', v) }

// AppendBig appends an int of any size.
func AppendBig(b []byte, v *big.Int) []byte {
	if v.IsInt64() {
		return AppendInt(b, v.Int64())
	}
	s := v.Text(16)
	return append(AppendTagged(b, 'I', uint64(len(s))), s...)
}

// AppendFloat appends a float.
func AppendFloat(b []byte, v float64) []byte { return AppendTagged(b, 'd', math.Float64bits(v)) }

// AppendString appends a str; Python refuses what is not UTF-8.
func AppendString(b []byte, v string) []byte {
	return append(AppendTagged(b, 's', uint64(len(v))), v...)
}

// AppendBytes appends a bytes object.
func AppendBytes(b, v []byte) []byte { return append(AppendTagged(b, 'b', uint64(len(v))), v...) }

// AppendByteArray appends a bytearray.
func AppendByteArray(b, v []byte) []byte { return append(AppendTagged(b, 'B', uint64(len(v))), v...) }

// AppendObject appends a reference, which is borrowed for the operation.
func AppendObject(b []byte, o Object) []byte { return AppendTagged(b, 'O', uint64(o)) }

// AppendList appends the head of a list: n items follow.
func AppendList(b []byte, n int) []byte { return AppendTagged(b, 'l', uint64(n)) }

// AppendTuple appends the head of a tuple: n items follow.
func AppendTuple(b []byte, n int) []byte { return AppendTagged(b, 't', uint64(n)) }

// AppendDict appends the head of a dict: n keys and values follow.
func AppendDict(b []byte, n int) []byte { return AppendTagged(b, 'm', uint64(n)) }

// AppendInts appends a list of ints.
func AppendInts(b []byte, v []int64) []byte {
	b = AppendTagged(b, 'L', uint64(len(v)))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint64(b, uint64(x))
	}
	return b
}

// AppendFloats appends a list of floats.
func AppendFloats(b []byte, v []float64) []byte {
	b = AppendTagged(b, 'D', uint64(len(v)))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	return b
}

// AppendCall appends the head of an argument list: n positional values follow, then kw names (strings)
// with their values.
func AppendCall(b []byte, n, kw int) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(n))
	return binary.LittleEndian.AppendUint64(b, uint64(kw))
}

// What one conversion may have: see SetLimits.
var (
	MaxValues uint64 = math.MaxUint64
	MaxBytes  uint64 = math.MaxUint64
)

// ErrWire is a wire form that Go cannot read: a bug in gilt.
var ErrWire = errors.New("gilt: broken wire form (a bug in gilt)")

// Reader reads values in wire form. After a failure Err is set and everything reads as zero.
type Reader struct {
	Data []byte
	Err  error
}

func (r *Reader) take(n uint64) []byte {
	if r.Err != nil || n > uint64(len(r.Data)) {
		r.Err, r.Data = ErrWire, nil
		return nil
	}
	b := r.Data[:n]
	r.Data = r.Data[n:]
	return b
}

// Uint64 reads a bare number.
func (r *Reader) Uint64() uint64 {
	b := r.take(8)
	if b == nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

// Byte reads a bare byte.
func (r *Reader) Byte() byte {
	b := r.take(1)
	if b == nil {
		return 0
	}
	return b[0]
}

// Text reads a length and as much text.
func (r *Reader) Text() string { return string(r.take(r.Uint64())) }

// Bytes reads a length and as many bytes, which are the Reader's own memory.
func (r *Reader) Bytes() []byte { return r.take(r.Uint64()) }

// Big reads a length and an int in hexadecimal.
func (r *Reader) Big() *big.Int {
	s := r.Text()
	v, ok := new(big.Int).SetString(s, 0) // "-0x…"
	if !ok {
		r.Err = ErrWire
		return new(big.Int)
	}
	return v
}
