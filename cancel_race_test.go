package gilt_test

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

var cancelRaces = flag.Int("cancel.races", 4000, "how many cancellations race with the end of their tasks")

const raceSource = `
import race_host
def work(n):
    s = 0
    for i in range(n): s += i
    return s
def through_go(n):
    return race_host.nested(n) + race_host.plain(n) + work(n)
`

func sum(n int64) int64 { return n * (n - 1) / 2 }

// racer runs tasks of every form whose deadlines pass about when they end.
type racer struct {
	t                                         *testing.T
	rt                                        *gilt.Runtime
	work                                      *gilt.Func[int64, int64]
	through                                   *gilt.Func[int64, int64]
	pinned                                    *gilt.Pinned
	results, waited, late, interrupted, freed atomic.Int64
}

func newRacer(t *testing.T) *racer {
	ctx, rt := context.Background(), pytest.Runtime()
	r := &racer{t: t, rt: rt}
	nested := func(n int64) (int64, error) { return r.work.Call(ctx, n) } // a task of its own, without a deadline
	pytest.AddModule(t, gilt.GoModule{Name: "race_host", Funcs: []gilt.GoFunc{{Name: "nested", Func: nested}, {Name: "plain", Func: sum}}})
	pytest.Install(t, "gilt_race", raceSource)
	var err error
	for name, f := range map[string]**gilt.Func[int64, int64]{"work": &r.work, "through_go": &r.through} {
		if *f, err = gilt.Lookup[int64, int64](ctx, rt, "gilt_race:"+name); err != nil {
			t.Fatal(err)
		}
	}
	if r.pinned, err = rt.Pin(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.pinned.Close)
	return r
}

func (r *racer) in(tok *gilt.Token, n int64) (int64, error) {
	m, err := py.Import(tok, "gilt_race")
	if err != nil {
		return 0, err
	}
	return py.MethodAs[int64](m, "work", n)
}

// forms are the ways to run the work; each gives sum(n).
func (r *racer) forms() []func(ctx context.Context, n int64) (int64, error) {
	do := func(run func(context.Context, func(*gilt.Token) error) error, f func(ctx context.Context, tok *gilt.Token, n int64) (int64, error)) func(context.Context, int64) (int64, error) {
		return func(ctx context.Context, n int64) (v int64, err error) {
			got := make(chan int64, 1) // a caller that was freed must not read what is written later
			err = run(ctx, func(tok *gilt.Token) error {
				v, err := f(ctx, tok, n)
				got <- v
				return err
			})
			if err == nil {
				v = <-got
			}
			return v, err
		}
	}
	plain := func(_ context.Context, tok *gilt.Token, n int64) (int64, error) { return r.in(tok, n) }
	return []func(context.Context, int64) (int64, error){
		r.work.Call,
		func(ctx context.Context, n int64) (int64, error) {
			return r.work.Call(gilt.WithCancellation(ctx, gilt.OnCancel), n)
		},
		func(ctx context.Context, n int64) (int64, error) {
			v, err := r.through.Call(ctx, n)
			return v / 3, err
		},
		do(r.rt.Do, plain),
		do(r.rt.Do, func(_ context.Context, tok *gilt.Token, n int64) (v int64, err error) {
			tok.AllowThreads(func() { v, err = r.work.Call(context.Background(), n) })
			if err != nil {
				return 0, errors.Join(errStray, err)
			}
			return r.in(tok, n)
		}),
		do(r.pinned.Do, plain),
		func(ctx context.Context, n int64) (int64, error) {
			return gilt.Submit(ctx, r.rt, func(tok *gilt.Token) (int64, error) { return r.in(tok, n) }).Wait(context.Background())
		},
		func(ctx context.Context, n int64) (int64, error) {
			v, errs := r.work.Batch(ctx, []int64{n, n, n})
			return v[2], errors.Join(errs...)
		},
	}
}

var errStray = errors.New("an exception in a task that nobody cancels")

// one is one race.
func (r *racer) one(form func(context.Context, int64) (int64, error)) {
	n := rand.Int64N(8000)
	deadline := time.Now().Add(time.Duration(rand.IntN(500)) * time.Microsecond)
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	v, err := form(ctx, n)
	switch {
	case err == nil && v == sum(n):
		r.results.Add(1)
	case err == nil:
		r.t.Errorf("the sum of %d numbers is %d", n, v)
	case errors.Is(err, gilt.ErrLate):
		r.late.Add(1)
	case errors.Is(err, errStray) || time.Now().Before(deadline):
		r.t.Errorf("before the deadline, or in another task: %v", err)
	case errors.Is(err, gilt.ErrUninterruptible):
		r.freed.Add(1)
	case errors.Is(err, py.Cancelled):
		r.interrupted.Add(1)
	case errors.Is(err, context.DeadlineExceeded):
		r.waited.Add(1)
	default:
		r.t.Errorf("neither a result nor an interruption: %v", err)
	}
}

// Cancellations that race with the ends of tasks hit their own tasks only.
func TestCancellationsRaceWithCompletion(t *testing.T) {
	r := newRacer(t)
	forms := r.forms()
	var left atomic.Int64
	left.Store(int64(*cancelRaces))
	var racers, bystanders sync.WaitGroup
	for range 8 {
		racers.Go(func() {
			for i := left.Add(-1); i >= 0; i = left.Add(-1) {
				r.one(forms[int(i)%len(forms)])
			}
		})
	}
	done := make(chan struct{})
	for range 2 {
		bystanders.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if v, err := r.through.Call(context.Background(), 500); err != nil || v != 3*sum(500) {
					t.Errorf("a task that nobody cancels: %d, %v", v, err)
				}
			}
		})
	}
	racers.Wait()
	close(done)
	bystanders.Wait()
	t.Logf("%d results, %d gave up waiting, %d were refused, %d interrupted, %d freed", r.results.Load(), r.waited.Load(), r.late.Load(), r.interrupted.Load(), r.freed.Load())
	if r.results.Load() == 0 || r.interrupted.Load() == 0 {
		t.Error("no race: all ended in the same way")
	}
	pytest.Eventually(t, "lost threads came back", func() bool { return len(r.rt.Stats().Lost) == 0 })
}
