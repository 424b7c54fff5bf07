package vet

import (
	"go/token"
	"strings"
)

// ignores are the lines for which a comment makes an exception.
type ignores map[string]map[int]bool

const directive = "//gilt:vet-ignore"

// readIgnores reads the comments of the form //gilt:vet-ignore REASON. One without a reason counts for nothing.
func (c *checker) readIgnores() ignores {
	all := ignores{}
	for _, file := range c.pass.Files {
		for _, group := range file.Comments {
			for _, comment := range group.List {
				reason, ok := strings.CutPrefix(comment.Text, directive)
				if !ok || reason != "" && !strings.HasPrefix(reason, " ") {
					continue
				}
				if reason, _, _ = strings.Cut(reason, "//"); strings.TrimSpace(reason) == "" {
					c.report(comment, ruleIgnore, "%s says no reason and makes no exception: write why this is right, behind it on the same line", directive)
					continue
				}
				at := c.pass.Fset.Position(comment.Pos())
				if all[at.Filename] == nil {
					all[at.Filename] = map[int]bool{}
				}
				all[at.Filename][at.Line] = true
			}
		}
	}
	return all
}

func (i ignores) at(p token.Position) bool { return i[p.Filename][p.Line] || i[p.Filename][p.Line-1] }
