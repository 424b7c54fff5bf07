package handles

import (
	"math"
	"math/big"
	"reflect"

	"gilt/internal/cpython"
)

// decoded runs an operation with the kind of result that T wants, and converts what comes.
func decoded[T any](tok *Token, op string, run func(cpython.Kind) cpython.Result) (v T, err error) {
	if b, ok := any(&v).(*Bound); ok {
		*b, err = result(tok, op, run(cpython.KindObject))
		return v, err
	}
	if p, ok := any(&v).(*Py); ok {
		var b Bound
		if b, err = result(tok, op, run(cpython.KindObject)); err == nil {
			*p = b.Unbind()
		}
		return v, err
	}
	k := kindOf[T]()
	r := run(k)
	if err = failure(tok, op, r); err != nil {
		return v, err
	}
	err = decodeResult(r, &v)
	return v, err
}

// kindOf is how a result for T travels.
func kindOf[T any]() cpython.Kind {
	switch any((*T)(nil)).(type) {
	case *int64, *int:
		return cpython.KindInt64
	case *uint64, *uint:
		return cpython.KindUint64
	case *float64:
		return cpython.KindFloat64
	case *bool:
		return cpython.KindBool
	case *string:
		return cpython.KindStr
	case *[]byte:
		return cpython.KindBytes
	case *struct{}:
		return cpython.KindNone
	}
	return cpython.KindWire
}

// decoder chooses how a prepared function's result is read; nothing of it allocates or reflects for
// scalars.
func decoder[R any]() func(cpython.Result) (R, error) {
	var f any
	switch any((*R)(nil)).(type) {
	case *int64:
		f = func(r cpython.Result) (int64, error) { return r.Int, nil }
	case *uint64:
		f = func(r cpython.Result) (uint64, error) { return uint64(r.Int), nil }
	case *float64:
		f = func(r cpython.Result) (float64, error) { return math.Float64frombits(uint64(r.Int)), nil }
	case *bool:
		f = func(r cpython.Result) (bool, error) { return r.Int != 0, nil }
	case *string:
		f = func(r cpython.Result) (string, error) { return string(r.Data), nil }
	case *struct{}:
		f = func(cpython.Result) (struct{}, error) { return struct{}{}, nil }
	default:
		return func(r cpython.Result) (v R, err error) {
			err = decodeResult(r, &v)
			return v, err
		}
	}
	return f.(func(cpython.Result) (R, error))
}

// decodeResult copies a result into *v; r.Data may be C memory and is not kept.
func decodeResult[T any](r cpython.Result, v *T) error {
	switch p := any(v).(type) {
	case *int64:
		*p = r.Int
	case *int:
		*p = int(r.Int)
		if int64(*p) != r.Int {
			return tooLarge(r.Int, "int")
		}
	case *uint64:
		*p = uint64(r.Int)
	case *uint:
		*p = uint(r.Int)
		if uint64(*p) != uint64(r.Int) {
			return tooLarge(uint64(r.Int), "uint")
		}
	case *float64:
		*p = math.Float64frombits(uint64(r.Int))
	case *bool:
		*p = r.Int != 0
	case *string:
		*p = string(r.Data)
	case *[]byte:
		*p = append([]byte{}, r.Data...)
	case *struct{}:
	case *any:
		rd := &cpython.Reader{Data: r.Data}
		x, err := readAny(rd)
		if err != nil {
			return err
		}
		*p = x
		return rd.Err
	default:
		rd := &cpython.Reader{Data: r.Data}
		if err := readInto(rd, reflect.ValueOf(v).Elem()); err != nil {
			return err
		}
		return rd.Err
	}
	return nil
}

func tooLarge(v any, goType string) error {
	return conversionError(OverflowError, "int %v does not fit in Go's %s", v, goType)
}

