package parallel

import (
	"context"
	"errors"
	"iter"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
)

// stage moves records through two rings: a feeder reads the input into in, workers claim records in
// order and put their results into out, the consumer takes them. Positions only grow:
//
//	yielded ≤ claimed ≤ read ≤ yielded + window
//
// There is no lock and no channel a record: a goroutine parks only when it has nothing to do, and workers
// that find nothing end. (BenchmarkNative has the same over channels beside it.)
type stage[T, U any] struct {
	fn     func(context.Context, T) (U, error)
	start  func(work func()) error
	o      Options
	window uint64
	mask   uint64
	in     []input[T]
	out    []output[U]

	outer    context.Context // the caller's
	ctx      context.Context // ends also when the consumer leaves
	cancel   context.CancelFunc
	feeding  sync.WaitGroup
	working  sync.WaitGroup
	feeder   parking
	consumer parking

	_        cacheLine
	read     atomic.Uint64 // records in the in ring so far; the feeder writes it
	ended    atomic.Bool   // read is final
	_        cacheLine
	claimed  atomic.Uint64 // records that workers have taken
	_        cacheLine
	finished atomic.Uint64 // unordered: places given out in the out ring
	_        cacheLine
	yielded  atomic.Uint64 // results that the consumer has taken; it writes it
	_        cacheLine
	active   atomic.Int64 // workers that may claim
	_        cacheLine
}

type cacheLine [64]byte

type input[T any] struct {
	next  atomic.Uint64 // the position that this place is free for
	value T
	err   error
}

type output[U any] struct {
	ready atomic.Uint64 // 1 + the position of the result that is here
	value U
	err   error
}

func newStage[T, U any](ctx context.Context, fn func(context.Context, T) (U, error), start func(func()) error, o Options) *stage[T, U] {
	size := uint64(1) << bits.Len(uint(o.Window-1))
	s := &stage[T, U]{
		fn: fn, start: start, o: o, window: uint64(o.Window), mask: size - 1,
		in: make([]input[T], size), out: make([]output[U], size), outer: ctx,
	}
	for i := range s.in {
		s.in[i].next.Store(uint64(i))
	}
	s.feeder.wake, s.consumer.wake = make(chan struct{}, 1), make(chan struct{}, 1)
	s.ctx, s.cancel = context.WithCancel(ctx)
	return s
}

// run is the consumer: it gives the results to yield until one of the two has had enough.
func (s *stage[T, U]) run(in iter.Seq2[T, error], yield func(U, error) bool) {
	defer s.stop() // also when yield panics
	s.feeding.Go(func() { s.feed(in) })
	for {
		v, err, ok := s.next()
		if !ok {
			return
		}
		if errors.Is(err, errSkipped) {
			continue
		}
		if p, ok := err.(raised); ok { //nolint:errorlint // made here, never wrapped
			s.stop()
			panic(p.PanicError)
		}
		if err != nil && s.outer.Err() != nil {
			s.stop()
			yield(v, s.outer.Err())
			return
		}
		if !yield(v, err) || err != nil && s.o.OnError == Stop {
			return
		}
	}
}

// stop ends the goroutines and waits for them.
func (s *stage[T, U]) stop() {
	s.cancel()
	s.feeding.Wait()
	s.working.Wait()
}

// next takes the next result; it is the context's error when that has ended. ok is false at the end.
func (s *stage[T, U]) next() (v U, err error, ok bool) {
	y := s.yielded.Load()
	o := &s.out[y&s.mask]
	for spins := 0; o.ready.Load() != y+1; spins++ {
		if s.ended.Load() && s.read.Load() == y {
			return v, nil, false
		}
		if spins < 2 { // a result may be nanoseconds away
			runtime.Gosched()
		} else if !s.consumer.park(s.ctx, func() bool {
			return o.ready.Load() == y+1 || s.ended.Load() && s.read.Load() == y
		}) {
			return v, s.ctx.Err(), true
		}
	}
	if err := s.ctx.Err(); err != nil {
		return v, err, true
	}
	v, err = o.value, o.err
	var zero U
	o.value, o.err = zero, nil
	s.yielded.Store(y + 1)
	// A feeder that waits for room is woken when half the window is free or the workers want records, not each time.
	if s.feeder.waiting.Load() {
		if read := s.read.Load(); 2*(read-y-1) <= s.window || read == s.claimed.Load() {
			s.feeder.unpark()
		}
	}
	return v, err, true
}

