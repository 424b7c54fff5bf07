package vet_test

import (
	"testing"

	"golang.org/x/tools/go/analysis/analysistest"

	"gilt/vet"
)

func TestRules(t *testing.T) {
	for _, rule := range []string{"keep", "goroutine", "nested", "detached", "escape", "wait", "release", "ignore"} {
		t.Run(rule, func(t *testing.T) {
			analysistest.Run(t, analysistest.TestData(), vet.Analyzer, rule)
		})
	}
}

// What makes tokens and handles may do anything with them.
func TestGiltsOwnPackages(t *testing.T) {
	analysistest.Run(t, analysistest.TestData(), vet.Analyzer, "gilt/gil", "gilt/handles", "gilt")
}
