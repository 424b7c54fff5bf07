package cpython_test

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"runtime"
	"strings"
	"testing"
	"time"

	"gilt"
	"gilt/internal/cpython"
	"gilt/internal/pytest"
)

func TestMain(m *testing.M) { pytest.Main(m, nil) }

// in runs f with a task's Entry, on a locked thread.
func in(t testing.TB, f func(it *cpython.Interp, e cpython.Entry)) {
	t.Helper()
	var it *cpython.Interp
	pytest.Do(t, func(tok *gilt.Token) { it = tok.Interp() })
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	e, status := it.Enter(1, 0, 0)
	if status != cpython.OK {
		t.Fatal(status)
	}
	defer e.Leave()
	f(it, e)
}

func eval(t testing.TB, e cpython.Entry, expr string) cpython.Object {
	t.Helper()
	r := e.Exec(expr, "<test>", true, 0, 0, cpython.KindObject)
	if r.Status != cpython.OK || r.Obj == 0 {
		t.Fatal(expr, r.Status)
	}
	return r.Obj
}

func readException(data []byte) (x cpython.Exception, err error) {
	err = x.Read(data)
	return x, err
}

// Once Python is stopping each operation comes back detached, and goes on to when Go was seen to be late.
func TestQuiesce_OperationsComeBackDetached(t *testing.T) {
	in(t, func(it *cpython.Interp, e cpython.Entry) {
		// An operation of 2 ms has the next one's begin look for how long Go took, if the one between them came back attached.
		attached := func() bool {
			e.Exec("import time; t = time.monotonic() + 0.002\nwhile time.monotonic() < t: pass", "<test>", false, 0, 0, cpython.KindNone)
			return !e.Exec("1", "<test>", true, 0, 0, cpython.KindNone).Detached
		}
		pytest.Eventually(t, "an operation comes back attached", attached)
		cpython.Quiesce(true)
		defer cpython.Quiesce(false)
		began := time.Now()
		for time.Since(began) < 2*time.Millisecond { // Go is late
		}
		for time.Since(began) < 1500*time.Millisecond { // Go counts as late for 1 s
			if r := e.Exec("1", "<test>", true, 0, 0, cpython.KindNone); !r.Detached {
				t.Fatalf("an operation came back attached %v after Python began to stop", time.Since(began))
			}
		}
	})
	in(t, func(it *cpython.Interp, e cpython.Entry) {
		pytest.Eventually(t, "an operation comes back attached again", func() bool { return !e.Exec("1", "<test>", true, 0, 0, cpython.KindNone).Detached })
	})
}

func TestEntry_StatusOfEachKind(t *testing.T) {
	in(t, func(it *cpython.Interp, e cpython.Entry) {
		one := eval(t, e, "1")
		for kind, want := range map[cpython.Kind]cpython.Status{
			cpython.KindNone: cpython.OK, cpython.KindObject: cpython.OK, cpython.KindInt64: cpython.OK, cpython.KindUint64: cpython.OK,
			cpython.KindFloat64: cpython.OK, cpython.KindBool: cpython.Raised, cpython.KindStr: cpython.Raised, cpython.KindBytes: cpython.Raised, cpython.KindWire: cpython.OK,
		} {
			r := e.Object(cpython.OpConvert, one, nil, kind)
			if r.Status != want {
				t.Errorf("kind %d: status %d, want %d", kind, r.Status, want)
			}
			if r.Status == cpython.Raised {
				if x, err := readException(r.Data); err != nil || x.Class.Name != "TypeError" {
					t.Error(x, err)
				}
				it.Release(r.Obj)
			}
			if e.ErrorIndicator() {
				t.Error("the error indicator is set")
			}
		}
	})
}

func TestEntry_MisuseOnAnotherThread(t *testing.T) {
	in(t, func(_ *cpython.Interp, e cpython.Entry) {
		o := eval(t, e, "[1]")
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for what, r := range map[string]cpython.Result{
				"Leave": e.Leave(), "Detach": e.Detach(), "Import": e.Import("sys"), "GetAttr": e.GetAttr(o, "x", cpython.KindObject),
				"SetAttr": e.SetAttr(o, "x", nil), "Call": e.Call(o, "", nil, cpython.KindNone), "Object": e.Object(cpython.OpLen, o, nil, cpython.KindNone),
				"Make": e.Make([]byte{'N'}), "Exec": e.Exec("1", "f", true, 0, 0, cpython.KindNone), "NewRef": e.NewRef(o), "Bind": e.Bind(o), "ScopeEnd": e.ScopeEnd(0),
			} {
				if r.Status != cpython.Misuse {
					t.Errorf("%s on another thread: status %d", what, r.Status)
				}
			}
			if _, ok := e.ScopeBase(); ok {
				t.Error("ScopeBase on another thread")
			}
		}()
		<-done
		if r := e.Object(cpython.OpLen, o, nil, cpython.KindNone); r.Status != cpython.OK || r.Int != 1 {
			t.Error(r)
		}
	})
}

