package handles

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"gilt/gil"
	"gilt/internal/cpython"
	"gilt/thread"
)

// GoFunc is a Go function for Python: see NewFunction.
type GoFunc struct {
	// Name is the function's name in Python: an identifier.
	Name string
	// Doc is its doc string.
	Doc string
	// Signature gives the parameters their names, defaults and kinds, as a def statement does: "(a, b=1, *rest,
	// scale: float = 1.0, **more)". Python itself binds the arguments then, by position or keyword, and its errors
	// and inspect.signature say what it says here. Each parameter is one of the Go function's: *rest comes as a
	// slice, **more as a map with string keys. Without one, arguments go by position.
	Signature string
	// Native gives the GIL and the task's grant back while Func runs, on a goroutine of its own; arguments and results
	// are converted with them. Func takes no *Token, and no handle but a Py. Its caller's thread counts against Config.MaxThreads
	// meanwhile. What Func waits for in Python, such as Runtime.Do, it does with the context.Context that it takes: then
	// there is always room for it.
	Native bool
	// Async makes it an async function: Python awaits it, on any event loop of asyncio's, and Func runs on a goroutine of
	// its own meanwhile, as that of a Native function does. The context that Func may take is cancelled when the task that
	// awaits is, when its event loop is gone, and when the runtime shuts down: its cause is ErrClosed then, unless
	// it was the runtime's own loop, whose coroutines Shutdown cancels.
	Async bool
	// Func is a Go func. Its arguments are converted as As does, a Bound or a Py is the object itself; a first parameter of
	// type *Token is not Python's, but gives the call's token; before it, a context.Context gives that of the task that
	// runs the Python code, with its class and deadline. It returns nothing, a value, an error, or both; the
	// value is converted as From does, and an error is raised (see Raise).
	Func any
}

// callee is a GoFunc as a call finds it.
type callee struct {
	host    *gil.Host
	name    string
	plan    string
	fast    func(cpython.CallFrame) bool // for the common types, without a token and without reflection
	fn      reflect.Value
	token   bool // the first parameter is the call's token
	native  bool
	async   bool
	context bool // the first parameter is the running task's context
	asks    bool // a call may ask for its task
	uses    bool // a call has a token, or an object, with which it may use Python
	typed   func(*Token, cpython.CallFrame) error
	dropped func()
}

// NewFunction makes a Python callable of a Go function. It may be called as long as Python runs: by tasks, and by
// threads that Python started.
//
// A panic of the Go function passes through Python as an exception that `except Exception` does not catch, and is a
// panic again where it arrives in Go: with a *gil.PanicError, which has the value, the stack and the Python frames
// (gil.Recovered gives the value). runtime.Goexit cannot be undone half way in Python: it
// ends the process with a message, except in a Native or Async function, where it is a RuntimeError.
func NewFunction(tok *Token, f GoFunc) (Bound, error) { return functionWith(tok, f, shortcuts{}) }

// shortcuts of gilt's own functions.
type shortcuts struct {
	fast    func(cpython.CallFrame) bool          // makes the call, or says that it did not; only beside typed
	typed   func(*Token, cpython.CallFrame) error // makes the call without reflection; Func then tells the arguments alone
	dropped func()                                // nothing of Python's refers to the function any more
}

func functionWith(tok *Token, f GoFunc, s shortcuts) (Bound, error) {
	c, err := newCallee(tok.Host(), f)
	if err != nil {
		return Bound{}, fmt.Errorf("gilt: Go function %q: %w", f.Name, err)
	}
	c.typed, c.dropped = s.typed, s.dropped
	if s.typed != nil {
		c.fast = s.fast
	}
	if c.asks = c.context || c.token || c.native || s.fast != nil; c.asks { // of gilt's own, the iterators wait
		c.host.WantTasks(tok)
	}
	doc := fmt.Sprintf("%s(%s)\n--\n\n", f.Name, positional(len(c.plan))) // for inspect.signature
	b, err := result(tok, "Function", tok.Entry("Function").MakeFunction(addFunction(c), gil.GoFunction(c.fn.Pointer()), c.uses, f.Name, c.plan, doc))
	if err == nil && f.Async {
		b, err = awaited(tok, b)
	}
	if err != nil || f.Signature == "" && f.Doc == "" && !f.Async {
		return b, err
	}
	if f.Signature == "" { // CPython gives no doc string of such a built-in function's
		f.Signature = "(" + positional(len(c.plan)) + ")"
	}
	return withSignature(tok, f, b, len(c.plan))
}

