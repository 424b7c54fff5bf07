package handles_test

import (
	"context"
	"sync"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

var ctx = context.Background()

// operations are what a token and a handle can be used for.
func operations(tok *gilt.Token, b py.Bound, p py.Py) map[string]func() {
	ignore := func(any, error) {}
	return map[string]func(){
		"From":         func() { ignore(py.From(tok, 1)) },
		"From list":    func() { ignore(py.From(tok, []any{1, "two", []byte("three")})) },
		"From Py":      func() { ignore(py.From(tok, []any{p})) },
		"Import":       func() { ignore(py.Import(tok, "sys")) },
		"Eval":         func() { ignore(py.Eval(tok, "1")) },
		"EvalAs":       func() { ignore(py.EvalAs[int](tok, "1")) },
		"Run":          func() { _ = py.Run(tok, "pass") },
		"Dict":         func() { ignore(py.NewDict(tok, nil)) },
		"None":         func() { py.None(tok) },
		"Scope":        func() { _ = py.Scope(tok, func() error { return nil }) },
		"AllowThreads": func() { tok.AllowThreads(func() {}) },
		"Py.Bind":      func() { p.Bind(tok) },
		"Py.Borrow":    func() { ignore(p.Borrow(tok).Len()) },
		"Py.Clone":     func() { p.Clone(tok) },
		"Call":         func() { ignore(b.Call(1)) },
		"Method":       func() { ignore(b.Method("copy")) },
		"CallAs":       func() { ignore(py.CallAs[int](b)) },
		"MethodAs":     func() { ignore(py.MethodAs[int](b, "copy")) },
		"Attr":         func() { ignore(b.Attr("x")) },
		"AttrAs":       func() { ignore(py.AttrAs[int](b, "x")) },
		"SetAttr":      func() { _ = b.SetAttr("x", 1) },
		"DelAttr":      func() { _ = b.DelAttr("x") },
		"Item":         func() { ignore(b.Item(0)) },
		"SetItem":      func() { _ = b.SetItem(0, 1) },
		"DelItem":      func() { _ = b.DelItem(9) },
		"Append":       func() { _ = py.List{Bound: b}.Append(1) },
		"List.Iter": func() {
			for range (py.List{Bound: b}).Iter() {
				break
			}
		},
		"Cast":       func() { ignore(py.Cast[py.List](b)) },
		"ClassOf":    func() { ignore(py.ClassOf[py.List](tok)) },
		"Len":        func() { ignore(b.Len()) },
		"Truth":      func() { ignore(b.Truth()) },
		"Hash":       func() { ignore(b.Hash()) },
		"Contains":   func() { ignore(b.Contains(1)) },
		"Equal":      func() { ignore(b.Equal(1)) },
		"IsInstance": func() { ignore(b.IsInstance(b)) },
		"Is":         func() { b.Is(b) },
		"Callable":   func() { b.Callable() },
		"Type":       func() { ignore(b.Type()) },
		"Str":        func() { ignore(b.Str()) },
		"Repr":       func() { ignore(b.Repr()) },
		"Iter": func() {
			for range b.Iter() {
				break
			}
		},
		"Int64":   func() { ignore(b.Int64()) },
		"Float64": func() { ignore(b.Float64()) },
		"Bool":    func() { ignore(b.Bool()) },
		"Text":    func() { ignore(b.Text()) },
		"Bytes":   func() { ignore(b.Bytes()) },
		"As":      func() { ignore(py.As[[]int](b)) },
		"Unbind":  func() { b.Unbind() },
	}
}

func list(t testing.TB, tok *gilt.Token) py.Bound {
	t.Helper()
	b, err := py.From(tok, []int{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// each misuses every operation n times from 8 goroutines; site is where the operations above stand.
func each(t *testing.T, n int, rule string, tok *gilt.Token, b py.Bound, p py.Py, except ...string) {
	t.Helper()
	ops := operations(tok, b, p)
	for _, name := range except {
		delete(ops, name)
	}
	if raceDetector {
		n /= 10
	}
	var g sync.WaitGroup
	for range 8 {
		g.Go(func() {
			for range n / 8 {
				for name, f := range ops {
					ok := true
					func() {
						defer func() { ok = !t.Failed() }()
						pytest.WantMisuse(t, rule, f)
					}()
					if !ok {
						t.Error("operation:", name)
						return
					}
				}
			}
		})
	}
	//gilt:vet-ignore the token is to be live meanwhile
	g.Wait()
}

//gilt:vet-ignore it is a test of misuse
func TestMisuse_AfterTheTask(t *testing.T) {
	var tok *gilt.Token
	var b py.Bound
	var p py.Py
	pytest.Do(t, func(in *gilt.Token) { tok = in; b = list(t, in); p = b.Unbind() })
	defer p.Release()
	each(t, 1000, "task has ended", tok, b, p)
}

//gilt:vet-ignore it is a test of misuse
func TestMisuse_InsideAllowThreads(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		b := list(t, tok)
		p := b.Unbind()
		defer p.Release()
		tok.AllowThreads(func() { each(t, 1000, "inside AllowThreads", tok, b, p) })
		if n, err := b.Len(); n != 3 || err != nil {
			t.Error(n, err)
		}
	})
}

// Rules 2 and 3: another goroutine's token is refused while its own goroutine goes on using it.
//
//gilt:vet-ignore it is a test of misuse
func TestRule03_TokenOnAnotherGoroutine(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		b := list(t, tok)
		p := b.Unbind()
		defer p.Release()
		stop := make(chan struct{})
		go func() {
			defer close(stop)
			each(t, 1000, "another goroutine", tok, b, p, "Is", "Scope") // Is has nothing to ask C for
		}()
		defer func() { <-stop }()
		for {
			select {
			case <-stop:
				if n, err := b.Len(); n != 3 || err != nil {
					t.Error(n, err)
				}
				return
			default:
			}
			if v, err := py.MethodAs[int](b, "index", 2); v != 1 || err != nil {
				t.Fatal(v, err)
			}
			if err := py.Scope(tok, func() error { _, err := b.Method("copy"); return err }); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// detached lets the token's thread come back without the GIL, by an operation that takes long.
func detached(t testing.TB, tok *gilt.Token) {
	t.Helper()
	if _, err := py.EvalAs[int](tok, "sum(range(30000))"); err != nil {
		t.Fatal(err)
	}
}

//gilt:vet-ignore it is a test of misuse
func TestMisuse_ScopeOnAnotherGoroutine(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			pytest.WantMisuse(t, "another goroutine", func() { _ = py.Scope(tok, func() error { t.Error("it ran"); return nil }) })
		}()
		<-done
	})
}

// A Bound of another live token is no argument either: its owner may end it at any moment.
//
//gilt:vet-ignore it is a test of misuse
func TestMisuse_BoundOfAnotherTokenAsArgument(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		foreign := list(t, tok)
		tok.AllowThreads(func() {
			pytest.Do(t, func(in *gilt.Token) {
				pytest.WantMisuse(t, "AllowThreads", func() { _, _ = py.From(in, foreign) })
			})
		})
		detached(t, tok)
		done := make(chan struct{})
		go func() {
			defer close(done)
			pytest.Do(t, func(other *gilt.Token) {
				own := list(t, other)
				for name, f := range map[string]func(){
					"From":         func() { _, _ = py.From(other, foreign) },
					"From list":    func() { _, _ = py.From(other, []any{foreign}) },
					"Append":       func() { _ = py.List{Bound: own}.Append(foreign) },
					"Method":       func() { _, _ = own.Method("append", foreign) },
					"keyword":      func() { _, _ = own.Method("sort", py.Kw{"key": foreign}) },
					"SetAttr":      func() { _ = own.SetAttr("x", foreign) },
					"IsInstance":   func() { _, _ = own.IsInstance(foreign) },
					"Eval globals": func() { _, _ = py.Eval(other, "1", foreign) },
					"Run locals":   func() { _ = py.Run(other, "1", own, foreign) },
				} {
					_ = name
					pytest.WantMisuse(t, "another goroutine", f)
				}
			})
		}()
		<-done
	})
}

