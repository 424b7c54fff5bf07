package handles

import (
	"runtime"

	"gilt/internal/cpython"
)

// Import imports a module by its dotted name and gives the module of that name ("os.path" gives
// posixpath).
func Import(tok *Token, name string) (Bound, error) {
	const op = "Import"
	return result(tok, op, tok.Entry(op).Import(name))
}

// Eval evaluates an expression. Without a namespace it sees the built-ins only; otherwise the first is
// globals, a dict, and the second, when given, locals.
func Eval(tok *Token, expr string, namespace ...Object) (Bound, error) {
	const op = "Eval"
	g, l := namespaces(tok, op, namespace)
	r := tok.Entry(op).Exec(expr, "<string>", true, g, l, cpython.KindObject)
	runtime.KeepAlive(namespace)
	return result(tok, op, r)
}

// EvalAs evaluates an expression and converts the result in the same crossing.
func EvalAs[T any](tok *Token, expr string, namespace ...Object) (T, error) {
	const op = "EvalAs"
	g, l := namespaces(tok, op, namespace)
	e := tok.Entry(op)
	v, err := decoded[T](tok, op, func(k cpython.Kind) cpython.Result { return e.Exec(expr, "<string>", true, g, l, k) })
	runtime.KeepAlive(namespace)
	return v, err
}

// Run runs statements. Without a namespace they run in one of their own, which is dropped: nothing leaks
// from one Run into another. Otherwise the first is globals, a dict, and the second, when given, locals.
func Run(tok *Token, source string, namespace ...Object) error {
	return RunFile(tok, source, "<string>", namespace...)
}

// RunFile is Run for source text that came from a file: tracebacks name it.
func RunFile(tok *Token, source, file string, namespace ...Object) error {
	const op = "Run"
	g, l := namespaces(tok, op, namespace)
	r := tok.Entry(op).Exec(source, file, false, g, l, cpython.KindNone)
	runtime.KeepAlive(namespace)
	return failure(tok, op, r)
}

func namespaces(tok *Token, op string, namespace []Object) (globals, locals cpython.Object) {
	if len(namespace) > 2 {
		panic("gilt: " + op + ": at most two namespaces: globals and locals")
	}
	if len(namespace) > 0 {
		g := handleOf(op, namespace[0])
		g.entryFor(tok, op)
		globals = g.obj
	}
	if len(namespace) > 1 {
		l := handleOf(op, namespace[1])
		l.entryFor(tok, op)
		locals = l.obj
	}
	return globals, locals
}