// readAny reads the next value as Go's nearest type.
func readAny(r *cpython.Reader) (any, error) {
	tag := r.Byte()
	switch tag {
	case 'N':
		return nil, nil
	case 'T', 'F':
		return tag == 'T', nil
	case 'i':
		return int64(r.Uint64()), nil
	case 'I':
		return r.Big(), nil
	case 'd':
		return math.Float64frombits(r.Uint64()), nil
	case 's':
		return r.Text(), nil
	case 'b':
		return append([]byte{}, r.Bytes()...), nil
	case 'l', 't':
		n := r.Uint64()
		list := make([]any, 0, min(n, uint64(len(r.Data))))
		for range n {
			v, err := readAny(r)
			if err != nil || r.Err != nil {
				return nil, cmpErr(err, r.Err)
			}
			list = append(list, v)
		}
		return list, nil
	case 'm':
		return readAnyMap(r)
	}
	return nil, cmpErr(r.Err, cpython.ErrWire)
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func readAnyMap(r *cpython.Reader) (any, error) {
	n := r.Uint64()
	m := make(map[string]any, min(n, uint64(len(r.Data))))
	var mixed map[any]any
	for range n {
		k, err := readAny(r)
		if err != nil || r.Err != nil {
			return nil, cmpErr(err, r.Err)
		}
		v, err := readAny(r)
		if err != nil || r.Err != nil {
			return nil, cmpErr(err, r.Err)
		}
		s, ok := k.(string)
		if !ok && mixed == nil {
			mixed = make(map[any]any, n)
			for k, v := range m {
				mixed[k] = v
			}
		}
		if mixed == nil {
			m[s] = v
			continue
		}
		if k != nil && !reflect.TypeOf(k).Comparable() {
			return nil, conversionError(TypeError, "a dict key of Go type %T cannot be the key of a Go map", k)
		}
		mixed[k] = v
	}
	if mixed != nil {
		return mixed, nil
	}
	return m, nil
}

var kindNames = map[byte]string{
	'N': "NoneType", 'T': "bool", 'F': "bool", 'i': "int", 'I': "int", 'd': "float", 's': "str", 'b': "bytes",
	'l': "list", 't': "tuple", 'm': "dict",
}

var pyType, boundType, borrowedType = reflect.TypeFor[Py](), reflect.TypeFor[Bound](), reflect.TypeFor[Borrowed]()

func wrongType(tag byte, t reflect.Type) error {
	return conversionError(TypeError, "'%s' object cannot be converted to Go's %s", kindNames[tag], t)
}

// readInto reads the next value into v.
func readInto(r *cpython.Reader, v reflect.Value) error {
	if len(r.Data) == 0 {
		return cpython.ErrWire
	}
	tag := r.Data[0]
	t := v.Type()
	switch t {
	case bigType:
		return readBig(r, v.Addr().Interface().(*big.Int))
	case pyType, boundType, borrowedType:
		return conversionError(TypeError, "a %s cannot be inside a converted value: convert to it alone, or use Bound.Item and Bound.Attr", t)
	}
	switch t.Kind() {
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return wrongType(tag, t)
		}
		x, err := readAny(r)
		if x != nil {
			v.Set(reflect.ValueOf(x))
		}
		return err
	case reflect.Pointer:
		if tag == 'N' {
			r.Byte()
			v.SetZero()
			return nil
		}
		v.Set(reflect.New(t.Elem()))
		return readInto(r, v.Elem())
	case reflect.Bool:
		if tag != 'T' && tag != 'F' {
			return wrongType(tag, t)
		}
		v.SetBool(r.Byte() == 'T')
		return nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return readInt(r, v)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return readUint(r, v)
	case reflect.Float32, reflect.Float64:
		return readFloat(r, v)
	case reflect.String:
		if tag != 's' {
			return wrongType(tag, t)
		}
		r.Byte()
		v.SetString(r.Text())
		return nil
	case reflect.Slice, reflect.Array:
		return readList(r, v)
	case reflect.Map:
		return readMap(r, v)
	case reflect.Struct:
		return readStruct(r, v)
	}
	return wrongType(tag, t)
}

func readBig(r *cpython.Reader, v *big.Int) error {
	switch tag := r.Byte(); tag {
	case 'i':
		v.SetInt64(int64(r.Uint64()))
	case 'I':
		v.Set(r.Big())
	case 'T', 'F':
		v.SetInt64(int64(map[byte]int{'T': 1}[tag]))
	default:
		return wrongType(tag, bigType)
	}
	return nil
}

func readInt(r *cpython.Reader, v reflect.Value) error {
	var x big.Int
	if err := readBig(r, &x); err != nil {
		return err
	}
	if !x.IsInt64() || v.OverflowInt(x.Int64()) {
		return tooLarge(&x, v.Type().String())
	}
	v.SetInt(x.Int64())
	return nil
}