//gilt:vet-ignore it is a test of misuse
func TestMisuse_AfterItsScope(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		var b py.Bound
		var borrowed py.Borrowed
		var seq func(func(py.Bound, error) bool)
		p := list(t, tok).Unbind()
		defer p.Release()
		_ = py.Scope(tok, func() error {
			b, borrowed = list(t, tok), p.Borrow(tok)
			seq = b.Iter()
			_ = py.Scope(tok, func() error { // outer handles are good in inner scopes
				if n, err := b.Len(); n != 3 || err != nil {
					t.Error(n, err)
				}
				return nil
			})
			return nil
		})
		pytest.WantMisuse(t, "scope has ended", func() {
			for range seq {
				t.Error("it iterated")
			}
		})
		if n, err := borrowed.Len(); n != 3 || err != nil { // it has its owner's reference, not the scope's
			t.Error(n, err)
		}
		for _, b := range []py.Bound{b} {
			ops := operations(tok, b, p)
			for _, name := range []string{"From", "From list", "From Py", "Import", "Eval", "EvalAs", "Run", "Dict", "None", "Scope", "AllowThreads", "ClassOf", "Py.Bind", "Py.Borrow", "Py.Clone"} {
				delete(ops, name)
			}
			for range 100 {
				for _, f := range ops {
					pytest.WantMisuse(t, "scope has ended", f)
				}
			}
			pytest.WantMisuse(t, "scope has ended", func() { _, _ = py.From(tok, b) })
			pytest.WantMisuse(t, "scope has ended", func() { _, _ = py.Eval(tok, "1", b) })
		}
		_ = py.Scope(tok, func() error { // a later scope does not revive it
			pytest.WantMisuse(t, "scope has ended", func() { _, _ = b.Len() })
			return nil
		})
	})
}

