//go:build (linux || darwin) && (amd64 || arm64)

package embedded

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"github.com/kluctl/go-embed-python/python"
	"golang.org/x/sync/errgroup"
)

//go:generate go run ./internal/manifest

// file is one file or folder of the bundled Python, as it was when gilt was built.
type file struct {
	name string
	hash string // SHA-256 in hexadecimal; "-" for a folder
	mode fs.FileMode
	size int64
}

func (f file) isDir() bool { return f.hash == "-" }

// manifest lists the files of the bundled Python, folders before what is in them.
var manifest = sync.OnceValue(func() []file {
	var list []file
	for line := range strings.Lines(manifestText) {
		var f file
		if _, err := fmt.Sscanf(line, "%s %o %d", &f.hash, &f.mode, &f.size); err != nil {
			panic("gilt: the list of the bundled Python's files: " + err.Error())
		}
		f.name = strings.TrimSuffix(strings.SplitN(line, " ", 4)[3], "\n")
		list = append(list, f)
	}
	return list
})

// manifestHash is the hash of the list, and so of all that is in the tree.
var manifestHash = sync.OnceValue(func() string {
	sum := sha256.Sum256([]byte(manifestText))
	return hex.EncodeToString(sum[:])
})

// tree is an unpacked Python.
type tree struct {
	dir      string
	guard    *guard
	patience patience // with other processes that write it
}

// stampName is the file in the tree that says what each file looked like when its hash was last compared.
const stampName = ".gilt-checked"

// look is what the file system says of a file. A file that was written since has another: nobody but the file system
// sets ctime.
func look(info fs.FileInfo) string {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%d %d %o %d %d", st.Ino, info.Size(), info.Mode(), info.ModTime().UnixNano(), changeTime(st))
}

// check gives the places in the manifest of what is missing or wrong. It reads the files whose looks are not those of the stamp, or
// all of them, and compares their hashes. A file or folder that another user could change is an error.
func (t *tree) check(all bool) (wrong []int, err error) {
	info, err := os.Lstat(t.dir)
	if errors.Is(err, fs.ErrNotExist) {
		for i := range manifest() {
			wrong = append(wrong, i)
		}
		return wrong, nil
	}
	if err == nil {
		err = t.guard.check(t.dir, info)
	}
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: t.dir, Err: syscall.ENOTDIR}
	}
	if err != nil {
		return nil, err
	}
	stamp := t.readStamp()
	looks := make([]string, len(manifest()))
	var unsure []int
	for i, f := range manifest() {
		switch known, err := t.lookAt(f, &looks[i]); {
		case err != nil:
			return nil, err
		case !known:
			wrong = append(wrong, i)
		case !f.isDir() && (all || stamp == nil || stamp[i] != looks[i]):
			unsure = append(unsure, i)
		}
	}
	bad, err := t.compare(unsure)
	if err != nil {
		return nil, err
	}
	if wrong = merge(wrong, bad); len(wrong) == 0 && len(unsure) > 0 {
		t.writeStamp(looks)
	}
	return wrong, nil
}

// lookAt reports whether f is there with its type, size and what its owner must be allowed, and notes how it looks.
func (t *tree) lookAt(f file, looks *string) (known bool, err error) {
	path := filepath.Join(t.dir, f.name)
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return false, nil
	case err != nil:
		return false, err
	}
	if err := t.guard.check(path, info); err != nil {
		return false, err
	}
	if f.isDir() {
		*looks = "-"
		return info.IsDir(), t.checkBytecode(path)
	}
	*looks = look(info)
	may := f.mode & 0o500 // a tree may be made unwritable, or its user's alone
	return info.Mode().IsRegular() && info.Size() == f.size && info.Mode()&may == may, nil
}

// checkBytecode refuses a __pycache__ that others may write: Python runs what is in it, and no hash is known of it.
func (t *tree) checkBytecode(dir string) error {
	cache := filepath.Join(dir, "__pycache__")
	info, err := os.Lstat(cache)
	if err != nil {
		return nil // there is none
	}
	return t.guard.check(cache, info)
}

// compare reads files, and gives those whose hash is not the manifest's. Others than regular ones are not opened.
func (t *tree) compare(places []int) (wrong []int, err error) {
	bad := make([]bool, len(manifest()))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, i := range places {
		g.Go(func() error {
			f := manifest()[i]
			hash, err := hashOf(filepath.Join(t.dir, f.name))
			bad[i] = hash != f.hash
			if errors.Is(err, fs.ErrNotExist) {
				return nil // gone since: wrong
			}
			return err
		})
	}
	err = g.Wait()
	for i := range bad {
		if bad[i] {
			wrong = append(wrong, i)
		}
	}
	return wrong, err
}

func hashOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), err
}

// merge joins two ascending lists, which have nothing in common.
func merge(a, b []int) []int {
	var list []int
	for len(a) > 0 && len(b) > 0 {
		if a[0] < b[0] {
			list, a = append(list, a[0]), a[1:]
		} else {
			list, b = append(list, b[0]), b[1:]
		}
	}
	return append(append(list, a...), b...)
}