// positional are parameters without names to call them by: "arg0, arg1, /".
func positional(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "arg%d, ", i)
	}
	if n > 0 {
		b.WriteByte('/')
	}
	return b.String()
}

// parameters gives the names of a code object's parameters in the order of its signature.
const parameters = `lambda c, n=lambda c: c.co_argcount, k=lambda c: c.co_kwonlyargcount: [
	*c.co_varnames[:n(c)],
	*c.co_varnames[n(c) + k(c):][:c.co_flags >> 2 & 1],
	*c.co_varnames[n(c):][:k(c)],
	*c.co_varnames[n(c) + k(c) + (c.co_flags >> 2 & 1):][:c.co_flags >> 3 & 1]]`

// withSignature puts a Python function before b, which binds the arguments as CPython does.
func withSignature(tok *Token, f GoFunc, b Bound, args int) (Bound, error) {
	ns, err := NewDict(tok, map[string]any{"__name__": "gilt"})
	if err != nil {
		return Bound{}, err
	}
	file, def, call := "<Go function "+f.Name+">", "def", ""
	if f.Async {
		def, call = "async def", "await "
	}
	define := func(body string) error {
		return RunFile(tok, fmt.Sprintf("%s %s%s: %s\n", def, f.Name, f.Signature, body), file, ns)
	}
	if err := define("pass"); err != nil { // so that Python's own parser finds the names
		return Bound{}, fmt.Errorf("gilt: Go function %q: signature %q: %w", f.Name, f.Signature, err)
	}
	names, err := EvalAs[[]string](tok, "("+parameters+")("+f.Name+".__code__)", ns)
	if err != nil {
		return Bound{}, err
	}
	if len(names) != args {
		return Bound{}, fmt.Errorf("gilt: Go function %q: its signature %q has %d parameters, and Func takes %d", f.Name, f.Signature, len(names), args)
	}
	callee := "__gilt__" // what no parameter hides
	for callee == f.Name || slices.Contains(names, callee) {
		callee += "_"
	}
	if err := ns.SetItem(callee, b); err != nil {
		return Bound{}, err
	}
	if err := define("return " + call + callee + "(" + strings.Join(names, ", ") + ")"); err != nil {
		return Bound{}, err
	}
	fn, err := ns.Item(f.Name)
	if err != nil {
		return Bound{}, err
	}
	return fn, fn.SetAttr("__doc__", f.Doc)
}

var (
	contextType = reflect.TypeFor[context.Context]()
	tokenType   = reflect.TypeFor[*Token]()
	errorType   = reflect.TypeFor[error]()
)

func newCallee(h *gil.Host, f GoFunc) (*callee, error) {
	t := reflect.TypeOf(f.Func)
	if t == nil || t.Kind() != reflect.Func || reflect.ValueOf(f.Func).IsNil() {
		return nil, fmt.Errorf("Func is %T, which is no function", f.Func)
	}
	c := &callee{host: h, name: f.Name, fn: reflect.ValueOf(f.Func), native: f.Native, async: f.Async, fast: fastCall(f.Func)}
	apart := f.Native || f.Async
	if apart {
		c.fast = nil
	}
	for i := range t.NumIn() {
		in := t.In(i)
		switch {
		case in == contextType && i == 0:
			c.context = true
			continue
		case in == tokenType && (i == 0 || i == 1 && c.context) && !apart:
			c.token, c.uses = true, true
			continue
		case in == contextType:
			return nil, fmt.Errorf("parameter %d is a context.Context: it is the first", i+1)
		case in == tokenType:
			return nil, fmt.Errorf("parameter %d is a %s: a *Token is the first parameter, and of no Native or Async function", i+1, in)
		case isObject(in) && apart:
			return nil, fmt.Errorf("parameter %d is a %s, and a Native or Async function has no token to use it: take a py.Py, or a Go type", i+1, in)
		case in == borrowedType:
			return nil, fmt.Errorf("parameter %d is a %s, which only Py.Borrow gives: take a py.Bound", i+1, in)
		case in != pyType && !isObject(in):
			if err := readable(in, 0); err != nil {
				return nil, fmt.Errorf("parameter %d: %w", i+1, err)
			}
		}
		c.uses = c.uses || isObject(in)
		c.plan += letter(in)
	}
	if len(c.plan) > maxGoArgs {
		return nil, fmt.Errorf("it has %d parameters, and %d are the most", len(c.plan), maxGoArgs)
	}
	outs := t.NumOut()
	if outs > 2 || outs == 2 && t.Out(1) != errorType {
		return nil, fmt.Errorf("it returns %d values: return nothing, a value, an error, or a value and an error", outs)
	}
	if outs > 0 && isObject(t.Out(0)) && apart {
		return nil, fmt.Errorf("it returns a %s, and a Native or Async function has no token to make one: return a py.Py, or a Go type", t.Out(0))
	}
	return c, nil
}

