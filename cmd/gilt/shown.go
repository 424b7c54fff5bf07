package main

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// shown gives s for one line of a terminal: what is not printed (control characters, which may move the cursor or change
// colours, marks that turn the writing's direction, bytes that are not UTF-8) is written as in a Go string. Texts of exceptions and
// names of files are other people's.
func shown(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\x` + strconv.FormatUint(uint64(s[0])|0x100, 16)[1:])
		case unicode.IsPrint(r):
			b.WriteString(s[:n])
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		s = s[n:]
	}
	return b.String()
}

// shownLines is shown for a text of several lines, such as a traceback. They are indented, so that none can be taken for one of
// gilt's own.
func shownLines(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString("  " + shown(strings.TrimSuffix(line, "\n")) + "\n")
	}
	return b.String()
}
