package scheduler

import (
	"errors"
	"strings"
	"testing"
)

func TestClassNames(t *testing.T) {
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "a", "a b", "/healthz", "größe 世界 👩‍🔬", strings.Repeat("x", MaxClassName)} {
		if _, err := s.Class(name, ClassConfig{}); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for name, says := range map[string]string{
		strings.Repeat("x", MaxClassName+1): "257 bytes", strings.Repeat("é", 1<<20): "2097152 bytes", "a\nb": `'\n'`, "a\x1b[31m": `'\x1b'`, "\x00": `'\x00'`,
		"\x7f": `'\x7f'`, "\u009b": `'\u009b'`, "\u2028": `'\u2028'`, "\u202e": `'\u202e'`, "\xff": "not UTF-8", "a\xc3": "not UTF-8",
	} {
		c, err := s.Class(name, ClassConfig{})
		if c != nil || !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), says) {
			t.Errorf("%.20q: %v, want %q", name, err, says)
		} else if strings.ContainsAny(err.Error(), "\n\x1b\x00\u009b\u2028\u202e") || len(err.Error()) > 400 {
			t.Errorf("%.20q: the error shows the name as it is: %q", name, err)
		}
	}
	if got := len(s.Stats().Classes); got != 6 {
		t.Errorf("%d classes, want 6: the names that are refused make none", got)
	}
}
