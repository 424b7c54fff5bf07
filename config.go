package gilt

import (
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"runtime"
	"time"
)

// Mode is how the runtime's tokens relate to GILs.
type Mode string

// The modes. Auto is the zero value.
const (
	Auto         Mode = ""              // FreeThreaded on such a build, else GIL
	GIL          Mode = "gil"           // one interpreter, one token
	OwnGIL       Mode = "own-gil"       // several interpreters, each with a GIL and a token of its own (CPython 3.12 on)
	FreeThreaded Mode = "free-threaded" // one interpreter without a GIL, several tokens
)

// Config says which Python to run and how. The zero value works.
type Config struct {
	// Python names an interpreter, a libpython, an installation or a virtual environment; "bundled" is
	// package embedded's. Defaults to the environment variable GILT_PYTHON, an active virtual
	// environment (VIRTUAL_ENV), the bundled Python if package embedded is imported, python3 on PATH. Nothing is taken from the
	// working directory unless it is named: ".venv" names the virtual environment there.
	Python string
	// Verify has Open read every file of the bundled Python and compare it with the hash that was taken when gilt was built, some
	// 0.1 s. What is wrong is written again. Without it Open reads the files that were written since their hashes were last
	// compared. With another Python, of which there are no hashes, it is an error.
	Verify bool
	// Isolated starts Python as python3 -I does: no PYTHON* environment variable counts, no packages and .pth files of the user's site
	// are loaded, and sys.path has no folder of the program or the working directory. For services. GILT_PYTHON and VIRTUAL_ENV still
	// choose which Python runs, unless Python names one.
	Isolated bool
	// Path is put before sys.path, in every interpreter.
	Path []string
	// Modules are Python modules made of Go functions and values: see Runtime.AddModule.
	Modules []GoModule
	// FS are file systems that Python imports from, such as an embed.FS: see Runtime.AddFS.
	FS []fs.FS
	// Stdout and Stderr get what Python code writes to sys.stdout and sys.stderr. Default to the process's own.
	Stdout, Stderr io.Writer
	// Logger gets Python's logging with levels and fields, its warnings, and exceptions that no one can catch: of
	// a __del__, of a thread. Defaults to what Python does itself.
	Logger *slog.Logger
	// Mode defaults to Auto.
	Mode Mode
	// Interpreters is the number of interpreters in mode OwnGIL, and of tokens in mode FreeThreaded.
	// Defaults to GOMAXPROCS, 63 at most. A number above 1 with Mode Auto means OwnGIL.
	Interpreters int
	// Workers is the number of OS threads that run submitted work. Defaults to 4, or to the number of
	// interpreters when that is more.
	Workers int
	// MaxThreads caps the OS threads that are inside Python at once; more work waits. Blocked threads count, and so do
	// those of lost tasks, whose callers were freed (Stats.Lost). Nested tasks do not. Defaults to 256.
	MaxThreads int
	// MaxLong is how many tasks that are known to compute for 1 ms or longer may be inside Python at once,
	// for each GIL; blocked ones do not count. Defaults to 1.
	MaxLong int
	// MaxQueued caps the work that waits, submitted or not; more gets ErrSaturated. ClassConfig.TargetWait bounds
	// how long it waits. Defaults to 65536.
	MaxQueued int
	// Grace is how long Python code that was interrupted may go on, to clean up, before its caller is freed with
	// ErrUninterruptible: 1 ms to 1 hour. A grace in which its thread was given next to no processor, or waited for the
	// GIL, does not count; after 8 of them the caller is freed all the same. Defaults to 50 ms.
	Grace time.Duration
	// Watchdog is after how long a task is reported, to log/slog and in Stats.Jams, that waits in Go code and keeps others
	// from Python meanwhile: a token that is held while its goroutine waits for a channel, a mutex, other work. So are
	// lost tasks (Stats.Lost) that keep others out, by all the threads that MaxThreads allows, and tasks
	// that wait for one another in Go code (package gil's locks, Native functions) and for an import.
	// At least 10 ms. Defaults to 1 s; a negative one reports nothing.
	Watchdog time.Duration
	// TraceHandles notes where each owned handle (a Py) is made, and Shutdown reports, to log/slog, those that were not
	// released, by the places where they were made. What an OnceCell keeps is none of them. For finding leaks: a handle
	// takes some microseconds more.
	TraceHandles bool
	// KeepLocals has errors keep the local variables of their exceptions' frames, for debuggers: f_locals of what Error.Bind gives.
	// Otherwise they go when the exception arrives in Go, unless Python code has the exception too: errors that are dropped
	// would hold much memory, until the garbage collector runs.
	KeepLocals bool
	// MaxValues and MaxBytes bound one conversion between Go and Python, in both directions: the values in lists, tuples and dicts that it
	// may have, and the bytes of its wire form (9 for a number, 9 and their length for texts). A few lines of YAML with aliases may stand
	// for 10^12 values. More is an error that matches handles.ConversionLimitError. Default to 67,108,864 and 1 GiB.
	MaxValues, MaxBytes int
	// Class is what classes are made of that Runtime.Class makes on first use. The zero ClassConfig has
	// weight 1 and no limits of its own.
	Class ClassConfig
	// MaxClasses caps the classes that exist at once. Defaults to 10000.
	MaxClasses int
	// SpareProcs is by how many Open raises GOMAXPROCS, unless the environment variable GOMAXPROCS is set. A
	// goroutine inside Python keeps its processor of Go's until Go's monitor takes it away, so a few that
	// sleep or compute there leave none for the rest of the program for milliseconds. 1 or 2 help programs
	// with much blocking Python or network traffic on few cores; they also let Go's own computing goroutines
	// compete with Python for the cores. Defaults to 0.
	SpareProcs int
	// SwitchInterval is CPython's own, in every interpreter, while a task asks for the GIL: how long a
	// thread that computes may keep it then. Defaults to 50 µs, and is longer the more threads are inside
	// Python. While nobody asks it rests at 1.5 ms, or at what Python code sets, which is at most 5 ms, or this if it is
	// longer: sys.setswitchinterval takes no more.
	SwitchInterval time.Duration
}

