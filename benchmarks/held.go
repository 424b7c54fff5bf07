package benchmarks

import (
	"errors"
	"fmt"

	"gilt"
	py "gilt/handles"
)

var (
	sinkInt   int64
	sinkText  string
	sinkMap   map[string]int64
	sinkInts  []int64
	sinkFloat []float64
)

// tokenHeld are the workloads that run inside one task.
func tokenHeld() []workload {
	return []workload{
		{"detach_reattach", "AllowThreads around nothing, and a Bind, which is what attaches again", heldLoop("detach_reattach", detachReattach)},
		{"call0", "f()", heldLoop("call0", call0)},
		{"call1_int", "f(x), int64 in and out", heldLoop("call1_int", call1)},
		{"call1_int_prepared", "the same of a prepared function: Func.CallIn", heldLoop("call1_int", call1Prepared)},
		{"call_kw", "f(1, b=2), int64 out", heldLoop("call_kw", callKw)},
		{"call_method", `"abc".upper()`, heldLoop("call_method", callMethod)},
		{"getattr_int", "obj.x to int64", heldLoop("getattr_int", getattr)},
		{"import_cached", "import of a loaded module", heldLoop("import_cached", importCached)},
		{"eval_expr", "1+1 from text", heldLoop("eval_expr", evalExpr)},
		{"str_to_py", "16 ASCII characters to a str", heldLoop("str_to_py", strToPy)},
		{"str_from_py", "a str of 16 ASCII characters to a string", heldLoop("str_from_py", strFromPy)},
		{"vec_i64_1000_to_list", "[]int64 of 1000 to a list", heldLoop("vec_i64_1000_to_list", toList(ints()))},
		{"list_1000_to_vec_i64", "a list of 1000 to []int64", heldLoop("list_1000_to_vec_i64", fromList(ints(), &sinkInts))},
		{"vec_f64_1000_to_list", "[]float64 of 1000 to a list", heldLoop("vec_f64_1000_to_list", toList(floats()))},
		{"list_1000_to_vec_f64", "a list of 1000 to []float64", heldLoop("list_1000_to_vec_f64", fromList(floats(), &sinkFloat))},
		{"dict_str_int_100_build", "map[string]int64 of 100 to a dict", heldLoop("dict_str_int_100_build", toList(hundred()))},
		{"dict_100_to_map", "a dict of 100 to map[string]int64", heldLoop("dict_100_to_map", fromList(hundred(), &sinkMap))},
		{"list_append", "append of an int64, 1000 to each new list", heldLoopOf("list_append", 1000, listAppend)},
		{"list_extend", "one of 1000 int64s that are appended in one call, to a new list", heldLoopOf("list_append", 1000, listExtend)},
		{"list_iter", "one of a list's 1000 objects, with a handle of its own", heldLoopOf("list_iter", 1000, listIter)},
		{"err_fetch", "a call that raises, to a Go error, dropped", heldLoop("err_fetch", errFetch)},
	}
}

// held is the body of a workload inside a task.
type held func(e *env, tok *gilt.Token, n int) error

func heldLoop(name string, body held) func(*env) (result, error) { return heldLoopOf(name, 1, body) }

func heldLoopOf(name string, per int, body held) func(*env) (result, error) {
	return func(e *env) (result, error) {
		return e.interleave(
			e.timed(ours, per, e.withToken(func(tok *gilt.Token, n int) error { return body(e, tok, n) })),
			e.naiveLoop(name, per))
	}
}

func detachReattach(e *env, tok *gilt.Token, n int) error {
	o := e.objects["obj"]
	return scoped(tok, n, func(int) error {
		tok.AllowThreads(func() {})
		o.Bind(tok)
		return nil
	})
}

func call0(e *env, tok *gilt.Token, n int) error {
	f := e.bound(tok, "f0")
	return scoped(tok, n, func(int) error {
		_, err := f.Call()
		return err
	})
}

func call1(e *env, tok *gilt.Token, n int) error {
	f := e.bound(tok, "f")
	for i := range int64(n) {
		v, err := py.CallAs[int64](f, 1_000_000+i)
		if err != nil || v != 1_000_000+i {
			return fmt.Errorf("f(%d) = %d, %w", i, v, err)
		}
	}
	return nil
}

func call1Prepared(e *env, tok *gilt.Token, n int) error {
	for i := range int64(n) {
		v, err := e.f.CallIn(tok, 1_000_000+i)
		if err != nil || v != 1_000_000+i {
			return fmt.Errorf("f(%d) = %d, %w", i, v, err)
		}
	}
	return nil
}

