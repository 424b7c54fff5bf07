//go:build (linux || darwin) && (amd64 || arm64)

package embedded

import (
	"context"
	"path/filepath"
	"runtime"

	"gilt/internal/discover"
)

// The version that module github.com/kluctl/go-embed-python carries; a test compares them.
const (
	version = "3.14.6"
	major   = 3
	minor   = 14
)

func init() { discover.RegisterBundled(find) }

// find unpacks the bundled Python if needed and describes it. When ctx ends first the unpacking
// goes on by itself, so that the next start finds it done. With verify every file is read and compared with its hash.
func find(ctx context.Context, verify bool) (discover.Python, error) {
	type result struct {
		dir string
		err error
	}
	done := make(chan result, 1)
	go func() {
		dir, err := unpackAnywhere(ctx, environment(), verify)
		done <- result{dir, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return discover.Python{}, r.err
		}
		return describe(r.dir), nil
	case <-ctx.Done():
		return discover.Python{}, &discover.Error{
			What: "the bundled Python was still being unpacked, or locked by another process that unpacks it, when the caller gave up",
			Fix:  "give the first start some seconds",
			Err:  ctx.Err(),
		}
	}
}

// describe names the parts of an unpacked Python. Home stays empty: libpython finds its standard
// library from the executable's place.
func describe(dir string) discover.Python {
	library := "libpython3.14.so.1.0"
	if runtime.GOOS == "darwin" {
		library = "libpython3.14.dylib"
	}
	return discover.Python{
		Library:    filepath.Join(dir, "lib", library),
		Executable: filepath.Join(dir, "bin", "python3"),
		Prefix:     dir,
		Version:    version,
		Major:      major,
		Minor:      minor,
		Source:     discover.SourceBundled,
	}
}
