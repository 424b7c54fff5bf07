package main

import (
	_ "embed"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

//go:embed licenses.txt
var licensesText string

// linked is one part of this program.
type linked struct {
	Of      string `json:"of"`      // "Go modules" or "the bundled Python"
	Name    string `json:"name"`    // of the module or library
	Version string `json:"version"` // "" where the bundled Python does not say
	License string `json:"license"` // an SPDX expression
	Where   string `json:"where"`   // which part uses it
}

func licenses() (list []linked) {
	for line := range strings.Lines(licensesText) {
		if f := strings.Split(strings.TrimSuffix(line, "\n"), "\t"); len(f) == 5 {
			list = append(list, linked{f[0], f[1], f[2], f[3], f[4]})
		}
	}
	return list
}

func (a *app) licensesCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "licenses",
		Short: "List what is linked into this program, and under which licences",
		Long: `List the Go modules that are linked into this program, and the parts of the bundled Python, with the SPDX expressions of
their licences. The texts are in the modules, and in LICENSE.txt of the bundled Python's standard library. Go's own library
is BSD-3-Clause.`,
		Args: noArgs,
		Run: func(*cobra.Command, []string) {
			if !a.needsStdout() {
				return
			}
			if asJSON {
				a.printJSON(licenses())
				return
			}
			w, of := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0), ""
			for _, l := range licenses() {
				if l.Of != of {
					of = l.Of
					fmt.Fprintf(w, "%s:\n", of)
				}
				fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", l.Name, l.Version, l.License, l.Where)
			}
			_ = w.Flush() // a.stdout keeps the error
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
