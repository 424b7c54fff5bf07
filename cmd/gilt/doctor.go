package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gilt"
	py "gilt/handles"
	"gilt/internal/discover"
)

// report is what `gilt doctor` finds; --json prints it.
type report struct {
	OK           bool          `json:"ok"`
	Problems     []problem     `json:"problems"`
	Python       *pythonReport `json:"python"` // null when none can be opened
	Alternatives []alternative `json:"alternatives"`
	DotVenv      string        `json:"dot_venv,omitempty"` // why the working directory's .venv is not taken
	Bundled      bool          `json:"bundled_linked_in"`
	Platform     string        `json:"platform"`
	Go           string        `json:"go"`
	CPUs         int           `json:"cpus"`
}

type problem struct {
	What string `json:"what"`
	Fix  string `json:"fix"`
}

type pythonReport struct {
	Version        string          `json:"version"`
	Library        string          `json:"library"`
	Executable     string          `json:"executable"`
	Prefix         string          `json:"prefix"`
	VirtualEnv     string          `json:"virtual_env"`
	Source         string          `json:"source"`
	Why            string          `json:"why"` // what Source means
	Mode           gilt.Mode       `json:"mode"`
	Modes          map[string]bool `json:"modes"` // what this Python can do
	Interpreters   int             `json:"interpreters"`
	Workers        int             `json:"workers"`
	MaxThreads     int             `json:"max_threads"`
	SwitchInterval string          `json:"switch_interval"`
	StartedIn      string          `json:"started_in"`
	Verified       bool            `json:"verified"` // every file has the hash that was taken when gilt was built
}

type alternative struct {
	Choice  string `json:"choice"` // what to give to --python or GILT_PYTHON
	Version string `json:"version,omitempty"`
	Library string `json:"library,omitempty"`
	Problem string `json:"problem,omitempty"` // why it cannot be used
}

func (a *app) doctorCommand() *cobra.Command {
	var asJSON, verify bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say which Python is used, what it can do, and what is missing",
		Long: `Open Python as every program of gilt's does, and say which one it is, how it was found, what it can do,
what is missing with the command that mends it, and which others were seen. With --verify it reads every file of the
bundled Python first, compares it with the hash that was taken when gilt was built, and writes again what is wrong.

Exit codes:
  0    Python can be opened (something optional may be missing)
  1    it cannot; the report says why
  2    the command line is wrong`,
		Args: noArgs,
		Run: func(*cobra.Command, []string) {
			if !a.needsStdout() {
				return
			}
			r := a.diagnose(context.Background(), verify)
			if asJSON {
				a.printJSON(r)
			} else {
				r.print(a)
			}
			if !r.OK {
				a.code = exitFailed
			}
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&verify, "verify", false, "compare every file of the bundled Python with its hash")
	return cmd
}

func (a *app) diagnose(ctx context.Context, verify bool) *report {
	r := &report{
		Bundled: discover.HaveBundled(), Platform: platform(), Go: runtime.Version(), CPUs: runtime.NumCPU(),
		Problems: []problem{}, DotVenv: notTaken(),
	}
	start := time.Now()
	rt, err := a.open(ctx, gilt.Config{Verify: verify})
	if err != nil {
		r.Problems = append(r.Problems, problemOf(err))
	} else {
		r.OK, r.Python = true, describe(rt.Info(), time.Since(start))
		r.Python.Verified = verify
		r.Problems = append(r.Problems, missing(ctx, rt)...)
		if err := rt.Shutdown(ctx); err != nil {
			r.Problems = append(r.Problems, problemOf(err))
		}
	}
	r.Alternatives = alternatives(ctx, r.Python)
	return r
}

// problemOf takes what an error says apart.
func problemOf(err error) problem {
	e, ok := errors.AsType[*discover.Error](err)
	if !ok {
		return problem{What: message(err), Fix: "see the alternatives, and choose one with --python or GILT_PYTHON"}
	}
	bare := *e
	bare.Fix = ""
	return problem{What: message(&bare), Fix: e.Fix}
}

func describe(i gilt.Info, took time.Duration) *pythonReport {
	free := i.Mode == gilt.FreeThreaded
	if i.Source == discover.SourceConfig {
		i.Source = "--python"
	}
	return &pythonReport{
		Version: i.Version, Library: i.Library, Executable: i.Executable, Prefix: i.Prefix, VirtualEnv: i.VirtualEnv,
		Source: i.Source, Why: reasons[i.Source], Mode: i.Mode, Interpreters: i.Interpreters, Workers: i.Workers, MaxThreads: i.MaxThreads,
		SwitchInterval: i.SwitchInterval, StartedIn: took.Round(time.Millisecond).String(),
		Modes: map[string]bool{string(gilt.GIL): !free, string(gilt.OwnGIL): i.OwnGIL && !free, string(gilt.FreeThreaded): free},
	}
}

// reasons say for each way in which a Python is found why it was taken.
var reasons = map[string]string{
	"--python":                "named on the command line",
	discover.SourceEnv:        "the environment variable names it, and --python is not given",
	discover.SourceVirtualEnv: "this virtual environment is active, and neither --python nor GILT_PYTHON is given",
	discover.SourceBundled:    "neither --python, GILT_PYTHON nor an active virtual environment (VIRTUAL_ENV) names another",
	discover.SourcePath:       "nothing names a Python, and none is linked in",
}

