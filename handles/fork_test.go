package handles_test

import (
	"context"
	"testing"
	"time"

	"gilt"
	"gilt/internal/pytest"
)

// A child that a coroutine makes by fork ends as its code says, and leaves the event loop to its parent.
func TestForkInCoroutine(t *testing.T) {
	rt := pytest.Runtime()
	pytest.Install(t, "gilt_coroutine_fork", `
import os, sys, warnings
async def f(code):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pid = os.fork()
    if pid == 0:
        sys.exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
`)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	f, err := gilt.LookupAsync[int, int](ctx, rt, "gilt_coroutine_fork:f")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if v, err := f.Call(ctx, 3); v != 3 || err != nil {
			t.Error(v, err)
		}
	}
}
