package handles

import (
	"context"
	"reflect"
	"slices"

	"gilt/gil"
	"gilt/internal/cpython"
)

// Func2 is a Func with two arguments.
type Func2[A, B, R any] struct{ f *Func[pair[A, B], R] }

type pair[A, B any] struct {
	a A
	b B
}

// Lookup2 is Lookup for a function with two arguments.
func Lookup2[A, B, R any](ctx context.Context, h *gil.Host, spec string) (*Func2[A, B, R], error) {
	a, b := appender[A](), appender[B]()
	f, err := lookup[pair[A, B], R](ctx, h, spec, func(p pair[A, B]) (cpython.ArgKind, int64, []byte, error) {
		w, err := a(cpython.AppendCall(make([]byte, 0, 64), 2, 0), p.a)
		if err != nil {
			return 0, 0, nil, argumentError(err, "1")
		}
		if w, err = b(w, p.b); err != nil {
			return 0, 0, nil, argumentError(err, "2")
		}
		return cpython.ArgWire, 0, w, nil
	})
	if err != nil {
		return nil, err
	}
	return &Func2[A, B, R]{f}, nil
}

// Call is Func.Call.
func (f *Func2[A, B, R]) Call(ctx context.Context, a A, b B) (R, error) {
	return f.f.Call(ctx, pair[A, B]{a, b})
}

// Func3 is a Func with three arguments.
type Func3[A, B, C, R any] struct{ f *Func[triple[A, B, C], R] }

type triple[A, B, C any] struct {
	a A
	b B
	c C
}

// Lookup3 is Lookup for a function with three arguments.
func Lookup3[A, B, C, R any](ctx context.Context, h *gil.Host, spec string) (*Func3[A, B, C, R], error) {
	a, b, c := appender[A](), appender[B](), appender[C]()
	f, err := lookup[triple[A, B, C], R](ctx, h, spec, func(t triple[A, B, C]) (cpython.ArgKind, int64, []byte, error) {
		w, err := a(cpython.AppendCall(make([]byte, 0, 96), 3, 0), t.a)
		if err != nil {
			return 0, 0, nil, argumentError(err, "1")
		}
		if w, err = b(w, t.b); err != nil {
			return 0, 0, nil, argumentError(err, "2")
		}
		if w, err = c(w, t.c); err != nil {
			return 0, 0, nil, argumentError(err, "3")
		}
		return cpython.ArgWire, 0, w, nil
	})
	if err != nil {
		return nil, err
	}
	return &Func3[A, B, C, R]{f}, nil
}

// Call is Func.Call.
func (f *Func3[A, B, C, R]) Call(ctx context.Context, a A, b B, c C) (R, error) {
	return f.f.Call(ctx, triple[A, B, C]{a, b, c})
}

// Spread is an argument of a prepared function whose exported fields are given as keyword arguments, by the names
// that From gives them: Lookup[Spread[Options], R]. It is the only argument: anywhere else it is a TypeError.
type Spread[T any] struct{ Value T }

func (s Spread[T]) spread() any { return s.Value }

// spreads is a Spread whatever its type.
type spreads interface{ spread() any }

// spreadWire is a call with the fields of the struct v as keywords.
func spreadWire(v any) (cpython.ArgKind, int64, []byte, error) {
	rv := reflect.ValueOf(v)
	for rv.Kind() == reflect.Pointer && !rv.IsNil() {
		rv = rv.Elem()
	}
	if rv.Kind() != reflect.Struct {
		return 0, 0, nil, conversionError(TypeError, "Spread of %T, which is no struct", v)
	}
	fields := fieldsOf(rv.Type())
	w := cpython.AppendCall(nil, 0, len(fields))
	var err error
	for i, f := range fields {
		if slices.ContainsFunc(fields[:i], func(g field) bool { return g.name == f.name }) {
			return 0, 0, nil, twice(f.name)
		}
		w = cpython.AppendString(w, f.name)
		if w, err = encodeValue(nil, w, rv.Field(f.index), 1); err != nil {
			return 0, 0, nil, argumentError(err, "field %s", f.name)
		}
	}
	return cpython.ArgWire, 0, w, nil
}

// appender chooses how a T is appended; nothing of it reflects for scalars, strings and bytes.
func appender[T any]() func([]byte, T) ([]byte, error) {
	var f any
	switch any((*T)(nil)).(type) {
	case *int64:
		f = func(w []byte, v int64) ([]byte, error) { return cpython.AppendInt(w, v), nil }
	case *int:
		f = func(w []byte, v int) ([]byte, error) { return cpython.AppendInt(w, int64(v)), nil }
	case *float64:
		f = func(w []byte, v float64) ([]byte, error) { return cpython.AppendFloat(w, v), nil }
	case *bool:
		f = func(w []byte, v bool) ([]byte, error) { return cpython.AppendBool(w, v), nil }
	case *string:
		f = func(w []byte, v string) ([]byte, error) { return cpython.AppendString(w, v), nil }
	default:
		return func(w []byte, v T) ([]byte, error) { return encode(nil, w, v) }
	}
	return f.(func([]byte, T) ([]byte, error))
}