//gilt:vet-ignore it is a test of misuse
func TestMisuse_ScopeThatPanicked(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		var b py.Bound
		func() {
			defer func() { _ = recover() }()
			_ = py.Scope(tok, func() error { b = list(t, tok); panic("boom") })
		}()
		pytest.WantMisuse(t, "scope has ended", func() { _, _ = b.Len() })
		if n, err := list(t, tok).Len(); n != 3 || err != nil {
			t.Error(n, err)
		}
	})
}

func TestMisuse_ZeroValues(t *testing.T) {
	const zero = "zero value"
	pytest.Do(t, func(tok *gilt.Token) {
		b := list(t, tok)
		p := b.Unbind()
		ops := operations(tok, py.Bound{}, py.Py{})
		for _, name := range []string{"From", "From list", "Import", "Eval", "EvalAs", "Run", "Dict", "None", "Scope", "AllowThreads", "ClassOf"} {
			delete(ops, name)
		}
		for name, f := range ops {
			t.Run(name, func(t *testing.T) { pytest.WantMisuse(t, zero, f) })
		}
		for name, f := range operations(nil, py.Bound{}, p) {
			t.Run("nil token "+name, func(t *testing.T) { pytest.WantMisuse(t, zero, f) })
		}
		for name, f := range operations(new(gilt.Token), b, p) {
			if name[0] == 'F' || name == "Import" || name[0] == 'E' && name != "Equal" || name == "Run" || name == "Dict" || name == "ClassOf" || name == "None" || name == "Scope" || name == "AllowThreads" || name[:2] == "Py" {
				t.Run("zero token "+name, func(t *testing.T) { pytest.WantMisuse(t, "", f) })
			}
		}
		for name, f := range map[string]func(){
			"argument Bound":    func() { _, _ = py.From(tok, py.Bound{}) },
			"argument Py":       func() { _, _ = py.From(tok, []py.Py{{}}) },
			"argument Borrowed": func() { _, _ = b.Contains(py.Borrowed{}) },
			"namespace":         func() { _, _ = py.Eval(tok, "1", py.Bound{}) },
			"locals":            func() { _, _ = py.Eval(tok, "1", b, py.Bound{}) },
			"Is":                func() { b.Is(py.Bound{}) },
			"nil namespace":     func() { _, _ = py.Eval(tok, "1", nil) },
			"Is nil":            func() { b.Is(nil) },
			"As nil":            func() { _, _ = py.As[int](py.Object(nil)) },
			"CallAs nil":        func() { _, _ = py.CallAs[int](py.Object(nil)) },
			"MethodAs nil":      func() { _, _ = py.MethodAs[int](py.Object(nil), "f") },
			"AttrAs nil":        func() { _, _ = py.AttrAs[int](py.Object(nil), "f") },
			"Cast nil":          func() { _, _ = py.Cast[py.List](nil) },
			"Cast nil pointer":  func() { _, _ = py.Cast[py.List]((*py.Bound)(nil)) },
		} {
			t.Run(name, func(t *testing.T) { pytest.WantMisuse(t, zero, f) })
		}
		if !(py.Bound{}).IsZero() || !(py.Py{}).IsZero() || b.IsZero() || p.IsZero() || py.None(tok).IsZero() {
			t.Error("IsZero")
		}
		py.Py{}.Release()
		borrowed := p.Borrow(tok)
		p.Release()
		p.Release()
		for name, f := range map[string]func(){
			"released Bind":   func() { p.Bind(tok) },
			"released Borrow": func() { p.Borrow(tok) },
			"released Clone":  func() { p.Clone(tok) },
			"released From":   func() { _, _ = py.From(tok, p) },
			"borrowed":        func() { _, _ = borrowed.Len() },
			"borrowed From":   func() { _, _ = py.From(tok, borrowed) },
		} {
			t.Run(name, func(t *testing.T) { pytest.WantMisuse(t, "was released", f) })
		}
	})
}

// The outer token of a nested Do is not the thread's current one.
func TestMisuse_OuterTokenInsideNestedDo(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		b := list(t, tok)
		pytest.Do(t, func(in *gilt.Token) {
			for _, f := range []func(){
				func() { _, _ = b.Len() }, func() { _, _ = py.From(tok, 1) }, func() { _, _ = py.From(in, b) },
				func() { tok.AllowThreads(func() {}) }, func() { _ = py.Scope(tok, func() error { return nil }) },
			} {
				pytest.WantMisuse(t, "", f)
			}
			if n, err := list(t, in).Len(); n != 3 || err != nil {
				t.Error(n, err)
			}
		})
		if n, err := b.Len(); n != 3 || err != nil {
			t.Error(n, err)
		}
	})
}
