package gilt

import (
	"runtime"
	"testing"
)

// The defaults are right on a machine of any size.
func TestNormalise_ManyProcessors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for procs, want := range map[int]int{1: 1, 2: 2, 63: 63, 64: 63, 200: 63} {
		runtime.GOMAXPROCS(procs)
		for mode, freeThreaded := range map[Mode]bool{OwnGIL: false, FreeThreaded: true} {
			if c, err := (Config{Mode: mode}).normalise(freeThreaded); err != nil || c.Interpreters != want || c.Workers != max(4, want) {
				t.Errorf("%d processors, mode %s: %+v, %v; want %d interpreters", procs, mode, c, err, want)
			}
		}
		if c, err := (Config{}).normalise(false); err != nil || c.Interpreters != 1 {
			t.Errorf("%d processors: %+v, %v", procs, c, err)
		}
	}
}
