package vet_test

import (
	"testing"

	"golang.org/x/tools/go/analysis/analysistest"

	"gilt/vet"
)

// Each package under testdata is of one rule, with comments that say what is found; in package right that is nothing. What makes
// tokens and handles may do anything with them.
func TestRules(t *testing.T) {
	analysistest.Run(t, analysistest.TestData(), vet.Analyzer,
		"keep", "goroutine", "nested", "detached", "escape", "wait", "release", "ignore", "right", "gilt/gil", "gilt/handles", "gilt")
}
