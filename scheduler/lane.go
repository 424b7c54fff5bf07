package scheduler

import (
	"fmt"
	"sync/atomic"
	"time"
)

// lane is one GIL's place for a primary grant. The word alone decides who has it.
type lane struct {
	state atomic.Uint64 // a word
	// left is what may still be spent on this lane before a release must take the lock, in nanoseconds.
	left  atomic.Int64
	away  atomic.Int32 // lapsed and suspended grants of this lane; written under the lock
	index uint32
	_     [40]byte // what follows is not written with each grant: keep it off this cache line

	berths  [berths]berth
	luck    atomic.Int32 // see linger
	lingers atomic.Bool  // somebody does

	// Under Scheduler.mu.

	pinned  heap[*line] // classes with new work for this lane only
	resumes heap[*line] // classes with work that comes back to this lane

	waiting   bool    // mirrors flagWaiting
	candidate *waiter // woken, on its way to take the lane if it is free then
	seated    int     // index of the class that was last given the lane by rank
	sliceLeft int64   // what the class may still use, as of the last settle
	lent      int64   // what was put into left since
	backoff   int64   // work to let pass after a candidate came in vain
	renewals  int

	runners     []*absence // lapsed grants that compute: they compete with those who wait
	proxy       *absence   // the runner for which the lane is held, nil if it is free or a primary's
	primaryPaid int64      // what looks have charged for the primary
	paced       Pace       // what the pacer was told
	tended      uint64     // Order.Tag
	quiet       int64      // Order.Quiet, as far as the last decision tells
	busy        bool       // somebody came since the pacer's last look
	unused      int        // looks in a row that found the GIL free
	absent      int        // looks in a row in which the proxy did not have it
	burst       int        // how many were sent at once, last time
	seen        uint64     // the primary at the last look
	seenAt      int64      // and when it was first seen
	ticks       uint64     // Ticks so far
	granted     uint64     // the last grant made under the lock,
	history     *History   // its history,
	grantedAt   int64      // and when that was
	sent        uint64     // the heir that was sent last
	forced      uint64     // the last primary that was forced off the GIL
	stalled     uint64     // the heir last noted to wait for the GIL
}

const (
	// grantCost is what a grant takes beside the measured hold, so that a slice ends even if every
	// hold is reported as 0.
	grantCost = 150
	// A candidate that comes in vain holds back the next: 1 µs of work, doubling up to 32 µs.
	minBackoff = int64(time.Microsecond)
	maxBackoff = 32 * int64(time.Microsecond)
	// handOver is about what handing a lane over takes: a slice that is shorter would cost more than it gives.
	handOver = 20 * int64(time.Microsecond)
	// spread bounds how long a round over all waiters takes, and so the slice when many wait.
	spread = int64(5 * time.Millisecond)
	// maxRenewals bounds the slices in a row of a class whose share is not used up.
	maxRenewals = 16
)

func (l *lane) load() word             { return word(l.state.Load()) }
func (l *lane) cas(from, to word) bool { return l.state.CompareAndSwap(uint64(from), uint64(to)) }
func (l *lane) set(f word)             { l.state.Or(uint64(f)) }
func (l *lane) clear(f word)           { l.state.And(^uint64(f)) }

// spend counts a hold against the slice and reports whether the lane may be left without the lock.
func (l *lane) spend(ns int64) bool { return l.left.Add(-ns-grantCost) > 0 }

// settle brings sliceLeft up to date and takes back what is left.
func (l *lane) settle() {
	l.sliceLeft -= l.lent - l.left.Swap(0)
	l.lent = 0
}

// lend lets releases go without the lock until ns are spent. After settle only.
func (l *lane) lend(ns int64) {
	l.left.Add(ns)
	l.lent += ns
}

func (l *lane) startSlice(ns int64) {
	l.settle()
	l.sliceLeft, l.renewals = ns, 0
	l.lend(min(ns, l.backoff))
}

// slice is how long a class may keep a lane now.
func (s *Scheduler) slice() int64 {
	ns := spread / int64(max(s.queued+s.resumes, 1))
	return max(min(ns, int64(s.cfg.Slice)), handOver)
}

