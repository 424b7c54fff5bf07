package cpython_test

import (
	"bytes"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gilt/internal/cpython"
)

const mb = 1 << 20

// enough turns of others, which take some microseconds each: before the operation has the GIL, and where it is kept to the end, there are 0 to 20.
const enough = 40

// turns gives how many short tasks of another thread had the GIL while f ran.
func turns(t *testing.T, it *cpython.Interp, f func()) int64 {
	t.Helper()
	var n atomic.Int64
	var stop atomic.Bool
	began, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for i := 0; !stop.Load(); i++ {
			e, status := it.Enter(2, 0, 0)
			if r := e.Exec("1", "<test>", true, 0, 0, cpython.KindNone); status != cpython.OK || r.Status != cpython.OK {
				t.Error(status, r.Status)
			}
			e.Leave()
			n.Add(1)
			if i == 0 {
				close(began)
			}
		}
	}()
	<-began
	before := n.Load()
	f()
	during := n.Load() - before
	stop.Store(true)
	<-ended
	return during
}

// A conversion of much data is one operation, and other threads have the GIL many times meanwhile. Each of these was one hold, or some
// few, though the conversions of containers gave the GIL up: a thread that waited began to wait anew each time, and never asked.
func TestLarge_OthersHaveTurns(t *testing.T) {
	const size = 64 * mb
	ints, floats := make([]int64, 2*mb), make([]float64, 2*mb)
	list, tuple, dict := cpython.AppendList(nil, 2*mb), cpython.AppendTuple(nil, 2*mb), cpython.AppendDict(nil, mb)
	for i := range 2 * mb {
		ints[i], floats[i] = int64(i)*1000, float64(i)
		list, tuple = cpython.AppendInt(list, int64(i)*1000), cpython.AppendFloat(tuple, float64(i))
		if i < mb {
			dict = cpython.AppendInt(cpython.AppendInt(dict, int64(i)), int64(i))
		}
	}
	texts := cpython.AppendList(nil, 500)
	for range 500 {
		texts = cpython.AppendString(texts, strings.Repeat("x", 200_000))
	}
	in(t, func(it *cpython.Interp, e cpython.Entry) {
		for _, c := range []struct {
			name string
			wire []byte
			kind cpython.Kind
		}{
			{"bytes", cpython.AppendBytes(nil, make([]byte, size)), cpython.KindBytes},
			{"bytearray", cpython.AppendByteArray(nil, make([]byte, size)), cpython.KindBytes},
			{"ASCII", cpython.AppendString(nil, strings.Repeat("x", size)), cpython.KindStr},
			{"Latin", cpython.AppendString(nil, strings.Repeat("äx", size/3)), cpython.KindStr},
			{"CJK", cpython.AppendString(nil, strings.Repeat("漢字 ", size/7)), cpython.KindStr},
			{"beyond the BMP", cpython.AppendString(nil, strings.Repeat("漢😀", size/7)), cpython.KindStr},
			{"ints", cpython.AppendInts(nil, ints), cpython.KindWire},
			{"floats", cpython.AppendFloats(nil, floats), cpython.KindWire},
			{"list", list, cpython.KindWire},
			{"tuple", tuple, cpython.KindWire},
			{"dict", dict, cpython.KindWire},
			{"texts", texts, cpython.KindWire},
		} {
			base, _ := e.ScopeBase()
			var made, read, asAny cpython.Result
			n := turns(t, it, func() { made = e.Make(c.wire) })
			if made.Status != cpython.OK || n < enough {
				t.Errorf("%s to Python: status %d, %d turns of others", c.name, made.Status, n)
			}
			n = turns(t, it, func() { read = e.Object(cpython.OpConvert, made.Obj, nil, c.kind) })
			if read.Status != cpython.OK || n < enough {
				t.Errorf("%s to Go: status %d, %d turns of others", c.name, read.Status, n)
			}
			if c.kind != cpython.KindWire && string(read.Data) != string(c.wire[9:]) {
				t.Errorf("%s came back otherwise", c.name)
			}
			n = turns(t, it, func() { asAny = e.Object(cpython.OpConvert, made.Obj, nil, cpython.KindWire) })
			if asAny.Status != cpython.OK || n < enough {
				t.Errorf("%s as any: status %d, %d turns of others", c.name, asAny.Status, n)
			}
			if c.name != "ints" && c.name != "floats" && string(asAny.Data[1:]) != string(c.wire[1:]) {
				t.Errorf("%s as any came back otherwise", c.name)
			}
			e.ScopeEnd(base)
		}
	})
}

