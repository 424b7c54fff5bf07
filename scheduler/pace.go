package scheduler

import "time"

// Pace is how closely a lane wants to be looked at.
type Pace int

// The paces. Config.Arm is called when a lane comes to want more than it said last.
const (
	Rest  Pace = iota // not at all
	Tend              // about each millisecond: a long task computes, and others come and go without waiting
	Watch             // about each 100 µs, but short tasks that come and go need no report: somebody waits
	Rush              // about each 100 µs: somebody waits for a GIL that is hardly used
)

// Order is what a lane wants of its pacer.
type Order struct {
	Pace Pace
	// Quiet is for how much use of the GIL by the grant of Tag nothing is to be decided: so long the pacer need not call Tick, but adds
	// up the use (Look.Tended). It calls Tick sooner when a look finds something else: the GIL is free and nobody asks for it, another task uses it for
	// long, or a task was forced off it. 0: each look is to be told.
	Quiet time.Duration
	Tag   uint64
}

// The pacer waits in C. When it returns to Go and goes to C again, Go's monitor takes its processor, and looks every 20 µs for the next millisecond: then the
// monitor also takes the processor of each goroutine that is in C for a short call. So the pacer returns only to decide.
const (
	// mostQuiet bounds Order.Quiet when somebody waits: deadlines and limits of time are looked after then.
	mostQuiet = int64(5 * time.Millisecond)
	// leastQuiet is two looks: for less the pacer tells each look.
	leastQuiet = int64(200 * time.Microsecond)
	// aloneQuiet is Order.Quiet when nobody waits.
	aloneQuiet = int64(time.Second)
)

// wants is the order for l's pacer, which has seen k.
func (s *Scheduler) wants(l *lane, k Look) Order {
	o := Order{Pace: Rest}
	switch {
	case l.waiting && l.burst > 1:
		o.Pace = Rush
	case l.waiting:
		o.Pace = Watch
	default:
		l.quiet = aloneQuiet
		if len(l.runners) > 1 || len(l.runners) == 1 && (l.busy || l.load().held() && l.proxy == nil) {
			o.Pace = Tend
		}
	}
	if s.turns.len() > 0 {
		l.quiet = min(l.quiet, max(s.turns.top().at-s.tickedAt, leastQuiet))
	}
	l.busy = false
	l.paced, l.tended = o.Pace, 0
	// A pacer that is quiet is armed when somebody comes, though others wait already.
	if tag := l.user(k); tag != 0 && l.quiet >= leastQuiet && o.Pace != Rush {
		l.tended, l.paced = tag, min(o.Pace, Tend)
		o.Tag, o.Quiet = tag, time.Duration(l.quiet)
	}
	return o
}

// user is the grant that uses the GIL for long, as far as k tells, 0 for none.
func (l *lane) user(k Look) uint64 {
	switch {
	case !k.Known || !k.Taken && !k.Returns && k.Pending == 0:
		return 0
	case k.User == 0 && len(l.runners) == 1:
		return l.runners[0].gen
	}
	return k.User
}

// Pace is the order of the lane's pacer, for a pacer that has seen nothing to report.
func (s *Scheduler) Pace(lane int) Order {
	l := &s.lanes[lane]
	s.mu.Lock()
	defer s.unlock()
	s.shedStale()
	l.quiet = 0
	return s.wants(l, Look{})
}

// pace has the pacer armed for l, if it looks less closely than that.
func (s *Scheduler) pace(l *lane, p Pace) {
	if s.cfg.Arm != nil && l.paced < p {
		l.paced = p
		s.arm = append(s.arm, arming{int(l.index), p})
	}
}

// arming is a call of Config.Arm.
type arming struct {
	lane int
	pace Pace
}

// tend charges l's long task for what the pacer has seen since it last told.
func (s *Scheduler) tend(l *lane) {
	if l.tended != 0 && s.cfg.Tended != nil {
		s.credit(l, l.tended, s.cfg.Tended(int(l.index)))
	}
}

// nobodySoon notes that none of those who wait may have the lane, unless pick has noted until when.
func (l *lane) nobodySoon() {
	if l.quiet == 0 {
		l.quiet = mostQuiet
	}
}

// ahead is what c may use until its virtual time is o's.
func (c *Class) ahead(o *Class) int64 {
	return int64(min(c.lead(o), float64(mostQuiet)))
}
