package main

import (
	"github.com/spf13/cobra"

	"gilt/benchmarks"
)

func (a *app) benchCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "bench [ARG…]",
		Short:              "Measure Pythons and modes against a naive embedding, on one workload after the other",
		DisableFlagParsing: true, // the harness has flags of its own
		Run: func(_ *cobra.Command, args []string) {
			if !a.needsStdout() {
				return
			}
			a.code = benchmarks.Main(args, a.stdout, a.stderr)
		},
	}
}
