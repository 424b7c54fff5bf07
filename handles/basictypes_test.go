package handles_test

import (
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
		if err := py.Scope(tok, func() (err error) { s, err = py.NewStr(tok, "in a scope"); return err }); err != nil {
			t.Fatal(err)
		}
		pytest.WantMisuse(t, "scope", func() { _, _ = s.Upper() })
		pytest.WantMisuse(t, "scope", func() { _, _ = s.Slice(0, 1) })
	})
	pytest.WantMisuse(t, "", func() { _, _ = s.Upper() })
}
