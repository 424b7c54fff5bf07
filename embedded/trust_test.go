//go:build (linux || darwin) && (amd64 || arm64)

package embedded

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gilt/internal/discover"
)

const self, stranger = 1000, 65534

func TestWhoMayChangeAFile(t *testing.T) {
	for _, test := range []struct {
		name string
		o    owner
		want string // "" for nobody else
	}{
		{"one's own", owner{uid: self, gid: 1000, mode: 0o644}, ""},
		{"root's", owner{uid: 0, gid: 0, mode: fs.ModeDir | 0o755}, ""},
		{"a stranger's", owner{uid: stranger, gid: 1000, mode: 0o644}, "belongs to user 65534"},
		{"a stranger's that nobody may write", owner{uid: stranger, gid: 1000, mode: 0o444}, "belongs to user 65534"},
		{"a stranger's sticky folder", owner{uid: stranger, mode: fs.ModeDir | fs.ModeSticky | 0o777}, "belongs to user 65534"},
		{"everybody may write", owner{uid: self, gid: 1000, mode: 0o646}, "may be written by every user"},
		{"everybody may write the folder", owner{uid: 0, mode: fs.ModeDir | 0o777}, "may be written by every user"},
		{"a sticky folder, as /tmp", owner{uid: 0, mode: fs.ModeDir | fs.ModeSticky | 0o777}, ""},
		{"a sticky file is no sticky folder", owner{uid: 0, mode: fs.ModeSticky | 0o777}, "may be written by every user"},
		{"a group of one's own may write", owner{uid: self, gid: 1000, mode: fs.ModeDir | 0o775}, ""},
		{"another group may write", owner{uid: self, gid: 100, mode: fs.ModeDir | 0o775}, "may be written by group 100"},
		{"an access control list", owner{uid: self, gid: 1000, mode: 0o664, acl: true}, "access control list"},
		{"an access control list that lets nobody write", owner{uid: self, gid: 1000, mode: 0o644, acl: true}, ""},
		{"one's own link", owner{uid: self, mode: fs.ModeSymlink | 0o777}, ""},
		{"a stranger's link", owner{uid: stranger, mode: fs.ModeSymlink | 0o777}, "belongs to user 65534"},
	} {
		got := judge(test.o, self, func(gid int) bool { return gid == 1000 })
		if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

func TestPrivateGroups(t *testing.T) {
	const passwd = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/:\nbob:x:1001:1001::/:\nsue:x:1002:100::/:\nbroken\n"
	const group = "root:x:0:\nann:x:1000:\nbob:x:1001:ann\nusers:x:100:\nadm:x:4:root,ann\nwheel:x:10:ann,bob\nbroken\n"
	for gid, want := range map[int]bool{
		1000: true,  // ann's own
		0:    true,  // root's
		4:    true,  // root and ann
		1001: false, // bob's own
		100:  false, // sue's first group
		10:   false, // bob is a member
		7777: false, // not listed: who knows
	} {
		if got := privateGroup(gid, 1000, group, passwd); got != want {
			t.Errorf("group %d: got %v, want %v", gid, got, want)
		}
	}
}

// What another user could change is refused, whichever part of the way to the code it is; nothing of it is loaded.
func TestWhatAnotherUserCouldChangeIsRefused(t *testing.T) {
	name := filepath.Base(unpacked(t).Prefix)
	for _, test := range []struct {
		name   string
		path   string // to what is changed, in a folder that holds top/cache/TREE
		mode   fs.FileMode
		theirs bool // given to another user
		want   string
	}{
		{"the tree is theirs", "top/cache/" + name, 0, true, "belongs to user 65534"},
		{"a file is theirs", "top/cache/" + name + "/lib/python3.14/os.py", 0, true, "belongs to user 65534"},
		{"a folder in the tree is theirs", "top/cache/" + name + "/lib/python3.14/json", 0, true, "belongs to user 65534"},
		{"the cache is theirs", "top/cache", 0, true, "belongs to user 65534"},
		{"a parent is theirs", "top", 0, true, "belongs to user 65534"},
		{"a sticky parent is theirs", "top", fs.ModeSticky | 0o777, true, "belongs to user 65534"},
		{"all may write the tree", "top/cache/" + name, 0o777, false, "may be written by every user"},
		{"all may write a file", "top/cache/" + name + "/lib/libpython3.14.so.1.0", 0o777, false, "may be written by every user"},
		{"all may write compiled code", "top/cache/" + name + "/lib/python3.14/json/__pycache__", 0o777, false, "may be written by every user"},
		{"all may write the cache", "top/cache", 0o777, false, "may be written by every user"},
		{"all may write a parent", "top", 0o777, false, "may be written by every user"},
		{"all may make files in a sticky parent", "top", fs.ModeSticky | 0o777, false, ""},
		{"all may make files in a sticky cache", "top/cache", fs.ModeSticky | 0o777, false, ""},
		{"nobody else may do anything", "top", 0o700, false, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.theirs && os.Getuid() != 0 {
				t.Skip("only root can give files to another user; TestWhoMayChangeAFile has the decision")
			}
			top := t.TempDir()
			moved(t, filepath.Join(top, "top", "cache"))
			path := filepath.Join(top, test.path)
			before := stat(t, path)
			defer func() {
				if err := errors.Join(os.Lchown(path, os.Getuid(), -1), os.Chmod(path, before.Mode())); err != nil {
					t.Error(err)
				}
			}()
			if test.mode != 0 {
				if err := os.Chmod(path, test.mode); err != nil {
					t.Fatal(err)
				}
			}
			if test.theirs {
				if err := os.Lchown(path, stranger, -1); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("GILT_CACHE_DIR", filepath.Join(top, "top", "cache"))
			p, err := discover.Find(t.Context(), discover.Options{Python: discover.Bundled})
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var e *discover.Error
			if !errors.As(err, &e) || !errors.Is(err, errUntrusted) || e.Path != path || !strings.Contains(err.Error(), test.want) || e.Fix == "" {
				t.Errorf("got %+v, %v; want an error about %s that says %q", p, err, path, test.want)
			}
			t.Log(err)
		})
	}
}

// moved makes cache hold the unpacked Python of the shared cache, until the test ends.
func moved(t *testing.T, cache string) {
	t.Helper()
	tree := unpacked(t).Prefix
	if err := errors.Join(os.MkdirAll(cache, 0o755), os.Rename(tree, filepath.Join(cache, filepath.Base(tree)))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Rename(filepath.Join(cache, filepath.Base(tree)), tree); err != nil {
			t.Error(err)
		}
	})
}

// The user's own cache directory is no better than another: it may have been made by somebody else first.
func TestCacheOfTheUserThatAnotherMade(t *testing.T) {
	home := t.TempDir()
	cache := filepath.Join(home, ".cache", "gilt")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(cache, 0o777); err != nil {
		t.Fatal(err)
	}
	_, err := unpackAnywhere(t.Context(), places{cache: cache, private: filepath.Join(home, "private")}, false)
	if !errors.Is(err, errUntrusted) || !strings.Contains(err.Error(), cache) {
		t.Errorf("got %v, want it refused", err)
	}
}

// Links on the way are followed as the system does, when nobody else can bend them.
func TestLinksOnTheWay(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"real/deep", "open"} {
		if err := os.MkdirAll(filepath.Join(top, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(top, "open"), 0o777); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{
		"absolute": filepath.Join(top, "real"), "relative": "real/deep", "up": "real/deep/..", "loop": "loop", "gone": "nowhere",
		"open/in": filepath.Join(top, "real"), "theirs": "real",
	} {
		if err := os.Symlink(target, filepath.Join(top, link)); err != nil {
			t.Fatal(err)
		}
	}
	g := newGuard()
	for path, want := range map[string]string{"absolute/deep": "real/deep", "relative": "real/deep", "up": "real", "relative/../deep/": "real/deep", "real/./deep": "real/deep"} {
		if got, err := g.folder(top + "/" + path); err != nil || got != filepath.Join(top, want) {
			t.Errorf("%s: got %s, %v; want %s", path, got, err, want)
		}
	}
	for path, want := range map[string]string{"loop": "too many", "gone": "no such file", "open/in": "open may be written by every user"} {
		if got, err := g.folder(top + "/" + path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %s, %v; want %q", path, got, err, want)
		}
	}
	if os.Getuid() != 0 {
		t.Log("not tested: a link of another user, which only root can make")
		return
	}
	if err := os.Lchown(filepath.Join(top, "theirs"), stranger, -1); err != nil {
		t.Fatal(err)
	}
	if got, err := g.folder(top + "/theirs"); !errors.Is(err, errUntrusted) {
		t.Errorf("theirs: got %s, %v; want it refused", got, err)
	}
}
