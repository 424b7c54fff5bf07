package cpython_test

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"gilt/internal/cpython"
	"gilt/internal/pytest"
)

// A pacer that rests is not back before it is armed, whatever runs.
func TestPacer_Rests(t *testing.T) {
	const rest, watch = 0, 2
	in(t, func(it *cpython.Interp, e cpython.Entry) {
		looked := make(chan cpython.Look, 1)
		go func() { looked <- it.PacerWait(rest, 0, 0) }()
		for end := time.Now().Add(20 * time.Millisecond); time.Now().Before(end); {
			run(t, e, "1")
		}
		select {
		case l := <-looked:
			t.Errorf("it came back: %+v", l)
			return
		default:
		}
		pytest.Eventually(t, "an armed pacer comes back", func() bool {
			it.PacerArm(watch) // another pacer of the process may take it
			select {
			case l := <-looked:
				return l.Pace == cpython.PaceTick
			default:
				return false
			}
		})
	})
}

// The pacer stays in C beside a long task while others come and go, and adds up what that task uses: each time that it came back to Go,
// whoever was in C lost his processor of Go's.
func TestPacer_IsQuietBesideALongTask(t *testing.T) {
	const long, short, tend = 1 << 40, 1<<40 + 1, 1
	in(t, func(it *cpython.Interp, e cpython.Entry) { run(t, e, "import sys\nsys.stop = sys.loops = False") })
	var it *cpython.Interp
	in(t, func(i *cpython.Interp, _ cpython.Entry) { it = i })
	exec := func(tag uint64, source string) int64 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		e, status := it.Enter(tag, 0, 0)
		defer e.Leave()
		r := e.Exec(source, "<test>", false, 0, 0, cpython.KindNone)
		if status != cpython.OK || r.Status != cpython.OK {
			t.Error(status, r.Status)
		}
		return e.Exec("__import__('sys').loops", "<test>", true, 0, 0, cpython.KindInt64).Int
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		exec(long, "import sys\nsys.loops = 1\nwhile not sys.stop: pass")
	}()
	defer func() {
		exec(short, "import sys\nsys.stop = True")
		<-ended
	}()
	pytest.Eventually(t, "the long task computes", func() bool { return exec(short, "1") == 1 })
	var returns atomic.Int64
	var enough atomic.Bool
	paced := make(chan struct{})
	began := time.Now()
	go func() {
		defer close(paced)
		for !enough.Load() {
			it.PacerWait(tend, long, 20*time.Millisecond)
			returns.Add(1)
		}
	}()
	var used time.Duration
	pytest.Eventually(t, "the use of the long task is added up", func() bool {
		used += it.Tended()
		return used > 100*time.Millisecond
	})
	for range 200 {
		exec(short, "1")
	}
	enough.Store(true)
	<-paced
	// Each look would be about 1 ms. Where the loop had no processor for long, the GIL looks free.
	if most := 5 + time.Since(began).Milliseconds()/5; returns.Load() > most {
		t.Errorf("the pacer came back %d times in %v, at most %d times were wanted", returns.Load(), time.Since(began), most)
	}
}
