package scheduler

import "time"

// Look is what a pacer saw of a lane's GIL. Grants are named by Grant.Tag.
type Look struct {
	Known    bool          // who holds the GIL can be told; without it Taken, Holder and User mean nothing
	Taken    bool          // somebody holds it
	Computes bool          // and has had it for a grace without a break
	Returns  bool          // nobody holds it, but who was forced off it waits for a processor only, to have it again
	Holder   uint64        // whose grant, 0 for a stranger's
	Pending  int           // grants whose holders wait for the GIL
	Moved    bool          // one of them got it since the last look
	Newest   uint64        // the newest grant whose holder has had it
	Arrived  uint64        // the newest grant whose holder is on its thread
	Forced   [4]uint64     // grants whose holders were forced off it since the last Tick, 0 for none: they compute
	User     uint64        // whose grant used it for long at this look, 0 for nobody's
	Used     time.Duration // how long
	Tended   time.Duration // how long Order.Tag's grant has used it since the last Tick, beside that, but for what Config.Tended took
}

// Tick is the pacer's report on a lane, about every 100 µs while anybody waits for it. It charges what a
// long task has used, and decides who follows when the primary is past its grace:
//
//   - the next waiter, as heir. The primary lapses: it goes on, but stands in nobody's way. If it computes,
//     it competes for the lane from then on by its class's virtual time, and gets it back for itself (see
//     stand) when its turn has come; one that was seen outside the GIL does not.
//   - nobody, while an heir still waits for the GIL, and while the primary's class has had less than the
//     next waiter's.
//   - several at once, when the GIL was free though the lane was not: its holder sleeps, and so may they.
//
// It returns what the lane wants of its pacer from now on. A Look with nothing in it lapses the primary whatever it
// does. It panics for a lane the scheduler does not have.
func (s *Scheduler) Tick(lane int, k Look) Order {
	l := &s.lanes[lane]
	s.mu.Lock()
	defer s.unlock()
	l.ticks++
	s.recount(1)
	s.tickedAt = s.cfg.Now()
	s.shedStale()
	s.credit(l, l.tended, k.Tended)
	s.credit(l, k.User, k.Used)
	s.sight(l, k)
	l.quiet = 0
	if l.waiting {
		s.advanceLane(l, k)
	}
	return s.wants(l, k)
}

// credit charges grant gen in advance for what looks have seen it use.
func (s *Scheduler) credit(l *lane, gen uint64, used time.Duration) {
	if gen == 0 || used <= 0 {
		return
	}
	ns := clampHeld(used)
	for {
		w := l.load()
		if !w.held() || l.proxy != nil || w.gen() != gen {
			break
		}
		if l.cas(w, w|flagCall) { // its release must come by and set this against what it held
			l.primaryPaid += ns
			s.use(s.classes[w.class()], ns)
			return
		}
	}
	if a := s.away[ticket{gen, l.index}]; a != nil && !a.suspended {
		a.prepaid += ns
		if a.prepaid >= int64(longHold) && a.history != nil && !a.told {
			a.told = true // now, so that those who wait behind it with the same history are known
			a.history.learn(a.prepaid, a.prepaid)
		}
		a.usedTick = l.ticks
		s.use(a.class, ns)
	}
}

// use moves a class on by what it used, and the virtual clock to where it stood, if it was its turn.
func (s *Scheduler) use(c *Class, ns int64) {
	for x := &c.share; x.up != nil; x = &x.up.share {
		if y := s.first(x.up, kindNew); y != nil && x.vtime <= y.vtime {
			x.up.clock = max(x.up.clock, x.vtime)
		}
	}
	c.advance(float64(ns))
}

