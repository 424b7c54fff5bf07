package parallel

import "runtime"

// Options say how a stage runs. The zero value works.
type Options struct {
	// Ordered gives the results in the order of the input; else they come as they finish.
	Ordered bool
	// Workers is how many records a stage works on at once. Defaults to GOMAXPROCS-1, at least 1, for
	// native stages, so that a goroutine that comes back from Python finds a processor; to twice
	// GOMAXPROCS for Python stages. Python that waits (sleeps, does I/O) gains from more; more than the
	// runtime's Config.MaxThreads gains nothing.
	Workers int
	// Window is how many records are in the stage at once: read from the input and not yet taken by the
	// loop. Defaults to 64, or to 16 times Workers when that is more.
	Window int
	// OnError says what follows the error of a record, or of the input. Defaults to Stop.
	OnError ErrorPolicy
}

// ErrorPolicy says what a stage does after an error of a record or of the input.
type ErrorPolicy uint8

// The policies.
const (
	Stop  ErrorPolicy = iota // give the error and end
	Yield                    // give the error and go on
	Skip                     // drop the failing record in silence and go on; the input's own errors are given
)

func (o Options) normalise(workers int) Options {
	if o.Workers <= 0 {
		o.Workers = max(workers, 1)
	}
	if o.Window <= 0 {
		o.Window = max(64, 16*o.Workers)
	}
	return o
}

func nativeWorkers() int { return runtime.GOMAXPROCS(0) - 1 }

func pythonWorkers() int { return 2 * runtime.GOMAXPROCS(0) }