// run gives the namespace in which the source has run.
func run(t *testing.T, e cpython.Entry, source string) cpython.Object {
	t.Helper()
	ns := eval(t, e, "{}")
	if r := e.Exec(source, "<test>", false, ns, 0, cpython.KindNone); r.Status != cpython.OK {
		x, _ := readException(r.Data)
		t.Fatal(x.Class.Name, x.Message)
	}
	return ns
}

func item(t *testing.T, e cpython.Entry, o cpython.Object, name string) cpython.Object {
	t.Helper()
	r := e.Object(cpython.OpGetItem, o, cpython.AppendString(nil, name), cpython.KindObject)
	if r.Status != cpython.OK {
		t.Fatal(name, r.Status)
	}
	return r.Obj
}

func callText(t *testing.T, e cpython.Entry, f cpython.Object, args ...[]byte) string {
	t.Helper()
	r := e.Call(f, "", bytes.Join(append([][]byte{cpython.AppendCall(nil, len(args), 0)}, args...), nil), cpython.KindStr)
	if r.Status != cpython.OK {
		x, _ := readException(r.Data)
		t.Fatal(x.Class.Name, x.Message)
	}
	return string(r.Data)
}

const unicodeErrors = `
def error(f):
    try: f()
    except UnicodeError as e: return ascii((type(e), str(e), e.start, e.end, e.reason, len(e.object), type(e.object), e.encoding))
def decoding(b): return error(b.decode)
def encoding(s): return error(s.encode)
def about(e):
    def f(): raise e
    return error(f)
def same(b, s):
    d = b.decode()
    return ascii([d == s, len(s) == len(d), hash(s) == hash(d), s.isascii() == d.isascii(), s.__sizeof__() == d.__sizeof__(), s.encode() == b, max(s) == max(d)])
`

// A large text is made and read in parts: what comes of that is what CPython makes of the whole.
func TestLarge_TextIsAsCPythonHasIt(t *testing.T) {
	in(t, func(it *cpython.Interp, e cpython.Entry) {
		same := item(t, e, run(t, e, unicodeErrors), "same")
		for _, unit := range []string{"x", "äx", "é", "ÿ", "Ā", "漢字 ", "漢", "😀", "😀漢éx", "\x00\u0080\u07ff\u0800\uffff\U00010000\U0010ffff"} {
			for _, n := range []int{1 << 18, 1<<18 + 1, 1<<20 + 3, 1<<21 + 5} {
				s := strings.Repeat("x", n%7) + strings.Repeat(unit, n/len(unit)+1)
				if got := callText(t, e, same, cpython.AppendBytes(nil, []byte(s)), cpython.AppendString(nil, s)); strings.Contains(got, "False") {
					t.Errorf("%q in %d bytes: %s", unit, len(s), got)
				}
				base, _ := e.ScopeBase()
				if r := e.Object(cpython.OpConvert, e.Make(cpython.AppendString(nil, s)).Obj, nil, cpython.KindStr); string(r.Data) != s {
					t.Errorf("%q in %d bytes: came back as %d bytes", unit, len(s), len(r.Data))
				}
				e.ScopeEnd(base)
			}
		}
	})
}