// normalise fills the defaults in for a Python of which is known whether it is free-threaded.
func (c Config) normalise(freeThreaded bool) (Config, error) {
	switch c.Mode {
	case Auto:
		c.Mode = GIL
		if freeThreaded {
			c.Mode = FreeThreaded
		} else if c.Interpreters > 1 {
			c.Mode = OwnGIL
		}
	case GIL, OwnGIL, FreeThreaded:
	default:
		return c, fmt.Errorf("gilt: Config.Mode %q: use gil, own-gil or free-threaded, or leave it empty", c.Mode)
	}
	if (c.Mode == FreeThreaded) != freeThreaded {
		return c, fmt.Errorf("gilt: Config.Mode %q: this Python %s", c.Mode, map[bool]string{true: "has no GIL: use free-threaded", false: "is not a free-threaded build: use gil or own-gil"}[freeThreaded])
	}
	if c.Mode == GIL && c.Interpreters > 1 {
		return c, fmt.Errorf("gilt: Config.Interpreters %d with mode gil, which has one: use mode own-gil", c.Interpreters)
	}
	if c.Interpreters == 0 {
		c.Interpreters = min(runtime.GOMAXPROCS(0), maxInterpreters)
	}
	if c.Mode == GIL && c.Interpreters > 0 {
		c.Interpreters = 1 // not GOMAXPROCS
	}
	fill(&c.Workers, max(4, c.Interpreters))
	fill(&c.MaxThreads, 256)
	fill(&c.MaxLong, 1)
	fill(&c.MaxQueued, 65536)
	fill(&c.MaxClasses, 10000)
	fill(&c.MaxValues, 1<<26)
	fill(&c.MaxBytes, 1<<30)
	if c.SwitchInterval == 0 {
		c.SwitchInterval = 50 * time.Microsecond
	}
	if c.Grace == 0 {
		c.Grace = 50 * time.Millisecond
	}
	if c.Watchdog == 0 {
		c.Watchdog = time.Second
	}
	return c, c.check()
}

func fill(n *int, byDefault int) {
	if *n == 0 {
		*n = byDefault
	}
}

// maxInterpreters is what the shim has room for beside the main one (GILT_MAX_INTERPS).
const maxInterpreters = 63

func (c Config) check() error {
	for _, f := range []struct {
		name  string
		value int
		max   int
	}{
		{"Interpreters", c.Interpreters, maxInterpreters}, {"Workers", c.Workers, 1 << 10}, {"MaxThreads", c.MaxThreads, 1 << 13},
		{"MaxValues", c.MaxValues, math.MaxInt}, {"MaxBytes", c.MaxBytes, math.MaxInt},
		{"MaxLong", c.MaxLong, 1 << 13}, {"MaxQueued", c.MaxQueued, 1 << 30}, {"MaxClasses", c.MaxClasses, 1 << 14},
	} {
		if f.value < 1 || f.value > f.max {
			return fmt.Errorf("gilt: Config.%s %d: give 0 for the default, or 1 to %d", f.name, f.value, f.max)
		}
	}
	if c.SpareProcs < 0 || c.SpareProcs > 64 {
		return fmt.Errorf("gilt: Config.SpareProcs %d: give 0 to 64", c.SpareProcs)
	}
	if c.SwitchInterval < time.Microsecond || c.SwitchInterval > time.Minute {
		return fmt.Errorf("gilt: Config.SwitchInterval %v: give 0 for the default, or 1µs to 1m", c.SwitchInterval)
	}
	if c.Watchdog >= 0 && c.Watchdog < 10*time.Millisecond {
		return fmt.Errorf("gilt: Config.Watchdog %v: give 0 for the default, at least 10ms, or a negative one for none", c.Watchdog)
	}
	if c.Grace < time.Millisecond || c.Grace > time.Hour {
		return fmt.Errorf("gilt: Config.Grace %v: give 0 for the default, or 1ms to 1h", c.Grace)
	}
	return nil
}
