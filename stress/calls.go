package stress

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"gilt"
	py "gilt/handles"
)

func (a *actor) callKinds() error {
	switch a.random.IntN(9) {
	case 0:
		return echo(a, a.funcs.int64, int64(a.random.Uint64()))
	case 1:
		return echo(a, a.funcs.uint64, a.random.Uint64())
	case 2:
		return echo(a, a.funcs.float64, a.random.NormFloat64())
	case 3:
		return echo(a, a.funcs.bool, a.random.IntN(2) == 0)
	case 4:
		return echo(a, a.funcs.string, a.text())
	case 5:
		return echo(a, a.funcs.bytes, a.bytes(5000))
	case 6:
		return echo(a, a.funcs.list, a.ints())
	case 7:
		return echo(a, a.funcs.pair, pair{A: a.random.Int(), B: a.text()})
	}
	x, y := int64(a.random.Uint64()), a.text()
	got, err := a.funcs.both.Call(a.ctx, py.Args{x, y})
	if err := same(got, []any{y, x}, err); err != nil {
		return err
	}
	return echo(a, a.funcs.dict, map[string]float64{a.text(): a.random.Float64(), "x": 1})
}

func echo[T any](a *actor, f *gilt.Func[T, T], v T) error {
	got, err := f.Call(a.ctx, v)
	return same(got, v, err)
}

func (a *actor) text() string {
	alphabet := []rune("abcXYZ äöß 日本語 \x00🐍")
	s := make([]rune, a.random.IntN(40))
	for i := range s {
		s[i] = alphabet[a.random.IntN(len(alphabet))]
	}
	return string(s)
}

func (a *actor) ints() []int64 {
	v := make([]int64, a.random.IntN(50))
	for i := range v {
		v[i] = int64(a.random.Uint64())
	}
	return v
}

func (a *actor) bytes(most int) []byte {
	b := make([]byte, a.random.IntN(most))
	for i := range b {
		b[i] = byte(a.random.Uint32())
	}
	return b
}

func (a *actor) callLong() error {
	n := a.random.IntN(100_000)
	got, err := a.funcs.work.Call(a.ctx, n)
	return same(got, n*(n-1)/2, err)
}

func (a *actor) callRaises() error {
	n := a.random.IntN(1000)
	_, err := a.funcs.fail.Call(a.ctx, n)
	if !errors.Is(err, py.ValueError) || err.Error() != fmt.Sprintf("ValueError: boom %d", n) {
		return fmt.Errorf("want ValueError: %w", err)
	}
	if _, err = a.funcs.missing.Call(a.ctx, n); !errors.Is(err, py.KeyError) || !errors.Is(err, py.LookupError) {
		return fmt.Errorf("want KeyError: %w", err)
	}
	var exit *py.Error
	if _, err = a.funcs.out.Call(a.ctx, n); !errors.As(err, &exit) {
		return fmt.Errorf("want SystemExit: %w", err)
	}
	if code, ok := exit.ExitCode(); !ok || code != n {
		return fmt.Errorf("want exit code %d: %d %t", n, code, ok)
	}
	return nil
}

func (a *actor) callDeep() error {
	_, err := a.funcs.deep.Call(a.ctx, 0)
	if !errors.Is(err, py.RecursionError) {
		return fmt.Errorf("want RecursionError: %w", err)
	}
	return nil
}

func (a *actor) sleep() error {
	_, err := a.funcs.nap.Call(a.ctx, float64(a.random.IntN(5000))/1e6)
	return err
}

func (a *actor) hash() error {
	data := a.bytes(1 << 18)
	want := sha256.Sum256(data)
	got, err := a.funcs.sha.Call(a.ctx, data)
	return same(got, want[:], err)
}

// contextVar sees a context variable's default and sets it: no other task may see that.
func (a *actor) contextVar() error {
	was, err := a.funcs.swap.Call(a.ctx, 1+a.random.IntN(100))
	if err := same(was, 0, err); err != nil {
		return err
	}
	return a.do(func(tok *gilt.Token) error {
		m, err := py.Import(tok, moduleName)
		for i := range 3 {
			if err == nil {
				was, err = py.MethodAs[int](m, "swap", i+1)
				err = same(was, i, err)
			}
		}
		return err
	})
}
