// Package stress runs a random mix of everything that gilt does, for as long as asked, on one runtime,
// and checks that every operation ends as it must, that nothing grows, and that the runtime shuts down
// under the load.
//
//	go test ./stress                                    # 3 s in each mode
//	go test ./stress -stress.duration=60s -timeout 10m  # what make stress runs
//	go test ./stress -stress.seed=7                     # the same choices again, up to the timing
package stress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"gilt"
)

// Options say what to run.
type Options struct {
	Config   gilt.Config
	Duration time.Duration
	Seed     uint64
	Actors   int            // goroutines that each do one operation after the other
	Only     *regexp.Regexp // operations whose name matches; nil for all
	Log      io.Writer
}

// stall is how long the whole mix may take to end one operation.
const stall = 60 * time.Second

// run is a run under way.
type run struct {
	opt    Options
	ctx    context.Context
	rt     *gilt.Runtime
	funcs  funcs
	bag    chan kept // handles on their way from one actor to another
	tenant []*gilt.Class

	greenlets bool // the package greenlet is installed

	gate    sync.RWMutex // read: an operation runs; write: nothing does
	ended   atomic.Uint64
	counts  []atomic.Uint64 // by operation
	closing atomic.Bool
	quit    atomic.Bool
	failure chan error // the first one counts
	actors  sync.WaitGroup
}

// Run opens Python, runs the mix and shuts Python down. The error says which operation broke what, and
// the seed.
func Run(ctx context.Context, opt Options) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("stress: seed %d: %w", opt.Seed, err)
		}
	}()
	dir, err := os.MkdirTemp("", "gilt-stress")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for name, source := range map[string]string{moduleName: moduleSource, interruptedName: interruptedSource} {
		if err := os.WriteFile(filepath.Join(dir, name+".py"), []byte(source), 0o600); err != nil {
			return err
		}
	}
	opt.Config.Path = append(opt.Config.Path, dir)
	r := &run{opt: opt, ctx: ctx, bag: make(chan kept, 64), failure: make(chan error, 1), counts: make([]atomic.Uint64, len(operations))}
	if r.rt, err = gilt.Open(ctx, opt.Config); err != nil {
		return err
	}
	fmt.Fprintf(opt.Log, "stress: CPython %s, mode %s, seed %d, %v\n", r.rt.Info().Version, r.rt.Info().Mode, opt.Seed, opt.Duration)
	if err = r.prepare(); err == nil {
		err = r.mix()
	}
	return errors.Join(err, r.shutdown(err != nil))
}

func (r *run) prepare() (err error) {
	for i := range 6 {
		c, err := r.rt.WeightedClass(fmt.Sprintf("tenant-%d", i), float64(int(1)<<i))
		if err != nil {
			return err
		}
		r.tenant = append(r.tenant, c)
	}
	if err = r.rt.AddModule(r.ctx, gilt.GoModule{Name: "gilt_stress_host", Funcs: []gilt.GoFunc{{Name: "add", Func: func(a, b int) int { return a + b }}}}); err != nil {
		return err
	}
	if r.funcs, err = lookup(r.ctx, r.rt); err != nil {
		return err
	}
	n, err := r.funcs.greenlets.Call(r.ctx, 1)
	if n == -1 {
		fmt.Fprintln(r.opt.Log, "stress: without greenlets: the package greenlet is not installed")
	} else {
		r.greenlets = true
		fmt.Fprintln(r.opt.Log, "stress: without forks: a lock of greenlet's may be another thread's in a child")
	}
	return err
}

// mix runs the actors. The first fifth of the time warms everything up; what is there then is the level
// that later looks are held to.
func (r *run) mix() error {
	for i := range r.opt.Actors {
		r.actors.Go(func() { r.act(i) })
	}
	start := time.Now()
	warm := r.opt.Duration / 5
	if err := r.wait(warm); err != nil {
		return err
	}
	level, err := r.look(nil)
	if err != nil {
		return err
	}
	r.report(start, level)
	step := max(r.opt.Duration/10, min(r.opt.Duration, 5*time.Second))
	for left := r.opt.Duration - warm; left > 0; left -= step {
		if err := r.wait(min(left, step)); err != nil {
			return err
		}
		now, err := r.look(&level)
		r.report(start, now)
		if err != nil {
			return err
		}
	}
	if n := r.rt.Stats().Jams; n > 0 {
		return fmt.Errorf("the watchdog has told of %d tasks that keep others from Python, and there are none", n)
	}
	for i, op := range operations {
		if r.counts[i].Load() == 0 && r.weight(op) > 0 && r.opt.Duration >= 3*time.Second {
			return fmt.Errorf("operation %s never ended", op.name)
		}
	}
	return nil
}