func callKw(e *env, tok *gilt.Token, n int) error {
	f := e.bound(tok, "fkw")
	for range n {
		v, err := py.CallAs[int64](f, 1, py.Named("b", 2))
		if err != nil || v != 3 {
			return fmt.Errorf("fkw(1, b=2) = %d, %w", v, err)
		}
	}
	return nil
}

func callMethod(e *env, tok *gilt.Token, n int) error {
	abc, err := py.From(tok, "abc")
	if err != nil {
		return err
	}
	return scoped(tok, n, func(int) error {
		_, err := abc.Method("upper")
		return err
	})
}

func getattr(e *env, tok *gilt.Token, n int) error {
	obj := e.bound(tok, "obj")
	for range n {
		v, err := py.AttrAs[int64](obj, "x")
		if err != nil || v != 12345678 {
			return fmt.Errorf("obj.x = %d, %w", v, err)
		}
	}
	return nil
}

func importCached(_ *env, tok *gilt.Token, n int) error {
	return scoped(tok, n, func(int) error {
		_, err := py.Import(tok, "math")
		return err
	})
}

func evalExpr(e *env, tok *gilt.Token, n int) error {
	globals := e.bound(tok, "__dict__")
	return scoped(tok, n, func(int) error {
		_, err := py.Eval(tok, "1+1", globals)
		return err
	})
}

const sixteen = "abcdefghijklmnop"

func strToPy(_ *env, tok *gilt.Token, n int) error {
	return scoped(tok, n, func(int) error {
		_, err := py.From(tok, sixteen)
		return err
	})
}

func strFromPy(_ *env, tok *gilt.Token, n int) error {
	s, err := py.From(tok, sixteen)
	if err != nil {
		return err
	}
	for range n {
		if sinkText, err = s.Text(); err != nil {
			return err
		}
	}
	return nil
}

func ints() []int64 {
	v := make([]int64, 1000)
	for i := range v {
		v[i] = int64(i) * 1_000_003
	}
	return v
}

func floats() []float64 {
	v := make([]float64, 1000)
	for i := range v {
		v[i] = float64(i) * 1.5
	}
	return v
}

func hundred() map[string]int64 {
	m := make(map[string]int64)
	for i := range int64(100) {
		m[fmt.Sprintf("key_%04d", i)] = i * 1_000_003
	}
	return m
}

// toList converts a collection to Python; each result is dropped before the next, as the naive form does.
func toList[T any](v T) held {
	return func(_ *env, tok *gilt.Token, n int) error {
		for range n {
			err := py.Scope(tok, func() error {
				_, err := py.From(tok, v)
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
}

// fromList converts the collection back from Python.
func fromList[T any](v T, sink *T) held {
	return func(_ *env, tok *gilt.Token, n int) error {
		o, err := py.From(tok, v)
		if err != nil {
			return err
		}
		for range n {
			if *sink, err = py.As[T](o); err != nil {
				return err
			}
		}
		return nil
	}
}

func listAppend(_ *env, tok *gilt.Token, n int) error {
	for range n {
		err := py.Scope(tok, func() error {
			l, err := py.NewList(tok)
			if err != nil {
				return err
			}
			for i := range int64(1000) {
				if err := l.Append(i & 127); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func errFetch(e *env, tok *gilt.Token, n int) error {
	boom := e.bound(tok, "boom")
	for range n {
		if _, err := boom.Call(); !errors.Is(err, py.ValueError) {
			return fmt.Errorf("boom() did not raise ValueError: %w", err)
		}
	}
	return nil
}

func listExtend(_ *env, tok *gilt.Token, n int) error {
	items := make([]int64, 1000)
	for i := range items {
		items[i] = int64(i & 127)
	}
	return scoped(tok, n, func(int) error {
		l, err := py.NewList(tok)
		if err != nil {
			return err
		}
		return l.Extend(items)
	})
}

func listIter(_ *env, tok *gilt.Token, n int) error {
	b, err := py.From(tok, ints())
	if err != nil {
		return err
	}
	l, err := py.Cast[py.List](b)
	if err != nil {
		return err
	}
	for range n {
		err := py.Scope(tok, func() error {
			items := 0
			for item, err := range l.Iter() {
				if err != nil {
					return err
				}
				if !item.IsZero() {
					items++
				}
			}
			if items != 1000 {
				return fmt.Errorf("%d items of 1000", items)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
