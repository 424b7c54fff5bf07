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
	if c, ok := any(v).(classed); ok && isOwn(reflect.TypeFor[T]()) {
		var b Bound
		if b, err = result(tok, op, run(cpython.KindObject)); err == nil {
			err = cast(b, op, c.class(), reflect.ValueOf(&v).Elem())
		}
		return v, err
	}
	k := kindOf[T]()
	if k == cpython.KindWire {
		if err := readable(reflect.TypeFor[T](), 0); err != nil {
			return v, err
		}
	}
	r := run(k)
	if err = failure(tok, op, r); err != nil {
		return v, err
	}
	err = decodeResult(k, r, &v)
	return v, err
}

// kindOf is how a result for T travels. Numbers, bools and strings of every type go as Python's own
// conversions give them, so that __index__ and __float__ are honoured and errors have Python's text.
func kindOf[T any]() cpython.Kind {
	switch any((*T)(nil)).(type) { // the common ones without reflection
	case *int64, *int:
		return cpython.KindInt64
	case *float64:
		return cpython.KindFloat64
	case *string:
		return cpython.KindStr
	case *[]byte:
		return cpython.KindBytes
	case *struct{}:
		return cpython.KindNone
	}
	switch reflect.TypeFor[T]().Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return cpython.KindInt64 // the small unsigned ones too: what does not fit is named
	case reflect.Uint, reflect.Uint64, reflect.Uintptr:
		return cpython.KindUint64
	case reflect.Float32, reflect.Float64:
		return cpython.KindFloat64
	case reflect.Bool:
		return cpython.KindBool
	case reflect.String:
		return cpython.KindStr
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
		k := kindOf[R]()
		return func(r cpython.Result) (v R, err error) {
			err = decodeResult(k, r, &v)
			return v, err
		}
	}
	return f.(func(cpython.Result) (R, error))
}

// decodeResult copies a result of kind k into *v; r.Data may be C memory and is not kept.
func decodeResult[T any](k cpython.Kind, r cpython.Result, v *T) error {
	switch p := any(v).(type) {
	case *int64:
		*p = r.Int
	case *int:
		*p = int(r.Int)
		if int64(*p) != r.Int {
			return tooLarge(r.Int, reflect.TypeFor[int]())
		}
	case *uint64:
		*p = uint64(r.Int)
	case *float64:
		*p = math.Float64frombits(uint64(r.Int))
	case *bool:
		*p = r.Int != 0
	case *string:
		*p = string(r.Data)
	case *[]byte:
		*p = bytesOf(r)
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
		to := reflect.ValueOf(v).Elem()
		if k != cpython.KindWire {
			return setScalar(k, r, to)
		}
		rd := &cpython.Reader{Data: r.Data}
		if err := readInto(rd, to); err != nil {
			return err
		}
		return rd.Err
	}
	return nil
}

// bytesOf copies the bytes of a result: nil for None, which C marks by Int.
func bytesOf(r cpython.Result) []byte {
	if r.Int == 1 {
		return nil
	}
	return append([]byte{}, r.Data...)
}

// setScalar sets v, of another type than the result's own, when the value fits.
func setScalar(k cpython.Kind, r cpython.Result, v reflect.Value) error {
	switch {
	case v.CanInt():
		return setInt(v, r.Int)
	case v.CanUint() && k == cpython.KindInt64 && r.Int < 0:
		return tooLarge(r.Int, v.Type())
	case v.CanUint():
		return setUint(v, uint64(r.Int))
	case v.CanFloat():
		return setFloat(v, math.Float64frombits(uint64(r.Int)))
	case v.Kind() == reflect.Bool:
		v.SetBool(r.Int != 0)
	case v.Kind() == reflect.String:
		v.SetString(string(r.Data))
	}
	return nil
}

func setInt(v reflect.Value, x int64) error {
	if v.OverflowInt(x) {
		return tooLarge(x, v.Type())
	}
	v.SetInt(x)
	return nil
}

