// Package vet finds at build time the misuse of tokens and handles that gilt answers at run time with a panic, a
// *gil.MisuseError, and two habits that cost: a wait that holds the GIL, and handles that nobody gives back.
//
// `gilt vet ./...` runs it, and so do `go vet -vettool=$(which gilt) ./...` and golangci-lint: see gilt/vet/golangci.
// docs/vet.md lists the rules. A comment on the line of a finding, on the line above, or in the function's doc comment makes
// an exception:
//
//	//gilt:vet-ignore this test misuses the token on purpose
package vet

import (
	"go/ast"
	"go/token"
	"go/types"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/inspect"
	"golang.org/x/tools/go/ast/inspector"
)

// Analyzer finds misuse of gilt's tokens and handles.
var Analyzer = &analysis.Analyzer{
	Name:     "gilt",
	Doc:      doc,
	Requires: []*analysis.Analyzer{inspect.Analyzer},
	Run:      run,
}

const doc = `find misuse of gilt's tokens and handles

A token, and a handle that holds one (py.Bound, py.Borrowed), may be used by one goroutine, and only inside the
function that was given the token. The rules:

keep: a token is kept in a package-level variable, a struct that is made without one, a context or a cell
goroutine: a token is used on another goroutine, or sent there
nested: a token is used inside another task
detached: a token is used inside AllowThreads
escape: a token or handle leaves the function in which it is valid
wait: something is waited for with the token held
release: handles are made in a loop and never released

"//gilt:vet-ignore REASON" makes an exception for its line, alone on a line for the next one, in a function's doc
comment for the function.`

// The rules, which the findings name.
const (
	ruleKeep      = "keep"
	ruleGoroutine = "goroutine"
	ruleNested    = "nested"
	ruleDetached  = "detached"
	ruleEscape    = "escape"
	ruleWait      = "wait"
	ruleRelease   = "release"
	ruleIgnore    = "ignore"
)

// checker looks at one package.
type checker struct {
	pass *analysis.Pass
	info *types.Info
	root inspector.Cursor

	tiedTypes   map[types.Type]bool
	literals    map[types.Object]*ast.FuncLit // of variables that are never anything else
	kinds       map[*ast.FuncLit]kind
	uses        map[types.Object][]inspector.Cursor // where variables and functions are named
	params      map[types.Object]bool               // parameters and receivers
	results     map[types.Object]bool               // the named results
	fresh       map[types.Object]bool               // of pointers: what they point to was made where they are declared
	unbuffered  map[types.Object]bool               // of channels
	madeWithout map[*types.TypeName]bool            // structs that are made where no token is held
	receivers   map[types.Object]types.Object       // of methods
	tokenUsers  map[types.Object]bool               // of methods: see usesToken
	escaped     map[*types.Var]bool                 // variables that were reported for what a task assigns to them
	ignored     ignores
	reported    map[token.Pos]bool
}

func run(pass *analysis.Pass) (any, error) {
	if implements(pass.Pkg.Path()) {
		return nil, nil
	}
	c := &checker{
		pass: pass, info: pass.TypesInfo, root: pass.ResultOf[inspect.Analyzer].(*inspector.Inspector).Root(),
		tiedTypes:  map[types.Type]bool{},
		escaped:    map[*types.Var]bool{},
		tokenUsers: map[types.Object]bool{},
		reported:   map[token.Pos]bool{},
	}
	c.ignored = c.readIgnores()
	c.collectVariables()
	c.collectKinds()
	c.collectMakers()
	c.goroutines()
	c.detached()
	c.escapes()
	c.nested()
	c.kept()
	c.waits()
	c.releases()
	return nil, nil
}

// implements says whether a package is one of those that make tokens and handles what they are: they may do anything.
func implements(path string) bool {
	path = plain(path)
	return suffix(path, "gilt/gil") || suffix(path, "gilt/handles") ||
		strings.HasPrefix(path, "gilt/internal/") || strings.Contains(path, "/gilt/internal/")
}

// plain is a package's path without what the go command adds for tests: "p [p.test]".
func plain(path string) string {
	path, _, _ = strings.Cut(path, " ")
	return path
}

func suffix(path, of string) bool { return path == of || strings.HasSuffix(path, "/"+of) }

// report reports a finding, the first one at a place.
func (c *checker) report(at ast.Node, rule, format string, args ...any) {
	if c.reported[at.Pos()] || rule != ruleIgnore && c.ignored.at(c.pass.Fset.Position(at.Pos())) {
		return
	}
	c.reported[at.Pos()] = true
	c.pass.Report(analysis.Diagnostic{Pos: at.Pos(), End: at.End(), Category: rule, Message: sentence(rule, format, args)})
}
