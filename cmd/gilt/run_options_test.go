package main

import (
	"regexp"
	"strings"
	"testing"
)

var utf8Mode = regexp.MustCompile(`utf8_mode=\d`) // always on in gilt

// python3's options do what they do there.
func TestRunOptions(t *testing.T) {
	t.Parallel()
	const code = `import sys, faulthandler, tracemalloc
print(sys.flags, sys.warnoptions, sys._xoptions, sys.orig_argv[1:], sys.stdout.write_through, sys.path[:1] == [""], faulthandler.is_enabled(), tracemalloc.is_tracing() and tracemalloc.get_traceback_limit())
assert not __debug__`
	for _, options := range []string{"", "-W error::UserWarning -Wignore", "-X dev", "-Xdev", "-X tracemalloc=5 -Xfoo=bar", "-X faulthandler", "-O", "-OO", "-O -O", "-u", "-I", "-E", "-B", "-bb", "-q", "-s", "-OuB", "-OW error", "-V", "-VV", "--version"} {
		t.Run(options, func(t *testing.T) {
			t.Parallel()
			args := append(strings.Fields(options), "-c", code)
			got := run(t, setting{}, append([]string{"run"}, args...)...)
			cmd := command(t, setting{}, args...)
			cmd.Path = childPython(t).Executable
			cmd.Args[0] = cmd.Path
			var stdout strings.Builder
			cmd.Stdout = &stdout
			_ = cmd.Run() // some end with 1
			if code := cmd.ProcessState.ExitCode(); got.code != code {
				t.Errorf("exit code %d, python3 %d", got.code, code)
			}
			if a, b := utf8Mode.ReplaceAllString(got.stdout, ""), utf8Mode.ReplaceAllString(stdout.String(), ""); a != b {
				t.Errorf("stdout %q\npython3 %q", a, b)
			}
		})
	}
	for option, words := range map[string]string{"-i": "use python3 -i", "-P": "PYTHONSAFEPATH=1", "-z": "unknown option", "-W": "needs a value"} {
		run(t, setting{}, "run", option).want(t, exitUsage, "", words)
	}
}
