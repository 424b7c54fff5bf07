package main

import (
	"strings"
	"testing"
)

func TestShown(t *testing.T) {
	for text, want := range map[string]string{
		"":                    "",
		"é 世 🐍 a b":           "é 世 🐍 a b",
		"\x1b[31mred\x1b[0m":  `\x1b[31mred\x1b[0m`,
		"a\nb\r\tc\x00\x7f":   `a\nb\r\tc\x00\x7f`,
		"c1 \u009b31m":        `c1 \u009b31m`,
		"turned \u202eab":     `turned \u202eab`,
		"line\u2028\u0085":    `line\u2028\u0085`,
		"not UTF-8 \xff\x80a": `not UTF-8 \xff\x80a`,
		"\ufffd":              "\ufffd",
	} {
		if got := shown(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got := shownLines("a\n  b\x1b\nlast"); got != "  a\n    b\\x1b\n  last\n" {
		t.Errorf("lines: %q", got)
	}
}

// Texts of exceptions, which may come from the records, reach the terminal neither as control characters nor as lines that
// look like gilt's own.
func TestMapShowsNoControlCharacters(t *testing.T) {
	t.Parallel()
	dir := files(t, "fn.py", `
def f(x):
    raise ValueError("a\x1b[31mred\ngilt: all is well\r\x9b\u202e")
class Odd(Exception):
    pass
Odd.__name__ = Odd.__qualname__ = "Od\x1b[2Jd"
def g(x):
    raise Odd
`, "bad.py", `raise ValueError("\x1b]0;title\x07\ngilt: all is well")`)
	for _, args := range [][]string{
		{"fn.py:f"}, {"fn.py:f", "--on-error", "skip"}, {"fn.py:g"}, {"fn.py:g", "--on-error", "skip"}, {"bad.py:f"}, {"fn.py:\x1b[31m"}, {"nosuch\x1b.py:f"},
		{"fn.py:f", "in\x1b[31m.jsonl"}, {"fn.py:f", "-o", "no\x1b/such"}, {"fn.py:f", "--nosuch\x1b"},
	} {
		got := run(t, setting{dir: dir, stdin: "1\n2\n"}, append([]string{"map", "--quiet", "-f"}, args...)...)
		for line := range strings.Lines(got.stderr) {
			line = strings.TrimSuffix(line, "\n")
			if line != shown(line) {
				t.Errorf("%q: stderr has the line %q", args, line)
			}
			if strings.HasPrefix(line, "gilt: all is well") {
				t.Errorf("%q: an exception speaks for gilt: %q", args, got.stderr)
			}
		}
		if got.stderr == "" || got.code == 0 {
			t.Errorf("%q: exit code %d, stderr %q", args, got.code, got.stderr)
		}
	}
}
