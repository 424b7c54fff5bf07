package gil

import (
	"fmt"
	"path"
	"runtime"
	"strings"
)

// MisuseError is the value of the panic that answers a programming bug at the boundary: a token or a
// handle used where it is not valid. It is a panic and not an error, as for a nil map: nobody can handle
// it sensibly, net/http recovers it, and it is never undefined behaviour. In a *PanicError, errors.As finds it.
type MisuseError struct {
	Op   string // what was called: "Token.AllowThreads"
	Rule string // the rule that was broken, a sentence
	Site string // file:line of the call, outside gilt
}

// Error names the rule and the call site.
func (e *MisuseError) Error() string {
	return fmt.Sprintf("gilt: %s at %s: %s", e.Op, e.Site, e.Rule)
}

// The rules.
const (
	ruleDead     = "the token's task has ended: a token is valid only inside the function that was given it"
	ruleDetached = "the token is inside AllowThreads: Python may be used again when that function has returned"
	ruleThread   = "the token belongs to another goroutine, or to an outer task of this one while a nested task runs: use the nested task's token, and pass results to other goroutines, never a token or a Bound"
	ruleScope    = "the handle's scope has ended, and its reference with it: keep it with Unbind"
	ruleInterp   = "the object belongs to another interpreter: nothing may be shared between interpreters"
	ruleZero     = "the handle is the zero value, or was released: it refers to no object"
)

// Misuse panics with a *MisuseError. It is for gilt's own packages.
func Misuse(op, rule string) {
	panic(&MisuseError{Op: op, Rule: rule, Site: callSite()})
}

// own are the folders of gilt's own frames. Functions' names would not do: an inlined iterator's is its caller's.
var own = func() map[string]bool {
	_, file, _, _ := runtime.Caller(0)
	root := path.Dir(path.Dir(file))
	return map[string]bool{root: true, root + "/gil": true, root + "/handles": true, root + "/thread": true}
}()

// between says whether a frame is of what lies between a Go function that Python called and the call of Python.
func between(function string) bool {
	return strings.HasPrefix(function, "runtime.") || strings.HasPrefix(function, "gilt/internal/cpython.") || strings.HasPrefix(function, "_cgoexp_")
}

// callSite is the first frame that is not gilt's own.
func callSite() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		f, more := frames.Next()
		if !own[path.Dir(f.File)] && !between(f.Function) || strings.HasSuffix(f.File, "_test.go") || !more {
			return fmt.Sprintf("%s:%d", f.File, f.Line)
		}
	}
}

// MisuseZero panics for a handle that refers to no object. For gilt's own packages.
func MisuseZero(op string) { Misuse(op, ruleZero) }