// What is wrong in a part is said as CPython says it of the whole.
func TestLarge_TextErrorsAreAsCPythonHasThem(t *testing.T) {
	in(t, func(it *cpython.Interp, e cpython.Entry) {
		ns := run(t, e, unicodeErrors)
		decoding, encoding, about := item(t, e, ns, "decoding"), item(t, e, ns, "encoding"), item(t, e, ns, "about")
		s := strings.Repeat("x", 1<<16-6) + strings.Repeat("漢é", 1<<18)
		for _, bad := range []string{"\xff", "\x80", "\xe6\xbc", "\xf0\x9f\x98", "\xc0\x80", "\xed\xa0\x80", "\x80\x80\x80\x80\x80", "\xf0\x9f\x98\x80\x80\x80"} {
			for _, at := range []int{0, 1<<16 - 9, 1<<16 - 8, 1<<16 - 7, 1<<16 - 6, 1<<16 - 1, len(s) - 5, len(s)} {
				b := []byte(s[:at] + bad + s[at:])
				r := e.Make(append(cpython.AppendTagged(nil, 's', uint64(len(b))), b...))
				if r.Status != cpython.Raised {
					t.Fatalf("%q at %d: status %d", bad, at, r.Status)
				}
				if got, want := callText(t, e, about, cpython.AppendObject(nil, r.Obj)), callText(t, e, decoding, cpython.AppendBytes(nil, b)); got != want {
					t.Errorf("%q at %d: %s, want %s", bad, at, got, want)
				}
				it.Release(r.Obj)
			}
		}
		for _, expression := range []string{"'é' * 300_000 + chr(0xd800) + 'x'", "chr(0xdfff) + 'x' * 300_000", "'x' * 300_000 + chr(0xdc80)", "'x' * 16384 + chr(0xd800) * 2 + '漢' * 90_000"} {
			o := eval(t, e, expression)
			for _, k := range []cpython.Kind{cpython.KindStr, cpython.KindWire} {
				r := e.Object(cpython.OpConvert, o, nil, k)
				if r.Status != cpython.Raised {
					t.Fatalf("%s: status %d", expression, r.Status)
				}
				if got, want := callText(t, e, about, cpython.AppendObject(nil, r.Obj)), callText(t, e, encoding, cpython.AppendObject(nil, o)); k == cpython.KindStr && got != want {
					t.Errorf("%s: %s, want %s", expression, got, want)
				}
				it.Release(r.Obj)
			}
		}
		if e.ErrorIndicator() {
			t.Error("the error indicator is set")
		}
	})
}

// Without memory a large value is an error, and the error indicator is clear.
func TestLarge_NoMemory(t *testing.T) {
	in(t, func(it *cpython.Interp, e cpython.Entry) {
		for name, wire := range map[string][]byte{
			"bytes": cpython.AppendBytes(nil, make([]byte, mb)), "bytearray": cpython.AppendByteArray(nil, make([]byte, mb)), "ASCII": cpython.AppendString(nil, strings.Repeat("x", mb)),
			"wide": cpython.AppendString(nil, strings.Repeat("漢é", mb)), "wrong": append(cpython.AppendTagged(nil, 's', 2*mb), strings.Repeat("\xff\xff", mb)...),
		} {
			failed := 0
			for n := range 12 {
				base, _ := e.ScopeBase()
				eval(t, e, "()") // attached: what follows is the conversion's
				cpython.FailMemory(n)
				r := e.Make(wire)
				cpython.FailMemory(-1)
				if r.Status == cpython.Raised {
					it.Release(r.Obj)
				} else if r.Status != cpython.OK && r.Status != cpython.Failed {
					t.Errorf("%s after %d allocations: status %d", name, n, r.Status)
				}
				if r.Status != cpython.OK {
					failed++
				}
				if e.ErrorIndicator() {
					t.Errorf("%s after %d allocations: the error indicator is set", name, n)
				}
				if name != "wrong" && n < 4 {
					o := e.Make(wire).Obj
					cpython.FailGrowth(n)
					back := e.Object(cpython.OpConvert, o, nil, cpython.KindWire)
					cpython.FailGrowth(-1)
					if back.Status == cpython.Raised {
						it.Release(back.Obj)
					} else if back.Status != cpython.OK && back.Status != cpython.Failed {
						t.Errorf("%s to Go after %d growths: status %d", name, n, back.Status)
					}
				}
				e.ScopeEnd(base)
			}
			if failed == 0 {
				t.Errorf("%s: never without memory", name)
			}
		}
	})
}

