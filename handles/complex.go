package handles

import "gilt/internal/cpython"

// Complex is a complex number.
type Complex struct{ Bound }

func (Complex) class() cpython.Class { return cpython.ClassComplex }

// NewComplex gives a complex number.
func NewComplex(tok *Token, v complex128) (Complex, error) {
	return construct[Complex](tok, real(v), imag(v))
}

// Complex128 gives the value.
func (c Complex) Complex128() (complex128, error) {
	re, err := c.Real()
	if err != nil {
		return 0, err
	}
	im, err := c.Imag()
	if err != nil {
		return 0, err
	}
	return complex(re, im), nil
}

// Real is c.real.
func (c Complex) Real() (float64, error) { return AttrAs[float64](c, "real") }

// Imag is c.imag.
func (c Complex) Imag() (float64, error) { return AttrAs[float64](c, "imag") }

// Conjugate is c.conjugate().
func (c Complex) Conjugate() (Complex, error) {
	return castOf[Complex](c.callBound("Complex.Conjugate", "conjugate", nil))
}
