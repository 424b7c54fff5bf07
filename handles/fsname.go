package handles

import (
	"errors"
	"unicode/utf8"
)

// FSDecode gives the str by which Python code knows a file's path, an argument or a variable of the process: it is os.fsdecode, and escapes bytes
// that are not UTF-8 as lone surrogates. From refuses such a string.
func FSDecode(tok *Token, path string) (Bound, error) {
	if utf8.ValidString(path) {
		return From(tok, path)
	}
	b, err := From(tok, []byte(path))
	if err != nil {
		return b, err
	}
	return b.Method("decode", "utf-8", "surrogateescape")
}

// FSEncode is the reverse of FSDecode, os.fsencode: the bytes of the path that a str stands for. What is no str is a TypeError.
func FSEncode(path Bound) (string, error) {
	text, err := path.Text()
	if !errors.Is(err, UnicodeEncodeError) { // which lone surrogates are to Text
		return text, err
	}
	b, err := path.Method("encode", "utf-8", "surrogateescape")
	if err != nil {
		return "", err
	}
	name, err := As[[]byte](b)
	return string(name), err
}

// FSDecodeList is a list of what FSDecode gives for each path.
func FSDecodeList(tok *Token, paths []string) (List, error) {
	l, err := NewList(tok)
	for _, path := range paths {
		if err != nil {
			break
		}
		var b Bound
		if b, err = FSDecode(tok, path); err == nil {
			err = l.Append(b)
		}
	}
	return l, err
}
