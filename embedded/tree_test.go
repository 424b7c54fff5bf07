//go:build (linux || darwin) && (amd64 || arm64)

package embedded

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gilt/internal/discover"
)

// The lists of hashes are what the module carries, for each platform: go generate makes no difference.
func TestListsOfHashesAreTheModules(t *testing.T) {
	program := filepath.Join(t.TempDir(), "manifest")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./internal/manifest").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// The program asks go list, which needs the module's folder around it, and writes to the working directory.
	dir, err := os.MkdirTemp(".", "manifest-test")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lists, _ := filepath.Glob("manifest_*.txt")
	if len(lists) != 4 {
		t.Errorf("there are %d lists, want 4: %v", len(lists), lists)
	}
	for _, list := range lists {
		want, err1 := os.ReadFile(list)
		got, err2 := os.ReadFile(filepath.Join(dir, list))
		if err1 != nil || err2 != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what go generate writes (%v, %v)", list, err1, err2)
		}
	}
}

// overwrite changes bytes of a file, and nothing that a listing of the folder shows.
func overwrite(t *testing.T, path string) {
	t.Helper()
	before := stat(t, path)
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteAt([]byte("#owned#"), 0)
	if err := errors.Join(err, file.Close(), os.Chtimes(path, before.ModTime(), before.ModTime())); err != nil {
		t.Fatal(err)
	}
	if after := stat(t, path); after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
		t.Fatal("the change shows")
	}
}

// A file with other bytes, of the same size and time, is written again before anything is loaded.
func TestChangedFileOfTheSameSizeIsWrittenAgain(t *testing.T) {
	for _, name := range []string{"lib/libpython3.14.so.1.0", "lib/python3.14/os.py", "bin/python3"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(unpacked(t).Prefix, name)
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			overwrite(t, path)
			unpacked(t)
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s was not written again: %v", path, err)
			}
		})
	}
}

// What the looks do not show, as a disk that loses bytes, a verification finds.
func TestVerifyReadsEveryFile(t *testing.T) {
	p := unpacked(t)
	path := filepath.Join(p.Prefix, "lib", "python3.14", "os.py")
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, path)
	tree := &tree{dir: p.Prefix, guard: newGuard()}
	stamp, looks := tree.readStamp(), []string(nil)
	for i, f := range manifest() {
		if looks = append(looks, stamp[i]); f.name == "lib/python3.14/os.py" {
			looks[i] = look(stat(t, path)) // as if the disk had lost bytes
		}
	}
	tree.writeStamp(looks)
	if wrong, err := tree.check(false); err != nil || len(wrong) > 0 {
		t.Fatalf("the cheap check finds %v, %v: this test tests nothing", wrong, err)
	}
	if wrong, err := tree.check(true); err != nil || len(wrong) != 1 || manifest()[wrong[0]].name != "lib/python3.14/os.py" {
		t.Errorf("a verification finds %v, %v, want os.py", wrong, err)
	}
	cmd, out := child(t, "verify", "GILT_CACHE_DIR="+sharedCache)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s was not written again: %v", path, err)
	}
	if !strings.Contains(out.String(), "files=1") || !strings.Contains(out.String(), "os.py") {
		t.Errorf("nobody was told: %s", out)
	}
}

// A tree that was copied has other looks, and the right bytes: it is used as it is, and known from then on.
func TestCopiedTree(t *testing.T) {
	cache := filepath.Join(t.TempDir(), "cache")
	from := unpacked(t).Prefix
	if err := os.Mkdir(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "cp", "-Rp", from, cache).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	tree := &tree{dir: filepath.Join(cache, filepath.Base(from)), guard: newGuard()}
	before := stat(t, filepath.Join(tree.dir, "bin", "python3"))
	old := tree.readStamp()
	if wrong, err := tree.check(false); err != nil || len(wrong) > 0 {
		t.Fatalf("got %v, %v", wrong, err)
	}
	if !os.SameFile(before, stat(t, filepath.Join(tree.dir, "bin", "python3"))) {
		t.Error("it was written again")
	}
	known := tree.readStamp()
	for i, f := range manifest() {
		if !f.isDir() && (known[i] == old[i] || known[i] != look(stat(t, filepath.Join(tree.dir, f.name)))) {
			t.Fatalf("%s is not known by its new looks: %s", f.name, known[i])
		}
	}
}

