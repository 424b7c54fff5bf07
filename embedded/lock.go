//go:build (linux || darwin) && (amd64 || arm64)

package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience is how long a start waits for another process that unpacks, and after how long it says so.
type patience struct{ most, word time.Duration }

var usual = patience{2 * time.Minute, time.Second}

// errLocked matches a wait for the lock that took too long.
var errLocked = errors.New("another process holds its lock")

// lock takes the lock file at path, so that one process writes at a time. It waits until ctx ends, p.most at most, for another
// process that has it, and says so once. unlock gives it back.
func lock(ctx context.Context, path string, g *guard, p patience) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil {
		err = g.check(path, info) // another user's could be held for ever
	}
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file: remove it", path)
	}
	if err == nil {
		err = waitForLock(ctx, file, p)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	if err := file.Truncate(0); err == nil {
		_, _ = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0) // for those who wait
	}
	return func() { _ = file.Close() }, nil
}

func waitForLock(ctx context.Context, file *os.File, p patience) error {
	said := false
	for began := time.Now(); ; {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			return fmt.Errorf("%s cannot be locked: %w", file.Name(), err)
		case time.Since(began) > p.most:
			return fmt.Errorf("%s: %w: %s had it for %v", file.Name(), errLocked, holder(file), p.most)
		case !said && time.Since(began) > p.word:
			said = true
			slog.Warn("gilt: waits for another process that unpacks the bundled Python", "lock", file.Name(), "holder", holder(file), "at_most", p.most)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w: %s has it: %w", file.Name(), errLocked, holder(file), ctx.Err())
		case <-time.After(20 * time.Millisecond): // flock has no wait that could be ended
		}
	}
}

// holder names the process that wrote its id into the lock file.
func holder(file *os.File) string {
	text, _ := io.ReadAll(io.NewSectionReader(file, 0, 32))
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
		return "process " + strconv.Itoa(pid)
	}
	return "a process"
}
