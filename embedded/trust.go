//go:build (linux || darwin) && (amd64 || arm64)

package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// errUntrusted matches a file or folder that another user could change, so that the code in it would be theirs.
var errUntrusted = errors.New("another user could change the Python that this program runs")

// untrusted says which file or folder, and why.
type untrusted struct{ path, why, fix string }

func (e *untrusted) Error() string { return e.path + " " + e.why + ": " + errUntrusted.Error() }
func (e *untrusted) Unwrap() error { return errUntrusted }

// owner is what the permissions of a file or folder say about who may change what is in it.
type owner struct {
	uid, gid int
	mode     fs.FileMode
	acl      bool // an access control list: the group's bits are the most that anyone named there may
}

// judge decides whether somebody but root and the user self may change a file or folder of o: "" for no, or how. In a sticky
// folder everybody may make files, but nobody may rename or remove another's. private says whether a group has no members but
// root and self.
func judge(o owner, self int, private func(gid int) bool) string {
	switch sticky := o.mode.IsDir() && o.mode&fs.ModeSticky != 0; {
	case o.uid != 0 && o.uid != self:
		return "belongs to user " + strconv.Itoa(o.uid)
	case o.mode&fs.ModeSymlink != 0, sticky: // a link has no permissions of its own
		return ""
	case o.mode.Perm()&0o002 != 0:
		return "may be written by every user"
	case o.mode.Perm()&0o020 != 0 && o.acl:
		return "has an access control list by which others may write"
	case o.mode.Perm()&0o020 != 0 && !private(o.gid):
		return "may be written by group " + strconv.Itoa(o.gid)
	}
	return ""
}

// guard refuses what other users may change. It looks each group up once.
type guard struct {
	self   int
	groups map[int]bool
}

func newGuard() *guard { return &guard{self: os.Geteuid(), groups: map[int]bool{}} }

// check returns an *untrusted when another user may change the file or folder at path, which info describes.
func (g *guard) check(path string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return &untrusted{path, "does not say whom it belongs to", fixCache}
	}
	o := owner{uid: int(st.Uid), gid: int(st.Gid), mode: info.Mode()}
	if o.mode.Perm()&0o020 != 0 && o.mode&fs.ModeSymlink == 0 {
		o.acl = hasACL(path)
	}
	why := judge(o, g.self, g.private)
	switch {
	case why == "":
		return nil
	case o.uid != 0 && o.uid != g.self:
		return &untrusted{path, why, "give it back (chown) if you trust what is in it, or " + fixOwnCache}
	}
	return &untrusted{path, why, "run chmod go-w " + path + " if you trust what is in it, or " + fixOwnCache}
}

const fixOwnCache = "set GILT_CACHE_DIR to a directory that only you and root can change"

// folder follows path to an existing folder, and checks each folder and each symbolic link on the way, so that nobody else can
// put another folder in its place. It returns the path without links.
func (g *guard) folder(path string) (string, error) {
	at, links := "/", 0
	info, err := os.Lstat(at)
	if err == nil {
		err = g.check(at, info)
	}
	for rest := names(path); err == nil && len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == ".." {
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, name)
		if info, err = os.Lstat(next); err != nil {
			break
		}
		if err = g.check(next, info); err != nil {
			break
		}
		switch {
		case info.IsDir():
			at = next
		case info.Mode()&fs.ModeSymlink == 0:
			err = &fs.PathError{Op: "open", Path: next, Err: syscall.ENOTDIR}
		default:
			var target string
			if target, err = os.Readlink(next); err != nil {
				break
			}
			if links++; links > 40 { // as Linux has it
				err = &fs.PathError{Op: "open", Path: path, Err: syscall.ELOOP}
			}
			if filepath.IsAbs(target) {
				at = "/"
			}
			rest = append(names(target), rest...)
		}
	}
	return at, err
}

func names(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

// private reports whether nobody but root and this user is in a group, as in the group of their own that many systems give
// each user, with a umask that lets the group write. A group that the system's files do not list may have any members.
func (g *guard) private(gid int) bool {
	known, ok := g.groups[gid]
	if !ok {
		group, err1 := os.ReadFile("/etc/group")
		passwd, err2 := os.ReadFile("/etc/passwd")
		known = err1 == nil && err2 == nil && privateGroup(gid, g.self, string(group), string(passwd))
		g.groups[gid] = known
	}
	return known
}

// privateGroup looks in the texts of /etc/group (name:password:gid:members) and /etc/passwd (name:password:uid:gid:…).
func privateGroup(gid, self int, group, passwd string) bool {
	ours := map[string]bool{} // names of root and of this user
	for line := range strings.Lines(passwd) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 4 {
			continue
		}
		if uid, err := strconv.Atoi(f[2]); err == nil && (uid == 0 || uid == self) {
			ours[f[0]] = true
		} else if f[3] == strconv.Itoa(gid) {
			return false
		}
	}
	found := false
	for line := range strings.Lines(group) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 4 || f[2] != strconv.Itoa(gid) {
			continue
		}
		found = true
		for _, member := range strings.Split(f[3], ",") {
			if member != "" && !ours[member] {
				return false
			}
		}
	}
	return found
}

// makePrivate makes dir for this user alone. In a directory that all may write, somebody else may have put
// it there first, to have us load their library: then it is refused.
func makePrivate(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if err == nil || !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s exists and is not a directory", dir)
	case !ok || int(owner.Uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to another user", dir)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s is open to other users (mode %04o)", dir, info.Mode().Perm())
	}
	return nil
}