const maxGoArgs = 16 // as gilt.h has it

// letter says how an argument travels: see gilt.h.
func letter(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "i"
	case reflect.Float64, reflect.Float32:
		return "d"
	case reflect.Bool:
		return "b"
	}
	if isObject(t) || t == pyType {
		return "O"
	}
	return "w"
}

// isObject says whether an argument of that type is the object itself.
func isObject(t reflect.Type) bool { return t == boundType || isOwn(t) }

// fastCall is the call of a function of a common type; nil for any other.
func fastCall(f any) func(cpython.CallFrame) bool {
	switch f := f.(type) {
	case func():
		return func(cpython.CallFrame) bool { f(); return true }
	case func(int) int:
		return func(c cpython.CallFrame) bool { c.Return(cpython.KindInt64, int64(f(int(c.Int(0))))); return true }
	case func(int64) int64:
		return func(c cpython.CallFrame) bool { c.Return(cpython.KindInt64, f(c.Int(0))); return true }
	case func(int, int) int:
		return func(c cpython.CallFrame) bool {
			c.Return(cpython.KindInt64, int64(f(int(c.Int(0)), int(c.Int(1)))))
			return true
		}
	case func(int64, int64) int64:
		return func(c cpython.CallFrame) bool { c.Return(cpython.KindInt64, f(c.Int(0), c.Int(1))); return true }
	case func(float64) float64:
		return func(c cpython.CallFrame) bool { returnFloat(c, f(floatArg(c, 0))); return true }
	case func(float64, float64) float64:
		return func(c cpython.CallFrame) bool { returnFloat(c, f(floatArg(c, 0), floatArg(c, 1))); return true }
	}
	return nil
}

func floatArg(c cpython.CallFrame, i int) float64 { return math.Float64frombits(uint64(c.Int(i))) }

func returnFloat(c cpython.CallFrame, v float64) {
	c.Return(cpython.KindFloat64, int64(math.Float64bits(v)))
}

// called runs the Go function that Python calls. Nothing leaves it but its return: a panic or Goexit that passed
// through Python's frames would leave them half done (RULES 9).
func called(frame cpython.CallFrame) {
	c := function(frame.ID())
	returned := false
	defer func() {
		if returned {
			return
		}
		p := recover()
		if p == nil {
			exited(c)
		}
		defer func() {
			if lost := recover(); lost != nil { // Python cannot be used any more
				frame.RaiseText(fmt.Sprintf("Go function %s panicked: %v", c.name, thread.Recovered(p)))
			}
		}()
		c.raise(frame, &panicked{thread.Caught(p)})
	}()
	if c.fast == nil || !c.fast(frame) {
		c.slow(frame)
	}
	returned = true
}

func (c *callee) slow(frame cpython.CallFrame) {
	c.host.Callback(c.host.Interpreter(frame.Interpreter()), frame.Entry(), func(tok *Token) {
		if c.typed != nil {
			if err := c.typed(tok, frame); err != nil {
				raiseIn(tok, frame, err)
			}
			return
		}
		args, err := c.arguments(tok, frame)
		if err != nil {
			raiseIn(tok, frame, err)
			return
		}
		var out []reflect.Value
		switch {
		case c.async:
			if err := c.promise(tok, frame, args); err != nil {
				raiseIn(tok, frame, err)
			}
			return
		case c.native:
			out, err = c.detached(tok, args)
		default:
			out = c.call(args)
		}
		if err == nil {
			err = c.give(tok, frame, out)
		}
		if err != nil {
			raiseIn(tok, frame, err)
		}
	})
}

