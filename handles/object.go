package handles

import (
	"iter"
	"math"
	"runtime"

	"gilt/gil"
	"gilt/internal/cpython"
)

// Kw are keyword arguments, given as the last argument of a call. They come in no order: where it matters, as for a
// function that takes **kwargs and keeps them, give Named ones.
type Kw map[string]any

// Keyword is a keyword argument: see Named.
type Keyword struct {
	Name  string
	Value any
}

// Named is a keyword argument, for the end of a call's arguments: f.Call(1, py.Named("b", 2), py.Named("c", 3)).
func Named(name string, value any) Keyword { return Keyword{name, value} }

// keywords splits the keyword arguments off.
func keywords(args []any) (positional []any, named []any, kw Kw) {
	n := len(args)
	if n > 0 {
		var ok bool
		if kw, ok = args[n-1].(Kw); ok {
			n--
		}
	}
	end := n
	for n > 0 && isKeyword(args[n-1]) {
		n--
	}
	return args[:n], args[n:end], kw
}

func isKeyword(a any) bool {
	_, ok := a.(Keyword)
	return ok
}

// call encodes arguments: the last ones may be keyword arguments.
func encodeCall(tok *Token, args []any) (*[]byte, error) {
	args, named, kw := keywords(args)
	buf := tok.TakeWire()
	b := cpython.AppendCall((*buf)[:0], len(args), len(named)+len(kw))
	var err error
	for i, a := range args {
		if b, err = encode(tok, b, a); err != nil {
			tok.PutWire(buf)
			return nil, argumentError(err, "argument %d", i+1)
		}
	}
	for _, a := range named {
		k := a.(Keyword)
		if b, err = encode(tok, cpython.AppendString(b, k.Name), k.Value); err != nil {
			tok.PutWire(buf)
			return nil, argumentError(err, "keyword argument %q", k.Name)
		}
	}
	for name, v := range kw {
		if b, err = encode(tok, cpython.AppendString(b, name), v); err != nil {
			tok.PutWire(buf)
			return nil, argumentError(err, "keyword argument %q", name)
		}
	}
	*buf = b
	return buf, nil
}

func encodeValues(tok *Token, values ...any) (*[]byte, error) {
	buf := tok.TakeWire()
	w := (*buf)[:0]
	var err error
	for _, v := range values {
		if w, err = encode(tok, w, v); err != nil {
			tok.PutWire(buf)
			return nil, err
		}
	}
	*buf = w
	return buf, nil
}

// Call calls the object: obj(*args). A last argument of type Kw gives keyword arguments; the others are
// converted as From does.
func (b Bound) Call(args ...any) (Bound, error) { return b.callBound("Bound.Call", "", args) }

// Method calls a method: obj.name(*args). A last argument of type Kw gives keyword arguments.
func (b Bound) Method(name string, args ...any) (Bound, error) {
	return b.callBound("Bound.Method", name, args)
}

// callBound calls the object, or its method when one is named.
func (b Bound) callBound(op, name string, args []any) (Bound, error) {
	e := b.entry(op)
	var q cpython.QuickArgs
	if quickArgs(b.tok, name, args, &q) {
		v, status := e.QuickCall(b.obj, name, &q, cpython.KindObject)
		keep(b, args)
		return quickBound(b.tok, op, v, status)
	}
	w, err := encodeCall(b.tok, args)
	if err != nil {
		return Bound{}, err
	}
	r := e.Call(b.obj, name, *w, cpython.KindObject)
	keep(b, args)
	b.tok.PutWire(w)
	return result(b.tok, op, r)
}

// CallAs calls an object and converts the result in the same crossing.
func CallAs[T any](b Bound, args ...any) (T, error) { return callAs[T](b, "CallAs", "", args) }

// MethodAs calls a method and converts the result in the same crossing.
func MethodAs[T any](b Bound, name string, args ...any) (T, error) {
	return callAs[T](b, "MethodAs", name, args)
}

