package main

import (
	"io"

	"github.com/spf13/cobra"
)

// benchmark is package benchmarks' Main.
var benchmark func(args []string, stdout, stderr io.Writer) int

func (a *app) benchCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "bench [ARG…]",
		Short:              "Compare Pythons, modes and schedulers on one workload",
		DisableFlagParsing: true,
		Run: func(_ *cobra.Command, args []string) {
			if benchmark == nil {
				a.fail("bench is not part of this build: build gilt from a source tree that has benchmarks/")
				a.code = exitFailed
				return
			}
			a.code = benchmark(args, a.stdout, a.stderr)
		},
	}
}
