package handles

import (
	"iter"
	"runtime"

	"gilt/internal/cpython"
)

// What every object can do.

// Attr reads an attribute.
func (b Bound) Attr(name string) (Bound, error) {
	const op = "Bound.Attr"
	v, status := b.entry(op).QuickAttr(b.obj, name, cpython.KindObject)
	keep(b, nil)
	return quickBound(b.tok, op, v, status)
}

// AttrAs reads an attribute and converts it in the same crossing.
func AttrAs[T any, O Object](o O, name string) (T, error) {
	return attrAs[T](bare("AttrAs", o), "AttrAs", name)
}

func attrAs[T any](b Bound, op, name string) (T, error) {
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

// LookupAttr reads an attribute that may not be there: ok is false then. Other exceptions than AttributeError are
// errors.
func (b Bound) LookupAttr(name string) (v Bound, ok bool, err error) {
	return b.lookup("Bound.LookupAttr", cpython.OpLookup, name)
}

// lookup runs an operation that may find nothing.
func (b Bound) lookup(op string, code cpython.Op, key any) (v Bound, ok bool, err error) {
	e := b.entry(op)
	if kind, w, ok := word(b.tok, key); ok {
		o, status := e.QuickObject(code, b.obj, cpython.TwoWords{}.With(kind, w), cpython.KindObject)
		keep(b, nil)
		runtime.KeepAlive(key)
		if status == cpython.Done {
			return Bound{}, false, nil
		}
		v, err = quickBound(b.tok, op, o, status)
		return v, err == nil, err
	}
	w, err := encodeValues(b.tok, key)
	if err != nil {
		return Bound{}, false, err
	}
	r := e.Object(code, b.obj, *w, cpython.KindObject)
	b.tok.PutWire(w)
	keep(b, nil)
	runtime.KeepAlive(key)
	if r.Status == cpython.Done {
		return Bound{}, false, nil
	}
	v, err = result(b.tok, op, r)
	return v, err == nil, err
}

// HasAttr says whether the object has an attribute. Other exceptions than AttributeError are errors, as for Python's
// hasattr.
func (b Bound) HasAttr(name string) (bool, error) {
	_, ok, err := b.LookupAttr(name)
	return ok, err
}

// do runs an operation with up to two values.
func (b Bound) do(op string, code cpython.Op, k cpython.Kind, values ...any) (int64, error) {
	e := b.entry(op)
	if words, ok := twoWords(b.tok, values); ok {
		v, status := e.QuickObject(code, b.obj, words, k)
		keep(b, values)
		if status != cpython.OK {
			return 0, quickFailure(b.tok, op, status)
		}
		return v, nil
	}
	w, err := encodeValues(b.tok, values...)
	if err != nil {
		return 0, err
	}
	r := e.Object(code, b.obj, *w, k)
	b.tok.PutWire(w)
	keep(b, values)
	if err := failure(b.tok, op, r); err != nil {
		return 0, err
	}
	if k == cpython.KindObject {
		return int64(r.Obj), nil
	}
	return r.Int, nil
}

// object runs an operation that gives an object.
func (b Bound) object(op string, code cpython.Op, values ...any) (Bound, error) {
	o, err := b.do(op, code, cpython.KindObject, values...)
	if err != nil {
		return Bound{}, err
	}
	return bound(b.tok, cpython.Object(o)), nil
}

// truth runs an operation that gives a truth.
func (b Bound) truth(op string, code cpython.Op, values ...any) (bool, error) {
	v, err := b.do(op, code, cpython.KindNone, values...)
	return v == 1, err
}

// data runs an operation that gives a str or bytes.
func (b Bound) data(op string, code cpython.Op, k cpython.Kind) (cpython.Result, error) {
	r := b.entry(op).Object(code, b.obj, nil, k)
	keep(b, nil)
	if err := failure(b.tok, op, r); err != nil {
		return cpython.Result{}, err
	}
	return r, nil
}

// Item is obj[key].
func (b Bound) Item(key any) (Bound, error) { return b.object("Bound.Item", cpython.OpGetItem, key) }

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

// Len is len(obj).
func (b Bound) Len() (int, error) {
	n, err := b.do("Bound.Len", cpython.OpLen, cpython.KindNone)
	return int(n), err
}

// Truth is bool(obj).
func (b Bound) Truth() (bool, error) { return b.truth("Bound.Truth", cpython.OpTruth) }

// Hash is hash(obj).
func (b Bound) Hash() (int64, error) {
	return b.do("Bound.Hash", cpython.OpHash, cpython.KindNone)
}

// Contains is value in obj.
func (b Bound) Contains(value any) (bool, error) {
	return b.truth("Bound.Contains", cpython.OpContains, value)
}

// IsInstance is isinstance(obj, class), where class may be a tuple of classes. Cast is for Python's own.
func (b Bound) IsInstance(class any) (bool, error) {
	return b.truth("Bound.IsInstance", cpython.OpIsInstance, class)
}

// IsSubclass is issubclass(obj, class), where class may be a tuple of classes.
func (b Bound) IsSubclass(class any) (bool, error) {
	return b.truth("Bound.IsSubclass", cpython.OpIsSubclass, class)
}

// Is says whether both are the same object.
func (b Bound) Is(other Object) bool {
	const op = "Bound.Is"
	o := handleOf(op, other)
	b.entry(op)
	o.entry(op)
	return b.obj == o.obj
}

// IsNone says whether the object is None.
func (b Bound) IsNone() bool {
	b.entry("Bound.IsNone")
	return b.obj == cpython.None()
}

// Callable is callable(obj).
func (b Bound) Callable() bool {
	yes, _ := b.truth("Bound.Callable", cpython.OpCallable)
	return yes
}

// Type is type(obj).
func (b Bound) Type() (Type, error) { return made[Type](b.object("Bound.Type", cpython.OpType)) }

// Dir is dir(obj): the names of its attributes, sorted.
func (b Bound) Dir() ([]string, error) {
	names, err := b.object("Bound.Dir", cpython.OpDir)
	if err != nil {
		return nil, err
	}
	return As[[]string](names)
}

// Str is str(obj).
func (b Bound) Str() (string, error) {
	r, err := b.data("Bound.Str", cpython.OpStr, cpython.KindStr)
	return string(r.Data), err
}

// String is str(obj) for package fmt, by the token's goroutine as everything else. What str raises is told in its place.
func (b Bound) String() string {
	if b.IsZero() {
		return "<no object>"
	}
	s, err := b.Str()
	if err != nil {
		return "<" + err.Error() + ">"
	}
	return s
}

// Repr is repr(obj).
func (b Bound) Repr() (string, error) {
	r, err := b.data("Bound.Repr", cpython.OpRepr, cpython.KindStr)
	return string(r.Data), err
}

// Iter iterates over the object as a for loop does. An exception, from making the iterator or on the
// way, comes as the last pair. Items live as long as the scope that is open around the loop; a Scope
// inside its body frees what the body makes. With iter.Pull, next belongs in the same Do as Pull itself: in one inside it, or
// around it, Go's runtime ends the process, as it does for every pulled iterator on a goroutine that is locked to its thread.
func (b Bound) Iter() iter.Seq2[Bound, error] {
	return func(yield func(Bound, error) bool) {
		it, err := b.object("Bound.Iter", cpython.OpIter)
		if err != nil {
			yield(Bound{}, err)
			return
		}
		it.rest("Bound.Iter", yield)
	}
}

// next gives an iterator's next item; false at its end.
func (b Bound) next(op string) (Bound, bool, error) {
	v, status := b.entry(op).QuickObject(cpython.OpNext, b.obj, cpython.TwoWords{}, cpython.KindObject)
	keep(b, nil)
	switch status {
	case cpython.OK:
		return bound(b.tok, cpython.Object(v)), true, nil
	case cpython.Done:
		return Bound{}, false, nil
	}
	return Bound{}, false, quickFailure(b.tok, op, status)
}