// feed is the feeder: it reads the input as far as the window allows.
func (s *stage[T, U]) feed(in iter.Seq2[T, error]) {
	returned := false
	stopped := false
	defer func() {
		if !returned {
			err := interrupted(recover())
			if stopped = !s.room(); !stopped {
				var zero T
				s.put(zero, err)
			}
		}
		if !stopped { // else the consumer has left, or finds the context's error
			s.ended.Store(true)
			s.consumer.unpark()
		}
	}()
	stopped = !s.room()
	if !stopped {
		for v, err := range in {
			s.put(v, err)
			if stopped = !s.room(); stopped {
				break
			}
		}
	}
	returned = true
}

// room waits until a record may be read; false when the stage is stopped.
func (s *stage[T, U]) room() bool {
	free := func() bool { return s.read.Load()-s.yielded.Load() < s.window }
	for !free() {
		if !s.feeder.park(s.ctx, free) {
			return false
		}
	}
	return s.ctx.Err() == nil
}

func (s *stage[T, U]) put(v T, err error) {
	i := s.read.Load()
	p := &s.in[i&s.mask]
	for p.next.Load() != i { // its last worker has claimed it and is copying it out
		runtime.Gosched()
	}
	p.value, p.err = v, err
	s.read.Store(i + 1)
	if s.enlist() {
		s.launch()
	}
}

func (s *stage[T, U]) queued() bool { return s.claimed.Load() < s.read.Load() }

// enlist counts one more worker if records wait and not all workers run.
func (s *stage[T, U]) enlist() bool {
	for s.queued() {
		n := s.active.Load()
		if n >= int64(s.o.Workers) {
			return false
		}
		if s.active.CompareAndSwap(n, n+1) {
			return true
		}
	}
	return false
}

func (s *stage[T, U]) launch() {
	s.working.Add(1)
	if err := s.start(s.work); err != nil {
		go s.work() // a pool that cannot is no reason to stop
	}
}

// work is a worker: it works records off until none waits.
func (s *stage[T, U]) work() {
	returned := false
	defer s.working.Done()
	defer func() {
		if returned {
			return
		}
		s.active.Add(-1)
		if s.enlist() {
			s.launch() // for this goroutine, which is ending
		}
	}()
	for {
		for s.ctx.Err() == nil {
			i, v, err, ok := s.claim()
			if !ok {
				break
			}
			s.process(i, v, err)
		}
		// A record that came after the look and before the count finds its worker here.
		s.active.Add(-1)
		if s.ctx.Err() != nil || !s.enlist() {
			break
		}
	}
	returned = true
}

func (s *stage[T, U]) claim() (i uint64, v T, err error, ok bool) {
	for {
		i = s.claimed.Load()
		if i >= s.read.Load() {
			return i, v, nil, false
		}
		if s.claimed.CompareAndSwap(i, i+1) {
			break
		}
	}
	p := &s.in[i&s.mask]
	v, err = p.value, p.err
	var zero T
	p.value, p.err = zero, nil
	p.next.Store(i + s.mask + 1)
	return i, v, err, true
}

// process works one record off. Its result is put also when fn panics or calls runtime.Goexit.
func (s *stage[T, U]) process(i uint64, v T, err error) {
	var result U
	if err != nil { // of the input
		s.finish(i, result, err)
		return
	}
	returned := false
	defer func() {
		if !returned {
			err = interrupted(recover())
		}
		if _, panicked := err.(raised); err != nil && !panicked { //nolint:errorlint // made here, never wrapped
			var zero U
			result = zero
			if err = error(&RecordError{Index: int64(i), Input: v, Err: err}); s.o.OnError == Skip {
				err = errSkipped
			}
		}
		s.finish(i, result, err)
	}()
	result, err = s.fn(s.ctx, v)
	returned = true
}

func (s *stage[T, U]) finish(i uint64, v U, err error) {
	if !s.o.Ordered {
		i = s.finished.Add(1) - 1
	}
	o := &s.out[i&s.mask]
	o.value, o.err = v, err
	o.ready.Store(i + 1)
	if i == s.yielded.Load() {
		s.consumer.unpark()
	}
}

// parking is where one goroutine waits for another's news.
type parking struct {
	waiting atomic.Bool
	wake    chan struct{}
}

// park waits for unpark, or returns at once when the news is there already; false when ctx has ended.
// The caller looks again for what it waits for: a wake may be an old one.
func (p *parking) park(ctx context.Context, news func() bool) bool {
	p.waiting.Store(true)
	if news() {
		p.waiting.Store(false)
		return true
	}
	select {
	case <-p.wake:
		return true
	case <-ctx.Done():
		p.waiting.Store(false)
		return false
	}
}

func (p *parking) unpark() {
	if p.waiting.Load() && p.waiting.CompareAndSwap(true, false) {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}
