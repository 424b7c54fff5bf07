package scheduler

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// ops reads a random sequence of steps from bytes and runs them on a rig.
type ops struct {
	data []byte
	at   int
}

func (o *ops) next() int {
	if o.at >= len(o.data) {
		return 0
	}
	o.at++
	return int(o.data[o.at-1])
}

func (o *ops) setUp(tb testing.TB) *rig {
	lanes := []int{1, 1, 2, 3}[o.next()%4]
	inFlight := []int{1 << 20, 1 << 20, 4, 2, 1, 8}[o.next()%6]
	r := newRig(tb, Config{Lanes: lanes, MaxInFlight: inFlight, MaxQueued: 40}, o.next()%3 > 0)
	for i := range o.next() % 4 {
		r.class(fmt.Sprint("c", i), ClassConfig{
			Weight:      []float64{1, 1, 2, 10}[o.next()%4],
			MaxInFlight: []int{0, 0, 0, 1, 2}[o.next()%5],
			MaxQueued:   []int{0, 0, 5}[o.next()%3],
			TargetWait:  []time.Duration{0, 0, time.Millisecond}[o.next()%3],
		}).hurry()
	}
	return r
}

// hurry makes a class with a target shed after times that a test's steps take.
func (c *Class) hurry() {
	if c.target != 0 {
		c.target, c.interval = 20*us, 40*us
	}
}

func (o *ops) task(r *rig, want func(*task) bool) *task {
	if len(r.tasks) == 0 {
		return nil
	}
	start := o.next() % len(r.tasks)
	for i := range r.tasks {
		if t := r.tasks[(start+i)%len(r.tasks)]; want(t) {
			return t
		}
	}
	return nil
}

func (o *ops) step(r *rig) {
	r.now += int64(o.next() * 50)
	running := func(t *task) bool { return t.state == primary || t.state == lapsed }
	held := []int64{0, 100, 3_000, 40_000, 250_000, 8_000_000}
	switch op := o.next() % 16; op {
	case 0, 1, 2, 3:
		lane, deadline := anyLane, int64(0)
		if n := o.next(); n%4 == 0 {
			lane = n / 4 % len(r.s.lanes)
		}
		if n := o.next(); n%4 == 0 {
			deadline = r.now + int64(n*1000) + 1
		}
		r.ask(r.classes[o.next()%len(r.classes)], lane, deadline)
	case 4, 5, 6, 7, 8:
		if t := o.task(r, running); t != nil {
			r.release(t, held[o.next()%len(held)])
		}
	case 9:
		if t := o.task(r, running); t != nil {
			r.suspend(t, held[o.next()%len(held)])
		}
	case 10:
		if t := o.task(r, func(t *task) bool { return t.state == suspended }); t != nil {
			r.resume(t)
		}
	case 11:
		if t := o.task(r, func(t *task) bool { return t.state == queued }); t != nil {
			r.cancel(t, context.Canceled)
		}
	case 12:
		if lane := o.next() % len(r.s.lanes); r.armed[lane] {
			r.lapse(lane)
		}
	default:
		if ts := r.awake(); len(ts) > 0 {
			r.run(ts[o.next()%len(ts)])
		}
	}
}

func runOps(tb testing.TB, data []byte) {
	o := &ops{data: data}
	r := o.setUp(tb)
	for o.at < len(o.data) {
		o.step(r)
	}
	r.finish()
}

func TestRandomSequences(t *testing.T) {
	n := 1500
	if testing.Short() {
		n = 300
	}
	for seed := range n {
		t.Run("", func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(uint64(seed), 1))
			data := make([]byte, 200+rnd.IntN(800))
			for i := range data {
				data[i] = byte(rnd.Uint32())
			}
			defer func() {
				if t.Failed() {
					t.Logf("seed %d", seed)
				}
			}()
			runOps(t, data)
		})
	}
}

func FuzzSequences(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("acquire, release, suspend, resume, lapse, cancel, close"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4096 {
			t.Skip("long enough")
		}
		runOps(t, data)
	})
}
