package handles

import (
	"gilt/internal/cpython"
)

// Kw are keyword arguments, given as the last argument of a call. They come in no order: where it matters, as for a
// function that takes **kwargs and keeps them, give Named ones. Anywhere else a Kw is a TypeError.
type Kw map[string]any

// Keyword is a keyword argument: see Named.
type Keyword struct {
	Name  string
	Value any
}

// Named is a keyword argument, for the end of a call's arguments: f.Call(1, py.Named("b", 2), py.Named("c", 3)). Anywhere else
// a Keyword is a TypeError, and so are two of one name.
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

// twice is the error for two keyword arguments of one name.
func twice(name string) error {
	return conversionError(TypeError, "keyword argument %q is given twice", name)
}

// repeated is the name of the first keyword argument that was given before.
func repeated(named []any, kw Kw) (name string, ok bool) {
	if len(named) == 0 || len(named)+len(kw) < 2 {
		return "", false
	}
	seen := make(map[string]bool, len(named))
	for _, a := range named {
		name := a.(Keyword).Name
		if _, both := kw[name]; both || seen[name] {
			return name, true
		}
		seen[name] = true
	}
	return "", false
}

// call encodes arguments: the last ones may be keyword arguments.
func encodeCall(tok *Token, args []any) (*[]byte, error) {
	args, named, kw := keywords(args)
	if name, ok := repeated(named, kw); ok {
		return nil, twice(name)
	}
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
func CallAs[T any, O Object](o O, args ...any) (T, error) {
	return callAs[T](bare("CallAs", o), "CallAs", "", args)
}

// MethodAs calls a method and converts the result in the same crossing.
func MethodAs[T any, O Object](o O, name string, args ...any) (T, error) {
	return callAs[T](bare("MethodAs", o), "MethodAs", name, args)
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
