package parallel_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"gilt"
	_ "gilt/embedded"
)

// python is the test process's one runtime.
var python *gilt.Runtime

const stagesPy = `
import time

def same(x): return x
def upper(s): return s.upper()
def inverse(x): return 1 / x
def leave(x): raise SystemExit(x)
def sleep(seconds):
    time.sleep(seconds)
    return seconds
`

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	before := goleak.IgnoreCurrent() // ants has two goroutines for its default pool, from its import on
	dir, err := os.MkdirTemp("", "parallel")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "stages.py"), []byte(stagesPy), 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx := context.Background()
	if python, err = gilt.Open(ctx, gilt.Config{Path: []string{dir}}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := python.Shutdown(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := goleak.Find(before); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