func callAs[T any](b Bound, op, name string, args []any) (v T, err error) {
	e := b.entry(op)
	var q cpython.QuickArgs
	if k := kindOf[T](); k.Quick() && quickArgs(b.tok, name, args, &q) {
		i, status := e.QuickCall(b.obj, name, &q, k)
		keep(b, args)
		return quickValue[T](b.tok, op, k, i, status)
	}
	w, err := encodeCall(b.tok, args)
	if err != nil {
		return v, err
	}
	v, err = decoded[T](b.tok, op, func(k cpython.Kind) cpython.Result { return e.Call(b.obj, name, *w, k) })
	keep(b, args)
	b.tok.PutWire(w)
	return v, err
}

// Attr reads an attribute.
func (b Bound) Attr(name string) (Bound, error) {
	const op = "Bound.Attr"
	v, status := b.entry(op).QuickAttr(b.obj, name, cpython.KindObject)
	keep(b, nil)
	return quickBound(b.tok, op, v, status)
}

// AttrAs reads an attribute and converts it in the same crossing.
func AttrAs[T any](b Bound, name string) (T, error) {
	const op = "AttrAs"
	e := b.entry(op)
	if k := kindOf[T](); k.Quick() {
		i, status := e.QuickAttr(b.obj, name, k)
		keep(b, nil)
		return quickValue[T](b.tok, op, k, i, status)
	}
	v, err := decoded[T](b.tok, op, func(k cpython.Kind) cpython.Result { return e.GetAttr(b.obj, name, k) })
	keep(b, nil)
	return v, err
}

// SetAttr sets an attribute.
func (b Bound) SetAttr(name string, value any) error {
	const op = "Bound.SetAttr"
	e := b.entry(op)
	w, err := encodeValues(b.tok, value)
	if err != nil {
		return err
	}
	r := e.SetAttr(b.obj, name, *w)
	keep(b, nil)
	b.tok.PutWire(w)
	runtime.KeepAlive(value)
	return failure(b.tok, op, r)
}

// DelAttr deletes an attribute.
func (b Bound) DelAttr(name string) error {
	const op = "Bound.DelAttr"
	r := b.entry(op).SetAttr(b.obj, name, nil)
	keep(b, nil)
	return failure(b.tok, op, r)
}

// do runs an operation with values.
func (b Bound) do(op string, code cpython.Op, k cpython.Kind, values ...any) (cpython.Result, error) {
	e := b.entry(op)
	var r cpython.Result
	if len(values) > 0 {
		w, err := encodeValues(b.tok, values...)
		if err != nil {
			return r, err
		}
		r = e.Object(code, b.obj, *w, k)
		b.tok.PutWire(w)
	} else {
		r = e.Object(code, b.obj, nil, k)
	}
	keep(b, values)
	if err := failure(b.tok, op, r); err != nil {
		return cpython.Result{}, err
	}
	return r, nil
}

// Item is obj[key].
func (b Bound) Item(key any) (Bound, error) {
	r, err := b.do("Bound.Item", cpython.OpGetItem, cpython.KindObject, key)
	if err != nil {
		return Bound{}, err
	}
	return bound(b.tok, r.Obj), nil
}

// SetItem is obj[key] = value.
func (b Bound) SetItem(key, value any) error {
	_, err := b.do("Bound.SetItem", cpython.OpSetItem, cpython.KindNone, key, value)
	return err
}

// DelItem is del obj[key].
func (b Bound) DelItem(key any) error {
	_, err := b.do("Bound.DelItem", cpython.OpDelItem, cpython.KindNone, key)
	return err
}

// Append appends to a list.
func (b Bound) Append(value any) error {
	_, err := b.do("Bound.Append", cpython.OpAppend, cpython.KindNone, value)
	return err
}

// Len is len(obj).
func (b Bound) Len() (int, error) {
	r, err := b.do("Bound.Len", cpython.OpLen, cpython.KindNone)
	return int(r.Int), err
}

// Truth is bool(obj).
func (b Bound) Truth() (bool, error) {
	r, err := b.do("Bound.Truth", cpython.OpTruth, cpython.KindNone)
	return r.Int == 1, err
}

// Hash is hash(obj).
func (b Bound) Hash() (int64, error) {
	r, err := b.do("Bound.Hash", cpython.OpHash, cpython.KindNone)
	return r.Int, err
}

