package cpython

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLine is how many bytes of a text OneLine shows.
const maxLine = 4096

// OneLine is a text of Python's for one line of a log or a terminal: what is not printable (line breaks, escape characters, marks that
// turn the direction of writing, bytes that are no UTF-8) is escaped as in a Go string, and of a long text only the first 4 KiB are shown.
func OneLine(s string) string {
	cut := len(s)
	if cut > maxLine {
		for cut = maxLine; cut > maxLine-utf8.UTFMax && !utf8.RuneStart(s[cut]); cut-- {
		}
	}
	shown := escape(s[:cut])
	if cut < len(s) {
		shown += fmt.Sprintf("… (cut: %d bytes in all)", len(s))
	}
	return shown
}

func escape(s string) string {
	at := 0 // what is before it needs no escape
	for at < len(s) && ' ' <= s[at] && s[at] < 0x7f {
		at++
	}
	if at == len(s) {
		return s
	}
	var b strings.Builder
	b.WriteString(s[:at])
	for at < len(s) {
		r, n := utf8.DecodeRuneInString(s[at:])
		if part := s[at : at+n]; n == 1 && r == utf8.RuneError || !unicode.IsGraphic(r) {
			quoted := strconv.Quote(part)
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteString(part)
		}
		at += n
	}
	return b.String()
}
