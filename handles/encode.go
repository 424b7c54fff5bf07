package handles

import (
	"math/big"
	"reflect"
	"strings"
	"sync"
	"time"

	"gilt/internal/cpython"
)

// encode appends v's wire form. tok is nil where no handle may be given (prepared calls).
func encode(tok *Token, b []byte, v any) ([]byte, error) { return encodeAny(tok, b, v, 0) }

func encodeAny(tok *Token, b []byte, v any, depth int) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return cpython.AppendNil(b), nil
	case bool:
		return cpython.AppendBool(b, v), nil
	case int:
		return cpython.AppendInt(b, int64(v)), nil
	case int64:
		return cpython.AppendInt(b, v), nil
	case uint64:
		return cpython.AppendUint(b, v), nil
	case float64:
		return cpython.AppendFloat(b, v), nil
	case string:
		letGo(tok, len(v))
		return cpython.AppendString(b, v), nil
	case []byte:
		if v == nil {
			return cpython.AppendNil(b), nil
		}
		letGo(tok, len(v))
		return cpython.AppendBytes(b, v), nil
	case []int64:
		letGo(tok, 8*len(v))
		return cpython.AppendInts(b, v), nil
	case []float64:
		letGo(tok, 8*len(v))
		return cpython.AppendFloats(b, v), nil
	case Bound:
		return encodeBound(tok, b, v)
	case Object:
		if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer {
			return encodeValue(tok, b, p, depth)
		}
		return encodeBound(tok, b, v.handle())
	case Py:
		if tok == nil {
			return nil, errNoToken()
		}
		return cpython.AppendObject(b, v.Bind(tok).obj), nil // whoever releases v meanwhile
	case Keyword, Kw, Args, spreads:
		return nil, misplaced(v)
	case encoded:
		return append(b, v...), nil
	case byteArray:
		letGo(tok, len(v))
		return cpython.AppendByteArray(b, v), nil
	case *big.Int:
		if v == nil {
			return cpython.AppendNil(b), nil
		}
		return cpython.AppendBig(b, v), nil
	}
	return encodeValue(tok, b, reflect.ValueOf(v), depth)
}

var argsType, kwType = reflect.TypeFor[Args](), reflect.TypeFor[Kw]()

// misplaced is the error for what stands for arguments, where a value is wanted.
func misplaced(v any) error {
	switch v := v.(type) {
	case Keyword:
		return conversionError(TypeError, "keyword argument %q is not at the end of a call's arguments, and is no value", v.Name)
	case Kw:
		return conversionError(TypeError, "a Kw is not at the end of a call's arguments, and is no value; a prepared function takes a Spread")
	case Args:
		return conversionError(TypeError, "an Args is no value: it is all arguments of a prepared function; a call takes them one by one")
	}
	return conversionError(TypeError, "a Spread is no value: it is the argument of a prepared function")
}

// encoded is a value in wire form.
type encoded []byte

// byteArray becomes a bytearray.
type byteArray []byte

const large = 1 << 18 // bytes; as wire.c has it

// letGo gives the GIL up, if tok's task has it, where Go copies so many bytes: nobody needs the GIL for that. The task's next operation
// takes it again.
func letGo(tok *Token, n int) {
	if n > large && tok != nil && tok.Entry("From").Operation() != 0 {
		cpython.Yield()
	}
}

func errNoToken() error {
	return conversionError(TypeError, "a prepared function takes no handles: call the object by Bound.Call, inside Do")
}

func encodeBound(tok *Token, b []byte, v Bound) ([]byte, error) {
	if tok == nil {
		return nil, errNoToken()
	}
	v.entryFor(tok, "argument")
	v, err := v.kept()
	if err != nil {
		return nil, err
	}
	return cpython.AppendObject(b, v.obj), nil
}

const maxDepth = 500 // as wire.c has it

var bigType, timeType = reflect.TypeFor[big.Int](), reflect.TypeFor[time.Time]()

func encodeValue(tok *Token, b []byte, v reflect.Value, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, conversionError(RecursionError, "a Go value is nested deeper than %d, or holds itself", maxDepth)
	}
	switch v.Kind() {
	case reflect.Bool:
		return cpython.AppendBool(b, v.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return cpython.AppendInt(b, v.Int()), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return cpython.AppendUint(b, v.Uint()), nil
	case reflect.Float32, reflect.Float64:
		return cpython.AppendFloat(b, v.Float()), nil
	case reflect.String:
		letGo(tok, v.Len())
		return cpython.AppendString(b, v.String()), nil
	case reflect.Interface, reflect.Pointer:
		return encodePointer(tok, b, v, depth)
	case reflect.Slice:
		if v.Type() == argsType {
			return nil, misplaced(Args(nil))
		}
		if v.IsNil() {
			return cpython.AppendNil(b), nil
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			letGo(tok, v.Len())
			return cpython.AppendBytes(b, v.Bytes()), nil
		}
		return encodeList(tok, b, v, depth)
	case reflect.Array:
		return encodeList(tok, b, v, depth)
	case reflect.Map:
		return encodeMap(tok, b, v, depth)
	case reflect.Struct:
		return encodeStruct(tok, b, v, depth)
	}
	return nil, cannot(v.Type(), "")
}

