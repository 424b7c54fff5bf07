package handles

import (
	"math"
	"reflect"

	"gilt/internal/cpython"
)

// Calls whose arguments and results fit registers, which most are, go without a wire form.

// quickArgs packs arguments that need no encoding; false when there are others, or too many.
func quickArgs(tok *Token, name string, args []any, q *cpython.QuickArgs) bool {
	if len(name) > cpython.MaxQuickName {
		return false
	}
	for _, a := range args {
		switch a := a.(type) {
		case Keyword:
			if !quickArg(tok, a.Value, q) || !q.Name(a.Name) {
				return false
			}
		case Kw:
			if len(a) != 1 {
				return false
			}
			for name, v := range a {
				if !quickArg(tok, v, q) || !q.Name(name) {
					return false
				}
			}
		default:
			if !quickArg(tok, a, q) {
				return false
			}
		}
	}
	return true
}

func quickArg(tok *Token, a any, q *cpython.QuickArgs) bool {
	k, v, ok := word(tok, a)
	return ok && q.Add(k, v)
}

// word gives a value that needs no encoding.
func word(tok *Token, a any) (k cpython.ArgKind, v int64, ok bool) {
	switch a := a.(type) {
	case nil:
		return cpython.ArgNil, 0, true
	case int:
		return cpython.ArgInt64, int64(a), true
	case int64:
		return cpython.ArgInt64, a, true
	case float64:
		return cpython.ArgFloat64, int64(math.Float64bits(a)), true
	case bool:
		if a {
			return cpython.ArgBool, 1, true
		}
		return cpython.ArgBool, 0, true
	case Bound:
		a.entryFor(tok, "argument")
		return cpython.ArgObject, int64(a.obj), true
	case Object:
		if reflect.TypeOf(a).Kind() == reflect.Pointer {
			return 0, 0, false
		}
		b := a.handle()
		b.entryFor(tok, "argument")
		return cpython.ArgObject, int64(b.obj), true
	}
	return 0, 0, false
}

// twoWords packs up to two values.
func twoWords(tok *Token, values []any) (w cpython.TwoWords, ok bool) {
	for _, v := range values {
		k, v, ok := word(tok, v)
		if !ok {
			return w, false
		}
		w = w.With(k, v)
	}
	return w, true
}

func quickBound(tok *Token, op string, v int64, status cpython.Status) (Bound, error) {
	if status != cpython.OK {
		return Bound{}, quickFailure(tok, op, status)
	}
	return bound(tok, cpython.Object(v)), nil
}

func quickValue[T any](tok *Token, op string, k cpython.Kind, i int64, status cpython.Status) (v T, err error) {
	if status != cpython.OK {
		return v, quickFailure(tok, op, status)
	}
	switch p := any(&v).(type) { // the common ones without an allocation
	case *int64:
		*p = i
	case *float64:
		*p = math.Float64frombits(uint64(i))
	case *bool:
		*p = i != 0
	case *struct{}:
	default:
		var other T
		err = decodeResult(k, cpython.Result{Int: i}, &other)
		return other, err
	}
	return v, nil
}

func quickFailure(tok *Token, op string, status cpython.Status) error {
	if status == cpython.Misuse {
		return failure(tok, op, cpython.Result{Status: status})
	}
	return failure(tok, op, tok.Entry(op).Rest())
}
