package thread

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Job is one piece of work for a worker.
type Job interface {
	// Run runs it, and whatever else its source then has for this worker. It may end the goroutine
	// (runtime.Goexit): another worker takes its place.
	Run()
}

// Pool is a fixed number of goroutines, each locked to an OS thread of its own, that run jobs. Whoever
// starts jobs keeps count of the workers that are idle, and starts no more than that: the scheduler does.
type Pool struct {
	mu      sync.Mutex
	wake    *sync.Cond
	ready   []Job
	n       atomic.Int32 // = len(ready), for a look without the lock
	looking int          // workers awake that will look at ready
	asleep  int
	closed  bool
	workers sync.WaitGroup
}

// NewPool starts the workers.
func NewPool(workers int) *Pool {
	p := &Pool{}
	p.wake = sync.NewCond(&p.mu)
	for range workers {
		p.workers.Go(p.work)
	}
	return p
}

// Start hands j to an idle worker. It does not block.
func (p *Pool) Start(j Job) {
	p.Ready(j)
	p.Wake()
}

// Ready is Start without waking a worker: Wake must follow.
func (p *Pool) Ready(j Job) {
	p.mu.Lock()
	p.ready = append(p.ready, j)
	p.n.Store(int32(len(p.ready)))
	p.mu.Unlock()
}

// Wake wakes a worker if there is work that none is about to take.
func (p *Pool) Wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case len(p.ready) == 0:
	case p.closed: // the workers may be gone already
		p.workers.Go(p.work)
	case p.asleep > 0 && p.looking < len(p.ready):
		p.asleep--
		p.looking++
		p.wake.Signal()
	}
}

// work is one worker.
func (p *Pool) work() {
	runtime.LockOSThread()
	ended := false
	defer func() {
		if !ended {
			p.workers.Go(p.work)
		}
	}()
	p.mu.Lock()
	p.looking++
	p.mu.Unlock()
	for {
		p.look()
		j := p.next()
		if j == nil {
			ended = true
			return
		}
		j.Run()
		p.mu.Lock()
		p.looking++
		p.mu.Unlock()
	}
}

// look waits some microseconds for a job before the worker goes to sleep: to wake a goroutine that is
// locked to its OS thread takes two thread switches, and more work often comes at once.
func (p *Pool) look() {
	const looks = 2000 // some 2 µs
	for range looks {
		if p.n.Load() > 0 {
			return
		}
	}
}

// next waits for a job; nil means that the pool is closed and empty. The worker counts as looking until it
// has one.
func (p *Pool) next() Job {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() { p.looking-- }()
	for len(p.ready) == 0 {
		if p.closed {
			return nil
		}
		p.looking--
		p.asleep++
		p.wake.Wait() // whoever wakes this worker counts it out of asleep and into looking
	}
	j := p.ready[0]
	p.ready[0] = nil
	p.ready = p.ready[1:]
	p.n.Store(int32(len(p.ready)))
	return j
}

// Close lets the workers end when they have run what was started; wait for that with Wait.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.looking += p.asleep
	p.asleep = 0
	p.wake.Broadcast()
	p.mu.Unlock()
}

// Wait waits until every worker has ended.
func (p *Pool) Wait() { p.workers.Wait() }