// sight keeps the set of runners: lapsed grants that were seen to compute. That a lapsed grant does not have
// the GIL says nothing, for it may wait for it; that nobody has it, twice in a row, and nobody asks, says that
// none of them computes, and that it does not have it when the lane is kept for it, that it does not.
func (s *Scheduler) sight(l *lane, k Look) {
	if !k.Known {
		return
	}
	if k.Computes {
		s.computes(l, k.Holder)
	}
	for _, gen := range k.Forced {
		s.computes(l, gen)
		if w := l.load(); w.held() && l.proxy == nil && gen == w.gen() {
			l.forced = gen
		}
	}
	if l.unused++; k.Taken || k.Pending > 0 || k.Returns && !l.waiting { // a guess that may be wrong: it keeps nobody waiting
		l.unused = 0
	}
	now := s.cfg.Now()
	for i := len(l.runners) - 1; i >= 0 && l.unused >= 2; i-- {
		if a := l.runners[i]; !k.coming(a.gen, a.since, now) {
			s.stop(l, a)
		}
	}
	if l.absent++; l.proxy == nil || l.proxy.gen == k.Holder || k.Pending > 0 || k.coming(l.proxy.gen, l.proxy.since, now) {
		l.absent = 0
	}
	if l.absent >= absentTicks { // the lane is kept for it, and it is elsewhere
		s.stop(l, l.proxy)
	}
}

// absentTicks is for how many looks another may have the GIL, though the lane is kept for a runner: longer than
// the switch interval rests at, for which a runner that was forced off waits.
const absentTicks = 20

// coming reports whether a grant was made, but is not on its thread yet: on a busy machine its goroutine waits
// for a processor. Not for long: the thread's word is not exact.
func (k *Look) coming(gen uint64, since, now int64) bool {
	return max(k.Arrived, k.Newest, k.Holder) < gen && now-since < spread
}

// computes notes that a grant was seen to compute: a lapsed one becomes a runner.
func (s *Scheduler) computes(l *lane, gen uint64) {
	if a := s.away[ticket{gen, l.index}]; a != nil && !a.suspended {
		a.seen = true
		s.run(l, a)
	}
}

// run makes a one of its lane's runners.
func (s *Scheduler) run(l *lane, a *absence) {
	if a.computing {
		return
	}
	a.computing = true
	a.history.compute(1)
	if len(l.runners) == 0 {
		l.set(flagGuard)
	}
	l.runners = append(l.runners, a)
	a.class.runs(1)
	a.usedTick = l.ticks
}

// stop takes it out again.
func (s *Scheduler) stop(l *lane, a *absence) {
	if !a.computing {
		return
	}
	a.computing = false
	a.history.compute(-1)
	a.class.runs(-1)
	for i, r := range l.runners {
		if r == a {
			l.runners[i] = l.runners[len(l.runners)-1]
			l.runners = l.runners[:len(l.runners)-1]
			break
		}
	}
	if l.proxy == a {
		s.unstand(l)
	}
	if len(l.runners) == 0 {
		l.clear(flagGuard)
	}
	s.revisit = true
}

// starvedTicks is for how many looks, some 50 ms, a runner goes without the GIL before it is its turn. Then it
// takes it, or is found to be elsewhere (sight).
const starvedTicks = 400

// owed is the runner whose turn it is before work of class c, nil if c may go: one whose class has used
// less, or, in c itself, one that has not been seen with the GIL for too long, or that ends before the work whose peer that is.
func (s *Scheduler) owed(l *lane, c *Class, peer *History) *absence {
	s.tend(l)
	var best *absence
	for _, r := range l.runners {
		r.class.fold()
		if best == nil || r.class.lead(best.class) > 0 || r.class == best.class && r.usedTick < best.usedTick {
			best = r
		}
	}
	switch {
	case best == nil:
		return nil
	case best.class != c:
		if best.class.lead(c) > 0 {
			return best
		}
	case l.ticks-best.usedTick > starvedTicks:
		return best
	}
	for _, r := range l.runners {
		if peer != nil && r.class == c && r.history.endsBefore(r.prepaid, peer) {
			return r
		}
	}
	return nil
}

