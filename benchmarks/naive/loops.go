//go:build cgo

package naive

import "fmt"

var (
	sinkInt   int64
	sinkText  string
	sinkMap   map[string]int64
	sinkFloat float64
)

// Loop gives the naive form of the workload of that name, to be run n times by a caller that holds the
// GIL (With); nil when there is none. What it needs is made by prepare, in the same With.
func Loop(name string) (prepare func(), body func(n int)) {
	switch name {
	case "detach_reattach":
		return nothing, func(n int) {
			for range n {
				Detached(nothing)
			}
		}
	case "call0":
		return nothing, func(n int) {
			for range n {
				decref(must(call(module.f0)))
			}
		}
	case "call1_int":
		return nothing, func(n int) {
			for i := range n {
				sinkInt += callInt(module.f, int64(1_000_000+i))
			}
		}
	case "call_kw":
		return nothing, callKwLoop
	case "call_method":
		var abc object
		return func() { abc = fromString("abc") }, func(n int) {
			for range n {
				decref(must(callMethod0(abc, "upper")))
			}
		}
	case "getattr_int":
		return nothing, func(n int) {
			for range n {
				o := must(getattr(module.obj, "x"))
				sinkInt += toInt(o)
				decref(o)
			}
		}
	case "import_cached":
		return nothing, func(n int) {
			for range n {
				decref(must(importModule("math")))
			}
		}
	case "eval_expr":
		return nothing, func(n int) {
			for range n {
				decref(must(eval("1+1")))
			}
		}
	case "err_fetch":
		return nothing, func(n int) {
			for range n {
				if call(module.boom) != nil {
					panic("naive: no exception")
				}
				errDrop()
			}
		}
	}
	return dataLoop(name)
}

func nothing() {}

func callKwLoop(n int) {
	for range n {
		kw := newDict()
		dictSet(kw, "b", fromInt(2))
		args := tuple(fromInt(1))
		r := must(callKw(module.fkw, args, kw))
		sinkInt += toInt(r)
		decref(r)
		decref(args)
		decref(kw)
	}
}

// dataLoop gives the loops that convert.
func dataLoop(name string) (prepare func(), body func(n int)) {
	const s16 = "abcdefghijklmnop"
	ints, floats := make([]int64, 1000), make([]float64, 1000)
	for i := range ints {
		ints[i], floats[i] = int64(i)*1_000_003, float64(i)*1.5
	}
	var o object // of prepare; the few there are live as long as the process
	switch name {
	case "str_to_py":
		return nothing, func(n int) {
			for range n {
				decref(fromString(s16))
			}
		}
	case "str_from_py":
		return func() { o = fromString(s16) }, func(n int) {
			for range n {
				sinkText = toString(o)
			}
		}
	case "vec_i64_1000_to_list":
		return nothing, func(n int) {
			for range n {
				decref(listOf(ints, fromInt))
			}
		}
	case "list_1000_to_vec_i64":
		return func() { o = listOf(ints, fromInt) }, func(n int) {
			for range n {
				sinkInt += sliceOf(o, toInt)[7]
			}
		}
	case "vec_f64_1000_to_list":
		return nothing, func(n int) {
			for range n {
				decref(listOf(floats, fromFloat))
			}
		}
	case "list_1000_to_vec_f64":
		return func() { o = listOf(floats, fromFloat) }, func(n int) {
			for range n {
				sinkFloat += sliceOf(o, toFloat)[7]
			}
		}
	case "dict_str_int_100_build":
		keys := hundredKeys()
		return nothing, func(n int) {
			for range n {
				decref(dictOf(keys))
			}
		}
	case "dict_100_to_map":
		return func() { o = dictOf(hundredKeys()) }, func(n int) {
			for range n {
				m := make(map[string]int64)
				dictEach(o, func(k, v object) { m[toString(k)] = toInt(v) })
				sinkMap = m
			}
		}
	case "list_iter":
		return func() { o = listOf(ints, fromInt) }, func(n int) {
			for range n {
				sinkInt += int64(len(sliceOf(o, func(item object) object { return item })))
			}
		}
	case "list_append":
		return nothing, func(n int) {
			for range n {
				l := newList(0)
				for i := range int64(1000) {
					listAppend(l, i&127)
				}
				decref(l)
			}
		}
	}
	return nil, nil
}

func hundredKeys() []string {
	keys := make([]string, 100)
	for i := range keys {
		keys[i] = fmt.Sprintf("key_%04d", i)
	}
	return keys
}

func dictOf(keys []string) object {
	d := newDict()
	for i, k := range keys {
		dictSet(d, k, fromInt(int64(i)*1_000_003))
	}
	return d
}