// retune sets or clears flagSlow everywhere: it must be set when extra more absences could let the
// fast path break the cap, and stays while a drain or the close need to see every operation.
func (s *Scheduler) retune(extra int) {
	out := len(s.away) + (1+s.berths)*len(s.lanes) // at most, when a berth is boarded only now and then
	if near := out+1 > s.cfg.MaxInFlight; near != s.near.Load() {
		s.near.Store(near)
	}
	slow := s.closed || s.drainers > 0 || out+extra > s.cfg.MaxInFlight
	if slow == s.slow {
		return
	}
	s.slow = slow
	for i := range s.lanes {
		if slow {
			s.lanes[i].set(flagSlow)
		} else {
			s.lanes[i].clear(flagSlow)
		}
	}
}

// recount is retune by somebody who counts grants next. It must not be called between a seat and the lapse that goes with it: see
// boardFrom.
func (s *Scheduler) recount(extra int) {
	s.retune(extra)
	if s.slow {
		s.board()
	}
}

// full reports whether a new grant would break the cap, given that leaving primaries are about to go.
// Without flagSlow the cap is out of reach; with it, words change under the lock only.
func (s *Scheduler) full(leaving int) bool {
	return s.slow && s.inFlight()-leaving >= s.cfg.MaxInFlight
}

// Lost says that n more tasks go on of which nobody knows when they end, if ever, or with n below 0 that some are not lost
// any more. A lost task keeps its grant, and its place among Config.MaxInFlight, until it ends. Any goroutine may call Lost.
func (s *Scheduler) Lost(n int) {
	s.mu.Lock()
	s.lost += n
	s.mu.Unlock()
}

// lostPlaces is how many tasks are lost if the cap keeps others out, else 0. The caller must not hold s.mu.
func (s *Scheduler) lostPlaces() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inFlight() < s.cfg.MaxInFlight {
		return 0
	}
	return s.lost
}

// inFlight counts the grants that are out. s.mu held.
func (s *Scheduler) inFlight() int { return len(s.away) + s.primaries() }

func (s *Scheduler) primaries() (n int) {
	for i := range s.lanes {
		if s.lanes[i].load().held() && s.lanes[i].proxy == nil {
			n++
		}
	}
	return n
}

// reflag makes flagWaiting say of each lane whether anybody waits for it.
func (s *Scheduler) reflag() {
	anywhere := s.general.len() + s.nested.len() + s.long.len() + s.cold.len()
	if s.idle > 0 {
		anywhere += s.jobs.len()
	}
	for i := range s.lanes {
		l := &s.lanes[i]
		waiting := anywhere+l.pinned.len()+l.resumes.len() > 0
		if waiting == l.waiting {
			continue
		}
		l.waiting = waiting
		if !waiting {
			l.clear(flagWaiting)
			if s.waiting == 1 { // while somebody waits still: see advance
				s.foldDirty()
			}
			s.waiting--
			continue
		}
		s.waiting++
		l.startSlice(s.slice())
		l.set(flagWaiting)
		s.pace(l, Watch)
	}
}

// taken notes that somebody took l beside its runners, whose books the pacer keeps.
func (s *Scheduler) taken(l *lane, c *Class) {
	c.touch(s.cfg.Now())
	s.await(c, c.activeAt, true)
	s.seats[0].at = c.activeAt
	if s.seats[0].class != c {
		s.seats[1], s.seats[0].class = s.seats[0], c
	}
	l.busy = true
	switch {
	case l.waiting:
		s.pace(l, Watch)
	case len(l.runners) > 0:
		s.pace(l, Tend)
	}
}

// pastOf is the history of the primary w, if it is known.
func (l *lane) pastOf(w word) *History {
	if l.granted != w.gen() {
		return nil
	}
	return l.history
}

// repay gives what looks have charged for the primary, which ends.
func (l *lane) repay() int64 {
	paid := l.primaryPaid
	l.primaryPaid = 0
	return paid
}

func noLane(lane, lanes int) error {
	return fmt.Errorf("%w: %d of %d (they count from 0)", ErrNoLane, lane, lanes)
}

// Jammed reports whether as many grants are out as Config.MaxInFlight allows, how many wait for one, and how many have
// ended so far.
func (s *Scheduler) Jammed() (full bool, waiting int, ended uint64) {
	s.mu.Lock()
	defer s.unlock()
	if full = s.inFlight() >= s.cfg.MaxInFlight; full {
		s.foldDirty()
	}
	return full, s.queued, s.released
}