// raise is raiseIn for a call that has no token.
func (c *callee) raise(frame cpython.CallFrame, err error) {
	c.host.Callback(c.host.Interpreter(frame.Interpreter()), frame.Entry(), func(tok *Token) { raiseIn(tok, frame, err) })
}

func (c *callee) call(args []reflect.Value) []reflect.Value {
	if c.fn.Type().IsVariadic() {
		return c.fn.CallSlice(args)
	}
	return c.fn.Call(args)
}

// detached runs a Native function without the GIL.
func (c *callee) detached(tok *Token, args []reflect.Value) (out []reflect.Value, err error) {
	tok.AwaitNative(c.name, func() {
		done := make(chan struct{})
		go c.apart(args, func(o []reflect.Value, e error) {
			out, err = o, e
			close(done)
		})
		<-done
	})
	return out, err
}

// apart calls the Go function on a goroutine of its own, and gives end what became of it: a Goexit is an error, and so is
// a panic, until it is back.
func (c *callee) apart(args []reflect.Value, end func(out []reflect.Value, err error)) {
	var out []reflect.Value
	err := error(conversionError(RuntimeError, "Go function %s called runtime.Goexit", c.name))
	defer func() {
		if p := recover(); p != nil {
			err = &panicked{thread.Caught(p)}
		}
		end(out, err)
	}()
	out = c.call(args)
	err = nil
}

// arguments are the call's, in the types of the Go function's parameters.
func (c *callee) arguments(tok *Token, frame cpython.CallFrame) ([]reflect.Value, error) {
	t := c.fn.Type()
	args := make([]reflect.Value, 0, t.NumIn())
	if c.context {
		ctx := tok.Context()
		if c.native {
			ctx = tok.Inside(ctx)
		}
		args = append(args, reflect.ValueOf(ctx))
	}
	if c.token {
		args = append(args, reflect.ValueOf(tok))
	}
	wire := frame.Wire()
	for i, kind := range c.plan {
		in := t.In(len(args))
		v := reflect.New(in).Elem()
		var err error
		switch kind {
		case 'i':
			err = setInt(v, frame.Int(i))
		case 'd':
			err = setFloat(v, floatArg(frame, i))
		case 'b':
			v.SetBool(frame.Int(i) != 0)
		case 'O':
			err = setObject(v, bound(tok, cpython.Object(frame.Int(i))))
		default:
			r := &cpython.Reader{Data: wire[frame.Int(i):]}
			if err = readInto(r, v); err == nil {
				err = r.Err
			}
		}
		if err != nil {
			return nil, argumentError(err, "%s() argument %d", c.name, i+1)
		}
		args = append(args, v)
	}
	return args, nil
}

func setObject(v reflect.Value, b Bound) error {
	switch v.Type() {
	case boundType:
		v.Set(reflect.ValueOf(b))
		return nil
	case pyType:
		v.Set(reflect.ValueOf(b.Unbind()))
		return nil
	}
	return cast(b, "Function", v.Interface().(classed).class(), v)
}

// give converts what the Go function returned.
func (c *callee) give(tok *Token, frame cpython.CallFrame, out []reflect.Value) error {
	if n := len(out); n > 0 && c.fn.Type().Out(n-1) == errorType {
		if err := out[n-1]; !err.IsNil() {
			return err.Interface().(error)
		}
		out = out[:n-1]
	}
	if len(out) == 0 {
		return nil
	}
	v := out[0]
	switch {
	case v.CanInt():
		frame.Return(cpython.KindInt64, v.Int())
	case v.CanFloat():
		returnFloat(frame, v.Float())
	case v.Type() == pyType:
		if p := v.Interface().(Py); !p.IsZero() {
			frame.ReturnObject(p.Bind(tok).obj) // the call's scope holds it: Func's own may be gone
		}
	case isObject(v.Type()):
		b := v.Interface().(Object).handle()
		if b.IsZero() {
			return nil
		}
		b.entryFor(tok, "the result of "+c.name)
		b, err := b.kept()
		if err != nil {
			return err
		}
		frame.ReturnObject(b.obj)
	default:
		w, err := encodeAny(tok, nil, v.Interface(), 0)
		if err != nil {
			return argumentError(err, "the result of %s()", c.name)
		}
		frame.ReturnWire(w)
	}
	return nil
}
