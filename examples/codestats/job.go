package main

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"gilt"
	_ "gilt/embedded"
	py "gilt/handles"
	"gilt/parallel"
)

//go:embed codestats.py
var codestatsPy []byte

//go:embed pool.py
var poolPy []byte

// unpackModules puts the Python modules in a directory of their own, for the caller to remove.
func unpackModules() (string, error) {
	dir, err := os.MkdirTemp("", "codestats")
	if err != nil {
		return "", fmt.Errorf("no room for the Python modules: %w", err)
	}
	for name, source := range map[string][]byte{"codestats.py": codestatsPy, "pool.py": poolPy} {
		if err := os.WriteFile(filepath.Join(dir, name), source, 0o600); err != nil {
			_ = os.RemoveAll(dir)
			return "", fmt.Errorf("no room for the Python modules: %w", err)
		}
	}
	return dir, nil
}

// job is the work, with all that it needs prepared.
type job struct {
	rt    *gilt.Runtime
	count counter
	root  string
	files []string // below root, sorted
}

func open(ctx context.Context, o options, modules string, stderr io.Writer) (*job, error) {
	c := gilt.Config{Path: []string{modules}}
	if !o.oneGIL {
		c.Mode, c.Interpreters = gilt.OwnGIL, o.interpreters
	}
	rt, err := gilt.Open(ctx, c)
	if err != nil && !o.oneGIL {
		first := err
		if rt, err = gilt.Open(ctx, gilt.Config{Path: []string{modules}}); err != nil {
			return nil, first
		}
		fmt.Fprintf(stderr, "codestats: running in mode %s: %v\n", rt.Info().Mode, first)
	}
	if err != nil {
		return nil, err
	}
	j := &job{rt: rt, root: o.dir}
	if err := j.prepare(ctx); err != nil {
		_ = rt.Close()
		return nil, err
	}
	return j, nil
}

func (j *job) prepare(ctx context.Context) (err error) {
	if j.count.f, err = gilt.Lookup[[]byte, counts](ctx, j.rt, "codestats:count"); err != nil {
		return err
	}
	if j.root == "" {
		err = j.rt.Do(ctx, func(tok *gilt.Token) error {
			j.root, err = py.EvalAs[string](tok, "__import__('sysconfig').get_path('stdlib')")
			return err
		})
		if err != nil {
			return err
		}
	}
	j.files, err = sources(j.root)
	return err
}

// sources are the .py files below root, in the order of their paths; not those of installed packages.
func sources(root string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "site-packages" || d.Name() == "__pycache__"):
			return fs.SkipDir
		case d.Type().IsRegular() && filepath.Ext(path) == ".py":
			files = append(files, path)
		}
		return nil
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no .py files below %s", root)
	}
	return files, err // WalkDir's order is lexical
}

// line is what the output has for each file. A file that could not be read has no SHA256; where Error is set,
// there is no syntax tree and only the lines are counted.
type line struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256,omitempty"`
	Bytes  int    `json:"bytes"`
	Gzip   int64  `json:"gzip"`
	counts
}

// counts is what Python's codestats.count returns.
type counts struct {
	Functions int    `json:"functions"`
	Classes   int    `json:"classes"`
	Lines     int    `json:"lines"`
	Depth     int    `json:"depth"`
	Error     string `json:"error,omitempty"`
}

// record is a file between the stages.
type record struct {
	line   line
	source []byte
}

// lines is the pipeline. Its order is that of the files.
func (j *job) lines(ctx context.Context) func(yield func(line, error) bool) {
	read := parallel.Native(ctx, parallel.Slice(j.files), j.read, parallel.Options{Ordered: true})
	// Parsing never waits, so a worker for each token is enough, and no two share a GIL.
	workers := j.rt.Info().Interpreters
	return parallel.Python(ctx, read, j.count, parallel.Options{Ordered: true, Workers: workers})
}

// read is the native stage: what needs no Python.
func (j *job) read(_ context.Context, path string) (record, error) {
	name, err := filepath.Rel(j.root, path)
	if err != nil {
		return record{}, err
	}
	r := record{line: line{Path: filepath.ToSlash(name)}}
	if r.source, err = os.ReadFile(path); err != nil {
		r.line.Error = err.Error()
		return r, nil
	}
	sum := sha256.Sum256(r.source)
	r.line.SHA256, r.line.Bytes, r.line.Gzip = hex.EncodeToString(sum[:]), len(r.source), gzipSize(r.source)
	return r, nil
}

var compressors = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // fails only for a level that is none
	return w
}}

func gzipSize(data []byte) int64 {
	w := compressors.Get().(*gzip.Writer)
	defer compressors.Put(w)
	var n size
	w.Reset(&n)
	_, _ = w.Write(data) // size takes everything
	_ = w.Close()
	return int64(n)
}

// size is a writer that only counts.
type size int64

func (n *size) Write(p []byte) (int, error) {
	*n += size(len(p))
	return len(p), nil
}

// counter is the Python stage: it calls codestats.count with the source as bytes, which no one decodes
// twice, and joins what it returns to what is known.
type counter struct{ f *gilt.Func[[]byte, counts] }

// Call implements parallel.Caller.
func (c counter) Call(ctx context.Context, r record) (line, error) {
	if r.line.Error != "" {
		return r.line, nil
	}
	var err error
	r.line.counts, err = c.f.Call(ctx, r.source)
	return r.line, err
}
