//go:build (linux || darwin) && (amd64 || arm64)

package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/kluctl/go-embed-python/python"

	"gilt/internal/discover"
)

const neededMB = 150 // what an unpacked Python takes on disk; a test compares them

const fixCache = "set GILT_CACHE_DIR to a directory that can be written and has 150 MB free"

// places are the directories the bundled Python may be unpacked in.
type places struct {
	chosen   string // GILT_CACHE_DIR, or ""
	cache    string // the user's cache directory, or ""
	cacheErr error  // why there is none
	private  string // the last resort, in the system's temporary directory
}

func environment() places {
	p := places{chosen: os.Getenv("GILT_CACHE_DIR")}
	p.cache, p.cacheErr = os.UserCacheDir()
	if p.cacheErr == nil {
		p.cache = filepath.Join(p.cache, "gilt")
	}
	p.private = filepath.Join(os.TempDir(), "gilt-"+strconv.Itoa(os.Getuid()))
	return p
}

// unpackAnywhere returns the directory of the unpacked Python, in the first place that can hold it.
// It moves on only from a place that may not be written: a full disk is reported, not dodged by filling
// another one.
func unpackAnywhere(p places) (string, error) {
	if p.chosen != "" {
		dir, err := unpack(p.chosen, 0o755)
		if err != nil {
			return "", errUnpack("GILT_CACHE_DIR", p.chosen, err)
		}
		// Another user may have to take the lock of a cache that was filled while an image was built.
		_ = os.Chmod(dir+".lock", 0o644)
		return dir, nil
	}
	err := p.cacheErr
	if err == nil {
		var dir string
		if dir, err = unpack(p.cache, 0o700); err == nil {
			return dir, nil
		}
		if !notWritable(err) {
			return "", errUnpack("the user's cache directory", p.cache, err)
		}
	}
	if privateErr := makePrivate(p.private); privateErr != nil {
		return "", errNowhere(p, err, privateErr)
	}
	dir, privateErr := unpack(p.private, 0o700)
	switch {
	case privateErr == nil:
		return dir, nil
	case notWritable(privateErr):
		return "", errNowhere(p, err, privateErr)
	}
	return "", errUnpack("the private temporary directory", p.private, privateErr)
}

// unpack checks the Python in parent and writes what is missing, under the module's file lock. It
// writes in place; what a full disk or a kill leaves half-written has the wrong size, so that
// the next check writes it again.
func unpack(parent string, mode fs.FileMode) (string, error) {
	parent, err := filepath.Abs(parent)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(parent, mode); err != nil {
		return "", err
	}
	p, err := python.NewEmbeddedPythonWithTmpDir(filepath.Join(parent, "python-"+version), true)
	if err != nil {
		return "", err
	}
	return p.GetExtractedPath(), nil
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
	case !ok || int(owner.Uid) != os.Getuid():
		return fmt.Errorf("%s belongs to another user", dir)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s is open to other users (mode %04o)", dir, info.Mode().Perm())
	}
	return nil
}

// notWritable reports an error that another directory may not have.
func notWritable(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) ||
		errors.Is(err, syscall.ENOTDIR) || errors.Is(err, fs.ErrExist)
}

func noSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

func errUnpack(what, dir string, err error) error {
	e := &discover.Error{Path: dir, Err: err, Fix: fixCache, Source: discover.SourceBundled}
	switch {
	case noSpace(err):
		e.What = fmt.Sprintf("is %s and has no room for the bundled Python, which takes %d MB unpacked", what, neededMB)
		e.Fix = "make room there, or " + fixCache
	case notWritable(err):
		e.What = fmt.Sprintf("is %s and cannot hold the bundled Python, because it cannot be written", what)
	default:
		e.What = fmt.Sprintf("is %s and cannot hold the bundled Python", what)
	}
	return e
}

func errNowhere(p places, cacheErr, privateErr error) error {
	cache := "the user's cache directory " + p.cache
	if p.cache == "" {
		cache = "the user's cache directory"
	}
	return &discover.Error{
		What: fmt.Sprintf("the bundled Python cannot be unpacked: neither %s (%v) nor %s (%v) can be used", cache, cacheErr, p.private, privateErr),
		Fix:  fixCache,
		Err:  errors.Join(cacheErr, privateErr),
	}
}