func setUint(v reflect.Value, x uint64) error {
	if v.OverflowUint(x) {
		return tooLarge(x, v.Type())
	}
	v.SetUint(x)
	return nil
}

func setFloat(v reflect.Value, f float64) error {
	if v.OverflowFloat(f) {
		return conversionError(OverflowError, "float %v does not fit in Go's %s", f, v.Type())
	}
	v.SetFloat(f)
	return nil
}

func tooLarge(x any, t reflect.Type) error {
	return conversionError(OverflowError, "int %v does not fit in Go's %s", x, t)
}

// readAny reads the next value as Go's nearest type.
func readAny(r *cpython.Reader) (any, error) { return readAnyOf(r, r.Byte()) }

func readAnyOf(r *cpython.Reader, tag byte) (any, error) {
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
	case 'x': // an int only where one is asked for
		return nil, conversionError(TypeError, "cannot convert '%s' object to a Go value", r.Text())
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

// isHandle says whether t is a type of handle.
func isHandle(t reflect.Type) bool {
	return t == pyType || t == boundType || t == borrowedType || isOwn(t)
}

// readable says why no object is converted to t, as far as that is the same for all. Structs are asked when there is a
// value for them.
func readable(t reflect.Type, depth int) error {
	switch {
	case t == bigType || depth > 8: // a type that contains itself
		return nil
	case isHandle(t):
		return conversionError(TypeError, "a %s cannot be inside a converted value: convert to it alone, or use Bound.Item and Bound.Attr", t)
	case t == timeType:
		return conversionError(TypeError, "no Python object is converted to Go's %s: convert to a DateTime, whose Time gives it", t)
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return readable(t.Elem(), depth+1)
	case reflect.Map:
		if err := readable(t.Key(), depth+1); err != nil {
			return err
		}
		return readable(t.Elem(), depth+1)
	case reflect.Struct:
		if t.NumField() == 0 || len(fieldsOf(t)) > 0 {
			return nil
		}
		return conversionError(TypeError, "no Python object is converted to Go's %s: it has no exported fields", t)
	case reflect.Complex64, reflect.Complex128:
		return conversionError(TypeError, "no Python object is converted to Go's %s: convert to a Complex, whose Complex128 gives it", t)
	case reflect.Interface:
		if t.NumMethod() == 0 {
			return nil
		}
	case reflect.Chan, reflect.Func, reflect.UnsafePointer:
	default:
		return nil
	}
	return conversionError(TypeError, "no Python object is converted to Go's %s", t)
}

// typeName is the Python type of the value whose tag was read.
func typeName(r *cpython.Reader, tag byte) string {
	if tag == 'x' {
		return r.Text()
	}
	return kindNames[tag]
}

func wrongType(r *cpython.Reader, tag byte, t reflect.Type) error {
	return conversionError(TypeError, "'%s' object cannot be converted to Go's %s", typeName(r, tag), t)
}

// readInto reads the next value into v.
func readInto(r *cpython.Reader, v reflect.Value) error {
	if len(r.Data) == 0 {
		return cpython.ErrWire
	}
	return readTagged(r, r.Byte(), v)
}

// readTagged reads the rest of a value whose tag was read.
func readTagged(r *cpython.Reader, tag byte, v reflect.Value) error {
	t := v.Type()
	if t == bigType {
		return readBig(r, tag, v.Addr().Interface().(*big.Int))
	}
	if t.Kind() == reflect.Struct {
		if err := readable(t, 0); err != nil {
			return err
		}
	}
	switch t.Kind() {
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return wrongType(r, tag, t)
		}
		x, err := readAnyOf(r, tag)
		if x != nil {
			v.Set(reflect.ValueOf(x))
		}
		return err
	case reflect.Pointer:
		if tag == 'N' {
			v.SetZero()
			return nil
		}
		v.Set(reflect.New(t.Elem()))
		return readTagged(r, tag, v.Elem())
	case reflect.Bool:
		if tag != 'T' && tag != 'F' {
			return wrongType(r, tag, t)
		}
		v.SetBool(tag == 'T')
		return nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return readInt(r, tag, v)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return readUint(r, tag, v)
	case reflect.Float32, reflect.Float64:
		return readFloat(r, tag, v)
	case reflect.String:
		if tag != 's' {
			return wrongType(r, tag, t)
		}
		v.SetString(r.Text())
		return nil
	case reflect.Slice, reflect.Array:
		return readList(r, tag, v)
	case reflect.Map:
		return readMap(r, tag, v)
	case reflect.Struct:
		return readStruct(r, tag, v)
	}
	return wrongType(r, tag, t)
}

