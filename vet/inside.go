package vet

import (
	"go/ast"
	"go/types"
)

// detached finds uses of a token inside AllowThreads.
func (c *checker) detached() {
	c.insideOf(allowed, ruleDetached, "%s is used inside AllowThreads, where Python may not be used: read what is needed before, or begin a task there (Do)")
}

// nested finds uses of an outer task's token inside another task.
func (c *checker) nested() {
	c.insideOf(task, ruleNested, "%s belongs to an outer task, and this is another one: use the token that this function is given, and pass objects as handles of Unbind")
	c.insideOf(called, ruleNested, "%s belongs to the task around, and Python calls this function with a token of its own: take a *Token as the first parameter, and pass objects as handles of Unbind")
}

func (c *checker) insideOf(k kind, rule, format string) {
	for cur := range c.root.Preorder((*ast.FuncLit)(nil)) {
		lit := cur.Node().(*ast.FuncLit)
		if c.kinds[lit] != k {
			continue
		}
		for _, id := range c.captured(lit) {
			if v, ok := c.info.Uses[id].(*types.Var); ok && k != allowed && c.escaped[v] {
				continue // that it is used in tasks is the same mistake
			}
			c.report(id, rule, format, c.what(id.Name, c.info.TypeOf(id)))
		}
	}
}
