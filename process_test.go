package gilt_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// What needs a process of its own.
var children = pytest.Children{
	"own GIL": ownGIL, "own modules": ownModules, "async stop": asyncStop, "open race": openRace, "callback at end": callbackAtEnd, "awaited at end": awaitedAtEnd, "path": path, "C locale": cLocale, "broken home": brokenHome, "rejected library": rejectedLibrary,
	"stuck shutdown": stuckShutdown, "closed": closed, "shutdown under load": shutdownUnderLoad, "close": closeAtOnce,
	"ended context":  shutdownEnded,
	"cancel own GIL": cancelOwnGIL, "long clean-up": longCleanUp, "no tool": noTool, "traced": traced, "interrupted locks, own GIL": interruptedLocksOwnGIL, "cancel signals": cancelSignals, "cancel storm": cancelStorm, "watchdog": watchdog, "lost threads": lostThreads, "lost without Python": lostWithoutPython, "uninterruptible": uninterruptible, "turn interrupted": turnInterrupted, "many stuck": manyStuck, "freed batch": freedBatch, "slow batch": slowBatch, "lost storm": lostStorm, "starved": starved, "kept": keptGIL, "C code": cCode,
	"exit functions": exitFunctions, "daemon": pythonThreadLeft, "own GIL output": ownGILOutput, "held GIL": heldGIL,
	"native inside": nativeInside, "trace handles": traceHandles, "panics": panics, "conversion limits": conversionLimits, "dropped memory": droppedMemory, "close many": closeMany, "shut down many": shutDownMany,
	"arguments overwritten": argumentsOverwritten, "small stacks": smallStacks, "another Python": anotherPython, "another libpython": anotherLibpython,
	"faults": faults, "fault in C": faultInC, "fault dumps": faultDumps,
	"greenlets": greenlets, "random greenlets": randomGreenlets, "daemons in Go": daemonsInGo, "daemon inside Python": daemonInsidePython, "quiet streams": quietStreams,
	"thread number used again": threadNumberUsedAgain, "no memory for states": noMemoryForStates,
	"thread destructors": threadDestructors, "thread numbers": threadNumbers, "no memory between tasks": noMemoryBetweenTasks, "forks": forkChildren, "forks own GIL": forksOwnGIL,
	"async computes": asyncComputes, "async blocked": asyncBlocked, "async deaf": asyncDeaf, "async busy": asyncBusy, "async storm": asyncStorm, "async bare": asyncBare, "import cycles": importCycles, "async memory": asyncMemory,
	"early deadline": earlyDeadline, "refused early": refusedEarlyOwnGIL, "switch interval": switchInterval,
	"FS packages": fsPackages, "refused module": refusedModule, "bytes": bytesCross,
}

func TestRule20_CLocale(t *testing.T) {
	for _, env := range [][]string{{"LC_ALL=C"}, {"LC_ALL=POSIX", "LANG="}, {"LC_ALL=C.UTF-8"}, {"LC_ALL=", "LANG="}} {
		out := pytest.Child(t, "C locale", env...)
		if !strings.Contains(out, "žluť 😀") {
			t.Errorf("%v: stdout is %q", env, out)
		}
	}
}

func cLocale() error {
	rt, err := gilt.Open(ctx, gilt.Config{})
	if err != nil {
		return err
	}
	err = rt.Do(ctx, func(tok *gilt.Token) error {
		if exe, err := py.EvalAs[string](tok, "__import__('sys').executable"); err != nil || exe != rt.Info().Executable {
			return fmt.Errorf("sys.executable is %q, %v; want %q", exe, err, rt.Info().Executable)
		}
		return py.Run(tok, `
import sys, tempfile, os, locale
assert sys.flags.utf8_mode == 1, sys.flags
assert sys.stdout.encoding.lower() == 'utf-8', sys.stdout.encoding
assert sys.getfilesystemencoding() == 'utf-8', sys.getfilesystemencoding()
name = os.path.join(tempfile.mkdtemp(), 'ž')
with open(name, 'w') as f:
    assert f.encoding.lower() == 'utf-8', f.encoding
    f.write('žluť')
assert open(name, 'rb').read() == 'žluť'.encode()
os.remove(name)
print('žluť 😀')
`)
	})
	return errors.Join(err, rt.Shutdown(ctx))
}

