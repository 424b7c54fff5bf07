package scheduler

import (
	"unicode"
	"unicode/utf8"
)

// MaxClassName is how many bytes the name of a class may have. Names stand in Stats, errors and logs, and often come from requests.
const MaxClassName = 256

// checkName returns an error that matches ErrConfig for a name that no class may have.
func checkName(name string) error {
	if len(name) > MaxClassName {
		return badConfig("a class's name of %d bytes, which begins with %.40q: give %d at most, or a hash of it", len(name), name, MaxClassName)
	}
	for i, r := range name {
		if _, n := utf8.DecodeRuneInString(name[i:]); r == utf8.RuneError && n == 1 {
			return badConfig("class %q: its name is not UTF-8", name)
		}
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return badConfig("class %q: its name has the control character %q", name, r)
		}
	}
	return nil
}