// notTaken says that a virtual environment lies in the working directory, which is none of the alternatives: to look at these,
// doctor runs them.
func notTaken() string {
	if _, err := os.Stat(filepath.Join(".venv", "pyvenv.cfg")); err != nil || os.Getenv("VIRTUAL_ENV") != "" {
		return ""
	}
	return "lies in this directory and is not taken unasked: give --python .venv, or activate it"
}

// missing looks for parts of the standard library that a Python built from source lacks when their C
// libraries were not there.
func missing(ctx context.Context, rt *gilt.Runtime) []problem {
	var gone []string
	err := rt.Do(ctx, func(tok *gilt.Token) error {
		for _, name := range []string{"zlib", "ssl", "sqlite3", "ctypes", "bz2", "lzma", "decimal", "hashlib", "multiprocessing.synchronize"} {
			if _, err := py.Import(tok, name); err != nil {
				gone = append(gone, name)
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return []problem{problemOf(err)}
	case len(gone) > 0:
		return []problem{{
			What: "this Python lacks modules of the standard library: " + strings.Join(gone, ", "),
			Fix:  "install their C libraries (apt-get install zlib1g-dev libssl-dev libsqlite3-dev libffi-dev libbz2-dev liblzma-dev) and build it again, or use GILT_PYTHON=bundled",
		}}
	}
	return nil
}

// alternatives describes the other Pythons on this machine: the bundled one, those on PATH, an active
// virtual environment, and pyenv's.
func alternatives(ctx context.Context, used *pythonReport) []alternative {
	list, seen := []alternative{}, map[string]bool{}
	if used != nil {
		seen[used.Library] = true
	}
	for _, choice := range choices() {
		p, err := discover.Find(ctx, discover.Options{Python: choice})
		switch {
		case err != nil:
			if named, ok := errors.AsType[*discover.Error](err); ok {
				bare := *named
				bare.Source = "" // nobody chose it
				err = &bare
			}
			e := problemOf(err)
			list = append(list, alternative{Choice: choice, Problem: e.What + "; " + e.Fix})
		case !seen[p.Library]:
			seen[p.Library] = true
			list = append(list, alternative{Choice: choice, Version: p.Version, Library: p.Library})
		}
	}
	return list
}

func choices() []string {
	var list []string
	if discover.HaveBundled() {
		list = append(list, discover.Bundled)
	}
	if venv := os.Getenv("VIRTUAL_ENV"); venv != "" {
		list = append(list, venv)
	}
	seen := map[string]bool{}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		for _, name := range []string{"python3", "python3.1[0-9]", "python3.1[0-9]t"} {
			found, _ := filepath.Glob(filepath.Join(dir, name))
			for _, exe := range found {
				real, err := filepath.EvalSymlinks(exe)
				if err != nil || !filepath.IsAbs(exe) || seen[real] || filepath.Base(dir) == "shims" {
					continue
				}
				seen[real] = true
				list = append(list, exe)
			}
		}
	}
	if home, err := os.UserHomeDir(); err == nil {
		found, _ := filepath.Glob(filepath.Join(home, ".pyenv", "versions", "3.1[0-9]*"))
		list = append(list, found...)
	}
	return list
}

func (r *report) print(a *app) {
	row := func(name, format string, args ...any) {
		fmt.Fprintf(a.stdout, "%-16s %s\n", name, shown(fmt.Sprintf(format, args...)))
	}
	if p := r.Python; p != nil {
		row("Python", "%s, started in %s", p.Version, p.StartedIn)
		row("found by", "%s: %s", p.Source, p.Why)
		row("library", "%s", p.Library)
		if p.Verified {
			row("verified", "every file has the hash that was taken when gilt was built")
		}
		row("executable", "%s", orNone(p.Executable))
		row("prefix", "%s", orNone(p.Prefix))
		row("virtual env", "%s", orNone(p.VirtualEnv))
		var can []string
		for _, m := range []gilt.Mode{gilt.GIL, gilt.OwnGIL, gilt.FreeThreaded} {
			if p.Modes[string(m)] {
				can = append(can, string(m))
			}
		}
		row("mode", "%s (this Python can do: %s)", p.Mode, strings.Join(can, ", "))
		row("worker threads", "%d, at most %d threads inside Python", p.Workers, p.MaxThreads)
		row("switch interval", "%s", p.SwitchInterval)
	} else {
		row("Python", "cannot be opened")
	}
	row("bundled Python", "%s", map[bool]string{true: "linked in", false: "not linked in (import _ \"gilt/embedded\")"}[r.Bundled])
	row("platform", "%s, %d CPUs, %s", r.Platform, r.CPUs, r.Go)
	if r.DotVenv != "" {
		row(".venv", "%s", r.DotVenv)
	}
	for _, alt := range r.Alternatives {
		if alt.Problem != "" {
			row("not usable", "%s: %s", alt.Choice, alt.Problem)
		} else {
			row("alternative", "%s: --python %s", alt.Version, alt.Choice)
		}
	}
	for _, p := range r.Problems {
		a.fail("%s: %s", p.What, p.Fix)
	}
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
