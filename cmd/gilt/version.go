package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print gilt's version",
		Args:  noArgs,
		Run: func(*cobra.Command, []string) {
			if !a.needsStdout() {
				return
			}
			v := struct {
				Gilt     string `json:"gilt"`
				Revision string `json:"revision,omitempty"`
				Go       string `json:"go"`
				Platform string `json:"platform"`
			}{"(devel)", "", runtime.Version(), platform()}
			if info, ok := debug.ReadBuildInfo(); ok {
				if info.Main.Version != "" {
					v.Gilt = info.Main.Version
				}
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						v.Revision = s.Value
					}
				}
			}
			if asJSON {
				a.printJSON(v)
				return
			}
			fmt.Fprintf(a.stdout, "gilt %s %s %s\n", v.Gilt, v.Go, v.Platform)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func platform() string { return runtime.GOOS + "/" + runtime.GOARCH }

func (a *app) printJSON(v any) {
	e := json.NewEncoder(a.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // a.stdout keeps the error
}
