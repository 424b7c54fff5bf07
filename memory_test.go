package gilt_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

const bigSource = `
def make():
    b = bytearray(5 << 20)
    b[::4096] = b"x" * 1280
    return b
def fail(_=0):
    b = make()
    raise ValueError("no")
def fail_with(_=0):
    raise error()
def error():
    e = ValueError("no")
    e.data = make()
    return e
`

// peak is the most memory that the process had, in MB.
func peak() (mb int) {
	b, _ := os.ReadFile("/proc/self/status")
	if _, rest, ok := strings.Cut(string(b), "VmHWM:"); ok {
		_, _ = fmt.Sscan(rest, &mb)
	}
	return mb >> 10
}

// droppedMemory: a thousand handles or errors that have 5 MB each and are dropped, and the most memory that the process had.
func droppedMemory() error {
	rt, err := gilt.Open(ctx, gilt.Config{Mode: gilt.Mode(os.Getenv("MODE")), Interpreters: 1, KeepLocals: os.Getenv("KEEP") != ""})
	if err != nil {
		return err
	}
	defer func() { _ = rt.Close() }()
	if err := rt.Do(ctx, func(tok *gilt.Token) error { return wrong(py.ImportSource(tok, "gilt_big", bigSource)) }); err != nil {
		return err
	}
	fail, err := gilt.Lookup[int, int](ctx, rt, "gilt_big:fail")
	if err != nil {
		return err
	}
	method := func(name string) func(*gilt.Token) error {
		return func(tok *gilt.Token) error { return callOf(tok, "gilt_big", name) }
	}
	drop := map[string]func() error{
		"call": func() error { return wrong(fail.Call(ctx, 0)) },
		"do":   func() error { return rt.Do(ctx, method("fail")) },
		"args": func() error { return rt.Do(ctx, method("fail_with")) },
		"submit": func() error {
			return wrong(gilt.Submit(ctx, rt, func(tok *gilt.Token) (int, error) { return 0, method("fail")(tok) }).Wait(ctx))
		},
		"handle": func() error {
			return rt.Do(ctx, func(tok *gilt.Token) error {
				m, err := py.Import(tok, "gilt_big")
				if err != nil {
					return err
				}
				b, err := m.Method("make")
				b.Unbind()
				return errors.Join(err, py.Run(tok, "raise ValueError"))
			})
		},
	}[os.Getenv("DROP")]
	for range 1000 {
		if err := drop(); !errors.Is(err, py.ValueError) {
			return err
		}
	}
	fmt.Println(peak())
	return nil
}

func callOf(tok *gilt.Token, module, name string) error {
	m, err := py.Import(tok, module)
	if err == nil {
		_, err = m.Method(name)
	}
	return err
}

func TestDroppedHandlesAndErrorsHoldLittleMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells how much memory a process has")
	}
	own := []string{"DROP=do", "MODE=own-gil"}
	if pytest.Minor(t) < 12 {
		own[1] = "MODE=gil"
	}
	for _, c := range [][]string{own, {"DROP=call"}, {"DROP=do"}, {"DROP=submit"}, {"DROP=args"}, {"DROP=handle"}, {"DROP=call", "KEEP=1"}} {
		var mb int
		if _, err := fmt.Sscan(pytest.Child(t, "dropped memory", c...), &mb); err != nil {
			t.Fatal(err)
		}
		t.Log(c, mb, "MB")
		if mb == 0 || mb > 300 { // of 5,000; some 60 are the process's own, and the race detector's
			t.Errorf("%v: the process had %d MB", c, mb)
		}
	}
}