func TestEntry_NestedTasks(t *testing.T) {
	in(t, func(it *cpython.Interp, e cpython.Entry) {
		o := eval(t, e, "[1]")
		inner, status := it.Enter(1, 0, 0)
		if status != cpython.OK {
			t.Fatal(status)
		}
		if r := e.Object(cpython.OpLen, o, nil, cpython.KindNone); r.Status != cpython.Misuse {
			t.Error("the outer task's entry inside the inner one:", r.Status)
		}
		if r := e.Leave(); r.Status != cpython.Misuse {
			t.Error("the outer task left before the inner one:", r.Status)
		}
		eval(t, inner, "[2]")
		if r := inner.Leave(); r.Status != cpython.OK {
			t.Error(r.Status)
		}
		if r := inner.Leave(); r.Status != cpython.Misuse {
			t.Error("left twice:", r.Status)
		}
		if r := e.Object(cpython.OpLen, o, nil, cpython.KindNone); r.Status != cpython.OK || r.Int != 1 {
			t.Error(r)
		}
	})
}

// The buffer in which an exception or a value is written cannot grow: an error, and nothing is written
// where there is no room (make test-asan sees that).
func TestEntry_NoMemoryForAResult(t *testing.T) {
	const raising = `
def f(n):
    if n: f(n - 1)
    e = ValueError('v' * 100)
    e.__notes__ = ['n' * 50] * 20
    e.__cause__ = OSError(2, 'cause')
    raise e
f(50)
`
	const value = "{'a' * 100: [1, 2.5, 2**80, b'b' * 100, 'c' * 300, (), {'d': range(40)}], 'e': 'f' * 500}"
	in(t, func(it *cpython.Interp, e cpython.Entry) {
		defer cpython.FailGrowth(-1)
		for n := range 20 {
			cpython.FailGrowth(n)
			r := e.Exec(raising, "<test>", false, 0, 0, cpython.KindNone)
			x, err := readException(r.Data)
			switch {
			case r.Status == cpython.Failed && r.Obj == 0 && strings.Contains(string(r.Data), "memory"):
			case r.Status == cpython.Raised && err == nil && x.Class.Name == "ValueError" && len(x.Frames) == 52 && n > 0:
				it.Release(r.Obj)
			default:
				t.Errorf("after %d growths: status %d, %v, %v", n, r.Status, x, err)
			}
			for _, k := range []cpython.Kind{cpython.KindWire, cpython.KindStr, cpython.KindBytes} {
				expr := map[cpython.Kind]string{cpython.KindWire: value, cpython.KindStr: "'s' * 3000", cpython.KindBytes: "b'b' * 3000"}[k]
				cpython.FailGrowth(n)
				switch r := e.Exec(expr, "<test>", true, 0, 0, k); r.Status {
				case cpython.OK, cpython.Failed:
				case cpython.Raised:
					if x, err := readException(r.Data); err != nil || x.Class.Name != "MemoryError" {
						t.Errorf("%s after %d growths: %v, %v", expr, n, x, err)
					}
					it.Release(r.Obj)
				default:
					t.Errorf("%s after %d growths: status %d", expr, n, r.Status)
				}
			}
			if e.ErrorIndicator() {
				t.Error("the error indicator is set")
			}
		}
	})
}

// One large result does not keep its memory for as long as the thread lives; results that are all large do
// not give it back each time.
func TestEntry_ResultBufferShrinks(t *testing.T) {
	const large, some = 8 << 20, 64 << 10
	in(t, func(it *cpython.Interp, e cpython.Entry) {
		bytes := func(n int) cpython.Object { return eval(t, e, fmt.Sprintf("b'x' * %d", n)) }
		convert := func(o cpython.Object, k cpython.Kind, n int) {
			t.Helper()
			r := e.Object(cpython.OpConvert, o, nil, k)
			if r.Status != cpython.OK || k >= cpython.KindStr && (len(r.Data) < n || r.Data[len(r.Data)-1] != 'x') {
				t.Fatalf("status %d, %d bytes", r.Status, len(r.Data))
			}
		}
		big, small, one, failing := bytes(large), bytes(some), eval(t, e, "1"), eval(t, e, "lambda: 1/0")
		for name, next := range map[string]func(){
			"bytes":  func() { convert(small, cpython.KindBytes, some) },
			"wire":   func() { convert(small, cpython.KindWire, some) },
			"number": func() { convert(one, cpython.KindInt64, 0) },
			"object": func() { bytes(3) },
			"exception": func() {
				r := e.Call(failing, "", nil, cpython.KindNone)
				if x, err := readException(r.Data); r.Status != cpython.Raised || err != nil || x.Class.Name != "ZeroDivisionError" {
					t.Error(r.Status, x, err)
				}
				it.Release(r.Obj)
			},
		} {
			for _, k := range []cpython.Kind{cpython.KindBytes, cpython.KindWire} {
				for range 3 {
					convert(big, k, large)
					if n := cpython.BufferSize(); n < large {
						t.Fatalf("%d bytes in a buffer of %d", large, n)
					}
				}
				next()
				if n := cpython.BufferSize(); n > 1<<20 {
					t.Errorf("%s after a large result: the buffer has %d bytes", name, n)
				}
			}
		}
		if e.ErrorIndicator() {
			t.Error("the error indicator is set")
		}
	})
}

