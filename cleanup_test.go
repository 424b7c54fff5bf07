package gilt_test

import (
	"os"
	"testing"
	"time"

	"gilt/internal/pytest"
)

// cleanup.py knows clean-up in real code objects of each CPython: see testdata/cleanup_lines.py for the labelled source.
func TestCleanUpLines(t *testing.T) {
	checker, err := os.ReadFile("testdata/cleanup_lines.py")
	if err != nil {
		t.Fatal(err)
	}
	cleanUp, err := os.ReadFile("internal/cpython/cleanup.py")
	if err != nil {
		t.Fatal(err)
	}
	pytest.Install(t, "gilt_cleanup_lines", string(checker))
	wrong, err := lookupIn[string, []string](t, "gilt_cleanup_lines:wrong").Call(ctx, string(cleanUp))
	if err != nil {
		t.Fatal(err)
	}
	for _, said := range wrong {
		t.Error(said)
	}
}

// What is named acquire is clean-up where Python code calls it. A task's own function of that name, and its loops, are not.
func TestInterruptedAcquire(t *testing.T) {
	pytest.Install(t, "gilt_acquire", "def acquire(_):\n    while True: pass\ndef lock(_):\n    while True: step()\ndef step(): pass\n")
	for _, name := range []string{"acquire", "lock"} {
		_, err := lookupIn[int, int](t, "gilt_acquire:"+name).Call(within(t, ctx, 20*time.Millisecond), 0)
		interrupted(t, name, err)
	}
}
