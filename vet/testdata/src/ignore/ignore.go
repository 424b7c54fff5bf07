package ignore

import py "gilt/handles"

var a py.Bound //gilt:vet-ignore it is never set

//gilt:vet-ignore it is never set
var b py.Bound

var c py.Bound // want `package-level variable c`

//gilt:vet-ignore too far away

var d py.Bound // want `package-level variable d`

var e py.Bound /* want `package-level variable e` `//gilt:vet-ignore says no reason and makes no exception: write why this is right` */ //gilt:vet-ignore

//gilt:vet-ignored is something else
var f py.Bound // want `package-level variable f`
