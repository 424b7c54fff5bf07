package ignore

import py "gilt/handles"

var a py.Bound //gilt:vet-ignore it is never set
var g py.Bound // want `package-level variable g`

//gilt:vet-ignore it is never set
var b py.Bound

var c py.Bound // want `package-level variable c`

//gilt:vet-ignore too far away

var d py.Bound // want `package-level variable d`

var e py.Bound /* want `package-level variable e` `says no reason and makes no exception: write why this is right` */ //gilt:vet-ignore

//gilt:vet-ignored is something else
var f py.Bound // want `package-level variable f`

// first misuses a token, and says so.
//
//gilt:vet-ignore it is never called
func first(tok *py.Token, b py.Bound) {
	go b.Len()
	tok.AllowThreads(func() { b.Len() })
}

func second(tok *py.Token, b py.Bound) {
	//gilt:vet-ignore it is never called
	go b.Len()
	go b.Len() // want `another goroutine`
	go func() {
		tok.Check("") //gilt:vet-ignore it is never called
		b.Len()       // want `another goroutine`
	}()
}
