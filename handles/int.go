package handles

import (
	"math/big"

	"gilt/internal/cpython"
)

// Int is an int, of any size. Bound.Int64 gives the value of one that fits.
type Int struct{ Bound }

func (Int) class() cpython.Class { return cpython.ClassInt }

// Integer are Go's integers.
type Integer interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr | *big.Int
}

// NewInt gives an int. A nil *big.Int is a TypeError.
func NewInt[T Integer](tok *Token, v T) (Int, error) {
	b, err := From(tok, v)
	if err != nil {
		return Int{}, err
	}
	return Cast[Int](b)
}

// ParseInt is int(text, base): with white space around it, a sign, underscores and a prefix such as 0x where the base is 16
// or 0, as in Python. ValueError for other text, for a base that is not 0 or 2 to 36, and for more decimal digits than
// sys.get_int_max_str_digits allows.
func ParseInt(tok *Token, text string, base int) (Int, error) {
	return construct[Int](tok, text, base)
}

// IntFromBytes is int.from_bytes(data, order, signed=signed), where order is "big" or "little". ValueError for another order.
func IntFromBytes(tok *Token, data []byte, order string, signed bool) (Int, error) {
	return constructBy[Int](tok, "from_bytes", notNil(data), order, Named("signed", signed))
}

// Big gives the value.
func (i Int) Big() (*big.Int, error) { return As[*big.Int](i) }

// Uint64 gives the value of one that is not negative and fits. OverflowError for any other.
func (i Int) Uint64() (uint64, error) {
	v, err := i.do("Int.Uint64", cpython.OpConvert, cpython.KindUint64)
	return uint64(v), err
}

// Digits gives the digits of the value in a base from 2 to 36, after a minus sign if it is negative, without a prefix. Unlike
// str(i) it has no limit. ValueError for another base.
func (i Int) Digits(base int) (string, error) {
	v, err := i.Big()
	if err != nil {
		return "", err
	}
	if base < 2 || base > 36 {
		return "", conversionError(ValueError, "base must be >= 2 and <= 36, not %d", base)
	}
	return v.Text(base), nil
}

// BitLength is i.bit_length(): how many bits the value has without its sign, 0 for 0.
func (i Int) BitLength() (int, error) {
	return callAs[int](i.Bound, "Int.BitLength", "bit_length", nil)
}

// BitCount is i.bit_count(): how many bits of the value without its sign are 1.
func (i Int) BitCount() (int, error) {
	return callAs[int](i.Bound, "Int.BitCount", "bit_count", nil)
}

// ToBytes is i.to_bytes(length, order, signed=signed), where order is "big" or "little". OverflowError when the value does not
// fit, or is negative and signed is false; ValueError for another order or a negative length.
func (i Int) ToBytes(length int, order string, signed bool) ([]byte, error) {
	return callBytes(i.Bound, "Int.ToBytes", "to_bytes", length, order, Named("signed", signed))
}