// stand keeps the lane for the runner a, which has the GIL to itself as long as nobody else is sent: the
// lane counts as held, on its behalf, until a Tick or an arrival finds that another's turn has come.
func (s *Scheduler) stand(l *lane, a *absence) {
	for l.proxy != a {
		w := l.load()
		if w.held() && l.proxy == nil {
			return
		}
		if l.cas(w, w.next(a.class.index)) {
			l.proxy = a
		}
	}
}

func (s *Scheduler) unstand(l *lane) {
	if l.proxy != nil {
		l.proxy = nil
		l.clear(flagHeld | flagCall)
	}
}

// maxBurst is how many may be on their way to a GIL that nobody has to be forced off from.
const maxBurst = 16

// advanceLane is the part of Tick that lets the next one in.
func (s *Scheduler) advanceLane(l *lane, k Look) {
	w := l.load()
	primary := w.held() && l.proxy == nil
	switch {
	case !k.Known || k.Computes || k.User != 0:
		l.burst = 1
	case primary && (w.gen() == l.seen || w.gen() == l.sent) && k.Newest >= w.gen() && k.Holder != w.gen(): // it had the GIL, and is elsewhere
		l.burst = min(max(2*l.burst, 1), maxBurst)
	case !k.Taken && k.Pending == 0:
	default:
		l.burst = max(l.burst/2, 1)
	}
	fresh := primary && k.Moved && w.gen() != l.seen && l.burst < maxBurst // it has only come
	if l.seen != w.gen() {
		l.seen, l.seenAt = w.gen(), s.cfg.Now()
	}
	if primary && k.Pending >= l.burst {
		s.stalled(l, w)
	}
	fresh = fresh || primary && k.Known && l.burst <= 1 && k.coming(w.gen(), l.seenAt, s.cfg.Now()) // those behind it would only meet it at the GIL
	for range max(l.burst, 1) - k.Pending {
		if fresh || !s.follow(l, k) {
			return
		}
		l.sent = l.load().gen()
	}
}

// stalled notes, once for each heir, that it has to wait for the GIL.
func (s *Scheduler) stalled(l *lane, w word) {
	if l.stalled != w.gen() {
		l.stalled = w.gen()
		s.classes[w.class()].preemptions++
	}
}

// follow gives the lane to whoever is next, though its primary may still be there. It reports whether it did.
func (s *Scheduler) follow(l *lane, k Look) bool {
	for l.waiting {
		w := l.load()
		if !w.held() || l.proxy != nil {
			l.backoff = 0 // the wake that was held back was needed
			return s.dispatch(l)
		}
		next := s.pick(l, s.full(0))
		if next == nil {
			l.nobodySoon()
			return false
		}
		c := s.classes[w.class()]
		computes := k.Known && k.Computes && k.Holder == w.gen()
		if computes {
			if c.fold(); c != next.class && !next.overdue && c.lead(next.class) > 0 {
				l.quiet = c.ahead(next.class)
				return false // it is its turn still
			}
		}
		past, at := l.pastOf(w), l.at(w.gen())
		if k.Known && k.Holder == w.gen() && c == next.class && past.endsBefore(l.primaryPaid, next.peer()) {
			return false
		}
		if s.seat(l, w, next) {
			s.lapsed(w, l, c, past, at, k, computes)
			s.recount(1)
			return true
		}
	}
	return false
}

// lapsed notes that the primary w of class c has lost its lane. Where it cannot be seen what it uses, half a
// slice is charged at once, so that a class cannot fill the cap with long work before any of it is charged.
func (s *Scheduler) lapsed(w word, l *lane, c *Class, past *History, at int64, k Look, computes bool) {
	a := &absence{ticket: ticket{w.gen(), l.index}, class: c, history: past, grantedAt: at, prepaid: l.primaryPaid}
	l.primaryPaid = 0
	if !k.Known {
		paid := int64(s.cfg.Slice) / 2
		a.prepaid += paid
		c.advance(float64(paid))
	}
	c.lapses++
	s.leaveLane(a)
	if computes || l.forced == w.gen() {
		a.seen = true
		s.run(l, a)
	}
}
