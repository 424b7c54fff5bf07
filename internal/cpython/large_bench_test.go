package cpython_test

import (
	"fmt"
	"strings"
	"testing"

	"gilt/internal/cpython"
)

// Conversions while nobody else wants the GIL.
func BenchmarkConversion(b *testing.B) {
	const mb = 1 << 20
	keys := cpython.AppendDict(nil, 1000)
	short := cpython.AppendList(nil, 1000)
	for i := range 1000 {
		keys = cpython.AppendInt(cpython.AppendString(keys, fmt.Sprint("key ", i)), int64(i))
		short = cpython.AppendString(short, fmt.Sprint("a short text ", i))
	}
	for _, c := range []struct {
		name string
		wire []byte
		kind cpython.Kind
	}{
		{"int", cpython.AppendInt(nil, 1000), cpython.KindWire},
		{"short text", cpython.AppendString(nil, "a short text"), cpython.KindStr},
		{"1000 numbers", cpython.AppendInts(nil, make([]int64, 1000)), cpython.KindWire},
		{"1000 texts", short, cpython.KindWire},
		{"dict of 1000", keys, cpython.KindWire},
		{"1e6 numbers", cpython.AppendInts(nil, make([]int64, 1e6)), cpython.KindWire},
		{"200 kB of bytes", cpython.AppendBytes(nil, make([]byte, 200_000)), cpython.KindBytes},
		{"300 kB of bytes", cpython.AppendBytes(nil, make([]byte, 300_000)), cpython.KindBytes},
		{"64 MB of bytes", cpython.AppendBytes(nil, make([]byte, 64*mb)), cpython.KindBytes},
		{"64 MB of ASCII", cpython.AppendString(nil, strings.Repeat("x", 64*mb)), cpython.KindStr},
		{"64 MB of Latin", cpython.AppendString(nil, strings.Repeat("äx", 64*mb/3)), cpython.KindStr},
		{"64 MB of CJK", cpython.AppendString(nil, strings.Repeat("漢字 ", 64*mb/7)), cpython.KindStr},
	} {
		b.Run(c.name+"/to Python", func(b *testing.B) {
			in(b, func(it *cpython.Interp, e cpython.Entry) {
				for b.Loop() {
					base, _ := e.ScopeBase()
					e.Make(c.wire)
					e.ScopeEnd(base)
				}
			})
		})
		b.Run(c.name+"/to Go", func(b *testing.B) {
			in(b, func(it *cpython.Interp, e cpython.Entry) {
				for b.Loop() {
					b.StopTimer()
					base, _ := e.ScopeBase()
					o := e.Make(c.wire).Obj // a str keeps its UTF-8
					b.StartTimer()
					e.Object(cpython.OpConvert, o, nil, c.kind)
					b.StopTimer()
					e.ScopeEnd(base)
					b.StartTimer()
				}
			})
		})
	}
}
