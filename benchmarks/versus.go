package benchmarks

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"gilt"
	"gilt/benchmarks/naive"
)

// This file asks whether gilt is ever worse than what a user would take instead: a plain semaphore, the raw
// GIL, or the raw GIL that is asked for more often. docs/versus.md says how to read the answer.

// contender is a side of versus.
type contender struct {
	system
	interval int64 // the switch interval in µs; 0 for the runtime's own
	do       func(ctx context.Context, o operation, n int64) error
}

const (
	behindSemaphore = "semaphore"
	rawQuick        = "raw_100us"
)

// versusSides are the labels of the contenders, gilt's first.
var versusSides = []string{ours, behindSemaphore, raw, rawQuick}

func (e *env) contenders() []contender {
	guarded, usual, quick := rawGIL(), rawGIL(), rawGIL()
	guarded.label, guarded.start = behindSemaphore, goroutine
	quick.label = rawQuick
	byItself := func(_ context.Context, o operation, n int64) error {
		o.raw(n)
		return nil
	}
	return []contender{
		{e.gilt(), 0, func(ctx context.Context, o operation, n int64) error { return o.gilt(ctx, n) }},
		{guarded, usualInterval, e.semaphored()},
		{usual, usualInterval, byItself},
		{quick, 100, byItself},
	}
}

// under runs f under the side's switch interval.
func (c contender) under(e *env, f func() error) error {
	if c.interval == 0 {
		return f()
	}
	return e.switching(c.interval, f)
}

// semaphored enters Python one at a time. Its callers are goroutines, as they need a thread only while they have
// the semaphore. gilt keeps a thread state on each thread that it has used, and raw entry finds that: so a
// thread that is new is shown to gilt first, and the semaphore's side does not pay for making thread states.
func (e *env) semaphored() func(ctx context.Context, o operation, n int64) error {
	one := semaphore.NewWeighted(1)
	return func(ctx context.Context, o operation, n int64) error {
		if err := one.Acquire(ctx, 1); err != nil {
			return err
		}
		defer one.Release(1)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if !naive.Known() {
			if err := e.call(0); err != nil {
				return err
			}
		}
		o.raw(n)
		return nil
	}
}

// versus is a workload of groups of callers.
type versus struct {
	name, what string
	groups     []group
	beside     alongside
	windows    float64           // of three times --round-ms in a round; 1 by default
	rounds     int               // at most; 3 by default
	cannot     map[string]string // the sides that cannot run it, and why
	round      func(e *env, c contender) ([]figure, error)
}

// group is callers that do the same, each one call after the other.
type group struct {
	name     string
	callers  int
	weight   float64                      // of the class; 1 by default
	apart    bool                         // each caller has a class of its own
	deadline time.Duration                // of each call
	rest     func(call int) time.Duration // after each call

	function string  // one of taskFunctions; work by default
	micros   float64 // for a function that counts: how long a call computes
	rare     float64 // how long one call in a hundred does instead
	arg      int64   // for one that does not
	// operation is what a call does when it is more than to call the function.
	operation func(e *env) operation
}

// operation is what a call does, by gilt and by raw entry.
type operation struct {
	gilt func(ctx context.Context, n int64) error
	raw  func(n int64)
}

// alongside is what goes on beside the groups while f runs; its own speed is added to speed.
type alongside func(e *env, s system, speed *rate, f func() error) error

// mostThreads is how many callers of a group the raw sides have at most, as each is an OS thread.
const mostThreads = 512

// run measures all sides in turn.
func (v versus) run(e *env) (result, error) {
	e = e.atMost(cmp.Or(v.rounds, 3))
	round := v.round
	if round == nil {
		players, err := v.players(e)
		if err != nil {
			return result{}, err
		}
		round = func(e *env, c contender) ([]figure, error) { return v.play(e, c, players) }
	}
	t := &table{what: v.what, cannot: v.cannot}
	var sides []side
	for _, c := range e.contenders() {
		if v.cannot[c.label] != "" {
			continue
		}
		sides = append(sides, side{c.label, func() (float64, error) {
			figures, err := round(e, c)
			t.add(c.label, figures)
			return 0, err
		}})
	}
	_, err := e.interleave(sides...)
	return result{table: t}, err
}

// player is a group on this machine.
type player struct {
	group
	operation operation
	perMicro  float64           // steps of the function in 1 µs
	ctxs      []context.Context // with the group's class, or a class for each caller
}

// probes are the functions that count, and the n by which their speed is found.
var probes = map[string]int64{"work": 20_000, "work_long": 20_000, "keep_gil": 200_000, "backtrack": 200_000}

