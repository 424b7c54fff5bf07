package handles

import (
	"strings"

	"gilt/internal/cpython"
)

// TracebackObject is a traceback, an exception's __traceback__: the first of a list of calls, the outermost one. It keeps
// their frames. An Error has what most programs need of it in Frames and Traceback.
type TracebackObject struct{ Bound }

func (TracebackObject) class() cpython.Class { return cpython.ClassTraceback }

// Frame is t.tb_frame.
func (t TracebackObject) Frame() (FrameObject, error) {
	return attrAs[FrameObject](t.Bound, "TracebackObject.Frame", "tb_frame")
}

// Line is t.tb_lineno, the number of the line where the exception came by; 0 if Python knows none.
func (t TracebackObject) Line() (int, error) {
	return line(t.Bound, "TracebackObject.Line", "tb_lineno")
}

// Next is t.tb_next, one call nearer to where it was raised; ok is false when this is the innermost.
func (t TracebackObject) Next() (inner TracebackObject, ok bool, err error) {
	return optional[TracebackObject](attrAs[Bound](t.Bound, "TracebackObject.Next", "tb_next"))
}

// Format is "".join(traceback.format_tb(t)): the calls with their source lines, without a heading and the exception.
func (t TracebackObject) Format() (string, error) {
	const op = "TracebackObject.Format"
	t.entry(op)
	m, err := Import(t.tok, "traceback")
	if err != nil {
		return "", err
	}
	lines, err := callAs[[]string](m, op, "format_tb", []any{t})
	return strings.Join(lines, ""), err
}