// readBig reads what Python's operator.index takes: an int, a bool, or an object with __index__.
func readBig(r *cpython.Reader, tag byte, v *big.Int) error {
	if tag == 'x' {
		r.Bytes() // the type's name
		tag = r.Byte()
	}
	switch tag {
	case 'i':
		v.SetInt64(int64(r.Uint64()))
	case 'I':
		v.Set(r.Big())
	case 'T', 'F':
		v.SetInt64(int64(map[byte]int{'T': 1}[tag]))
	default:
		return conversionError(TypeError, "'%s' object cannot be interpreted as an integer", typeName(r, tag))
	}
	return nil
}

func readInt(r *cpython.Reader, tag byte, v reflect.Value) error {
	if tag == 'i' { // most are
		return setInt(v, int64(r.Uint64()))
	}
	var x big.Int
	if err := readBig(r, tag, &x); err != nil {
		return err
	}
	if !x.IsInt64() {
		return tooLarge(&x, v.Type())
	}
	return setInt(v, x.Int64())
}

func readUint(r *cpython.Reader, tag byte, v reflect.Value) error {
	var x big.Int
	if err := readBig(r, tag, &x); err != nil {
		return err
	}
	if !x.IsUint64() {
		return tooLarge(&x, v.Type())
	}
	return setUint(v, x.Uint64())
}

func readFloat(r *cpython.Reader, tag byte, v reflect.Value) error {
	if tag == 'd' {
		return setFloat(v, math.Float64frombits(r.Uint64()))
	}
	if tag != 'i' && tag != 'I' && tag != 'T' && tag != 'F' && tag != 'x' {
		return conversionError(TypeError, "must be real number, not %s", typeName(r, tag))
	}
	var x big.Int
	if err := readBig(r, tag, &x); err != nil {
		return err
	}
	f, _ := new(big.Float).SetInt(&x).Float64()
	if math.IsInf(f, 0) || v.OverflowFloat(f) {
		return conversionError(OverflowError, "int too large to convert to float")
	}
	v.SetFloat(f)
	return nil
}

func readList(r *cpython.Reader, tag byte, v reflect.Value) error {
	t := v.Type()
	switch {
	case tag == 'N' && t.Kind() == reflect.Slice:
		v.SetZero()
		return nil
	case tag == 'b' && t.Elem().Kind() == reflect.Uint8 && t.Kind() == reflect.Slice:
		v.SetBytes(append([]byte{}, r.Bytes()...))
		return nil
	case tag != 'l' && tag != 't':
		return wrongType(r, tag, t)
	}
	n := r.Uint64()
	if n > uint64(len(r.Data)) {
		return cpython.ErrWire
	}
	if size := uint64(t.Elem().Size()); t.Kind() == reflect.Slice && size > 16 && n > cpython.MaxBytes/size { // an item of a byte may be a large struct
		return tooManyBytes()
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

func readMap(r *cpython.Reader, tag byte, v reflect.Value) error {
	t := v.Type()
	if tag == 'N' {
		v.SetZero()
		return nil
	}
	if tag != 'm' {
		return wrongType(r, tag, t)
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
func readStruct(r *cpython.Reader, tag byte, v reflect.Value) error {
	if tag != 'm' {
		return wrongType(r, tag, v.Type())
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
		case 'x':
			r.Bytes()
			items++
		}
	}
}
