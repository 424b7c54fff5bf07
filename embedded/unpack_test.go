//go:build (linux || darwin) && (amd64 || arm64)

package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gilt/internal/discover"
)

// A regular file where a directory should be stops root too, whom read-only modes do not.
func blocked(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "a-file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestChosenDirectoryThatCannotBeWritten(t *testing.T) {
	dir := filepath.Join(blocked(t), "cache")
	t.Setenv("GILT_CACHE_DIR", dir)
	_, err := discover.Find(t.Context(), discover.Options{Python: discover.Bundled})
	var e *discover.Error
	if !errors.As(err, &e) || e.Path != dir || !strings.Contains(err.Error(), "GILT_CACHE_DIR") {
		t.Errorf("got %v, want an error about %s and GILT_CACHE_DIR", err, dir)
	}
	t.Log(err)
}

// linked makes a place hold the shared cache, so that choosing it costs no unpacking.
func linked(t *testing.T) string {
	t.Helper()
	unpacked(t)
	return sharedCache
}

func TestWhereItIsUnpacked(t *testing.T) {
	cache := linked(t)
	noHome := errors.New("neither $XDG_CACHE_HOME nor $HOME are defined")
	private := func(t *testing.T) string { // an empty private directory would cost 2 s to fill
		dir := filepath.Join(t.TempDir(), "gilt-1")
		if err := os.Rename(cache, dir); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := os.Rename(dir, cache); err != nil {
				t.Fatal(err)
			}
		})
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	t.Run("the chosen directory first", func(t *testing.T) {
		got, err := unpackAnywhere(t.Context(), places{chosen: cache, cache: blocked(t), private: blocked(t)}, false)
		if err != nil || filepath.Dir(got) != cache {
			t.Errorf("got %s, %v; want %s", got, err, cache)
		}
		if info := stat(t, got+".lock"); info.Mode().Perm() != 0o600 {
			t.Errorf("the lock has mode %v; other users could hold it", info.Mode())
		}
	})
	t.Run("then the user's cache", func(t *testing.T) {
		got, err := unpackAnywhere(t.Context(), places{cache: cache, private: blocked(t)}, false)
		if err != nil || filepath.Dir(got) != cache {
			t.Errorf("got %s, %v; want %s", got, err, cache)
		}
	})
	t.Run("without a home, the private one", func(t *testing.T) {
		dir := private(t)
		got, err := unpackAnywhere(t.Context(), places{cacheErr: noHome, private: dir}, false)
		if err != nil || filepath.Dir(got) != dir {
			t.Errorf("got %s, %v; want %s", got, err, dir)
		}
	})
	t.Run("with a cache that cannot be written, the private one", func(t *testing.T) {
		dir := private(t)
		got, err := unpackAnywhere(t.Context(), places{cache: filepath.Join(blocked(t), "gilt"), private: dir}, false)
		if err != nil || filepath.Dir(got) != dir {
			t.Errorf("got %s, %v; want %s", got, err, dir)
		}
	})
	t.Run("nowhere", func(t *testing.T) {
		bad, worse := filepath.Join(blocked(t), "gilt"), blocked(t)
		_, err := unpackAnywhere(t.Context(), places{cache: bad, private: worse}, false)
		if err == nil {
			t.Fatal("got no error")
		}
		t.Log(err)
		for _, words := range []string{bad, worse, "GILT_CACHE_DIR", "150 MB"} {
			if !strings.Contains(err.Error(), words) {
				t.Errorf("error %q does not say %q", err, words)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("error %q has more than one line", err)
		}
	})
}

func TestPrivateDirectoryOfAStrangerIsRefused(t *testing.T) {
	parent := t.TempDir()
	open := filepath.Join(parent, "open")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(parent, "own")
	link := filepath.Join(parent, "link")
	if err := os.Symlink(own, link); err != nil {
		t.Fatal(err)
	}
	if err := makePrivate(own); err != nil {
		t.Errorf("making it: %v", err)
	}
	if err := makePrivate(own); err != nil {
		t.Errorf("finding it again: %v", err)
	}
	if mode := stat(t, own).Mode().Perm(); mode != 0o700 {
		t.Errorf("it was made with mode %04o, want 0700", mode)
	}
	for dir, want := range map[string]string{open: "is open to other users (mode 0755)", link: "is not a directory", blocked(t): "is not a directory"} {
		if err := makePrivate(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", dir, err, want)
		}
	}
	if os.Getuid() != 0 {
		t.Log("not tested: a directory of another user, which only root can make")
		return
	}
	if err := os.Chown(own, 12345, -1); err != nil {
		t.Fatal(err)
	}
	if err := makePrivate(own); err == nil || !strings.Contains(err.Error(), "belongs to another user") {
		t.Errorf("got %v, want it refused as another user's", err)
	}
}