func TestRule19_BrokenHome(t *testing.T) {
	dir := t.TempDir()
	if out := pytest.Child(t, "broken home", "PYTHONHOME="+dir); !strings.Contains(out, "refused: ") {
		t.Error(out)
	}
}

func brokenHome() error {
	rt, err := gilt.Open(ctx, gilt.Config{})
	if err == nil {
		fmt.Println("refused: not at all,", rt.Info()) // Python may find its library in spite of PYTHONHOME
		return nil
	}
	fmt.Println("refused:", err)
	return nil
}

func TestRule18_RejectedLibraryThenAnother(t *testing.T) { pytest.Child(t, "rejected library") }

// libs are shared objects that are no Python, or none that gilt runs.
func rejectedLibrary() error {
	dir, err := os.MkdirTemp("", "gilt")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for name, source := range map[string]string{
		"libpython3.9.so":  `const char *Py_GetVersion(void) { return "3.9.1 (fake)"; }`,
		"libpython3.14.so": `const char *Py_GetVersion(void) { return "3.14.0 (fake)"; }`,
		"libpython3.15.so": `int nothing;`,
	} {
		lib := filepath.Join(dir, name)
		cc := exec.Command("cc", "-shared", "-fPIC", "-x", "c", "-", "-o", lib)
		cc.Stdin = strings.NewReader(source)
		if out, err := cc.CombinedOutput(); err != nil {
			return fmt.Errorf("cc: %w: %s", err, out)
		}
		if rt, err := gilt.Open(ctx, gilt.Config{Python: lib}); err == nil || rt != nil || errors.Is(err, gilt.ErrAlreadyOpen) || !strings.Contains(err.Error(), lib) {
			return fmt.Errorf("%s: %w", lib, err)
		}
	}
	rt, err := gilt.Open(ctx, gilt.Config{})
	if err != nil {
		return fmt.Errorf("after rejected ones: %w", err)
	}
	if err := rt.Do(ctx, func(tok *gilt.Token) error { return py.Run(tok, "import json, ssl, sqlite3" /* extension modules */) }); err != nil && !errors.Is(err, py.ModuleNotFoundError) {
		return err
	}
	return rt.Shutdown(ctx)
}

// CGO_ENABLED=0 compiles, and Open says why it cannot work.
func TestWithoutCgo(t *testing.T) {
	if testing.Short() {
		t.Skip("with -short: it builds everything again")
	}
	const source = "package main\n\nimport (\n\t\"context\"\n\t\"fmt\"\n\n\t\"gilt\"\n\t_ \"gilt/embedded\"\n)\n\nfunc main() { _, err := gilt.Open(context.Background(), gilt.Config{}); fmt.Println(err) }\n"
	// The program stands inside the module only in the eyes of the go command.
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	program, overlay := filepath.Join(t.TempDir(), "main.go"), filepath.Join(t.TempDir(), "overlay.json")
	replace := fmt.Sprintf(`{"Replace": {%q: %q}}`, filepath.Join(wd, "nocgo_program", "main.go"), program)
	if err := errors.Join(os.WriteFile(program, []byte(source), 0o600), os.WriteFile(overlay, []byte(replace), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"build", "./..."}, {"run", "-overlay", overlay, "./nocgo_program"}} {
		cmd := exec.Command("go", args...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, out.String())
		}
		if args[0] == "run" && !strings.Contains(out.String(), "built without cgo") {
			t.Error(out.String())
		}
	}
}
