package handles_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// What an object says of its class is no proof of what memory it has.
func TestConvert_DoesNotTrustDunderClass(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, `
import weakref
class Mine(bytearray): pass
target = Mine(b'abc')
proxies = [weakref.proxy(target)]
def poser(cls): # as Mock(spec=cls)
    class Poser:
        __class__ = property(lambda self: cls)
    return Poser()
for c in (bytearray, bytes, str, int, float, list, dict, tuple, range, bool):
    proxies.append(poser(c))
assert isinstance(proxies[0], bytearray) and isinstance(proxies[1], bytearray)
`)
		proxies := pytest.Get(t, ns, "proxies")
		n, err := proxies.Len()
		if err != nil || n != 11 {
			t.Fatal(n, err)
		}
		for i := range n {
			o, err := proxies.Item(i)
			if err != nil {
				t.Fatal(err)
			}
			_, ofBytes := py.As[[]byte](o)
			_, ofText := py.As[string](o)
			_, ofBool := py.As[bool](o)
			_, ofAny := py.As[any](o)
			_, ofInts := py.As[[]int64](o)
			_, ofMap := py.As[map[string]int](o)
			_, ofList := py.Cast[py.List](o)
			for _, err := range []error{ofBytes, ofText, ofBool, ofAny, ofInts, ofMap, ofList} {
				if !errors.Is(err, py.TypeError) {
					t.Errorf("proxy %d: %v, want a TypeError", i, err)
				}
			}
		}
		if b, err := py.EvalAs[[]byte](tok, "target", ns); err != nil || string(b) != "abc" {
			t.Errorf("a subclass of bytearray: %q, %v", b, err)
		}
		if v, err := py.EvalAs[[]any](tok, "[target]", ns); err != nil || string(v[0].([]byte)) != "abc" {
			t.Errorf("a subclass of bytearray in a list: %v, %v", v, err)
		}
		if tok.Entry("test").ErrorIndicator() {
			t.Error("the error indicator is set")
		}
	})
}

// On 3.10 and 3.11 the garbage collector runs when C allocates, so the __del__ of cyclic garbage runs while
// a value is written: what is being written stays as it is, and a container that changed is an error.
func TestConvert_GarbageCollectedMeanwhile(t *testing.T) {
	const helpers = `
import gc
fired = 0
class Garbage:
    def __del__(self):
        global fired
        fired += 1
        self.then()
def arm(o, then):
    "the next object that the collector tracks and that is new runs then()"
    global lists
    gc.collect()
    gc.disable()
    lists = [[] for _ in range(300)] # CPython's reserve of list objects is used up
    g = Garbage()
    g.me, g.then = g, then
    del g
    gc.set_threshold(1)
    gc.enable()
    return o
def disarm():
    gc.set_threshold(700, 10, 10)
    return fired
spare = []
def refill(l, *items): # others come in the place of what was freed
    l[:] = items
    spare[:] = [range(7, 9) for _ in range(100)] + [('no',) * 2 for _ in range(100)]
    return l
def reset(d, text):
    for k in d: d[k] = text.upper() * 2
    spare[:] = [text.upper() * 2 for _ in range(100)]
def make_list():
    l = [range(10, 13), 'tail']
    return arm(l, lambda: refill(l, 0, 'new'))
def make_nested():
    l = [[range(10, 13), 'inner'], 'tail']
    return arm(l, lambda: refill(l, 0, 'new'))
def make_tuple():
    l = [(range(10, 13), 'in' + str(fired)), 'tail']
    return arm(l, lambda: refill(l, 0, 'new'))
def make_dict():
    d = {range(10, 13): str(12345678), range(2, 5): 'x'}
    return arm(d, lambda: reset(d, 'no'))
def make_shorter():
    l = [range(10, 13), 'tail']
    return arm(l, l.clear)
def make_longer():
    l = [range(10, 13), 'tail']
    return arm(l, lambda: l.append(3))
def make_smaller():
    d = {range(10, 13): 'v', range(2, 5): 'x'}
    return arm(d, lambda: d.pop(range(2, 5)))
def make_larger():
    d = {range(10, 13): 'v', range(2, 5): 'x'}
    return arm(d, lambda: d.update({i: i for i in range(100)}))
`
	const ten = "[10 11 12]"
	for _, c := range []struct{ f, then, without string }{ // what comes when the collector ran, and when it did not
		{"make_list()", "[" + ten + " new]", "[" + ten + " tail]"},
		{"make_nested()", "[[" + ten + " inner] new]", "[[" + ten + " inner] tail]"},
		{"make_tuple()", "[[" + ten + " in0] new]", "[[" + ten + " in0] tail]"},
		{"make_dict()", "map[[2 3 4]:NONO " + ten + ":12345678]", "map[[2 3 4]:x " + ten + ":12345678]"},
		{"make_shorter()", "list changed size during iteration", "[" + ten + " tail]"},
		{"make_longer()", "list changed size during iteration", "[" + ten + " tail]"},
		{"make_smaller()", "dictionary changed size during iteration", "map[[2 3 4]:x " + ten + ":v]"},
		{"make_larger()", "dictionary changed size during iteration", "map[[2 3 4]:x " + ten + ":v]"},
	} {
		t.Run(c.f, func(t *testing.T) {
			pytest.Do(t, func(tok *gilt.Token) {
				ns := pytest.Module(t, tok, helpers)
				var v any
				var err error
				if strings.HasPrefix(c.without, "map") {
					v, err = py.EvalAs[map[[3]int]string](tok, c.f, ns)
				} else {
					v, err = py.EvalAs[any](tok, c.f, ns)
				}
				fired, bad := py.EvalAs[int](tok, "disarm()", ns)
				if bad != nil {
					t.Fatal(bad)
				}
				got, want := fmt.Sprint(v), c.without
				if err != nil {
					if got = err.Error(); !errors.Is(err, py.RuntimeError) {
						t.Error(err)
					}
					got = strings.TrimPrefix(got, "RuntimeError: ")
				}
				if pytest.Minor(t) < 12 {
					if fired == 0 {
						t.Fatal("the collector did not run: the test tests nothing")
					}
					want = c.then
				}
				if got != want {
					t.Errorf("%s, want %s (the collector ran %d times)", got, want, fired)
				}
				if tok.Entry("test").ErrorIndicator() {
					t.Error("the error indicator is set")
				}
			})
		})
	}
}