// readStamp gives the looks in the stamp, in the manifest's order; nil when there is no stamp of this manifest.
func (t *tree) readStamp() []string {
	path := filepath.Join(t.dir, stampName)
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || t.guard.check(path, info) != nil {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if lines[0] != manifestHash() || len(lines) != len(manifest())+1 {
		return nil
	}
	return lines[1:]
}

// writeStamp replaces the stamp at once. Without it, as in a file system that cannot be written, the next start reads all files.
func (t *tree) writeStamp(looks []string) {
	var b bytes.Buffer
	b.WriteString(manifestHash() + "\n")
	for _, l := range looks {
		b.WriteString(l + "\n")
	}
	tmp, err := os.CreateTemp(t.dir, stampName+".*")
	if err != nil {
		return
	}
	_, err = tmp.Write(b.Bytes())
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Close()) // others may use the tree, and read
	if err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(t.dir, stampName))
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
}

// write unpacks the bundled Python beside the tree, compares all hashes, and moves what is wrong to its place. What a full disk
// or a kill leaves lies beside the tree, and goes at the next write. The lock is held.
func (t *tree) write(wrong []int) error {
	beside := t.dir + ".new"
	if err := os.RemoveAll(beside); err != nil {
		return err
	}
	defer os.RemoveAll(beside)
	if err := os.Mkdir(beside, 0o700); err != nil {
		return err
	}
	fresh := &tree{dir: filepath.Join(beside, "tree"), guard: t.guard}
	if err := fresh.unpack(); err != nil {
		return err
	}
	switch _, err := os.Lstat(t.dir); {
	case errors.Is(err, fs.ErrNotExist):
		return os.Rename(fresh.dir, t.dir)
	case err != nil:
		return err
	}
	slog.Warn("gilt: files of the bundled Python were changed or lost, and are written again", "directory", t.dir, "files", len(wrong), "first", manifest()[wrong[0]].name)
	for _, i := range wrong {
		if err := t.take(fresh, manifest()[i]); err != nil {
			return err
		}
	}
	return nil
}

// unpack fills a new tree.
func (t *tree) unpack() error {
	if _, err := python.NewEmbeddedPythonWithTmpDir(t.dir, false); err != nil {
		return err
	}
	for _, f := range manifest() {
		path := filepath.Join(t.dir, f.name)
		if err := os.Chmod(path, f.mode); err != nil { // whatever the umask is
			return err
		}
		if !f.isDir() {
			continue
		}
		// Python would make these with the permissions that the umask of its user gives.
		if sources, _ := filepath.Glob(filepath.Join(path, "*.py")); len(sources) > 0 {
			cache := filepath.Join(path, "__pycache__")
			if err := errors.Join(os.Mkdir(cache, 0o755), os.Chmod(cache, 0o755)); err != nil {
				return err
			}
		}
	}
	if err := os.Chmod(t.dir, 0o755); err != nil {
		return err
	}
	switch wrong, err := t.check(true); {
	case err != nil:
		return err
	case len(wrong) > 0:
		return fmt.Errorf("%s is not what it was when this program was built, right after it was unpacked: the disk or the program is damaged", manifest()[wrong[0]].name)
	}
	return nil
}

// take moves f from a fresh tree to its place in t.
func (t *tree) take(fresh *tree, f file) error {
	path := filepath.Join(t.dir, f.name)
	info, err := os.Lstat(path)
	if err == nil && info.IsDir() != f.isDir() {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	if !f.isDir() {
		return os.Rename(filepath.Join(fresh.dir, f.name), path)
	}
	if err := os.Mkdir(path, f.mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Chmod(path, f.mode)
}

// ready checks the tree, and writes what is missing or wrong, in one process at a time. A tree that is complete needs no lock.
func (t *tree) ready(ctx context.Context, all bool) error {
	wrong, err := t.check(all)
	if err != nil || len(wrong) == 0 {
		return err
	}
	unlock, err := lock(ctx, t.dir+".lock", t.guard, t.patience)
	if err != nil {
		return t.damaged(wrong, err)
	}
	defer unlock()
	if wrong, err = t.check(all); err != nil || len(wrong) == 0 { // another process has written it meanwhile
		return err
	}
	if err := t.write(wrong); err != nil {
		return t.damaged(wrong, err)
	}
	switch wrong, err = t.check(all); {
	case err != nil:
		return err
	case len(wrong) > 0:
		return fmt.Errorf("%s is wrong again right after it was written", filepath.Join(t.dir, manifest()[wrong[0]].name))
	}
	return nil
}

// damaged says that files are wrong, where err, by which they cannot be written again, would hide that.
func (t *tree) damaged(wrong []int, err error) error {
	if len(wrong) == len(manifest()) || errors.Is(err, errLocked) {
		return err
	}
	return fmt.Errorf("%d files of the Python in it were changed or lost (%s), and cannot be written again: %w", len(wrong), manifest()[wrong[0]].name, err)
}
