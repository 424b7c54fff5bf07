package handles_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// What one line of a log shows of an exception is one line, whatever its class and message say; all of it is in the full text.
func TestErrorIsOneLine(t *testing.T) {
	pytest.Do(t, func(tok *gilt.Token) {
		ns := pytest.Module(t, tok, `
import traceback
def fails(name, message, wrap=False):
    c = type(name, (Exception,), {'__module__': 'm\x1b[31m'})
    try:
        try: raise c(message)
        except Exception as e:
            if wrap: raise KeyError(message) from e
            raise
    except Exception as e:
        return e, traceback.format_exc()
def again(e): raise e
`)
		for _, c := range []struct{ name, message string }{
			{"Plain", "plain: žluť 😀 – “x”\u00a0y"},
			{"Two\nlines", "first\nsecond\r\nthird"},
			{"Es\x1b[2Jcape", "\x1b]0;title\x07 \x00 \x7f \u0085 \u2028 \u202e \u200f \ufeff"},
			{"Long" + strings.Repeat("x\n", 10_000), "short"},
			{"Long", strings.Repeat("ž\n", 5<<20)},
		} {
			both, err := pytest.Get(t, ns, "fails").Call(c.name, c.message)
			exc := must(must(both, err).Item(0))
			want := must(py.As[string](must(both.Item(1))))
			_, err = pytest.Get(t, ns, "again").Call(exc)
			var e *py.Error
			if !errors.As(err, &e) {
				t.Fatal(err)
			}
			for _, text := range []string{err.Error(), fmt.Sprint(err), fmt.Errorf("wrapped: %w", err).Error(), fmt.Sprintf("%v", err)} {
				if i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) }); i >= 0 || !utf8.ValidString(text) {
					t.Errorf("%.20q: it shows %q", c.name, text[i:min(i+20, len(text))])
				}
				if len(text) > 32<<10 {
					t.Errorf("%.20q: it has %d bytes", c.name, len(text))
				}
			}
			if long := len(c.name)+len(c.message) > 4096; long != strings.Contains(err.Error(), "bytes in all)") {
				t.Errorf("%.20q: that it was cut: %q", c.name, err.Error()[max(0, len(err.Error())-60):])
			}
			if e.Message != c.message || !strings.HasSuffix(e.Class, c.name) {
				t.Errorf("%.20q: Class or Message is not as it is", c.name)
			}
			last := e.Class + ": " + c.message + "\n"
			if !strings.HasSuffix(e.Traceback(), last) || !strings.HasSuffix(fmt.Sprintf("%+v", err), last) {
				t.Errorf("%.20q: Traceback is not as it is", c.name)
			}
			if full := e.FullText(tok); !strings.HasSuffix(full, last) || !strings.HasSuffix(want, last) {
				t.Errorf("%.20q: FullText is not CPython's", c.name)
			}
		}
		_, err := pytest.Get(t, ns, "again").Call(must(must(pytest.Get(t, ns, "fails").Call("Plain", "žluť")).Item(0)))
		if err == nil || err.Error() != `m\x1b[31m.Plain: žluť` {
			t.Error(err)
		}
		if text := py.ExceptionClass("m.A\nB").Error(); text != `m.A\nB` {
			t.Errorf("%q", text)
		}
	})
}
