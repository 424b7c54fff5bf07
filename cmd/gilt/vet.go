package main

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/tools/go/analysis/unitchecker"

	"gilt/vet"
)

const vetHelp = `Find misuse of gilt's tokens and handles in Go code, without running it.

It runs 'go vet' with gilt's rules instead of go vet's own, so it takes go vet's arguments: packages (the
current directory if there are none), -json, -c N to show lines around a finding, -tags. Test files are read too.
'go vet -vettool=$(which gilt) ./...' is the same. The rules, of which each finding names one:

  keep       a token is kept in a package-level variable, in a struct that outlives the task, in a context
  goroutine  a token is used on another goroutine, or sent there
  nested     an outer task's token is used in another task
  detached   a token is used inside AllowThreads
  escape     a token or handle leaves the function in which it is valid
  wait       something is waited for with the token held
  release    handles are made in a loop and never released

What holds for a token holds for a py.Bound, a py.Borrowed, and all that contains one. A comment makes an
exception for its line, alone on a line for the next one, in a function's doc comment for the function:

  //gilt:vet-ignore REASON

Exit codes:
  0    nothing was found
  1    something was found, or a package does not compile; stderr says what
  2    the command line is wrong`

func (a *app) vetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "vet [FLAG…] [PACKAGE…]",
		Short: "Find misuse of tokens and handles in Go code",
		Long:  vetHelp,
		Example: `  gilt vet ./...
  gilt vet -c 2 ./internal/report`,
		DisableFlagParsing:    true, // the flags are go vet's
		DisableFlagsInUseLine: true,
		Run: func(cmd *cobra.Command, args []string) {
			if len(args) > 0 && (args[0] == "-h" || args[0] == "--help") {
				_ = cmd.Help()
				return
			}
			a.code = a.vet(args)
		},
	}
}

// vet has the go command load the packages, and call this program back for each.
func (a *app) vet(args []string) int {
	self, err := os.Executable()
	if err != nil {
		a.fail("this program's file is not known, so go vet cannot call it: %s", err)
		return exitFailed
	}
	cmd := exec.Command("go", append([]string{"vet", "-vettool=" + self}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.stdin, a.stdout, a.stderr
	err = cmd.Run()
	if e, ok := errors.AsType[*exec.ExitError](err); ok && e.Exited() {
		return e.ExitCode()
	}
	if err != nil {
		a.fail("the go command, which loads the packages: %s", err)
		return exitFailed
	}
	return exitOK
}

// vetUnit is what the go command has a vet tool do, and ends the process.
func vetUnit() { unitchecker.Main(vet.Analyzer) }

// isVetUnit says whether the command line is one with which the go command calls a vet tool: -V=full, -flags, or
// -FLAG=VALUE… FILE.cfg.
func isVetUnit(args []string) bool {
	if len(args) == 0 {
		return false
	}
	flags, last := args[:len(args)-1], args[len(args)-1]
	if len(flags) == 0 && (last == "-V=full" || last == "-flags") {
		return true
	}
	other := slices.ContainsFunc(flags, func(f string) bool { return !strings.HasPrefix(f, "-") || strings.HasPrefix(f, "--") })
	return !other && strings.HasSuffix(last, ".cfg") && !strings.HasPrefix(last, "-")
}
