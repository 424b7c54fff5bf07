package gilt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gilt/gil"
	"gilt/handles"
	"gilt/internal/cpython"
	"gilt/internal/discover"
	"gilt/internal/program"
	"gilt/scheduler"
	"gilt/thread"
)

// Runtime is a running CPython with its scheduler. A process has one; its methods may be called from any
// goroutine.
type Runtime struct {
	host   *gil.Host
	info   Info
	closed atomic.Bool
	trees  atomic.Int32     // file systems that were added
	main   *program.Program // the last one of RunMain; the main thread's

	loopMu sync.Mutex
	loop   *handles.Loop // nil until it is asked for
}

// Info describes a runtime's Python and how it runs.
type Info struct {
	Version        string // "3.14.6"
	Library        string // the libpython that was loaded
	Executable     string // sys.executable
	Prefix         string
	VirtualEnv     string // "" for none
	Source         string // how it was found: "config", "GILT_PYTHON", "VIRTUAL_ENV", "bundled", "python3 on PATH"
	Mode           Mode
	OwnGIL         bool // it can make interpreters with a GIL of their own
	Interpreters   int
	Workers        int
	MaxThreads     int
	SwitchInterval string
}

// ErrAlreadyOpen is a second Open in one process: CPython starts only once. Share the Runtime.
var ErrAlreadyOpen = thread.ErrAlreadyStarted

// ErrPythonRuns is an Open in a process in which a Python runs that gilt has not started: python3, which has loaded the Go
// program as a library (-buildmode=c-shared), or a Python that another library embeds. Nothing was loaded or started.
var ErrPythonRuns = thread.ErrPythonRuns

// Open finds, loads and starts Python. ctx bounds the search, not the runtime's life. An error says what
// is wrong with which file, and what to do; Python never ends the process.
func Open(ctx context.Context, c Config) (*Runtime, error) {
	found, err := discover.Find(ctx, discover.Options{Python: c.Python, Verify: c.Verify})
	if err != nil {
		return nil, err
	}
	if c, err = c.normalise(found.FreeThreaded); err != nil {
		return nil, err
	}
	own := 0
	if c.Mode == OwnGIL {
		if own = c.Interpreters; found.Minor != 0 && found.Minor < 12 {
			return nil, fmt.Errorf("gilt: mode own-gil needs CPython 3.12 or later, and %s is %s: use mode gil, or another Python", found.Library, found.Version)
		}
	}
	python, err := thread.Start(thread.Options{
		Library: found.Library, Program: found.Executable, Home: found.Home, Isolated: c.Isolated,
		Interpreters: own, SwitchInterval: c.SwitchInterval,
	})
	if err != nil {
		return nil, err
	}
	lanes := python.Own()
	for len(lanes) < c.Interpreters {
		lanes = append(lanes, python.Main())
	}
	cpython.KeepLocals(c.KeepLocals)
	cpython.SetLimits(uint64(c.MaxValues), uint64(c.MaxBytes))
	host, err := gil.NewHost(gil.Config{
		Python: python, Lanes: lanes, Workers: c.Workers, Grace: c.Grace, Watchdog: c.Watchdog, Trace: c.TraceHandles,
		Scheduler: scheduler.Config{MaxInFlight: c.MaxThreads, MaxLong: c.MaxLong, MaxQueued: c.MaxQueued, MaxClasses: c.MaxClasses, Template: c.Class},
	})
	if err != nil {
		python.Abandon()
		return nil, err
	}
	spareProcs(c.SpareProcs)
	rt := &Runtime{host: host, info: describe(found, c)}
	if err := rt.prepare(ctx, c); err != nil {
		return nil, errors.Join(err, rt.Shutdown(ctx))
	}
	return rt, nil
}

// spareProcs gives Go more processors, for those that goroutines inside Python keep.
func spareProcs(n int) {
	if n > 0 && os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + n)
	}
}

func describe(p discover.Python, c Config) Info {
	version, _, _ := strings.Cut(cpython.Version(), " ")
	return Info{
		Version: version, Library: p.Library, Executable: p.Executable, Prefix: p.Prefix, VirtualEnv: p.VirtualEnv,
		Source: p.Source, Mode: c.Mode, OwnGIL: cpython.HasOwnGIL(), Interpreters: c.Interpreters, Workers: c.Workers,
		MaxThreads: c.MaxThreads, SwitchInterval: c.SwitchInterval.String(),
	}
}

