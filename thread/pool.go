package thread

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
)

// ErrPoolFull is a queue of submitted work that has no room.
var ErrPoolFull = errors.New("gilt: the queue of submitted work is full")

// ErrPoolClosed is work submitted after Close.
var ErrPoolClosed = errors.New("gilt: the worker pool is closed")

// Job is one piece of submitted work. A worker calls Ready before it runs it, which waits for whatever
// the job needs (a grant), and then Run. Between the two another worker may be woken, so that work goes
// on when a job turns out to be long.
type Job interface {
	Ready() bool // false: the job has ended without running (cancelled while it waited)
	Run()
}

// Pool is a fixed number of goroutines, each locked to an OS thread of its own, that run submitted jobs
// in order of arrival. While one worker drains short jobs the others sleep; one more waits beside it for
// its turn (Ready), so that a job that blocks or computes for long does not hold up the rest.
type Pool struct {
	mu      sync.Mutex
	wake    *sync.Cond
	queue   []Job // ring
	head, n int
	max     int
	idle    int
	queued  atomic.Int32 // = n, for a look without the lock
	waiting int          // workers inside Ready
	closed  bool
	workers sync.WaitGroup
}

// NewPool starts the workers; queued jobs beyond max are refused.
func NewPool(workers, max int) *Pool {
	p := &Pool{max: max, queue: make([]Job, 64)}
	p.wake = sync.NewCond(&p.mu)
	for range workers {
		p.workers.Go(p.work)
	}
	return p
}

// Submit queues j.
func (p *Pool) Submit(j Job) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrPoolClosed
	}
	if p.n == p.max {
		return ErrPoolFull
	}
	if p.n == len(p.queue) {
		p.growLocked()
	}
	p.queue[(p.head+p.n)%len(p.queue)] = j
	p.n++
	p.queued.Store(int32(p.n))
	p.wakeLocked()
	return nil
}

func (p *Pool) growLocked() {
	q := make([]Job, 2*len(p.queue))
	for i := range p.n {
		q[i] = p.queue[(p.head+i)%len(p.queue)]
	}
	p.queue, p.head = q, 0
}

// wakeLocked keeps one worker waiting for its turn while there is work, and not more.
func (p *Pool) wakeLocked() {
	if p.n > 0 && p.waiting == 0 && p.idle > 0 {
		p.idle--
		p.waiting++
		p.wake.Signal()
	}
}

// work is one worker. A job that calls runtime.Goexit ends the goroutine and its OS thread; another
// worker takes its place.
func (p *Pool) work() {
	runtime.LockOSThread()
	ended := false
	defer func() {
		if !ended {
			p.workers.Go(p.work)
		}
	}()
	for {
		p.look()
		j := p.next()
		if j == nil {
			ended = true
			return
		}
		p.run(j)
	}
}

// look waits some microseconds for a job before the worker goes to sleep: to wake a goroutine that is
// locked to its OS thread takes two thread switches, and more work often comes at once.
func (p *Pool) look() {
	const looks = 2000 // some 2 µs
	for range looks {
		if p.queued.Load() > 0 {
			return
		}
	}
}

// next waits for a job; nil means that the pool is closed and empty. The worker counts as waiting for
// its turn until run has had the job's Ready.
func (p *Pool) next() Job {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n > 0 {
		p.waiting++
	}
	for p.n == 0 {
		if p.closed {
			return nil
		}
		p.idle++
		p.wake.Wait() // whoever wakes this worker counts it out of idle and into waiting
		if p.n == 0 {
			p.waiting--
		}
	}
	j := p.queue[p.head]
	p.queue[p.head] = nil
	p.head = (p.head + 1) % len(p.queue)
	p.n--
	p.queued.Store(int32(p.n))
	return j
}

func (p *Pool) run(j Job) {
	ready := j.Ready()
	p.mu.Lock()
	p.waiting--
	p.wakeLocked()
	p.mu.Unlock()
	if ready {
		j.Run()
	}
}

// Queued is the number of jobs that no worker has taken.
func (p *Pool) Queued() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}

// Close lets the workers finish what is queued and end; wait for that with Wait.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.waiting += p.idle
	p.idle = 0
	p.wake.Broadcast()
	p.mu.Unlock()
}

// Wait waits until every worker has ended.
func (p *Pool) Wait() { p.workers.Wait() }