// cannot is the error for a Go type that From does not convert.
func cannot(t reflect.Type, why string) error {
	switch t {
	case timeType:
		why = ": NewDateTime, NewDate and NewTime do"
	case reflect.TypeFor[complex128](), reflect.TypeFor[complex64]():
		why = ": NewComplex does"
	}
	return conversionError(TypeError, "cannot convert Go's %s to a Python object%s", t, why)
}

func encodePointer(tok *Token, b []byte, v reflect.Value, depth int) ([]byte, error) {
	switch {
	case v.IsNil():
		return cpython.AppendNil(b), nil
	case v.Kind() == reflect.Interface:
		return encodeAny(tok, b, v.Interface(), depth) // whatever holds the interface has counted
	case v.Type().Elem() == bigType && v.CanInterface():
		return encodeAny(tok, b, v.Interface(), depth)
	}
	return encodeValue(tok, b, v.Elem(), depth+1)
}

func encodeList(tok *Token, b []byte, v reflect.Value, depth int) ([]byte, error) {
	b = cpython.AppendList(b, v.Len())
	var err error
	for i := range v.Len() {
		if err := withinLimit(tok, b); err != nil {
			return nil, err
		}
		if b, err = encodeValue(tok, b, v.Index(i), depth+1); err != nil {
			return nil, argumentError(err, "item %d", i)
		}
	}
	return b, nil
}

func encodeMap(tok *Token, b []byte, v reflect.Value, depth int) ([]byte, error) {
	if v.Type() == kwType {
		return nil, misplaced(Kw(nil))
	}
	if v.IsNil() {
		return cpython.AppendNil(b), nil
	}
	b = cpython.AppendDict(b, v.Len())
	var err error
	for it := v.MapRange(); it.Next(); {
		if err := withinLimit(tok, b); err != nil {
			return nil, err
		}
		if b, err = encodeValue(tok, b, it.Key(), depth+1); err != nil {
			return nil, argumentError(err, "key %v", it.Key())
		}
		if b, err = encodeValue(tok, b, it.Value(), depth+1); err != nil {
			return nil, argumentError(err, "value of key %v", it.Key())
		}
	}
	return b, nil
}

func encodeStruct(tok *Token, b []byte, v reflect.Value, depth int) ([]byte, error) {
	if v.CanInterface() {
		switch x := v.Interface().(type) {
		case Object, Py, Keyword, spreads:
			return encodeAny(tok, b, x, depth)
		case big.Int:
			return cpython.AppendBig(b, &x), nil
		}
	}
	fields := fieldsOf(v.Type())
	if len(fields) == 0 && v.NumField() > 0 { // time.Time, sync.Mutex: an empty dict would lose it in silence
		return nil, cannot(v.Type(), ": it has no exported fields")
	}
	b = cpython.AppendDict(b, len(fields))
	var err error
	for _, f := range fields {
		if err := withinLimit(tok, b); err != nil {
			return nil, err
		}
		b = cpython.AppendString(b, f.name)
		if b, err = encodeValue(tok, b, v.Field(f.index), depth+1); err != nil {
			return nil, argumentError(err, "field %s", f.name)
		}
	}
	return b, nil
}

// withinLimit is the error of a conversion whose wire form has become too long: Go values too may hold the same one many times.
func withinLimit(tok *Token, b []byte) error {
	letGo(tok, len(b))
	if uint64(len(b)) <= cpython.MaxBytes {
		return nil
	}
	return tooManyBytes()
}

func tooManyBytes() error {
	return conversionError(ConversionLimitError, "a conversion is limited to %d bytes: raise gilt's Config.MaxBytes if such values are meant", cpython.MaxBytes)
}

type field struct {
	name  string
	index int
}

var fieldCache sync.Map // reflect.Type to []field

// fieldsOf are a struct's exported fields under their Python names.
func fieldsOf(t reflect.Type) []field {
	if f, ok := fieldCache.Load(t); ok {
		return f.([]field)
	}
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		name := f.Name
		for _, key := range []string{"json", "py"} { // py wins
			if tag, ok := f.Tag.Lookup(key); ok {
				if n, _, _ := strings.Cut(tag, ","); n != "" {
					name = n
				}
			}
		}
		if name != "-" {
			fields = append(fields, field{name, i})
		}
	}
	fieldCache.Store(t, fields)
	return fields
}
