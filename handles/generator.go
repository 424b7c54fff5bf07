package handles

import "gilt/internal/cpython"

// Generator is what a generator function gives. Iter iterates over what it yields.
type Generator struct{ Bound }

func (Generator) class() cpython.Class { return cpython.ClassGenerator }

// Next runs the generator until it yields v. When it returns instead, ok is false and v is what it returned.
func (g Generator) Next() (v Bound, ok bool, err error) {
	return g.resume("Generator.Next", "send", nil) // which is __next__ that tells what was returned
}

// Send is g.send(value): the yield at which the generator waits has that value. See Next.
func (g Generator) Send(value any) (v Bound, ok bool, err error) {
	return g.resume("Generator.Send", "send", value)
}

// Throw is g.throw(exception): the yield at which the generator waits raises an exception, which is made of e as when a Go
// function returns it. See Next. If the generator lets it pass, that is the error.
func (g Generator) Throw(e error) (v Bound, ok bool, err error) {
	const op = "Generator.Throw"
	g.entry(op)
	exc, err := exception(g.tok, e)
	if err != nil {
		return Bound{}, false, err
	}
	return g.resume(op, "throw", exc)
}

// resume calls one of the methods that go on until the next yield.
func (g Generator) resume(op, method string, value any) (v Bound, ok bool, err error) {
	v, err = g.callBound(op, method, []any{value})
	end, ended := raisedAs(err, StopIteration)
	if !ended {
		return v, err == nil, err
	}
	v, err = end.Bind(g.tok).Attr("value")
	return v, false, err
}

// Close is g.close(): the yield at which the generator waits raises GeneratorExit. RuntimeError if it yields again, and what
// else it raises.
func (g Generator) Close() error { return g.perform("Generator.Close", "close") }

// GeneratorState is what a generator does.
type GeneratorState string

// The states of a generator, as inspect.getgeneratorstate names them.
const (
	GeneratorCreated   GeneratorState = "GEN_CREATED"   // it waits to begin
	GeneratorRunning   GeneratorState = "GEN_RUNNING"   // its code runs
	GeneratorSuspended GeneratorState = "GEN_SUSPENDED" // it waits at a yield
	GeneratorClosed    GeneratorState = "GEN_CLOSED"    // it has ended
)

// State is inspect.getgeneratorstate(g).
func (g Generator) State() (GeneratorState, error) {
	const op = "Generator.State"
	g.entry(op)
	inspect, err := Import(g.tok, "inspect")
	if err != nil {
		return "", err
	}
	return callAs[GeneratorState](inspect, op, "getgeneratorstate", []any{g.Bound})
}