func (v versus) players(e *env) (all []*player, err error) {
	perMicro := make(map[string]float64)
	for _, g := range v.groups {
		p := &player{group: g}
		p.function = cmp.Or(p.function, "work")
		if probe := probes[p.function]; probe > 0 && perMicro[p.function] == 0 {
			steps, err := e.steps(p.function, probe, time.Millisecond)
			if err != nil {
				return nil, err
			}
			perMicro[p.function] = float64(steps) / 1000
		}
		p.perMicro = perMicro[p.function]
		p.operation = e.calling(p.function)
		if g.operation != nil {
			p.operation = g.operation(e)
		}
		weights := make([]float64, 1)
		if g.apart {
			weights = make([]float64, g.callers)
		}
		for i := range weights {
			weights[i] = cmp.Or(g.weight, 1)
		}
		if p.ctxs, err = e.classes("versus-"+v.name+"-"+g.name, weights...); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// calling is the operation that calls a function.
func (e *env) calling(function string) operation {
	f := e.tasks[function]
	return operation{
		gilt: func(ctx context.Context, n int64) error {
			_, err := f.Call(ctx, n)
			return err
		},
		raw: func(n int64) { naive.Call(function, n, func() {}) },
	}
}

// play is one round of one side.
func (v versus) play(e *env, c contender, players []*player) ([]figure, error) {
	var callers []*caller
	for _, p := range players {
		n := p.callers
		if c.interval > 0 && c.label != behindSemaphore {
			n = min(n, mostThreads)
		}
		for i := range n {
			callers = append(callers, &caller{player: p, ctx: p.ctxs[i%len(p.ctxs)], random: rand.New(rand.NewPCG(uint64(i), 1))})
		}
	}
	var took time.Duration
	var speed rate
	run := func() (err error) {
		w := time.Duration(cmp.Or(v.windows, 1) * float64(3*e.round))
		_, took, err = contend(len(callers), c.start, w, func(i int) error { return callers[i].call(c) })
		return err
	}
	besides := func() error {
		if v.beside == nil {
			return run()
		}
		return v.beside(e, c.system, &speed, run)
	}
	err := c.under(e, besides)
	return v.figures(players, callers, took, &speed), err
}

// caller is one of a group's callers in one round.
type caller struct {
	*player
	ctx    context.Context
	random *rand.Rand
	called int

	waits []float64 // of each call, from its start to its end, in ns
	ended int       // calls that ended, in time if they have a deadline
	done  float64   // µs of Python in those
}

// call is a call and the rest after it. The first is as short as it can be and does not count: it may have to make
// an OS thread.
func (c *caller) call(by contender) error {
	first := c.called == 0
	micros := c.micros
	if c.rare > 0 && c.random.IntN(100) == 0 {
		micros = c.rare
	}
	n := c.arg
	if n == 0 {
		n = int64(micros * c.perMicro)
	}
	if first {
		n = 1
	}
	wait, err := c.timed(by, max(n, 1))
	inTime := err == nil && (c.deadline == 0 || wait <= c.deadline)
	if c.deadline > 0 && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, gilt.ErrSaturated)) {
		err = nil
	}
	if c.called++; first || err != nil {
		return err
	}
	c.waits = append(c.waits, float64(wait))
	if inTime {
		c.ended++
		c.done += micros
	}
	if c.rest != nil {
		time.Sleep(c.rest(c.called))
	}
	return nil
}

func (c *caller) timed(by contender, n int64) (time.Duration, error) {
	t := time.Now()
	ctx := c.ctx
	if c.deadline > 0 {
		limited, cancel := context.WithTimeout(ctx, c.deadline)
		defer cancel()
		ctx = limited
	}
	err := by.do(ctx, c.operation, n)
	return time.Since(t), err
}

// figures are those of a round. The throughput is that of the workload: what part of it a group has is for the
// weights to decide.
func (v versus) figures(players []*player, callers []*caller, took time.Duration, speed *rate) (all []figure) {
	seconds := max(took.Seconds(), 1e-9)
	if len(players) > 1 {
		busy := 0.0
		for _, c := range callers {
			busy += c.done
		}
		all = append(all, figure{name: "busy", more: true, value: busy / 1e6 / seconds})
	}
	if speed.n > 0 {
		all = append(all, figure{name: "beside_per_s", more: true, value: speed.perSecond()})
	}
	for _, p := range players {
		n, ended := 0, 0
		var waits []float64
		for _, c := range callers {
			if c.player == p {
				n++
				ended += c.ended
				waits = append(waits, c.waits...)
			}
		}
		name := func(what string) string { return p.name + "_" + what }
		if len(players) == 1 {
			name = func(what string) string { return what }
		}
		all = append(all, figure{name: name("ops_per_s"), more: true, part: len(players) > 1, value: float64(ended) / seconds})
		if n == p.callers { // the waits of fewer callers are no match
			all = append(all, waitsOf(name, waits)...)
		}
	}
	return all
}

func waitsOf(name func(string) string, ns []float64) (all []figure) {
	for _, q := range []struct {
		what string
		p    float64
	}{{"p50_us", 0.5}, {"p99_us", 0.99}, {"max_us", 1}} {
		all = append(all, figure{name: name(q.what), value: quantile(ns, q.p) / 1e3})
	}
	return all
}

// versusWord begins the names of these workloads.
const versusWord = "versus"

// versusChoices are the workloads of versus for --run, which has none of them unless the expression has the word: they take minutes.
func versusChoices(expression string) (all []workload) {
	if !strings.Contains(expression, versusWord) {
		return nil
	}
	for _, v := range versusWorkloads() {
		all = append(all, workload{versusWord + "/" + v.name, v.what, v.run})
	}
	return all
}
