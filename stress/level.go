package stress

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"

	"gilt"
	"gilt/gil"
	py "gilt/handles"
)

// level is what there is while no operation runs.
type level struct {
	goroutines int
	threads    int   // OS threads, -1 where the system does not tell
	residentKB int   // -1 likewise
	states     []int // thread states, by interpreter
	tracked    int   // Python objects that operations made and must have dropped
	objects    int   // that Python's garbage collector knows, over all interpreters
}

func (l level) String() string {
	return fmt.Sprintf("%d MiB, %d goroutines, %d OS threads, thread states %v, %d Python objects", l.residentKB>>10, l.goroutines, l.threads, l.states, l.objects)
}

// look stops the mix, gives everything back that can be, and counts; from is the level that it is held to, nil for none yet.
func (r *run) look(from *level) (l level, err error) {
	if !r.lockGate() {
		return l, stuck("an operation has not ended")
	}
	defer r.gate.Unlock()
	for len(r.bag) > 0 {
		(<-r.bag).py.Release()
	}
	// Handles that were dropped to the garbage collector are given back by its cleanups, which run some
	// time after it; then the next task drops the objects.
	for end := time.Now().Add(20 * time.Second); ; {
		runtime.GC()
		if l, err = r.count(); err != nil {
			return l, err
		}
		level := l.tracked == 0 && len(l.leaks(r)) == 0
		if level && (from == nil || l.grown(*from) == nil) {
			return l, nil
		}
		if time.Now().After(end) {
			if level {
				return l, l.grown(*from)
			}
			return l, fmt.Errorf("with no operation running there remain: %d tracked Python objects, %v", l.tracked, l.leaks(r))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// lockGate waits until no operation runs; none begins meanwhile.
func (r *run) lockGate() bool {
	locked := make(chan struct{})
	go func() {
		r.gate.Lock()
		close(locked)
	}()
	select {
	case <-locked:
		return true
	case <-time.After(stall):
		return false // the run has failed, and the actors stay where they are
	}
}

// leaks names what may not be more than it is, whenever nothing runs.
func (l level) leaks(r *run) (names []string) {
	info := r.rt.Info()
	if limit := r.opt.Actors + info.Workers + info.Interpreters + 24; l.goroutines > limit {
		names = append(names, fmt.Sprintf("%d goroutines (limit %d)", l.goroutines, limit))
	}
	// An operation may use a few threads, and Go keeps most that it has made.
	if limit := 3*r.opt.Actors + info.Workers + info.Interpreters + 24; l.threads > limit {
		names = append(names, fmt.Sprintf("%d OS threads (limit %d)", l.threads, limit))
	}
	for i, n := range l.states {
		if l.threads >= 0 && n > l.threads {
			names = append(names, fmt.Sprintf("%d thread states of interpreter %d on %d OS threads", n, i, l.threads))
		}
	}
	return names
}

// grown compares with the level after the warm-up.
func (l level) grown(from level) error {
	if l.goroutines > from.goroutines+8 {
		return fmt.Errorf("goroutines grew from %d to %d", from.goroutines, l.goroutines)
	}
	if limit := from.residentKB + from.residentKB/2 + 64<<10; l.residentKB > limit {
		return fmt.Errorf("resident memory grew from %d KiB to %d KiB", from.residentKB, l.residentKB)
	}
	if limit := from.objects + from.objects/10 + 2000; l.objects > limit {
		return fmt.Errorf("Python's objects grew from %d to %d", from.objects, l.objects)
	}
	return nil
}

// count gives back what ended threads and released handles left, in every interpreter, and counts.
func (r *run) count() (l level, err error) {
	var host *gil.Host
	if err := r.rt.Do(r.ctx, func(tok *gilt.Token) error { host = tok.Host(); return nil }); err != nil {
		return l, err
	}
	host.ReapThreads()
	err = host.EachInterpreter(r.ctx, func(tok *gilt.Token) error {
		for tok.Interp().Backlog() > 0 {
			tok.AllowThreads(func() {}) // the next attach drops some
			if _, err := py.EvalAs[int64](tok, "0"); err != nil {
				return err
			}
		}
		m, err := py.Import(tok, moduleName)
		if err != nil {
			return err
		}
		n, err := py.MethodAs[[]int](m, "census")
		if err != nil {
			return err
		}
		l.tracked += n[0]
		l.objects += n[1]
		l.states = append(l.states, tok.Interp().States())
		return nil
	})
	l.goroutines, l.threads, l.residentKB = runtime.NumGoroutine(), status("Threads:"), status("VmRSS:")
	return l, err
}

// status reads a number of /proc/self/status; -1 where there is none.
func status(name string) int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return -1
	}
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte(name)); ok {
			if n, err := strconv.Atoi(string(bytes.Fields(rest)[0])); err == nil {
				return n
			}
		}
	}
	return -1
}
