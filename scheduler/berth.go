package scheduler

import "sync/atomic"

// berths is how many suspended grants a lane can have without the lock.
const berths = 4

// berthsOf is how many of them are used: with few threads for each lane, berths would keep the cap near for good.
func berthsOf(cfg Config) int {
	return min(max(cfg.MaxInFlight-cfg.Lanes-1, 0)/cfg.Lanes/2, berths)
}

// berth is a place for a grant that is suspended without the lock: the word that its lane had, 0 when nobody is there. Its owner takes the
// grant out when it resumes. Whoever has the lock may board the grant before, which moves it to Scheduler.away.
//
// A suspended grant is always seen: it is in its berth before its lane is free, and its lane is held again before it leaves the
// berth. So whoever has to see all grants looks at the lanes first and boards then; or sets flagSlow first, with which no lane
// changes hands without the lock.
type berth struct{ atomic.Uint64 }

// moor suspends the primary g without the lock. It gives nil when none of the usable berths is free, or the lane's word has a flag: somebody waits, or
// must see every operation.
func (l *lane) moor(g Grant, usable int) *berth {
	mine := heldWord(g)
	if l.load() != mine {
		return nil
	}
	for i := range usable {
		b := &l.berths[i]
		if b.Load() != 0 || !b.CompareAndSwap(0, uint64(mine)) {
			continue
		}
		if l.cas(mine, mine.free()) {
			return b
		}
		b.Store(0) // nobody boards a grant whose lane is not free
		return nil
	}
	return nil
}

// unmoor makes x the primary again without the lock, if nobody waits and x is in its berth. boarded says that x was moved to
// Scheduler.away meanwhile.
func (l *lane) unmoor(x Suspended) (g Grant, boarded, ok bool) {
	mine := uint64(heldWord(Grant{class: x.class, gen: x.gen}))
	w := l.load()
	if w&flags != 0 || x.class.expired.Load() || x.berth.Load() != mine { // in this order: see expire
		return Grant{}, false, false
	}
	to := w.next(x.class.index)
	if !l.cas(w, to) {
		return Grant{}, false, false
	}
	return Grant{class: x.class, gen: to.gen(), lane: l.index, history: x.history}, !x.berth.CompareAndSwap(mine, 0), true
}

// moored is how many grants are in the lane's berths.
func (l *lane) moored() (n int32) {
	for i := range l.berths {
		if l.berths[i].Load() != 0 {
			n++
		}
	}
	return n
}

// board moves what is in berths to Scheduler.away. s.mu held.
func (s *Scheduler) board() {
	for i := range s.lanes {
		for j := range s.lanes[i].berths {
			s.boardFrom(&s.lanes[i], &s.lanes[i].berths[j])
		}
	}
}

func (s *Scheduler) boardFrom(l *lane, b *berth) {
	is := word(b.Load())
	if is == 0 {
		return
	}
	t := ticket{is.gen(), l.index}
	if w := l.load(); w.held() && w.gen() == t.gen || s.away[t] != nil { // not yet suspended, or lapsed before
		return
	}
	if b.CompareAndSwap(uint64(is), 0) { // else it has resumed
		s.noteAway(&absence{ticket: t, class: s.classes[is.class()], suspended: true})
	}
}
