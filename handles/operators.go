package handles

import "gilt/internal/cpython"

// Comparison and arithmetic, as Python's operators do them.

// Less is the truth of obj < value.
func (b Bound) Less(value any) (bool, error) {
	return b.truth("Bound.Less", cpython.OpLess, value)
}

// LessEqual is the truth of obj <= value.
func (b Bound) LessEqual(value any) (bool, error) {
	return b.truth("Bound.LessEqual", cpython.OpLessEqual, value)
}

// Equal is the truth of obj == value.
func (b Bound) Equal(value any) (bool, error) {
	return b.truth("Bound.Equal", cpython.OpEqual, value)
}

// NotEqual is the truth of obj != value.
func (b Bound) NotEqual(value any) (bool, error) {
	return b.truth("Bound.NotEqual", cpython.OpNotEqual, value)
}

// Greater is the truth of obj > value.
func (b Bound) Greater(value any) (bool, error) {
	return b.truth("Bound.Greater", cpython.OpGreater, value)
}

// GreaterEqual is the truth of obj >= value.
func (b Bound) GreaterEqual(value any) (bool, error) {
	return b.truth("Bound.GreaterEqual", cpython.OpGreaterEqual, value)
}

// Compare is -1, 0 or 1 when obj is less than, equal to or greater than value. TypeError when it is none of them.
func (b Bound) Compare(value any) (int, error) {
	for _, c := range []struct {
		code cpython.Op
		is   int
	}{{cpython.OpEqual, 0}, {cpython.OpLess, -1}, {cpython.OpGreater, 1}} {
		if yes, err := b.truth("Bound.Compare", c.code, value); err != nil {
			return 0, err
		} else if yes {
			return c.is, nil
		}
	}
	return 0, conversionError(TypeError, "neither less than, equal to, nor greater than the other")
}

// Add is obj + value.
func (b Bound) Add(value any) (Bound, error) { return b.object("Bound.Add", cpython.OpAdd, value) }

// Sub is obj - value.
func (b Bound) Sub(value any) (Bound, error) { return b.object("Bound.Sub", cpython.OpSub, value) }

// Mul is obj * value.
func (b Bound) Mul(value any) (Bound, error) { return b.object("Bound.Mul", cpython.OpMul, value) }

// MatMul is obj @ value.
func (b Bound) MatMul(value any) (Bound, error) {
	return b.object("Bound.MatMul", cpython.OpMatMul, value)
}

// Div is obj / value.
func (b Bound) Div(value any) (Bound, error) { return b.object("Bound.Div", cpython.OpDiv, value) }

// FloorDiv is obj // value.
func (b Bound) FloorDiv(value any) (Bound, error) {
	return b.object("Bound.FloorDiv", cpython.OpFloorDiv, value)
}

// Mod is obj % value.
func (b Bound) Mod(value any) (Bound, error) { return b.object("Bound.Mod", cpython.OpMod, value) }

// Lshift is obj << value.
func (b Bound) Lshift(value any) (Bound, error) {
	return b.object("Bound.Lshift", cpython.OpLshift, value)
}

// Rshift is obj >> value.
func (b Bound) Rshift(value any) (Bound, error) {
	return b.object("Bound.Rshift", cpython.OpRshift, value)
}

// And is obj & value.
func (b Bound) And(value any) (Bound, error) { return b.object("Bound.And", cpython.OpAnd, value) }

// Or is obj | value.
func (b Bound) Or(value any) (Bound, error) { return b.object("Bound.Or", cpython.OpOr, value) }

// Xor is obj ^ value.
func (b Bound) Xor(value any) (Bound, error) { return b.object("Bound.Xor", cpython.OpXor, value) }

// DivMod is divmod(obj, value), a tuple.
func (b Bound) DivMod(value any) (Bound, error) {
	return b.object("Bound.DivMod", cpython.OpDivMod, value)
}

// Pow is obj ** value.
func (b Bound) Pow(value any) (Bound, error) { return b.object("Bound.Pow", cpython.OpPow, value) }

// PowMod is pow(obj, value, modulus).
func (b Bound) PowMod(value, modulus any) (Bound, error) {
	return b.object("Bound.PowMod", cpython.OpPow, value, modulus)
}

// Neg is -obj.
func (b Bound) Neg() (Bound, error) { return b.object("Bound.Neg", cpython.OpNeg) }

// Pos is +obj.
func (b Bound) Pos() (Bound, error) { return b.object("Bound.Pos", cpython.OpPos) }

// Abs is abs(obj).
func (b Bound) Abs() (Bound, error) { return b.object("Bound.Abs", cpython.OpAbs) }

// Invert is ~obj.
func (b Bound) Invert() (Bound, error) { return b.object("Bound.Invert", cpython.OpInvert) }
