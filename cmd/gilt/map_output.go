package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// output is stdout, or a file that appears when it is whole.
type output struct {
	w     io.Writer
	file  *os.File // nil for stdout and for what is no regular file
	path  string   // where file goes in the end
	whole int64    // bytes of whole lines in file
}

// openOutput opens path, or stdout for "" and "-".
func openOutput(path string, stdout io.Writer) (*output, error) {
	if path == "" || path == "-" {
		return &output{w: stdout}, nil
	}
	wrong := func(err error) error {
		if _, gone := os.Stat(filepath.Dir(path)); errors.Is(gone, fs.ErrNotExist) {
			return fmt.Errorf("output %s: there is no directory %s; make it first", path, filepath.Dir(path))
		}
		return fmt.Errorf("output %s cannot be written: %s", path, fileError(err))
	}
	mode := os.FileMode(0o666)
	switch info, err := os.Stat(path); {
	case err != nil:
		if target, err := os.Readlink(path); err == nil {
			return nil, fmt.Errorf("output %s is a link to %s, which does not exist: make that file first, or name another one", path, target)
		}
	case info.IsDir():
		return nil, fmt.Errorf("output %s is a directory: name a file", path)
	case !info.Mode().IsRegular(): // a device or a pipe, such as /dev/stdout, cannot be renamed over
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return nil, wrong(err)
		}
		return &output{w: f}, nil
	default:
		mode = info.Mode().Perm()
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real // a link keeps pointing to the new file
		}
	}
	name := fmt.Sprintf("%s.gilt-%d", path, os.Getpid())
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return nil, wrong(err)
	}
	return &output{w: f, file: f, path: path}, nil
}

// write writes whole lines. After an error the file still holds nothing but whole lines.
func (o *output) write(lines []byte) error {
	_, err := o.w.Write(lines)
	if o.file == nil {
		if err != nil {
			return fmt.Errorf("the output cannot be written: %w", err)
		}
		return nil
	}
	if err != nil {
		_ = o.file.Truncate(o.whole)
		return fmt.Errorf("output %s cannot be written: %w", o.path, err)
	}
	o.whole += int64(len(lines))
	return nil
}

// commit makes the file appear under its name.
func (o *output) commit() error {
	if o.file == nil {
		return nil
	}
	err := o.file.Close()
	if err == nil {
		err = os.Rename(o.file.Name(), o.path)
	}
	if err != nil {
		return fmt.Errorf("output %s cannot be finished: %s; what was done is in %s", o.path, fileError(err), o.file.Name())
	}
	return nil
}

// keep keeps what was done of work that ended early, and gives the file's name; "" for nothing.
func (o *output) keep() string {
	if o.file == nil {
		return ""
	}
	if o.whole == 0 {
		o.abandon()
		return ""
	}
	_ = o.file.Close()
	partial := o.path + ".partial"
	if os.Rename(o.file.Name(), partial) != nil {
		return o.file.Name()
	}
	return partial
}

// abandon removes what was begun.
func (o *output) abandon() {
	if o.file != nil {
		_ = o.file.Close()
		_ = os.Remove(o.file.Name())
	}
}