// Bytes that are no wire form: an exception or a value, never a crash. 'O' is Go's word for a pointer,
// which nobody else can say, so it is left out.
func FuzzMake(f *testing.F) {
	f.Add([]byte("N"))
	f.Add(cpython.AppendList(nil, math.MaxInt))
	f.Add(cpython.AppendString(cpython.AppendDict(nil, 2), "x"))
	f.Add(cpython.AppendTagged(nil, 'I', math.MaxUint64))
	f.Add(append(cpython.AppendTagged(nil, 'I', 3), "0x-"...))
	f.Add(cpython.AppendTagged(nil, 'L', 1<<61))
	f.Add(cpython.AppendTagged(nil, 's', math.MaxUint64-3))
	f.Add(bytes.Repeat(cpython.AppendList(nil, 1), 600))
	f.Add([]byte("tl"))
	f.Add(cpython.AppendCall(nil, math.MaxInt64, 7))
	f.Add(cpython.AppendCall(nil, 3, 1<<40))
	f.Fuzz(func(t *testing.T, wire []byte) {
		if bytes.ContainsRune(wire, 'O') {
			return
		}
		in(t, func(it *cpython.Interp, e cpython.Entry) {
			ident := eval(t, e, "lambda *a, **k: (a, k)")
			for _, r := range []cpython.Result{e.Make(wire), e.Call(ident, "", wire, cpython.KindObject), e.Call(ident, "__call__", wire, cpython.KindObject), e.Object(cpython.OpEqual, ident, wire, cpython.KindNone), e.Object(cpython.OpSetItem, ident, wire, cpython.KindNone)} {
				switch r.Status {
				case cpython.OK:
				case cpython.Raised:
					it.Release(r.Obj)
				default:
					t.Errorf("status %d", r.Status)
				}
			}
			if e.ErrorIndicator() {
				t.Error("the error indicator is set")
			}
		})
	})
}

// Go's reader of wire forms ends on any bytes.
func FuzzReader(f *testing.F) {
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{1, 0, 0, 0, 0, 0, 0, 0, 'x'}, 30))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := readException(b); err == nil && len(b) < 8*4+1 {
			t.Error("so few bytes are no exception")
		}
		r := &cpython.Reader{Data: b}
		r.Big()
		_ = r.Bytes()
	})
}

func TestWire_Big(t *testing.T) {
	in(t, func(it *cpython.Interp, e cpython.Entry) {
		for shift := range 300 {
			for _, add := range []int64{-1, 0, 1} {
				for _, sign := range []int64{-1, 1} {
					v := new(big.Int).Lsh(big.NewInt(1), uint(shift))
					v.Add(v, big.NewInt(add)).Mul(v, big.NewInt(sign))
					m := e.Make(cpython.AppendBig(nil, v))
					if m.Status != cpython.OK {
						t.Fatal(v, m.Status)
					}
					if r := e.Object(cpython.OpStr, m.Obj, nil, cpython.KindStr); string(r.Data) != v.String() {
						t.Errorf("%v is %s in Python", v, r.Data)
					}
					r := e.Object(cpython.OpConvert, m.Obj, nil, cpython.KindWire)
					rd := &cpython.Reader{Data: r.Data}
					got := new(big.Int)
					switch rd.Byte() {
					case 'i':
						got.SetInt64(int64(rd.Uint64()))
						if !v.IsInt64() {
							t.Error(v, "came as an int64")
						}
					case 'I':
						got = rd.Big()
					}
					if got.Cmp(v) != 0 || rd.Err != nil || len(rd.Data) != 0 {
						t.Errorf("%v came back as %v, %v", v, got, rd.Err)
					}
				}
			}
		}
		if e.ErrorIndicator() {
			t.Error("the error indicator is set")
		}
	})
}
