package golangci_test

import (
	"testing"

	"github.com/golangci/plugin-module-register/register"

	"gilt/vet"
	"gilt/vet/golangci"
)

func TestPlugin(t *testing.T) {
	make, err := register.GetPlugin(golangci.Name)
	if err != nil {
		t.Fatal(err)
	}
	p, err := make(nil)
	if err != nil {
		t.Fatal(err)
	}
	all, err := p.BuildAnalyzers()
	if err != nil || len(all) != 1 || all[0] != vet.Analyzer || p.GetLoadMode() != register.LoadModeTypesInfo {
		t.Error(all, err, p.GetLoadMode())
	}
	if _, err := make(map[string]any{"rules": "all"}); err == nil {
		t.Error("a setting that does not exist is taken")
	}
}
