package handles

import (
	"math/big"

	"gilt/internal/cpython"
)

// Float is a float: Bound.Float64 gives its value.
type Float struct{ Bound }

func (Float) class() cpython.Class { return cpython.ClassFloat }

// NewFloat gives a float.
func NewFloat(tok *Token, v float64) (Float, error) { return made[Float](From(tok, v)) }

// ParseFloat is float(text): with white space around it, underscores, and "inf" and "nan", as in Python. ValueError for
// other text.
func ParseFloat(tok *Token, text string) (Float, error) { return construct[Float](tok, text) }

// FloatFromHex is float.fromhex(text). ValueError for other text than Hex gives or C's %a would, OverflowError for a number
// that is too large.
func FloatFromHex(tok *Token, text string) (Float, error) {
	return constructBy[Float](tok, "fromhex", text)
}

// IsInteger is f.is_integer(): whether it is a whole number.
func (f Float) IsInteger() (bool, error) {
	return callAs[bool](f.Bound, "Float.IsInteger", "is_integer", nil)
}

// Ratio is f.as_integer_ratio(): the exact value. OverflowError for an infinity, ValueError for a NaN.
func (f Float) Ratio() (*big.Rat, error) {
	v, err := callAs[[2]big.Int](f.Bound, "Float.Ratio", "as_integer_ratio", nil)
	if err != nil {
		return nil, err
	}
	if v[1].Sign() == 0 { // of a subclass
		return nil, conversionError(ZeroDivisionError, "as_integer_ratio gave %s/0", &v[0])
	}
	return new(big.Rat).SetFrac(&v[0], &v[1]), nil
}

// Hex is f.hex(): the exact value in hexadecimal, for FloatFromHex.
func (f Float) Hex() (string, error) { return callAs[string](f.Bound, "Float.Hex", "hex", nil) }

// Int is int(f): the value without its fraction. OverflowError for an infinity, ValueError for a NaN.
func (f Float) Int() (Int, error) { return construct[Int](f.tok, f.Bound) }