// Contains is value in obj.
func (b Bound) Contains(value any) (bool, error) {
	r, err := b.do("Bound.Contains", cpython.OpContains, cpython.KindNone, value)
	return r.Int == 1, err
}

// Equal is obj == value.
func (b Bound) Equal(value any) (bool, error) {
	r, err := b.do("Bound.Equal", cpython.OpEqual, cpython.KindNone, value)
	return r.Int == 1, err
}

// IsInstance is isinstance(obj, class).
func (b Bound) IsInstance(class Bound) (bool, error) {
	r, err := b.do("Bound.IsInstance", cpython.OpIsInstance, cpython.KindNone, class)
	return r.Int == 1, err
}

// Is says whether both are the same object.
func (b Bound) Is(other Bound) bool {
	b.entry("Bound.Is")
	other.entry("Bound.Is")
	return b.obj == other.obj
}

// Callable is callable(obj).
func (b Bound) Callable() bool {
	r, _ := b.do("Bound.Callable", cpython.OpCallable, cpython.KindNone)
	return r.Int == 1
}

// Type is type(obj).
func (b Bound) Type() (Bound, error) {
	r, err := b.do("Bound.Type", cpython.OpType, cpython.KindObject)
	if err != nil {
		return Bound{}, err
	}
	return bound(b.tok, r.Obj), nil
}

// Str is str(obj).
func (b Bound) Str() (string, error) {
	r, err := b.do("Bound.Str", cpython.OpStr, cpython.KindStr)
	return string(r.Data), err
}

// Repr is repr(obj).
func (b Bound) Repr() (string, error) {
	r, err := b.do("Bound.Repr", cpython.OpRepr, cpython.KindStr)
	return string(r.Data), err
}

// Iter iterates over the object as a for loop does. An exception, from making the iterator or on the
// way, comes as the last pair. Items live as long as the scope that is open around the loop; a Scope
// inside its body frees what the body makes.
func (b Bound) Iter() iter.Seq2[Bound, error] {
	return func(yield func(Bound, error) bool) {
		const op = "Bound.Iter"
		r, err := b.do(op, cpython.OpIter, cpython.KindObject)
		if err != nil {
			yield(Bound{}, err)
			return
		}
		it := bound(b.tok, r.Obj)
		for {
			r := it.entry(op).Object(cpython.OpNext, it.obj, nil, cpython.KindObject)
			if r.Status == cpython.Done {
				return
			}
			item, err := result(b.tok, op, r)
			if !yield(item, err) || err != nil {
				return
			}
		}
	}
}

// Int64 converts to an int64 as Python's operator.index does: an int, a bool, or what has __index__;
// never a float. OverflowError when it does not fit.
func (b Bound) Int64() (int64, error) {
	r, err := b.do("Bound.Int64", cpython.OpConvert, cpython.KindInt64)
	return r.Int, err
}

// Float64 converts to a float64 as float() does for numbers.
func (b Bound) Float64() (float64, error) {
	r, err := b.do("Bound.Float64", cpython.OpConvert, cpython.KindFloat64)
	return math.Float64frombits(uint64(r.Int)), err
}

// Bool gives the value of a bool; for the truth of any object see Truth.
func (b Bound) Bool() (bool, error) {
	r, err := b.do("Bound.Bool", cpython.OpConvert, cpython.KindBool)
	return r.Int == 1, err
}

// Text gives the text of a str; UnicodeEncodeError when it holds lone surrogates.
func (b Bound) Text() (string, error) {
	r, err := b.do("Bound.Text", cpython.OpConvert, cpython.KindStr)
	return string(r.Data), err
}

// Bytes gives a copy of a bytes or bytearray.
func (b Bound) Bytes() ([]byte, error) {
	r, err := b.do("Bound.Bytes", cpython.OpConvert, cpython.KindBytes)
	if err != nil {
		return nil, err
	}
	data := bytesOf(r)
	if data == nil {
		return nil, conversionError(TypeError, "'NoneType' object is not an instance of 'bytes'")
	}
	return data, nil
}

