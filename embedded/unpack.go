//go:build (linux || darwin) && (amd64 || arm64)

package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

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
	patience patience
}

func environment() places {
	p := places{chosen: os.Getenv("GILT_CACHE_DIR"), patience: usual}
	p.cache, p.cacheErr = os.UserCacheDir()
	if p.cacheErr == nil {
		p.cache = filepath.Join(p.cache, "gilt")
	}
	p.private = filepath.Join(os.TempDir(), "gilt-"+strconv.Itoa(os.Getuid()))
	return p
}

// unpackAnywhere returns the directory of the unpacked Python, in the first place that can hold it.
// It moves on only from a place that may not be written: a full disk is reported, not dodged by filling
// another one, and so is a place that another user may change. all has it read every file.
func unpackAnywhere(ctx context.Context, p places, all bool) (string, error) {
	if p.chosen != "" {
		dir, err := unpack(ctx, p.chosen, 0o755, p.patience, all)
		if err != nil {
			return "", errUnpack("GILT_CACHE_DIR", p.chosen, err)
		}
		return dir, nil
	}
	err := p.cacheErr
	if err == nil {
		var dir string
		if dir, err = unpack(ctx, p.cache, 0o700, p.patience, all); err == nil {
			return dir, nil
		}
		if !notWritable(err) {
			return "", errUnpack("the user's cache directory", p.cache, err)
		}
	}
	if privateErr := makePrivate(p.private); privateErr != nil {
		return "", errNowhere(p, err, privateErr)
	}
	dir, privateErr := unpack(ctx, p.private, 0o700, p.patience, all)
	switch {
	case privateErr == nil:
		return dir, nil
	case notWritable(privateErr):
		return "", errNowhere(p, err, privateErr)
	}
	return "", errUnpack("the private temporary directory", p.private, privateErr)
}

// unpack returns the directory of the Python in parent, which it checks, and writes what is missing or wrong.
func unpack(ctx context.Context, parent string, mode fs.FileMode, p patience, all bool) (string, error) {
	parent, err := filepath.Abs(parent)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(parent, mode); err != nil {
		return "", err
	}
	g := newGuard()
	if parent, err = g.folder(parent); err != nil {
		return "", err
	}
	t := &tree{dir: filepath.Join(parent, "python-"+version+"-"+manifestHash()[:16]), guard: g, patience: p}
	return t.dir, t.ready(ctx, all)
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
	var u *untrusted
	switch {
	case errors.As(err, &u): // about the folder or file itself
		e.Path, e.What, e.Fix = u.path, u.why+": "+errUntrusted.Error(), u.fix
	case errors.Is(err, errLocked):
		e.What = fmt.Sprintf("is %s, and another process still unpacks the bundled Python there, or repairs it", what)
		e.Fix = "give that process some seconds, or end it if it hangs"
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
