package handles

import (
	"reflect"
	"slices"

	"gilt/gil"
	"gilt/internal/cpython"
)

// Object is a handle of any kind that a token is bound to: a Bound, a Borrowed, or one of the types of Python's own
// objects (List, Dict and so on), each of which is a Bound with more methods.
type Object interface{ handle() Bound }

func (b Bound) handle() Bound { return b }

// handleOf is o's handle: nil is none.
func handleOf(op string, o Object) Bound {
	if v := reflect.ValueOf(o); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		gil.MisuseZero(op)
	}
	return o.handle()
}

// classed is ownType as an interface of values.
type classed interface {
	Object
	class() cpython.Class
}

var classedType = reflect.TypeFor[classed]()

// bare is handleOf for what is no interface mostly.
func bare[O Object](op string, o O) Bound {
	if any(o) == nil {
		gil.MisuseZero(op)
	}
	return o.handle()
}

// isOwn says whether t is one of the types of Python's own objects: no pointer to one, and nothing that embeds one.
func isOwn(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.NumField() == 1 && t.Field(0).Type == boundType && t.Implements(classedType)
}

// cast sets v, which is of a type of Python's own objects, to b if it is an instance of that class.
func cast(b Bound, op string, class cpython.Class, v reflect.Value) error {
	if status := b.entry(op).Cast(b.obj, class); status != cpython.OK {
		return quickFailure(b.tok, op, status)
	}
	v.Field(0).Set(reflect.ValueOf(b))
	return nil
}

// ownType is one of the types of Python's own objects.
type ownType interface {
	~struct{ Bound }
	class() cpython.Class
}

// Cast gives an object as one of the types of Python's own objects, such as List. Subclasses are instances too, whatever
// their __class__ says. If it is none, the error is Python's: TypeError, "'int' object is not an instance of 'list'".
func Cast[T ownType](o Object) (T, error) {
	const op = "Cast"
	var t T
	b := handleOf(op, o)
	status := b.entry(op).Cast(b.obj, t.class())
	keep(b, nil)
	if status != cpython.OK {
		return t, quickFailure(b.tok, op, status)
	}
	return T(struct{ Bound }{b}), nil
}

// made is what an operation gave that can only be a T.
func made[T ownType](b Bound, err error) (T, error) { return T(struct{ Bound }{b}), err }

// castOf is made for what a method gave, which subclasses may have of their own: it is cast.
func castOf[T ownType](b Bound, err error) (t T, _ error) {
	if err != nil {
		return t, err
	}
	return Cast[T](b)
}

// perform calls a method for what it does.
func (b Bound) perform(op, method string, args ...any) error {
	_, err := callAs[struct{}](b, op, method, args)
	return err
}

// raisedAs gives err if it is an exception of that class itself: no cause, and no group with one.
func raisedAs(err error, class ExceptionClass) (*Error, bool) {
	e, ok := any(err).(*Error)
	return e, ok && slices.Contains(e.bases, class.name())
}

// optional is what an operation gave as a T; ok is false when that is None.
func optional[T ownType](b Bound, err error) (t T, ok bool, failed error) {
	if err != nil || b.IsNone() {
		return t, false, err
	}
	t, err = Cast[T](b)
	return t, err == nil, err
}

// optionalText reads an attribute that is a str or None.
func optionalText(b Bound, op, name string) (s string, ok bool, err error) {
	p, err := attrAs[*string](b, op, name)
	if p == nil || err != nil {
		return "", false, err
	}
	return *p, true, nil
}

// ClassOf gives the class of a type of Python's own objects: ClassOf[List](tok) is list.
func ClassOf[T ownType](tok *Token) (Type, error) {
	const op = "ClassOf"
	var t T
	return made[Type](result(tok, op, tok.Entry(op).Class(t.class())))
}

// construct calls the class.
func construct[T ownType](tok *Token, args ...any) (T, error) {
	class, err := ClassOf[T](tok)
	if err != nil {
		var t T
		return t, err
	}
	return made[T](class.Call(args...))
}

// constructBy calls a method of the class that makes an instance.
func constructBy[T ownType](tok *Token, method string, args ...any) (T, error) {
	class, err := ClassOf[T](tok)
	if err != nil {
		var t T
		return t, err
	}
	return made[T](class.Method(method, args...))
}

// values are items as arguments of an operation.
func values[T any](items []T) []any {
	all := make([]any, len(items))
	for i, v := range items {
		all[i] = v
	}
	return all
}

// listed is items as a list to convert, which is none when they are nil.
func listed(items []any) []any {
	if items == nil {
		return []any{}
	}
	return items
}
