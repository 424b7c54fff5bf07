package scheduler

import (
	"runtime"
	"time"

	"gilt/internal/clock"
)

const (
	// lingerFor is for how long somebody lingers: about what it takes to go to sleep and to be woken, which whoever has the lane may have to do
	// first.
	lingerFor = 50 * time.Microsecond
	// mostLuck bounds for how long a lane where lingering was of use is taken to be one where it is; tryLuck is how seldom it is tried
	// where it was of none.
	mostLuck, tryLuck = 16, 8
)

// lingerTicks is how many ticks of the processor's counter somebody lingers, 0 for not at all: when there is one processor, whoever
// has the lane needs it.
func lingerTicks() int64 {
	if runtime.GOMAXPROCS(0) == 1 || runtime.NumCPU() == 1 {
		return 0
	}
	return int64(float64(lingerFor) / clock.Rate())
}

// linger looks at a lane that somebody has and nobody waits for until it is free, for a moment: short tasks end before their next could
// have gone to sleep and been woken, which takes two goroutine switches. True says that it was free. One goroutine lingers at a time; where
// that was in vain, the next ones mostly do not.
func (l *lane) linger(ticks int64) bool {
	if w := l.load(); ticks == 0 || !w.held() || w.flagged() {
		return false
	}
	if luck := l.luck.Load(); luck <= 0 && !l.tries() || !l.lingers.CompareAndSwap(false, true) {
		return false
	}
	free := l.freeSoon(ticks)
	l.lingers.Store(false)
	if free {
		l.luck.Store(min(max(l.luck.Load(), 0)+2, mostLuck))
	} else if luck := l.luck.Load(); luck > 0 {
		l.luck.Store(luck - 1)
	}
	return free
}

// tries says each so many times that lingering is tried though it was in vain before.
func (l *lane) tries() bool {
	if l.luck.Add(-1) > -tryLuck {
		return false
	}
	l.luck.Store(0)
	return true
}

func (l *lane) freeSoon(ticks int64) bool {
	for end := clock.Ticks() + ticks; clock.Ticks() < end; {
		clock.Pause()
		switch w := l.load(); {
		case w.flagged():
			return false
		case !w.held():
			return true
		}
	}
	return false
}