// A list is extended by another in parts.
func TestLarge_OthersHaveTurnsWhileAListIsExtended(t *testing.T) {
	in(t, func(it *cpython.Interp, e cpython.Entry) {
		list, more := eval(t, e, "[]"), eval(t, e, "list(range(10_000_000))")
		var r cpython.Result
		if n := turns(t, it, func() { r = e.Object(cpython.OpExtend, list, cpython.AppendObject(nil, more), cpython.KindNone) }); r.Status != cpython.OK || n < enough {
			t.Errorf("status %d, %d turns of others", r.Status, n)
		}
		if r := e.Object(cpython.OpLen, list, nil, cpython.KindNone); r.Int != 10_000_000 {
			t.Error(r.Int)
		}
	})
}

// A task whose deadline passes does not copy to the end.
func TestLarge_IsInterrupted(t *testing.T) {
	data := make([]byte, 512*mb)
	wire := cpython.AppendBytes(nil, data)
	in(t, func(it *cpython.Interp, e cpython.Entry) {
		made, tag := e.Make(wire).Obj, uint64(7) // a task is interrupted once, and tags tell tasks apart
		for what, f := range map[string]func(cpython.Entry) cpython.Result{
			"to Python": func(e cpython.Entry) cpython.Result { return e.Make(wire) },
			"to Go":     func(e cpython.Entry) cpython.Result { return e.Object(cpython.OpConvert, made, nil, cpython.KindBytes) },
		} {
			inner, status := it.Enter(tag, 0, cpython.Clock()+cpython.Deadline(5*time.Millisecond))
			if status != cpython.OK {
				t.Fatal(status)
			}
			r := f(inner)
			if r.Status != cpython.Raised {
				t.Errorf("%s: status %d", what, r.Status)
			} else {
				if x, err := readException(r.Data); err != nil || x.Class.Name != "Cancelled" {
					t.Errorf("%s: %s, %v", what, x.Class.Name, err)
				}
				it.Release(r.Obj)
			}
			inner.Leave()
			tag++
		}
	})
}

// A bytearray that gets another size while it is read is an error.
func TestLarge_ByteArrayThatChanges(t *testing.T) {
	in(t, func(it *cpython.Interp, e cpython.Entry) {
		ns := run(t, e, `
import threading
data, stop = bytearray(16 << 20), threading.Event()
def change():
    while not stop.is_set():
        data.extend(bytes(1 << 20))
        del data[16 << 20:]
thread = threading.Thread(target=change, daemon=True)
thread.start()
`)
		data, failed := item(t, e, ns, "data"), 0
		for i := 0; i < 5000 && failed < 3; i++ {
			switch r := e.Object(cpython.OpConvert, data, nil, []cpython.Kind{cpython.KindBytes, cpython.KindWire}[i%2]); r.Status {
			case cpython.OK:
				if len(r.Data) < 16*mb {
					t.Fatal(len(r.Data))
				}
			case cpython.Raised:
				if x, err := readException(r.Data); err != nil || x.Class.Name != "RuntimeError" || !strings.Contains(x.Message, "changed size") {
					t.Fatal(x.Class.Name, x.Message, err)
				}
				it.Release(r.Obj)
				failed++
			default:
				t.Fatal(r.Status)
			}
		}
		e.Call(item(t, e, ns, "stop"), "set", cpython.AppendCall(nil, 0, 0), cpython.KindNone)
		e.Call(item(t, e, ns, "thread"), "join", cpython.AppendCall(nil, 0, 0), cpython.KindNone)
		if failed == 0 {
			t.Error("it never changed in between")
		}
	})
}
