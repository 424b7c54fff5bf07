package handles

import "gilt/internal/cpython"

// WeakRef is a weak reference: it does not keep its object alive.
type WeakRef struct{ Bound }

func (WeakRef) class() cpython.Class { return cpython.ClassWeakRef }

// NewWeakRef is weakref.ref(o, callback): the callback, or nil for none, is called with the WeakRef when the object is gone,
// if the WeakRef still is there. TypeError for objects that cannot be referred to weakly, such as ints, lists and dicts.
func NewWeakRef(tok *Token, o Object, callback any) (WeakRef, error) {
	return construct[WeakRef](tok, o, callback)
}

// Get is w(): the object, which is alive for as long as a handle is; ok is false when it is gone.
func (w WeakRef) Get() (o Bound, ok bool, err error) {
	o, err = w.callBound("WeakRef.Get", "", nil)
	if err != nil || o.IsNone() {
		return Bound{}, false, err
	}
	return o, true, nil
}