// prepare puts the configured folders before sys.path, and makes what Python may import from Go.
func (rt *Runtime) prepare(ctx context.Context, c Config) error {
	if len(c.Path) > 0 {
		if err := rt.everywhere(ctx, func(tok *Token) error {
			path, err := handles.FSDecodeList(tok, c.Path)
			if err != nil {
				return err
			}
			ns, err := handles.NewDict(tok, map[string]any{"path": path})
			if err != nil {
				return err
			}
			return handles.Run(tok, "import sys; sys.path[:0] = path", ns)
		}); err != nil {
			return err
		}
	}
	if c.Stdout != nil || c.Stderr != nil || c.Logger != nil {
		if err := rt.connect(ctx, c); err != nil {
			return err
		}
	}
	for _, m := range c.Modules {
		if err := rt.AddModule(ctx, m); err != nil {
			return err
		}
	}
	for _, fsys := range c.FS {
		if err := rt.AddFS(ctx, fsys); err != nil {
			return err
		}
	}
	return nil
}

// connect sends Python's output and reports where the configuration says.
func (rt *Runtime) connect(ctx context.Context, c Config) error {
	return rt.everywhere(ctx, func(tok *Token) error {
		for name, w := range map[string]io.Writer{"stdout": c.Stdout, "stderr": c.Stderr} {
			if w == nil {
				continue
			}
			if err := handles.Redirect(tok, name, w); err != nil {
				return err
			}
		}
		if c.Logger == nil {
			return nil
		}
		return handles.Report(tok, c.Logger)
	})
}

// everywhere runs f in every interpreter, the main one too: OnMain runs there, also where other work does not
// (mode OwnGIL).
func (rt *Runtime) everywhere(ctx context.Context, f func(*Token) error) error {
	if err := rt.host.EachInterpreter(ctx, f); err != nil || rt.info.Mode != OwnGIL {
		return err
	}
	return rt.host.OnMain(ctx, f)
}

// AddModule makes a Python module of Go functions and values, in every interpreter, for Python code to import. A
// name that is imported already is an error that matches handles.ImportError.
func (rt *Runtime) AddModule(ctx context.Context, m GoModule) error {
	return rt.everywhere(ctx, func(tok *Token) error { return handles.Install(tok, m) })
}

// AddFS has Python import modules and packages from the root of a Go file system, such as an embed.FS: it becomes the last entry
// of sys.path, "<go1>". They are packages like those of a folder: for tracebacks, pkgutil, importlib.resources, importlib.metadata
// (its .dist-info folders), and as parts of namespace packages. Extension modules are not loaded from there.
func (rt *Runtime) AddFS(ctx context.Context, fsys fs.FS) error {
	root := fmt.Sprintf("<go%d>", rt.trees.Add(1))
	return rt.everywhere(ctx, func(tok *Token) error { return handles.InstallFS(tok, fsys, root) })
}

// Info describes the Python that runs.
func (rt *Runtime) Info() Info { return rt.info }

// Stats is a snapshot of the scheduler's figures.
func (rt *Runtime) Stats() scheduler.Stats { return rt.host.Stats() }

// Shutdown refuses new work (ErrClosed), lets queued and running work end until ctx ends, runs Python's
// exit functions, and finalizes Python. It returns ErrShutdownIncomplete, with the names of what was
// still inside, when Python could not be finalized: it then stays initialized and entry is refused.
// A second call returns nil at once.
func (rt *Runtime) Shutdown(ctx context.Context) error {
	return rt.end(ctx, func() (bool, error) { return rt.host.Shutdown(ctx) })
}

func (rt *Runtime) end(ctx context.Context, how func() (flushed bool, err error)) error {
	if !rt.closed.CompareAndSwap(false, true) {
		return nil
	}
	rt.loopMu.Lock()
	loop := rt.loop
	rt.loopMu.Unlock()
	if loop != nil {
		_ = loop.Stop(ctx) // whether it ended, the host's own end tells
	}
	flushed, err := how()
	if err == nil && !flushed {
		err = ErrOutputLost
	}
	return err
}

// ErrOutputLost is a shutdown in which Python could not write its buffered output, as when stdout is a
// closed pipe. Python itself was finalized.
var ErrOutputLost = errors.New("gilt: Python's buffered output could not be written at exit")

// Close is the abrupt Shutdown: work that waits is sent away with ErrClosed, and running work gets a
// second to end.
func (rt *Runtime) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return rt.end(ctx, rt.host.Close)
}

// Loop is the runtime's asyncio event loop, which runs from the first call on, on a thread of its own. Shutdown cancels
// what runs on it and ends it.
func (rt *Runtime) Loop(ctx context.Context) (*handles.Loop, error) {
	rt.loopMu.Lock()
	defer rt.loopMu.Unlock()
	if rt.closed.Load() {
		return nil, ErrClosed
	}
	if rt.loop == nil {
		rt.loop = handles.NewLoop(ctx, rt.host)
	}
	return rt.loop, nil
}