// A stamp that does not fit this manifest, or is cut short, is no stamp.
func TestWrongStamps(t *testing.T) {
	p := unpacked(t)
	path := filepath.Join(p.Prefix, stampName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty": "", "cut": string(whole[:len(whole)/2]), "of another manifest": "x" + string(whole[1:]), "too long": string(whole) + "1 2 3\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if s := (&tree{dir: p.Prefix, guard: newGuard()}).readStamp(); s != nil {
			t.Errorf("%s: it was taken", name)
		}
	}
	if unpacked(t) != p {
		t.Error("another Python was found")
	}
}

// holdLock has another process's part: it holds the lock of the shared cache, or of a new one.
func holdLock(t *testing.T, path string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(file.Truncate(0), os.WriteFile(path, []byte("4711\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// Whoever holds the lock, a tree that is complete is used at once.
func TestCompleteTreeNeedsNoLock(t *testing.T) {
	p := unpacked(t)
	holdLock(t, p.Prefix+".lock")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got, err := discover.Find(ctx, discover.Options{Python: discover.Bundled})
	got.Source = p.Source
	if err != nil || got != p {
		t.Errorf("got %+v, %v", got, err)
	}
}

// The wait for another's lock ends with the context, or after a time, says a word, and names the process.
func TestWaitForTheLockIsBounded(t *testing.T) {
	cache := t.TempDir()
	holdLock(t, filepath.Join(cache, filepath.Base(unpacked(t).Prefix)+".lock"))
	t.Setenv("GILT_CACHE_DIR", cache)
	where := environment()
	where.patience.word = time.Millisecond

	t.Run("by the context", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := unpackAnywhere(ctx, where, false)
		if !errors.Is(err, errLocked) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "process 4711") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("by itself", func(t *testing.T) {
		var log bytes.Buffer
		defer slog.SetDefault(slog.Default())
		slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
		where.patience.most = 300 * time.Millisecond
		_, err := unpackAnywhere(t.Context(), where, false)
		if !errors.Is(err, errLocked) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		t.Log(err)
		if strings.Count(log.String(), "waits for another process") != 1 || !strings.Contains(log.String(), "process 4711") {
			t.Errorf("it said %q", &log)
		}
	})
}

// Find ends with the context too.
func TestCallerGivesUp(t *testing.T) {
	cache := t.TempDir()
	holdLock(t, filepath.Join(cache, filepath.Base(unpacked(t).Prefix)+".lock"))
	t.Setenv("GILT_CACHE_DIR", cache)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := discover.Find(ctx, discover.Options{Python: discover.Bundled})
	t.Log(err)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want context.DeadlineExceeded", err)
	}
}

// A lock file of another user, or that others may open for writing, is refused: whoever can take it can keep it.
func TestLockOfAnotherUser(t *testing.T) {
	cache := t.TempDir()
	path := filepath.Join(cache, "x.lock")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := lock(t.Context(), path, newGuard(), usual); !errors.Is(err, errUntrusted) {
		t.Errorf("one that all may write: got %v", err)
	}
	if os.Getuid() == 0 {
		if err := errors.Join(os.Chmod(path, 0o600), os.Chown(path, stranger, -1)); err != nil {
			t.Fatal(err)
		}
		if _, err := lock(t.Context(), path, newGuard(), usual); !errors.Is(err, errUntrusted) {
			t.Errorf("another user's: got %v", err)
		}
	} else {
		t.Log("not tested: a lock of another user, which only root can make")
	}
	if err := errors.Join(os.Remove(path), os.Symlink("elsewhere", path)); err != nil {
		t.Fatal(err)
	}
	if _, err := lock(t.Context(), path, newGuard(), usual); err == nil {
		t.Error("a link was followed")
	}
}
