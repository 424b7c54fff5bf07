package vet

import (
	"go/ast"
	"go/token"
	"strings"
)

const directive = "//gilt:vet-ignore"

// ignores are the lines for which a comment makes an exception.
type ignores map[string]map[int]bool

func (i ignores) at(p token.Position) bool { return i[p.Filename][p.Line] }

func (i ignores) add(from, to token.Position) {
	if i[from.Filename] == nil {
		i[from.Filename] = map[int]bool{}
	}
	for line := from.Line; line <= to.Line; line++ {
		i[from.Filename][line] = true
	}
}

// readIgnores reads the comments of the form //gilt:vet-ignore REASON: behind code they are for the line, alone for the next
// line, in a function's doc comment for the function. One without a reason counts for nothing.
func (c *checker) readIgnores() ignores {
	all := ignores{}
	for _, file := range c.pass.Files {
		var code map[int]bool
		of := map[*ast.CommentGroup]ast.Node{}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Doc != nil {
				of[f.Doc] = f
			}
		}
		for _, group := range file.Comments {
			for _, comment := range group.List {
				if !c.isIgnore(comment) {
					continue
				}
				at := c.pass.Fset.Position(comment.Pos())
				if f := of[group]; f != nil {
					all.add(at, c.pass.Fset.Position(f.End()))
					continue
				}
				if code == nil {
					code = c.linesOf(file)
				}
				if !code[at.Line] {
					at.Line++
				}
				all.add(at, at)
			}
		}
	}
	return all
}

func (c *checker) isIgnore(comment *ast.Comment) bool {
	reason, ok := strings.CutPrefix(comment.Text, directive)
	if !ok || reason != "" && !strings.HasPrefix(reason, " ") {
		return false
	}
	if strings.TrimSpace(reason) == "" {
		c.report(comment, ruleIgnore, "%s says no reason and makes no exception: write why this is right, behind it on the same line", directive)
		return false
	}
	return true
}

// linesOf are the lines of a file on which a piece of code begins or ends.
func (c *checker) linesOf(file *ast.File) map[int]bool {
	lines := map[int]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n.(type) {
		case nil, *ast.CommentGroup:
			return false
		case *ast.File:
			return true
		}
		lines[c.pass.Fset.Position(n.Pos()).Line] = true
		lines[c.pass.Fset.Position(n.End()-1).Line] = true
		return true
	})
	return lines
}
