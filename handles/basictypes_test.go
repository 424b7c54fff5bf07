package handles_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// A handle of every type is a misuse where there is none.
func TestBasicTypes_Misuse(t *testing.T) {
	for _, f := range []func(){
		func() { _, _ = py.Int{}.Big() },
		func() { _, _ = py.Int{}.Digits(10) },
		func() { _, _ = py.Int{}.ToBytes(1, "big", false) },
		func() { _, _ = py.Float{}.Ratio() },
		func() { _, _ = py.Float{}.Int() },
		func() { _, _ = py.Complex{}.Complex128() },
		func() { _, _ = py.Str{}.Upper() },
		func() { _, _ = py.Str{}.Slice(0, 1) },
		func() { _, _ = py.Str{}.TextLossy() },
		func() { _, _ = py.Bytes{}.At(0) },
		func() { _, _ = py.Bytes{}.Decode("", "") },
		func() { _ = py.ByteArray{}.Append(1) },
		func() { _ = py.ByteArray{}.SetSlice(0, 1, nil) },
		func() { _ = py.ByteArray{}.DelSlice(0, 1) },
		func() { _ = py.ByteArray{}.Resize(-1) },
		func() { _ = py.MemoryView{}.Release() },
		func() { _, _ = py.MemoryView{}.Shape() },
	} {
		pytest.WantMisuse(t, "zero", f)
	}
	var s py.Str
	pytest.Do(t, func(tok *gilt.Token) {
		//gilt:vet-ignore its misuse is tested
		if err := py.Scope(tok, func() (err error) { s, err = py.NewStr(tok, "in a scope"); return err }); err != nil {
			t.Fatal(err)
		}
		pytest.WantMisuse(t, "scope", func() { _, _ = s.Upper() })
		pytest.WantMisuse(t, "scope", func() { _, _ = s.Slice(0, 1) })
	})
	pytest.WantMisuse(t, "", func() { _, _ = s.Upper() })
}

// The types' classes, and None and its kin, are right in every interpreter.
func TestBasicTypes_OfTwoInterpreters(t *testing.T) {
	if pytest.Minor(t) < 12 {
		t.Skip("interpreters with their own GIL came with CPython 3.12")
	}
	pytest.Child(t, "basic types of two interpreters")
}

func basicTypesOfTwo() error {
	rt, err := gilt.Open(ctx, gilt.Config{Mode: gilt.OwnGIL, Interpreters: 2})
	if err != nil {
		return err
	}
	var mu sync.Mutex
	seen := make(map[int]bool)
	for range 200 {
		var wg sync.WaitGroup
		failed := make(chan error, 2)
		for range 2 {
			wg.Go(func() {
				failed <- rt.Do(ctx, func(tok *gilt.Token) error {
					mu.Lock()
					seen[tok.Interpreter()] = true
					mu.Unlock()
					return allBasicTypes(tok)
				})
			})
		}
		wg.Wait()
		if err := errors.Join(<-failed, <-failed); err != nil {
			return err
		}
	}
	if len(seen) != 2 {
		return fmt.Errorf("it ran in %d interpreters", len(seen))
	}
	return rt.Shutdown(ctx)
}

// allBasicTypes makes one of each and has Python look at them.
func allBasicTypes(tok *gilt.Token) error {
	var bad error
	one := func(o any, err error) any {
		bad = errors.Join(bad, err)
		return o
	}
	ba, err := py.NewByteArray(tok, []byte("a"))
	bad = errors.Join(bad, err, ba.Resize(3))
	made := []any{
		one(bare(py.NewBool(tok, true))), one(bare(py.NewInt(tok, 1<<30))), one(bare(py.NewFloat(tok, 1.5))), one(bare(py.NewComplex(tok, 1i))),
		one(bare(py.NewStr(tok, "s"))), one(bare(py.NewBytes(tok, []byte("b")))), ba, one(bare(py.NewMemoryView(tok, ba))),
		py.None(tok), py.Ellipsis(tok), py.NotImplemented(tok),
	}
	looks, err := py.Eval(tok, "lambda *a: [type(v).__name__ for v in a] + [v is w for v, w in zip(a[-3:], (None, ..., NotImplemented))] + [bytes(a[7])]")
	if err = errors.Join(bad, err); err != nil {
		return err
	}
	text, err := py.CallAs[[]any](looks, made...)
	const want = "[bool int float complex str bytes bytearray memoryview NoneType ellipsis NotImplementedType true true true [97 0 0]]"
	if err != nil || fmt.Sprint(text) != want {
		return fmt.Errorf("%v, %w", text, err)
	}
	return nil
}
