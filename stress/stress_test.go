package stress

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gilt"
	_ "gilt/embedded"
	"gilt/internal/discover"
)

var (
	duration = flag.Duration("stress.duration", 3*time.Second, "how long the mix runs in each mode")
	seed     = flag.Uint64("stress.seed", 0, "the seed of the mix; 0 for a new one")
	actors   = flag.Int("stress.actors", 24, "goroutines in the mix")
	python   = flag.String("stress.python", "", "the Python, as Config.Python")
	only     = flag.String("stress.only", "", "only operations whose name matches this regular expression")
	child    = flag.String("stress.mode", "", "run one mode in this process")
)

var modes = []struct {
	name   string
	config gilt.Config
}{
	{"gil", gilt.Config{}},
	{"own-gil", gilt.Config{Mode: gilt.OwnGIL, Interpreters: 2}},
	// Few threads may be inside Python, so that work waits for a place as well as for its turn.
	{"few-threads", gilt.Config{MaxThreads: 4, Workers: 2}},
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A process opens Python once: each mode runs in a child, which is this test with -stress.mode.
func TestStress(t *testing.T) {
	if *child == "" {
		for _, mode := range modes {
			t.Run(mode.name, func(t *testing.T) { inChild(t, mode.name) })
		}
		return
	}
	for _, mode := range modes {
		if mode.name != *child {
			continue
		}
		c := mode.config
		c.Python = *python
		if p, err := discover.Find(t.Context(), discover.Options{Python: *python}); err == nil && c.Mode == gilt.OwnGIL && p.Minor != 0 && p.Minor < 12 {
			t.Skipf("CPython %s has no interpreters with a GIL of their own: that takes 3.12", p.Version)
		}
		opt := Options{Config: c, Duration: *duration, Seed: *seed, Actors: *actors, Log: os.Stdout}
		if *only != "" {
			opt.Only = regexp.MustCompile(*only)
		}
		err := Run(context.Background(), opt)
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("-stress.mode=%s: there is no such mode", *child)
}

func inChild(t *testing.T, mode string) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := *seed
	if s == 0 {
		s = uint64(time.Now().UnixNano())
	}
	limit := *duration + 4*time.Minute
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestStress$", "-test.timeout="+limit.String(), "-stress.mode="+mode,
		"-stress.duration="+duration.String(), fmt.Sprintf("-stress.seed=%d", s), fmt.Sprintf("-stress.actors=%d", *actors), "-stress.python="+*python, "-stress.only="+*only)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "GOTRACEBACK=all")
	if err := cmd.Run(); err != nil {
		t.Errorf("mode %s, -stress.seed=%d: %v", mode, s, err)
	}
}
