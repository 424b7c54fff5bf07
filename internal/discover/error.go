package discover

import (
	"errors"
	"io/fs"
	"strings"
)

// Error says why a Python cannot be used: what was wrong, with which file, and what to do.
type Error struct {
	What   string // what was wrong, as the rest of a sentence that begins with Path
	Path   string // the file or directory, or "" when the trouble is not one file's
	Fix    string // what the reader can do about it
	Source string // the rule that led to this file (see [Python.Source]), or ""
	Err    error  // the cause, or nil
}

// Error gives one sentence.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("gilt: ")
	if e.Path != "" {
		b.WriteString(e.Path)
		switch e.Source {
		case "":
		case SourceConfig, SourceBundled:
			b.WriteString(" (" + e.Source + ")")
		default:
			b.WriteString(" (from " + e.Source + ")")
		}
		b.WriteString(" ")
	}
	b.WriteString(e.What)
	if e.Err != nil && !e.saysCause() {
		b.WriteString(" (" + e.Err.Error() + ")")
	}
	if e.Fix != "" {
		b.WriteString("; " + e.Fix)
	}
	return b.String()
}

// saysCause reports whether What has put the cause into words already, so that it is there for
// errors.Is only.
func (e *Error) saysCause() bool {
	if e.Err == fs.ErrNotExist || e.Err == fs.ErrPermission { //nolint:errorlint // only the bare ones, which say no more
		return true
	}
	for line := range strings.Lines(e.Err.Error()) {
		if !strings.Contains(e.What, strings.TrimSpace(line)) {
			return false
		}
	}
	return true
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// withSource says in err which rule led to it, without changing an error others may hold.
func withSource(err error, source string) error {
	var e *Error
	if !errors.As(err, &e) {
		return &Error{What: "the search for a Python failed", Source: source, Err: err}
	}
	if e.Source != "" {
		return err
	}
	named := *e
	named.Source = source
	return &named
}