// As converts an object to a Go value: see From for the pairs.
func As[T any](b Bound) (T, error) {
	const op = "As"
	e := b.entry(op)
	v, err := decoded[T](b.tok, op, func(k cpython.Kind) cpython.Result { return e.Object(cpython.OpConvert, b.obj, nil, k) })
	keep(b, nil)
	return v, err
}

// From converts a Go value to a Python object, in one crossing whatever its size:
//
//	nil → None; bool; all ints, *big.Int → int; floats → float; string → str; []byte → bytes;
//	slices and arrays → list; maps → dict; structs → dict of their exported fields, by the names of
//	`py:"name"` or `json:"name"` tags; pointers as what they point to; Bound and Py as their object.
//
// As goes the other way: None gives a pointer, slice, map or any its nil; an integer of any type, alone or
// inside another, takes an int, a bool or an object with __index__, and never a float; int, float, str, bytes, list,
// tuple and dict give int64 (or *big.Int), float64, string, []byte, []any and map[string]any (map[any]any
// when a key is no str) where any is asked for. An int that does not fit is an OverflowError, a value of
// another type is a TypeError; nothing is cut or guessed.
func From(tok *Token, v any) (Bound, error) {
	const op = "From"
	e := tok.Entry(op)
	w, err := encodeValues(tok, v)
	if err != nil {
		return Bound{}, err
	}
	r := e.Make(*w)
	runtime.KeepAlive(v)
	tok.PutWire(w)
	return result(tok, op, r)
}

// Import imports a module by its dotted name and gives the module of that name ("os.path" gives
// posixpath).
func Import(tok *Token, name string) (Bound, error) {
	const op = "Import"
	return result(tok, op, tok.Entry(op).Import(name))
}

// Eval evaluates an expression. Without a namespace it sees the built-ins only; otherwise the first is
// globals, a dict, and the second, when given, locals.
func Eval(tok *Token, expr string, namespace ...Bound) (Bound, error) {
	const op = "Eval"
	g, l := namespaces(tok, op, namespace)
	r := tok.Entry(op).Exec(expr, "<string>", true, g, l, cpython.KindObject)
	runtime.KeepAlive(namespace)
	return result(tok, op, r)
}

// EvalAs evaluates an expression and converts the result in the same crossing.
func EvalAs[T any](tok *Token, expr string, namespace ...Bound) (T, error) {
	const op = "EvalAs"
	g, l := namespaces(tok, op, namespace)
	e := tok.Entry(op)
	v, err := decoded[T](tok, op, func(k cpython.Kind) cpython.Result { return e.Exec(expr, "<string>", true, g, l, k) })
	runtime.KeepAlive(namespace)
	return v, err
}

// Run runs statements. Without a namespace they run in one of their own, which is dropped: nothing leaks
// from one Run into another. Otherwise the first is globals, a dict, and the second, when given, locals.
func Run(tok *Token, source string, namespace ...Bound) error {
	return RunFile(tok, source, "<string>", namespace...)
}

// RunFile is Run for source text that came from a file: tracebacks name it.
func RunFile(tok *Token, source, file string, namespace ...Bound) error {
	const op = "Run"
	g, l := namespaces(tok, op, namespace)
	r := tok.Entry(op).Exec(source, file, false, g, l, cpython.KindNone)
	runtime.KeepAlive(namespace)
	return failure(tok, op, r)
}

func namespaces(tok *Token, op string, namespace []Bound) (globals, locals cpython.Object) {
	if len(namespace) > 2 {
		panic("gilt: " + op + ": at most two namespaces: globals and locals")
	}
	if len(namespace) > 0 {
		namespace[0].entryFor(tok, op)
		globals = namespace[0].obj
	}
	if len(namespace) > 1 {
		namespace[1].entryFor(tok, op)
		locals = namespace[1].obj
	}
	return globals, locals
}

// None gives None.
func None(tok *Token) Bound {
	b, err := From(tok, nil)
	if err != nil {
		gil.MisuseZero("None") // None is always there
	}
	return b
}

// Dict gives a new dict of v, for use as a namespace.
func Dict(tok *Token, v map[string]any) (Bound, error) {
	if v == nil {
		v = map[string]any{}
	}
	return From(tok, v)
}
