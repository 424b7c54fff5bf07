package cpython

import "regexp"

var (
	refuses      = regexp.MustCompile(`module (\S+) does not support loading in subinterpreters`) // CPython's own words
	refusesOther = regexp.MustCompile(`(?i)subinterpreter|one interpreter per process|more than once per process`)
)

// RefusedModule tells from the text of an ImportError whether a module refuses to load in an interpreter with its own GIL, and
// which: "" when the text does not say. Modules that check by themselves (PyO3's, numpy's, those of old Cythons) have words of their own.
func RefusedModule(text string) (module string, refused bool) {
	if m := refuses.FindStringSubmatch(text); m != nil {
		return m[1], true
	}
	return "", refusesOther.MatchString(text)
}