func readUint(r *cpython.Reader, v reflect.Value) error {
	var x big.Int
	if err := readBig(r, &x); err != nil {
		return err
	}
	if !x.IsUint64() || v.OverflowUint(x.Uint64()) {
		return tooLarge(&x, v.Type().String())
	}
	v.SetUint(x.Uint64())
	return nil
}

func readFloat(r *cpython.Reader, v reflect.Value) error {
	if r.Data[0] == 'd' {
		r.Byte()
		f := math.Float64frombits(r.Uint64())
		if v.OverflowFloat(f) {
			return conversionError(OverflowError, "float %v does not fit in Go's %s", f, v.Type())
		}
		v.SetFloat(f)
		return nil
	}
	var x big.Int
	tag := r.Data[0]
	if err := readBig(r, &x); err != nil {
		return conversionError(TypeError, "must be real number, not %s", kindNames[tag])
	}
	f, _ := new(big.Float).SetInt(&x).Float64()
	if math.IsInf(f, 0) || v.OverflowFloat(f) {
		return conversionError(OverflowError, "int too large to convert to float")
	}
	v.SetFloat(f)
	return nil
}

func readList(r *cpython.Reader, v reflect.Value) error {
	tag, t := r.Byte(), v.Type()
	switch {
	case tag == 'N' && t.Kind() == reflect.Slice:
		v.SetZero()
		return nil
	case tag == 'b' && t.Elem().Kind() == reflect.Uint8 && t.Kind() == reflect.Slice:
		v.SetBytes(append([]byte{}, r.Bytes()...))
		return nil
	case tag != 'l' && tag != 't':
		return wrongType(tag, t)
	}
	n := r.Uint64()
	if n > uint64(len(r.Data)) {
		return cpython.ErrWire
	}
	if t.Kind() == reflect.Array {
		if int(n) != v.Len() {
			return conversionError(ValueError, "expected a sequence of length %d (got %d)", v.Len(), n)
		}
	} else {
		v.Set(reflect.MakeSlice(t, int(n), int(n)))
	}
	for i := range int(n) {
		if err := readInto(r, v.Index(i)); err != nil {
			return argumentError(err, "item %d", i)
		}
	}
	return nil
}

func readMap(r *cpython.Reader, v reflect.Value) error {
	tag, t := r.Byte(), v.Type()
	if tag == 'N' {
		v.SetZero()
		return nil
	}
	if tag != 'm' {
		return wrongType(tag, t)
	}
	n := r.Uint64()
	m := reflect.MakeMapWithSize(t, int(min(n, uint64(len(r.Data)))))
	for range n {
		key, value := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
		if err := readInto(r, key); err != nil {
			return argumentError(err, "a key")
		}
		if !key.Comparable() {
			return conversionError(TypeError, "a dict key cannot be the key of Go's %s", t)
		}
		if err := readInto(r, value); err != nil {
			return argumentError(err, "value of key %v", key)
		}
		m.SetMapIndex(key, value)
	}
	v.Set(m)
	return nil
}

// readStruct reads a dict's items into the fields of their names; a field without an item stays zero,
// an item without a field is passed over.
func readStruct(r *cpython.Reader, v reflect.Value) error {
	if tag := r.Byte(); tag != 'm' {
		return wrongType(tag, v.Type())
	}
	byName := make(map[string]int)
	for _, f := range fieldsOf(v.Type()) {
		byName[f.name] = f.index
	}
	for range r.Uint64() {
		name, ok := "", len(r.Data) > 0 && r.Data[0] == 's'
		if ok {
			r.Byte()
			name = r.Text()
		} else {
			skip(r)
		}
		if r.Err != nil {
			return r.Err
		}
		i, known := byName[name]
		if !ok || !known {
			skip(r)
			continue
		}
		if err := readInto(r, v.Field(i)); err != nil {
			return argumentError(err, "field %s", name)
		}
	}
	return nil
}

// skip passes over the next value.
func skip(r *cpython.Reader) {
	items := uint64(1)
	for ; items > 0 && r.Err == nil; items-- {
		switch r.Byte() {
		case 'i', 'd':
			r.Uint64()
		case 'I', 's', 'b':
			r.Bytes()
		case 'l', 't':
			items += r.Uint64()
		case 'm':
			items += 2 * r.Uint64()
		}
	}
}
