package gilt_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// setproctitle and its kin write over the memory of the process's arguments and of its environment.
func TestArgs_PythonWritesOverThem(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("where the arguments are is read from Linux's /proc")
	}
	pytest.Child(t, "arguments overwritten", "GILT_TEST_MARK=a variable that is to stay")
}

func argumentsOverwritten() error {
	clone := func(list []string) []string {
		out := make([]string, len(list))
		for i, s := range list {
			out[i] = strings.Clone(s)
		}
		return out
	}
	args, env, name := clone(os.Args), clone(os.Environ()), strings.Clone(flag.CommandLine.Name())
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	value := flags.String("value", "", "")
	if err := flags.Parse([]string{"-value", os.Args[0]}); err != nil {
		return err
	}
	rt, err := gilt.Open(ctx, gilt.Config{})
	if err != nil {
		return err
	}
	if err := rt.Do(ctx, func(tok *gilt.Token) error {
		return py.Run(tok, `
import ctypes
fields = open('/proc/self/stat').read().rpartition(')')[2].split()
for start, end in (45, 46), (47, 48): # arg_start, arg_end, env_start, env_end, counted from the state
    at, to = int(fields[start]), int(fields[end])
    assert 0 < at < to, fields
    ctypes.memset(at, ord('x'), to - at - 1)
assert open('/proc/self/cmdline').read().startswith('xxxx')
`)
	}); err != nil {
		return err
	}
	if !slices.Equal(os.Args, args) || !slices.Equal(os.Environ(), env) || *value != args[0] || flag.CommandLine.Name() != name {
		return fmt.Errorf("os.Args %q, was %q; a flag's value %q; the flag set's name %q, was %q; the environment is the same: %v",
			os.Args, args, *value, flag.CommandLine.Name(), name, slices.Equal(os.Environ(), env))
	}
	if os.Getenv("GILT_TEST_MARK") != "a variable that is to stay" {
		return errors.New("a variable of the environment has changed")
	}
	return rt.Shutdown(ctx)
}
