// Package golangci makes package vet a linter of golangci-lint, as a module plugin: see docs/vet.md.
package golangci

import (
	"github.com/golangci/plugin-module-register/register"
	"golang.org/x/tools/go/analysis"

	"gilt/vet"
)

// Name is the linter's name in .golangci.yml and in nolint comments.
const Name = "gilt"

func init() { register.Plugin(Name, newPlugin) }

type plugin struct{}

// newPlugin is the register's: the linter has no settings.
func newPlugin(settings any) (register.LinterPlugin, error) {
	_, err := register.DecodeSettings[struct{}](settings)
	return plugin{}, err
}

func (plugin) BuildAnalyzers() ([]*analysis.Analyzer, error) {
	return []*analysis.Analyzer{vet.Analyzer}, nil
}

func (plugin) GetLoadMode() string { return register.LoadModeTypesInfo }
