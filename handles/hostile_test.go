package handles_test

import (
	"errors"
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
			for _, err := range []error{ofBytes, ofText, ofBool, ofAny, ofInts, ofMap, o.Append(1)} {
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
