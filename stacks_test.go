package gilt_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"gilt"
	py "gilt/handles"
)

// Recursion in C is a RecursionError whatever `ulimit -s` says: on Go's threads, on Python's and on the process's first one.
func TestStacks_SmallLimit(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the sizes of stacks are raised on Linux only")
	}
	for _, limit := range []string{"-s 256", "-s 1024", "-S -s 1024", "-s unlimited"} { // -S leaves the hard limit
		t.Run(limit, func(t *testing.T) {
			if limit == "-s unlimited" {
				if err := exec.Command("sh", "-c", "ulimit -s unlimited").Run(); err != nil {
					t.Skip("the hard limit of stacks is not unlimited here")
				}
			}
			cmd := exec.Command("sh", "-c", "ulimit "+limit+` && exec "$0"`, os.Args[0])
			cmd.Env = append(os.Environ(), "GILT_TEST_CHILD=small stacks", "GILT_TEST_WHERE=first thread")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%.3000s", err, out)
			}
		})
	}
}

func init() {
	if os.Getenv("GILT_TEST_WHERE") == "first thread" {
		runtime.LockOSThread() // of init functions, and so of TestMain, that is the process's first
	}
}

func smallStacks() error {
	var before, after syscall.Rlimit
	const rlimitStack = 3
	if err := syscall.Getrlimit(rlimitStack, &before); err != nil {
		return err
	}
	rt, err := gilt.Open(ctx, gilt.Config{})
	if err != nil {
		return err
	}
	const source = `
import json, threading
def deep():
    try:
        json.loads('[' * 100000)
    except (RecursionError, ValueError): # where there is no limit, 3.14 comes to the text's end
        pass
deep()
failed = []
def thread():
    try: deep()
    except BaseException as e: failed.append(e)
t = threading.Thread(target=thread); t.start(); t.join()
assert not failed, failed
`
	first := false
	run := func(tok *gilt.Token) error {
		first = first || syscall.Gettid() == os.Getpid()
		return py.Run(tok, source)
	}
	_, err = gilt.Submit(ctx, rt, func(tok *gilt.Token) (int, error) { return 0, run(tok) }).Wait(ctx)
	err = errors.Join(err, rt.OnMain(ctx, run))
	if err = errors.Join(err, rt.Do(ctx, run)); !first {
		return errors.New("no task was on the first thread")
	}
	if err != nil {
		return err
	}
	if err := syscall.Getrlimit(rlimitStack, &after); err != nil || before != after {
		return fmt.Errorf("the limit is %v, was %v: %w", after, before, err)
	}
	out, err := exec.Command("sh", "-c", "ulimit -s").Output()
	if err != nil {
		return err
	}
	if got := strings.TrimSpace(string(out)); got != "unlimited" && got != "256" && got != "1024" {
		return fmt.Errorf("a program that this one starts has the limit %q", got)
	}
	return rt.Shutdown(ctx)
}