func (r *run) report(start time.Time, l level) {
	fmt.Fprintf(r.opt.Log, "stress: %4.0fs %9d operations, %v\n", time.Since(start).Seconds(), r.ended.Load(), l)
}

// wait lets the actors work for d; it gives an actor's failure, or says that nothing moves.
func (r *run) wait(d time.Duration) error {
	end := time.After(d)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last, since := r.ended.Load(), time.Now()
	for {
		select {
		case err := <-r.failure:
			return err
		case <-end:
			return nil
		case <-r.ctx.Done():
			return r.ctx.Err()
		case <-tick.C:
			if n := r.ended.Load(); n != last {
				last, since = n, time.Now()
			} else if time.Since(since) > stall {
				return stuck("no operation has ended")
			}
		}
	}
}

// stuck is an error with what all goroutines do.
func stuck(what string) error {
	stacks := make([]byte, 1<<20)
	return fmt.Errorf("%s for %v\n\n%s", what, stall, stacks[:runtime.Stack(stacks, true)])
}

// act is one actor.
func (r *run) act(i int) {
	a := &actor{run: r, random: rand.New(rand.NewPCG(r.opt.Seed, uint64(i))), ctx: r.ctx}
	for !r.quit.Load() {
		n := a.choose()
		r.gate.RLock()
		err := a.try(operations[n])
		r.gate.RUnlock()
		if err != nil {
			if r.closing.Load() && errors.Is(err, gilt.ErrClosed) {
				return
			}
			select {
			case r.failure <- fmt.Errorf("actor %d: %s: %w", i, operations[n].name, err):
			default:
			}
			return
		}
		r.counts[n].Add(1)
		r.ended.Add(1)
	}
}

// shutdown ends the runtime while the actors still work; each ends with ErrClosed. After a failure it
// only tries.
func (r *run) shutdown(failed bool) error {
	limit := 30 * time.Second
	if failed {
		r.quit.Store(true)
		limit = 5 * time.Second
	}
	r.closing.Store(true)
	ctx, cancel := context.WithTimeout(r.ctx, limit)
	defer cancel()
	start := time.Now()
	if err := r.rt.Shutdown(ctx); err != nil || failed {
		return err
	}
	fmt.Fprintf(r.opt.Log, "stress: shut down under load in %v\n", time.Since(start).Round(time.Millisecond))
	ended := make(chan struct{})
	go func() {
		r.actors.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(stall):
		return stuck("after Shutdown an actor is still there")
	}
	select {
	case err := <-r.failure:
		return fmt.Errorf("during Shutdown: %w", err)
	default:
	}
	return r.afterwards()
}

// afterwards checks the closed runtime: work is refused, handles may be released.
func (r *run) afterwards() error {
	for len(r.bag) > 0 {
		(<-r.bag).py.Release()
	}
	if err := r.rt.Do(r.ctx, func(*gilt.Token) error { return nil }); !errors.Is(err, gilt.ErrClosed) {
		return fmt.Errorf("Do after Shutdown gave %w, not ErrClosed", err)
	}
	if _, err := r.funcs.int64.Call(r.ctx, 1); !errors.Is(err, gilt.ErrClosed) {
		return fmt.Errorf("a prepared call after Shutdown gave %w, not ErrClosed", err)
	}
	if _, err := gilt.Submit(r.ctx, r.rt, func(*gilt.Token) (int, error) { return 0, nil }).Wait(r.ctx); !errors.Is(err, gilt.ErrClosed) {
		return fmt.Errorf("Submit after Shutdown gave %w, not ErrClosed", err)
	}
	return nil
}
